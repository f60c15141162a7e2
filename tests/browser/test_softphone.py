"""The phone in the agent's page, in a real browser, on a real Asterisk: voice both ways, mute, losses that heal."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from dialer.switch.asterisk import log_in as log_in_to_switch
from dialer.switch.protocol import open_link
from tests.browser.chromium import close
from tests.browser.desk import state
from tests.contract.house import PASSWORD, House
from tests.rig.asterisk import AsteriskRig

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.asterisk,
    pytest.mark.browser,
    pytest.mark.timeout(300),
]

SEEN_S = 1.0  # within this a loss is known, to the page and to the engine
LOADED_S = 1.0  # what a busy machine's browser adds
HEALED_S = 40.0  # on a machine that does other things as well
SPOKEN_S = 2.0
PACKETS_PER_S = 45  # of 50
NO_MICROPHONE = (
    "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); };"
)
# What the page's connections and sockets are, for the test to count on and to cut.
WITNESS = """
window.voices = [];
window.lines = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) {
    super(...given);
    window.voices.push(this);
  }
};
window.WebSocket = class extends WebSocket {
  constructor(url, ...protocols) {
    super(url, ...protocols);
    if (protocols.length) window.lines.push(this);
  }
};
"""
COUNTS = """async () => {
  const voice = window.voices.findLast((each) => each.connectionState === "connected");
  const found = { received: 0, sent: 0, heard: 0, said: 0 };
  for (const each of voice ? (await voice.getStats()).values() : []) {
    if (each.type === "inbound-rtp") Object.assign(found, {
      received: each.packetsReceived, heard: each.totalAudioEnergy,
    });
    if (each.type === "outbound-rtp") found.sent = each.packetsSent;
    if (each.type === "media-source") found.said = each.totalAudioEnergy;
  }
  return found;
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def profile(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser that trusts the rig's certificate and gives a microphone, which beeps."""
    opened = await browser.new_context(
        locale="en-GB",
        viewport={"width": 1280, "height": 760},
        ignore_https_errors=True,
        permissions=["microphone"],
    )
    opened.set_default_timeout(20_000)
    await opened.add_init_script(WITNESS)
    yield opened
    await close(opened)


async def sit_down(house: House, profile: BrowserContext, tails: list[str]) -> Page:
    """A campaign, a daemon, and an agent whose phone is in the page."""
    house.campaign(tails)
    house.person("lina", "seat001")
    await house.start()
    page = await profile.new_page()
    page.on("console", lambda message: print("page:", message.text))
    page.on("pageerror", lambda error: print("page error:", error))
    await page.goto(f"http://127.0.0.1:{house.web}/login")
    await page.fill("[name=login]", "lina")
    await page.fill("[name=password]", PASSWORD)
    await page.keyboard.press("Enter")
    await state(page, "offline")
    await expect(page.get_by_label("In this browser")).to_be_checked()
    await page.keyboard.press("l")
    await expect(page.locator("body")).to_have_attribute("data-state", "paused", timeout=HEALED_S * 1000)
    return page


async def counted(page: Page) -> dict[str, float]:
    return await page.evaluate(COUNTS)


async def until(so: Callable[[], Any], limit_s: float = 30.0) -> float:
    """Wait for it; returns how long it took."""
    began = monotonic()
    async with asyncio.timeout(limit_s):
        while not await so():
            await asyncio.sleep(0.02)
    return monotonic() - began


async def console(rig: AsteriskRig, command: str) -> str:
    """What Asterisk's own console says."""
    link = await open_link(rig.host, rig.port, lambda name, message, at: None)
    try:
        await log_in_to_switch(link, rig.user, rig.secret)
        message = await link.ask("Command", (("Command", command),))
        return "\n".join(message.each("Output"))
    finally:
        link.close()


async def test_a_call_with_all_that_may_happen_to_the_line(
    house: House, profile: BrowserContext, asterisk_rig: AsteriskRig
) -> None:
    page = await sit_down(house, profile, ["13"])
    await page.keyboard.press("r")
    await state(page, "talking")

    # both hear each other: by the page's count and by the switch's
    before = await counted(page)
    await until(lambda: spoken_since(page, before))
    on_switch = await switch_counts(asterisk_rig)
    assert set(on_switch) == {"carrier", "seat001-web"}
    assert all(min(ways) > PACKETS_PER_S for ways in on_switch.values()), on_switch

    # muted, silence is sent, and the page says so
    loud = await said(page)
    await page.keyboard.press("m")
    await state(page, "muted")
    await until(lambda: hushed(page))  # a beep that had begun is still counted
    await page.keyboard.press("m")
    await state(page, "talking")
    assert loud > 0.01

    # the signalling is cut: seen at once, the voice goes on, and the phone registers again
    await page.evaluate("window.lines.at(-1).close()")
    assert await until(lambda: word(page, "connecting")) < SEEN_S + LOADED_S
    before = await counted(page)
    await until(lambda: spoken_since(page, before))
    await until(lambda: word(page, "good"), HEALED_S)
    assert await page.evaluate("window.voices.length") == 1, "the leg is the one it was"

    # the switch hangs the leg up while the agent writes: it is rung again, and the agent goes on writing
    await page.click("#hang-up")
    await state(page, "wrap_up")
    await console(asterisk_rig, "channel request hangup all")
    assert await until(lambda: in_state(page, "no_phone", "phone", "wrap_up")) < SEEN_S + LOADED_S
    await until(lambda: new_leg(page, 2), HEALED_S)
    await state(page, "wrap_up")
    await page.keyboard.press("1")
    await state(page, "ready")

    # the line goes dead without a word: known within a second to page and engine, healed when it comes back
    await until(lambda: word(page, "good"), HEALED_S)
    os.kill(asterisk_rig.pid, signal.SIGSTOP)
    try:
        took_s = await until(lambda: in_state(page, "no_phone", "phone"))
    finally:
        os.kill(asterisk_rig.pid, signal.SIGCONT)
    assert took_s < SEEN_S + LOADED_S, "the engine took the seat out of its pool"
    await until(lambda: new_leg(page, 3), HEALED_S)
    await state(page, "ready")

    # logged out, the password is worth nothing any more
    assert "seat001-web" in await console(asterisk_rig, "database show zhudong")
    await page.click("#log-out button")
    await expect(page.locator("[name=password]")).to_be_visible()
    await until(lambda: no_passwords(asterisk_rig))


async def test_the_choice_is_kept_the_echo_is_heard_and_a_missing_microphone_is_explained(
    house: House, profile: BrowserContext, asterisk_rig: AsteriskRig
) -> None:
    page = await sit_down(house, profile, [])
    await page.reload()  # the page that comes asks nothing, and has its leg again
    await until(lambda: new_leg(page, 1), HEALED_S)
    await state(page, "paused")

    other = await profile.new_page()  # the seat is opened in another window, and taken back
    await other.goto(page.url)
    await other.click("#banner-button")  # only when it is asked to
    await until(lambda: new_leg(other, 1), HEALED_S)
    await state(other, "paused")
    await page.click("#banner-button")
    await until(lambda: new_leg(page, 2), HEALED_S)
    await state(page, "paused")
    await other.close()

    await page.click("#phone-open")
    await expect(page.locator("#microphone option")).not_to_have_count(1)
    await page.click("#echo")
    await expect(page.locator("#echo-hint")).to_contain_text("Speak now")
    await until(lambda: echoed(page))
    await page.click("#echo")

    await page.click("#phone-change")
    await page.get_by_label("On my desk").check()
    await page.keyboard.press("l")
    await expect(page.locator("#phone-word")).to_have_text("Phone: on my desk")
    await until(lambda: only_leg(asterisk_rig, "seat001"), HEALED_S)  # paused it was before as well
    await state(page, "paused")

    await profile.add_init_script(NO_MICROPHONE)
    await page.reload()
    await state(page, "paused")
    await page.click("#phone-open")
    await page.click("#phone-change")
    await page.get_by_label("In this browser").check()
    await page.keyboard.press("l")
    await expect(page.locator("#state-next")).to_contain_text("Allow the microphone")


async def spoken_since(page: Page, before: dict[str, float]) -> bool:
    now = await counted(page)
    return min(now[way] - before[way] for way in ("received", "sent")) > PACKETS_PER_S * SPOKEN_S


async def switch_counts(rig: AsteriskRig) -> dict[str, tuple[int, int]]:
    """Packets received and sent, as Asterisk counts them, by endpoint."""
    said = await console(rig, "pjsip show channelstats")
    found = re.finditer(
        r"^(?:[0-9a-f]{8} )?\s*([a-z0-9-]+?)-0[0-9a-f]*\s+\S+\s+\w+\s+(\d+)\s+\d+\s+\d+\s+\S+\s+(\d+)",
        said,
        re.M,
    )
    return {match[1]: (int(match[2]), int(match[3])) for match in found}


async def only_leg(rig: AsteriskRig, endpoint: str) -> bool:
    """Whether this endpoint has a leg on the switch, and no other has."""
    return set(await switch_counts(rig)) == {endpoint}


async def said(page: Page) -> float:
    """The energy of what the page sends while it sends for some seconds; its microphone beeps once a second."""
    before = await counted(page)
    await until(lambda: spoken_since(page, before))
    return (await counted(page))["said"] - before["said"]


async def hushed(page: Page) -> bool:
    return await said(page) < 0.001


async def word(page: Page, wanted: str) -> bool:
    return await page.get_attribute("#phone-open", "data-word") == wanted


async def in_state(page: Page, *wanted: str) -> bool:
    return await page.get_attribute("body", "data-state") in wanted


async def new_leg(page: Page, count: int) -> bool:
    """Whether so many connections have been made, and the newest one is up."""
    made = await page.evaluate("window.voices.map((each) => each.connectionState)")
    return len(made) >= count and made[-1] == "connected"


async def echoed(page: Page) -> bool:
    return (await counted(page))["heard"] > 0.01


async def no_passwords(rig: AsteriskRig) -> bool:
    return "seat001-web" not in await console(rig, "database show zhudong")
