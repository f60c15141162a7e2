"""One campaign on one switch and on two: `python -m benchmarks.parts [--scale S] [--json FILE]`.

The yardstick's hundred seats on one switch, and fifty on each of two, on the same days: as the two parts of one
campaign (`dialer/core/sharing.py`), each of which hears of the other once a second; and as two campaigns that share
nothing, with a ledger and a target of their own. What two groups of fifty lose against a hundred is in the last pair of
them; what the common budget costs is the rest. At scale 1 for half an hour.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec

from benchmarks import report
from benchmarks.report import Result
from campaigns.parts import Figures, Told
from dialer.core.sharing import Sharing
from dialer.sharing import EXCHANGE_S, SETTLED_S
from dialer.simulate import plan
from pacing.contract import Decision, Event, Mode, Room
from pacing.ledger import AbandonLedger
from pacing.pacer import CampaignPacer
from simulator.floor import Result as Day
from simulator.floor import Scenario, simulate_floor
from simulator.floor.result import mean_interval
from simulator.floor.scenario import Seats
from simulator.policies.registry import policy

SEEDS = 5
FEWEST = 5  # days from which their interval is narrow enough to hold anybody to
TARGET = 3.0  # % of answered people abandoned
COST = 0.99  # of the occupancy of two campaigns on their own, which what is shared may not take


class Parts:
    """A floor law of one campaign in several parts, each with an engine of its own."""

    def __init__(self, scenario: Scenario) -> None:
        self._rows: dict[str, Told] = {}
        self._sharing: dict[str, Sharing] = {}
        self._pacers: dict[str, CampaignPacer] = {}
        self._next: dict[str, float] = {}
        for at, campaign in enumerate(scenario.campaigns):
            config = replace(campaign.pacing(), mode=Mode.PREDICTIVE)
            sharing = self._sharing[campaign.name] = Sharing(AbandonLedger(config.rule), config.target)
            ledger = sharing.ledger_of(campaign.name)
            self._pacers[campaign.name] = CampaignPacer(config, ledger)
            self._next[campaign.name] = at * EXCHANGE_S / len(scenario.campaigns)
            self._in_air_s = config.ring_limit_s + SETTLED_S

    def observe(self, campaign: str, event: Event) -> None:
        self._pacers[campaign].observe(event)

    def decide(self, now: float, rooms: Mapping[str, Room]) -> Mapping[str, Decision]:
        for name, due in self._next.items():
            if now >= due:
                self._next[name] = due + EXCHANGE_S
                self._exchange(name, now)
        return {name: self._pacers[name].decide(now, room) for name, room in rooms.items()}

    def _exchange(self, name: str, now: float) -> None:
        sharing, pacer = self._sharing[name], self._pacers[name]
        offer = sharing.offer(now, {name: pacer.working}, {name: pacer.in_air})
        told = tuple(self._rows.values())
        held, figures = offer.agree(told)[name]
        self._rows[name] = Told(name, name, True, pacer.working, held, figures, Figures(), None)
        sharing.heard(now, told, (name,))
        sharing.take(now, offer, (name,), self._in_air_s)


def halved(scenario: Scenario) -> Scenario:
    """The same with half the seats on each of two switches."""
    [seats], [campaign] = scenario.seats, scenario.campaigns
    half = seats.count // 2
    groups = (
        Seats(name="east", count=half, serves=("east",)),
        Seats(name="west", count=seats.count - half, serves=("west",)),
    )
    campaigns = tuple(msgspec.structs.replace(campaign, name=name) for name in ("east", "west"))
    return msgspec.structs.replace(scenario, seats=groups, campaigns=campaigns)


def figures(name: str, days: Sequence[Day], budget: float | None) -> tuple[list[Result], float]:
    """What a way comes to on these days, and its occupancy."""
    abandoned, _, high = mean_interval([100 * day.abandon_rate for day in days])
    occupancy = 100 * mean_interval([day.occupancy for day in days])[0]
    results = [
        Result(f"{name}: occupancy", occupancy, "%"),
        Result(f"{name}: abandoned", abandoned, "%"),
    ]
    if len(days) > 1:
        held = budget if len(days) >= FEWEST else None
        results.append(Result(f"{name}: abandoned, upper 95 % bound", high, "%", held))
    return results, occupancy


def measure(scale: float) -> list[Result]:
    wanted = SEEDS * scale
    [whole] = plan(("yardstick-100",), ("predictive",), 1, None).scenarios
    if wanted < 1.0:
        whole = msgspec.structs.replace(whole, hours=max(0.5, whole.hours * wanted))
    halves, ours = halved(whole), policy("predictive").day
    ways: dict[str, Callable[[int], Day]] = {
        "one switch": lambda seed: ours(whole, seed),
        "two switches, one campaign": lambda seed: simulate_floor(halves, Parts(halves), seed),
        "two switches, two campaigns": lambda seed: ours(halves, seed),
    }
    results, occupancies = list[Result](), list[float]()
    for name, day in ways.items():
        days = [day(seed) for seed in range(1, max(1, round(wanted)) + 1)]
        found, occupancy = figures(name, days, None if name == "two switches, two campaigns" else TARGET)
        results += found
        occupancies.append(occupancy)
    one, shared, apart = occupancies
    budget = COST if wanted >= FEWEST else None
    results.append(Result("occupancy: two switches over one", shared / one, "x"))
    results.append(Result("occupancy: one campaign over two", shared / apart, "x", budget, "at_least"))
    return results


if __name__ == "__main__":
    chosen = report.options(__doc__ or "", "1.0 is 5 days of each, for which the budgets hold")
    sys.exit(report.report("parts", chosen, measure(chosen.scale)))
