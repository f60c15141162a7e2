"""One's own account in a real browser: readable, reachable by keyboard, in both languages, light and dark."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pyotp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from sqlalchemy import Engine

from campaigns.people import People
from tests.browser.test_accessibility import clean as without_fault
from tests.cti.running import open_stored

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD = "correct horse"


@pytest_asyncio.fixture(loop_scope="session")
async def url(db: Engine, tmp_path: Path) -> AsyncIterator[str]:
    People(db).add("", "lina", "李娜", "supervisor", PASSWORD, "seat001", ["spring"])
    async with open_stored(db, tmp_path) as (at, _):
        yield at


async def clean(page: Page, what: str) -> None:
    """The page, once it is there with its style, has no fault: a form leads to a new one."""
    await page.wait_for_load_state("load")
    await without_fault(page, what)


async def log_in(page: Page, url: str, login: str = "lina", password: str = PASSWORD) -> None:
    await page.goto(f"{url}/login")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", password)
    await page.press("[name=password]", "Enter")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_my_account(browser: Browser, url: str, scheme: str, locale: str) -> None:
    context = await browser.new_context(color_scheme=scheme, locale=locale)  # type: ignore[arg-type]
    page = await context.new_page()
    await log_in(page, url)
    await page.goto(f"{url}/account")
    await clean(page, "account")
    await page.focus("[name=old]")
    await page.keyboard.type("wrong")
    for _ in range(2):
        await page.keyboard.press("Tab")
        await page.keyboard.type("battery staple 7")
    await page.keyboard.press("Enter")
    await expect(page.locator("#problem")).to_be_visible()
    await clean(page, "a wrong password")
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_the_second_factor_by_keyboard(
    browser: Browser, url: str, db: Engine, scheme: str, locale: str
) -> None:
    context = await browser.new_context(color_scheme=scheme, locale=locale)  # type: ignore[arg-type]
    page = await context.new_page()
    await log_in(page, url)
    await page.goto(f"{url}/account/factor")
    await clean(page, "set up")
    secret = (await page.locator(".secret").inner_text()).replace(" ", "")
    await page.keyboard.type(pyotp.TOTP(secret).now())  # the field has the focus
    await page.keyboard.press("Enter")
    await expect(page.locator(".codes li")).to_have_count(10)
    await clean(page, "recovery codes")
    code = await page.locator(".codes li").first.inner_text()
    await context.clear_cookies()
    await log_in(page, url)
    await page.wait_for_url("**/login/code")
    await clean(page, "asked for")
    await page.keyboard.type("000")
    await page.keyboard.press("Enter")
    await expect(page.locator("#problem")).to_be_visible()
    await page.keyboard.type(code)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/status")
    await page.goto(f"{url}/account/factor")
    await clean(page, "turn off")
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_tokens(browser: Browser, url: str, scheme: str, locale: str) -> None:
    context = await browser.new_context(color_scheme=scheme, locale=locale)  # type: ignore[arg-type]
    page = await context.new_page()
    await log_in(page, url)
    await page.goto(f"{url}/account/tokens")
    await clean(page, "none")
    await page.focus("[name=name]")
    await page.keyboard.type("crm")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")
    await expect(page.locator(".secret")).to_contain_text("zdt_")
    await clean(page, "made")
    await page.goto(f"{url}/account/tokens")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await clean(page, "listed")
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_people(browser: Browser, url: str, db: Engine, scheme: str, locale: str) -> None:
    People(db).add("", "root", "Root", "administrator", PASSWORD)
    context = await browser.new_context(color_scheme=scheme, locale=locale)  # type: ignore[arg-type]
    page = await context.new_page()
    await log_in(page, url, "root")
    await page.goto(f"{url}/people")
    await clean(page, "people")
    await page.focus("form[action='/people'] [name=login]")
    for word in ("tom", "Tom"):
        await page.keyboard.type(word)
        await page.keyboard.press("Tab")
    for _ in range(4):
        await page.keyboard.press("Tab")
    await page.keyboard.type("123456789012")
    await page.keyboard.press("Enter")
    await expect(page.locator("#problem")).to_be_visible()
    await clean(page, "a weak password")
    await context.close()
