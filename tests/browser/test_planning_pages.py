"""A planner in a real browser: builds a segment by lines and by text, sees the count, saves, and has it called."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from sqlalchemy import Engine

from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.people import People
from tests.browser.test_accessibility import clean
from tests.browser.test_people_pages import PASSWORD, log_in
from tests.campaigns.world import NOON, Campaign
from tests.cti.running import open_stored

pytestmark = pytest.mark.asyncio(loop_scope="session")

CITIES = ("兰州", "天水", "武威")


@pytest_asyncio.fixture(loop_scope="session")
async def url(db: Engine, tmp_path: Path) -> AsyncIterator[str]:
    pool = Campaign(db, leads=0, name="customers")
    rows = [
        Row(
            n, (f"+861390000{n:04d}",), f"客户{n}", {"city": CITIES[n % 3], "spend": n}, ("Asia/Shanghai",),
            customer_id=f"C{n}",
        )
        for n in range(60)
    ]  # fmt: skip
    store_rows(db, pool.id, "all", "test", NOON, rows)
    Campaign(db, leads=0)
    People(db).add("", "root", "Root", "administrator", PASSWORD)
    async with open_stored(db, tmp_path) as (at, _):
        yield at


async def opened(browser: Browser, url: str, locale: str, scheme: str) -> Page:
    context = await browser.new_context(color_scheme=scheme, locale=locale)  # type: ignore[arg-type]
    page = await context.new_page()
    await log_in(page, url, "root")
    await page.wait_for_url("**/status")
    return page


async def test_a_segment_is_built_counted_saved_and_called(browser: Browser, url: str) -> None:
    page = await opened(browser, url, "en-GB", "light")
    await page.goto(f"{url}/segments")
    await expect(page.locator("#count")).to_have_text("60 customers")
    await page.click("#add")
    await page.get_by_label("What, condition 1").select_option("attribute:city")
    await page.get_by_label("Value, condition 1").fill("兰州")
    await expect(page.locator("#count")).to_have_text("20 customers")
    await page.click("#add")
    await page.get_by_label("What, condition 2").select_option("attribute:spend")
    await page.get_by_label("Comparison, condition 2").select_option(">=")
    await page.get_by_label("Value, condition 2").fill("30")
    await expect(page.locator("#count")).to_have_text("10 customers")
    await expect(page.locator("#text")).to_have_value('`city` = "兰州" and `spend` >= 30')
    await page.fill("#text", 'city in ("兰州", "天水") and calls = 0 within 30 days')
    await expect(page.locator("#count")).to_have_text("40 customers")
    await expect(page.locator("#lines li")).to_have_count(2)
    await expect(page.get_by_label("Value, condition 1")).to_have_value("兰州, 天水")
    await expect(page.get_by_label("In the last days, condition 2")).to_have_value("30")
    await page.fill("#text", "city = ")
    await expect(page.locator("#problem")).to_contain_text("at character")
    await page.fill("#text", 'city = "兰州" or (spend > 30 and not spend > 40)')
    await expect(page.locator("#nested")).to_be_visible()
    await page.fill("#name", "near or so")
    await page.click("#save")
    await page.wait_for_url("**/segments?name=near*")
    await page.select_option("#take [name=campaign]", "spring")
    await page.fill("#take [name=list]", "wave 1")
    await page.fill("#take [name=hold_out]", "0")
    await page.press("#take [name=hold_out]", "Enter")
    await expect(page.locator("#taken")).to_contain_text("to call", timeout=30_000)
    await expect(page.locator("#taken")).to_have_class("done")
    await page.context.close()
    for locale, scheme in (("zh-CN", "dark"), ("zh-CN", "light"), ("en-GB", "dark")):
        page = await opened(browser, url, locale, scheme)
        await page.goto(f"{url}/segments?name=near or so")
        await page.fill("#text", 'city = "兰州" and calls < 3 within 30 days and answer "q" = "y"')
        await expect(page.locator("#lines li")).to_have_count(3)
        await clean(page, f"a segment, {locale}, {scheme}")
        await page.context.close()
