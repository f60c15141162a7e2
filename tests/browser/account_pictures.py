"""Makes pictures of people, recordings, account, second factor, tokens: `python -m tests.browser.account_pictures`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import pyotp
from playwright.async_api import Browser, Page
from sqlalchemy import Engine, text

from campaigns import database
from campaigns.people import People
from campaigns.records import AttemptConnected, Dispositioned
from campaigns.units import Units
from tests.browser.chromium import launched
from tests.browser.screenshots import IMAGES, SIZE
from tests.campaigns.world import NOON, Campaign, later
from tests.cti.running import open_stored
from tests.database import fresh_url

PASSWORD = "correct horse battery"
CALLS = 6
RESULTS = ("sale", "not_interested", "callback")


def company(db: Engine, recordings: Path) -> None:
    """Two branches, one with a team, who works there, and some calls that were recorded."""
    people, units = People(db), Units(db)
    for unit in ("兰州分公司/一组", "天水分公司"):
        units.add(unit)
    campaign = Campaign(db, leads=CALLS, name="broadband", more='unit = "兰州分公司"\n')
    Campaign(db, leads=1, name="survey", more='unit = "天水分公司"\n')
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
    with db.connect() as connection:
        staff = text("SELECT id FROM app_user WHERE role = 'agent' ORDER BY id")
        agents = connection.execute(staff).scalars().all()
    recordings.mkdir()
    for n, lead in enumerate(campaign.lease(CALLS)):
        at = later(minutes=7 * n)
        [call_id] = campaign.dial([lead], at)
        agent, result = agents[n % 2], RESULTS[n % len(RESULTS)]
        campaign.record(AttemptConnected(at=at, call_id=call_id, user_id=agent))
        campaign.record(Dispositioned(at=at, call_id=call_id, user_id=agent, code=result))
        (recordings / f"{call_id}.wav").write_bytes(b"RIFF" + bytes(2_000))


async def log_in(page: Page, url: str, to: str = "/status") -> None:
    await page.goto(f"{url}/login")
    await page.fill("[name=login]", "root")
    await page.fill("[name=password]", PASSWORD)
    await page.press("[name=password]", "Enter")
    await page.wait_for_url(f"**{to}")


async def pictures(browser: Browser, language: str, folder: Path) -> None:
    """All of them in one language."""
    db = database.connect(fresh_url())
    with tempfile.TemporaryDirectory() as place:
        company(db, Path(place) / "recordings")
        data = Path(place) / "data"
        data.mkdir()
        async with open_stored(db, data) as (url, _):
            context = await browser.new_context(
                viewport={"width": SIZE[0], "height": SIZE[1]},
                locale="zh-CN" if language == "zh" else "en-GB",
            )
            page = await context.new_page()
            await log_in(page, url)
            await page.goto(f"{url}/people")
            await page.screenshot(path=folder / f"people-{language}.png")
            await page.goto(f"{url}/recordings?from={NOON:%F}&to={NOON:%F}")
            await page.screenshot(path=folder / f"recordings-{language}.png")
            await page.goto(f"{url}/account")
            await page.screenshot(path=folder / f"account-{language}.png")
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
            await page.goto(f"{url}/account/factor")
            secret = (await page.inner_text(".secret")).replace(" ", "")
            await page.fill("[name=code]", pyotp.TOTP(secret).now())
            await page.press("[name=code]", "Enter")
            await page.wait_for_selector("code, .secret, ol, ul")
            await context.clear_cookies()
            await log_in(page, url, "/login/code")
            await page.screenshot(path=folder / f"code-{language}.png")
            await context.close()
    db.dispose()


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    async with launched() as browser:
        await pictures(browser, "en", folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES))
