"""The people on a floor's lists, as customers of the virtual switch: the k-th lead meets the same fate on both.

So the engine and the floor can be given the same day (`python -m benchmarks.validation`). A lead's number names its
list and its place there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from simulator.floor.fates import List
from simulator.floor.scenario import Campaign
from simulator.scenario import Behaviour, Phones

FIRST = (
    "8613"  # of numbers of China's mobile ranges: nine digits follow, four of the list and five of the lead
)
MOST_LEADS = 100_000
BUSY, CONGESTED = 486, 503  # SIP


def number(place: int, lead: int) -> str:
    """The number of the lead-th person of a list."""
    return f"+{FIRST}{place:04d}{lead:05d}"


def _of(number: str) -> tuple[int, int]:
    digits = number.removeprefix("+").removeprefix(FIRST)
    return int(digits[:4]), int(digits[4:])


@dataclass(frozen=True, slots=True)
class Fate:
    """What one lead has in store, as columns of the floor's own draw."""

    outcome: float
    factor: float
    setup_s: float
    ring_s: float
    talk_s: float
    wrap_s: float
    patience_s: float


class ListedCustomers:
    """A scenario for the virtual switch. `lists` are campaigns with the seed of their day, in the order of `place`.

    Their shares must be the same all day, as a number does not say when it is dialed, and nobody's call may be answered
    by a machine, which the floor knows at once and the engine learns from its agents. Raises ValueError otherwise.
    """

    def __init__(self, lists: Sequence[tuple[Campaign, int]], sound_s: float = 2.0) -> None:
        for campaign, _ in lists:
            shares = campaign.person, campaign.machine, campaign.busy, campaign.failed
            if (
                not all(isinstance(share, int | float) for share in shares)
                or campaign.machine
                or campaign.amd
            ):
                raise ValueError(
                    f"campaign {campaign.name!r}: shares must be constant, and machine must be 0"
                )
        self.sound_s = sound_s
        self.phones = Phones()
        self._lists = [_Drawn(campaign, List(campaign, seed, 0)) for campaign, seed in lists]

    def wrap_s(self, number: str) -> float:
        """How long the agent wraps up after this customer."""
        place, lead = _of(number)
        return self._lists[place].fate(lead).wrap_s

    def customer(self, number: str, attempt: int) -> Behaviour:
        place, lead = _of(number)
        return self._lists[place].behaviour(lead)

    def phone(self, endpoint: str, attempt: int) -> Behaviour | None:
        return self.phones.phone(endpoint)

    def knows_trunk(self, trunk: str) -> bool:
        return trunk not in self.phones.unknown


@dataclass(slots=True)
class _Drawn:
    campaign: Campaign
    source: List
    fates: list[Fate] = field(default_factory=list)

    def fate(self, lead: int) -> Fate:
        while lead >= len(self.fates):
            block = self.source.next()
            columns = (
                block.outcome,
                block.factor,
                block.setup,
                block.ring,
                block.talk,
                block.wrap,
                block.patience,
            )
            self.fates += [Fate(*map(float, row)) for row in zip(*columns, strict=True)]
        return self.fates[lead]

    def behaviour(self, lead: int) -> Behaviour:
        """As `dial` in simulator/floor/model.py has it."""
        fate, of = self.fate(lead), self.campaign
        busy, failed = _share(of.busy), _share(of.failed)
        if fate.outcome < _share(of.person) * fate.factor:
            return Behaviour(
                rings_after_s=fate.setup_s,
                answers_after_s=fate.setup_s + fate.ring_s,
                patience_s=fate.patience_s if fate.patience_s < of.connect_limit_s else None,
                talk_s=fate.talk_s,
            )
        if fate.outcome >= 1.0 - failed:
            return Behaviour(rings_after_s=None, refuses_with=CONGESTED, refuses_after_s=of.failed_after_s)
        if fate.outcome >= 1.0 - failed - busy:
            after_s = fate.setup_s + of.busy_after_s
            return Behaviour(rings_after_s=None, refuses_with=BUSY, refuses_after_s=after_s)
        return Behaviour(rings_after_s=fate.setup_s)


def _share(course: object) -> float:
    return float(course) if isinstance(course, int | float) else inf
