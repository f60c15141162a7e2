"""How a number is answered beside the others of its pool, and when it has collapsed. Pure.

Each number carries a CUSUM of log-likelihood ratios (E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954):
for each finished call, is it likelier from a number that is answered `COLLAPSED` times as often as the others of its
pool, or from one that is answered as they are? Evidence for the latter is forgotten at 0, so a number that was good for
months is found as fast as a new one. While it is answered as the others are, a flag is raised no oftener than once in
e^h calls on average (G. Lorden, "Procedures for reacting to a change in distribution", Annals of Mathematical
Statistics 42, 1971: for independent calls), with `h` the natural logarithm of :data:`FALSE_ALARM_CALLS`.

What the others are answered is known from their last calls only: older ones fade so that a pool remembers
:data:`REMEMBERED` calls. So the hour of the day and a worse list, which hit all numbers of a pool alike, do not count
against one. Their rate is taken one standard error lower, for it is an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

COLLAPSED = 0.5  # of the others' rate: what carriers' spam labels do to a number is of that order or worse
FALSE_ALARM_CALLS = 100_000
FLAGGED_AT = math.log(FALSE_ALARM_CALLS)
REMEMBERED = 500.0  # calls of a pool: their rate is known to two percentage points, and follows the hour's
LEAST_OTHERS = 100.0  # calls of the others; with fewer nobody knows what is usual


@dataclass(frozen=True, slots=True)
class Answers:
    """One number in one campaign: calls that were finished since the last look, and those that are remembered."""

    number: str
    fresh_calls: int = 0
    fresh_answers: int = 0
    calls: float = 0.0
    answers: float = 0.0

    @property
    def rate(self) -> float | None:
        """The share of remembered calls that a person answered."""
        return self.answers / self.calls if self.calls > 0 else None


def look(pool: Sequence[Answers]) -> tuple[list[Answers], list[float]]:
    """A pool after its fresh calls are weighed: what is remembered of each number, and what speaks against it.

    The evidence is added to what there is by :func:`added`. With one number to a pool there is nothing to compare.
    """
    fresh = np.array([each.fresh_calls for each in pool], float)
    fresh_answers = np.array([each.fresh_answers for each in pool], float)
    calls = np.array([each.calls for each in pool], float) + fresh
    answers = np.array([each.answers for each in pool], float) + fresh_answers
    others, taken = calls.sum() - calls, answers.sum() - answers
    known = others >= LEAST_OTHERS
    usual = np.divide(taken, others, out=np.zeros_like(taken), where=known)
    usual -= np.sqrt(np.divide(usual * (1 - usual), others, out=np.zeros_like(usual), where=known))
    known &= usual > 0
    usual = np.where(known, usual, 0.5)
    for_collapse = fresh_answers * math.log(COLLAPSED) + (fresh - fresh_answers) * np.log(
        (1 - COLLAPSED * usual) / (1 - usual)
    )
    fade = min(1.0, REMEMBERED / calls.sum()) if calls.sum() else 1.0
    remembered = [
        replace(each, fresh_calls=0, fresh_answers=0, calls=float(c * fade), answers=float(a * fade))
        for each, c, a in zip(pool, calls, answers, strict=True)
    ]
    return remembered, [float(each) for each in np.where(known, for_collapse, 0.0)]


def added(evidence: float, more: float) -> float:
    """The CUSUM after more evidence."""
    return max(0.0, evidence + more)


def others_rate(pool: Sequence[Answers], number: str) -> float | None:
    """The share that the other numbers of the pool are answered, None while too little is known."""
    calls = sum(each.calls for each in pool if each.number != number)
    answers = sum(each.answers for each in pool if each.number != number)
    return answers / calls if calls >= LEAST_OTHERS else None
