"""A running campaign inside the core: its config, its parts, its idle seats and waiting customers, its counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec

from campaigns.config import CampaignConfig
from campaigns.parts import Figures
from campaigns.script import Step
from campaigns.trials.keys import scripts_of
from campaigns.values import Lead, OutsideCaller
from dialer.core.part import Part
from dialer.core.sharing import NOTHING, Sharing
from dialer.core.terms import abandon_rule
from pacing.contract import Decision, Room
from pacing.floor import Floor
from pacing.ledger import AbandonLedger


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
    """One campaign, on a floor with others, in a part for each of its switches.

    `idle` and `waiting` keep their order: the longest first.
    """

    def __init__(self, campaign_id: int, config: CampaignConfig, floor: Floor) -> None:
        self.id = campaign_id
        self.config = config
        self._said = _said(config)
        self._floor = floor
        self.ledger = AbandonLedger(
            abandon_rule(config.abandon)
        )  # answered and abandoned over the legal window
        self.sharing: Sharing | None = None  # of a campaign on several switches, and once it was on several
        self._parts = {"": Part(config.name, config.switches[0], config, floor, self.ledger)}
        self.idle: dict[int, None] = {}  # user ids of ready seats that may take its calls
        self.waiting: dict[str, None] = {}  # ids of calls with a human and no seat
        self.sent: dict[str, None] = {}  # ids of calls that were sent on to its seats, of whatever campaign
        self.dry = False  # the hopper had nothing
        self.counts = Counts()
        if len(config.switches) > 1:
            self._split()
            for switch in config.switches:
                self.part(switch)

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

    # --- its parts ------------------------------------------------------------------------------------------------

    @property
    def parts(self) -> Collection[Part]:
        """One for each switch, or the only one."""
        return self._parts.values()

    def part(self, switch: str) -> Part:
        """What it has on this switch; of a campaign on one, all it has."""
        if self.sharing is None:
            return self._parts[""]
        found = self._parts.get(switch)
        if found is None:
            ledger = self.sharing.ledger_of(switch)
            found = Part(f"{self.name} on {switch}", switch, self.config, self._floor, ledger)
            self._parts[switch] = found
        return found

    @property
    def in_air(self) -> int:
        """Calls that are not yet with a seat."""
        return sum(part.in_air for part in self.parts)

    # --- changes --------------------------------------------------------------------------------------------------

    def configure(self, config: CampaignConfig) -> Part | None:
        """Take a new version; what pacing learned stays. Returns what was its only part, when it has several now."""
        self.config = config
        self._said = _said(config)
        self.ledger.take_rule(abandon_rule(config.abandon))
        whole = None
        if self.sharing is None and len(config.switches) > 1:
            whole = self._split()
        elif self.sharing is None:
            self._parts[""].switch = config.switches[0]
        if self.sharing is not None:
            self.sharing.target = config.target
            for switch in config.switches:
                self.part(switch)
        for part in self.parts:
            part.configure(config)
        return whole

    def seed(
        self,
        now: float,
        connected: int,
        hung_up: int,
        abandoned: int,
        machines: int,
        recorded: Mapping[str, Figures] = NOTHING,
        unrecorded: Mapping[str, Figures] = NOTHING,
    ) -> None:
        """Begin the ledger anew from what the books say of the window up to `now`.

        Of a campaign on several switches: what was on record of each part by then, and of our own what was not yet.
        """
        window = Figures(connected, hung_up, abandoned, machines)
        if self.sharing is None:
            self.ledger.seed(now, *window)
        else:
            self.sharing.seed(now, window, recorded, unrecorded)
        for part in self.parts:
            part.shadow.counted(part.pacer.ledger)

    def decide(self, part: Part, now: float, room: Room, draining: bool) -> Decision:
        """How many calls to place on this part's switch."""
        stopped = draining or not self.config.running
        self._floor.rest(part.key, stopped or self.dry)
        if stopped:
            part.decision = Decision(0, "draining" if draining else "stopped")
            return part.decision
        return part.decide(now, room)

    # --- within ---------------------------------------------------------------------------------------------------

    def _split(self) -> Part:
        """From now on it has a part for each switch. What it had is that of the switch it was on."""
        self.sharing = Sharing(self.ledger, self.config.target)
        only = self._parts.pop("")
        self._parts[only.switch] = only
        only.count_by(self.sharing.ledger_of(only.switch))
        return only
