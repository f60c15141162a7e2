"""Makes the pictures of the planners' pages in docs/images: `python -m tests.browser.planning_pictures [FOLDER]`."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.async_api import Browser, Page, expect
from sqlalchemy import Engine, text

from campaigns import database
from campaigns.evaluation.purchases import Purchase, bring_in
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.people import People
from campaigns.segments.store import SegmentStore
from campaigns.segments.taking import Wish, take
from tests.browser.chromium import launched
from tests.browser.test_people_pages import PASSWORD, log_in
from tests.campaigns.world import NOON, Campaign
from tests.cti.running import open_stored
from tests.database import fresh_url

IMAGES = Path(__file__).parents[2] / "docs" / "images"
CUSTOMERS = 3_000
CITIES = {"en": ("North", "East", "West", "South"), "zh": ("兰州", "天水", "武威", "张掖")}
NAMES = {"en": ("autumn-fibre", "ending soon"), "zh": ("autumn-fibre", "合约将到期")}
TRIAL = """[worth]
conversion = 120.0
seat_hour = 60.0
call = 0.1
days = 30

[trial]
[[trial.arms]]
code = "plain"
[[trial.arms]]
code = "gift"
"""
CALLED = text("""
INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at, answered_at,
    connected_at, ended_at, outcome, talk_s, arm, user_id)
SELECT gen_random_uuid(), l.at, l.campaign_id, l.id, n.id, 'main', 'x', l.at, l.at,
    CASE WHEN talked THEN l.at END, l.at,
    CASE WHEN talked THEN 'connected' ELSE 'no_answer' END, CASE WHEN talked THEN 90 + l.id % 120 END, t.arm,
    CASE WHEN talked THEN 1 END
FROM (SELECT *, CAST(:since AS timestamptz) + (id % 9) * interval '1 hour' AS at, id % 5 < 2 AS talked FROM lead) l
JOIN number n ON n.lead_id = l.id JOIN trial_member t ON t.party = 'customer ' || l.customer_id
WHERE l.campaign_id = :campaign
""")
DISPOSED = text("""
INSERT INTO disposition (call_id, leased_at, user_id, code, notes, do_not_call, final, at)
SELECT call_id, leased_at, 1, CASE WHEN abs(hashtext(call_id::text)) % 100 < CASE arm WHEN 'gift' THEN 21 ELSE 13 END
    THEN 'sold' ELSE 'not_interested' END, '', false, true, leased_at
FROM attempt WHERE campaign_id = :campaign AND outcome = 'connected'
""")
ARMS = text("""
INSERT INTO trial_member SELECT campaign_id, 'customer ' || customer_id,
    CASE WHEN id % 2 = 0 THEN 'gift' ELSE 'plain' END, 0.5, :at FROM lead WHERE campaign_id = :campaign
""")
CELLS = text("""
INSERT INTO best_time_cell SELECT :campaign, 'mobile', d, 'CN-62', 'wave', h, 200 + h * 3,
    36 + CAST(24 * sin((h - 9) / 3.7 + d * 0.25) + 14 * sin(h * 0.9) AS int), :at
FROM generate_series(0, 6) d, generate_series(9, 20) h
""")
BEST = text("INSERT INTO best_time_arm VALUES (:campaign, false, 900, 331), (:campaign, true, 100, 28)")
SHIFTS = text("INSERT INTO rollup_seat VALUES (:at, :campaign, 1, 'talking', '', 30, 260000000)")


def planned(db: Engine, language: str) -> None:
    """A campaign that called a segment a week ago, half of it with a gift, and what was bought since."""
    dice, now = random.Random(7), datetime.now(UTC)
    name, segment = NAMES[language]
    cities = CITIES[language]
    root = People(db).add("", "root", "Root", "administrator", PASSWORD)
    pool = Campaign(db, leads=0, name="customers")
    rows = [
        Row(n, (f"+86139{n:08d}",), f"C {n}", {"city": cities[n % 4], "months_left": n % 24}, ("Asia/Shanghai",),
            customer_id=f"C{n}")
        for n in range(CUSTOMERS)
    ]  # fmt: skip
    store_rows(db, pool.id, "all", "test", NOON, rows)
    campaign = Campaign(db, leads=0, name=name, more=TRIAL)
    asked = f'city in ("{cities[0]}", "{cities[1]}") and months_left <= 18'
    SegmentStore(db).save(segment, asked, "", "root", now)
    take(db, Wish(segment, name, "wave", hold_out=0.3, rest_days=0), "root", now - timedelta(days=7))
    values = {"campaign": campaign.id, "at": now - timedelta(days=6), "since": now - timedelta(days=6)}
    with db.begin() as connection:
        for statement in (ARMS, CALLED, DISPOSED, CELLS, BEST, SHIFTS):
            connection.execute(statement, values)
        members = connection.execute(
            text("SELECT substr(party, 10) AS id, held_out FROM segment_member")
        ).all()
        unit = connection.execute(text("SELECT id FROM unit WHERE parent_id IS NULL")).scalar_one()
    orders = [
        Purchase(each.id, (now - timedelta(days=dice.uniform(1, 5))).isoformat(), 129)
        for each in members
        if dice.random() < (0.031 if each.held_out else 0.083)
    ]
    bring_in(db, unit, orders, "UTC", str(root))


async def taken(browser: Browser, url: str, language: str, folder: Path) -> None:
    """Each page once."""
    name, segment = NAMES[language]
    context = await browser.new_context(
        locale={"zh": "zh-CN", "en": "en-GB"}[language], viewport={"width": 1480, "height": 820}
    )
    page = await context.new_page()
    await log_in(page, url, "root")
    await page.wait_for_url("**/status")

    async def picture(path: str, file: str, ready: str) -> Page:
        await page.goto(f"{url}/{path}")
        await expect(page.locator(ready).first).to_be_visible(timeout=20_000)
        await page.wait_for_load_state("networkidle")
        await page.screenshot(path=folder / f"{file}-{language}.png", full_page=True)
        return page

    await picture(f"segments?name={segment}", "segment", "#lines li")
    await picture(f"campaigns?name={name}", "campaign", "#fits")
    await picture(f"evaluation?campaign={name}&by=arm", "evaluation", "tbody tr")
    await picture(f"plans?campaign={name}", "plans", "#plan")
    await picture(f"best-time?campaign={name}", "best-time", ".heat tbody tr")
    await context.close()


async def main(folder: Path) -> None:
    async with launched() as browser:
        for language in ("en", "zh"):
            db = database.connect(fresh_url())
            planned(db, language)
            with tempfile.TemporaryDirectory() as home:
                async with open_stored(db, Path(home)) as (url, _):
                    await taken(browser, url, language, folder)
            db.dispose()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES))
