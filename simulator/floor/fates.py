"""What each lead and each caller has in store, from a random stream of its own for every purpose.

The k-th lead of a campaign has the same fate whatever was dialed before it and by whom, so that two laws under one
seed meet the same people in the same order. Only the share of people at home depends on when it is dialed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from simulator.floor.distribution import Times, sample
from simulator.floor.scenario import Campaign, Inbound, Scenario, by_minute

BLOCK = 8_192  # leads drawn at a time
FOREVER_S = 1e18

# One stream each. New ones go to the end: the number chooses the stream.
OUTCOME, SETUP, RING, MACHINE_RING, TALK, WRAP, PATIENCE, VERDICT, DETECTION, MACHINE_TALK = range(10)
ARRIVALS, IN_TALK, IN_WRAP, IN_PATIENCE, SEATS_DAY = range(10, 15)


class Leads(NamedTuple):
    """A block of fates; entry i belongs to the i-th lead of the block."""

    outcome: Times  # in [0, 1): which end of the shares the lead falls into
    factor: Times  # how much more often than others it is at home
    setup: Times
    ring: Times
    machine_ring: Times
    talk: Times
    wrap: Times
    patience: Times
    verdict: Times  # in [0, 1): whether detection is wrong
    detection: Times
    machine_talk: Times


class Callers(NamedTuple):
    """All who call in on that day, in order of arrival."""

    at: Times
    talk: Times
    wrap: Times
    patience: Times


def stream(seed: int, place: int, purpose: int) -> Generator:
    """The random stream of a campaign (or group of seats) for one purpose."""
    return Generator(PCG64(SeedSequence([seed, place, purpose])))


class List:
    """One campaign's leads, drawn block by block."""

    def __init__(self, campaign: Campaign, seed: int, place: int) -> None:
        self._campaign = campaign
        self._streams = [stream(seed, place, purpose) for purpose in range(MACHINE_TALK + 1)]
        self._drawn = 0
        self._factors, self.block_of = _blocks(campaign)

    def next(self) -> Leads:
        """The next block."""
        of, chance = self._campaign, self._streams
        amd = of.amd
        ring = sample(of.ring, chance[RING], BLOCK)
        leads = Leads(
            outcome=chance[OUTCOME].random(BLOCK),
            factor=self._factors[(self._drawn + np.arange(BLOCK)) % len(self._factors)],
            setup=sample(of.setup, chance[SETUP], BLOCK),
            ring=ring,
            machine_ring=ring
            if of.machine_ring is None
            else of.machine_ring.draw(chance[MACHINE_RING], BLOCK),
            talk=sample(of.talk, chance[TALK], BLOCK),
            wrap=sample(of.wrap, chance[WRAP], BLOCK),
            patience=sample(of.patience, chance[PATIENCE], BLOCK, FOREVER_S),
            verdict=chance[VERDICT].random(BLOCK),
            detection=sample(amd.detection if amd else None, chance[DETECTION], BLOCK),
            machine_talk=sample(amd.machine_talk if amd else None, chance[MACHINE_TALK], BLOCK),
        )
        self._drawn += BLOCK
        return leads

    def block_name(self, lead: int) -> str | None:
        """The name of the stretch of the list that a lead lies in."""
        return self.block_of[lead % len(self.block_of)] if self.block_of else None


def _blocks(campaign: Campaign) -> tuple[NDArray[np.float64], list[str]]:
    if not campaign.blocks:
        return np.ones(1), []
    lengths = [block.leads for block in campaign.blocks]
    factors = np.repeat([block.factor for block in campaign.blocks], lengths)
    return factors, [block.name for block in campaign.blocks for _ in range(block.leads)]


def callers(inbound: Inbound | None, scenario: Scenario, seed: int, place: int) -> Callers:
    """All who call one campaign in: a Poisson stream whose rate follows its course minute by minute."""
    if inbound is None:
        return Callers(*(np.empty(0) for _ in Callers._fields))
    minutes = int(np.ceil(scenario.end_s / 60))
    expected = np.concatenate([[0.0], np.cumsum(by_minute(inbound.calls_per_h, minutes) / 60)])
    chance = stream(seed, place, ARRIVALS)
    count = chance.poisson(expected[-1])
    at = np.interp(np.sort(chance.random(count)) * expected[-1], expected, np.arange(minutes + 1) * 60.0)
    return Callers(
        at=at,
        talk=sample(inbound.talk, stream(seed, place, IN_TALK), count),
        wrap=sample(inbound.wrap, stream(seed, place, IN_WRAP), count),
        patience=sample(inbound.patience, stream(seed, place, IN_PATIENCE), count, FOREVER_S),
    )


def turns(scenario: Scenario, seed: int) -> list[list[float]]:
    """For each seat the times at which it logs in, leaves for a break, comes back, … : in, out, in, out."""
    found = []
    for place, group in enumerate(scenario.seats):
        chance = stream(seed, place, SEATS_DAY)
        for _ in range(group.count):
            begin = group.from_h * 3600 + chance.random() * group.log_in_min * 60
            end = scenario.end_s + 1.0 if group.to_h is None else group.to_h * 3600
            times = [begin]
            for pause in sorted(group.breaks, key=lambda pause: pause.at_h):
                at = pause.at_h * 3600 + chance.random() * pause.spread_min * 60
                if times[-1] < at and at + pause.minutes * 60 < end:
                    times += [at, at + pause.minutes * 60]
            found.append([*times, end] if times[-1] < end else [])
    return found
