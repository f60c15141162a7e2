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
        was = self.ours(stamp(time))
        return heard if was is None or not QUICK_S < heard - was <= LATEST_S else was

    def ours(self, says: float | None) -> float | None:
        """That time of the switch by our clock; None where there is none, or its clock is not known yet."""
        return None if says is None or self._ahead is None else says - self._ahead


def stamp(text: str | None) -> float | None:
    """The switch's own time as it is written in an event, Unix seconds; None where there is none, or it is no time."""
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if isfinite(found) else None
