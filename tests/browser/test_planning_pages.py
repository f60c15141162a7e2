"""A planner in a real browser: builds a segment by lines and by text, sees the count, saves, and has it called."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
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


async def test_a_campaign_is_made_like_another_and_rewritten(browser: Browser, url: str) -> None:
    page = await opened(browser, url, "en-GB", "light")
    await page.goto(f"{url}/campaigns")
    await page.fill("[name=new]", "autumn")
    await page.select_option("[name=like]", "spring")
    await page.press("[name=new]", "Enter")
    await expect(page.locator("#fits")).to_contain_text("In order: autumn", timeout=20_000)
    await page.fill(
        "#text", (await page.input_value("#text")).replace("running = false", "running = false\ntarget = 7")
    )
    await expect(page.locator("#problem")).to_contain_text("target", timeout=20_000)
    await expect(page.locator("#save")).to_be_disabled()
    await page.fill("#text", (await page.input_value("#text")).replace("target = 7", "target = 0.02"))
    await expect(page.locator("#save")).to_be_enabled(timeout=20_000)
    await page.fill("#why", "the autumn offer")
    await page.click("#save")
    await page.wait_for_url("**/campaigns?name=autumn*")
    await expect(page.locator("h2").first).to_have_text("Campaign “autumn”, version 1")
    await page.fill("#text", (await page.input_value("#text")).replace("0.02", "0.01"))
    await expect(page.locator("#save")).to_be_enabled(timeout=20_000)
    await page.click("#save")  # without why nothing is saved
    await page.fill("#why", "complaints")
    await page.click("#save")
    await page.wait_for_url("**made=2")
    await page.context.close()
    for locale, scheme in (("zh-CN", "dark"), ("zh-CN", "light"), ("en-GB", "dark")):
        page = await opened(browser, url, locale, scheme)
        await page.goto(f"{url}/campaigns?name=autumn&made=2")
        await expect(page.locator("#save")).to_be_enabled(timeout=20_000)
        await clean(page, f"a campaign, {locale}, {scheme}")
        await page.context.close()


async def test_what_calls_were_worth_and_when_to_call(browser: Browser, url: str, db: Engine) -> None:
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
    for locale, scheme in (("en-GB", "light"), ("zh-CN", "dark"), ("zh-CN", "light"), ("en-GB", "dark")):
        page = await opened(browser, url, locale, scheme)
        await page.goto(f"{url}/evaluation?campaign=spring&by=arm")
        await expect(page.locator("tbody tr").first).to_contain_text("20")
        await expect(page.locator("tbody tr").nth(2)).to_contain_text("gift")
        await clean(page, f"evaluation, {locale}, {scheme}")
        await page.goto(f"{url}/best-time?campaign=spring")
        await expect(page.locator(".heat tbody tr")).to_have_count(7)
        await clean(page, f"best time, {locale}, {scheme}")
        await page.goto(f"{url}/plans?campaign=spring")
        if scheme == "light" and locale == "en-GB":
            await page.fill("#plan [name=customers]", "10")
            await page.check("#plan [name=hours][value='10']")
            await page.get_by_text("Reckon anew").click()
            await expect(page.locator("#plan [name=customers]")).to_have_value("10")
            await page.fill("#name", "summer")
            await page.fill("#rest_days", "0")
            await page.fill("#why", "what sold goes on")
            await page.click("#make")
            await expect(page.locator("#told")).to_contain_text("summer is there", timeout=30_000)
            await page.reload()
        await expect(page.locator("tbody tr").first).to_contain_text("summer")
        await clean(page, f"plans, {locale}, {scheme}")
        await page.context.close()
