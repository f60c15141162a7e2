"""In which order a campaign's leads are called: its lists by priority and weight, and within a list by rank. Pure.

A list has a lane of its campaign, and the index of ready leads begins with it: so how lists are mixed is decided at
each lease, and a change of weights writes nothing. Ranks within a lane are a lead's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd

from campaigns.rules.facts import LeadRow
from campaigns.rules.keys import Part

MOST_RANK = 500  # ranks are few: the index is asked for each that there is
MOST_WEIGHT = 1_000.0
SHORT = 100  # rows
GOLDEN = (5**0.5 - 1) / 2


class ListOrder(Part, frozen=True):
    """How a list stands beside others: after those of higher priority, mixed by weight with those of the same."""

    name: str
    priority: int = 0
    weight: float = 1.0


class Order(Part, frozen=True):
    """`score` names an attribute of the lists, a number: of a list's leads the higher one is called first."""

    score: str = ""
    lists: tuple[ListOrder, ...] = ()


@dataclass(slots=True)
class Mixer:
    """Shares of leases among lanes, so that over many small ones, too, the shares are those of the weights."""

    _credit: dict[int, float] = field(default_factory=dict)

    def shares(self, weights: Mapping[int, float], limit: int) -> dict[int, int]:
        """How many of `limit` leads each lane gives: in all exactly `limit`."""
        total = sum(weights.values())
        due = {lane: limit * w / total + self._credit.get(lane, 0.0) for lane, w in weights.items()}
        given = {lane: max(0, int(share)) for lane, share in due.items()}
        by_claim = sorted(due, key=lambda lane: (given[lane] - due[lane], lane))
        while (left := limit - sum(given.values())) > 0:
            for lane in by_claim[:left]:
                given[lane] += 1
        while (over := sum(given.values()) - limit) > 0:
            for lane in [each for each in reversed(by_claim) if given[each]][:over]:
                given[lane] -= 1
        self._credit.update({lane: due[lane] - given[lane] for lane in due})
        return given


def tiers(order: Order, lanes: Mapping[int, str]) -> Sequence[Mapping[int, float]]:
    """The lanes (by their lists' names) of one priority after the other, the highest first, with their weights."""
    known = {each.name: each for each in order.lists}
    found: dict[int, dict[int, float]] = {}
    for lane, name in lanes.items():
        each = known.get(name) or ListOrder(name=name)
        found.setdefault(each.priority, {})[lane] = each.weight
    return [found[priority] for priority in sorted(found, reverse=True)]


def mixed(rows: Sequence[LeadRow], quotas: Mapping[int, int]) -> list[LeadRow]:
    """What was picked in the order of calling: lanes in turn, by their quotas, each in its own order.

    A lead's numbers come in their own order (:attr:`campaigns.rules.facts.LeadRow.turn`).
    """
    if len(quotas) == 1:
        return sorted(rows, key=lambda row: (row.place, row.turn))
    turns: dict[int, float] = {}
    taken = Counter[int]()
    for row in sorted(rows, key=lambda row: row.place):
        if row.lead_id not in turns:
            turns[row.lead_id] = (taken[row.lane] + 0.5) / quotas[row.lane]
            taken[row.lane] += 1
    return sorted(rows, key=lambda row: (turns[row.lead_id], row.place, row.turn))


def spread(count: int) -> list[int]:
    """The order in which a file's `count` rows are put in, so that neighbours are not called one after the other.

    Neighbours are often one company's numbers, or one area's. Steps of the golden section keep any stretch of rows as
    far apart as can be, at every scale. A short list stays in its order: whoever wrote it may have meant it.
    """
    if count < SHORT:
        return list(range(count))
    step = round(count * GOLDEN)
    while gcd(step, count) > 1:
        step += 1
    return [at * step % count for at in range(count)]
