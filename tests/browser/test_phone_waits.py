"""The phone in the page while its switch or its headset is away: both are tried again, and another may be chosen."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from cti.messages import Command, LogIn, OpenPhone, PhoneAccess, Ready, Reply
from cti.settings import WebSettings
from tests.browser.desk import log_in, state
from tests.cti.running import AGENT, Door, open_door, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

SWITCH = "wss://pbx.example:8089/ws"
ACCESS = PhoneAccess("main", SWITCH, "seat007-web", "secret")
MICROPHONE = """
navigator.mediaDevices.getUserMedia = async () => new AudioContext().createMediaStreamDestination().stream;
"""
# A headset and what the computer has itself; `plug` says which of them are there, `wakes` how often the headset is in
# the list and can't be opened.
MICROPHONES = """
let plugged = ["headset", "built-in"];
window.wakes = 0;
const all = [];
const live = () => all.filter((track) => track.readyState === "live");
const seen = (id) => ({ kind: "audioinput", deviceId: id, label: id });
navigator.mediaDevices.enumerateDevices = async () => plugged.map(seen);
navigator.mediaDevices.getUserMedia = async ({ audio: { deviceId } }) => {
  const id = deviceId?.exact ?? plugged.at(-1);
  if (id === "headset" && window.wakes-- > 0) throw new DOMException("no", "NotReadableError");
  if (!plugged.includes(id)) throw new DOMException("no", deviceId ? "OverconstrainedError" : "NotFoundError");
  const { stream } = new AudioContext().createMediaStreamDestination();
  const [track] = stream.getAudioTracks();
  track.getSettings = () => ({ deviceId: id });
  all.push(track);
  return stream;
};
window.plug = (...ids) => {
  plugged = ids;
  for (const track of live()) if (!ids.includes(track.getSettings().deviceId)) track.onended?.(track.stop());
  navigator.mediaDevices.dispatchEvent(new Event("devicechange"));
};
window.open_one = () => live().map((track) => track.getSettings().deviceId).join();
"""
# In place of the library that speaks SIP: a phone that registers at once, or never.
REGISTERS = """
export class WebSocketInterface {}
export class UA {
  on(event, told) { if (event === "registered") this.registered = told; }
  start() { if (%s) setTimeout(() => this.registered?.()); }
  stop() {}
  removeAllListeners() { this.registered = null; }
}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def there() -> AsyncIterator[Door]:
    async with open_door(WebSettings(softphones=(SWITCH,))) as door:
        door.engine.hear_phone = False
        yield door


async def phone_in_page(
    context: BrowserContext, door: Door, registers: str, microphone: str = MICROPHONE
) -> Page:
    page = await context.new_page()
    await page.add_init_script(microphone)
    script = REGISTERS % registers
    await page.route(
        "**/vendor/jssip.js", lambda route: route.fulfill(body=script, content_type="text/javascript")
    )
    await log_in(page, door)
    await state(page, "offline")
    await expect(page.get_by_label("In this browser")).to_be_checked()
    return page


def switch_of(door: Door, up: bool) -> list[OpenPhone]:
    """Have the engine say whether its switch is there; returns what it is asked."""
    asked: list[OpenPhone] = []

    async def engine(command: Command) -> Reply:
        if not isinstance(command, OpenPhone):
            return await door.engine.answer(command)
        asked.append(command)
        return Reply(ok=True, phone=ACCESS) if up else Reply(ok=False, code="switch_down", detail="main")

    door.bus.serve(engine)
    return asked


@pytest.mark.parametrize("chosen", ["In this browser", "On my desk"])
async def test_a_seat_whose_switch_was_down_is_taken_once_it_is_back_unless_the_desk_phone_was_chosen(
    context: BrowserContext, there: Door, chosen: str
) -> None:
    page = await phone_in_page(context, there, "true")
    asked = switch_of(there, up=False)
    await page.keyboard.press("l")
    await expect(page.locator("#state-next")).to_contain_text("It is tried again by itself")
    await until(lambda: len(asked) > 1)
    await page.get_by_label(chosen).check()
    switch_of(there, up=True)
    if chosen == "On my desk":
        await expect(page.locator("#phone-open")).to_have_attribute("data-word", "there")
        assert not there.engine.of(LogIn)
        await page.click("#take-seat")
    await until(lambda: there.engine.of(LogIn))
    phone = "seat007-web" if chosen == "In this browser" else "seat007"
    assert [each.phone for each in there.engine.of(LogIn)] == [phone]  # type: ignore[attr-defined]


async def test_a_seat_that_a_supervisor_logged_out_is_not_taken_again_once_its_switch_is_back(
    context: BrowserContext, there: Door
) -> None:
    page = await phone_in_page(context, there, "true")
    switch_of(there, up=True)
    await page.keyboard.press("l")
    await state(page, "phone")
    asked = switch_of(there, up=False)
    await page.reload()
    await until(lambda: asked)
    await expect(page.locator("#phone-open")).to_have_attribute("data-word", "problem")
    there.engine.seat(AGENT.user_id, "offline")
    await state(page, "offline")
    switch_of(there, up=True)
    await expect(page.locator("#phone-open")).to_have_attribute("data-word", "there")
    await expect(page.locator("#seat-form")).to_be_visible()
    assert len(there.engine.of(LogIn)) == 1


@pytest.mark.parametrize("how", ["at once", "half an hour later", "on the desk"])
async def test_who_was_ready_is_so_again_within_a_minute_and_at_the_same_phone(
    context: BrowserContext, there: Door, how: str
) -> None:
    """Later, nobody may sit there any more."""
    there.engine.hear_phone = True
    page = await phone_in_page(context, there, "true")
    switch_of(there, up=False)
    await page.keyboard.press("l")
    await expect(page.locator("#phone-open")).to_have_attribute("data-word", "problem")
    await page.clock.install()
    await page.goto("about:blank")
    await page.goto(f"{there.url}/#ready")
    await expect(page.locator("#state-next")).to_contain_text("It is tried again by itself")
    if how == "half an hour later":
        await page.clock.fast_forward("30:00")
    elif how == "on the desk":
        await page.get_by_label("On my desk").check()
        await page.click("#take-seat")
    switch_of(there, up=True)
    await until(lambda: there.engine.of(LogIn), deadline_s=30)
    await state(page, "ready" if how == "at once" else "paused")
    assert bool(there.engine.of(Ready)) == (how == "at once")


async def test_the_phone_is_tried_again_though_its_panel_was_opened_and_closed_meanwhile(
    context: BrowserContext, there: Door
) -> None:
    page = await phone_in_page(context, there, "true")
    asked = switch_of(there, up=False)
    await page.keyboard.press("l")
    await expect(page.locator("#state-next")).to_contain_text("It is tried again by itself")
    await page.click("#phone-open")
    await page.click("#phone-close")
    closed = len(asked)
    await until(lambda: len(asked) > closed + 1, deadline_s=30)  # one may have been due already
    switch_of(there, up=True)
    await until(lambda: there.engine.of(LogIn), deadline_s=30)


async def test_the_phone_on_the_desk_is_chosen_while_the_one_in_the_page_gets_nowhere(
    context: BrowserContext, there: Door
) -> None:
    page = await phone_in_page(context, there, "false")
    switch_of(there, up=True)
    await page.keyboard.press("l")
    await expect(page.locator("#seat-form")).to_be_hidden()
    await page.click("#phone-open")
    await page.click("#phone-change")
    await expect(page.locator("#seat-form")).to_be_visible()
    await page.get_by_label("On my desk").check()
    await page.click("#take-seat")
    await until(lambda: there.engine.of(LogIn))
    assert [each.phone for each in there.engine.of(LogIn)] == ["seat007"]  # type: ignore[attr-defined]


async def spoken_into(page: Page, microphone: str) -> None:
    """Wait until this is the one that is open, and the only one."""
    await page.wait_for_function("(microphone) => open_one() === microphone", arg=microphone)


async def with_headset(context: BrowserContext, there: Door) -> Page:
    """A page in whose phone the headset was chosen, with the panel open."""
    page = await phone_in_page(context, there, "true", MICROPHONES)
    switch_of(there, up=True)
    await page.keyboard.press("l")
    await until(lambda: there.engine.of(LogIn))
    await page.click("#phone-open")
    await page.select_option("#microphone", "headset")
    await spoken_into(page, "headset")
    return page


@pytest.mark.parametrize("others", [("built-in",), ()])
async def test_a_headset_that_is_plugged_in_again_is_spoken_into_again(
    context: BrowserContext, there: Door, others: tuple[str, ...]
) -> None:
    page = await with_headset(context, there)
    await page.evaluate("(others) => plug(...others)", others)
    await spoken_into(page, "".join(others))
    await expect(page.locator("#microphone")).to_have_value("".join(others))
    await page.evaluate("(others) => plug('headset', ...others)", others)
    await spoken_into(page, "headset")
    await expect(page.locator("#microphone")).to_have_value("headset")
    await expect(page.locator("#phone-open")).to_have_attribute("data-word", "there")


async def test_a_headset_that_is_back_before_another_microphone_is_open_is_spoken_into_again(
    context: BrowserContext, there: Door
) -> None:
    page = await with_headset(context, there)
    await page.evaluate("() => { plug('built-in'); plug('headset', 'built-in'); }")
    await expect(page.locator("#microphone")).to_have_value("headset")
    await spoken_into(page, "headset")


async def test_a_headset_that_is_seen_before_it_can_be_opened_is_tried_again_and_said_to_be_no_problem(
    context: BrowserContext, there: Door
) -> None:
    page = await with_headset(context, there)
    await page.evaluate("plug('built-in')")
    await spoken_into(page, "built-in")
    await page.evaluate("() => { wakes = 1; plug('headset', 'built-in'); }")
    await page.wait_for_function("wakes < 1")
    await expect(page.locator("#phone-open")).to_have_attribute("data-word", "there")
    await spoken_into(page, "headset")


async def test_a_microphone_that_another_program_had_is_opened_by_key_though_one_is_open(
    context: BrowserContext, there: Door
) -> None:
    page = await phone_in_page(context, there, "true", MICROPHONES)
    switch_of(there, up=True)
    await page.keyboard.press("l")
    await until(lambda: there.engine.of(LogIn))
    there.engine.seat(AGENT.user_id, "no_phone", "switch_down")
    await page.click("#phone-open")
    await page.evaluate("wakes = 1")
    await page.select_option("#microphone", "headset")
    await expect(page.locator("#phone-open")).to_have_attribute("data-word", "problem")
    await page.click("#phone-close")
    await page.keyboard.press("b")
    await spoken_into(page, "headset")
    await expect(page.locator("#phone-open")).to_have_attribute("data-word", "there")


async def test_a_phone_that_another_seat_uses_is_said_to_be_that(
    context: BrowserContext, there: Door
) -> None:
    page = await phone_in_page(context, there, "true")

    async def engine(command: Command) -> Reply:
        if isinstance(command, OpenPhone):
            return Reply(ok=False, code="phone_taken", detail="seat007-web")
        return await there.engine.answer(command)

    there.bus.serve(engine)
    await page.keyboard.press("l")
    await expect(page.locator("#state-next")).to_contain_text("Another seat uses your phone")
    switch_of(there, up=True)
    await until(lambda: there.engine.of(LogIn), deadline_s=30)
