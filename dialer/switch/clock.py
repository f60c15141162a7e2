"""A switch's clock beside ours: when it says that something happened, by our own clock, however late we hear of it.

Its pings tell its time; only quick ones do, since what lies between asking and hearing is what nobody knows. Events
bear its time where manager.conf says `timestampevents = yes`. What is late by less than a ping may take is not late.
"""

from __future__ import annotations

from math import isfinite
from time import monotonic

QUICK_S = 0.25  # a ping that takes longer tells too little
LATEST_S = (
    60.0  # an engine that does not run for longer is killed by its watchdog; more is a clock that was set
)


class SwitchClock:
    """The clock of one switch. Instants are ours, monotonic seconds."""

    def __init__(self) -> None:
        self._ahead: float | None = None  # its time less ours

    def told(self, time: str, asked: float) -> None:
        """It has answered a ping just now, with its time."""
        heard, says = monotonic(), stamp(time)
        if says is not None and heard - asked <= QUICK_S:
            self._ahead = says - (asked + heard) / 2

    def happened(self, time: str | None, heard: float) -> float:
        """When that was of which we heard at `heard`; the same instant, where there is nothing better to say."""
        says = stamp(time)
        if says is None or self._ahead is None:
            return heard
        late_s = heard - (says - self._ahead)
        return heard - late_s if QUICK_S < late_s <= LATEST_S else heard


def stamp(text: str | None) -> float | None:
    """The switch's own time as it is written in an event, Unix seconds; None where there is none, or it is no time."""
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if isfinite(found) else None
