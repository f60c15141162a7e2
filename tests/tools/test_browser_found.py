"""The browser that Playwright has installed is found where Playwright itself would look for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from tests.browser.chromium import find


async def test_playwrights_own_browser_is_found_where_the_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    async with async_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find() is None
    own.parent.mkdir(parents=True)
    own.touch()
    assert find() == str(own)
