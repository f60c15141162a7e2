"""A floor before its day begins: everything a scenario says, laid out as the model wants it."""

from __future__ import annotations

from math import ceil, inf

import numpy as np

from simulator.floor import model
from simulator.floor.fates import BLOCK, Callers, Leads, List, callers, turns
from simulator.floor.model import Agenda, Floor
from simulator.floor.scenario import BUCKET_S, Campaign, Scenario, by_minute

NOTES = 16  # more than one event can bring


class Building:
    """A floor, its agenda, and the lists that new leads are drawn from."""

    def __init__(self, scenario: Scenario, seed: int, ask_every_s: float = 1.0) -> None:
        self.scenario = scenario
        self.lists = [List(campaign, seed, place) for place, campaign in enumerate(scenario.campaigns)]
        self.agenda: Agenda = []
        self.floor = _floor(scenario, seed, ask_every_s)
        for campaign in range(len(self.lists)):
            self.draw(campaign)
        for seat in range(len(self.floor.state)):
            first = self.floor.turn[seat]
            if first < self.floor.last_turn[seat] and self.floor.turns[first] < scenario.end_s:
                model.put(self.floor, self.agenda, self.floor.turns[first], model.TURN, seat)
        for campaign in range(len(self.lists)):
            first = self.floor.next_caller[campaign]
            if first < self.floor.last_caller[campaign]:
                model.put(self.floor, self.agenda, self.floor.caller_at[first], model.CALLS_IN, campaign)

    def draw(self, campaign: int, floor: Floor | None = None) -> None:
        """Draw a campaign's next block of leads into `floor`."""
        into = floor or self.floor
        place = slice(campaign * BLOCK, (campaign + 1) * BLOCK)
        for sequence, fates in zip(_fates(into), self.lists[campaign].next(), strict=True):
            sequence[place] = fates.tolist() if isinstance(sequence, list) else fates  # type: ignore[index]
        into.in_block[campaign] = 0


def _fates(floor: Floor) -> Leads:
    return Leads(
        floor.fate,  # type: ignore[arg-type]
        floor.factor,  # type: ignore[arg-type]
        floor.fate_setup,  # type: ignore[arg-type]
        floor.fate_ring,  # type: ignore[arg-type]
        floor.fate_machine_ring,  # type: ignore[arg-type]
        floor.fate_talk,  # type: ignore[arg-type]
        floor.fate_wrap,  # type: ignore[arg-type]
        floor.fate_patience,  # type: ignore[arg-type]
        floor.fate_verdict,  # type: ignore[arg-type]
        floor.fate_detection,  # type: ignore[arg-type]
        floor.fate_machine_talk,  # type: ignore[arg-type]
    )


def _floor(scenario: Scenario, seed: int, ask_every_s: float) -> Floor:
    campaigns, groups = scenario.campaigns, scenario.seats
    names = [campaign.name for campaign in campaigns]
    seats, lines = scenario.seat_count, scenario.line_count
    minutes, buckets = ceil(scenario.end_s / 60), ceil(scenario.end_s / BUCKET_S)
    day = turns(scenario, seed)
    ends = np.cumsum([0, *(len(times) for times in day)]).tolist()
    calling_in = [callers(c.inbound, scenario, seed, place) for place, c in enumerate(campaigns)]
    calls_in = np.cumsum([0, *(len(each.at) for each in calling_in)]).tolist()
    dialing = any(campaign.dials for campaign in campaigns)
    per_seat, per_line, per_campaign = _zeros(seats), _zeros(lines), _zeros(len(campaigns))
    block = [0.0] * (len(campaigns) * BLOCK)
    return Floor(
        end=scenario.end_s,
        ask_every=ask_every_s if dialing else inf,
        calls_per_s=model.NO_RATE if scenario.calls_per_s is None else scenario.calls_per_s,
        minutes=minutes,
        buckets=buckets,
        campaigns=len(campaigns),
        groups=len(groups),
        block=BLOCK,
        count=[0, 0, 0, lines, 0, 0, 0],
        clock=[0.0, 0.0, max(1.0, scenario.calls_per_s or 1.0), 0.0],
        group=[place for place, group in enumerate(groups) for _ in range(group.count)],
        state=per_seat(model.AWAY),
        since=per_seat(0.0),
        wrap_s=per_seat(0.0),
        leaving=per_seat(0),
        ahead=per_seat(model.NONE),
        behind=per_seat(model.NONE),
        idle_number=per_seat(0),
        turn=ends[:-1],
        last_turn=ends[1:],
        turns=[at for times in day for at in times],
        serves=[int(not group.serves or name in group.serves) for group in groups for name in names],
        idle_first=[model.NONE] * len(groups),
        idle_last=[model.NONE] * len(groups),
        idle=[0] * len(groups),
        of=per_line(0),
        serial=per_line(0),
        lead=per_line(0),
        doing=per_line(model.FREE),
        outcome=per_line(0),
        inbound=per_line(0),
        seat=per_line(model.NONE),
        next=[*range(1, lines), model.NONE],
        previous=per_line(model.NONE),
        rings_s=per_line(0.0),
        listens_s=per_line(0.0),
        talk_s=per_line(0.0),
        then_wrap_s=per_line(0.0),
        stays_s=per_line(0.0),
        wrong=per_line(0),
        waits_since=per_line(0.0),
        leaves_at=per_line(0.0),
        order=sorted(range(len(campaigns)), key=lambda place: -campaigns[place].priority),
        priority=[campaign.priority for campaign in campaigns],
        dialed=per_campaign(0),
        in_block=per_campaign(0),
        leads=[_leads(campaign) for campaign in campaigns],
        in_air=per_campaign(0),
        waiting_first=per_campaign(model.NONE),
        waiting_last=per_campaign(model.NONE),
        waiting=per_campaign(0),
        next_caller=calls_in[:-1],
        last_caller=calls_in[1:],
        busy_after_s=[campaign.busy_after_s for campaign in campaigns],
        failed_after_s=[campaign.failed_after_s for campaign in campaigns],
        ring_limit_s=[campaign.ring_limit_s for campaign in campaigns],
        connect_limit_s=[campaign.connect_limit_s for campaign in campaigns],
        person_wrong=[
            campaign.amd.person_taken_for_machine if campaign.amd else 0.0 for campaign in campaigns
        ],
        machine_wrong=[
            campaign.amd.machine_taken_for_person if campaign.amd else 0.0 for campaign in campaigns
        ],
        listens=[int(campaign.amd is not None) for campaign in campaigns],
        person=_by_minute([campaign.person for campaign in campaigns], minutes),
        machine=_by_minute([campaign.machine for campaign in campaigns], minutes),
        busy=_by_minute([campaign.busy for campaign in campaigns], minutes),
        failed=_by_minute([campaign.failed for campaign in campaigns], minutes),
        fate=block.copy(),
        factor=block.copy(),
        fate_setup=block.copy(),
        fate_ring=block.copy(),
        fate_machine_ring=block.copy(),
        fate_talk=block.copy(),
        fate_wrap=block.copy(),
        fate_patience=block.copy(),
        fate_verdict=block.copy(),
        fate_detection=block.copy(),
        fate_machine_talk=block.copy(),
        **_caller_columns(calling_in),
        spent=[0.0] * (4 * buckets),
        tally=[0.0] * (len(campaigns) * model.TALLIES * buckets),
        note_of=[0] * NOTES,
        note_id=[0] * NOTES,
        note_what=[0] * NOTES,
        note_more=[0] * NOTES,
        note_campaign=[0] * NOTES,
        note_lead=[0] * NOTES,
    )


def _zeros(count: int):  # type: ignore[no-untyped-def]
    return lambda value: [value] * count


def _leads(campaign: Campaign) -> int:
    if not campaign.dials:
        return 0
    return 1 << 60 if campaign.leads is None else campaign.leads


def _by_minute(courses: list, minutes: int) -> list[float]:  # type: ignore[type-arg]
    return [value for course in courses for value in by_minute(course, minutes).tolist()]


def _caller_columns(calling_in: list[Callers]) -> dict[str, list[float]]:
    return {
        f"caller_{name}": [value for each in calling_in for value in getattr(each, name).tolist()]
        for name in Callers._fields
    }
