"""What a scenario file says: seats and their day, lines, campaigns and the people on their lists."""

from __future__ import annotations

import tomllib
from math import inf
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from pacing.contract import PacingConfig
from simulator.floor.distribution import Constant, Distribution

SCENARIOS = Path(__file__).parents[1] / "scenarios"
BUCKET_S = 300.0  # figures are kept by five minutes; a warm-up is a whole number of them
LINES_FOR_A_SEAT = 12  # when a scenario names no limit: so many that no law runs into them


class ScenarioError(ValueError):
    """A scenario file that can't be taken; the message says where and why."""


LONGEST_S = 1e7  # more than a month: whatever is longer is a slip
Seconds = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_S)]
Minutes = Annotated[float, msgspec.Meta(ge=0, le=24 * 60)]
Hours = Annotated[float, msgspec.Meta(ge=0, le=24 * 31)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

# A share or a rate over the day: one number, or points of (hours since the start, value), straight in between. Two
# points at the same hour are a step.
Course = float | tuple[tuple[Hours, float], ...]


class Break(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pause. Seats take it one after the other within `spread_min`."""

    at_h: Hours
    minutes: Minutes
    spread_min: Minutes = 0.0


class Seats(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seats that work the same hours for the same campaigns. They log in within `log_in_min` of `from_h`."""

    count: int
    name: str = "seats"
    serves: tuple[str, ...] = ()  # campaigns; none named is all
    from_h: Hours = 0.0
    to_h: Hours | None = None
    log_in_min: Minutes = 0.0
    breaks: tuple[Break, ...] = ()


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of the list whose people answer `factor` times as often. The blocks come round and round."""

    leads: int
    factor: float
    name: str


class Amd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answering machine detection: how long it listens, and how often it is wrong.

    A person taken for a machine is hung up on. A machine taken for a person gets a seat, which finds out after
    `machine_talk`.
    """

    detection: Distribution
    person_taken_for_machine: Share = 0.0
    machine_taken_for_person: Share = 0.0
    machine_talk: Distribution = Constant(8.0)


class Inbound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """People who call in. They wait until their patience ends; without one they wait for ever."""

    calls_per_h: Course
    talk: Distribution
    wrap: Distribution | None = None
    patience: Distribution | None = None


class Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A list, the people on it, and what pacing may do with them.

    Shares are of all dials: `person` would answer if it rings long enough, `machine` answers as a machine, `busy`
    and `failed` end early, all others ring until `ring_limit_s`. `setup` is from the dial to the first ring. Ring,
    talk, wrap-up and patience belong to the lead, so that two laws under one seed meet the same people.
    """

    name: str = "main"
    talk: Distribution = Constant(120.0)
    wrap: Distribution | None = None
    person: Course = 0.25
    machine: Course = 0.0
    busy: Course = 0.0
    failed: Course = 0.0
    setup: Distribution = Constant(0.3)
    ring: Distribution = Constant(12.0)
    machine_ring: Distribution | None = None  # as `ring` when not given
    busy_after_s: Seconds = 1.0
    failed_after_s: Seconds = 3.0
    ring_limit_s: Seconds = 25.0
    connect_limit_s: Seconds = 2.0
    patience: Distribution | None = None  # of a person who waits for a seat; none has more than the limit
    amd: Amd | None = None
    blocks: tuple[Block, ...] = ()
    leads: int | None = None
    inbound: Inbound | None = None
    dials: bool = True
    priority: int = 0  # the higher one gets the free seat
    target: Share = 0.03

    def pacing(self) -> PacingConfig:
        """What a supervisor would have set for this campaign."""
        return PacingConfig(
            target=self.target, connect_limit_s=self.connect_limit_s, ring_limit_s=self.ring_limit_s
        )


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A day of a call centre. `story` says what it is there to show."""

    name: str
    story: str
    hours: Hours
    seats: tuple[Seats, ...]
    campaigns: tuple[Campaign, ...]
    warm_up_min: Minutes = 15.0
    lines: int | None = None
    calls_per_s: float | None = None
    start_hour: Hours = 9.0  # of the clock on the wall

    @property
    def end_s(self) -> float:
        return self.hours * 3600

    @property
    def warm_up_s(self) -> float:
        return self.warm_up_min * 60

    @property
    def seat_count(self) -> int:
        return sum(group.count for group in self.seats)

    @property
    def line_count(self) -> int:
        return LINES_FOR_A_SEAT * self.seat_count if self.lines is None else self.lines


def by_minute(course: Course, minutes: int) -> NDArray[np.float64]:
    """A course over the day as its value in each minute; a step counts from its own minute on."""
    if isinstance(course, int | float):
        return np.full(minutes, float(course))
    at = np.array([hour * 60 for hour, _ in course])
    value = np.array([value for _, value in course])
    middle = np.arange(minutes) + 0.5
    return np.interp(middle, at, value)


def load(what: str | Path) -> Scenario:
    """A scenario by name or by file. Raises ScenarioError with file, key and reason."""
    path = Path(what)
    if path.suffix != ".toml":
        path = SCENARIOS / f"{what}.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        scenario = msgspec.convert({"name": path.stem, **table}, Scenario)
    except FileNotFoundError:
        raise ScenarioError(f"there is no scenario {str(what)!r}; there are {', '.join(names())}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise ScenarioError(f"{path}: {fault}") from fault
    if found := faults(scenario):
        raise ScenarioError(f"{path}: {'; '.join(found)}")
    return scenario


def names() -> list[str]:
    """The scenarios that come with the package."""
    return sorted(path.stem for path in SCENARIOS.glob("*.toml"))


def faults(scenario: Scenario) -> list[str]:
    """What is wrong with a scenario, one sentence a fault."""
    found = []
    if not scenario.hours > 0:
        found.append(f"hours must be above 0, is {scenario.hours:g}")
    elif not 0 <= scenario.warm_up_s < scenario.end_s or scenario.warm_up_s % BUCKET_S:
        found.append(f"warm_up_min must be a multiple of {BUCKET_S / 60:g} below hours")
    if scenario.lines is not None and scenario.lines < 1:
        found.append(f"lines must be 1 or more, is {scenario.lines}")
    if scenario.calls_per_s is not None and not scenario.calls_per_s > 0:
        found.append(f"calls_per_s must be above 0, is {scenario.calls_per_s:g}")
    known = [campaign.name for campaign in scenario.campaigns]
    if not known or len(set(known)) < len(known):
        found.append("campaigns must be one or more, each with a name of its own")
    if not scenario.seats:
        found.append("seats must hold at least one group")
    for group in scenario.seats:
        if group.count < 1:
            found.append(f"seats {group.name!r}: count must be 1 or more, is {group.count}")
        if group.to_h is not None and group.to_h <= group.from_h:
            found.append(f"seats {group.name!r}: to_h must be after from_h, is {group.to_h:g}")
        found += [f"seats {group.name!r} serve {c!r}, no campaign" for c in group.serves if c not in known]
    for campaign in scenario.campaigns:
        found += [f"campaign {campaign.name!r}: {fault}" for fault in _campaign_faults(campaign)]
    return found


def _campaign_faults(campaign: Campaign) -> list[str]:
    courses = {name: getattr(campaign, name) for name in ("person", "machine", "busy", "failed")}
    if campaign.inbound is not None:
        courses["inbound.calls_per_h"] = campaign.inbound.calls_per_h
    found = [f"{name} {fault}" for name, course in courses.items() for fault in _course_faults(course)]
    if found:
        return found
    minutes = 24 * 60
    shares = {
        name: by_minute(getattr(campaign, name), minutes) for name in ("person", "machine", "busy", "failed")
    }
    for name, values in shares.items():
        if values.min() < 0 or values.max() > 1:
            found.append(f"{name} must be a share from 0 to 1")
    factor = max((block.factor for block in campaign.blocks), default=1.0)
    whole = shares["person"] * factor + shares["machine"] + shares["busy"] + shares["failed"]
    if whole.max() > 1 + 1e-9:
        found.append(f"person, machine, busy and failed come to {whole.max():g}, more than all dials")
    if any(block.leads < 1 or block.factor < 0 for block in campaign.blocks):
        found.append("a block needs 1 lead or more and a factor of 0 or more")
    spans = {"talk": campaign.talk, "wrap": campaign.wrap, "setup": campaign.setup, "ring": campaign.ring}
    spans |= {"machine_ring": campaign.machine_ring, "patience": campaign.patience}
    if campaign.amd is not None:
        spans |= {"amd.detection": campaign.amd.detection, "amd.machine_talk": campaign.amd.machine_talk}
    if campaign.inbound is not None:
        inbound = campaign.inbound
        spans |= {
            "inbound.talk": inbound.talk,
            "inbound.wrap": inbound.wrap,
            "inbound.patience": inbound.patience,
        }
    for name, of in spans.items():
        found += [] if of is None else [f"{name}: {fault}" for fault in of.faults()]
    return found + campaign.pacing().check()


def _course_faults(course: Course) -> list[str]:
    points = ((0.0, course),) if isinstance(course, int | float) else course
    hours = [hour for hour, _ in points]
    if not points or hours != sorted(hours):
        return ["must be a number or points [hour, value] in order of time"]
    if not all(0 <= value < inf for _, value in points):
        return ["must be 0 or more everywhere"]
    return []
