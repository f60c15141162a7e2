"""Where the browser is, how it is started, and what is missing when it isn't there."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
OWN = "chromium-*/chrome-linux*/chrome"  # in Playwright's folder, where it has installed one itself
HOW = "python -m tests.browser.provision (as root on Debian or Ubuntu)"
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--ignore-certificate-errors",  # the rig's Asterisk signs its own
    "--use-fake-device-for-media-stream",  # a microphone that beeps once a second
    "--use-fake-ui-for-media-stream",
]

CLOSED_S = 20.0  # a browser that navigates in this instant may never answer; it goes with the last test


def find() -> str | None:
    """The path of a browser that the system or Playwright has installed, if there is one."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path(base) / "ms-playwright")
    own = map(str, sorted(folder.glob(OWN), reverse=True))
    return next((path for path in (*map(shutil.which, NAMES), *own) if path), None)


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """A headless browser. Raises FileNotFoundError, saying how to get one, when there is none."""
    path = find()
    if path is None:
        raise FileNotFoundError(f"no Chromium on this machine; {HOW}")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, headless=True, args=[*FLAGS, *root])
        try:
            yield browser
        finally:
            await browser.close()


async def close(profile: BrowserContext) -> None:
    """Close a profile with its pages; one that does not close is left to the end of the browser."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSED_S):
            await profile.close()
