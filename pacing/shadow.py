"""A pacer that looks on: it is told what another one's dialing brings, and says what it would do at the same moments.

It begins as a copy of the one that dials, with all seats, calls and tables, and learns on from the same events. Only of
the abandons it learns nothing: they come of the other's risks. So its risk limit stands where the one that dials has
steered it, or where a new campaign's begins, with the reserve in hand.
"""

from __future__ import annotations

from collections.abc import Hashable
from copy import deepcopy

from pacing.contract import Mode, PacingConfig
from pacing.ledger import AbandonLedger
from pacing.pacer import CampaignPacer
from pacing.predictive import Predictive
from pacing.steering import RiskLimit


class Shadow(CampaignPacer):
    """A copy of `live` as it is now, under a configuration of its own. Nothing of `live` is shared or changed."""

    def __init__(self, live: CampaignPacer, config: PacingConfig) -> None:
        super().__init__(config)
        self.__dict__.update(deepcopy(live.__dict__))
        self._model = _Untaught(self._model, config.target, steered=live._config.mode is Mode.PREDICTIVE)
        self.configure(config)

    def take_ledger(self, ledger: AbandonLedger) -> None:
        """Count what the books count."""
        self.ledger = deepcopy(ledger)


class _Untaught(Predictive):
    """Models that learn nothing from who is abandoned."""

    def __init__(self, of: Predictive, target: float, steered: bool) -> None:
        self.__dict__.update(of.__dict__)
        self.limit = _Held(of.limit if steered else None, target)

    def done(self, call: Hashable, answered: bool, abandoned: bool, binding: bool) -> None:
        """A call is settled."""
        self._risks.pop(call, 0.0)


class _Held(RiskLimit):
    """A risk limit that stays where it is, in parts of the target."""

    def __init__(self, of: RiskLimit | None, target: float) -> None:
        super().__init__(target)
        if of is not None:
            self._log, self._at_stake = of._log, of._at_stake
        self._debt = -self.reserve
