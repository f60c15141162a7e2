"""One browser for all tests, a running door for each; where there is no browser, a skip that says how to get one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, expect

from tests.browser.chromium import HOW, close, find, launched
from tests.contract.house import House
from tests.contract.switches import calls_over
from tests.cti.running import Door, open_door
from tests.rig.asterisk import AsteriskRig

PATIENCE_MS = 20_000  # for what follows at once on a machine that has nothing else to do
expect.set_options(timeout=PATIENCE_MS)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if find() is None:
        reason = f"no Chromium on this machine; get it with: {HOW}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    async with launched() as chromium:
        yield chromium


@pytest_asyncio.fixture(loop_scope="session")
async def door() -> AsyncIterator[Door]:
    async with open_door() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser profile in English."""
    opened = await browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 760})
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    await close(opened)


@pytest_asyncio.fixture(loop_scope="session")
async def house(asterisk_rig: AsteriskRig, tmp_path: Path) -> AsyncIterator[House]:
    """An installation whose switch is the real one."""
    house = House(asterisk_rig, tmp_path)
    yield house
    await house.close()
    await calls_over(asterisk_rig)
