"""An agent changes a customer's data in mid-call, by keys, and sees what was changed before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, expect
from sqlalchemy import Engine

from cti.messages import CustomerEdited, FieldLabel
from tests.browser.desk import state, talking
from tests.browser.test_accessibility import clean
from tests.campaigns.test_editing import FIELDS
from tests.campaigns.world import Campaign
from tests.cti.running import AGENT, Door, open_door, stored_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

LABELS = (
    FieldLabel("plan", {"en": "Plan", "zh": "套餐"}, "choice", ("basic", "family")),
    FieldLabel("age", {"en": "Age", "zh": "年龄"}, "integer"),
)


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_data_are_changed_and_what_they_were_is_shown(
    browser: Browser, db: Engine, tmp_path: Path, locale: str
) -> None:
    campaign = Campaign(db, leads=1, name="demo", more=FIELDS)
    lead = campaign.one("SELECT min(id) FROM lead")[0]
    async with open_door(stored=stored_in(db, tmp_path)) as door:
        context = await browser.new_context(locale=locale, viewport={"width": 1280, "height": 900})
        page = await context.new_page()
        await talking(page, door, customer="客户0", attributes={"n": 0}, fields=LABELS, lead_id=lead)
        await page.keyboard.press("i")
        form = page.locator("#edit-form")
        await expect(form).to_be_visible()
        await page.fill("#edit-0", "王小明")
        await page.select_option("#edit-1", "family")
        await page.fill("#edit-2", "forty")
        await page.keyboard.press("Enter")
        await expect(page.locator("#edit-fault")).to_contain_text("Age" if locale == "en-GB" else "年龄")
        await clean(page, "editing")
        await page.screenshot(path=str(tmp_path / f"edit-{locale}.png"))
        await page.fill("#edit-2", "41")
        await page.fill("#edit-number", "139 1111 2222")
        await page.keyboard.press("Enter")
        await expect(form).to_be_hidden()
        await expect(page.locator("#customer-name")).to_have_text("王小明")
        await expect(page.locator("#attributes")).to_contain_text("41")
        told = door.engine.of(CustomerEdited)[-1]  # for a colleague who has the customer next
        assert (told.name, told.attributes["age"]) == ("王小明", 41)  # type: ignore[attr-defined]
        await expect(page.locator("#edit-list li")).to_have_count(4)
        await expect(page.locator("#other-numbers")).to_contain_text("139 1111 2222")
        await page.screenshot(path=str(tmp_path / f"edited-{locale}.png"))
        await page.reload()
        await state(page, "talking")
        await expect(page.locator("#customer-name")).to_have_text("王小明")
        assert door.gateway.pop_of(AGENT.user_id) is not None
        await context.close()


async def half_changed(context: BrowserContext, door: Door) -> Page:
    """In wrap-up, with another name typed and not saved."""
    page = await context.new_page()
    await talking(page, door, customer="first", attributes={"n": 0}, lead_id=1)
    door.engine.end(AGENT.user_id)
    await state(page, "wrap_up")
    await page.keyboard.press("i")
    await page.fill("#edit-0", "typed")
    return page


async def test_the_form_goes_with_its_customer_and_says_what_is_lost(
    context: BrowserContext, door: Door
) -> None:
    page = await half_changed(context, door)
    door.engine.seat(AGENT.user_id, "ready")  # wrap-up has run out
    await state(page, "ready")
    await expect(page.locator("#edit-form")).to_be_hidden()
    await expect(page.locator("#message")).to_contain_text("not saved")


@pytest.mark.parametrize("next_one", [True, False])
@pytest.mark.parametrize("ok", [True, False])
async def test_what_is_saved_late_is_not_shown_on_another_customers_card(
    context: BrowserContext, door: Door, ok: bool, next_one: bool
) -> None:
    page = await half_changed(context, door)
    faults: list[Exception] = []

    def keep(fault: Exception) -> None:
        faults.append(fault)

    page.on("pageerror", keep)
    asked, answered = asyncio.Event(), asyncio.Event()

    async def answer(route: Route) -> None:
        asked.set()
        await answered.wait()
        customer = {"name": "typed", "attributes": {"n": 1}}
        await route.fulfill(status=200 if ok else 422, json=customer if ok else {"error": "wrong_type"})

    await page.route("**/api/customer", answer)
    await page.keyboard.press("Enter")
    await asked.wait()
    door.engine.seat(AGENT.user_id, "ready")
    if next_one:
        door.engine.pop(AGENT.user_id, "second", attributes={"n": 2})
        await expect(page.locator("#customer-name")).to_have_text("second")
    else:
        await state(page, "ready")
    answered.set()
    await expect(page.locator("#edit-save")).to_be_enabled()
    await expect(page.locator("#edit-form")).to_be_hidden()
    if next_one:
        await expect(page.locator("#customer-name")).to_have_text("second")
        await expect(page.locator("#attributes")).to_contain_text("2")
    else:
        await expect(page.locator("#nobody")).to_be_visible()
        await expect(page.locator("#customer")).to_be_hidden()
    if not ok:
        await expect(page.locator("#message")).to_contain_text("not saved")
    assert not faults
