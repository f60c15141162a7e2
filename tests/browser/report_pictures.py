"""Makes the pictures of the reports in docs/images: `python -m tests.browser.report_pictures [FOLDER]`."""

from __future__ import annotations

import asyncio
import math
import random
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from playwright.async_api import Browser, Page, expect
from sqlalchemy import Engine, text

from campaigns import database
from campaigns.ids import as_uuid, new_call_id
from campaigns.reports.rolling import roll
from campaigns.reports.runs import Runs
from campaigns.reports.schedule import Schedule, span_of
from campaigns.reports.schedules import Schedules
from campaigns.store import CampaignStore
from campaigns.units import Units
from tests.browser.chromium import launched
from tests.cti.running import ADMIN, PASSWORD, Door, open_door, stored_in
from tests.database import fresh_url

IMAGES = Path(__file__).parents[2] / "docs" / "images"
DAY = datetime(2026, 11, 24, tzinfo=UTC)  # 8 o'clock in Shanghai
NAMES = {
    "zh": (
        ("兰州分公司", "天水分公司"),
        ("renewal", "upgrade-5g"),
        ("李娜", "张伟", "陈静", "王芳", "刘洋", "赵敏"),
    ),
    "en": (
        ("North branch", "South branch"),
        ("renewal", "upgrade-5g"),
        ("Emma Lindqvist", "Jonas Berg", "Sara Holm", "Anna Lund", "Erik Ek", "Maja Frid"),
    ),
}
CAUSES = {"busy": 17, "no_answer": 19, "rejected": 21}
PAUSE = (("paused", "break", 600.0),)
CALL = text("""
INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at, answered_at,
    connected_at, ended_at, outcome, cause, tech_cause, ring_s, wait_s, talk_s, user_id, caller_id)
SELECT CAST(:id AS uuid), :at, :campaign, 0, 0, 'carrier-a', 'e', :at, :at, CASE WHEN :outcome = 'connected'
    THEN CAST(:at AS timestamptz) END, :at, :outcome, :cause, 0, :ring, 0.4, :talk, :user, :caller_id
""")
SEAT = text("""
INSERT INTO seat_log (at, user_id, session_id, state, reason, call_id, campaign_id)
VALUES (:at, :user, 's', :state, :reason, '', :campaign)
""")


def worked(db: Engine, language: str, hours: int = 10) -> None:
    """Some hours of two campaigns."""
    dice = random.Random(5)
    units, campaigns, people = NAMES[language]
    store, homes = CampaignStore(db), [Units(db).add(name) for name in units]
    ids = []
    for name, unit in zip(campaigns, units, strict=True):
        config = f'name = "{name}"\nswitch = "main"\nrunning = true\nunit = "{unit}"\n'
        ids.append(store.apply(config, "x", "x", DAY).campaign_id)
    with db.begin() as connection:
        users = [
            connection.execute(
                text(
                    "INSERT INTO app_user (unit_id, login, name, role, password_hash) "
                    "VALUES (:unit, :login, :name, 'agent', '') RETURNING id"
                ),
                {"unit": homes[n % 2], "login": f"seat{n + 1:03}", "name": name},
            ).scalar_one()
            for n, name in enumerate(people)
        ]
        outcomes = ("connected", "no_answer", "busy", "machine", "hung_up", "abandoned", "rejected")
        for minute in range(60, (1 + hours) * 60):
            busy = 0.45 + 0.4 * math.sin(minute / 110) ** 2
            for _ in range(int(6 * busy) + 1):
                outcome = dice.choices(outcomes, (30 + 20 * busy, 40, 9, 12, 3, 1, 5))[0]
                place = dice.randrange(2)
                at = DAY + timedelta(minutes=minute, seconds=dice.uniform(0, 60))
                values = {
                    "id": as_uuid(new_call_id(at)), "at": at, "campaign": ids[place], "outcome": outcome,
                    "cause": CAUSES.get(outcome, 16), "ring": dice.uniform(3, 30),
                    "talk": dice.uniform(40, 300) if outcome == "connected" else None,
                    "user": dice.choice(users[place::2]) if outcome == "connected" else None,
                    "caller_id": f"+86931880000{dice.randrange(4)}",
                }  # fmt: skip
                connection.execute(CALL, values)
        for n, user in enumerate(users):
            at = DAY + timedelta(minutes=55 + dice.randrange(9))
            while at < DAY + timedelta(hours=hours):
                for state, reason, seconds in (
                    ("ready", "", dice.uniform(5, 40)), ("talking", "", dice.uniform(60, 300)),
                    ("wrap_up", "", dice.uniform(10, 50)), *(PAUSE if dice.random() < 0.04 else ()),
                ):  # fmt: skip
                    values = {
                        "at": at,
                        "user": user,
                        "state": state,
                        "reason": reason,
                        "campaign": ids[n % 2],
                    }
                    connection.execute(SEAT, values)
                    at += timedelta(seconds=seconds)
            connection.execute(
                SEAT, {"at": at, "user": user, "state": "offline", "reason": "", "campaign": ids[n % 2]}
            )
    while (turn := roll(db, DAY + timedelta(hours=12))) is None or turn.more:
        pass


@asynccontextmanager
async def asked(browser: Browser, door: Door, report: str, language: str, scheme: str) -> AsyncIterator[Page]:
    """The page with a report of that day."""
    context = await browser.new_context(
        locale={"zh": "zh-CN", "en": "en-GB"}[language],
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": 1360, "height": 860},
    )
    page = await context.new_page()
    await context.add_cookies([{"name": "zd_language", "value": language, "url": door.url}])
    await page.goto(f"{door.url}/login")
    await page.fill("[name=login]", ADMIN.login)
    await page.fill("[name=password]", PASSWORD)
    await page.press("[name=password]", "Enter")
    await page.wait_for_url("**/status")
    await page.goto(f"{door.url}/reports?report={report}&from=2026-11-24&to=2026-11-24")
    yield page
    await context.close()


async def picture(browser: Browser, door: Door, report: str, language: str, scheme: str, path: Path) -> None:
    async with asked(browser, door, report, language, scheme) as page:
        if report != "compliance":
            await expect(page.locator("#chart canvas")).to_be_visible()
        await page.wait_for_load_state("networkidle")
        await page.screenshot(path=path)


def scheduled(db: Engine, language: str) -> None:
    """A person's schedules, and what came of them."""
    names = {"zh": ("座席日报", "线路周报"), "en": ("Agents, day by day", "Carriers of the week")}[language]
    names = tuple(each.replace(",", "") for each in names)
    store, runs, made = Schedules(db), Runs(db), DAY - timedelta(days=9)
    for name, report, every, to, laid in (
        (names[0], "agents", "day", ("lead@company.example", "branch@company.example"), True),
        (names[1], "causes", "week", ("network@company.example",), False),
    ):
        store.save(
            Schedule(
                name,
                report,
                ADMIN.login,
                every,
                time(7),
                "Asia/Shanghai",
                language=language,
                to=to,
                laid=laid,
            ),
            ADMIN.user_id,
            made,
        )
    for each in store.all():
        for now in (DAY - timedelta(days=1), DAY):
            claim = runs.claim(each, span_of(each.every, each.at, ZoneInfo(each.zone), now), now)
            if claim is not None and each.every == "day":
                runs.sent(claim, now, "branch@company.example: 550 mailbox full" if now == DAY else "")
            elif claim is not None:
                runs.failed(claim, now, "mail", "535 5.7.8 authentication failed")


@asynccontextmanager
async def schedules(
    browser: Browser, door: Door, language: str, scheme: str, asked_for: str = ""
) -> AsyncIterator[Page]:
    """The page of the schedules."""
    async with asked(browser, door, "agents", language, scheme) as page:
        await page.goto(f"{door.url}/reports/schedules{asked_for}")
        yield page


async def main(folder: Path, every: bool) -> None:
    async with launched() as browser:
        for language in ("en", "zh"):
            db = database.connect(fresh_url())
            worked(db, language)
            with tempfile.TemporaryDirectory() as home:
                stored = replace(stored_in(db, Path(home)), mail=True, report_folder="/srv/reports")
                async with open_door(stored=stored) as door:
                    scheduled(db, language)
                    if language == "en":
                        async with schedules(browser, door, language, "light") as page:
                            await page.screenshot(path=folder / "schedules-en.png")
                    await picture(
                        browser, door, "hours", language, "light", folder / f"report-hours-{language}.png"
                    )
                    if every:
                        for scheme in ("light", "dark"):
                            for what, query in (("list", ""), ("form", "?change=1")):
                                async with schedules(browser, door, language, scheme, query) as page:
                                    path = folder / f"schedules-{what}-{language}-{scheme}.png"
                                    await page.screenshot(path=path, full_page=True)
                        for report in ("agents", "causes", "compliance"):
                            for scheme in ("light", "dark"):
                                name = f"report-{report}-{language}-{scheme}.png"
                                await picture(browser, door, report, language, scheme, folder / name)
            db.dispose()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES, len(sys.argv) > 1))
