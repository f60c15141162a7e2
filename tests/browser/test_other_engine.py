"""The engine that a page is at is killed: the page goes on at another one, and nobody logs in again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, expect

from tests.browser.desk import at_work, half_a_note, state
from tests.cluster.pair import on_one_host
from tests.contract.switches import VirtualSwitchProcess

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

SOON_MS = 60_000  # a page tries within 2, 4 and 8 s; and a busy machine


@pytest.mark.timeout(240)
async def test_a_page_in_a_call_and_one_that_is_ready_go_on_at_the_other_engine(
    browser: Browser, context: BrowserContext, tmp_path: Path
) -> None:
    switch = VirtualSwitchProcess()
    switch.start()
    pair = on_one_host(switch, tmp_path)
    others = await browser.new_context(locale="zh-CN")
    try:
        pair.a.campaign(["08"])
        first, second = await pair.launch()
        pair.a.person("lina", "seat001")
        pair.a.person("mario", "seat002")
        lina = await at_work(context, first, "lina", SOON_MS)
        await state(lina, "talking", SOON_MS)
        # Who typed the address of the one that stands by.
        mario = await at_work(others, second, "mario", SOON_MS)
        await expect(mario).to_have_url(f"http://127.0.0.1:{first.web}/")
        await state(mario, "ready", SOON_MS)
        name = await lina.text_content("#customer-name")
        await half_a_note(lina, first)
        await first.kill()
        there = re.compile(f"^http://127.0.0.1:{second.web}/")
        for page, seat in ((lina, "talking"), (mario, "ready")):
            await expect(page).to_have_url(there, timeout=SOON_MS)
            await state(page, seat, SOON_MS)
        await expect(lina.locator("#customer-name")).to_have_text(name or "?")
        await expect(lina.locator("#notes")).to_have_value("Half a no")
        await lina.click("#hang-up")
        await state(lina, "wrap_up", SOON_MS)
        await lina.keyboard.press("1")
        await second.recorded(1)
        assert [row.outcome for row in second.attempts()] == ["connected"]
        await second.books_are_square()
    finally:
        await others.close()
        await pair.close()
        switch.stop()
