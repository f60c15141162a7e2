"""Predictive dialing: one more call while the chance that its answer meets no free seat is worth taking.

Theory of operation. The state is the ages of the calls in the air and of the busy seats. From them two models
(:mod:`pacing.ringing`, :mod:`pacing.release`) give, for the instants at which a call dialed now would be answered, how
many people will have answered before and how many seats will be free. The chance that those answers take all seats,
averaged over the instants, is the risk of the call. Calls are added one by one until the next one's risk is above the
limit that :mod:`pacing.steering` sets. A rule of this form is within 0.3 percentage points of occupancy of the best
possible one where that can be computed (`python -m benchmarks.optimum`), so nothing finer is needed.

Above it stands the governor: what calls in the air may yet cost must fit into the abandons that the legal window has
earned so far. With nothing left only small risks are taken; a campaign that is new, or clearly over its target, dials
progressively.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from pacing.crowd import Surplus
from pacing.ledger import AbandonLedger
from pacing.lifetable import Floats
from pacing.release import ReleaseModel
from pacing.ringing import QUANTILES, AnswerModel
from pacing.roster import Roster
from pacing.steering import RiskLimit

REFRESH_S = 30.0  # talks and wrap-ups that have not ended tell something, too
LINES_A_SEAT = 20  # in the air at most, for each seat that works: nothing real needs more
AT_ONCE = 400  # calls one decision may place
FEW_ANSWERS = 150.0  # of which one abandon more is a large share
CAUTIOUS = 0.1  # of the target: the risk limit when nothing is left of the budget
OVER = 0.001  # of the answers: abandons over the target, and one more, with which no risk is taken at all
CONFIDENCE = 0.005  # chance left that the calls in the air cost more abandons than were earned
UNSURE = 0.1  # answers more or less by which the estimate of their share may be off without being heeded
SURE_WEIGHTS = np.full(QUANTILES, 1 / QUANTILES)
UNSURE_WEIGHTS = np.concatenate((SURE_WEIGHTS * 5 / 6, SURE_WEIGHTS / 6))
BLAME_PRIOR = 20.0  # abandons' worth of "as many as predicted, times BLAME"
BLAME = 1.6  # a call placed later may take the seat of one placed before: abandons over predicted ones
BLAME_MEMORY = 300.0


@dataclass(frozen=True, slots=True)
class Others:
    """What else takes this campaign's seats: its own callers, and campaigns on the same seats (:mod:`pacing.floor`)."""

    expected: Floats | None = None  # people who come until each of the model's instants, on average
    waiting: float = 0.0  # people who are served before this campaign's
    claims: int = 0  # idle seats that calls of others were placed for
    limit: float = 1.0  # no call may carry a greater risk than this, for the sake of others


NOBODY_ELSE = Others()


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a decision rests on. Expectations are for the instant at which half the answers of a new call have come."""

    dial: int
    bound: str  # risk, abandon_budget, or lines_a_seat, when `dial` is less than was asked for
    risk: float  # of the next call
    limit: float
    expected_free: float
    expected_answers: float
    expected_others: float
    answer_share: float  # of new calls, by people
    earned: float


class Predictive:
    """The models of one campaign and the decision over them."""

    def __init__(self, target: float, ring_limit_s: float) -> None:
        self.answers = AnswerModel(ring_limit_s)
        self.release = ReleaseModel()
        self.limit = RiskLimit(target)
        self._risks: dict[Hashable, float] = {}  # of calls in the air, when they were decided on
        self._predicted, self._happened = BLAME_PRIOR / BLAME, BLAME_PRIOR
        self._seen = -1
        self._refreshed_at = -math.inf
        self._staked = 0.0  # abandons to be expected of the calls in the air, as of the last decision
        self._planned: list[float] = []  # risks of the calls decided on and not yet heard of

    # --- learning -------------------------------------------------------------------------------------------------

    def dialed(self, call: Hashable) -> None:
        """A call is in the air: the next of those decided on, or one that another mode or engine placed."""
        if self._planned:
            self._risks[call] = self._planned.pop(0)

    def done(self, call: Hashable, answered: bool, abandoned: bool, binding: bool) -> None:
        """A call is settled: `answered` by a person who got a seat or (`abandoned`) got none."""
        risk, expected = self._risks.pop(call, None), None
        if not answered:
            return
        if risk is not None:  # else nothing was predicted, and what happened says nothing of predictions
            self._predicted += risk - self._predicted / BLAME_MEMORY * risk
            self._happened += abandoned - self._happened / BLAME_MEMORY * risk
            expected = risk * self._blame
        self.limit.answered(abandoned, expected, worst(self._staked), binding)

    def rest(self) -> None:
        """Another mode dials from now on: of the calls decided on no more will come."""
        self._planned = []

    def refresh(
        self,
        now: float,
        air: Roster,
        talking: Roster,
        wrapping: Roster,
        grace_s: float,
        wrap_limit_s: float | None,
    ) -> None:
        """Draw up the tables anew when enough has been learned since the last time, or some time has gone by."""
        seen = self.answers.dials + self.release.talk.count + self.release.wrap.count
        learned = seen - self._seen
        enough = max(4.0, min(60.0, seen / 25), len(air) / 20)  # a table looks at everybody in the air
        if learned < enough and now - self._refreshed_at < REFRESH_S:
            return
        self._seen, self._refreshed_at = seen, now
        self.answers.refresh(air.ages(now))
        self.release.refresh(
            self.answers.times + grace_s, talking.ages(now), wrapping.ages(now), wrap_limit_s
        )

    # --- deciding -------------------------------------------------------------------------------------------------

    def decide(
        self,
        now: float,
        free: int,
        seats: int,
        most: int,
        air: Roster,
        talking: Roster,
        wrapping: Roster,
        ledger: AbandonLedger,
        target: float,
        others: Others,
    ) -> Outlook:
        """How many of at most `most` calls to place. `free` idle seats less people who wait, of `seats` that work."""
        model, limit = self.answers, min(self.limit.value, others.limit)
        if not seats and not len(air):  # as all night, in every campaign that runs
            self._planned, self._staked = [], 0.0
            return self._resting(free, limit, ledger.surplus(target), others)
        ages, factors = air.ages(now), air.factors()
        model.advance(ages)
        level, deviation = model.level()
        to_come = float(model.ever(ages, level * factors).sum())
        at_stake = self._at_stake(to_come)
        earned = ledger.surplus(target)
        # If the estimate of the share is wrong it is so for all calls at once. Its distribution is taken as three
        # points (Gauss-Hermite: a sixth each at plus and minus sqrt(3) deviations), the low one put to the middle.
        unsure = deviation / level * to_come > UNSURE
        levels = np.array([level, level + math.sqrt(3.0) * deviation] if unsure else [level])
        answers = model.answers(ages, factors, levels)
        frees = self.release.free(talking.ages(now), wrapping.ages(now))
        surplus = Surplus(
            answers,
            np.concatenate((frees, frees), axis=1) if unsure else frees,
            UNSURE_WEIGHTS if unsure else SURE_WEIGHTS,
            np.tile(others.expected, len(levels)) if others.expected is not None else None,
        )
        new = model.new(levels)
        middle = len(model.times) // 2
        likely = min(1.0, model.share * level)  # that a new call is answered by a person
        blame = self._blame
        planned: list[float] = []
        bound = "risk"
        room = min(most, AT_ONCE, max(0, LINES_A_SEAT * seats - len(air)))
        # The chance that the answers before that of one more call, if it is answered, take all free seats.
        risk = surplus.at_least(free)
        certain = free - others.claims  # seats that nobody else comes for
        if others.expected is not None:
            certain -= math.ceil(float(others.expected[-1]) - 0.05)
        while len(planned) < room:
            if len(air) + len(planned) >= certain:  # with a seat for each a model's word is not needed
                allowed = governed(limit, at_stake + likely * risk * blame, earned, ledger.answered, target)
                if risk > allowed:
                    bound = "risk" if risk > limit else "abandon_budget"
                    break
            at_stake += likely * risk * blame
            planned.append(risk)
            surplus.add(new)
            risk = surplus.at_least(free)
        else:
            bound = "lines_a_seat" if room < most else ""
        self._planned, self._staked = planned, at_stake
        return Outlook(
            dial=len(planned),
            bound=bound,
            risk=risk,
            limit=limit,
            expected_free=max(0, free) + float(frees[:, middle].sum()),
            expected_answers=float(answers[:, middle].sum()) + max(0, -free),
            expected_others=0.0 if others.expected is None else float(others.expected[middle]),
            answer_share=model.share * level,
            earned=earned,
        )

    # --- within ---------------------------------------------------------------------------------------------------

    def _resting(self, free: int, limit: float, earned: float, others: Others) -> Outlook:
        """Nobody is at work and no call in the air: what :meth:`decide` would say, without a word of the models."""
        return Outlook(
            dial=0,
            bound="",
            risk=1.0,
            limit=limit,
            expected_free=0.0,
            expected_answers=float(max(0, -free)),
            expected_others=0.0
            if others.expected is None
            else float(others.expected[len(others.expected) // 2]),
            answer_share=self.answers.share * self.answers.level()[0],
            earned=earned,
        )

    def _at_stake(self, to_come: float) -> float:
        """Abandons to be expected of the calls in the air, from the risks of those decided on here."""
        if not self._risks:
            return 0.0
        return to_come * sum(self._risks.values()) / len(self._risks) * self._blame

    @property
    def _blame(self) -> float:
        """Abandons that happened over those predicted when the calls were placed."""
        return self._happened / max(self._predicted, 1e-9)


def governed(limit: float, at_stake: float, earned: float, answered: float, target: float) -> float:
    """The risk limit that the window's ledger leaves, when `at_stake` abandons are to be expected; negative for none.

    `answered` people have `earned` so many abandons that are left under the target.

    While few have answered one abandon is a large share: then one more must have been earned than are exceeded once in
    two hundred times. Later, with nothing left, only small risks are taken, which costs little and earns nearly as fast
    as taking none; and none when the window is clearly over its target.
    """
    if answered < FEW_ANSWERS:
        return limit if worst(at_stake) + 1 <= earned else -1.0
    if at_stake <= earned:
        return limit
    clearly_over = earned < -1.0 - OVER * answered
    return -1.0 if clearly_over else min(limit, CAUTIOUS * target)


def worst(at_stake: float) -> int:
    """The number that a Poisson number of this mean exceeds with a chance of `CONFIDENCE` at most."""
    if at_stake > 40.0:  # nearly normal: 2.6 standard deviations leave 0.5 %
        return math.ceil(at_stake + 2.6 * math.sqrt(at_stake))
    term = total = math.exp(-at_stake)
    number = 0
    while 1.0 - total > CONFIDENCE:
        number += 1
        term *= at_stake / number
        total += term
    return number
