"""The planners' pages in a real browser have no fault, in both languages, light and dark.

What a planner does on them is told in test_a_week.py.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect
from sqlalchemy import Engine, text

from campaigns.evaluation.purchases import Purchase, bring_in
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.people import People
from campaigns.segments.store import SegmentStore
from campaigns.segments.taking import Wish, take
from campaigns.store import CampaignStore
from tests.browser.test_accessibility import clean
from tests.browser.test_people_pages import PASSWORD, log_in
from tests.campaigns.trials.test_trials import ARMS
from tests.campaigns.world import CONFIG, NOON, Campaign
from tests.cti.running import open_stored

pytestmark = pytest.mark.asyncio(loop_scope="session")

CITIES = ("兰州", "天水", "武威")
MAKE = "(body) => fetch('/api/plans', { method: 'POST', body }).then((answer) => answer.status)"
PLAN = {
    "campaign": "spring", "days": 30, "segment": "all", "customers": 10, "hours": [10], "arm": "", "name": "summer",
    "until": str(datetime.now(UTC).date() + timedelta(days=14)), "unit": "", "hold_out": 0, "rest_days": 0,
    "why": "it sold",
}  # fmt: skip
WRITTEN = text("""
INSERT INTO message (campaign_id, step, channel, lead_id, number_id, event, due_at, next_at, state, reason, detail)
VALUES (:campaign, 'announced', 'email', 1, 1, 'before', :at, :at, 'sent', 'bounced', 'mailbox full')
""")


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


def tried_side_by_side(db: Engine, campaign_id: int, now: datetime) -> None:
    """Two scripts that the customers of a campaign heard, one of which they like."""
    CampaignStore(db).apply(CONFIG + ARMS, "test", "root", now)
    values = {"campaign": campaign_id, "at": now - timedelta(hours=3)}
    with db.begin() as connection:
        for statement in (
            "INSERT INTO trial_member SELECT campaign_id, 'customer ' || customer_id, "
            "CASE WHEN id % 2 = 0 THEN 'gift' ELSE 'plain' END, 0.5, :at FROM lead WHERE campaign_id = :campaign",
            "INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at, "
            "connected_at, outcome, talk_s, arm) SELECT gen_random_uuid(), :at, l.campaign_id, l.id, n.id, 'main', "
            "'x', :at, :at, 'connected', 60, t.arm FROM lead l JOIN number n ON n.lead_id = l.id JOIN trial_member t "
            "ON t.party = 'customer ' || l.customer_id WHERE l.campaign_id = :campaign",
            "INSERT INTO disposition (call_id, leased_at, user_id, code, notes, do_not_call, final, at) "
            "SELECT call_id, leased_at, 1, 'sold', '', false, true, :at "
            "FROM attempt WHERE campaign_id = :campaign AND arm = 'gift'",
        ):
            connection.execute(text(statement), values)


async def opened(browser: Browser, url: str, locale: str, scheme: str) -> Page:
    context = await browser.new_context(color_scheme=scheme, locale=locale)  # type: ignore[arg-type]
    page = await context.new_page()
    await log_in(page, url, "root")
    await page.wait_for_url("**/status")
    return page


async def test_every_page_has_no_fault(browser: Browser, url: str, db: Engine) -> None:
    now = datetime.now(UTC)
    SegmentStore(db).save("all", "", "", "root", now)
    with db.connect() as connection:
        spring, unit = connection.execute(
            text("SELECT id, unit_id FROM campaign WHERE name = 'spring'")
        ).one()
    take(db, Wish("all", "spring", "wave", hold_out=0.4, rest_days=0), "root", now - timedelta(days=2))
    with db.begin() as connection:
        members = connection.execute(
            text("SELECT substr(party, 10) AS id, held_out FROM segment_member")
        ).all()
        connection.execute(
            text(
                "INSERT INTO best_time_cell SELECT :campaign, 'mobile', d, 'CN-62', 'wave', h, 20 + h, "
                "(h * 7 + d) % 20, :now FROM generate_series(0, 6) d, generate_series(9, 20) h"
            ),
            {"campaign": spring, "now": now},
        )
        connection.execute(
            text("INSERT INTO best_time_arm VALUES (:campaign, false, 900, 300), (:campaign, true, 100, 25)"),
            {"campaign": spring},
        )
    bought = [each.id for each in members if not each.held_out][:20]
    orders = [Purchase(each, (now - timedelta(days=1)).isoformat(), 99) for each in bought]
    assert bring_in(db, unit, orders, "UTC", "test").accepted == len(bought)
    tried_side_by_side(db, spring, now)
    with db.begin() as connection:
        connection.execute(WRITTEN, {"campaign": spring, "at": now})
    for locale, scheme in (("en-GB", "light"), ("zh-CN", "dark"), ("zh-CN", "light"), ("en-GB", "dark")):
        page = await opened(browser, url, locale, scheme)

        async def shows(
            path: str, what: Locator, text: str, page: Page = page, how: str = f"{locale}, {scheme}"
        ) -> None:
            await page.goto(f"{url}/{path}")
            await expect(what).to_contain_text(text, timeout=20_000)
            await clean(page, f"{path}, {how}")

        if scheme == "light" and locale == "en-GB":
            assert await page.evaluate(MAKE, json.dumps(PLAN)) == 200
        await page.goto(f"{url}/segments?name=all")
        await page.fill("#text", 'city = "兰州" and calls < 3 within 30 days and answer "q" = "y"')
        await expect(page.locator("#lines li")).to_have_count(3)
        await clean(page, f"a segment, {locale}, {scheme}")
        await shows("campaigns?name=spring", page.locator("#fits"), "spring")
        await expect(page.locator("#messages tbody tr").last).to_contain_text("mailbox full")
        await shows("evaluation?campaign=spring&by=arm", page.locator("tbody tr").nth(2), "gift")
        await expect(page.locator("tbody tr").first).to_contain_text("20")
        await shows("best-time?campaign=spring", page.locator(".heat tbody tr").nth(6), "")
        await shows("plans?campaign=spring", page.locator("tbody tr").first, "summer")
        await page.context.close()
