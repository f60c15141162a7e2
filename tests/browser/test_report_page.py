"""The reports' page in a real browser: its chart is drawn, its table sorts by keyboard, and it has no fault."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from sqlalchemy import Engine

from tests.browser.report_pictures import asked, worked
from tests.browser.test_accessibility import clean
from tests.cti.running import Door, open_door, stored_in

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def reported(db: Engine, tmp_path: Path) -> AsyncIterator[Door]:
    worked(db, "en", hours=2)
    async with open_door(stored=stored_in(db, tmp_path)) as opened:
        yield opened


async def test_a_report_is_drawn_sorted_and_readable(browser: Browser, reported: Door) -> None:
    for language, scheme in (("en", "light"), ("zh", "dark")):
        async with asked(browser, reported, "agents", language, scheme) as page:
            await expect(page.locator("#chart canvas")).to_be_visible()
            await clean(page, f"reports, {language}, {scheme}")
            first = await page.locator("#figures tbody td").first.inner_text()
            head = page.locator("#figures thead th").nth(1)
            await head.locator("button").focus()
            await page.keyboard.press("Enter")
            await page.keyboard.press("Enter")
            await expect(head).to_have_attribute("aria-sort", "ascending")
            await expect(page.locator("#figures tbody td").first).not_to_have_text(first)
