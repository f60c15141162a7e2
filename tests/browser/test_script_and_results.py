"""The script beside the customer, results as a tree, and what a result wants first: by keys alone."""

from __future__ import annotations

import secrets

import msgspec
import pytest
from playwright.async_api import BrowserContext, expect

from campaigns.config import parse
from cti.messages import Complete, Crm, Dispose, DispositionChoice, SaveNotes, ScreenPop
from cti.settings import WebSettings
from tests.browser.desk import ready, state, talking
from tests.campaigns.test_script import SCRIPT
from tests.cti.running import AGENT, Door, open_door, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEPS = parse('name = "x"\nswitch = "main"\n' + SCRIPT, "x").script
TREE = (
    DispositionChoice("sold", {"en": "Sold", "zh": "成交"}, "1"),
    DispositionChoice("no", {"en": "Not interested", "zh": "无意向"}, "2"),
    DispositionChoice(
        "dear", {"en": "Too dear", "zh": "价格太高"}, within="no", required=("notes", "broadband")
    ),
    DispositionChoice("rival", {"en": "Bound elsewhere", "zh": "在别家有合约"}, within="no"),
    DispositionChoice("later", {"en": "Later", "zh": "改天再说"}, required=("callback",)),
)
CRM = "https://crm.example/c/C7?from=%2B8613812345678"


async def test_a_script_is_gone_through_by_keys_and_its_answers_are_saved(
    context: BrowserContext, door: Door
) -> None:
    door.engine.script = STEPS
    page = await context.new_page()
    call = await talking(page, door, customer="Emma", script="s1", dispositions=TREE)
    text = page.locator("#script-text")
    await expect(text).to_have_text("Good day, Emma.")
    await page.keyboard.press("q")
    await page.keyboard.press("Enter")
    await expect(text).to_have_text("Do you have broadband?")
    await page.keyboard.press("2")  # none: on to the next question, and not a result
    await expect(text).to_have_text("What do you pay a month?")
    await page.keyboard.type("12x")
    await expect(page.locator("#script-answers input")).to_have_attribute("aria-invalid", "true")
    await page.keyboard.press("Backspace")
    await page.keyboard.type("9")
    await page.keyboard.press("Enter")
    await expect(text).to_have_text("Until when?")
    await page.keyboard.press("Escape")
    await expect(page.locator("#script-place")).to_have_text("2 of 3 answered")
    await expect(page.locator("#notes-state")).to_have_text("Saved")
    saved = door.engine.of(SaveNotes)[-1]
    assert (saved.call_id, saved.answers) == (call, {"broadband": "none", "bill": "129"})  # type: ignore[attr-defined]
    await page.reload()
    await expect(text).to_have_text("Until when?")
    await expect(page.locator("#script-place")).to_have_text("2 of 3 answered")
    await page.keyboard.press("1")
    door.engine.end(AGENT.user_id)
    await state(page, "ready")
    [said] = door.engine.of(Dispose)
    assert (said.code, said.answers) == ("sold", {"broadband": "none", "bill": "129"})  # type: ignore[attr-defined]


async def test_an_answer_leads_where_the_script_says(context: BrowserContext, door: Door) -> None:
    door.engine.script = STEPS
    page = await context.new_page()
    await talking(page, door, script="s1", dispositions=TREE)
    await expect(page.locator("#script")).to_be_visible()
    for key in ("q", "Enter", "1"):
        await page.keyboard.press(key)
    await expect(page.locator("#script-text")).to_have_text("The script ends here.")
    await page.keyboard.press("Backspace")
    await expect(page.locator("#script-text")).to_have_text("Do you have broadband?")
    await expect(page.locator("#script-answers [aria-pressed=true]")).to_contain_text("Ours")


async def test_a_result_is_found_in_its_tree_and_says_what_it_wants(
    context: BrowserContext, door: Door
) -> None:
    door.engine.script = STEPS
    page = await context.new_page()
    await talking(page, door, script="s1", dispositions=TREE)
    await expect(page.locator("#script")).to_be_visible()
    door.engine.end(AGENT.user_id)
    await state(page, "wrap_up")
    await page.keyboard.press("2")
    await expect(page.locator("#results button")).to_have_count(2)
    await page.keyboard.press("Backspace")
    await expect(page.locator("#results button")).to_have_count(3)
    await page.keyboard.press("/")
    await page.keyboard.type("太高")
    await expect(page.locator("#results button")).to_have_count(1)
    await page.keyboard.press("Enter")
    await expect(page.locator("#message")).to_have_text("This result wants notes first.")
    assert not door.engine.of(Dispose)
    await page.keyboard.type("Pays 99 elsewhere")
    await page.keyboard.press("Escape")
    await expect(page.locator("#result-hint")).to_contain_text("Something is missing")
    for key in ("q", "Enter", "1"):
        await page.keyboard.press(key)
    await page.keyboard.press("Escape")
    await state(page, "ready")
    [said] = door.engine.of(Dispose)
    assert (said.code, said.notes, said.answers) == ("dear", "Pays 99 elsewhere", {"broadband": "ours"})  # type: ignore[attr-defined]


async def test_who_is_asked_writes_nothing_down_and_goes_on_with_the_colleagues_notes_once_it_is_theirs(
    context: BrowserContext, door: Door
) -> None:
    door.engine.script = STEPS
    page = await context.new_page()
    notes, answers = page.locator("#notes"), page.locator("#script-answers button")
    await ready(page, door)
    door.engine.seat(AGENT.user_id, "asked")
    call = secrets.token_hex(16)
    door.engine.call[AGENT.user_id] = call
    pop = ScreenPop(
        user_id=AGENT.user_id, call_id=call, campaign="demo", number="+8613812345678", customer="Emma",
        attributes={}, answered_at=0.0, dispositions=TREE, script="s1", notes="hers so far",
    )  # fmt: skip
    door.bus.to_seat(pop)
    door.engine.tell_call(AGENT.user_id, "consulting", party="张伟")
    await expect(notes).to_have_value("hers so far")
    await expect(notes).to_be_disabled()
    await expect(page.locator("#script")).to_be_visible()
    for key in ("q", "Enter", "1"):
        await page.keyboard.press(key)
    await expect(page.locator("#script-text")).to_have_text("Do you have broadband?")
    await expect(answers.first).to_be_disabled()
    await page.keyboard.press("Escape")
    door.bus.to_seat(msgspec.structs.replace(pop, notes="hers", answers={"broadband": "none"}))
    door.engine.connect(AGENT.user_id)
    await state(page, "talking")
    await expect(notes).to_have_value("hers")
    await page.reload()
    await expect(notes).to_have_value("hers")
    await expect(notes).to_be_enabled()
    await page.keyboard.press("q")  # where they had gone on to
    await expect(page.locator("#script-answers [aria-pressed=true]")).to_contain_text("None")
    await page.keyboard.press("Escape")
    await notes.fill("hers, and his")
    await expect(page.locator("#notes-state")).to_have_text("Saved")
    [saved] = door.engine.of(SaveNotes)
    assert (saved.notes, saved.answers) == ("hers, and his", {"broadband": "none"})  # type: ignore[attr-defined]


async def test_what_was_answered_last_goes_with_the_customer_and_what_was_taken_back_is_gone(
    context: BrowserContext, door: Door
) -> None:
    door.engine.script = STEPS
    page = await context.new_page()
    await talking(page, door, script="s1", dispositions=TREE)
    door.engine.tell_call(AGENT.user_id, "consulting", party="张伟")
    await expect(page.locator("#script-text")).to_contain_text("Good day")
    await expect(page.locator("#complete")).to_be_visible()
    for key in ("q", "Enter", "2", "Escape"):
        await page.keyboard.press(key)
    await page.locator("#complete").click()
    await until(lambda: door.engine.of(Complete))
    told = [each for each in door.engine.commands if isinstance(each, SaveNotes | Complete)]
    *_, last, complete = told  # who is slow has it saved before, too
    assert isinstance(complete, Complete)
    assert isinstance(last, SaveNotes) and last.answers == {"broadband": "none"}
    await state(page, "wrap_up")
    await page.locator("#script-back").click()
    await page.locator("#script-answers [aria-pressed=true]").click()
    for key in ("Escape", "1"):
        await page.keyboard.press(key)
    await state(page, "ready")
    saved = [each for each in door.engine.commands if isinstance(each, SaveNotes | Dispose)]
    assert [type(each) for each in saved[-2:]] == [SaveNotes, Dispose] and saved[-2].answers == {}


async def test_a_callback_is_at_the_customers_time_or_mine_and_by_whom_i_say(
    context: BrowserContext, door: Door
) -> None:
    page = await context.new_page()
    await talking(page, door, dispositions=TREE, zone="Pacific/Chatham")
    owner, zone = page.locator("#callback-for"), page.locator("#callback-zone")
    await page.fill("#callback", "2030-01-02T10:30")
    await expect(owner.locator("option")).to_have_text(["by anyone", "by me", "王芳"])
    await expect(zone.locator("option:checked")).to_have_text("customer's time")
    await zone.select_option("mine")
    await owner.select_option("王芳")
    await page.reload()
    await expect(owner.locator("option:checked")).to_have_text("王芳")
    await expect(zone.locator("option:checked")).to_have_text("my time")
    await page.locator("#results button", has_text="Later").click()
    door.engine.end(AGENT.user_id)
    await state(page, "ready")
    [said] = door.engine.of(Dispose)
    here = await page.evaluate("Date.parse('2030-01-02T10:30') / 1000")
    assert (said.callback_at, said.callback_local, said.callback_for) == (here, "", 12)  # type: ignore[attr-defined]


async def test_the_companys_own_system_is_a_link_or_within_the_page(context: BrowserContext) -> None:
    async with open_door(WebSettings(frames=("https://crm.example",))) as door:
        page = await context.new_page()
        await page.route("https://crm.example/**", lambda route: route.fulfill(body="<h1>C7</h1>"))
        await talking(page, door, crm=Crm(CRM, frame=True))
        await expect(page.locator("#crm")).to_have_attribute("href", CRM)
        await expect(page.frame_locator("#crm-frame").locator("h1")).to_have_text("C7")
    async with open_door() as door:
        page = await context.new_page()
        await talking(page, door, crm=Crm(CRM, frame=True))
        await expect(page.locator("#crm")).to_be_visible()
        await expect(page.locator("#crm-frame")).to_be_hidden()
