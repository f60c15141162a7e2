"""The status page in a real browser: figures as they come, in words, in both languages."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Route, expect
from sqlalchemy import Engine

from cti.figures import FlaggedCallerId, FloorChange
from cti.settings import WebSettings
from tests.browser.desk import log_in
from tests.browser.screenshots import NAMES, floor, hours, snapshot
from tests.cti.running import MANAGER, SUPERVISOR, Door, open_door, stored_in, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_campaign_is_shown_in_words_and_follows_the_engine(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await log_in(page, door, MANAGER.login)
    await expect(page.locator("#empty")).to_be_visible()
    door.bus.snapshot(snapshot("Broadband renewal", "ratio"))
    card = page.locator(".campaign")
    await expect(card.locator("h2")).to_have_text("Broadband renewal")
    await expect(card.locator("[data-f=abandon_rate]")).to_have_text("1.14%")
    await expect(card.locator("[data-f=target]")).to_have_text("target at most 3.0%")
    await expect(card.locator("[data-f=seats]")).to_contain_text("Talking14")
    await expect(card.locator("[data-f=decision]")).to_contain_text("finds no free seat is above the limit")
    await expect(card.locator("[data-f=why]")).to_contain_text("Risk of the next call4.1%Risk limit3.6%")
    await expect(card.locator("[data-f=refusals]")).to_contain_text("Outside calling hours212")
    await expect(card).to_have_attribute("data-abandon", "under")
    door.bus.snapshot(snapshot("Broadband renewal", "ratio", abandon_rate=0.041, running=False))
    await expect(card.locator("[data-f=abandon_rate]")).to_have_text("4.10%")
    await expect(card).to_have_attribute("data-abandon", "over")
    await expect(card.locator("[data-f=running]")).to_have_text("Draining: 30 calls under way")
    await expect(card).to_have_count(1)
    await expect(card.locator(".callers")).to_be_hidden()
    flagged = (FlaggedCallerId("+862168880001", 0.021, 0.3, out=True),)
    door.bus.snapshot(snapshot("Broadband renewal", "ratio", caller_ids=flagged))
    await expect(card.locator("[data-f=callers]")).to_have_text(
        "+862168880001, taken out of rotation2.1% answered, the others of its pool 30.0%"
    )


async def test_the_status_page_in_chinese(browser: Browser, door: Door) -> None:
    context = await browser.new_context(locale="zh-CN")
    page = await context.new_page()
    await log_in(page, door, MANAGER.login)
    await page.click("button[value=zh]")
    await until(lambda: door.app.state.board.watchers == 1)
    door.bus.snapshot(snapshot("宽带续约", "ratio"))
    card = page.locator(".campaign")
    await expect(card.locator("[data-f=mode]")).to_have_text("固定比例")
    await expect(card.locator("[data-f=seats]")).to_contain_text("通话中14")
    await expect(card.locator("[data-f=decision]")).to_contain_text("没有空闲座席的风险已超过限值")
    await expect(card.locator("[data-f=why]")).to_contain_text("下一通的风险4.1%风险限值3.6%")
    await expect(card.locator("[data-f=refusals]")).to_contain_text("不在可拨打时段212")
    await context.close()


async def test_a_supervisor_sees_who_is_stuck_the_last_hours_and_the_wall(
    browser: Browser, db: Engine, tmp_path: Path
) -> None:
    """With the database behind it, an alarm is acknowledged; a second console hears of it."""
    async with open_door(stored=stored_in(db, tmp_path)) as door:
        context = await browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
        page, other = await context.new_page(), await context.new_page()
        await log_in(page, door, MANAGER.login)
        await page.wait_for_url("**/status")
        await other.goto(f"{door.url}/status")
        await until(lambda: door.app.state.board.watchers == 2)
        newest = snapshot("Broadband renewal", "predictive")
        for each in (*hours(newest), newest):
            door.bus.snapshot(each)
        door.bus.floor(floor("Broadband renewal", NAMES["en"], newest.at))
        alarm = page.locator("#alarms li")
        await expect(alarm).to_contain_text("is stuck: Phone lost for")
        await alarm.get_by_role("button", name="Seen").click()
        await expect(alarm).to_contain_text("seen by 孟洁")
        await expect(other.locator("#alarms li.seen")).to_have_count(1)
        card = page.locator(".campaign")
        await expect(card.locator("[data-f=window]")).to_have_text(
            "31 abandoned of 2,731 in 30 days; 52 more allowed."
        )
        await card.locator("[data-f=hours] summary").click()
        await expect(card.locator("canvas")).to_have_count(4)
        chart = card.get_by_role("img", name="Abandoned in the legal window")
        await expect(chart).to_have_attribute("aria-label", re.compile(r"Abandoned 1\.1%, Target 3\.0%$"))
        await card.locator("[data-f=roster_part] summary").click()
        rows = card.locator("[data-f=roster_rows] tr")
        await expect(rows).to_have_count(23)
        await expect(rows.first).to_contain_text("Phone lost")  # the longest in its state
        await card.get_by_role("button", name="Paused 2").click()
        await expect(rows).to_have_count(2)
        await expect(rows.first).to_contain_text("Lunch")
        first = (await rows.first.get_attribute("data-user")) or ""
        door.bus.floor(FloorChange(at=newest.at, seats=(), gone=(int(first),)))
        await expect(rows).to_have_count(1)
        await page.reload()
        await expect(page.locator("canvas")).to_have_count(4)
        await expect(page.locator("[data-f=roster_rows] tr")).to_have_count(22)  # what was open is open
        await page.click("#wall")
        await expect(page.locator("[data-f=hours]")).to_be_hidden()
        assert page.url.endswith("#wall")
        await context.close()


async def test_a_campaign_that_was_paused_by_somebody_else_between_two_clicks_is_not_started(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    changes: list[object] = []

    async def live(route: Route) -> None:
        if route.request.method == "POST":
            changes.append((route.request.post_data_json or {})["settings"])
        await route.fulfill(json={"version": 1, "settings": {}, "versions": []})

    await page.route(re.compile(r"/api/campaign\b"), live)
    await log_in(page, door, MANAGER.login)
    await until(lambda: door.app.state.board.watchers == 1)
    door.bus.snapshot(snapshot("Broadband renewal", "ratio"))
    run = page.locator("[data-f=run]")
    await expect(run).to_have_text("Pause")
    await run.click()
    await expect(run).to_have_class("armed")
    door.bus.snapshot(snapshot("Broadband renewal", "ratio", running=False))
    await expect(run).to_have_text("Start")
    await run.click()
    await expect(run).to_have_class("armed")
    assert not changes
    await run.click()
    await until(lambda: changes)
    assert changes == [{"running": True}]


async def test_a_campaigns_settings_are_never_shown_as_anothers(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    held: dict[str, list[Route]] = {"North": [], "South": []}

    async def hold(route: Route) -> None:
        held["North" if "North" in route.request.url else "South"].append(route)

    async def answer(name: str, lines: int) -> None:
        await until(lambda: held[name])
        settings = {
            "mode": "ratio", "target": 0.03, "ratio": 2.0, "max_lines": lines, "priority": 0, "ring_limit_s": 30.0,
            "wrap_up_s": 20.0,
        }  # fmt: skip
        async with page.expect_response(lambda response: name in response.url) as told:
            await held[name].pop().fulfill(json={"version": lines, "settings": settings, "versions": []})
        await (await told.value).finished()
        await page.evaluate("new Promise(requestAnimationFrame)")

    await page.route(re.compile(r"/api/campaign\?"), hold)
    await log_in(page, door, MANAGER.login)
    await until(lambda: door.app.state.board.watchers == 1)
    for name in held:
        door.bus.snapshot(snapshot(name, "ratio"))
    north, south = (
        page.locator(".campaign").filter(has_text=name).locator("[data-f=steer]") for name in held
    )
    lines, version = page.locator("[data-setting=max_lines]"), page.locator("#steer-version")
    await north.click()
    await answer("North", 40)
    await expect(lines).to_have_value("40")
    await page.fill("#steer-why", "of the north")
    await page.click("#steer-close")
    await south.click()
    await expect(page.locator("#steer-name")).to_have_text("South")
    for each in (lines, page.locator("#steer-why")):
        await expect(each).to_have_value("")
        await expect(each).to_be_disabled()
    await expect(page.locator("#steer-form button.primary")).to_be_disabled()
    await expect(version).to_be_empty()
    await page.click("#steer-close")
    await north.click()
    await answer("North", 41)
    await expect(lines).to_have_value("41")
    await answer("South", 7)  # which comes late
    await expect(lines).to_have_value("41")
    await expect(version).to_have_text("version 41 is live")
    await expect(lines).to_be_enabled()


async def test_who_logs_a_seat_out_is_told_that_its_call_ends_before_and_after(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await page.route("**/api/seats/state", lambda route: route.fulfill(json={"ok": True}))
    await page.route("**/api/notes", lambda route: route.fulfill(json={"seats": 1}))
    await log_in(page, door, MANAGER.login)
    await until(lambda: door.app.state.board.watchers == 1)
    newest = snapshot("Broadband renewal", "ratio")
    door.bus.snapshot(newest)
    door.bus.floor(floor("Broadband renewal", NAMES["en"], newest.at))
    await page.locator("[data-f=roster_part] summary").click()
    await page.locator("[data-f=roster_rows] button").first.click()
    said = page.locator("#oversight-said")
    log_out, pause = (page.locator(f"#oversight [data-state={each}]") for each in ("log_out", "pause"))
    await log_out.click()
    await expect(said).to_contain_text("is hung up at once. Click again")
    await pause.click()
    await expect(said).to_have_text("Done; in a call it takes effect after it.")
    await log_out.click()
    await page.fill("#note-text", "Lunch at noon")
    await page.locator("#note-form button").click()
    await expect(said).to_have_text("Sent to 1 seats.")
    await log_out.click()
    await expect(said).to_contain_text("is hung up at once. Click again")
    await log_out.click()
    await expect(said).to_have_text("Logged out; a call that the seat had was hung up.")


async def test_a_campaign_that_is_taken_from_a_supervisor_leaves_their_open_console(
    context: BrowserContext,
) -> None:
    async with open_door(WebSettings(session_check_s=0.05)) as door:
        page = await context.new_page()
        await log_in(page, door, SUPERVISOR.login)
        await page.wait_for_url("**/status")
        (token,) = door.accounts.sessions
        door.accounts.sessions[token] = replace(SUPERVISOR, campaigns=("North", "South"))
        for name in ("North", "South"):
            door.bus.snapshot(snapshot(name, "ratio"))
        await page.reload()
        await expect(page.locator(".campaign")).to_have_count(2)
        door.accounts.sessions[token] = replace(SUPERVISOR, campaigns=("South",))
        await expect(page.locator(".campaign")).to_have_count(1)
        await expect(page.locator(".campaign")).to_contain_text("South")


async def test_old_figures_are_marked_as_old(context: BrowserContext, door: Door) -> None:
    page = await context.new_page()
    await log_in(page, door, MANAGER.login)
    await until(lambda: door.app.state.board.watchers == 1)
    door.bus.snapshot(snapshot("Broadband renewal", "ratio", at=1_000_000.0))
    await expect(page.locator("#freshness")).to_contain_text("Figures are")
