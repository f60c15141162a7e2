"""What an agent does at the page, in the tests' words."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.cti.running import AGENT, PASSWORD, Door


async def log_in(page: Page, door: Door, login: str = AGENT.login) -> None:
    """Fill in the log-in form and send it."""
    await page.goto(f"{door.url}/login")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", PASSWORD)
    await page.keyboard.press("Enter")


async def state(page: Page, name: str) -> None:
    """Wait until the page shows this state."""
    await expect(page.locator("body")).to_have_attribute("data-state", name)


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
