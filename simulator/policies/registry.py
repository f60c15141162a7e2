"""The laws by name, and a day under each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from pacing.contract import Mode, Pacer, PacingConfig
from pacing.floor import Floor
from pacing.pacer import CampaignPacer
from simulator.floor import Result, Scenario, simulate, simulate_floor, simulate_plainly
from simulator.policies.clairvoyant import ASKS_EVERY_S, Clairvoyant
from simulator.policies.easycallcenter365 import EasyCallCenter365
from simulator.policies.issabel import Issabel
from simulator.policies.vicidial import DropRule, Vicidial
from simulator.policies.wombat import Wombat

BOUND = "clairvoyant"
USUAL_RATIO = 1.5


class UnknownPolicy(ValueError):
    """There is no such law."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A law of dialing with its name: `day` simulates one day under it."""

    name: str
    day: Callable[[Scenario, int], Result]


def policy(name: str) -> Policy:
    """The law of that name; `ratio:2.5` and `wombat:2.5` say how many lines for an idle seat. Raises UnknownPolicy."""
    kind, _, figure = name.partition(":")
    if not figure and kind in PLAIN:
        return Policy(name, PLAIN[kind])
    try:
        lines = float(figure) if figure else USUAL_RATIO
    except ValueError:
        lines = 0.0
    if kind not in BY_RATIO:
        raise UnknownPolicy(f"there is no policy {name!r}; there are {', '.join(names())}")
    if not 1.0 <= lines <= 15.0:
        raise UnknownPolicy(f"{name!r}: lines for an idle seat are a number from 1 to 15, as in {kind}:2.5")
    return Policy(name, BY_RATIO[kind](lines))


def names() -> list[str]:
    """All laws there are."""
    return sorted([*PLAIN, *BY_RATIO])


def _each(build: Callable[[PacingConfig], Pacer]) -> Callable[[Scenario, int], Result]:
    return lambda scenario, seed: simulate(scenario, build, seed)


def _ours(scenario: Scenario, seed: int) -> Result:
    floor = Floor()
    for campaign in scenario.campaigns:
        config = replace(campaign.pacing(), mode=Mode.PREDICTIVE)
        floor.join(campaign.name, CampaignPacer(config), campaign.priority)
    return simulate_floor(scenario, floor, seed)


def _ratio(lines: float) -> Callable[[Scenario, int], Result]:
    return lambda scenario, seed: simulate_plainly(scenario, lines, seed)


def _foresight(scenario: Scenario, seed: int) -> Result:
    return simulate_floor(scenario, Clairvoyant(), seed, ASKS_EVERY_S)


PLAIN: dict[str, Callable[[Scenario, int], Result]] = {
    "predictive": _ours,
    "progressive": _ratio(1.0),
    "vicidial-hard": _each(partial(Vicidial, rule=DropRule.HARD)),
    "vicidial-average": _each(partial(Vicidial, rule=DropRule.AVERAGE)),
    "vicidial-tapered": _each(partial(Vicidial, rule=DropRule.TAPERED)),
    "issabel": _each(Issabel),
    "ecc365": _each(EasyCallCenter365),
    "ecc365-corrected": _each(partial(EasyCallCenter365, corrected=True)),
    BOUND: _foresight,
}
BY_RATIO: dict[str, Callable[[float], Callable[[Scenario, int], Result]]] = {
    "ratio": _ratio,
    "wombat": lambda boost: _each(partial(Wombat, boost=boost)),
}
