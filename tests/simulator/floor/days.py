"""Small floors to tell stories on, and laws that dial when the story says so or write down what they hear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pacing.contract import CallEvent, CallStage, Decision, Event, Room, SeatEvent, SeatState
from simulator.floor import Result, simulate_floor
from simulator.floor.distribution import Constant
from simulator.floor.scenario import Campaign, Scenario, Seats, faults


def always(seconds: float) -> Constant:
    return Constant(seconds)


def campaign(**more: Any) -> Campaign:
    """Everybody answers after 10 s (0.5 s of set-up, 9.5 s of ringing), talks 60 s, and is wrapped up for 10 s."""
    usual: dict[str, Any] = {
        "person": 1.0,
        "setup": always(0.5),
        "ring": always(9.5),
        "talk": always(60.0),
        "wrap": always(10.0),
    }
    return Campaign(**usual | more)


def floor(
    *campaigns: Campaign, seats: int | tuple[Seats, ...] = 1, hours: float = 1.0, **more: Any
) -> Scenario:
    """A floor, all of whose day is counted."""
    groups = (Seats(seats),) if isinstance(seats, int) else seats
    settings: dict[str, Any] = {"warm_up_min": 0.0} | more
    found = Scenario("story", "", hours, groups, campaigns or (campaign(),), **settings)
    assert faults(found) == []
    return found


class Script:
    """A law that dials as written: {second: how many}, or {second: {campaign: how many}}; and keeps what it heard."""

    def __init__(self, dials: Mapping[float, int | Mapping[str, int]]) -> None:
        self._dials = sorted(dials.items())
        self.heard: list[tuple[str, Event]] = []
        self.rooms: list[tuple[float, Mapping[str, Room]]] = []

    def observe(self, campaign: str, event: Event) -> None:
        self.heard.append((campaign, event))

    def decide(self, now: float, rooms: Mapping[str, Room]) -> Mapping[str, Decision]:
        self.rooms.append((now, rooms))
        found: dict[str, int] = {}
        while self._dials and self._dials[0][0] <= now:
            wanted = self._dials.pop(0)[1]
            each = dict.fromkeys(rooms, wanted) if isinstance(wanted, int) else wanted
            found |= {name: found.get(name, 0) + count for name, count in each.items()}
        return {name: Decision(count, "script") for name, count in found.items()}

    def calls(self, campaign: str = "main") -> dict[Any, list[tuple[float, CallStage]]]:
        """What each call went through, and when."""
        found: dict[Any, list[tuple[float, CallStage]]] = {}
        for name, event in self.heard:
            if name == campaign and isinstance(event, CallEvent):
                found.setdefault(event.call, []).append((round(event.at, 6), event.stage))
        return found

    def seats(self, campaign: str = "main") -> list[tuple[float, SeatState]]:
        """What seats went through, and when."""
        return [
            (round(event.at, 6), event.state)
            for name, event in self.heard
            if name == campaign and isinstance(event, SeatEvent)
        ]


def told(
    scenario: Scenario, dials: Mapping[float, int | Mapping[str, int]], seed: int = 1
) -> tuple[Script, Result]:
    """The story of a day under a script."""
    script = Script(dials)
    return script, simulate_floor(scenario, script, seed)
