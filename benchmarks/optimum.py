"""How near the best possible a limit on risk is: `python -m benchmarks.optimum [--scale S] [--json FILE]`.

The rule of pacing/predictive.py is to place a call while its risk, the chance that its answer meets no free seat, is at
most a limit. Here it is held against every rule there could be, in a call centre small enough to solve.

The model: a few seats, talk of 120 s and wrap-up of 20 s on average, both exponential; a dial is three exponential
phases of 6 s, and is answered by a person at their end in a quarter of all cases; a person who meets no free seat is
abandoned. So the numbers of seats and calls in each phase are a Markov decision process in continuous time. It is made
a discrete one by uniformisation and solved by value iteration for the average cost (Puterman, Markov Decision
Processes, 1994, chapters 8 and 11). The cost is idle seats, and a price for each abandon beyond 3 % of the answers. At
any price, the least average cost is a bound for all rules that keep to the 3 % (Lagrange's weak duality), and value
iteration brackets it from both sides in every step (Odoni 1969), so what is printed as the best possible is an upper
bound and no estimate. The rule's own figures come from the stationary distribution under it, with the risk of a call
computed exactly from the same chain.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import product
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.report import Result

TALK_S, WRAP_S, PHASE_S = 120.0, 20.0, 6.0
PHASES: Final = 3
ANSWERS: Final = 0.25
TARGET: Final = 0.03
LINES: Final = {2: 9, 3: 12, 5: 15}  # calls in the air at most, by seats: more than either rule has use for
PRICES: Final = (160.0, 200.0, 250.0, 310.0, 400.0)  # of an abandon, in seconds of an idle seat
LOWEST, HIGHEST = 0.002, 0.5  # risk limits that make less, and more, than the target of abandons
HALVINGS: Final = 9
SURE: Final = 2e-5  # of the occupancy: where iterations end
ASKED_EVERY: Final = 50  # iterations
WORST_PP: Final = 0.5

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Centre:
    """The process: states are places in arrays, in order of the calls in the air.

    `targets` and `chances` (transitions, states) are of one step of the uniformised chain, `stays` what is left;
    `more` is the state with one more call, or the state itself when all lines are in use. `layers` are where the states
    with so many calls begin. Rates are per second.
    """

    seats: int
    steps_per_s: float
    targets: Places
    chances: Floats
    stays: Floats
    more: Places
    layers: list[int]
    idle: Floats
    in_air: Floats
    answers: Floats  # rate
    abandons: Floats  # rate

    @property
    def debt(self) -> Floats:
        """Abandons beyond the target, per second."""
        return self.abandons - TARGET * self.answers


@dataclass(frozen=True, slots=True)
class Figures:
    """What a rule comes to in the long run. `debt` is as in :class:`Centre`."""

    occupancy: float
    abandon_rate: float
    debt: float


def centre(seats: int, lines: int) -> Centre:
    """Build the process."""
    floors = [(idle, wrap) for idle, wrap in product(range(seats + 1), repeat=2) if idle + wrap <= seats]
    airs = [air for air in product(range(lines + 1), repeat=PHASES) if sum(air) <= lines]
    airs.sort(key=sum)
    states = [(*floor, *air) for air in airs for floor in floors]
    place: dict[tuple[int, ...], int] = {state: number for number, state in enumerate(states)}
    count = len(states)
    targets = np.tile(np.arange(count), (6, 1))
    rates = np.zeros((6, count))
    more = np.arange(count)
    for number, (idle, wrap, first, second, third) in enumerate(states):
        ways = (
            ((seats - idle - wrap) / TALK_S, (idle, wrap + 1, first, second, third)),
            (wrap / WRAP_S, (idle + 1, wrap - 1, first, second, third)),
            (first / PHASE_S, (idle, wrap, first - 1, second + 1, third)),
            (second / PHASE_S, (idle, wrap, first, second - 1, third + 1)),
            (third / PHASE_S * (1.0 - ANSWERS), (idle, wrap, first, second, third - 1)),
            (third / PHASE_S * ANSWERS, (max(0, idle - 1), wrap, first, second, third - 1)),
        )
        for way, (rate, target) in enumerate(ways):
            if rate:
                rates[way, number], targets[way, number] = rate, place[target]
        more[number] = place.get((idle, wrap, first + 1, second, third), number)
    table = np.array(states, dtype=float)
    idle, in_air = table[:, 0], table[:, 2:].sum(axis=1)
    steps_per_s = float(rates.sum(axis=0).max())
    answers = table[:, 4] / PHASE_S * ANSWERS
    return Centre(
        seats=seats,
        steps_per_s=steps_per_s,
        targets=targets,
        chances=rates / steps_per_s,
        stays=1.0 - rates.sum(axis=0) / steps_per_s,
        more=more,
        layers=np.searchsorted(in_air, np.arange(lines + 2)).tolist(),
        idle=idle,
        in_air=in_air,
        answers=answers,
        abandons=np.where(idle == 0.0, answers, 0.0),
    )


# --- the best possible ----------------------------------------------------------------------------------------


def best_possible(of: Centre) -> float:
    """An upper bound of the occupancy that any rule reaches with no more abandons than the target."""
    values = np.zeros(len(of.idle))
    bound = 1.0
    for price in PRICES:
        values, least_cost = cheapest(of, price, values)
        bound = min(bound, 1.0 - least_cost / of.seats)
    return bound


def cheapest(of: Centre, price: float, values: Floats) -> tuple[Floats, float]:
    """Relative values of the states, and a lower bound of the average cost under the best rule at this price.

    `values` are a first guess; any will do.
    """
    cost = (of.idle + price * of.debt) / of.steps_per_s
    then, before = np.empty_like(of.chances), values
    while True:
        for _ in range(ASKED_EVERY):
            before = values
            np.take(before, of.targets, out=then, mode="clip")  # clip: else it goes through a buffer
            values = cost + of.stays * before + np.einsum("ws,ws->s", of.chances, then)
            for begin, end in reversed(list(zip(of.layers[:-2], of.layers[1:-1], strict=True))):
                values[begin:end] = np.minimum(values[begin:end], values.take(of.more[begin:end]))
        change = (values - before) * of.steps_per_s
        values = values - values[0]
        if change.max() - change.min() <= SURE * of.seats:
            return values, float(change.min())


# --- rules ----------------------------------------------------------------------------------------------------


def risks(of: Centre) -> Floats:
    """The chance that a call placed in each state, if it is answered, meets no free seat; none is placed after it."""
    leaves = 1.0 / PHASE_S / of.steps_per_s  # the call in question, which is in none of the states
    whole = 1.0 - of.stays + leaves
    risk = (of.idle == 0.0).astype(float)  # at the answer
    for _ in range(PHASES):
        then, risk = risk, np.zeros_like(risk)
        while True:
            before = risk
            risk = (leaves * then + np.einsum("ws,ws->s", of.chances, before.take(of.targets))) / whole
            if np.abs(risk - before).max() < 1e-9:
                break
    return risk


def dialed(of: Centre, places_one: NDArray[np.bool_]) -> Places:
    """The state after all calls have been placed by a rule that says where it places one more."""
    after = np.arange(len(of.idle))
    for _ in of.layers:
        after = np.where(places_one[after], of.more[after], after)
    return after


def in_the_long_run(of: Centre, places_one: NDArray[np.bool_]) -> Figures:
    """What a rule comes to: the stationary distribution of the chain under it, by iteration."""
    count = len(of.idle)
    after = dialed(of, places_one)
    used = np.unique(after)  # the states that time is spent in: far from all
    number = np.zeros(count, dtype=np.intp)
    number[used] = np.arange(len(used))
    targets, chances = number[after[of.targets[:, used]]].ravel(), of.chances[:, used]
    stays = of.stays[used]
    share = np.full(len(used), 1.0 / len(used))
    moving = np.empty_like(chances)
    occupancy = -1.0
    while True:
        for _ in range(10 * ASKED_EVERY):
            np.multiply(chances, share, out=moving)
            share = stays * share + np.bincount(targets, moving.ravel(), len(used))
        before, occupancy = occupancy, 1.0 - float(share @ of.idle[used]) / of.seats
        if abs(occupancy - before) < SURE:
            break
    answers, abandons = float(share @ of.answers[used]), float(share @ of.abandons[used])
    return Figures(occupancy, abandons / answers, abandons - TARGET * answers)


def by_risk(of: Centre) -> tuple[float, float]:
    """The limit on risk that makes the target of abandons, and its occupancy.

    Limits are halved between until two of neighbouring states are left; the target is then reached by using the one
    for a part of the time and the other for the rest.
    """
    risk = risks(of)
    low, high = LOWEST, HIGHEST
    under, over = (in_the_long_run(of, risk <= limit) for limit in (low, high))
    for _ in range(HALVINGS):
        limit = sqrt(low * high)
        found = in_the_long_run(of, risk <= limit)
        if found.debt <= 0.0:
            low, under = limit, found
        else:
            high, over = limit, found
    part = over.debt / (over.debt - under.debt)
    return low, part * under.occupancy + (1.0 - part) * over.occupancy


def teams(scale: float) -> list[int]:
    """Seats of the centres that are solved: the work grows twentyfold from each to the next."""
    return [3, 5] if scale >= 1.0 else [3] if scale >= 0.3 else [2]


def measure(scale: float) -> list[Result]:
    found = []
    for seats in teams(scale):
        of = centre(seats, LINES[seats])
        best = best_possible(of)
        limit, occupancy = by_risk(of)
        progressive = in_the_long_run(of, of.in_air < of.idle)
        name = f"{seats} seats, {100 * TARGET:g} % abandoned"
        found += [
            Result(f"{name}: the best possible occupancy, at most", 100 * best, "%"),
            Result(f"{name}: with a limit on risk, which is {limit:.4f}", 100 * occupancy, "%"),
            Result(f"{name}: lost by the limit", 100 * (best - occupancy), "pp", WORST_PP),
            Result(f"{seats} seats, none abandoned: progressive", 100 * progressive.occupancy, "%"),
        ]
    return found


if __name__ == "__main__":
    chosen = report.options(__doc__ or "", "1.0 is 3 and 5 seats; from 0.3 only 3, below only 2")
    sys.exit(report.report("optimum", chosen, measure(chosen.scale)))
