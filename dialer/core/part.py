"""A campaign on one switch: the pacing of its seats and calls there, its shadow, and how many calls it has in the air.

A campaign has one such part for each of its switches, each with tables, a risk limit and a shadow of its own. One on a
single switch has one part, which goes with it when the switch is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from campaigns.config import CampaignConfig
from dialer.core.budget import held
from dialer.core.shadow import Question, Watch
from dialer.core.terms import pacing_config, shadow_config
from pacing.contract import Decision, Event, Mode, Room
from pacing.contract import SeatEvent as PacedSeat
from pacing.contract import SeatState as PacedState
from pacing.floor import Floor
from pacing.ledger import AbandonLedger
from pacing.pacer import CampaignPacer


class Part:
    """What a campaign has on `switch`. `key` is its name on the floor, `ledger` what it may spend of the budget."""

    def __init__(
        self, key: str, switch: str, config: CampaignConfig, floor: Floor, ledger: AbandonLedger
    ) -> None:
        self.key = key
        self.switch = switch
        self.pacer = CampaignPacer(pacing_config(config), ledger)
        # Calls reserved, dialed, ringing, screened or waiting: not yet with a seat, and none is kept for them.
        self.in_air = 0
        self.paced: set[int] = set()  # seats that its pacing counts on
        self.paced_idle: set[int] = set()  # of those the ready ones
        self.decision = Decision(0, "start")
        self.shadow = Watch(config.name)
        self._config = config
        self._floor = floor
        floor.join(key, self.pacer, config.priority)
        self.shadow.begin(self.pacer, shadow_config(config))

    def configure(self, config: CampaignConfig) -> None:
        """Take a new version; what pacing learned stays."""
        self._config = config
        self.pacer.configure(pacing_config(config))
        self._floor.join(self.key, self.pacer, config.priority)
        self.shadow.begin(self.pacer, shadow_config(config))

    def restore(self, learned: Mapping[str, Any], own: bool = True) -> None:
        """Give pacing what it had learned, or another part. Raises ValueError when it can't be read."""
        self.pacer.restore(learned, own)
        self.shadow.begin(self.pacer, shadow_config(self._config))

    def count_by(self, ledger: AbandonLedger) -> None:
        """Go by this ledger from now on, or by what it has been told at once."""
        self.pacer.ledger = ledger
        self.shadow.counted(ledger)

    def count_in(self, user_id: int, event: PacedSeat, ready: bool) -> None:
        """Pacing reckons with this seat, which stands so."""
        self.observe(event)
        self.paced.add(user_id)
        if ready:
            self.paced_idle.add(user_id)
        else:
            self.paced_idle.discard(user_id)

    def count_out(self, user_id: int, now: float) -> None:
        """It does no longer."""
        self.observe(PacedSeat(now, user_id, PacedState.AWAY, gone=True))
        self.paced.discard(user_id)
        self.paced_idle.discard(user_id)

    def observe(self, event: Event) -> None:
        """Tell pacing what happened."""
        self._floor.observe(self.key, event)
        self.shadow.note(event)

    def decide(self, now: float, room: Room) -> Decision:
        """Ask pacing, and hold a plain mode's answer to what the abandon budget can bear."""
        others = self._floor.others(self.key, now)
        decision = self.pacer.decide(now, room, others)
        if self._config.mode != Mode.PREDICTIVE:
            idle = len(self.paced_idle) - others.claims
            decision = held(decision, self.pacer.ledger, self._config.target, idle, self.in_air)
        self.decision = decision
        self.shadow.note(Question(now, room, others, decision, self.in_air))
        return decision
