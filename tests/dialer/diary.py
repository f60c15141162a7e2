"""A simulated day written into the tables as the engine would have written it: known people, recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine, text

from campaigns.ids import new_call_id
from pacing.contract import CallEvent, CallStage, Decision, Event, Room, SeatEvent, SeatState
from simulator.floor import FloorLaw

STATES = {
    SeatState.IDLE: "ready",
    SeatState.TALK: "talking",
    SeatState.WRAP: "wrap_up",
    SeatState.AWAY: "paused",
}
OUTCOMES = {
    CallStage.NO_ANSWER: "no_answer",
    CallStage.BUSY: "busy",
    CallStage.FAILED: "congestion",
    CallStage.HUNG_UP: "hung_up",
    CallStage.ABANDONED: "abandoned",
    CallStage.ENDED: "connected",
}
ATTEMPT = text("""
INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at, answered_at,
    connected_at, ended_at, outcome, ring_s, wait_s, talk_s, user_id)
VALUES (CAST(:call AS uuid), :dialed, :campaign, 0, 0, 'main', 'engine', :dialed, :answered, :connected, :ended,
    :outcome, :ring_s, :wait_s, :talk_s, :seat)
""")
SEAT = text("""
INSERT INTO seat_log (at, user_id, session_id, state, reason, call_id, campaign_id)
VALUES (:at, :seat, 's', :state, '', :call, :campaign)
""")
HARBOUR_S = 6.0  # an abandoned call ends after the message


@dataclass
class Call:
    id: str
    seat: int | None = None
    at: dict[CallStage, float] = field(default_factory=dict)


class Diary:
    """A law that does as another one does, and keeps what happened. Seats are numbered from 1 as users."""

    def __init__(self, law: FloorLaw, begin: datetime) -> None:
        self._law = law
        self._begin = begin
        self._calls: dict[object, Call] = {}
        self._log: list[tuple[float, int, str, str]] = []
        self._customer: dict[int, str] = {}

    def observe(self, campaign: str, event: Event) -> None:
        self._law.observe(campaign, event)
        if isinstance(event, SeatEvent):
            seat = int(str(event.seat)) + 1
            call = self._customer.get(seat, "") if event.state is SeatState.WRAP else ""
            self._log.append((event.at, seat, STATES[event.state], call))
        elif isinstance(event, CallEvent):
            call_of = self._calls.setdefault(
                event.call, Call(new_call_id(self._begin + timedelta(seconds=event.at)))
            )
            call_of.at.setdefault(event.stage, event.at)
            if event.stage is CallStage.CONNECTED:
                call_of.seat = seat = int(str(event.seat)) + 1
                self._customer[seat] = call_of.id
                self._log[-1] = (*self._log[-1][:3], call_of.id)

    def decide(self, now: float, rooms: Mapping[str, Room]) -> Mapping[str, Decision]:
        return self._law.decide(now, rooms)

    def write(self, db: Engine, campaign: int, since_s: float) -> None:
        """Write the seat log, and the attempts from `since_s` on."""
        calls = [
            self._attempt(call, campaign)
            for call in self._calls.values()
            if call.at[CallStage.DIALED] >= since_s
        ]
        log = [
            {"at": self._when(at), "seat": seat, "state": state, "call": call, "campaign": campaign}
            for at, seat, state, call in self._log
        ]
        with db.begin() as connection:
            connection.execute(ATTEMPT, calls)
            connection.execute(SEAT, log)

    def _attempt(self, call: Call, campaign: int) -> dict[str, object]:
        at = call.at
        outcome = next((name for stage, name in OUTCOMES.items() if stage in at), None)
        ended = next((at[stage] for stage in OUTCOMES if stage in at), None)
        answered, connected, rang = (
            at.get(CallStage.HUMAN),
            at.get(CallStage.CONNECTED),
            at.get(CallStage.RINGING),
        )
        if outcome == "abandoned" and ended is not None:
            ended += HARBOUR_S

        def span(since: float | None, until: float | None) -> float | None:
            return None if since is None or until is None or ended is None else until - since

        return {
            "call": str(UUID(hex=call.id)),
            "campaign": campaign,
            "seat": call.seat,
            "outcome": outcome,
            "dialed": self._when(at[CallStage.DIALED]),
            "answered": self._when(answered),
            "connected": self._when(connected),
            "ended": self._when(ended),
            "ring_s": span(rang, answered if answered is not None else ended),
            "wait_s": span(answered, connected if connected is not None else ended),
            "talk_s": span(connected, ended),
        }

    def _when(self, at: float | None) -> datetime | None:
        return None if at is None else self._begin + timedelta(seconds=at)
