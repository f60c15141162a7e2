"""A day on the floor under a law of dialing: what happens is told to the law, and what it says is dialed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from pacing.contract import (
    CallEvent,
    CallStage,
    Decision,
    Event,
    InboundOffered,
    Pacer,
    PacingConfig,
    Room,
    SeatEvent,
    SeatState,
)
from simulator.floor import compiled, model
from simulator.floor.building import Building
from simulator.floor.fates import BLOCK
from simulator.floor.result import Result, result
from simulator.floor.scenario import Scenario

# The states and stages of the contract, at the places the model knows them by.
STATES = (SeatState.AWAY, SeatState.IDLE, SeatState.TALK, SeatState.WRAP)
STAGES = (
    CallStage.DIALED,
    CallStage.RINGING,
    CallStage.ANSWERED,
    CallStage.HUMAN,
    CallStage.CONNECTED,
    CallStage.MACHINE,
    CallStage.NO_ANSWER,
    CallStage.BUSY,
    CallStage.FAILED,
    CallStage.HUNG_UP,
    CallStage.ABANDONED,
    CallStage.ENDED,
)
CAUSES = {model.TOLD_BUSY: 17, model.TOLD_FAILED: 1, model.TOLD_NO_ANSWER: 19}  # Q.850
MOST_RATE = 1_000_000


class FloorLaw(Protocol):
    """How all campaigns of a floor dial. A seat that serves several campaigns is told to each of them."""

    def observe(self, campaign: str, event: Event) -> None:
        """Take note of what happened to a campaign."""
        ...

    def decide(self, now: float, rooms: Mapping[str, Room]) -> Mapping[str, Decision]:
        """How many calls to place now; the lines are shared, and the highest priority is served first."""
        ...


class OneEach:
    """A floor law of one pacer for each campaign, none of which knows of the others."""

    def __init__(self, pacers: Mapping[str, Pacer]) -> None:
        self._pacers = dict(pacers)

    def observe(self, campaign: str, event: Event) -> None:
        self._pacers[campaign].observe(event)

    def decide(self, now: float, rooms: Mapping[str, Room]) -> Mapping[str, Decision]:
        return {name: self._pacers[name].decide(now, room) for name, room in rooms.items()}


def simulate(scenario: Scenario, policy: Callable[[PacingConfig], Pacer], seed: int) -> Result:
    """A day under one pacer for each campaign. `policy` is given what the campaign's supervisor has set.

    The pacer is told every event and asked after each of them, and at least once a second; a pacer with an attribute
    `ask_every_s` is asked as often as that.
    """
    pacers = {campaign.name: policy(campaign.pacing()) for campaign in scenario.campaigns}
    ask_every_s = min(getattr(pacer, "ask_every_s", 1.0) for pacer in pacers.values())
    return simulate_floor(scenario, OneEach(pacers), seed, ask_every_s)


def simulate_floor(scenario: Scenario, law: FloorLaw, seed: int, ask_every_s: float = 1.0) -> Result:
    """A day under one law for the whole floor."""
    building = Building(scenario, seed, ask_every_s)
    if (foresee := getattr(law, "foresee", None)) is not None:
        foresee(building)
    _day(building, law)
    return _result(building, building.floor, seed)


def simulate_plainly(scenario: Scenario, ratio: float, seed: int, fast: bool = True) -> Result:
    """A day with a fixed number of lines for each idle seat; 1 is progressive. The same as `simulate` with ModePacer.

    Runs compiled where numba is installed and `fast` asks for it, to the same result.
    """
    building = Building(scenario, seed)
    if fast and compiled.available():
        return _result(building, compiled.run_plainly(building, ratio), seed)
    while (campaign := model.run_plainly(building.floor, building.agenda, ratio)) != model.NONE:
        building.draw(campaign)
    model.close(building.floor)
    return _result(building, building.floor, seed)


def _result(building: Building, floor: model.Floor, seed: int) -> Result:
    scenario = building.scenario
    names = [campaign.name for campaign in scenario.campaigns]
    return result(scenario.name, seed, floor, names, scenario.warm_up_s)


def _day(building: Building, law: FloorLaw) -> None:
    floor, agenda = building.floor, building.agenda
    names = [campaign.name for campaign in building.scenario.campaigns]
    dialing = [place for place in floor.order if floor.leads[place]]
    tell = _teller(building, law)
    count, clock = floor.count, floor.clock
    advance, decide = model.advance, law.decide
    while True:
        if dialing:
            rate = model.allowance(floor)
            free = count[model.FREE_LINES]
            decisions = decide(
                clock[model.NOW],
                {names[c]: Room(free, rate, floor.leads[c] - floor.dialed[c]) for c in dialing},
            )
            for campaign in dialing:
                decision = decisions.get(names[campaign])
                if decision is not None and decision.dial > 0:
                    _dial(building, campaign, decision.dial, tell)
        if not advance(floor, agenda):
            break
        if count[model.NOTES]:
            tell()
    model.close(floor)


def _dial(building: Building, campaign: int, wanted: int, tell: Callable[[], None]) -> None:
    floor = building.floor
    room = min(
        floor.count[model.FREE_LINES], floor.leads[campaign] - floor.dialed[campaign], model.allowance(floor)
    )
    for _ in range(min(wanted, room)):
        if floor.in_block[campaign] == BLOCK:
            building.draw(campaign)
        floor.clock[model.TOKENS] -= 1.0
        floor.count[model.NOTES] = 0
        model.dial(floor, building.agenda, campaign)
        tell()


def _teller(building: Building, law: FloorLaw) -> Callable[[], None]:
    """A function that tells the law what the last event brought."""
    floor, lists = building.floor, building.lists
    names = [campaign.name for campaign in building.scenario.campaigns]
    served = [
        [name for place, name in enumerate(names) if floor.serves[group * floor.campaigns + place]]
        for group in range(floor.groups)
    ]
    start_hour = building.scenario.start_hour
    observe, count, clock = law.observe, floor.count, floor.clock
    notes = (
        floor.note_of,
        floor.note_id,
        floor.note_what,
        floor.note_more,
        floor.note_campaign,
        floor.note_lead,
    )
    of, ids, whats, mores, campaigns, leads = notes

    def tell() -> None:
        now = clock[model.NOW]
        hour = int(start_hour + now / 3600) % 24
        for place in range(count[model.NOTES]):
            what, more, campaign = whats[place], mores[place], campaigns[place]
            if of[place] == model.OF_SEAT:
                event = SeatEvent(now, ids[place], STATES[what], more == model.GONE, more == model.LEAVING)
                for name in served[campaign]:
                    observe(name, event)
            elif what == model.TOLD_OFFERED:
                observe(names[campaign], InboundOffered(now, ids[place]))
            else:
                seat = None if more == model.NONE else more
                block = lists[campaign].block_name(leads[place])
                observe(
                    names[campaign],
                    CallEvent(now, ids[place], STAGES[what], seat, CAUSES.get(what), block, hour),
                )

    return tell
