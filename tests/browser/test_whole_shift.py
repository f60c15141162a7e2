"""A whole shift at the page, on a running daemon: ten customers, and all that befalls an agent between two logs.

In English on the virtual switch with a phone on the desk, in Chinese on a real Asterisk with the phone in the page.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.desk import state
from tests.browser.line import Line, line_to
from tests.browser.test_softphone import WITNESS, counted, until
from tests.contract.house import PASSWORD, House
from tests.contract.switches import SwitchUnderTest, VirtualSwitchProcess, calls_over

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(400),
]

CUSTOMERS = 10
CUT_S = 20.0
SLOWEST_MS = 30_000  # a busy machine's switch, until the next customer is there
SPEAKS = "13"  # a customer who answers, stays, and has a voice
SOLD, INTERESTED = "1", "2"
SCRIPT = """
[[script]]
code = "greeting"
text = { en = "Good day, {customer}.", zh = "{customer}您好。" }
ask = "yes_no"
"""


@pytest_asyncio.fixture(
    loop_scope="session", params=["virtual", pytest.param("asterisk", marks=pytest.mark.asterisk)]
)
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    own = VirtualSwitchProcess() if request.param == "virtual" else None
    if own is not None:
        own.start()
    switch: SwitchUnderTest = own or request.getfixturevalue("asterisk_rig")
    house = House(switch, tmp_path)
    yield house
    await house.close()
    await calls_over(switch)
    if own is not None:
        own.stop()


async def goes_both_ways(page: Page, before: dict[str, float]) -> bool:
    """Whether the phone in the page has had and sent voice since then."""
    now = await counted(page)
    return all(now[way] > before[way] for way in ("received", "sent"))


class Shift:
    """An agent at work, by keys alone wherever there is one."""

    def __init__(self, house: House, page: Page, line: Line) -> None:
        self.house, self.page, self.line = house, page, line
        self.had = 0

    async def keys(self, *keys: str) -> None:
        for key in keys:
            await self.page.keyboard.press(key)

    async def begin(self, login: str) -> None:
        await self.page.goto(f"{self.line.url}/login")
        await self.page.fill("[name=login]", login)
        await self.page.fill("[name=password]", PASSWORD)
        await self.page.keyboard.press("Enter")
        if self.house.switch.softphone:
            await state(self.page, "offline")
            await self.keys("l")
        await self.sees("paused")
        await self.keys("r")

    async def sees(self, name: str) -> None:
        await expect(self.page.locator("body")).to_have_attribute("data-state", name, timeout=SLOWEST_MS)

    async def customer(self) -> None:
        """The next customer is on the line and on the screen."""
        await self.sees("talking")
        self.had += 1
        await expect(self.page.locator("#customer-name")).to_have_text(f"客户{self.had}")

    async def hang_up(self) -> None:
        await self.keys("x", "x")
        await self.sees("wrap_up")

    async def done(self, result: str = SOLD) -> None:
        await self.keys(result)
        await expect(self.page.locator("#customer")).to_be_hidden(timeout=SLOWEST_MS)

    async def note(self, text: str) -> None:
        await self.keys("n")
        await self.page.keyboard.type(text)
        await self.keys("Escape")


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_whole_shift(house: House, browser: Browser, language: str) -> None:
    house.campaign([SPEAKS] * CUSTOMERS, extra='transfer_numbers = ["+8613900009*"]')
    house.supervisor_changes("\n[rules]\n", f"{SCRIPT}\n[rules]\n")
    house.person("lina", "seat001")
    await house.start()
    context = await browser.new_context(
        locale="zh-CN" if language == "zh" else "en-GB",
        viewport={"width": 1280, "height": 760},
        ignore_https_errors=True,
        permissions=["microphone"],
    )
    context.set_default_timeout(20_000)
    await context.add_init_script(WITNESS)
    try:
        async with line_to(house.web) as line:
            await _shift(house, context, line, language)
    finally:
        await context.close()


async def _shift(house: House, context: BrowserContext, line: Line, language: str) -> None:
    page = await context.new_page()
    shift = Shift(house, page, line)
    await shift.begin("lina")

    # An ordinary one, with the script and a note.
    await shift.customer()
    says = {"zh": "客户1您好。", "en": "Good day, 客户1."}[language]
    await expect(page.locator("#script-text")).to_have_text(says)
    await shift.keys("q", "1", "Escape")
    await shift.note("wants more")
    await shift.hang_up()
    await shift.done()

    # The page is loaded anew in the middle of a half-typed note.
    await shift.customer()
    await shift.keys("n")
    await page.keyboard.type("half a no")
    await page.reload()
    await shift.sees("talking")
    await expect(page.locator("#customer-name")).to_have_text("客户2")
    await expect(page.locator("#notes")).to_have_value("half a no")
    await shift.hang_up()
    await shift.done()

    # Their network is away for twenty seconds; the customer stays.
    await shift.customer()
    line.silent()
    await asyncio.sleep(CUT_S)
    line.cut()
    line.whole()
    await expect(page.locator("body")).to_have_attribute("data-link", "up", timeout=SLOWEST_MS)
    await shift.sees("talking")
    if house.switch.softphone:  # the voice has gone both ways all the while
        before = await counted(page)
        await until(lambda: goes_both_ways(page, before))
    await shift.hang_up()
    await shift.done()

    # A callback.
    await shift.customer()
    await shift.hang_up()
    await page.fill("#callback", "2030-01-02T10:30")
    await page.locator("#callback").blur()
    await shift.done(INTERESTED)

    # A pause after this one, and back.
    await shift.customer()
    await shift.keys("p", "2")
    await shift.hang_up()
    await shift.done()
    await shift.sees("paused")
    words = {"zh": "用餐", "en": "Lunch"}[language]
    await expect(page.locator("#state-name")).to_contain_text(words)
    await shift.keys("r")

    for _ in range(4):
        await shift.customer()
        await shift.keys("h")
        await shift.sees("held")
        await shift.keys("h")
        await shift.sees("talking")
        await shift.hang_up()
        await shift.done()

    # The last one is for a colleague: asked, all three together, and handed over.
    await shift.customer()
    colleague = await house.working("wang", "seat002")
    await shift.keys("t")
    await expect(page.locator("#target-list button").first).to_contain_text("Wang")
    await shift.keys("1")
    await shift.sees("consulting")
    await shift.keys("j")
    await shift.sees("conference")
    await shift.keys("t")
    await shift.sees("wrap_up")
    await shift.done()
    assert colleague.pop is not None and colleague.pop["customer"] == f"客户{CUSTOMERS}"
    await colleague.do("hang_up", call_id=colleague.pop["call_id"])
    await house.until_so("the last call is over", "SELECT bool_and(outcome IS NOT NULL) FROM attempt")

    await page.click("#day-open")
    await expect(page.locator("#day-figures li").first).to_contain_text(str(CUSTOMERS))
    await shift.keys("Escape")
    await page.click("#log-out button")
    await expect(page).to_have_url(re.compile("/login$"))

    rows = house.attempts()
    assert [row.outcome for row in rows] == ["connected"] * CUSTOMERS
    assert [row.code for row in rows] == ["sold"] * 3 + ["interested"] + ["sold"] * 6
    assert rows[0].notes == "wants more" and rows[1].notes == "half a no"
    assert house.scalar("SELECT answers FROM attempt ORDER BY dialed_at LIMIT 1") == '{"greeting":"yes"}'
    assert house.scalar("SELECT count(*) FROM callback WHERE done_at IS NULL") == 1
    assert house.scalar("SELECT count(*) FROM seat_log WHERE reason = 'lunch' AND state = 'paused'") == 1
