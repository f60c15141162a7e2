"""The last hours of a campaign lived again, as it dials and as it would: `python -m dialer.lived`, an order on standard
input, the answer on standard output. Days of the same seeds meet the same people, so what differs is what the settings
do.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from math import isnan
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine

from campaigns import database
from campaigns.config import CampaignConfig, CampaignsError, parse
from campaigns.history.files import Files
from campaigns.priority import step_back
from campaigns.steering import settings_of
from dialer.preview import Answer, Order
from dialer.recorded import NoSuchDay, law_of, read_span, scenario
from simulator.floor import Scenario
from simulator.floor.summary import Estimate, Summary, summary
from simulator.policies.registry import policy

HOURS = 3.0
SEEDS = 3  # days of each: the sign of a difference, within a few seconds of a core
SHOWN = ("mode", "ratio", "target", "max_lines", "ring_limit_s")  # of the settings: what the simulator knows


def compare(engine: Engine, order: Order) -> dict[str, Any]:
    """The last hours under the live settings and under those of the text. Raises NoSuchDay and ConfigError."""
    wanted = parse(order.text, order.campaign)
    since = order.until - timedelta(hours=HOURS)
    day = read_span(engine, Files(Path(order.archive)), order.campaign, since, order.until)
    recorded = scenario(day, order.switches)
    live, then = (_lived(recorded, config) for config in (day.config, wanted))
    differs = [key for key, value in settings_of(wanted).items() if value != settings_of(day.config)[key]]
    return {
        "from": day.begin.timestamp(),
        "to": day.end.timestamp(),
        "seats": len(day.seats),
        "days": SEEDS,
        "live": _figures(live),
        "then": _figures(then),
        "unseen": [key for key in differs if key not in SHOWN],
    }


def _lived(recorded: Scenario, config: CampaignConfig) -> Summary:
    campaigns = tuple(
        msgspec.structs.replace(each, target=config.target, ring_limit_s=config.ring_limit_s)
        for each in recorded.campaigns
    )
    most = config.max_lines * len(config.switches)
    lines = most if recorded.lines is None else min(recorded.lines, most)
    lived = msgspec.structs.replace(recorded, campaigns=campaigns, lines=lines)
    law = policy(law_of(config))
    days = [law.day(lived, seed) for seed in range(1, SEEDS + 1)]
    return summary(law.name, days, days)


def _figures(found: Summary) -> dict[str, object]:
    return {
        "abandon": _known(found.abandon),
        "occupancy": _known(found.occupancy),
        "idle_s_per_call": _known(found.idle_s_per_call),
        "connects_per_seat_hour": _known(found.connects_per_seat_hour),
        "connected": found.total.connected / found.days,
        "abandoned": found.total.abandoned / found.days,
        "dials": found.total.dials / found.days,
    }


def _known(estimate: Estimate) -> list[float | None]:
    return [None if isnan(value) else value for value in (estimate.value, estimate.low, estimate.high)]


def _main() -> None:
    step_back()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    engine = database.connect(order.url, pool_size=2)
    try:
        answer = Answer(done=compare(engine, order))
    except (NoSuchDay, CampaignsError) as fault:
        answer = Answer(refused=str(fault))
    finally:
        engine.dispose()
    sys.stdout.buffer.write(msgspec.json.encode(answer))


if __name__ == "__main__":
    _main()
