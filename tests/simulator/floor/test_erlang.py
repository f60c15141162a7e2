"""The floor against queueing theory: Erlang C and A for callers, renewal theory for one line a seat.

Each closed form must lie in the confidence interval of independent days; 99.9 %, so that thirty such comparisons
together are wrong once in thirty times, and with fixed seeds never again after that.
"""

from __future__ import annotations

from math import exp, factorial, sqrt

import numpy as np
import pytest

from simulator.floor import Result, simulate_plainly
from simulator.floor.distribution import Distribution, Exponential, Gamma, Lognormal
from simulator.floor.scenario import Inbound
from tests.simulator.floor.days import always, campaign, floor

DAYS = 16
HOURS = 400.0
T_999 = 4.07  # two-sided quantile of Student's t, 15 degrees of freedom
pytestmark = pytest.mark.timeout(180)  # numba compiles once on a new machine


def assert_within(closed_form: float, values: list[float]) -> None:
    """The closed form lies in the 99.9 % interval of the days, which is narrow enough to mean something."""
    mean, half = float(np.mean(values)), T_999 * float(np.std(values, ddof=1)) / sqrt(len(values))
    assert half < 0.12 * closed_form, f"{mean} ± {half}: too wide to tell"
    assert abs(mean - closed_form) <= half, f"{mean} ± {half}, theory says {closed_form}"


def callers(
    per_h: float, talk_s: float, patience: Distribution | None = None, seats: int = 10
) -> list[Result]:
    inbound = Inbound(calls_per_h=per_h, talk=Exponential(talk_s), patience=patience)
    scenario = floor(
        campaign(inbound=inbound, dials=False), seats=seats, hours=HOURS, warm_up_min=60.0, lines=2_000
    )
    return [simulate_plainly(scenario, 1.0, seed) for seed in range(DAYS)]


def erlang_c(seats: int, load: float) -> float:
    """The share of callers who wait, all of whom stay (Erlang 1917)."""
    last = load**seats / factorial(seats) * seats / (seats - load)
    return last / (sum(load**k / factorial(k) for k in range(seats)) + last)


@pytest.mark.parametrize(("seats", "load"), [(1, 0.6), (10, 7.0), (10, 8.5), (40, 35.0)])
def test_callers_who_stay_wait_as_erlang_c_says(seats: int, load: float) -> None:
    talk_s = 120.0
    days = callers(load / talk_s * 3600, talk_s, seats=seats)
    waits = erlang_c(seats, load)
    assert_within(waits, [day.total.queued / day.total.offered for day in days])
    mean_wait_s = waits * talk_s / (seats - load)
    assert_within(mean_wait_s, [day.total.inbound_waited_s / day.total.served for day in days])
    assert_within(load / seats, [day.occupancy for day in days])


def erlang_a(seats: int, load: float, impatience: float) -> tuple[float, float, float]:
    """Shares who wait and who leave, and the mean number waiting (Palm 1957); impatience is talk over patience."""
    weights = [load**k / factorial(k) for k in range(seats + 1)]
    while weights[-1] > 1e-15 * sum(weights):
        waiting = len(weights) - seats
        weights.append(weights[-1] * load / (seats + waiting * impatience))
    whole = sum(weights)
    waits = sum(weights[seats:]) / whole
    queue = sum(weight * max(0, k - seats) for k, weight in enumerate(weights)) / whole
    return waits, queue * impatience / load, queue


@pytest.mark.parametrize(
    ("seats", "load", "patience_s"), [(10, 9.0, 60.0), (10, 12.0, 90.0), (30, 30.0, 120.0)]
)
def test_callers_who_lose_patience_leave_as_erlang_a_says(seats: int, load: float, patience_s: float) -> None:
    talk_s = 120.0
    days = callers(load / talk_s * 3600, talk_s, Exponential(patience_s), seats)
    waits, leaves, queue = erlang_a(seats, load, talk_s / patience_s)
    assert_within(waits, [day.total.queued / day.total.offered for day in days])
    assert_within(leaves, [day.total.left / day.total.offered for day in days])
    mean_wait_s = queue * talk_s / load
    assert_within(
        mean_wait_s, [day.total.inbound_waited_s / (day.total.served + day.total.left) for day in days]
    )


def test_poisson_callers_are_turned_away_as_erlang_b_says() -> None:
    """A line for each seat: who finds none is turned away."""
    talk_s, seats, load = 120.0, 10, 8.0
    inbound = Inbound(calls_per_h=load / talk_s * 3600, talk=Lognormal(talk_s, 1.0))  # holds for any talk
    scenario = floor(
        campaign(inbound=inbound, dials=False, wrap=None),
        seats=seats,
        hours=HOURS,
        lines=seats,
        warm_up_min=60.0,
    )
    days = [simulate_plainly(scenario, 1.0, seed) for seed in range(DAYS)]
    blocked = load**seats / factorial(seats) / sum(load**k / factorial(k) for k in range(seats + 1))
    assert_within(blocked, [day.total.turned_away / day.total.offered for day in days])


@pytest.mark.parametrize("seats", [1, 12])
def test_one_line_a_seat_idles_as_long_as_renewal_theory_says(seats: int) -> None:
    """Each connect takes 1/p dials, one after the other for each seat, and then talk and wrap-up."""
    person, machine, failed, setup_s, ring_s, limit_s, busy_s = 0.3, 0.2, 0.1, 0.5, 6.0, 25.0, 3.0
    scenario = floor(
        campaign(
            person=person,
            machine=machine,
            failed=failed,
            setup=always(setup_s),
            ring=Exponential(ring_s),
            talk=Lognormal(90.0, 1.0),
            wrap=Gamma(15.0, 0.6),
            failed_after_s=busy_s,
        ),
        seats=seats,
        hours=HOURS,
        warm_up_min=60.0,
    )
    late = exp(-limit_s / ring_s)
    answered_s = ring_s * (1 - late)  # E min(ring, limit)
    dial_s = (
        (person + machine) * (setup_s + answered_s)
        + failed * busy_s
        + (1 - person - machine - failed) * (setup_s + limit_s)
    )
    idle_s = dial_s / (person * (1 - late))
    days = [simulate_plainly(scenario, 1.0, seed) for seed in range(DAYS)]
    assert sum(day.abandoned for day in days) == 0
    assert_within(idle_s, [day.idle_s_per_call for day in days])
    assert_within(105.0 / (105.0 + idle_s), [day.occupancy for day in days])
