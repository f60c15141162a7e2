"""What befalls a page in the middle of a call: cuts, silence, sleep, a second tab, a server that is restarted."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from cti.messages import Dispose, LogIn, LogOut, PageLost
from cti.wire import Health
from tests.browser.desk import at_work, half_a_note, log_in, ready, state, talking
from tests.browser.line import line_to
from tests.contract.house import House
from tests.contract.switches import VirtualSwitchProcess
from tests.cti.running import AGENT, Door, open_door, until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

CUT_S = 20.0
ASLEEP_S = 30.0
COMES_BACK_MS = 12_000  # the longest pause between two attempts, and a bit


async def half_typed(page: Page, door: Door) -> str:
    """In a call, with half a note, a result marked and a callback chosen."""
    call = await talking(page, door)
    await page.keyboard.press("n")
    await page.keyboard.type("Wants the big ")
    await page.keyboard.press("Escape")
    await page.keyboard.press("2")
    await page.fill("#callback", "2030-01-02T10:30")
    await page.locator("#callback").blur()
    return call


async def as_before(page: Page) -> None:
    await state(page, "talking")
    await expect(page.locator("#notes")).to_have_value(re.compile("^Wants the big "))
    await expect(page.locator("#results [aria-pressed=true]")).to_contain_text("Interested")
    await expect(page.locator("#callback")).to_have_value("2030-01-02T10:30")
    await expect(page.locator("#banner")).to_be_hidden(timeout=COMES_BACK_MS)


async def renderers(browser: Browser) -> set[int]:
    """The processes in which pages run."""
    devtools = await browser.new_browser_cdp_session()
    found = await devtools.send("SystemInfo.getProcessInfo")
    await devtools.detach()
    return {process["id"] for process in found["processInfo"] if process["type"] == "renderer"}


@pytest.mark.timeout(120)
async def test_a_network_that_is_away_for_twenty_seconds_costs_nothing(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await half_typed(page, door)
    await context.set_offline(True)
    await expect(page.locator("#banner")).to_contain_text("Connection lost")
    await page.keyboard.press("n")
    await page.keyboard.press("End")
    await page.keyboard.type("one")
    await asyncio.sleep(CUT_S)
    door.engine.tell_call(AGENT.user_id, "connected", recording="on")
    await context.set_offline(False)
    await as_before(page)
    await expect(page.locator("#notes")).to_have_value("Wants the big one")
    await expect(page.locator("#recording")).to_have_text("Recorded")  # what happened meanwhile
    await page.keyboard.press("Escape")
    door.engine.end(AGENT.user_id)
    await until(lambda: door.engine.of(Dispose))
    assert door.engine.of(Dispose)[0].notes == "Wants the big one"  # type: ignore[attr-defined]
    assert not door.engine.of(LogOut)


@pytest.mark.timeout(120)
async def test_a_line_that_goes_silent_is_noticed_within_seconds_on_both_sides(
    context: BrowserContext, door: Door
) -> None:
    """Half open: both sockets stand, and nothing passes. A command that was on its way is done once."""
    async with line_to(door.port) as line:
        there = type(door)(door.app, door.bus, door.engine, door.accounts, line.port)
        page = await context.new_page()
        await half_typed(page, there)
        line.silent()
        began = time.monotonic()
        await page.click("#hang-up")  # sent into nothing
        await expect(page.locator("#banner")).to_contain_text("Connection lost", timeout=9_000)
        assert time.monotonic() - began < 8.0
        await until(lambda: door.engine.of(PageLost), 14.0)
        assert time.monotonic() - began < 14.0
        await asyncio.sleep(max(0.0, CUT_S - (time.monotonic() - began)))
        assert door.engine.state[AGENT.user_id] == "talking"
        line.whole()
        # back; the hang-up is sent again and done; the marked result is saved with the note
        await until(lambda: door.engine.of(Dispose), 15.0)
        await state(page, "ready")
    kinds = [type(command).__name__ for command in door.engine.commands]
    assert kinds.count("HangUp") == 1
    assert kinds.count("Dispose") == 1
    assert door.engine.of(Dispose)[0].notes == "Wants the big "  # type: ignore[attr-defined]
    assert not door.engine.of(LogOut)


@pytest.mark.timeout(120)
async def test_a_tab_that_stands_still_for_half_a_minute_comes_back_to_its_call(
    browser: Browser, context: BrowserContext, door: Door
) -> None:
    """As one that the browser put to sleep: its processes run no script, and the browser keeps its socket open.

    A headless browser's pages always count as seen, and are never frozen by `Page.setWebLifecycleState`.
    """
    heard: list[Health] = []
    door.gateway.on_health = heard.append
    others = await renderers(browser)
    page = await context.new_page()
    await half_typed(page, door)
    for process in (mine := await renderers(browser) - others):
        os.kill(process, signal.SIGSTOP)
    began = time.monotonic()
    await until(lambda: door.engine.of(PageLost), 20.0)  # it would be offered no customer
    assert time.monotonic() - began < 15.0
    await asyncio.sleep(max(0.0, ASLEEP_S - (time.monotonic() - began)))
    for process in mine:
        os.kill(process, signal.SIGCONT)
    await as_before(page)
    await until(lambda: any(max(each.stalls, default=0) > ASLEEP_S / 2 for each in heard), 15.0)
    assert not door.engine.of(LogOut)


async def test_a_reload_keeps_all_that_was_chosen_and_typed(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    await half_typed(page, door)
    await page.reload()
    await as_before(page)
    assert door.gateway.counters["pages_elsewhere"] == 0  # the same window: nobody is asked


async def test_a_marked_result_is_saved_when_the_call_ended_while_the_page_was_away(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    call = await talking(page, door)
    await page.keyboard.press("1")
    await expect(page.locator("#results [aria-pressed=true]")).to_contain_text("Sold")
    await page.goto("about:blank")
    door.engine.end(AGENT.user_id)
    await page.goto(door.url)
    await state(page, "ready")
    [said] = door.engine.of(Dispose)
    assert isinstance(said, Dispose)
    assert (said.call_id, said.code) == (call, "sold")


async def test_a_closed_window_leaves_its_last_word_to_the_next_one(browser: Browser, door: Door) -> None:
    """Typed and closed at once: not even the moment after which a draft is sent has passed."""
    first = await browser.new_context(locale="en-GB")
    page = await first.new_page()
    await half_typed(page, door)
    await page.locator("#notes").press_sequentially("one, and quick", delay=0)
    await page.close(run_before_unload=True)
    second = await browser.new_context(locale="en-GB")
    other = await second.new_page()
    await log_in(other, door)
    await as_before(other)
    await expect(other.locator("#notes")).to_have_value(re.compile("one, and quick"))
    await first.close()
    await second.close()


async def test_two_tabs_of_one_browser_are_told_apart(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    call = await half_typed(page, door)
    second = await context.new_page()
    await second.goto(door.url)
    await state(second, "elsewhere")
    await expect(second.locator("#state-next")).to_contain_text("take it here")
    await expect(second.locator("#seat-form")).to_be_hidden()
    await state(page, "talking")
    async with (
        context.expect_page() as opened
    ):  # what a link or "duplicate" opens has the first one's storage
        await page.evaluate("window.open('/')")
    copy = await opened.value
    await state(copy, "elsewhere")
    await second.click("#banner-button")
    await as_before(second)
    await state(page, "elsewhere")
    await second.reload()
    await as_before(second)
    await state(page, "elsewhere")
    door.engine.end(AGENT.user_id)
    await until(lambda: door.engine.of(Dispose))
    assert [(c.call_id, c.code) for c in door.engine.of(Dispose)] == [(call, "interested")]  # type: ignore[attr-defined]
    assert len(door.engine.of(LogIn)) == 1


async def test_the_time_shown_is_the_servers_whatever_the_computers_clock_does(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await page.add_init_script(
        """
        const real = Date.now.bind(Date);
        window.wrong = 3_000_000; // fifty minutes fast
        Date.now = () => real() + window.wrong;
        """
    )
    await talking(page, door)
    await expect(page.locator("#clock-time")).to_have_text(re.compile("^0:0[0-9]$"))
    await page.evaluate("window.wrong = -90_000")  # somebody sets the clock
    await expect(page.locator("#clock-time")).to_have_text(re.compile("^0:[01][0-9]$"), timeout=8_000)
    await page.evaluate("window.wrong = 500_000")
    await expect(page.locator("#clock-time")).to_have_text(re.compile("^0:[012][0-9]$"), timeout=8_000)


async def test_how_the_page_fares_reaches_the_server(context: BrowserContext, door: Door) -> None:
    heard: list[Health] = []
    door.gateway.on_health = heard.append
    page = await context.new_page()
    await page.add_init_script(
        """
        window.portsClosed = 0;
        const close = MessagePort.prototype.close;
        MessagePort.prototype.close = function () { window.portsClosed++; close.call(this); };
        """
    )
    await talking(page, door)
    await page.evaluate(
        "setTimeout(() => { const end = performance.now() + 200; while (performance.now() < end); })"
    )
    await until(lambda: heard, 14.0)
    (told,) = heard
    assert told.trips
    assert all(trip < 1 for trip in told.trips)
    assert any(0.19 < stall < 2 for stall in told.stalls)
    assert len(told.painted) == 1
    assert await page.evaluate("portsClosed") == 1  # nothing is left of it for the rest of the shift
    assert not told.drops


@pytest.mark.timeout(180)
async def test_a_server_that_is_killed_and_started_again_finds_the_page_in_its_call(
    context: BrowserContext, tmp_path: Path
) -> None:
    """Engine and door die with the process; the switch and its voices live on."""
    switch = VirtualSwitchProcess()
    switch.start()
    house = House(switch, tmp_path)
    try:
        house.campaign(["08"])
        await house.start()
        house.person("lina", "seat001")
        page = await at_work(context, house, "lina", 20_000)
        await state(page, "talking", 20_000)
        name = await page.text_content("#customer-name")
        await half_a_note(page, house)
        await house.kill()
        await expect(page.locator("#banner")).to_contain_text("Connection lost")
        await page.evaluate("sessionStorage.clear()")  # only the server's copy is left
        await house.start()
        await expect(page.locator("body")).to_have_attribute("data-state", "talking", timeout=30_000)
        await expect(page.locator("#customer-name")).to_have_text(name or "?")
        await expect(page.locator("#notes")).to_have_value("Half a no")
        await expect(page.locator("#banner")).to_be_hidden()
        await page.click("#hang-up")
        await expect(page.locator("body")).to_have_attribute("data-state", "wrap_up", timeout=20_000)
        await page.keyboard.press("1")
        await house.recorded(1)
        assert [row.outcome for row in house.attempts()] == ["connected"]
        await house.books_are_square()
    finally:
        await house.close()
        switch.stop()


async def test_many_pages_that_lose_one_server_do_not_come_back_at_once(
    context: BrowserContext, door: Door
) -> None:
    """The pauses of a page by itself: anywhere within the first two seconds, later within eight."""
    page = await context.new_page()
    await ready(page, door)
    pauses = await page.evaluate(
        """async () => {
            const { Link } = await import("/static/link.js");
            const pauses = [];
            const real = window.setTimeout;
            window.setTimeout = (work, ms) => (pauses.push(ms), 0);
            const link = Object.create(Link.prototype);
            for (let n = 0; n < 400; n++) {
                Object.assign(link, { tries: n % 4, waiting: new Map(), on: { down() {} } });
                link.closed(1006, "closed");
            }
            window.setTimeout = real;
            return pauses;
        }"""
    )
    first = sorted(pauses[::4])
    last = sorted(pauses[3::4])
    assert len(first) == len(last) == 100
    assert 1500 < first[-1] <= 2000
    assert first[10] > 60  # spread, not in a lump
    assert 6500 < last[-1] <= 8000


async def test_a_page_whose_server_is_gone_says_so_at_once(context: BrowserContext) -> None:
    async with open_door() as door:
        page = await context.new_page()
        await ready(page, door)
    await expect(page.locator("#banner")).to_contain_text("Connection lost")
