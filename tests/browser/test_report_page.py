"""The reports' page in a real browser: its chart is drawn, its table sorts by keyboard, and it has no fault."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from sqlalchemy import Engine

from tests.browser.report_pictures import asked, scheduled, schedules, worked
from tests.browser.test_accessibility import clean
from tests.cti.running import Door, open_door, stored_in

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def reported(db: Engine, tmp_path: Path) -> AsyncIterator[Door]:
    worked(db, "en", hours=2)
    stored = replace(stored_in(db, tmp_path), mail=True, report_folder="/srv/reports")
    async with open_door(stored=stored) as opened:
        scheduled(db, "en")
        yield opened


async def test_a_report_is_drawn_sorted_and_readable(browser: Browser, reported: Door) -> None:
    for language, scheme in (("en", "light"), ("zh", "dark")):
        async with asked(browser, reported, "agents", language, scheme) as page:
            await expect(page.locator("#chart canvas")).to_be_visible()
            await clean(page, f"reports, {language}, {scheme}")
            first = await page.locator("#figures tbody td").first.inner_text()
            head = page.locator("#figures thead th").nth(1)
            await head.locator("button").focus()
            await page.keyboard.press("Enter")
            await page.keyboard.press("Enter")
            await expect(head).to_have_attribute("aria-sort", "ascending")
            await expect(page.locator("#figures tbody td").first).not_to_have_text(first)


async def test_the_report_on_the_screen_is_scheduled_and_sent_now(browser: Browser, reported: Door) -> None:
    async with asked(browser, reported, "agents", "en", "light") as page:
        await page.get_by_role("link", name="Send regularly…").click()
        await clean(page, "a schedule's form")
        await page.locator("[name=name]").fill("For the team")
        await page.get_by_label("Of each").select_option("week")
        await page.locator("[name=to]").fill("lead@company.example")
        await page.get_by_role("button", name="Save").click()
        await page.get_by_role("button", name="Send “For the team” now").click()
        row = page.get_by_role("row", name="For the team")
        await expect(row).to_contain_text("Mondays at 06:00")
        await expect(row.locator("summary")).to_have_text("Being sent")
    async with schedules(browser, reported, "zh", "dark") as page:
        await clean(page, "schedules, zh, dark")
