"""The last hours of each campaign, a sample every half minute, for the console's charts. No I/O, no clock."""

from __future__ import annotations

from collections import deque

from cti.figures import CampaignSnapshot
from cti.wire import Frame

STEP_S = 30.0
KEPT = 480  # four hours

# What of a sample stands in which place. Counts are since the engine's start: a page takes their differences.
COLUMNS = (
    "at",
    "dials",
    "answered",
    "connected",
    "abandoned",
    "abandon_rate",
    "target",
    "idle_s",
    "busy_s",
    "seats",
    "talking",
    "lines",
)
Sample = tuple[float, ...]


class CurvesFrame(Frame, frozen=True, tag="curves"):
    """A campaign's samples: all of them to who has just come (`whole`), the newest to who was there."""

    campaign: str
    columns: tuple[str, ...]
    samples: tuple[Sample, ...]
    whole: bool


class Curves:
    """The samples of all campaigns."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[Sample]] = {}
        self._untold: dict[str, list[Sample]] = {}

    def take(self, s: CampaignSnapshot) -> None:
        """Keep a snapshot if a sample is due."""
        kept = self._samples.setdefault(s.campaign, deque(maxlen=KEPT))
        if not kept or s.at >= kept[-1][0] + STEP_S:
            kept.append(sample(s))
            self._untold.setdefault(s.campaign, []).append(kept[-1])

    def newest(self, campaign: str) -> CurvesFrame | None:
        """The samples since the last time that this was asked."""
        untold = self._untold.pop(campaign, None)
        return None if untold is None else CurvesFrame(campaign, COLUMNS, tuple(untold), whole=False)

    def whole(self, campaign: str) -> CurvesFrame:
        """All that is kept of a campaign."""
        return CurvesFrame(campaign, COLUMNS, tuple(self._samples.get(campaign, ())), whole=True)


def sample(s: CampaignSnapshot) -> Sample:
    """A snapshot as a row of :data:`COLUMNS`."""
    return (
        round(s.at, 1),
        s.dials,
        s.answered_humans,
        s.connected,
        s.abandoned,
        round(s.abandon_rate, 5),
        s.target,
        round(s.idle_s, 1),
        round(s.busy_s, 1),
        sum(s.seats.values()),
        s.seats.get("talking", 0),
        sum(s.lines.values()),
    )
