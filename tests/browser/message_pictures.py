"""Makes the pictures of a campaign's messages in docs/images: `python -m tests.browser.message_pictures [FOLDER]`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from playwright.async_api import Browser, expect
from sqlalchemy import Engine

from campaigns import database
from campaigns.messages.announcing import Announcer
from campaigns.messages.answers import Event, take
from campaigns.messages.bounces import bounce_of, return_address, take_bounce
from campaigns.messages.choices import ChoiceStore
from campaigns.messages.outbox import Letter
from campaigns.people import People
from tests.browser.chromium import launched
from tests.browser.test_people_pages import PASSWORD, log_in
from tests.campaigns.messages.mails import report
from tests.campaigns.messages.world import CONFIRMED, MISSED, OFFER, Writing
from tests.campaigns.world import NOON, later
from tests.cti.running import open_stored
from tests.database import fresh_url

IMAGES = Path(__file__).parents[2] / "docs" / "images"
HOME, SECRET = "bounces@company.example", "sixteen characters"
CUSTOMERS = 240
ANNOUNCED = """
[[messages.steps]]
code = "announced"
channel = "sms"
before_call_s = 3600
ahead = 150
hold_out = 0.1
text = { zh = "{name}您好，一小时后我们将致电给您。拒收请回复R", en = "{name}, we will call you in an hour" }
"""
DAY = timedelta(days=1)


def written(db: Engine) -> None:
    """A campaign in its third day: most of what can become of a message has become of one."""
    People(db).add("", "root", "Root", "administrator", PASSWORD)
    world = Writing(db, ANNOUNCED + MISSED + OFFER + CONFIRMED, CUSTOMERS)
    announcer, outbox = Announcer(db), world.outbox

    def sent(at: object, channels: tuple[str, ...] = ("sms", "email")) -> list[Letter]:
        letters = []
        while found := world.claim(at, channels):  # type: ignore[arg-type]
            letters += [each for each in found if outbox.sent(each, at)]  # type: ignore[arg-type]
        return letters

    def told(kind: str, letters: list[Letter], said: str = "") -> None:
        events = [Event(kind=kind, message=each.key, sender=each.address, text=said) for each in letters]  # type: ignore[arg-type]
        take(db, "sms", events, NOON)

    ChoiceStore(db).say("email", "kunde7@example.com", False, "link", NOON)
    announcer.look(NOON)
    first = world.claim(NOON, limit=100)
    for n, letter in enumerate(first):
        if n % 25 == 0:
            outbox.failed(letter, NOON, "550 unknown subscriber", for_good=True)
        else:
            outbox.sent(letter, NOON)
    told("delivered", first[1:80])
    announcer.look(NOON)
    calls = world.campaign.lease(200, later(hours=1))
    for n, lead in enumerate(calls):
        world.call(lead, outcome="connected" if n % 4 == 0 else "no_answer", at=later(hours=1))
        if n % 12 == 0:
            world.disposed(lead, "sold", later(hours=1))
    mails = sent(later(hours=1), ("email",))
    for n, letter in enumerate(mails[:9]):
        said = {"status": "5.1.1"} if n % 3 else {"status": "5.2.2", "said": "552 5.2.2 mailbox full"}
        back = return_address(HOME, SECRET, letter.key)
        take_bounce(db, bounce_of(report(back, **said), HOME, SECRET), later(hours=2))
    announcer.look(later(hours=1))
    texts = world.claim(later(days=2, hours=1), ("sms",), limit=60)
    for letter in texts:
        outbox.sent(letter, later(days=2, hours=1))
    told("delivered", texts[:50])
    told("failed", texts[50:53], "absent subscriber")
    told("reply", texts[:4], "退订")


async def taken(browser: Browser, url: str, folder: Path) -> None:
    """The messages of the campaign, in each language and scheme."""
    for language, locale in (("en", "en-GB"), ("zh", "zh-CN")):
        for scheme in ("light", "dark"):
            context = await browser.new_context(
                locale=locale, viewport={"width": 1180, "height": 820}, color_scheme=scheme
            )  # type: ignore[arg-type]
            page = await context.new_page()
            await log_in(page, url, "root")
            await page.wait_for_url("**/status")
            await page.goto(f"{url}/campaigns?name=spring")
            await expect(page.locator("#messages tbody tr").first).to_be_visible(timeout=20_000)
            suffix = language if scheme == "light" else f"{language}-{scheme}"
            if scheme == "light" or folder != IMAGES:
                await page.locator("#messages").screenshot(path=folder / f"messages-{suffix}.png")
            await context.close()


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    db = database.connect(fresh_url())
    written(db)
    async with launched() as browser:
        with tempfile.TemporaryDirectory() as home:
            async with open_stored(db, Path(home)) as (url, _):
                await taken(browser, url, folder)
    db.dispose()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES))
