"""The abandon target of the plain modes: what pacing says, held to what the campaign's legal window can bear."""

from __future__ import annotations

import math

from pacing.contract import Decision
from pacing.ledger import AbandonLedger


def held(decision: Decision, ledger: AbandonLedger, target: float, idle: int, in_air: int) -> Decision:
    """The decision, with no more calls than there are seats and abandons for.

    Beyond one call for each idle seat, every call may become an abandoned one. So the calls in the air may exceed the
    idle seats by no more than the abandons that the legal window still has room for: with no room the campaign dials
    progressively, whatever its mode. Predictive has a governor of its own, which knows the risk.
    """
    surplus = max(0, math.floor(ledger.surplus(target) + 1e-9))
    allowed = max(0, idle + surplus - in_air)
    if decision.dial <= allowed:
        return decision
    return Decision(
        allowed,
        "abandon_budget",
        dict(decision.why) | {"abandon_budget": surplus, "wanted": decision.dial},
    )
