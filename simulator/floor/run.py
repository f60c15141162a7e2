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
from simulator.floor.result import Result, result
from simulator.floor.scenario import Scenario

# What the model tells, at the places it knows it by.
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
STATES = (SeatState.AWAY, SeatState.IDLE, SeatState.TALK, SeatState.WRAP)
CAUSES = {model.TOLD_BUSY: 17, model.TOLD_FAILED: 1, model.TOLD_NO_ANSWER: 19}  # Q.850


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
    """A day under one law for the whole floor. A law with a method `foresee` is shown the floor itself first."""
    building = Building(scenario, seed, ask_every_s)
    if (foresee := getattr(law, "foresee", None)) is not None:
        foresee(building)
    _day(building, law)
    return result(building, seed)


def simulate_plainly(scenario: Scenario, ratio: float, seed: int, fast: bool = True) -> Result:
    """A day with a fixed number of lines for each idle seat; 1 is progressive.

    The same as `simulate` with our own pacer in its modes progressive and ratio. Runs compiled where numba is
    installed and `fast` asks for it, to the same result.
    """
    building = Building(scenario, seed)
    if fast and compiled.available():
        compiled.run_plainly(building, ratio)
    else:
        while (campaign := model.run_plainly(building.n, building.x, building.agenda, ratio)) != model.NONE:
            building.draw(campaign)
    return result(building, seed)


def _day(building: Building, law: FloorLaw) -> None:
    n, x, agenda = building.n, building.x, building.agenda
    dialing = {row: building.name_of(row) for row in building.order if n[row + model.LEADS]}
    tell = _teller(building, law.observe)
    decide, advance = law.decide, model.advance
    while True:
        if dialing:
            rate, free = model.allowance(x), n[model.FREE_LINES]
            rooms = {
                name: Room(free, rate, n[row + model.LEADS] - n[row + model.DIALED])
                for row, name in dialing.items()
            }
            decisions = decide(x[model.NOW], rooms)
            for row, name in dialing.items():
                if name in decisions and decisions[name].dial > 0:
                    _dial(building, row, decisions[name].dial, tell)
        if not advance(n, x, agenda):
            return
        if n[model.NOTES]:
            tell()


def _dial(building: Building, campaign: int, wanted: int, tell: Callable[[], None]) -> None:
    """Dial as many as are wanted, within what there is by now: the campaigns share the lines."""
    n, x = building.n, building.x
    leads = n[campaign + model.LEADS] - n[campaign + model.DIALED]
    for _ in range(min(wanted, n[model.FREE_LINES], leads, model.allowance(x))):
        if n[campaign + model.NEXT_LEAD] == n[campaign + model.BLOCK_END]:
            building.draw(campaign)
        x[model.TOKENS] -= 1.0
        n[model.NOTES] = 0
        model.dial(n, x, building.agenda, campaign)
        tell()


def _teller(building: Building, observe: Callable[[str, Event], None]) -> Callable[[], None]:
    """A function that tells the law what the last event brought."""
    n, x = building.n, building.x
    names = {row: building.name_of(row) for row in building.campaigns}
    lists = {row: building.lists[building.place_of(row)] for row in building.campaigns}
    served = {group: [names[row] for row in building.served_by(group)] for group in building.groups}
    seats = {row: number for number, row in enumerate(building.seats)} | {model.NONE: None}
    notebook, start_hour = n[model.NOTEBOOK], building.scenario.start_hour

    def tell() -> None:
        now = x[model.NOW]
        for note in range(notebook, notebook + n[model.NOTES] * model.NOTE_ROW, model.NOTE_ROW):
            stage, of, more, place, lead = n[note : note + model.NOTE_ROW]
            if stage >= model.TOLD_SEAT:
                state = STATES[stage - model.TOLD_SEAT]
                event: Event = SeatEvent(now, seats[of], state, more == model.GONE, more == model.LEAVES)
                for name in served[place]:
                    observe(name, event)
            elif stage == model.TOLD_OFFERED:
                observe(names[place], InboundOffered(now, of))
            else:
                hour = int(start_hour + now / 3600) % 24
                block = lists[place].block_name(lead)
                observe(
                    names[place],
                    CallEvent(now, of, STAGES[stage], seats[more], CAUSES.get(stage), block, hour),
                )

    return tell
