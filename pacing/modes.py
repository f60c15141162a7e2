"""The three plain ways to dial: preview, progressive, and a fixed ratio of lines for each idle seat."""

from __future__ import annotations

from collections.abc import Hashable
from math import floor

from pacing.contract import (
    CallEvent,
    CallStage,
    Decision,
    Event,
    Mode,
    PacingConfig,
    Room,
    SeatEvent,
    SeatState,
)

# From these stages on a call asks for no seat any more: it has one, or it is over.
SETTLED = frozenset(
    {
        CallStage.CONNECTED,
        CallStage.MACHINE,
        CallStage.NO_ANSWER,
        CallStage.BUSY,
        CallStage.FAILED,
        CallStage.HUNG_UP,
        CallStage.ABANDONED,
        CallStage.ENDED,
    }
)

# Settled calls remembered, so that an event that comes late or twice cannot bring one back into the air, where
# nothing would ever end it. Far more than are settled within the seconds by which an event can be late.
REMEMBERED = 4_096


class ModePacer:
    """Pacing by counting: idle seats on one side, calls in the air on the other. A decision takes constant time.

    A call in the air is one that may still want a seat: dialed, ringing, answered, or a person who waits. One first
    heard of in a later stage than dialed counts from then on; a call that is settled stays so.
    """

    def __init__(self, config: PacingConfig) -> None:
        self._config = config
        self._idle: set[Hashable] = set()
        self._in_air: set[Hashable] = set()
        self._settled: dict[Hashable, None] = {}  # oldest first

    def observe(self, event: Event) -> None:
        """Take note of an event. Repeats, late arrivals and unknown ids change nothing that they should not."""
        if isinstance(event, SeatEvent):
            if event.state is SeatState.IDLE and not event.gone:
                self._idle.add(event.seat)
            else:
                self._idle.discard(event.seat)
        elif isinstance(event, CallEvent):
            if event.stage not in SETTLED:
                if event.call not in self._settled:
                    self._in_air.add(event.call)
            else:
                self._in_air.discard(event.call)
                self._settled[event.call] = None
                if len(self._settled) > REMEMBERED:
                    del self._settled[next(iter(self._settled))]

    def decide(self, now: float, room: Room) -> Decision:
        """Lines wanted for the idle seats, less those in the air, within the room there is.

        Progressive wants one line an idle seat. Ratio wants floor(ratio x idle), and at least one line an idle seat;
        rounding down keeps a single idle seat at one line until the ratio reaches 2.
        """
        idle, in_air = len(self._idle), len(self._in_air)
        why: dict[str, float | int | str] = {"idle_seats": idle, "in_air": in_air}
        if self._config.mode is Mode.PREVIEW:
            return Decision(0, "preview", why)
        ratio = self._config.ratio if self._config.mode is Mode.RATIO else 1.0
        wanted = max(0, max(idle, floor(ratio * idle + 1e-9)) - in_air)
        limits = {
            "seats": wanted,
            "lines": room.free_lines,
            "max_lines": self._config.max_lines - in_air,
            "calls_per_s": room.rate_allowance,
            "leads": room.leads,
        }
        bound = min(limits, key=lambda name: limits[name])
        return Decision(max(0, limits[bound]), bound, why | {"ratio": ratio, "wanted": wanted})

    def configure(self, config: PacingConfig) -> None:
        """Take a new configuration; seats and calls stay known."""
        self._config = config
