"""A running campaign inside the core: its config, its pacer, its idle seats and waiting customers, its counts."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from campaigns.config import CampaignConfig
from pacing.contract import Decision, Mode, Pacer, PacingConfig, Room
from pacing.pacer import CampaignPacer


def pacing_config(config: CampaignConfig) -> PacingConfig:
    """What of a campaign's config concerns pacing."""
    return PacingConfig(
        mode=Mode(config.mode), ratio=config.ratio, target=config.target, max_lines=config.max_lines
    )


@dataclass(slots=True)
class AbandonLedger:
    """Answered humans and abandoned calls over the campaign's legal window, history included."""

    humans: int = 0
    abandoned: int = 0

    @property
    def rate(self) -> float:
        return self.abandoned / self.humans if self.humans else 0.0

    def surplus(self, target: float) -> int:
        """How many more calls could all be abandoned with the rate still at or under `target`.

        n more abandoned humans keep (abandoned + n) / (humans + n) <= target when
        n <= (target * humans - abandoned) / (1 - target).
        """
        if target >= 1.0:
            return 1_000_000
        return max(0, math.floor((target * self.humans - self.abandoned) / (1.0 - target) + 1e-9))


@dataclass(slots=True)
class Counts:
    """What the engine saw since its start."""

    dials: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    humans: int = 0
    connected: int = 0
    abandoned: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    idle_s: float = 0.0  # seat seconds ready without a customer
    busy_s: float = 0.0  # seat seconds with a customer or in wrap-up


class Campaign:
    """One campaign. `idle` and `waiting` keep their order: the longest first."""

    def __init__(self, campaign_id: int, config: CampaignConfig) -> None:
        self.id = campaign_id
        self.config = config
        self.pacer: Pacer = CampaignPacer(pacing_config(config))
        self.idle: dict[int, None] = {}  # user ids of ready seats that may take its calls
        self.waiting: dict[str, None] = {}  # ids of calls with a human and no seat
        self.in_air = 0  # calls reserved, dialed, ringing, screened or waiting: not yet with a seat
        self.paced_idle: set[int] = set()  # ready seats whose pacing is this campaign's
        self.dry = False  # the hopper had nothing
        self.ledger = AbandonLedger()
        self.counts = Counts()
        self.decision = Decision(0, "start")

    @property
    def name(self) -> str:
        return self.config.name

    def configure(self, config: CampaignConfig) -> None:
        """Take a new version; what pacing learned stays."""
        self.config = config
        self.pacer.configure(pacing_config(config))

    def decide(self, now: float, room: Room, draining: bool) -> Decision:
        """Ask pacing, and hold its answer to what the abandon budget can bear.

        Beyond one call for each idle seat, every call may become an abandoned one. So the calls in the air may
        exceed the idle seats by no more than the abandons that the legal window still has room for: with no room
        the campaign dials progressively, whatever its mode.
        """
        if draining or not self.config.running:
            self.decision = Decision(0, "draining" if draining else "stopped")
            return self.decision
        decision = self.pacer.decide(now, room)
        surplus = self.ledger.surplus(self.config.target)
        allowed = max(0, len(self.paced_idle) + surplus - self.in_air)
        if decision.dial > allowed:
            why = dict(decision.why) | {"abandon_budget": surplus, "wanted": decision.dial}
            decision = Decision(allowed, "abandon_budget", why)
        self.decision = decision
        return decision
