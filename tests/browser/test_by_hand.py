"""A number that is dialed by hand from the page, what the rules say to it, and the agent's own day."""

from __future__ import annotations

import time

import pytest
from playwright.async_api import BrowserContext, expect

from cti.messages import DialNumber, Reply, SeatStatus
from tests.browser.desk import ready, state
from tests.cti.running import AGENT, Door

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_number_is_dialed_by_keys_and_a_refusal_names_the_rule(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await ready(page, door)
    await expect(page.locator("#by-hand")).to_be_hidden()
    door.engine.bus.to_seat(
        SeatStatus(user_id=AGENT.user_id, state="ready", since=time.time(), dials=("demo", "second"))
    )
    await expect(page.locator("#by-hand")).to_be_visible()
    await page.keyboard.press("d")
    await page.keyboard.type("13912345678")
    door.engine.refuse = Reply(ok=False, code="rule_window", detail=str(time.time() + 86_400))
    await page.keyboard.press("Enter")
    await expect(page.locator("#message")).to_contain_text("Not called: Outside calling hours. Possible from")
    await expect(page.locator("#by-hand-number")).to_have_value("13912345678")
    door.engine.refuse = None
    await page.keyboard.press("Enter")
    await expect(page.locator("#by-hand-number")).to_have_value("")
    assert door.engine.of(DialNumber)[-1] == DialNumber(
        user_id=AGENT.user_id, campaign="demo", number="13912345678"
    )
    door.engine.pop(AGENT.user_id, preview=True, dialing=True)
    await state(page, "preview")
    await expect(page.locator("#dial")).to_be_hidden()
    await expect(page.locator("#state-next")).to_contain_text("Dialing")
