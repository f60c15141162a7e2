"""What the demo needs in the database: an organisation with branches, people, a campaign, and a list of customers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import Engine

from campaigns.lists.loading import Counts, store_rows
from campaigns.lists.rows import Row
from campaigns.people import People
from campaigns.store import Applied, CampaignStore
from campaigns.units import Units

CAMPAIGN = "spring"
PASSWORD = "zhudong-demo"

CONFIG = """\
# The demo's campaign. Apply a changed copy of it with `dialer apply FILE`.
name = "spring"
switch = "virtual"
running = true
mode = "predictive"
target = 0.03
caller_ids = ["+862168880001", "+862168880002"]
ring_limit_s = 15.0
wrap_up_s = 20.0

[rules]
attempts = 3

# The demo runs at any hour. A real campaign keeps to the hours of its law: leave this out for 9 to 20 o'clock.
[rules.windows]
mon = { from = 00:00:00, to = 23:59:59 }
tue = { from = 00:00:00, to = 23:59:59 }
wed = { from = 00:00:00, to = 23:59:59 }
thu = { from = 00:00:00, to = 23:59:59 }
fri = { from = 00:00:00, to = 23:59:59 }
sat = { from = 00:00:00, to = 23:59:59 }
sun = { from = 00:00:00, to = 23:59:59 }
"""

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
GIVEN = (
    "伟",
    "芳",
    "娜",
    "敏",
    "静",
    "丽",
    "强",
    "磊",
    "军",
    "洋",
    "勇",
    "艳",
    "杰",
    "娟",
    "涛",
    "明",
    "超",
    "秀英",
    "建华",
    "玉兰",
)
PLANS = ("畅享 59", "畅享 99", "冰激凌 129", "家庭共享 199", "校园 39", "商务 299")
DISTRICTS = ("城关区", "七里河区", "安宁区", "西固区", "榆中县", "永登县", "皋兰县")
PREFIXES = ("130", "131", "132", "155", "156", "185", "186", "176")


@dataclass(frozen=True, slots=True)
class DemoSeat:
    """A virtual agent."""

    user_id: int
    name: str
    phone: str


@dataclass(frozen=True, slots=True)
class DemoData:
    """What was set up. People log in with :data:`PASSWORD`."""

    campaign: Applied
    seats: tuple[DemoSeat, ...]
    imported: Counts


def set_up(
    engine: Engine, seats: int, leads: int, at: datetime, seed: int = 1, config: str = CONFIG
) -> DemoData:
    """Fill an empty database. The same seed gives the same customers."""
    users = People(engine)
    branch = "西部电信/兰州分公司"
    Units(engine).add(branch)
    campaign = CampaignStore(engine).apply(config, "the demo's campaign", "demo", at)
    made = []
    for number in range(1, seats + 1):
        name, phone = f"虚拟座席 {number:02d}", f"seat{number:03d}"
        user_id = users.add(branch, f"virtual{number:03d}", name, "agent", "", phone, [campaign.config.name])
        made.append(DemoSeat(user_id, name, phone))
    mine = [campaign.config.name]
    users.add(branch, "lina", "李娜", "agent", PASSWORD, "seat901", mine, "zh")
    users.add(branch, "tom", "Tom Wang", "agent", PASSWORD, "seat902", mine, "en")
    users.add(branch, "chen", "陈静", "supervisor", PASSWORD, "seat903", mine, "zh")
    result = store_rows(engine, campaign.campaign_id, "demo", "made up", at, customers(leads, seed))
    return DemoData(campaign, tuple(made), result)


def set_up_pair(
    engine: Engine, switches: Sequence[str], seats: int, leads: int, at: datetime, seed: int = 1
) -> tuple[list[Applied], list[str]]:
    """Fill an empty database with a campaign on each switch, named like it; agents, divided among them, log in.

    Returns the campaigns, and the agents' log-ins.
    """
    users, branch = People(engine), "西部电信/兰州分公司"
    Units(engine).add(branch)
    applied = [
        CampaignStore(engine).apply(config_on(switch), "the demo's campaign", "demo", at)
        for switch in switches
    ]
    logins = [f"virtual{number:03d}" for number in range(1, seats + 1)]
    for number, login in enumerate(logins, 1):
        name, serves = f"虚拟座席 {number:02d}", switches[number % len(switches)]
        users.add(branch, login, name, "agent", PASSWORD, f"seat{number:03d}", [serves])
    users.add(branch, "lina", "李娜", "agent", PASSWORD, "seat901", list(switches), "zh")
    users.add(branch, "tom", "Tom Wang", "agent", PASSWORD, "seat902", list(switches), "en")
    users.add(branch, "chen", "陈静", "supervisor", PASSWORD, "seat903", list(switches), "zh")
    for nth, campaign in enumerate(applied):
        theirs = islice(customers(leads * len(applied), seed), nth, None, len(applied))
        store_rows(engine, campaign.campaign_id, f"demo {nth}", "made up", at, theirs)
    return applied, logins


def config_on(switch: str, running: bool = True) -> str:
    """The demo's campaign on a switch, named like it."""
    text = CONFIG.replace(f'name = "{CAMPAIGN}"', f'name = "{switch}"').replace('"virtual"', f'"{switch}"')
    return text if running else text.replace("running = true", "running = false")


def customers(count: int, seed: int) -> Iterator[Row]:
    """Made-up customers with numbers of China's mobile ranges, none twice."""
    chance = random.Random(seed)
    for index in range(count):
        subscriber = (
            index * 7_919 + 20_000_003
        ) % 100_000_000  # 7919 is prime to 10^8: no number comes twice
        yield Row(
            row=index + 2,
            numbers=(f"+86{PREFIXES[index % len(PREFIXES)]}{subscriber:08d}",),
            name=chance.choice(SURNAMES) + chance.choice(GIVEN),
            attributes={
                "套餐": chance.choice(PLANS),
                "地区": chance.choice(DISTRICTS),
                "入网年限": chance.randint(1, 18),
                "月均消费": f"{chance.uniform(19, 320):.2f} 元",
            },
            zones=("Asia/Shanghai",),
        )
