"""What a day on the floor came to, and what many days say together, with how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

from simulator.floor import model
from simulator.floor.building import Building

# Two-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom; the normal one after that.
T_95 = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
    2.131,
)
T_95_ALL = (
    *T_95,
    2.120,
    2.110,
    2.101,
    2.093,
    2.086,
    2.080,
    2.074,
    2.069,
    2.064,
    2.060,
    2.056,
    2.052,
    2.048,
    2.045,
)
Z_95 = 1.960


ANSWERED = [model.CONNECTED, model.ABANDONED, model.HUNG_UP]


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts and times of one campaign, or of all together, after the warm-up.

    `answered` are the people who wanted a seat: connected, abandoned, or gone by themselves before the connect limit.
    `misjudged` people were taken for machines and hung up on; they are in no other figure.
    """

    dials: int
    connected: int
    abandoned: int
    hung_up: int
    misjudged: int
    machines_seated: int
    offered: int
    served: int
    left: int
    queued: int
    turned_away: int
    waited_s: float
    inbound_waited_s: float

    @property
    def answered(self) -> int:
        return self.connected + self.abandoned + self.hung_up

    @property
    def abandon_rate(self) -> float:
        """Abandoned of answered people; 0 when nobody answered."""
        return self.abandoned / self.answered if self.answered else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One day of one floor under one law. Times are seconds of all seats, without the warm-up."""

    scenario: str
    seed: int
    events: int
    hours: float  # counted ones
    idle_s: float
    talk_s: float
    wrap_s: float
    total: Figures
    campaigns: dict[str, Figures]
    # by five minutes, the warm-up too, which ends at place `first`; the last two by campaign as well
    first: int
    idle_by: NDArray[np.float64]
    busy_by: NDArray[np.float64]
    answered_by: NDArray[np.float64]
    abandoned_by: NDArray[np.float64]

    @property
    def occupancy(self) -> float:
        """Share of the logged-in, unpaused time that was talk or wrap-up."""
        whole = self.idle_s + self.talk_s + self.wrap_s
        return (self.talk_s + self.wrap_s) / whole if whole else 0.0

    @property
    def seat_hours(self) -> float:
        return (self.idle_s + self.talk_s + self.wrap_s) / 3600

    @property
    def calls(self) -> int:
        """Customers who had a seat, called or calling."""
        return self.total.connected + self.total.served

    @property
    def idle_s_per_call(self) -> float:
        return self.idle_s / self.calls if self.calls else nan

    @property
    def connects_per_seat_hour(self) -> float:
        return self.calls / self.seat_hours if self.seat_hours else 0.0

    @property
    def abandon_rate(self) -> float:
        return self.total.abandon_rate

    @property
    def dials(self) -> int:
        return self.total.dials

    @property
    def answered(self) -> int:
        return self.total.answered

    @property
    def connected(self) -> int:
        return self.total.connected

    @property
    def abandoned(self) -> int:
        return self.total.abandoned


def result(building: Building, seed: int) -> Result:
    """Close a floor whose day is over, and read its figures off."""
    n, x, scenario = building.n, building.x, building.scenario
    model.close(n, x)
    first, buckets = round(scenario.warm_up_s / model.BUCKET_S), building.buckets
    spent = _table(x, n[model.SPENT], 4, buckets)
    tallies = [_table(x, n[row + model.FIGURES], model.TALLIES, buckets) for row in building.campaigns]
    tally = np.sum(tallies, axis=0)
    return Result(
        scenario=scenario.name,
        seed=seed,
        events=int(n[model.EVENTS]),
        hours=(scenario.end_s - scenario.warm_up_s) / 3600,
        idle_s=float(spent[model.IDLE, first:].sum()),
        talk_s=float(spent[model.TALK, first:].sum()),
        wrap_s=float(spent[model.WRAP, first:].sum()),
        total=_figures(tally[:, first:].sum(axis=1)),
        campaigns={
            campaign.name: _figures(table[:, first:].sum(axis=1))
            for campaign, table in zip(scenario.campaigns, tallies, strict=True)
        },
        first=first,
        idle_by=spent[model.IDLE],
        busy_by=spent[model.TALK] + spent[model.WRAP],
        answered_by=np.stack([table[ANSWERED].sum(axis=0) for table in tallies]),
        abandoned_by=np.stack([table[model.ABANDONED] for table in tallies]),
    )


def _table(x: model.Real, begin: int, rows: int, columns: int) -> NDArray[np.float64]:
    return np.array(x[begin : begin + rows * columns]).reshape(rows, columns)


def _figures(row: NDArray[np.float64]) -> Figures:
    return Figures(
        dials=int(row[model.DIALS]),
        connected=int(row[model.CONNECTED]),
        abandoned=int(row[model.ABANDONED]),
        hung_up=int(row[model.HUNG_UP]),
        misjudged=int(row[model.MISJUDGED]),
        machines_seated=int(row[model.MACHINES_SEATED]),
        offered=int(row[model.OFFERED]),
        served=int(row[model.SERVED]),
        left=int(row[model.LEFT]),
        queued=int(row[model.QUEUED]),
        turned_away=int(row[model.TURNED_AWAY]),
        waited_s=float(row[model.WAITED_S]),
        inbound_waited_s=float(row[model.INBOUND_WAITED_S]),
    )


def quantile(freedom: int) -> float:
    """The two-sided 95 % quantile of Student's t."""
    return T_95_ALL[freedom - 1] if 1 <= freedom <= len(T_95_ALL) else Z_95


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % confidence interval of independent values; of a single one the interval is unknown (nan)."""
    found = np.asarray(values, dtype=float)
    mean = float(found.mean())
    if len(found) < 2:
        return mean, nan, nan
    half = quantile(len(found) - 1) * float(found.std(ddof=1)) / sqrt(len(found))
    return mean, mean - half, mean + half


def share_interval(
    hits: Sequence[float], of: Sequence[float], least_effect: float = 1.0
) -> tuple[float, float, float]:
    """A share over clusters of trials that resemble one another, with its 95 % confidence interval.

    Wilson's interval on the effective number of trials: the number of trials over the design effect, which is the
    variance between the clusters over that of independent trials (Kish 1965), taken as `least_effect` where it comes
    out below. Below 1 the clusters vary less than chance: something in them makes up for it.
    """
    hit, trials = np.asarray(hits, dtype=float), np.asarray(of, dtype=float)
    hit, trials = hit[trials > 0], trials[trials > 0]
    whole = float(trials.sum())
    if not whole:
        return 0.0, 0.0, 1.0
    share = float(hit.sum()) / whole
    clusters = len(trials)
    effect = 1.0
    if clusters > 1 and 0 < share < 1:
        between = float(((hit - share * trials) ** 2).sum()) * clusters / (clusters - 1) / whole**2
        effect = max(least_effect, between / (share * (1 - share) / whole))
    effective = whole / effect
    z = quantile(clusters - 1) if clusters > 1 else Z_95
    middle = (share + z * z / (2 * effective)) / (1 + z * z / effective)
    half = z / (1 + z * z / effective) * sqrt(share * (1 - share) / effective + (z / (2 * effective)) ** 2)
    return share, max(0.0, middle - half), min(1.0, middle + half)
