"""A number that is dialed by hand from the page, what the rules say to it, and the agent's own day."""

from __future__ import annotations

import time

import pytest
from playwright.async_api import BrowserContext, expect

from cti.messages import DialNumber, HangUp, Reply, SeatStatus
from tests.browser.desk import log_in, ready, state
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


async def test_who_has_dialed_by_keys_hangs_up_and_writes_by_keys_at_once(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await ready(page, door)
    able = SeatStatus(AGENT.user_id, "ready", time.time(), dials=("demo",))
    door.engine.bus.to_seat(able)
    await expect(page.locator("#by-hand")).to_be_visible()
    await page.keyboard.press("d")
    await page.keyboard.type("13912345678")
    await page.keyboard.press("Enter")
    await expect(page.locator("#by-hand-number")).to_have_value("")
    await page.clock.install()
    await page.clock.pause_at(time.time() + 1)  # nothing is drawn between the seat's state and its customer
    call = door.engine.pop(AGENT.user_id, preview=True, dialing=True)
    await state(page, "preview")
    await page.keyboard.press("n")
    await expect(page.locator("#notes")).to_be_focused()
    await page.clock.resume()
    await page.keyboard.type("Asked us to")
    await expect(page.locator("#notes")).to_have_value("Asked us to")
    await page.keyboard.press("Escape")
    await page.keyboard.press("x")
    await expect(page.locator("#hang-up")).to_contain_text("Press X again")
    await page.keyboard.press("x")
    await state(page, "ready")
    assert door.engine.of(HangUp) == [HangUp(user_id=AGENT.user_id, call_id=call)]


async def test_a_pause_in_which_a_number_was_dialed_in_vain_takes_the_next_one(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await log_in(page, door)
    await state(page, "paused")
    call = door.engine.pop(AGENT.user_id, preview=True, dialing=True)
    await state(page, "preview")
    door.engine.tell_call(AGENT.user_id, "ended", "busy")
    paused = SeatStatus(AGENT.user_id, "paused", time.time(), dials=("demo",), last_call=call)
    door.engine.bus.to_seat(paused)
    await state(page, "paused")
    await expect(page.locator("#customer")).to_be_hidden()
    await page.keyboard.press("d")
    await expect(page.locator("#by-hand-number")).to_be_focused()


async def test_a_number_that_rings_is_hung_up_by_the_key_pressed_twice(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await ready(page, door)
    call = door.engine.pop(AGENT.user_id, preview=True, dialing=True)
    await state(page, "preview")
    await page.keyboard.press("x")
    await expect(page.locator("#hang-up")).to_contain_text("Press X again")
    assert not door.engine.of(HangUp)
    await page.keyboard.press("x")
    await state(page, "ready")
    await expect(page.locator("#message")).to_have_text("The call was cancelled.")
    assert door.engine.of(HangUp) == [HangUp(user_id=AGENT.user_id, call_id=call)]


async def test_a_pause_asked_for_while_a_customer_is_dialed_is_told_and_can_be_taken_back(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await ready(page, door)
    door.engine.pop(AGENT.user_id, preview=True)
    await state(page, "preview")
    await expect(page.locator("#hang-up")).to_be_hidden()  # nobody is called yet
    await page.keyboard.press("d")
    await expect(page.locator("#hang-up")).to_be_visible()
    await page.keyboard.press("p")
    await page.keyboard.press("1")
    await expect(page.locator("#state-next")).to_contain_text("paused after this call")
    await page.keyboard.press("r")
    await expect(page.locator("#state-next")).to_contain_text("Dialing")
    await page.keyboard.press("p")
    await page.keyboard.press("1")
    await expect(page.locator("#state-next")).to_contain_text("paused after this call")
    await page.click("#hang-up")
    await state(page, "paused")
    await expect(page.locator("#state-name")).to_have_text("Paused: Break")
