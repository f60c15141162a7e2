"""Basic accessibility of every page in light and dark: names, labels, contrast, keyboard. WCAG 2.2, AA."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from cti.settings import WebSettings
from tests.browser.desk import log_in, state
from tests.browser.screenshots import ATTRIBUTES, NAMES, floor, snapshot
from tests.cti.running import AGENT, MANAGER, Door, open_door, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAULTS = (Path(__file__).parent / "accessibility.js").read_text().strip().removesuffix(";")


async def clean(page: Page, what: str) -> None:
    """The page, in the state called `what`, has no fault."""
    faults = await page.evaluate(FAULTS)
    assert not faults, f"{what}: {faults}"


async def test_the_check_finds_planted_faults(browser: Browser) -> None:
    page = await browser.new_page()
    await page.set_content(
        "<html><body style='background: #fff'><p style='color: #999'>pale</p><input><button></button>"
        "<p id=a></p><p id=a></p></body></html>"
    )
    found = " ".join(await page.evaluate(FAULTS))
    for fault in ("contrast 2.85", "no label", "no name", "no main", "no title", "an id twice"):
        assert fault.replace("no main", "not one main") in found
    await page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_every_state_of_the_agents_page(
    browser: Browser, door: Door, scheme: str, language: str
) -> None:
    context = await browser.new_context(
        color_scheme=scheme,  # type: ignore[arg-type]
        locale="zh-CN" if language == "zh" else "en-GB",
        viewport={"width": 1280, "height": 720},
    )
    page = await context.new_page()
    await page.goto(f"{door.url}/login")
    await clean(page, "log-in")
    await log_in(page, door)
    await state(page, "paused")
    await clean(page, "paused")
    await page.keyboard.press("r")
    await state(page, "ready")
    await clean(page, "ready")
    await page.keyboard.press("p")
    await clean(page, "choosing a reason")
    await page.keyboard.press("Escape")
    door.engine.pop(AGENT.user_id, attributes=ATTRIBUTES[language])
    await state(page, "connecting")
    door.engine.connect(AGENT.user_id)
    await state(page, "talking")
    await page.keyboard.press("2")
    await page.keyboard.press("x")
    await clean(page, "talking, a result marked, hang-up armed")
    await page.keyboard.press("2")
    await page.keyboard.press("h")
    await state(page, "held")
    await clean(page, "held")
    door.engine.end(AGENT.user_id)
    await state(page, "wrap_up")
    await clean(page, "wrap-up")
    door.engine.seat(AGENT.user_id, "no_phone", "phone_lost")
    await state(page, "no_phone")
    await clean(page, "phone lost")
    door.engine.seat(AGENT.user_id, "phone")
    await state(page, "phone")
    await clean(page, "phone ringing")
    door.engine.pop(AGENT.user_id, preview=True)
    await state(page, "preview")
    await clean(page, "preview")
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_status_page(browser: Browser, door: Door, scheme: str) -> None:
    context = await browser.new_context(color_scheme=scheme, locale="en-GB")  # type: ignore[arg-type]
    page = await context.new_page()
    await log_in(page, door, MANAGER.login)
    await until(lambda: door.app.state.board.watchers == 1)
    await clean(page, "empty")
    for rate in (0.01, 0.028, 0.05):
        door.bus.snapshot(snapshot(f"at {rate}", "ratio", abandon_rate=rate, note="the switch is away"))
    door.bus.floor(floor("at 0.01", NAMES["en"], time.time()))
    await expect(page.locator(".campaign")).to_have_count(3)
    await expect(page.locator("#alarms li")).to_have_count(1)
    card = page.locator(".campaign").first
    for part in ("hours", "roster_part"):
        await card.locator(f"[data-f={part}] summary").click()
    await expect(card.locator("canvas")).to_have_count(4)
    await clean(page, "three campaigns, one opened")
    await page.click("#wall")
    await clean(page, "wallboard")
    await context.close()


async def test_the_agents_page_on_a_narrow_screen(browser: Browser, door: Door) -> None:
    context = await browser.new_context(locale="en-GB", viewport={"width": 480, "height": 800})
    page = await context.new_page()
    await log_in(page, door)
    await state(page, "paused")
    door.engine.pop(AGENT.user_id)
    door.engine.connect(AGENT.user_id)
    await state(page, "talking")
    await clean(page, "narrow")
    await context.close()


async def test_the_state_is_announced_and_the_keyboard_reaches_everything(
    browser: Browser, door: Door
) -> None:
    context = await browser.new_context(locale="en-GB")
    page = await context.new_page()
    await log_in(page, door)
    await state(page, "paused")
    await expect(page.locator("#state .words")).to_have_attribute("aria-live", "polite")
    await expect(page.get_by_role("button", name="Ready R")).to_be_visible()
    door.engine.pop(AGENT.user_id)
    door.engine.connect(AGENT.user_id)
    await state(page, "talking")
    for role, name in (("button", "1 Sold"), ("button", "Hold H"), ("button", "Hang up X")):
        await expect(page.get_by_role(role, name=name)).to_be_visible()  # type: ignore[arg-type]
    await expect(page.get_by_label("Notes N")).to_be_visible()
    reached = set()
    for _ in range(30):
        await page.keyboard.press("Tab")
        reached.add(await page.evaluate("document.activeElement.id || document.activeElement.dataset.code"))
    assert {"keys", "pause", "hold", "hang-up", "sold", "voicemail", "dnc", "notes"} <= reached
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_phone_in_the_agents_page(browser: Browser, scheme: str, language: str) -> None:
    """The choice, the panel, and a phone that the switch does not let in."""
    async with open_door(WebSettings(softphones=("wss://pbx.example:8089/ws",))) as door:
        context = await browser.new_context(
            color_scheme=scheme,  # type: ignore[arg-type]
            locale="zh-CN" if language == "zh" else "en-GB",
            permissions=["microphone"],
        )
        page = await context.new_page()
        await log_in(page, door)
        await state(page, "offline")
        await clean(page, "where is your phone")
        await page.keyboard.press("l")
        await expect(page.locator("#phone-open")).to_have_attribute("data-word", "problem")
        await page.click("#phone-open")
        await expect(page.locator("#phone-state")).to_have_class("problem")
        await clean(page, "the phone's panel")
        await page.keyboard.press("Escape")
        await expect(page.locator("#phone-panel")).to_be_hidden()
        await context.close()
