"""Makes the pictures in docs/images: `python -m tests.browser.screenshots [FOLDER]`."""

from __future__ import annotations

import asyncio
import math
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from playwright.async_api import Browser, Page, expect

from campaigns.script import Choice, Step
from cti.figures import CampaignPart, CampaignSnapshot, FloorChange, SeatRow, Trunk
from cti.messages import Crm, DispositionChoice
from cti.settings import OidcSettings, WebSettings
from tests.browser.chromium import launched
from tests.cti.running import AGENT, MANAGER, PASSWORD, Door, open_door, until

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SIZE = (1280, 760)

CUSTOMERS = {
    "en": ("Emma Lindqvist", "+46701740615", "Broadband renewal"),
    "zh": ("王小明", "+8613812345678", "宽带续约"),
}
ATTRIBUTES = {
    "en": {
        "Plan": "Fibre 300, 129 a month",
        "Contract ends": "31 December 2026",
        "Customer since": "2019",
        "Last contact": "12 March 2026: asked for a faster plan",
        "Devices": "2 phones, 1 router",
        "Address": "Storgatan 14, Umeå",
    },
    "zh": {
        "当前套餐": "融合套餐 129 元/月（300M 宽带）",
        "合约到期": "2026-12-31",
        "入网时间": "2019 年 6 月",
        "上次联系": "2026-03-12 咨询提速",
        "终端": "手机 2 部，光猫 1 台",
        "地址": "安居路 18 号 3 单元",
    },
}
SCRIPT = (
    Step(code="greeting", text={"en": "Good day, {customer}.", "zh": "{customer}您好。"}),
    Step(
        code="broadband",
        text={
            "en": "Your contract ends soon. Are you happy with the speed you have?",
            "zh": "您的宽带合约即将到期，现在的网速够用吗？",
        },
        ask="choice",
        choices=(
            Choice(code="happy", label={"en": "Happy with it", "zh": "够用"}),
            Choice(code="slow", label={"en": "Too slow", "zh": "偏慢"}),
            Choice(code="leaving", label={"en": "Wants to leave", "zh": "打算换网"}),
        ),
    ),
)
RESULTS = (
    DispositionChoice("sold", {"en": "Renewed", "zh": "已续约"}),
    DispositionChoice("later", {"en": "Call back", "zh": "需回访"}, required=("callback",)),
    DispositionChoice("no", {"en": "Not interested", "zh": "无意向"}),
    DispositionChoice("dear", {"en": "Too expensive", "zh": "价格太高"}, within="no"),
    DispositionChoice("wrong", {"en": "Wrong person", "zh": "非本人"}, other_number=True),
)
HELD = {
    "window": {"leads": 9_800, "alone": 9_100},
    "retry_delay": {"leads": 4_310, "alone": 4_000},
    "dnc": {"leads": 57, "alone": 57},
}
NOTES = {
    "en": "Wants 500 Mbit/s if the price stays. Router is from 2019.",
    "zh": "想升级到 500M，价格不变可当场办理。光猫是 2019 年的。",
}


def snapshot(campaign: str, mode: str, **more: object) -> CampaignSnapshot:
    """A campaign in full swing."""
    fields: dict[str, object] = {
        "campaign": campaign,
        "at": time.time(),
        "mode": mode,
        "running": True,
        "seats": {"ready": 2, "talking": 14, "wrap_up": 3, "connecting": 1, "paused": 2, "no_phone": 1},
        "lines": {"dialing": 4, "ringing": 11, "connecting": 1, "connected": 14},
        "dials": 8412,
        "answered_humans": 2731,
        "connected": 2689,
        "abandoned": 31,
        "abandon_rate": 31 / 2731,
        "target": 0.03,
        "idle_s_per_call": 11.4,
        "occupancy": 0.83,
        "leads_left": 21_377,
        "decision": {
            "dial": 1,
            "bound": "risk",
            "idle_seats": 2,
            "in_air": 15,
            "expected_free": 5.6,
            "expected_answers": 4.1,
            "risk": 0.0412,
            "risk_limit": 0.036,
            "earned": 52.5,
            "abandon_rate": 0.0114,
            "answer_share": 0.325,
        },
        "refusals": {"window": 212, "dnc": 57, "lock_out": 9},
        "window_s": 30 * 86_400.0,
        "window_answered": 2731.0,
        "window_abandoned": 31.0,
        "budget": 52.5,
        "idle_s": 30_650.0,
        "busy_s": 149_600.0,
        "outcomes": {"connected": 2689, "abandoned": 31, "no_answer": 4100, "busy": 912, "failed": 31},
        "trunk": Trunk("main", up=True, in_use=31, most=120),
    }
    return CampaignSnapshot(**(fields | more))  # type: ignore[arg-type]


def hours(newest: CampaignSnapshot) -> Iterator[CampaignSnapshot]:
    """The four hours before this snapshot, with a weak one in the middle of them."""
    share = {"dials": newest.dials, "answered_humans": newest.answered_humans, "connected": newest.connected}
    idle_s = busy_s = 0.0
    slacks = [1.0 + 0.35 * _wave(n) + (1.6 if 200 < n < 235 else 0.0) for n in range(480)]
    for n in range(480):
        wave = _wave(n)
        idle_s += slacks[n] * newest.idle_s / sum(slacks)
        busy_s += newest.busy_s / 480
        counts = {
            name: round(count * (n + 1) / 480 - (6 * wave if n < 479 else 0)) for name, count in share.items()
        }
        yield msgspec.structs.replace(
            newest,
            at=newest.at - (480 - n) * 30.0,
            abandon_rate=0.011 + 0.003 * wave,
            idle_s=idle_s,
            busy_s=busy_s,
            seats={"ready": 2, "talking": round(13 + 2 * wave), "wrap_up": 5, "paused": 3},
            lines={"ringing": round(14 + 5 * wave), "connected": round(13 + 2 * wave)},
            **counts,
        )


def _wave(n: int) -> float:
    return math.sin(n / 23) + 0.4 * math.sin(n / 7)


def floor(campaign: str, names: Sequence[str], at: float) -> FloorChange:
    """Who sits there: the states are those of :func:`snapshot`."""
    states = (
        ["talking"] * 14 + ["ready"] * 2 + ["wrap_up"] * 3 + ["connecting", "paused", "paused", "no_phone"]
    )
    draw = random.Random(7)
    rows = []
    for n, state in enumerate(states):
        since = at - {"talking": 170, "wrap_up": 25, "connecting": 1, "no_phone": 260}.get(
            state, 60
        ) * draw.uniform(0.2, 1.0)
        reason = {"paused": "lunch", "no_phone": "phone_lost"}.get(state, "")
        name = names[n % len(names)] + (f" {n // len(names) + 1}" if n >= len(names) else "")
        until = since + 30 if state == "wrap_up" else None
        rows.append(SeatRow(100 + n, name, state, since, campaign, (campaign,), reason, until))
    return FloorChange(at=at, seats=tuple(rows))


STEERED = {
    "en": ("chen", ("More seats came at ten", "Few complaints, and idle seats")),
    "zh": ("chen", ("十点增加了座席", "投诉很少，座席空等")),
}
NAMES = {
    "en": (
        "Astrid Holm",
        "Erik Berg",
        "Maja Lind",
        "Oskar Nyman",
        "Freja Dahl",
        "Nils Ek",
        "Saga Lund",
        "Hugo Falk",
    ),
    "zh": ("李娜", "张伟", "王芳", "刘洋", "陈杰", "杨静", "赵磊", "黄敏", "周涛", "吴丽", "徐强", "孙燕"),
}


async def log_in(page: Page, door: Door, login: str) -> None:
    await page.goto(f"{door.url}/login")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", PASSWORD)
    await page.click("button.primary")


async def seat_pictures(browser: Browser, language: str, folder: Path, scheme: str = "light") -> None:
    """The seat's page: waiting, in a call, wrapping up."""
    suffix = language if scheme == "light" else f"{language}-{scheme}"
    async with open_door() as door:
        context = await browser.new_context(
            viewport={"width": SIZE[0], "height": SIZE[1]},
            locale="zh-CN" if language == "zh" else "en-GB",
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        page = await context.new_page()
        await page.goto(f"{door.url}/login")
        await page.screenshot(path=folder / f"login-{suffix}.png")
        await log_in(page, door, AGENT.login)
        await page.wait_for_selector("[data-state=paused]")
        await page.keyboard.press("r")
        await page.wait_for_selector("[data-state=ready]")
        await page.screenshot(path=folder / f"seat-ready-{suffix}.png")
        customer, number, campaign = CUSTOMERS[language]
        door.engine.pop(AGENT.user_id, customer, number, campaign=campaign, attributes=ATTRIBUTES[language])
        door.engine.connect(AGENT.user_id)
        await page.wait_for_selector("[data-state=talking]")
        await page.keyboard.press("n")
        await page.keyboard.type(NOTES[language])
        await page.keyboard.press("Escape")
        await page.keyboard.press("2")
        await expect(page.locator("#notes-state")).not_to_be_empty()
        await expect(page.locator("#clock-time")).to_have_text("0:03")
        await page.screenshot(path=folder / f"seat-call-{suffix}.png")
        await page.keyboard.press("2")
        door.engine.end(AGENT.user_id)
        await page.wait_for_selector("[data-state=wrap_up]")
        await expect(page.locator("#clock-time")).to_have_text("0:29")
        await page.screenshot(path=folder / f"seat-wrap-{suffix}.png")
        await page.keyboard.press("1")
        await page.wait_for_selector("[data-state=ready]")
        door.engine.script = SCRIPT
        door.engine.pop(
            AGENT.user_id, customer, number, campaign=campaign, attributes=ATTRIBUTES[language], script="s1",
            dispositions=RESULTS, crm=Crm("https://crm.example/customers/7", frame=False),
        )  # fmt: skip
        door.engine.connect(AGENT.user_id)
        await page.wait_for_selector("#script:not([hidden])")
        await page.keyboard.press("q")
        await page.keyboard.press("Enter")
        await page.screenshot(path=folder / f"seat-script-{suffix}.png")
        await context.close()


async def sign_on_picture(browser: Browser, language: str, folder: Path) -> None:
    """The log-in page with the button of the company account."""
    settings = OidcSettings("https://sso.example", "zhudong", "https://dialer.example/login/oidc/back")
    async with open_door(WebSettings(oidc=settings)) as door:
        context = await browser.new_context(
            viewport={"width": SIZE[0], "height": SIZE[1]}, locale="zh-CN" if language == "zh" else "en-GB"
        )
        page = await context.new_page()
        await page.goto(f"{door.url}/login")
        await page.screenshot(path=folder / f"login-sign-on-{language}.png")
        await context.close()


async def status_picture(browser: Browser, language: str, folder: Path, scheme: str = "light") -> None:
    """The console: its cards with charts and alarms, who is at work, and the wallboard."""
    async with open_door() as door:
        context = await browser.new_context(
            viewport={"width": SIZE[0], "height": SIZE[1]},
            locale="zh-CN" if language == "zh" else "en-GB",
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        page = await context.new_page()
        await page.goto(f"{door.url}/login")
        await page.click(f"button[value={language}]")
        await log_in(page, door, MANAGER.login)
        await page.wait_for_url("**/status")
        names = (
            ("宽带续约", "满意度回访") if language == "zh" else ("Broadband renewal", "Satisfaction survey")
        )
        await until(lambda: door.app.state.board.watchers == 1)
        first = snapshot(names[0], "predictive")
        for earlier in hours(first):
            door.bus.snapshot(earlier)
        door.bus.snapshot(first)
        door.bus.floor(floor(names[0], NAMES[language], time.time()))
        door.app.state.board.held(names[0], {"callable": 6120, "held": HELD, "next_at": None})
        door.bus.snapshot(
            snapshot(
                names[1],
                "progressive",
                seats={"ready": 1, "talking": 6, "wrap_up": 2},
                lines={"dialing": 1, "connected": 6},
                dials=1204,
                answered_humans=388,
                connected=388,
                abandoned=0,
                abandon_rate=0.0,
                occupancy=0.71,
                idle_s_per_call=24.8,
                leads_left=3120,
                decision={
                    "dial": 1,
                    "bound": "seats",
                    "idle_seats": 1,
                    "in_air": 0,
                    "ratio": 1.0,
                    "wanted": 1,
                },
                refusals={},
                parts=(
                    CampaignPart("east", "one", True, 9, 4.2),
                    CampaignPart("west", "two", False, 12),
                    CampaignPart("north", "", False, 0),
                ),
            )
        )
        card = page.locator(".campaign").filter(has_text=names[0])
        await expect(page.locator(".campaign")).to_have_count(2)
        await expect(page.locator("#alarms li")).to_have_count(1)
        await card.locator("[data-f=hours] summary").click()
        await expect(card.locator("canvas")).to_have_count(4)
        suffix = language if scheme == "light" else f"{language}-{scheme}"
        await page.screenshot(path=folder / f"console-{suffix}.png", full_page=True)
        await card.locator("[data-f=hours] summary").click()
        await card.locator("[data-f=roster_part] summary").click()
        await expect(card.locator("[data-f=roster_rows] tr")).to_have_count(23)
        await card.locator("[data-f=roster_part]").screenshot(path=folder / f"console-seats-{suffix}.png")
        await steer_picture(page, names[0], folder / f"steer-{suffix}.png", language)
        await page.set_viewport_size({"width": SIZE[0], "height": 860})
        await card.locator("[data-f=roster_rows] tr").nth(1).get_by_role("button").click()
        await page.locator("#oversight").screenshot(path=folder / f"oversight-{suffix}.png")
        await page.click("#oversight-close")
        await page.click("#wall")
        await page.set_viewport_size({"width": 1920, "height": 1080})
        await page.screenshot(path=folder / f"console-wall-{suffix}.png")
        await context.close()


async def steer_picture(page: Page, campaign: str, file: Path, language: str) -> None:
    """The settings of a campaign, with a preview, and its versions."""
    who, whys = STEERED[language]
    settings = {"mode": "predictive", "target": 0.03, "ratio": 1.5, "max_lines": 60, "priority": 0}
    settings |= {"ring_limit_s": 25.0, "wrap_up_s": 30.0, "running": True}
    now = time.time()
    versions = [
        {
            "version": 3 - n,
            "who": who,
            "at": now - 4000 * (n + 1),
            "made_in": "console",
            "why": why,
            "difference": "",
        }
        for n, why in enumerate(whys)
    ]
    versions.append(
        {"version": 1, "who": "folder", "at": now - 90_000, "made_in": "file", "why": "", "difference": ""}
    )
    live = {
        "abandon": [0.0212],
        "occupancy": [0.861],
        "idle_s_per_call": [11.2],
        "connects_per_seat_hour": [19.4],
    }
    then = {
        "abandon": [0.0098],
        "occupancy": [0.823],
        "idle_s_per_call": [14.9],
        "connects_per_seat_hour": [18.5],
    }
    effect = {
        "from": now - 3 * 3600, "to": now, "seats": 23, "days": 3, "unseen": [],
        "live": live | {"dials": 4120.0, "connected": 1338.0, "abandoned": 29.0},
        "then": then | {"dials": 3870.0, "connected": 1276.0, "abandoned": 12.7},
    }  # fmt: skip
    await page.route("**/api/campaign?*", lambda route: route.fulfill(
        json={"version": 3, "settings": settings, "versions": versions}
    ))  # fmt: skip
    await page.route("**/api/campaign/preview", lambda route: route.fulfill(json=effect))
    await page.locator(".campaign").filter(has_text=campaign).locator("[data-f=steer]").click()
    await expect(page.locator("#steer-versions li")).to_have_count(3)
    await page.locator("[data-setting=target]").fill("1.5")
    await page.click("#steer-preview")
    await expect(page.locator("#steer-rows tr")).to_have_count(7)
    await page.set_viewport_size({"width": SIZE[0], "height": 1100})
    await page.locator("#steer").screenshot(path=file)
    await page.click("#steer-close")


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    async with launched() as browser:
        for language in ("en", "zh"):
            await seat_pictures(browser, language, folder)
            await status_picture(browser, language, folder)
            await sign_on_picture(browser, language, folder)
        await seat_pictures(browser, "en", folder, "dark")
        await status_picture(browser, "en", folder, "dark")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES))
