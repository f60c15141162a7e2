"""The agent's page in a real browser: a whole call by keys, reloads, lost connections, both languages."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from playwright.async_api import Browser, BrowserContext, WebSocketRoute, expect

from cti.channel import SeatChannel
from cti.messages import (
    Command,
    DialPreviewed,
    Dispose,
    HangUp,
    Hold,
    LogIn,
    LogOut,
    Mute,
    PageLost,
    Pause,
    Ready,
    Record,
    Reply,
    SaveNotes,
    SendKeys,
    SupervisorNote,
    Transfer,
)
from cti.settings import WebSettings
from tests.browser.desk import log_in, no_time_passes, ready, state, talking, wrapping_up
from tests.cti.running import AGENT, Door, open_door, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_whole_call_by_keys(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    await log_in(page, door)
    await state(page, "paused")
    assert door.engine.of(LogIn)[0] == LogIn(user_id=7, name=AGENT.name, phone="seat007", campaigns=("demo",))
    await page.keyboard.press("r")
    await state(page, "ready")
    call = door.engine.pop(
        AGENT.user_id, "Emma Lindqvist", "+8613812345678", attributes={"Plan": "Fibre 300"}
    )
    await expect(page.locator("#customer-name")).to_have_text("Emma Lindqvist")
    await expect(page.locator("#number")).to_have_text("+86 138 1234 5678")
    await expect(page.locator("#attributes")).to_contain_text("Fibre 300")
    await expect(page).to_have_title("● Emma Lindqvist – Customer is coming")
    door.engine.connect(AGENT.user_id)
    await state(page, "talking")
    await page.keyboard.press("h")
    await state(page, "held")
    await page.keyboard.press("h")
    await state(page, "talking")
    assert [command.on for command in door.engine.of(Hold)] == [True, False]  # type: ignore[attr-defined]
    await page.keyboard.press("n")
    await page.keyboard.type("Wants 500 Mbit/s, and 3 routers")  # digits in a note are no results
    await page.keyboard.press("Escape")
    door.engine.end(AGENT.user_id)
    await state(page, "wrap_up")
    await expect(page.locator("#call-line")).to_have_text("The customer hung up.")
    await page.keyboard.press("1")
    await state(page, "ready")
    await expect(page.locator("#customer")).to_be_hidden()
    await expect(page.locator("#last-call")).to_contain_text("Emma Lindqvist · Sold")
    assert door.engine.of(Dispose) == [
        Dispose(user_id=7, call_id=call, code="sold", notes="Wants 500 Mbit/s, and 3 routers")
    ]


async def test_a_result_marked_in_the_call_is_saved_when_it_ends(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    await talking(page, door)
    marked = page.locator("#results [aria-pressed=true]")
    await page.keyboard.press("3")
    await expect(marked).to_contain_text("Not interested")
    await page.keyboard.press("3")
    await expect(marked).to_have_count(0)
    await page.keyboard.press("2")
    await page.keyboard.press("c")
    assert not door.engine.of(Dispose)
    door.engine.end(AGENT.user_id)
    await state(page, "ready")
    (command,) = door.engine.of(Dispose)
    assert (command.code, command.do_not_call) == ("interested", True)  # type: ignore[attr-defined]


async def test_hanging_up_by_key_needs_the_key_twice_and_by_mouse_one_click(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await talking(page, door)
    await page.keyboard.press("x")
    await expect(page.locator("#hang-up")).to_contain_text("Press X again")
    assert not door.engine.of(HangUp)
    await page.keyboard.press("x")
    await state(page, "wrap_up")
    await page.keyboard.press("1")
    await state(page, "ready")
    door.engine.pop(AGENT.user_id)
    door.engine.connect(AGENT.user_id)
    await page.click("#hang-up")
    await state(page, "wrap_up")
    assert len(door.engine.of(HangUp)) == 2


async def test_in_the_call_keys_mute_send_tones_and_have_the_recording_silent(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    call = await talking(page, door)
    await page.keyboard.press("m")
    await state(page, "muted")
    await expect(page.locator("#state-next")).to_contain_text("does not hear you")
    await page.keyboard.press("m")
    await state(page, "talking")
    await expect(page.locator("#record")).to_be_hidden()
    door.engine.tell_call(AGENT.user_id, "connected", recording="on")
    await expect(page.locator("#recording")).to_have_text("Recorded")
    await page.keyboard.press("o")
    await expect(page.locator("#recording")).to_have_text("Recording paused")
    await page.keyboard.press("k")
    for key in "4#":
        await page.keyboard.press(key)
    await page.click("[data-press='7']")
    await expect(page.locator("#pad-sent")).to_have_text("4#7")
    assert "".join(command.keys for command in door.engine.of(SendKeys)) == "4#7"  # type: ignore[attr-defined]
    assert not await page.locator("#results [aria-pressed=true]").count()  # a digit was no result
    await page.keyboard.press("Escape")
    await expect(page.locator("#pad")).to_be_hidden()
    assert door.engine.of(Mute) == [Mute(user_id=7, call_id=call, on=on) for on in (True, False)]


async def test_a_colleague_is_asked_all_three_speak_and_the_customer_is_handed_over(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    call = await talking(page, door)
    await page.keyboard.press("t")
    await expect(page.locator("#target-list button")).to_have_text(
        ["张伟 1", "Erik Berg 2", "demo: 2 ready 3"]
    )
    await page.keyboard.press("1")
    await state(page, "asking")
    await expect(page.locator("#state-name")).to_have_text("Ringing 张伟")
    await expect(page.locator("#targets")).to_be_hidden()
    assert not await page.locator("#results [aria-pressed=true]").count()  # the digit was no result
    door.engine.tell_call(AGENT.user_id, "consulting", party="张伟")
    await state(page, "consulting")
    await page.keyboard.press("j")
    await state(page, "conference")
    await expect(page.locator("#hold-label")).to_have_text("Without 张伟")
    await expect(page.locator("#mute")).to_be_visible()
    door.engine.tell_call(AGENT.user_id, "conference", party="张伟", muted=True)
    await expect(page.locator("#mute")).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("t")
    await state(page, "wrap_up")
    await expect(page.locator("#call-line")).to_have_text("Handed over.")
    assert door.engine.of(Transfer) == [Transfer(user_id=7, call_id=call, to_user=8)]


async def test_who_was_asked_by_a_colleague_and_pauses_after_it_has_no_result_to_give(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await ready(page, door)
    door.engine.pop(AGENT.user_id)
    door.engine.seat(AGENT.user_id, "asked")
    await state(page, "asked")
    await page.keyboard.press("p")
    await page.keyboard.press("1")
    door.engine.tell_call(AGENT.user_id, "ended", "consulted")
    door.engine.call.pop(AGENT.user_id)
    door.engine.seat(AGENT.user_id, "paused")
    await state(page, "paused")
    await expect(page.locator("#customer")).to_be_hidden()
    await page.keyboard.press("r")
    await state(page, "ready")


async def test_a_number_that_is_not_allowed_is_refused_in_words_and_a_queue_gets_the_customer_at_once(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    call = await talking(page, door)
    await page.keyboard.press("t")
    await expect(page.locator("#target-list button")).to_have_count(3)
    await page.keyboard.press("0")
    await page.keyboard.type("+440000")
    await page.keyboard.press("Enter")
    await expect(page.locator("#message")).to_contain_text("does not have +440000")
    await page.keyboard.press("Escape")
    await page.keyboard.press("t")
    await expect(page.locator("#target-list button")).to_have_count(3)
    await page.keyboard.press("a")
    await page.keyboard.press("3")
    await state(page, "wrap_up")
    assert door.engine.of(Transfer)[-1] == Transfer(
        user_id=7, call_id=call, to_campaign="demo", ask_first=False
    )


async def test_on_hold_the_clock_counts_the_hold(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    await talking(page, door)
    await expect(page.locator("#clock-time")).to_have_text("0:02")
    await page.keyboard.press("h")
    await state(page, "held")
    await expect(page.locator("#clock-time")).to_have_text("0:00")
    await expect(page.locator("#clock-word")).to_have_text("on hold")


async def test_the_wrong_person_is_one_key_pressed_twice(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    call = await talking(page, door)
    await page.keyboard.press("4")
    await expect(page.locator("#results .armed")).to_have_text("4Press 4 again: it ends the call")
    assert not door.engine.of(Dispose)
    await page.keyboard.press("4")
    await state(page, "ready")
    assert door.engine.of(Dispose) == [
        Dispose(user_id=7, call_id=call, code="wrong_person", and_ready=True, hang_up=True)
    ]


async def test_a_result_that_can_not_end_its_call_is_saved_and_the_agent_told(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await talking(page, door)

    async def answer(command: Command) -> Reply:
        if isinstance(command, Dispose):
            return Reply(ok=True, code="still_on")
        return await door.engine.answer(command)

    door.bus.serve(answer)
    await page.keyboard.press("4")
    await page.keyboard.press("4")
    await expect(page.locator("#message")).to_contain_text("Saved. The phone system is not reachable")
    await state(page, "talking")


async def test_pausing_asks_why(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    await ready(page, door)
    await page.keyboard.press("p")
    await expect(page.locator("#reasons")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#reasons")).to_be_hidden()
    await page.keyboard.press("p")
    await page.keyboard.press("2")
    await state(page, "paused")
    await expect(page.locator("#state-name")).to_have_text("Paused: Lunch")
    assert door.engine.of(Pause) == [Pause(user_id=7, reason="lunch")]


async def test_a_pause_asked_for_in_a_call_comes_after_it_and_can_be_taken_back(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await talking(page, door)
    await page.keyboard.press("p")
    await page.keyboard.press("1")
    await expect(page.locator("#state-next")).to_contain_text("paused after this call")
    await page.keyboard.press("r")
    await expect(page.locator("#state-next")).not_to_contain_text("paused after this call")
    await page.keyboard.press("p")
    await page.keyboard.press("1")
    await page.keyboard.press("2")
    door.engine.end(AGENT.user_id)
    await state(page, "paused")
    await expect(page.locator("#state-name")).to_have_text("Paused: Break")


async def test_a_reload_in_mid_call_returns_to_it_with_the_half_typed_note(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await talking(page, door)
    await page.keyboard.press("n")
    await page.keyboard.type("Half a sen")
    await page.reload()
    await state(page, "talking")
    await expect(page.locator("#customer-name")).to_have_text("王小明")
    await expect(page.locator("#notes")).to_have_value("Half a sen")
    await until(lambda: notes_saved(door) == ["Half a sen"])
    await page.keyboard.press("n")
    await page.keyboard.press("End")
    await page.keyboard.type("tence")
    await page.keyboard.press("Escape")
    door.engine.end(AGENT.user_id)
    await state(page, "wrap_up")
    await page.keyboard.press("1")
    await state(page, "ready")
    assert door.engine.of(Dispose)[0].notes == "Half a sentence"  # type: ignore[attr-defined]
    assert not door.engine.of(LogOut)
    assert len(door.engine.of(LogIn)) == 1


async def test_another_computer_shows_the_same_call_with_the_saved_note(browser: Browser, door: Door) -> None:
    first = await browser.new_context(locale="en-GB")
    page = await first.new_page()
    await talking(page, door)
    await page.keyboard.press("n")
    await page.keyboard.type("Saved")
    await expect(page.locator("#notes-state")).to_have_text("Saved")
    second = await browser.new_context(locale="en-GB")
    other = await second.new_page()
    await log_in(other, door)
    await state(other, "elsewhere")
    await expect(other.locator("#customer")).to_be_hidden()
    await state(page, "talking")
    await other.click("#banner-button")
    await state(other, "talking")
    await expect(other.locator("#notes")).to_have_value("Saved")
    await expect(page.locator("#banner")).to_contain_text("taken over by another window")
    await other.keyboard.press("n")
    await other.keyboard.press("End")
    await other.keyboard.type(" and more")
    await expect(other.locator("#notes-state")).to_have_text("Saved")
    await page.click("#banner-button")
    await expect(page.locator("#banner")).to_be_hidden()
    await expect(page.locator("#notes")).to_have_value("Saved and more")
    await expect(other.locator("#banner")).to_contain_text("taken over by another window")


async def test_a_lost_connection_is_said_and_nothing_that_happened_meanwhile_is_missing(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await talking(page, door)
    await page.keyboard.press("1")
    cut(door)
    await until(lambda: door.engine.of(PageLost))
    door.engine.end(AGENT.user_id)
    await state(page, "ready")  # resumed, heard that the call ended, saved the marked result
    await expect(page.locator("#banner")).to_be_hidden()
    assert [command.code for command in door.engine.of(Dispose)] == ["sold"]  # type: ignore[attr-defined]
    assert door.gateway.counters["resumed"] == 1


async def test_while_the_connection_is_away_the_page_says_so(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    routes: list[WebSocketRoute] = []

    def pass_on(route: WebSocketRoute) -> None:
        if not routes:  # the first is passed on; later ones meet a server that never answers
            routes.append(route)
            route.connect_to_server()

    await page.route_web_socket("**/ws", pass_on)
    await talking(page, door)
    await routes[0].close(code=3000)
    await expect(page.locator("#banner")).to_contain_text("Connection lost")
    await expect(page.locator("#state-next")).to_contain_text("The voice is not affected")
    await expect(page.locator("#hold")).to_be_disabled()
    await page.keyboard.press("n")
    await page.keyboard.type("typed while away")
    await expect(page.locator("#notes")).to_have_value("typed while away")
    await page.keyboard.press("Escape")
    await page.keyboard.press("1")  # still in the call as far as the page knows: marked, not sent
    await expect(page.locator("#results [aria-pressed=true]")).to_have_count(1)
    assert not door.engine.of(Dispose)


async def test_a_lost_phone_is_rung_again_by_key(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    await ready(page, door)
    door.engine.seat(AGENT.user_id, "no_phone", "phone_lost")
    await state(page, "no_phone")
    await expect(page.locator("#state-next")).to_contain_text("press B")
    await page.keyboard.press("b")
    await state(page, "paused")


async def test_preview_dials_or_skips_by_key(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    await ready(page, door)
    first = door.engine.pop(AGENT.user_id, "Skip Me", preview=True)
    await expect(page.locator("#customer-name")).to_have_text("Skip Me")
    await page.keyboard.press("s")
    second = door.engine.pop(AGENT.user_id, "Dial Me", preview=True)
    await expect(page.locator("#customer-name")).to_have_text("Dial Me")
    await page.keyboard.press("d")
    await expect(page.locator("#state-next")).to_contain_text("Dialing")
    await expect(page.locator("#dial")).to_be_hidden()
    assert door.engine.of(DialPreviewed) == [
        DialPreviewed(user_id=7, call_id=first, skip=True),
        DialPreviewed(user_id=7, call_id=second),
    ]


async def test_wrap_up_counts_down(context: BrowserContext) -> None:
    async with open_door(wrap_up_s=12) as door:
        page = await context.new_page()
        await talking(page, door)
        door.engine.end(AGENT.user_id)
        await expect(page.locator("#clock-word")).to_have_text("left")
        await expect(page.locator("#clock-time")).to_have_text("0:11")
        await expect(page.locator("body")).to_have_class("seat")
        await expect(page.locator("body")).to_have_class("seat urgent")


async def test_what_is_being_typed_when_wrap_up_runs_out_is_saved_for_its_call(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    call = await wrapping_up(page, door)
    await page.keyboard.press("n")
    await page.keyboard.type("Half a sen", delay=100)
    door.engine.release(AGENT.user_id)
    await until(lambda: notes_saved(door)[-1:] == ["Half a sen"])
    assert door.engine.of(SaveNotes)[-1] == SaveNotes(user_id=7, call_id=call, notes="Half a sen")
    await expect(page.locator("#customer")).to_be_hidden()


@pytest.mark.parametrize("at_once", [False, True])
async def test_the_rest_of_a_sentence_whose_customer_has_left_is_no_row_of_commands_nor_the_next_ones_notes(
    context: BrowserContext, door: Door, at_once: bool
) -> None:
    page = await context.new_page()
    call = await wrapping_up(page, door)
    await no_time_passes(page)
    await page.keyboard.press("n")
    await page.keyboard.type("Wants a ")
    door.engine.release(AGENT.user_id)
    if not at_once:
        await state(page, "ready")
        await page.keyboard.type("p1")
    second = door.engine.pop(AGENT.user_id)
    door.engine.connect(AGENT.user_id)
    await state(page, "talking")
    await page.keyboard.type("copy of him, not mine: xx 12")
    await expect(page.locator("#dnc")).not_to_be_checked()
    await expect(page.locator("#notes")).to_have_value("")
    await expect(page.locator("#results [aria-pressed=true]")).to_have_count(0)
    assert not [
        each for each in door.engine.commands if isinstance(each, Hold | HangUp | Mute | Pause | Record)
    ]
    saved = [(each.call_id, each.notes) for each in door.engine.of(SaveNotes)]  # type: ignore[attr-defined]
    assert saved[-1] == (call, "Wants a ")
    await page.keyboard.press("Escape")  # they have looked up: keys are keys
    await page.keyboard.press("n")
    await page.keyboard.type("In May")
    await until(lambda: door.engine.of(SaveNotes)[-1] == SaveNotes(user_id=7, call_id=second, notes="In May"))


async def test_keys_act_again_once_nobody_types(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    await wrapping_up(page, door)
    await page.keyboard.press("n")
    await no_time_passes(page)
    door.engine.release(AGENT.user_id)
    await state(page, "ready")
    await page.keyboard.press("p")
    await expect(page.locator("#reasons")).to_be_hidden()
    await no_time_passes(page, but_ms=1600)
    await page.keyboard.press("p")
    await expect(page.locator("#reasons")).to_be_visible()


@pytest.mark.parametrize("keys", [True, False])
async def test_who_moves_about_by_tab_and_enter_does_so_though_a_customer_left_in_mid_sentence(
    context: BrowserContext, door: Door, keys: bool
) -> None:
    page = await context.new_page()
    await wrapping_up(page, door)
    await page.set_checked("#keys", keys)
    await page.click("#notes")
    await no_time_passes(page)
    door.engine.release(AGENT.user_id)
    await state(page, "ready")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement !== document.body")
    await page.focus("#pause")
    await page.keyboard.press("Enter")
    await expect(page.locator("#reasons")).to_be_visible()


async def test_a_result_that_was_marked_waits_for_the_notes_that_are_being_typed(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    call = await talking(page, door)
    await page.keyboard.press("1")
    await page.keyboard.press("n")
    await no_time_passes(page)
    await page.keyboard.type("Moves in ")
    door.engine.end(AGENT.user_id)
    await state(page, "wrap_up")
    await page.keyboard.type("Ma")
    assert not door.engine.of(Dispose)
    await page.evaluate("delete performance.now")  # time passes
    await page.keyboard.type("y")
    await state(page, "ready")
    assert door.engine.of(Dispose) == [
        Dispose(user_id=7, call_id=call, code="sold", notes="Moves in May", and_ready=True)
    ]


async def test_who_asked_for_no_more_calls_is_barred_though_wrap_up_ran_out_without_a_result(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    call = await wrapping_up(page, door)
    await page.keyboard.press("c")
    await page.keyboard.press("c")  # a slip, taken back
    door.engine.release(AGENT.user_id)
    await state(page, "ready")
    second = door.engine.pop(AGENT.user_id)
    door.engine.connect(AGENT.user_id)
    await state(page, "talking")
    await page.keyboard.press("c")
    door.engine.end(AGENT.user_id)
    await state(page, "wrap_up")
    assert second != call and not door.engine.of(SaveNotes)
    door.engine.release(AGENT.user_id)
    await until(lambda: door.engine.of(SaveNotes))
    assert door.engine.of(SaveNotes) == [SaveNotes(user_id=7, call_id=second, notes="", do_not_call=True)]


async def test_a_tick_at_a_customer_who_is_skipped_is_kept_and_one_with_a_result_is_saved_once(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await ready(page, door)
    first = door.engine.pop(AGENT.user_id, preview=True)
    await state(page, "preview")
    await page.keyboard.press("c")
    await page.keyboard.press("s")
    await until(lambda: door.engine.of(DialPreviewed))
    kinds = (SaveNotes, DialPreviewed)
    assert [each for each in door.engine.commands if isinstance(each, kinds)] == [
        SaveNotes(user_id=7, call_id=first, notes="", do_not_call=True),
        DialPreviewed(user_id=7, call_id=first, skip=True),
    ]
    await expect(page.locator("#dnc")).to_be_disabled()  # nothing takes it back, though they were not skipped
    await expect(page.locator("#dnc")).to_be_checked()
    door.engine.release(AGENT.user_id)
    await state(page, "ready")
    door.engine.pop(AGENT.user_id)
    door.engine.connect(AGENT.user_id)
    await state(page, "talking")
    await page.keyboard.press("c")
    await page.keyboard.press("1")
    door.engine.end(AGENT.user_id)
    await state(page, "ready")
    assert door.engine.of(Dispose)[0].do_not_call  # type: ignore[attr-defined]
    assert len(door.engine.of(SaveNotes)) == 1


async def test_a_tick_is_kept_though_the_customer_left_while_the_line_was_down(
    context: BrowserContext,
) -> None:
    async with open_door(WebSettings(ring_size=2)) as door:
        page = await context.new_page()
        call = await talking(page, door)
        await page.keyboard.press("c")
        cut(door)
        await until(lambda: door.engine.of(PageLost))
        door.engine.end(AGENT.user_id)
        door.engine.release(AGENT.user_id)
        await until(lambda: door.engine.of(SaveNotes))
        assert door.gateway.counters["full_states"] == 2  # not what was missed
        assert door.engine.of(SaveNotes) == [SaveNotes(user_id=7, call_id=call, notes="", do_not_call=True)]


async def test_a_tick_is_kept_by_who_logs_out_without_a_result(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    call = await wrapping_up(page, door)
    await page.keyboard.press("c")
    await page.click("#log-out button")
    # The form leads there, and so does the end of the session: of two ways one is broken off.
    await expect(page).to_have_url(re.compile("/login$"))
    assert [each for each in door.engine.commands if isinstance(each, SaveNotes | LogOut)] == [
        SaveNotes(user_id=7, call_id=call, notes="", do_not_call=True),
        LogOut(user_id=7),
    ]


async def test_what_is_typed_without_a_pause_is_saved_before_wrap_up_runs_out(
    context: BrowserContext,
) -> None:
    async with open_door(wrap_up_s=5) as door:
        page = await context.new_page()
        await wrapping_up(page, door)
        await page.keyboard.press("n")
        typing = asyncio.create_task(page.keyboard.type("a" * 40, delay=100))
        await until(lambda: notes_saved(door))
        assert not typing.done()
        await typing


async def test_a_seat_logged_out_while_the_page_was_away_is_told_and_taken_again_by_key(
    context: BrowserContext,
) -> None:
    async with open_door(WebSettings(grace_s=0.0)) as door:
        page = await context.new_page()
        await ready(page, door)
        await context.set_offline(True)
        cut(door)
        await until(lambda: door.engine.of(LogOut))
        await context.set_offline(False)
        await state(page, "offline")
        await expect(page.locator("#nobody-text")).to_contain_text("not at your seat")
        await page.keyboard.press("l")
        await state(page, "paused")


async def test_the_refusal_of_the_engine_is_said_in_words(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    door.bus.serve(no_engine)
    await log_in(page, door)
    await expect(page.locator("#message")).to_have_text("The dialer is not running. Try again in a moment.")
    door.bus.serve(door.engine.answer)
    await page.fill("#seat-phone", "desk-9")
    await page.click("#take-seat")
    await state(page, "paused")
    assert door.engine.of(LogIn)[0].phone == "desk-9"  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", ["restarted", "moved"])
async def test_who_is_found_in_a_call_again_may_pause(context: BrowserContext, door: Door, how: str) -> None:
    """What was ready is ready again where the daemon has forgotten it. A pause after that is meant."""
    page = await context.new_page()
    await talking(page, door)
    if how == "moved":
        await page.goto("about:blank")
        await page.goto(f"{door.url}/#ready")
    else:
        door.gateway._channels[AGENT.user_id] = SeatChannel(AGENT.user_id, "another process", 64)
        door.engine.hear_phone = False
        cut(door)
        await until(lambda: len(door.engine.of(LogIn)) == 2)
        door.engine.pop(AGENT.user_id)
        door.engine.connect(AGENT.user_id)
    await state(page, "talking")
    await page.keyboard.press("p")
    await page.keyboard.press("2")
    await until(lambda: door.engine.of(Pause))
    door.engine.end(AGENT.user_id)
    await state(page, "wrap_up")
    await page.keyboard.press("1")
    await state(page, "paused")
    door.bus.to_seat(SupervisorNote(user_id=7, id=1, text="Lunch", by="陈静", at=time.time()))
    await page.locator("#notes-in").get_by_role("button").click()
    await until(lambda: not door.gateway._channels[AGENT.user_id].unread)  # after all that the page had sent
    assert len(door.engine.of(Ready)) == 1 and door.engine.state[AGENT.user_id] == "paused"


async def test_the_day_does_not_stay_open_over_a_customer_and_no_key_reaches_what_is_behind_it(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    found = {"calls": 1, "seconds": {}, "paused": {}, "verdicts": {}, "callbacks": []}
    await page.route("**/api/day?*", lambda route: route.fulfill(json=found))
    await ready(page, door)
    day = page.locator("#day")
    await page.click("#day-open")
    await expect(day).to_be_visible()
    await page.keyboard.press("p")
    await page.keyboard.press("Escape")
    await expect(day).to_be_hidden()
    await expect(page.locator("#reasons")).to_be_hidden()
    await page.click("#day-open")
    await expect(day).to_be_visible()
    door.engine.pop(AGENT.user_id)
    await expect(day).to_be_hidden()
    door.engine.connect(AGENT.user_id)
    await state(page, "talking")
    await page.keyboard.press("h")
    await state(page, "held")
    await page.click("#day-open")  # who looks in a call wants to
    await expect(day).to_be_visible()
    await page.keyboard.press("x")
    await page.keyboard.press("x")
    await page.keyboard.press("Escape")
    await expect(day).to_be_hidden()
    await page.keyboard.press("h")
    await state(page, "talking")
    assert not door.engine.of(HangUp)


async def test_keys_can_be_switched_off(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    await log_in(page, door)
    await state(page, "paused")
    await page.uncheck("#keys")
    await page.locator("body").press("r")
    await page.click("#ready")
    await state(page, "ready")
    assert len(door.engine.of(Ready)) == 1
    await page.reload()
    await expect(page.locator("#keys")).not_to_be_checked()


async def test_the_page_speaks_the_agents_language_and_changes_it_in_a_call(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await talking(page, door)
    await page.keyboard.press("n")
    await page.keyboard.type("half")
    await page.click("button[value=zh]")
    await state(page, "talking")
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(page.locator("#state-name")).to_have_text("通话中")
    await expect(page.locator("#results")).to_contain_text("成交")
    await expect(page.locator("#notes")).to_have_value("half")


async def test_what_a_list_says_is_shown_as_text_and_never_run(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    evil = "<img src=x onerror=\"document.title='owned'\">"
    await talking(page, door, customer=evil, attributes={evil: evil}, notes=evil)
    await expect(page.locator("#customer-name")).to_have_text(evil)
    await expect(page.locator("#notes")).to_have_value(evil)
    assert await page.locator("#main img").count() == 0


async def test_a_supervisors_note_stands_until_it_is_read_though_the_daemon_was_restarted(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await ready(page, door)
    notes = page.locator("#notes-in li")
    door.bus.to_seat(SupervisorNote(user_id=7, id=1, text="Lunch at one", by="陈静", at=time.time()))
    await expect(notes).to_have_count(1)
    anew = SeatChannel(AGENT.user_id, "another process", 64)  # which knows nothing of what was
    door.gateway._channels[AGENT.user_id] = anew
    cut(door)
    await until(lambda: len(door.engine.of(LogIn)) == 2)
    await state(page, "ready")
    await expect(notes).to_have_count(1)
    door.bus.to_seat(SupervisorNote(user_id=7, id=1, text="Lunch at two", by="陈静", at=time.time()))
    await expect(notes).to_have_count(2)
    await notes.filter(has_text="Lunch at one").get_by_role("button").click()
    await expect(notes).to_have_count(1)
    assert list(anew.unread) == [1]  # read was the other one
    await notes.get_by_role("button").click()
    await expect(notes).to_have_count(0)
    await until(lambda: not anew.unread)


# The page's phone, beside one that nobody uses: registered, without a leg, and its seat is asked.
ASKED = """async () => {
  const { Phone } = await import("/static/phone.js");
  localStorage.setItem("phone-choice", "browser");
  const told = [];
  const request = async ({ type }) => {
    told.push(type);
    return { ok: false, code: "lost" };
  };
  const phone = new Phone({ model: { seat: { state: "asked" } }, request, changed() {}, say() {} });
  phone.started = phone.soft.registered = true;
  await phone.heal();
  document.getElementById("phone-panel").hidden = false;
  phone.draw();
  const off = (id) => document.getElementById(id).disabled;
  return { in_call: phone.soft.inCall, told, no_echo: off("echo"), no_change: off("phone-change") };
}"""


async def test_a_seat_that_is_asked_is_in_a_call_for_the_phone_in_its_page(context: BrowserContext) -> None:
    async with open_door(WebSettings(softphones=("wss://pbx.example:8089/ws",))) as door:
        page = await context.new_page()
        await log_in(page, door)
        await state(page, "offline")
        assert await page.evaluate(ASKED) == {
            "in_call": True,
            "told": ["phone_lost"],
            "no_echo": True,
            "no_change": True,
        }


def notes_saved(door: Door) -> list[str]:
    return [command.notes for command in door.engine.of(SaveNotes)]  # type: ignore[attr-defined]


def cut(door: Door) -> None:
    """Break every seat's connection without a closing handshake, as a lost network does."""
    for page in list(door.gateway._pages.values()):
        page.end(1001, flush=False)


async def no_engine(command: object) -> Reply:
    return Reply(ok=False, code="no_engine")
