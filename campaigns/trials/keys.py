"""What a campaign's file says of scripts that are tried side by side: the arms, their shares, and who sets these."""

from __future__ import annotations

import math
from collections.abc import Sequence

from campaigns.codes import check_code
from campaigns.rules.keys import Part
from campaigns.rules.terms import Check
from campaigns.script import Step, check_script

MOST_ARMS = 8
MOST_SHARE = 1_000.0


class Arm(Part, frozen=True):
    """One of the things tried: `share` of the customers, beside the other arms' shares, hear this `script`; without
    one, the campaign's own."""

    code: str
    share: float = 1.0
    script: tuple[Step, ...] = ()


class Trial(Part, frozen=True):
    """Arms, the first of which the others are compared with. `bandit`: as talks convert, more of the new customers go
    to the arms that seem best."""

    arms: tuple[Arm, ...] = ()
    bandit: bool = False


def chances_of(trial: Trial) -> dict[str, float]:
    """The chance of each arm by its share."""
    whole = math.fsum(arm.share for arm in trial.arms)
    return {arm.code: arm.share / whole for arm in trial.arms}


def scripts_of(script: Sequence[Step], trial: Trial) -> dict[str, Sequence[Step]]:
    """What is said to the customers of each arm, and under an empty code to those of none."""
    return {"": script, **{arm.code: arm.script or script for arm in trial.arms}}


def check_trial(trial: Trial, check: Check) -> None:
    """Tell `check` of what makes no sense."""
    check(
        not trial.arms or 2 <= len(trial.arms) <= MOST_ARMS,
        "trial.arms",
        f"must be 2 to {MOST_ARMS}, are {len(trial.arms)}",
    )
    check(bool(trial.arms) or not trial.bandit, "trial.bandit", "has no arms to choose from")
    seen: set[str] = set()
    for index, arm in enumerate(trial.arms):
        at = f"trial.arms[{index}]"
        check_code(arm.code, seen, at, check)
        seen.add(arm.code)
        check(0 < arm.share <= MOST_SHARE, f"{at}.share", f"must be above 0 and at most {MOST_SHARE:.0f}")

        def within(right: bool, key: str, reason: str, at: str = at) -> None:
            check(right, f"{at}.{key}", reason)

        check_script(arm.script, within)
