"""Makes the pictures of people, second factor and tokens: `python -m tests.browser.account_pictures [FOLDER]`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page
from sqlalchemy import Engine

from campaigns import database
from campaigns.people import People
from campaigns.units import Units
from tests.browser.chromium import launched
from tests.browser.screenshots import IMAGES, SIZE
from tests.campaigns.world import Campaign
from tests.cti.running import open_stored
from tests.database import fresh_url

PASSWORD = "correct horse battery"


def company(db: Engine) -> None:
    """Two branches, one with a team, and who works there."""
    people, units = People(db), Units(db)
    for unit in ("兰州分公司/一组", "天水分公司"):
        units.add(unit)
    for name, unit in (("broadband", "兰州分公司"), ("survey", "天水分公司")):
        Campaign(db, leads=1, name=name, more=f'unit = "{unit}"\n')
    people.add("", "root", "周敏", "administrator", PASSWORD)
    for unit, login, name, role, phone, campaigns in (
        ("兰州分公司", "meng", "孟洁", "branch_manager", "", ()),
        ("兰州分公司/一组", "chen", "陈静", "supervisor", "", ("broadband",)),
        ("兰州分公司/一组", "wang", "王伟", "agent", "seat101", ("broadband",)),
        ("兰州分公司/一组", "zhang", "张丽", "agent", "seat102", ("broadband",)),
        ("天水分公司", "hao", "郝亮", "analyst", "", ()),
        ("天水分公司", "liu", "刘洋", "agent", "seat201", ("survey",)),
    ):
        people.add(unit, login, name, role, "", phone, campaigns)


async def log_in(page: Page, url: str) -> None:
    await page.goto(f"{url}/login")
    await page.fill("[name=login]", "root")
    await page.fill("[name=password]", PASSWORD)
    await page.press("[name=password]", "Enter")
    await page.wait_for_url("**/status")


async def pictures(browser: Browser, language: str, folder: Path) -> None:
    """All of them in one language."""
    db = database.connect(fresh_url())
    company(db)
    with tempfile.TemporaryDirectory() as place:
        async with open_stored(db, Path(place)) as (url, _):
            context = await browser.new_context(
                viewport={"width": SIZE[0], "height": SIZE[1]},
                locale="zh-CN" if language == "zh" else "en-GB",
            )
            page = await context.new_page()
            await log_in(page, url)
            await page.goto(f"{url}/people")
            await page.screenshot(path=folder / f"people-{language}.png")
            await page.goto(f"{url}/account/factor")
            await page.screenshot(path=folder / f"factor-{language}.png")
            await page.goto(f"{url}/account/tokens")
            await page.fill("[name=name]", "crm")
            for right in ("lists", "import"):
                await page.check(f"[name={right}]")
            await page.keyboard.press("Enter")
            await page.wait_for_selector(".secret")
            await page.goto(f"{url}/account/tokens")
            await page.screenshot(path=folder / f"tokens-{language}.png")
            await context.close()
    db.dispose()


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    async with launched() as browser:
        await pictures(browser, "en", folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES))
