"""Steers the risk that one more call may carry, so that the abandon rate ends at its target and not over it.

Theory of operation. A call is placed while the chance that its answer finds no seat is at most the risk limit. Which
limit makes which abandon rate depends on the team, so the limit is steered by what happens: `debt`, the abandons beyond
the target's share of the answers so far (old ones fade), acts at once, its sum over time acts slowly. In the logarithm
of the limit this is a proportional-integral controller whose proportional part is bent: gentle while the reserve is
there, since a limit that swings costs occupancy, and steep when it is nearly used up.

Abandons are rare, and a small team's day is over before a limit that is off shows in them. So the limit is steered by
what its calls were expected to cost as well: the risk each answered call was placed with, which every answer tells.

A rate that must not be over its target can't be steered at it: chance scatters the debt, and the calls in the air may
cost some more. So a reserve of abandons is kept, large enough that both fit into it; it is a few abandons whatever the
window's length, which is nothing of a month's budget. At first it is a share of what has been earned, or a team of
three would save up all that its first day allows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MEMORY_ANSWERS = 3_000.0
FALL = 1.6  # of the limit's logarithm, when the scatter is used up; little while most of it is there
RISE = 0.4  # and at the most, when there is twice as much or more
SLOW = 0.16  # the slow gain, in parts of target per scatter²: some tenths of critical damping
FIRST_GAIN, FIRST_ANSWERS = 2.0, 1_000.0  # times as much at the start, when the limit is a guess
EXPECTED_ANSWERS = 200.0  # over which expected abandons beside the target move the limit
MOST_EXPECTED = 2.0  # targets that one answer may tell of
SCATTER = 2.0  # abandons by which chance moves the debt
SCATTER_AT_STAKE = 1.3  # and for each that the calls in the air may cost at the most
FIRST_RESERVE = 0.8  # the reserve in abandons at first,
RESERVE_SHARE = 0.1  # and of those that the target has allowed
STAKE_MEMORY = 200.0  # answers
SHARE = 0.97  # of the target: what is not used of a long window adds to the reserve
LARGEST_DEBT = 4.0  # scatters
LOWEST, HIGHEST = 1e-4, 0.9
START = 1.2  # risk limit at the start, in targets
RANGE = 12.0  # the limit stays within target / RANGE and target * RANGE


class RiskLimit:
    """The risk limit of one campaign."""

    def __init__(self, target: float) -> None:
        self._target = target
        self._debt = 0.0
        self._answers = 0.0
        self._at_stake = 0.0  # abandons the calls in the air may cost at the most, on average
        self._log = math.log(START)  # of the limit over the target

    @property
    def scatter(self) -> float:
        """Abandons by which the debt moves without anybody's doing."""
        return SCATTER + SCATTER_AT_STAKE * max(1.0, self._at_stake)

    @property
    def reserve(self) -> float:
        """Abandons to stay under the target by."""
        return min(self.scatter, FIRST_RESERVE + RESERVE_SHARE * self._target * self._answers)

    @property
    def value(self) -> float:
        """The greatest chance of meeting no free seat that a call may be placed with."""
        if self._target <= 0.0:
            return 0.0
        if self._target >= 1.0:
            return 1.0
        return self._limit(self._log + self._swing)

    def answered(self, abandoned: bool, expected: float | None, at_stake: float, binding: bool) -> None:
        """A person who answered got a seat, or was abandoned.

        `expected`: the chance of the latter, from the risk the call was placed with; None when nobody asked for it, as
        in another mode: then only the debt learns. `at_stake`: how many abandons the calls in the air may cost at the
        most. `binding`: the limit is what bound the dialing lately; else its slow part learns nothing.
        """
        if not 0.0 < self._target < 1.0:
            return
        error = abandoned - SHARE * self._target
        self._answers += 1
        if expected is not None:
            self._at_stake += (at_stake - self._at_stake) / min(self._answers, STAKE_MEMORY)
        reserve = self.reserve
        self._debt += error - (self._debt + reserve) / MEMORY_ANSWERS
        self._debt = min(LARGEST_DEBT * self.scatter, max(-LARGEST_DEBT * self.scatter, self._debt))
        if binding and expected is not None:
            # What it would have been without the swing, or the limit would work against its own quick part.
            steady = min(MOST_EXPECTED, expected / (self._target * math.exp(self._swing)))
            self._log = self._within(self._log - (steady - SHARE) / EXPECTED_ANSWERS)
            gain = SLOW * self._target / self.scatter**2
            gain *= max(1.0, FIRST_GAIN * (1.0 - self._answers / FIRST_ANSWERS))
            self._log = self._within(self._log - gain * (self._debt + reserve))

    def aim_at(self, target: float) -> None:
        """Take another target; what was learned of the team stays, and so does the debt.

        Under a lower one less was earned: of what there is to spare the reserve is left.
        """
        lower, self._target = target < self._target, target
        if lower:
            self._debt = max(self._debt, -self.reserve)

    def learned(self) -> dict[str, Any]:
        """What was learned, as plain numbers; the debt, too, or each restart would begin it anew."""
        return {
            "log": self._log,
            "answers": self._answers,
            "at_stake": self._at_stake,
            "debt": self._debt,
            "target": self._target,
        }

    def restore(self, learned: Mapping[str, Any], own: bool = True) -> None:
        """Take what :meth:`learned` gave. Raises ValueError for anything else.

        Not `own`, it was learned where other calls are dialed: what there is to spare or to pay back stays there.
        """
        log, answers = float(learned["log"]), float(learned["answers"])
        # What was kept by earlier versions has none of these.
        target, at_stake, debt = (
            float(learned.get(key, none))
            for key, none in (("target", self._target), ("at_stake", 0.0), ("debt", 0.0))
        )
        if (
            not all(map(math.isfinite, (log, answers, target, at_stake, debt)))
            or min(answers, at_stake) < 0.0
        ):
            raise ValueError("the risk limit is not what was saved")
        self._log, self._answers = self._within(log), answers
        self._at_stake, self._debt = (at_stake, debt) if own else (0.0, 0.0)
        if target > self._target:
            self._debt = max(self._debt, -self.reserve)

    # --- within ---------------------------------------------------------------------------------------------------

    def _limit(self, log: float) -> float:
        return min(HIGHEST, max(LOWEST, self._target * math.exp(self._within(log))))

    @property
    def _swing(self) -> float:
        """What the debt of the moment does to the limit's logarithm."""
        left = 1.0 - (self._debt + self.reserve) / self.scatter  # of the reserve, as a share
        swing = RISE * (left - 1.0) if left >= 1.0 else -FALL * (1.0 - left) ** 2
        return min(RISE, max(-2.0 * FALL, swing))

    @staticmethod
    def _within(log: float) -> float:
        return min(math.log(RANGE), max(-math.log(RANGE), log))
