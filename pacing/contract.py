"""The contract between pacing and whoever drives it: typed events with times in, a decision with its reasons out.

Times are seconds on one clock of the caller's choice (the engine uses its monotonic clock, a simulator its virtual
one); they never run backwards. Seats and calls are named by any hashable id the caller chooses. Pacing reads no
clock, no environment and no randomness; the same events give the same decisions.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from pacing.ledger import PROFILES, AbandonRule

__all__ = [
    "NO_LIMIT",
    "CallEvent",
    "CallStage",
    "Decision",
    "Event",
    "InboundOffered",
    "Mode",
    "Pacer",
    "PacingConfig",
    "Room",
    "SeatEvent",
    "SeatState",
]

NO_LIMIT = 1_000_000  # of lines, calls or leads: more than any campaign has


class Mode(StrEnum):
    """How a campaign dials."""

    PREVIEW = "preview"  # the seat sees the customer first and asks for the call
    PROGRESSIVE = "progressive"  # one call for each free seat, never more
    RATIO = "ratio"  # a fixed number of lines for each free seat
    PREDICTIVE = "predictive"  # as many as a model of answers and free seats finds worth their risk


class SeatState(StrEnum):
    """What a seat does, as far as pacing cares."""

    IDLE = "idle"
    TALK = "talk"  # has a customer, from the match on
    WRAP = "wrap"
    AWAY = "away"  # paused, logged out, phone lost: not to be counted on


class CallStage(StrEnum):
    """The life of a call, as far as pacing cares. The last eight end it."""

    DIALED = "dialed"
    RINGING = "ringing"
    ANSWERED = "answered"  # picked up, by whom is not known yet
    HUMAN = "human"  # a person: waits for a seat from now on
    CONNECTED = "connected"  # in one bridge with `seat`
    MACHINE = "machine"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    FAILED = "failed"  # congestion, invalid number, refused by the switch
    CANCELLED = "cancelled"  # not dialed after all, or taken back: nothing is learned of it
    HUNG_UP = "hung_up"  # the customer left while waiting, before the connect limit
    ABANDONED = "abandoned"  # no seat within the connect limit
    ENDED = "ended"  # a connected call is over


@dataclass(frozen=True, slots=True)
class SeatEvent:
    """A seat changed state. A seat never heard of before is new; `gone` takes it off the books.

    `leaving`: after what it does now it takes no further customer (a pause was asked for, the shift ends).
    """

    at: float
    seat: Hashable
    state: SeatState
    gone: bool = False
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class CallEvent:
    """A call reached a stage. `cause` is the Q.850 cause where there is one; `list_id` and `hour` are for learning.

    A call for which its own seat is kept (a callback on its agent's screen) asks for no free one: of it nothing need be
    told before CONNECTED, HUNG_UP or ABANDONED, by which the ledger counts it.
    """

    at: float
    call: Hashable
    stage: CallStage
    seat: Hashable | None = None
    cause: int | None = None
    list_id: Hashable | None = None
    hour: int | None = None


@dataclass(frozen=True, slots=True)
class InboundOffered:
    """An inbound call wants a seat (blended campaigns)."""

    at: float
    call: Hashable


Event = SeatEvent | CallEvent | InboundOffered


@dataclass(frozen=True, slots=True)
class PacingConfig:
    """What a supervisor tunes. Validated by :meth:`check`.

    `ratio` is lines in the air for each idle seat (mode ratio only). `target` is the share of answered humans that
    may be abandoned over the campaign's window, in [0, 1]. `connect_limit_s` is how long a person waits for a seat
    before the call counts as abandoned, `ring_limit_s` how long a phone rings at most, `wrap_limit_s` how long a
    wrap-up may last, None for no limit. `rule` says how abandoned calls are counted, and over which window.
    """

    mode: Mode = Mode.PROGRESSIVE
    ratio: float = 1.5
    target: float = 0.03
    max_lines: int = NO_LIMIT
    connect_limit_s: float = 2.0
    ring_limit_s: float = 25.0
    wrap_limit_s: float | None = None
    rule: AbandonRule = PROFILES["us"]

    def check(self) -> list[str]:
        """Return what is wrong, one sentence a fault, empty when all is well."""
        faults = []
        if not 1.0 <= self.ratio <= 15.0:
            faults.append(f"ratio must be between 1 and 15 lines for each idle seat, is {self.ratio}")
        if not 0.0 <= self.target <= 1.0:
            faults.append(f"target must be a share between 0 and 1, is {self.target}")
        if self.max_lines < 0:
            faults.append(f"max_lines must not be negative, is {self.max_lines}")
        return faults + self.rule.check()


@dataclass(frozen=True, slots=True)
class Room:
    """The constraints at the moment of asking: lines, calls per second (as whole calls now) and leads at hand."""

    free_lines: int
    rate_allowance: int = NO_LIMIT
    leads: int = NO_LIMIT


@dataclass(frozen=True, slots=True)
class Decision:
    """How many calls to place now. `bound` names the constraint that decided; `why` holds the figures behind it."""

    dial: int
    bound: str
    why: dict[str, float | int | str] = field(default_factory=dict)


class Pacer(Protocol):
    """One campaign's pacing. Mode and parameters change live; what was learned stays."""

    def observe(self, event: Event) -> None:
        """Take note of an event. Unknown seats and calls, repeats and late arrivals are harmless."""
        ...

    def decide(self, now: float, room: Room) -> Decision:
        """Return how many calls to place now, 0 <= dial <= every limit in `room`. Changes nothing."""
        ...

    def configure(self, config: PacingConfig) -> None:
        """Take a new configuration, keeping what was learned."""
        ...
