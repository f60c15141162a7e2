"""The engine that a page is at is killed: the page goes on at another one, and nobody logs in again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.cluster.pair import Pair
from tests.contract.house import PASSWORD, House
from tests.contract.switches import VirtualSwitchProcess

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

SOON_MS = 60_000  # a page tries within 2, 4 and 8 s; and a busy machine


async def at_work(context: BrowserContext, house: House, login: str) -> Page:
    page = await context.new_page()
    page.set_default_timeout(30_000)
    await page.goto(f"http://127.0.0.1:{house.web}/login")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.locator("#ready")).to_be_visible(timeout=SOON_MS)
    await page.keyboard.press("r")
    return page


async def state(page: Page, name: str) -> None:
    await expect(page.locator("body")).to_have_attribute("data-state", name, timeout=SOON_MS)


@pytest.mark.timeout(240)
async def test_a_page_in_a_call_and_one_that_is_ready_go_on_at_the_other_engine(
    browser: Browser, context: BrowserContext, tmp_path: Path
) -> None:
    switch = VirtualSwitchProcess()
    switch.start()
    pair = Pair(switch, tmp_path)
    others = await browser.new_context(locale="zh-CN")
    try:
        pair.a.campaign(["08"])
        first, second = await pair.launch()
        pair.a.person("lina", "seat001")
        pair.a.person("mario", "seat002")
        lina = await at_work(context, first, "lina")
        await state(lina, "talking")
        mario = await at_work(others, second, "mario")  # who typed the address of the one that stands by
        await expect(mario).to_have_url(f"http://127.0.0.1:{first.web}/")
        await state(mario, "ready")
        name = await lina.text_content("#customer-name")
        await lina.keyboard.press("n")
        await lina.keyboard.type("Half a no")
        await lina.keyboard.press("Escape")
        await first.until_so(
            "the draft is kept", "SELECT count(*) FROM draft WHERE fields::text LIKE '%Half a no%'"
        )
        await first.kill()
        there = re.compile(f"^http://127.0.0.1:{second.web}/")
        for page, seat in ((lina, "talking"), (mario, "ready")):
            await expect(page).to_have_url(there, timeout=SOON_MS)
            await state(page, seat)
        await expect(lina.locator("#customer-name")).to_have_text(name or "?")
        await expect(lina.locator("#notes")).to_have_value("Half a no")
        await lina.click("#hang-up")
        await state(lina, "wrap_up")
        await lina.keyboard.press("1")
        await second.recorded(1)
        assert [row.outcome for row in second.attempts()] == ["connected"]
        await second.books_are_square()
    finally:
        await others.close()
        await pair.close()
        switch.stop()
