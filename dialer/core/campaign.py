"""A running campaign inside the core: its config, its pacer, its idle seats and waiting customers, its counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import msgspec

from campaigns.config import Abandon, CampaignConfig
from campaigns.script import Step
from campaigns.trials.keys import scripts_of
from campaigns.values import Lead, OutsideCaller
from dialer.core.budget import held
from dialer.core.shadow import Question, Watch
from pacing.contract import Decision, Event, Mode, PacingConfig, Room
from pacing.floor import Floor
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
        wrap_limit_s=config.wrap_up_s * (1 + config.wrap_up_extensions) or None,
        rule=abandon_rule(config.abandon),
    )


def shadow_config(config: CampaignConfig) -> PacingConfig | None:
    """The same with what the campaign's shadow changes of it; None without a shadow."""
    shadow = config.shadow
    if shadow is None:
        return None
    changed: dict[str, Any] = {
        "mode": None if shadow.mode is None else Mode(shadow.mode),
        "ratio": shadow.ratio,
        "target": shadow.target,
    }
    return replace(pacing_config(config), **{k: v for k, v in changed.items() if v is not None})


def abandon_rule(abandon: Abandon) -> AbandonRule:
    """The profile with what the campaign changes of it."""
    changed: dict[str, Any] = {
        "hung_up_counts": abandon.hung_up_counts,
        "deduct_machines": abandon.deduct_machines,
        "clock": abandon.clock,
        "window_s": None if abandon.window_days is None else abandon.window_days * DAY_S,
    }
    return replace(PROFILES[abandon.profile], **{k: v for k, v in changed.items() if v is not None})


@dataclass(frozen=True, slots=True)
class Said:
    """What is said to some customers, and its fingerprint; empty when there is nothing."""

    steps: tuple[Step, ...]
    script_id: str


def _said(config: CampaignConfig) -> dict[str, Said]:
    found = {}
    for arm, script in scripts_of(config.script, config.trial).items():
        mark = sha256(msgspec.json.encode(script)).hexdigest()[:16] if script else ""
        found[arm] = Said(tuple(script), mark)
    return found


@dataclass(slots=True)
class Counts:
    """What the engine saw since its start."""

    dials: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    humans: int = 0
    connected: int = 0
    abandoned: int = 0
    called_in: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    idle_s: float = 0.0  # seat seconds ready without a customer
    busy_s: float = 0.0  # seat seconds with a customer or in wrap-up


class Campaign:
    """One campaign, on a floor with others. `idle` and `waiting` keep their order: the longest first."""

    def __init__(self, campaign_id: int, config: CampaignConfig, floor: Floor) -> None:
        self.id = campaign_id
        self.config = config
        self._said = _said(config)
        self.pacer = CampaignPacer(pacing_config(config))
        self._floor = floor
        floor.join(config.name, self.pacer, config.priority)
        self.idle: dict[int, None] = {}  # user ids of ready seats that may take its calls
        self.waiting: dict[str, None] = {}  # ids of calls with a human and no seat
        self.sent: dict[str, None] = {}  # ids of calls that were sent on to its seats, of whatever campaign
        self.in_air = 0  # calls reserved, dialed, ringing, screened or waiting: not yet with a seat
        self.paced_idle: set[int] = set()  # ready seats that its pacing counts on
        self.dry = False  # the hopper had nothing
        self.counts = Counts()
        self.decision = Decision(0, "start")
        self.shadow = Watch(config.name)
        self.shadow.begin(self.pacer, shadow_config(config))

    @property
    def name(self) -> str:
        return self.config.name

    def arm_of(self, lead: Lead) -> str:
        """The arm of the campaign's trial that a customer is of; of another campaign's, none."""
        return lead.arm if lead.campaign_id == self.id else ""

    def caller(self, user_id: int) -> OutsideCaller:
        """An agent with what the campaign lets them call outside."""
        return OutsideCaller(user_id, self.config.outside.calls, self.config.outside.minutes)

    def said(self, arm: str) -> Said:
        """What is said to the customers of this arm; of one that is tried no longer, the campaign's own script."""
        return self._said.get(arm, self._said[""])

    @property
    def ledger(self) -> AbandonLedger:
        """Answered people and abandoned calls over the campaign's legal window, history included."""
        return self.pacer.ledger

    def configure(self, config: CampaignConfig) -> None:
        """Take a new version; what pacing learned stays."""
        self.config = config
        self._said = _said(config)
        self.pacer.configure(pacing_config(config))
        self._floor.join(config.name, self.pacer, config.priority)
        self.shadow.begin(self.pacer, shadow_config(config))

    def restore(self, learned: Mapping[str, Any]) -> None:
        """Give pacing what it had learned. Raises ValueError when it can't be read."""
        self.pacer.restore(learned)
        self.shadow.begin(self.pacer, shadow_config(self.config))

    def seed(self, now: float, connected: int, hung_up: int, abandoned: int, machines: int) -> None:
        """Begin the ledger anew from what the books say of the window up to `now`."""
        self.ledger.seed(now, connected, hung_up, abandoned, machines)
        self.shadow.counted(self.ledger)

    def observe(self, event: Event) -> None:
        """Tell pacing what happened."""
        self._floor.observe(self.name, event)
        self.shadow.note(event)

    def decide(self, now: float, room: Room, draining: bool) -> Decision:
        """Ask pacing, and hold a plain mode's answer to what the abandon budget can bear."""
        if draining or not self.config.running:
            self.decision = Decision(0, "draining" if draining else "stopped")
            return self.decision
        others = self._floor.others(self.name, now)
        decision = self.pacer.decide(now, room, others)
        if self.config.mode != Mode.PREDICTIVE:
            idle = len(self.paced_idle) - others.claims
            decision = held(decision, self.ledger, self.config.target, idle, self.in_air)
        self.decision = decision
        self.shadow.note(Question(now, room, others, decision, self.in_air))
        return decision
