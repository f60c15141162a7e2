"""A floor before its day begins: everything a scenario says, laid out in rows as the model wants it."""

from __future__ import annotations

from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from simulator.floor import model
from simulator.floor.fates import BLOCK, List, callers, turns
from simulator.floor.model import NONE, ROW, Agenda, Real, Whole
from simulator.floor.scenario import BUCKET_S, Campaign, Scenario, by_minute


class Building:
    """A floor (`n` and `x` as the model has them), its agenda, and the lists that new leads are drawn from."""

    def __init__(self, scenario: Scenario, seed: int, ask_every_s: float = 1.0) -> None:
        self.scenario = scenario
        self.lists = [List(campaign, seed, place) for place, campaign in enumerate(scenario.campaigns)]
        self.n: Whole = [0] * model.HEAD
        self.x: Real = [0.0] * model.HEAD
        self.agenda: Agenda = []
        self.buckets = ceil(scenario.end_s / BUCKET_S)
        self.groups = self._rows(len(scenario.seats))
        self.seats = self._rows(scenario.seat_count)
        self.campaigns = self._rows(len(scenario.campaigns))
        self.calls = self._rows(scenario.line_count)
        # From here on the two sequences grow apart: tables have one or the other.
        self.n[model.NOTEBOOK] = self._whole([0] * (model.MOST_NOTES * model.NOTE_ROW))
        self._head(ask_every_s if any(campaign.dials for campaign in scenario.campaigns) else inf)
        self._lay_out_campaigns(seed)
        self._lay_out_service()
        self._lay_out_seats(seed)

    def draw(self, campaign: int) -> None:
        """Draw a campaign's next block of leads."""
        end = self.n[campaign + model.BLOCK_END]
        begin = end - BLOCK * model.LEAD_ROW
        rows = np.stack(self.lists[self.place_of(campaign)].next(), axis=1).ravel()
        self.x[begin:end] = rows.tolist() if isinstance(self.x, list) else rows
        self.n[campaign + model.NEXT_LEAD] = begin

    def place_of(self, campaign: int) -> int:
        """The number of a campaign in the scenario, from its row."""
        return (campaign - self.campaigns[0]) // ROW

    def name_of(self, campaign: int) -> str:
        """The name of a campaign, from its row."""
        return self.scenario.campaigns[self.place_of(campaign)].name

    @property
    def order(self) -> list[int]:
        """The campaigns, the highest priority first."""
        return self._until_none(self.n[model.ORDER])

    def served_by(self, group: int) -> list[int]:
        """The campaigns that a group of seats serves, the highest priority first."""
        return self._until_none(self.n[group + model.SERVES])

    def _until_none(self, place: int) -> list[int]:
        rows = []
        while self.n[place] != NONE:
            rows.append(self.n[place])
            place += 1
        return rows

    def _rows(self, count: int) -> range:
        begin = len(self.n)
        self.n += [0] * (count * ROW)
        self.x += [0.0] * (count * ROW)
        return range(begin, begin + count * ROW, ROW)

    def _whole(self, values: list[int]) -> int:
        self.n += values
        return len(self.n) - len(values)

    def _real(self, values: list[float] | NDArray[np.float64]) -> int:
        self.x += values if isinstance(values, list) else values.ravel().tolist()
        return len(self.x) - np.size(values)

    def _head(self, ask_every_s: float) -> None:
        n, x, rate = self.n, self.x, self.scenario.calls_per_s
        n[model.FREE_LINES] = len(self.calls)
        n[model.FREE_CALL] = self.calls[0]
        n[model.BUCKETS] = self.buckets
        n[model.SPENT] = self._real([0.0] * (4 * self.buckets))
        n[model.SEATS], n[model.SEATS_END] = self.seats.start, self.seats.stop
        x[model.END] = self.scenario.end_s
        x[model.ASK_EVERY] = ask_every_s
        x[model.CALLS_PER_S] = model.NO_RATE if rate is None else rate
        x[model.TOKENS] = max(1.0, rate or 1.0)
        for call in self.calls:
            n[call + model.NEXT] = call + ROW
            n[call + model.SEAT] = NONE
        n[self.calls[-1] + model.NEXT] = NONE

    def _lay_out_campaigns(self, seed: int) -> None:
        n, x = self.n, self.x
        for place, (row, campaign) in enumerate(zip(self.campaigns, self.scenario.campaigns, strict=True)):
            n[row + model.PRIORITY] = campaign.priority
            n[row + model.LEADS] = _leads(campaign)
            n[row + model.WAIT_FIRST] = n[row + model.WAIT_LAST] = NONE
            n[row + model.LISTENS] = int(campaign.amd is not None)
            n[row + model.MINUTES] = self._real(_minutes(campaign, ceil(self.scenario.end_s / 60)))
            n[row + model.FIGURES] = self._real([0.0] * (model.TALLIES * self.buckets))
            n[row + model.NEXT_LEAD] = self._real([0.0] * (BLOCK * model.LEAD_ROW))
            n[row + model.BLOCK_END] = len(x)
            calling_in = np.stack(callers(campaign.inbound, self.scenario, seed, place), axis=1)
            n[row + model.NEXT_CALLER] = self._real(calling_in)
            n[row + model.CALLERS_END] = len(x)
            x[row + model.BUSY_AFTER_S] = campaign.busy_after_s
            x[row + model.FAILED_AFTER_S] = campaign.failed_after_s
            x[row + model.RING_LIMIT_S] = campaign.ring_limit_s
            x[row + model.CONNECT_LIMIT_S] = campaign.connect_limit_s
            if campaign.amd is not None:
                x[row + model.PERSON_WRONG] = campaign.amd.person_taken_for_machine
                x[row + model.MACHINE_WRONG] = campaign.amd.machine_taken_for_person
            self.draw(row)
            if len(calling_in):
                first = x[n[row + model.NEXT_CALLER] + model.CALLER_AT]
                model.put(n, self.agenda, first, model.CALLS_IN, row)

    def _lay_out_service(self) -> None:
        """Who serves whom, both ways round, the highest priority first."""
        n, named = self.n, self.scenario.campaigns
        order = sorted(self.campaigns, key=lambda row: -n[row + model.PRIORITY])
        n[model.ORDER] = self._whole([*order, NONE])
        served = {
            group: [row for row in order if not of.serves or named[self.place_of(row)].name in of.serves]
            for group, of in zip(self.groups, self.scenario.seats, strict=True)
        }
        for group, rows in served.items():
            n[group + model.IDLE_FIRST] = n[group + model.IDLE_LAST] = NONE
            n[group + model.SERVES] = self._whole([*rows, NONE])
        for row in self.campaigns:
            n[row + model.SERVED_BY] = self._whole([*(g for g in self.groups if row in served[g]), NONE])

    def _lay_out_seats(self, seed: int) -> None:
        n = self.n
        groups = [
            row for row, of in zip(self.groups, self.scenario.seats, strict=True) for _ in range(of.count)
        ]
        for seat, group, times in zip(self.seats, groups, turns(self.scenario, seed), strict=True):
            n[seat + model.GROUP] = group
            n[seat + model.STATE] = model.AWAY
            n[seat + model.CUSTOMER] = NONE
            n[seat + model.TURN_AT] = self._real(times)
            n[seat + model.TURNS_END] = len(self.x)
            if times:
                model.put(n, self.agenda, times[0], model.TURN, seat)


def _leads(campaign: Campaign) -> int:
    if not campaign.dials:
        return 0
    return 1 << 60 if campaign.leads is None else campaign.leads


def _minutes(campaign: Campaign, minutes: int) -> NDArray[np.float64]:
    courses = (campaign.person, campaign.machine, campaign.busy, campaign.failed)
    return np.stack([by_minute(course, minutes) for course in courses], axis=1)
