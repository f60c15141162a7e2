"""Basic accessibility of every page in light and dark: names, labels, contrast, keyboard. WCAG 2.2, AA."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.desk import log_in, state
from tests.browser.screenshots import ATTRIBUTES, snapshot
from tests.cti.running import AGENT, SUPERVISOR, Door, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Contrast by WCAG 2.2's formula (relative luminance), the background being that of the nearest opaque ancestor with
# translucent ones painted over it. 4.5 for text, 3 for large (24 px, or 18.66 px bold); disabled controls are exempt.
FAULTS = """() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return [m[0], m[1], m[2], m[3] ?? 1]; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const lum = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { const stack = []; for (let n = e; n; n = n.parentElement) { const c = parse(getComputedStyle(n).backgroundColor); stack.push(c); if (c[3] === 1) break; } let base = [255, 255, 255, 1]; for (const c of stack.reverse()) base = over(c, base); return base; };
  const visible = (e) => e.checkVisibility({ checkVisibilityCSS: true }) && !e.closest(".unseen");
  const faults = [];
  const where = (e) => `${e.tagName.toLowerCase()}#${e.id}.${e.className} "${(e.textContent || "").trim().slice(0, 30)}"`;
  for (const e of document.body.querySelectorAll("*")) {
    if (!visible(e) || e.closest("script, template, :disabled, [aria-hidden=true]")) continue;
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && !e.matches("input, textarea")) continue;
    const style = getComputedStyle(e);
    const back = behind(e);
    const ink = parse(style.color);
    let opacity = 1; for (let n = e; n; n = n.parentElement) opacity *= Number(getComputedStyle(n).opacity);
    ink[3] *= opacity;
    const [a, b] = [lum(over(ink, back)), lum(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) faults.push(`contrast ${ratio.toFixed(2)}: ${where(e)}`);
  }
  for (const e of document.querySelectorAll("input:not([type=hidden]), textarea, select")) if (visible(e) && !e.labels?.length && !e.ariaLabel) faults.push(`no label: ${where(e)}`);
  for (const e of document.querySelectorAll("button, a[href]")) {
    if (!visible(e)) continue;
    if (!e.textContent.trim() && !e.ariaLabel) faults.push(`no name: ${where(e)}`);
    const box = e.getBoundingClientRect();
    if (e.matches("button") && (box.height < 24 || box.width < 24)) faults.push(`smaller than 24 px: ${where(e)}`);
  }
  if (document.querySelectorAll("main").length !== 1) faults.push("not one main");
  if (!document.documentElement.lang) faults.push("no lang");
  if (!document.title) faults.push("no title");
  if ([...document.querySelectorAll("h1")].length !== 1) faults.push("not one h1");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  if (new Set(ids).size !== ids.length) faults.push("an id twice");
  if (document.documentElement.scrollWidth > innerWidth) faults.push("scrolls sideways");
  return faults;
}"""


async def clean(page: Page, what: str) -> None:
    # Evaluated by the browser's debugger, which the pages' content security policy does not bind.
    faults = await page.evaluate(FAULTS)
    assert not faults, f"{what}: {faults}"


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
    await log_in(page, door, SUPERVISOR.login)
    await until(lambda: door.app.state.board.watchers == 1)
    await clean(page, "empty")
    for rate in (0.01, 0.028, 0.05):
        door.bus.snapshot(snapshot(f"at {rate}", "ratio", abandon_rate=rate, note="the switch is away"))
    await expect(page.locator(".campaign")).to_have_count(3)
    await clean(page, "three campaigns")
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
