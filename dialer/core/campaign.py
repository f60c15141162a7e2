"""A running campaign inside the core: its config, its pacer, its idle seats and waiting customers, its counts."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from campaigns.config import Abandon, CampaignConfig
from pacing.contract import Decision, Mode, PacingConfig, Room
from pacing.ledger import DAY_S, PROFILES, AbandonLedger, AbandonRule
from pacing.pacer import CampaignPacer


def pacing_config(config: CampaignConfig) -> PacingConfig:
    """What of a campaign's config concerns pacing."""
    return PacingConfig(
        mode=Mode(config.mode),
        ratio=config.ratio,
        target=config.target,
        max_lines=config.max_lines,
        connect_limit_s=config.connect_limit_s,
        ring_limit_s=config.ring_limit_s,
        wrap_limit_s=config.wrap_up_s or None,
        rule=abandon_rule(config.abandon),
    )


def abandon_rule(abandon: Abandon) -> AbandonRule:
    """The profile with what the campaign changes of it."""
    changed: dict[str, Any] = {
        "hung_up_counts": abandon.hung_up_counts,
        "deduct_machines": abandon.deduct_machines,
        "clock": abandon.clock,
        "window_s": None if abandon.window_days is None else abandon.window_days * DAY_S,
    }
    return replace(PROFILES[abandon.profile], **{k: v for k, v in changed.items() if v is not None})


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
        self.pacer = CampaignPacer(pacing_config(config))
        self.idle: dict[int, None] = {}  # user ids of ready seats that may take its calls
        self.waiting: dict[str, None] = {}  # ids of calls with a human and no seat
        self.in_air = 0  # calls reserved, dialed, ringing, screened or waiting: not yet with a seat
        self.paced_idle: set[int] = set()  # ready seats whose pacing is this campaign's
        self.dry = False  # the hopper had nothing
        self.counts = Counts()
        self.decision = Decision(0, "start")

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def ledger(self) -> AbandonLedger:
        """Answered people and abandoned calls over the campaign's legal window, history included."""
        return self.pacer.ledger

    def configure(self, config: CampaignConfig) -> None:
        """Take a new version; what pacing learned stays."""
        self.config = config
        self.pacer.configure(pacing_config(config))

    def decide(self, now: float, room: Room, draining: bool) -> Decision:
        """Ask pacing, and hold a plain mode's answer to what the abandon budget can bear.

        Beyond one call for each idle seat, every call may become an abandoned one. So the calls in the air may
        exceed the idle seats by no more than the abandons that the legal window still has room for: with no room
        the campaign dials progressively, whatever its mode. Predictive has a governor of its own, which knows the risk.
        """
        if draining or not self.config.running:
            self.decision = Decision(0, "draining" if draining else "stopped")
            return self.decision
        decision = self.pacer.decide(now, room)
        if self.config.mode != Mode.PREDICTIVE:
            decision = self._held(decision)
        self.decision = decision
        return decision

    def _held(self, decision: Decision) -> Decision:
        surplus = max(0, math.floor(self.ledger.surplus(self.config.target) + 1e-9))
        allowed = max(0, len(self.paced_idle) + surplus - self.in_air)
        if decision.dial <= allowed:
            return decision
        return Decision(
            allowed,
            "abandon_budget",
            dict(decision.why) | {"abandon_budget": surplus, "wanted": decision.dial},
        )
