"""Where the browser is, how it is started, and what is missing when it isn't there."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
HOW = (
    "python -m tests.browser.provision (as root on Debian or Ubuntu: apt-get install chromium fonts-noto-cjk)"
)
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


def find() -> str | None:
    """The browser's path, if one is installed."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


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
