"""What an agent does at the page, in the tests' words."""

from __future__ import annotations

from playwright.async_api import BrowserContext, Page, expect

from tests.contract.house import PASSWORD as HOUSE_PASSWORD
from tests.contract.house import House
from tests.cti.running import AGENT, PASSWORD, Door


async def log_in(page: Page, door: Door, login: str = AGENT.login) -> None:
    """Fill in the log-in form and send it."""
    await page.goto(f"{door.url}/login")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", PASSWORD)
    await page.keyboard.press("Enter")


async def state(page: Page, name: str, within_ms: float | None = None) -> None:
    """Wait until the page shows this state."""
    await expect(page.locator("body")).to_have_attribute("data-state", name, timeout=within_ms)


async def at_work(context: BrowserContext, house: House, login: str, within_ms: float) -> Page:
    """The page of somebody who has logged in at an installation, and is ready."""
    page = await context.new_page()
    page.set_default_timeout(30_000)
    await page.goto(f"http://127.0.0.1:{house.web}/login")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", HOUSE_PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.locator("#ready")).to_be_visible(timeout=within_ms)
    await page.keyboard.press("r")
    return page


async def no_time_passes(page: Page, but_ms: float = 0) -> None:
    """Have the page find, from now on, that no time has passed since, or so much at once."""
    await page.evaluate("(ms) => { const at = performance.now() + ms; performance.now = () => at; }", but_ms)


async def half_a_note(page: Page, house: House) -> None:
    """Write "Half a no", and wait until the server has that."""
    await page.keyboard.press("n")
    await page.keyboard.type("Half a no")
    await page.keyboard.press("Escape")
    await house.until_so(
        "the draft is kept", "SELECT count(*) FROM draft WHERE fields::text LIKE '%Half a no%'"
    )


async def ready(page: Page, door: Door) -> None:
    """Log in and press R."""
    await log_in(page, door)
    await state(page, "paused")
    await page.keyboard.press("r")
    await state(page, "ready")


async def talking(page: Page, door: Door, **pop: object) -> str:
    """Have a customer on the line; return the call's id."""
    await ready(page, door)
    call = door.engine.pop(AGENT.user_id, **pop)  # type: ignore[arg-type]
    door.engine.connect(AGENT.user_id)
    await state(page, "talking")
    return call


async def wrapping_up(page: Page, door: Door) -> str:
    """Have had a customer on the line; return the call's id."""
    call = await talking(page, door)
    door.engine.end(AGENT.user_id)
    await state(page, "wrap_up")
    return call
