"""A company's own page in a real browser: it hears of customers and gives commands, over lost lines and log-ins."""

from __future__ import annotations

import time

import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from cti import events
from cti.messages import Dispose, Mute, Ready, SaveNotes, SupervisorNote
from tests.browser.desk import log_in, ready, state, talking, wrapping_up
from tests.browser.line import line_to
from tests.cti.running import AGENT, Door, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

CRM = """<!doctype html><meta charset="utf-8"><title>CRM</title><script type="module">
import { Seat } from "/static/embed.js";
window.pops = []; window.events = []; window.lost = []; window.states = 0;
window.seat = new Seat({
  pop: (customer) => pops.push(customer.customer),
  event: (event) => events.push(event.type),
  lost: (signedOut) => lost.push(signedOut),
  state: () => states++,
});
</script>"""


async def crm(context: BrowserContext, url: str) -> Page:
    """A CRM's page that follows its agent's seat."""
    page = await shown(context, url)
    await page.wait_for_function("window.states > 0")
    return page


async def shown(context: BrowserContext, url: str) -> Page:
    """The same, whether it may follow the seat or not."""
    page = await context.new_page()

    async def answer(route: Route) -> None:
        await route.fulfill(content_type="text/html", body=CRM)

    await page.route("**/crm", answer)
    await page.goto(f"{url}/crm")
    return page


async def test_a_page_of_the_crm_pops_the_customer_and_gives_commands(
    context: BrowserContext, door: Door
) -> None:
    await ready(await context.new_page(), door)
    page = await crm(context, door.url)
    call = door.engine.pop(AGENT.user_id, "赵敏")
    door.engine.connect(AGENT.user_id)
    await page.wait_for_function("window.events.includes('call_status')")
    assert await page.evaluate("pops") == ["赵敏"]
    assert (await page.evaluate("seat.do({ type: 'ready' })"))["ok"]
    refused = await page.evaluate("seat.do({ type: 'dance' })")
    assert (refused["ok"], refused["code"]) == (False, "malformed")
    mute = """(id) => {
        const one = { type: "mute", call_id: id, on: true };
        return Promise.all([1, 2].map(() => seat.do(one, "k")));
    }"""
    assert [each["ok"] for each in await page.evaluate(mute, call)] == [True, True]
    assert len(door.engine.of(Mute)) == 1
    assert len(door.engine.of(Ready)) == 2


async def test_it_is_told_of_a_supervisors_note_and_of_the_script_it_asks_for(
    context: BrowserContext, door: Door
) -> None:
    await ready(await context.new_page(), door)
    page = await crm(context, door.url)
    call = door.engine.pop(AGENT.user_id)
    door.bus.to_seat(SupervisorNote(user_id=AGENT.user_id, id=1, text="Slower", by="陈静", at=0.0))
    assert (await page.evaluate("(call_id) => seat.do({ type: 'read_script', call_id })", call))["ok"]
    await page.wait_for_function("window.events.includes('script')")
    assert "note" in await page.evaluate("events")


async def test_nothing_is_missed_or_popped_twice_over_a_lost_line(
    context: BrowserContext, door: Door
) -> None:
    async with line_to(door.port) as line:
        there = type(door)(door.app, door.bus, door.engine, door.accounts, line.port)
        await ready(await context.new_page(), there)
        page = await crm(context, line.url)
        door.engine.pop(AGENT.user_id, "first")
        await page.wait_for_function("window.pops.length === 1")
        line.cut()
        door.engine.pop(AGENT.user_id, "second")
        await page.wait_for_function("window.pops.length === 2", timeout=15_000)
        assert await page.evaluate("[pops, lost[0], states]") == [["first", "second"], False, 1]


async def test_a_page_without_a_session_hears_so_and_waits_for_the_next(
    context: BrowserContext, door: Door
) -> None:
    page = await shown(context, door.url)
    await page.wait_for_function("window.lost.length > 0")
    assert await page.evaluate("lost[0]") is True
    assert (await page.evaluate("seat.do({ type: 'ready' })"))["code"] == "no_session"
    await log_in(await context.new_page(), door)
    await until(lambda: door.engine.commands)
    await page.wait_for_function("window.states > 0", timeout=15_000)


async def test_a_server_that_is_busy_is_no_log_out_and_is_asked_again(
    context: BrowserContext, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_OWN", 0)
    await ready(await context.new_page(), door)
    page = await shown(context, door.url)
    await page.wait_for_function("window.lost.length > 0")
    assert await page.evaluate("lost[0]") is False
    monkeypatch.setattr(events, "MOST_OWN", 1)
    await page.wait_for_function("window.states > 0", timeout=15_000)


@pytest.mark.parametrize("paused", [False, True])
async def test_a_result_given_in_the_crm_is_not_asked_for_again_on_the_page_beside_it(
    context: BrowserContext, door: Door, paused: bool
) -> None:
    page = await context.new_page()
    call = await wrapping_up(page, door)
    beside = await crm(context, door.url)
    await page.bring_to_front()
    await page.keyboard.press("c")
    if paused:
        door.engine.seat(AGENT.user_id, "paused")
        await expect(page.locator("#ready")).to_be_hidden()  # until there is a result
    verdict = {"type": "dispose", "call_id": call, "code": "sold", "notes": "500M"}
    assert (await beside.evaluate("(verdict) => seat.do({ ...verdict, and_ready: false })", verdict))["ok"]
    if paused:
        await state(page, "paused")
        await expect(page.locator("#ready")).to_be_visible()
        await expect(page.locator("#last-call")).to_contain_text("王小明 · Sold")
    else:
        await expect(page.locator("#notes")).to_have_value("500M")
        await expect(page.locator("#notes")).to_be_disabled()
        door.engine.release(AGENT.user_id)
    await until(lambda: door.engine.of(SaveNotes))
    barred = SaveNotes(user_id=AGENT.user_id, call_id=call, notes="500M", do_not_call=True)
    assert door.engine.of(SaveNotes) == [barred]  # with the tick of this page
    assert len(door.engine.of(Dispose)) == 1


@pytest.mark.parametrize("typed", ["", ", to Ulm"])
async def test_a_result_given_in_the_crm_without_notes_leaves_those_of_the_page(
    context: BrowserContext, door: Door, typed: str
) -> None:
    page = await context.new_page()
    call = await talking(page, door)
    beside = await crm(context, door.url)
    await page.bring_to_front()
    await page.keyboard.press("n")
    await page.keyboard.type("Moves in May")
    await until(lambda: door.engine.of(SaveNotes))
    await expect(page.locator("#notes-state")).not_to_be_empty()
    await page.clock.install()
    await page.clock.pause_at(time.time() + 1)  # nothing is saved by and by
    await page.keyboard.type(typed)
    verdict = {"type": "dispose", "call_id": call, "code": "sold", "and_ready": False}
    assert (await beside.evaluate("(verdict) => seat.do(verdict)", verdict))["ok"]
    await until(lambda: door.engine.of(SaveNotes)[-1].notes == "Moves in May" + typed)  # type: ignore[attr-defined]
    await page.clock.resume()
    await expect(page.locator("#notes")).to_be_disabled()
    await expect(page.locator("#notes")).to_have_value("Moves in May" + typed)


async def test_notes_of_the_crm_are_gone_on_with_unless_newer_ones_are_typed(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    call = await talking(page, door)
    beside = await crm(context, door.url)
    note = "([call_id, notes]) => seat.do({ type: 'save_notes', call_id, notes })"
    await beside.evaluate(note, [call, "Moves in May"])
    await expect(page.locator("#notes")).to_have_value("Moves in May")
    await page.bring_to_front()
    await page.keyboard.press("n")
    await page.keyboard.type(", to Ulm")
    await until(lambda: door.engine.of(SaveNotes)[-1].notes == "Moves in May, to Ulm")  # type: ignore[attr-defined]
    await page.keyboard.press("Escape")
    await beside.evaluate(note, [call, "Moves in June"])
    await expect(page.locator("#notes")).to_have_value("Moves in June")
