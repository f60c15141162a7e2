"""Many days under one law as one line of a table: each figure with its 95 % confidence interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from simulator.floor.result import Figures, Result, mean_interval, share_interval

HALF_HOUR = 6  # buckets of five minutes
ENOUGH = 10  # days that make an interval by themselves
STEERED = 0.02  # of chance's variance at least: what a law that steers may leave from day to day


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and where it lies with 95 % confidence; nan where one day can't tell."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What the days under one law say. `bound_share` is the occupancy as a share of the clairvoyant's that day."""

    scenario: str
    policy: str
    days: int
    abandon: Estimate
    occupancy: Estimate
    idle_s_per_call: Estimate
    connects_per_seat_hour: Estimate
    bound_share: Estimate
    campaigns: dict[str, Estimate]  # their abandon rates
    total: Figures  # over all days

    def row(self) -> dict[str, object]:
        """As JSON has it: figures that are not known are null."""
        estimates = {
            name: _known(getattr(self, name))
            for name in ("abandon", "occupancy", "idle_s_per_call", "connects_per_seat_hour", "bound_share")
        }
        counts = {name: getattr(self.total, name) for name in Figures.__slots__}
        campaigns = {name: _known(estimate) for name, estimate in self.campaigns.items()}
        head = {"scenario": self.scenario, "policy": self.policy, "days": self.days}
        return {**head, **estimates, "campaigns": campaigns, "counts": counts}


def summary(policy: str, days: Sequence[Result], bound: Sequence[Result]) -> Summary:
    """Sum days up; `bound` are the same days under the clairvoyant law."""
    shares = [day.occupancy / best.occupancy for day, best in zip(days, bound, strict=True) if best.occupancy]
    figures = [day.total for day in days]
    return Summary(
        scenario=days[0].scenario,
        policy=policy,
        days=len(days),
        abandon=_abandon(days, slice(None)),
        occupancy=Estimate(*mean_interval([day.occupancy for day in days])),
        idle_s_per_call=Estimate(*mean_interval([day.idle_s_per_call for day in days])),
        connects_per_seat_hour=Estimate(*mean_interval([day.connects_per_seat_hour for day in days])),
        bound_share=Estimate(*mean_interval(shares)),
        campaigns={
            name: _abandon(days, slice(place, place + 1)) for place, name in enumerate(days[0].campaigns)
        },
        total=Figures(*(sum(getattr(each, name) for each in figures) for name in Figures.__slots__)),
    )


def _abandon(days: Sequence[Result], campaigns: slice) -> Estimate:
    """The abandon rate. What goes wrong in a minute goes wrong for several people, so its trials are clustered.

    A law that steers makes up for a bad hour in the next, which only whole days tell. Few days are cut into half hours.
    """
    abandoned, answered = [], []
    whole = len(days) >= ENOUGH
    for day in days:
        buckets = day.answered_by.shape[1]
        width = buckets if whole else HALF_HOUR
        for at in range(day.first, buckets, width):
            abandoned.append(float(day.abandoned_by[campaigns, at : at + width].sum()))
            answered.append(float(day.answered_by[campaigns, at : at + width].sum()))
    return Estimate(*share_interval(abandoned, answered, STEERED if whole else 1.0))


def _known(estimate: Estimate) -> dict[str, float | None]:
    return {
        name: None if isnan(value) else value
        for name, value in (("value", estimate.value), ("low", estimate.low), ("high", estimate.high))
    }
