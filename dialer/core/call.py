"""The life of one customer's call, as a table. Everything that moves a call from state to state stands here.

A call is made when its lead is reserved for dialing and ends with exactly one recorded outcome (or, if the rules
refuse it, with none, since nothing was dialed). Once it was connected its outcome is `connected`, whatever follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING

from campaigns.values import Lead, Outcome
from dialer.core.machine import Table
from dialer.switch.port import CALL_PREFIX


class CallState(StrEnum):
    RESERVED = "reserved"  # the rules are being asked
    OFFERED = "offered"  # the customer called in: who it is, is being looked up
    DIALING = "dialing"
    RINGING = "ringing"
    SCREENING = "screening"  # answered, machine detection listens
    WAITING = "waiting"  # a human without a seat; the connect clock runs
    CONNECTING = "connecting"  # a seat is matched, the bridge is asked for
    CONNECTED = "connected"
    HELD = "held"
    CONSULTING = "consulting"  # held, while its seat asks a third party
    CONFERENCE = "conference"  # all three hear each other
    SENT = "sent"  # without a seat, hears music until somebody takes it
    OUTSIDE = "outside"  # with an outside number, and no seat of ours
    HARBOUR = "harbour"  # abandoned, hears the safe-harbour message
    CLOSING = "closing"  # hang-up sent
    ENDED = "ended"


class CallEvent(StrEnum):
    PERMIT = "permit"
    REFUSE = "refuse"
    CANCEL = "cancel"  # allowed and on record, and not dialed after all
    RING = "ring"
    ANSWER = "answer"  # by a human as far as anyone can tell: no machine detection
    SCREEN = "screen"  # answered, machine detection decides
    HUMAN = "human"
    MACHINE = "machine"
    MATCH = "match"
    BRIDGED = "bridged"
    BRIDGE_FAILED = "bridge_failed"
    SEAT_LOST = "seat_lost"
    HOLD = "hold"
    NOT_HELD = "not_held"  # the switch has refused to put them on hold
    RESUME = "resume"
    CONSULT = "consult"
    PARTY_UP = "party_up"  # the third party is there
    PARTY_GONE = "party_gone"
    CONFER = "confer"
    GIVE = "give"  # to the colleague who was asked
    GIVE_OUT = "give_out"  # to the outside number
    SEND_ON = "send_on"
    LIMIT = "limit"  # the connect limit has passed
    LIMIT_UNSURE = "limit_unsure"  # it has, and the switch has not said yet whether they are in a bridge
    BRIDGED_LATE = "bridged_late"  # by the switch's own clock, after the connect limit
    HANG = "hang"  # somebody on our side ends it
    GONE = "gone"  # the channel is gone
    OVERDUE = "overdue"  # nothing was heard for longer than this state may last
    LOST = "lost"  # the switch lost the channel


class CallAction(StrEnum):
    ORIGINATE = "originate"
    FORGET = "forget"  # nothing was dialed: no outcome
    NOTE_RINGING = "note_ringing"
    NOTE_ANSWER = "note_answer"
    START_SCREENING = "start_screening"
    SEEK_SEAT = "seek_seat"
    BRIDGE = "bridge"
    AWAIT_WORD = "await_word"  # of the bridge that was asked for
    NOTE_CONNECTED = "note_connected"
    RELEASE_SEAT = "release_seat"
    RESCUE = "rescue"  # the seat was lost in the call: another may take it for some seconds
    PUT_ON_HOLD = "put_on_hold"
    TAKE_BACK = "take_back"
    TAKE_BACK_SOON = "take_back_soon"  # once the bridge of all three is over
    CALL_PARTY = "call_party"
    JOIN_PARTY = "join_party"
    TELL_PARTY = "tell_party"
    TELL_CONNECTED = "tell_connected"  # still, as they were
    TELL_HELD = "tell_held"  # the party is gone, the customer still on hold
    DROP_PARTY = "drop_party"
    CONFER = "confer"
    GIVE = "give"
    GIVE_OUT = "give_out"
    LET_GO = "let_go"  # its seat has sent it on
    SEEK_TARGET = "seek_target"
    ABANDON = "abandon"
    PLAY_HARBOUR = "play_harbour"
    MARK_MACHINE = "mark_machine"
    MARK_CANCELLED = "mark_cancelled"
    HANG_UP = "hang_up"
    SETTLE = "settle"  # record the one outcome
    SETTLE_LOST = "settle_lost"


if TYPE_CHECKING:
    from dialer.core.parties import Party

S, E, A = CallState, CallEvent, CallAction

BEFORE_ANSWER = (S.DIALING, S.RINGING)
WITH_SEAT = (S.CONNECTING, S.CONNECTED, S.HELD)
WITH_PARTY = (S.CONSULTING, S.CONFERENCE, S.SENT, S.OUTSIDE)
ALIVE = tuple(state for state in S if state not in (S.RESERVED, S.ENDED))

_entries: dict[tuple[CallState, CallEvent], tuple[CallState, tuple[CallAction, ...]]] = {
    (S.RESERVED, E.PERMIT): (S.DIALING, (A.ORIGINATE,)),
    (S.RESERVED, E.REFUSE): (S.ENDED, (A.FORGET,)),
    (S.RESERVED, E.CANCEL): (S.ENDED, (A.MARK_CANCELLED, A.SETTLE)),
    (S.DIALING, E.CANCEL): (S.ENDED, (A.MARK_CANCELLED, A.SETTLE)),
    (S.DIALING, E.RING): (S.RINGING, (A.NOTE_RINGING,)),
    # called in
    (S.OFFERED, E.HUMAN): (S.WAITING, (A.SEEK_SEAT,)),
    (S.OFFERED, E.OVERDUE): (S.WAITING, (A.SEEK_SEAT,)),
    (S.OFFERED, E.HANG): (S.CLOSING, (A.HANG_UP,)),
    # answered
    (S.SCREENING, E.HUMAN): (S.WAITING, (A.SEEK_SEAT,)),
    (S.SCREENING, E.LIMIT): (S.WAITING, (A.SEEK_SEAT,)),  # no verdict in time: treat as a human
    (S.SCREENING, E.OVERDUE): (S.WAITING, (A.SEEK_SEAT,)),
    (S.SCREENING, E.MACHINE): (S.CLOSING, (A.MARK_MACHINE, A.HANG_UP)),
    (S.SCREENING, E.HANG): (S.CLOSING, (A.HANG_UP,)),
    # a human waits
    (S.WAITING, E.MATCH): (S.CONNECTING, (A.BRIDGE,)),
    (S.WAITING, E.LIMIT): (S.HARBOUR, (A.ABANDON, A.PLAY_HARBOUR)),
    (S.WAITING, E.HANG): (S.CLOSING, (A.HANG_UP,)),
    # a human and a seat
    (S.CONNECTING, E.BRIDGED): (S.CONNECTED, (A.NOTE_CONNECTED,)),
    (S.CONNECTING, E.BRIDGE_FAILED): (S.WAITING, (A.RELEASE_SEAT, A.SEEK_SEAT)),
    (S.CONNECTING, E.SEAT_LOST): (S.WAITING, (A.SEEK_SEAT,)),
    (S.CONNECTING, E.LIMIT_UNSURE): (S.CONNECTING, (A.AWAIT_WORD,)),
    (S.CONNECTING, E.LIMIT): (S.HARBOUR, (A.RELEASE_SEAT, A.ABANDON, A.PLAY_HARBOUR)),
    (S.CONNECTING, E.BRIDGED_LATE): (S.HARBOUR, (A.RELEASE_SEAT, A.ABANDON, A.PLAY_HARBOUR)),
    (S.CONNECTED, E.SEAT_LOST): (S.WAITING, (A.RESCUE, A.SEEK_SEAT)),
    (S.CONNECTED, E.HOLD): (S.HELD, (A.PUT_ON_HOLD,)),
    (S.HELD, E.RESUME): (S.CONNECTING, (A.TAKE_BACK,)),
    (S.HELD, E.NOT_HELD): (S.CONNECTED, (A.TELL_CONNECTED,)),
    (S.HELD, E.SEAT_LOST): (S.WAITING, (A.RESCUE, A.SEEK_SEAT)),
    # a third party
    (S.CONNECTED, E.CONSULT): (S.CONSULTING, (A.PUT_ON_HOLD, A.CALL_PARTY)),
    (S.HELD, E.CONSULT): (S.CONSULTING, (A.CALL_PARTY,)),
    (S.CONSULTING, E.NOT_HELD): (S.CONNECTED, (A.DROP_PARTY, A.TELL_CONNECTED)),
    (S.CONSULTING, E.PARTY_UP): (S.CONSULTING, (A.JOIN_PARTY,)),
    (S.CONSULTING, E.PARTY_GONE): (S.HELD, (A.DROP_PARTY, A.TELL_HELD)),
    (S.CONSULTING, E.BRIDGE_FAILED): (S.HELD, (A.DROP_PARTY, A.TELL_HELD)),
    (S.CONSULTING, E.CONFER): (S.CONFERENCE, (A.CONFER,)),
    (S.CONFERENCE, E.PARTY_GONE): (S.CONNECTING, (A.DROP_PARTY, A.TAKE_BACK_SOON)),
    (S.CONFERENCE, E.BRIDGE_FAILED): (S.CONSULTING, (A.TELL_PARTY,)),
    (S.CONNECTED, E.SEND_ON): (S.SENT, (A.PUT_ON_HOLD, A.LET_GO, A.SEEK_TARGET)),
    (S.HELD, E.SEND_ON): (S.SENT, (A.LET_GO, A.SEEK_TARGET)),
    (S.SENT, E.MATCH): (S.CONNECTING, (A.DROP_PARTY, A.BRIDGE)),
    (S.SENT, E.PARTY_UP): (S.OUTSIDE, (A.GIVE_OUT,)),
    (S.SENT, E.PARTY_GONE): (S.WAITING, (A.DROP_PARTY, A.RESCUE, A.SEEK_SEAT)),
    (S.SENT, E.LIMIT): (S.WAITING, (A.DROP_PARTY, A.RESCUE, A.SEEK_SEAT)),
    (S.OUTSIDE, E.PARTY_GONE): (S.CLOSING, (A.DROP_PARTY, A.HANG_UP)),
    (S.OUTSIDE, E.BRIDGE_FAILED): (S.WAITING, (A.DROP_PARTY, A.RESCUE, A.SEEK_SEAT)),
    # the end
    (S.HARBOUR, E.OVERDUE): (S.CLOSING, (A.HANG_UP,)),
    (S.HARBOUR, E.HANG): (S.CLOSING, (A.HANG_UP,)),
    (S.CLOSING, E.OVERDUE): (S.ENDED, (A.SETTLE,)),
}
for _state in BEFORE_ANSWER:
    _entries[_state, E.ANSWER] = (S.WAITING, (A.NOTE_ANSWER, A.SEEK_SEAT))
    _entries[_state, E.SCREEN] = (S.SCREENING, (A.NOTE_ANSWER, A.START_SCREENING))
    _entries[_state, E.HANG] = (S.CLOSING, (A.MARK_CANCELLED, A.HANG_UP))
    _entries[_state, E.OVERDUE] = (S.CLOSING, (A.HANG_UP,))
for _state in WITH_SEAT:
    _entries[_state, E.HANG] = (S.CLOSING, (A.RELEASE_SEAT, A.HANG_UP))
    _entries[_state, E.GONE] = (S.ENDED, (A.RELEASE_SEAT, A.SETTLE))
    _entries[_state, E.LOST] = (S.ENDED, (A.RELEASE_SEAT, A.SETTLE_LOST))
for _state in (S.CONSULTING, S.CONFERENCE):
    _entries[_state, E.RESUME] = (
        S.CONNECTING,
        (A.TAKE_BACK, A.DROP_PARTY),
    )  # who hangs up last ends no bridge
    _entries[_state, E.GIVE] = (S.CONNECTING, (A.GIVE,))
    _entries[_state, E.GIVE_OUT] = (S.OUTSIDE, (A.GIVE_OUT,))
    _entries[_state, E.SEAT_LOST] = (S.WAITING, (A.DROP_PARTY, A.RESCUE, A.SEEK_SEAT))
for _state in WITH_PARTY:
    _entries[_state, E.HANG] = (S.CLOSING, (A.DROP_PARTY, A.RELEASE_SEAT, A.HANG_UP))
    _entries[_state, E.GONE] = (S.ENDED, (A.DROP_PARTY, A.RELEASE_SEAT, A.SETTLE))
    _entries[_state, E.LOST] = (S.ENDED, (A.DROP_PARTY, A.RELEASE_SEAT, A.SETTLE_LOST))
for _state in ALIVE:
    _entries.setdefault((_state, E.GONE), (S.ENDED, (A.SETTLE,)))
    _entries.setdefault((_state, E.LOST), (S.ENDED, (A.SETTLE_LOST,)))

# Repeats and late arrivals that a healthy switch produces; anything else is counted as an anomaly.
_ignored = frozenset(
    {
        *product(ALIVE, (E.RING, E.ANSWER, E.SCREEN, E.BRIDGED)),
        *product(ALIVE, (E.HUMAN, E.MACHINE)),  # a verdict after the limit, or while closing
        *product((S.HARBOUR, S.CLOSING, S.CONNECTED, S.HELD), (E.LIMIT, E.OVERDUE)),
        *product((S.CLOSING,), (E.HANG, E.SEAT_LOST, E.BRIDGE_FAILED, E.HOLD, E.RESUME)),
        *product((S.CONNECTED, S.WAITING, S.HARBOUR, S.HELD), (E.BRIDGE_FAILED,)),
        *product((S.WAITING, S.HARBOUR), (E.SEAT_LOST,)),
        *product((S.DIALING, S.RINGING, S.WAITING), (E.LIMIT, E.OVERDUE)),
        *product((S.CONNECTING, *WITH_PARTY), (E.OVERDUE,)),
        *product(ALIVE, (E.PARTY_UP, E.PARTY_GONE)),  # it was let go already
        *product((S.SENT,), (E.BRIDGE_FAILED,)),
        *product((S.RESERVED,), (E.HANG,)),  # the permit, when it comes, finds nobody to dial for
    }
) - frozenset(_entries)

CALL = Table("call", _entries, _ignored)


@dataclass(slots=True)
class Call:
    """A call and what is known of it. Instants are monotonic seconds, None until they happen."""

    lead: Lead
    campaign: str
    switch: str
    reserved_at: float
    state: CallState = CallState.RESERVED
    not_before: float = 0.0  # its turn in the switch's calls per second
    dialed_at: float | None = None
    ringing_at: float | None = None
    answered_at: float | None = None
    answer_stamp: float | None = None  # the switch's own time of it, Unix seconds
    human_at: float | None = None
    human_counted: bool = False
    waited: bool = False  # no seat was free when the person answered
    connected_at: float | None = None
    seat: int | None = None  # user id
    bridge_tries: int = 0
    bridged_at: float | None = None  # for the first time; maybe heard of later
    unsure: bool = False  # its time is up, and the switch's word of the bridge is waited for
    last_seat: int | None = None  # who had it last, for the record
    wanted_seat: int | None = None  # preview: only this seat may have it, until the two have met
    outcome: Outcome | None = None
    amd: str | None = None
    cause: int = 0
    tech_cause: int = 0
    timed_out: bool = False
    harbour_played: bool = False
    channel: str = ""  # of a customer who called in: the Uniqueid, of the switch's making
    timer: int = 0  # the generation of its running timer; older ones are void
    caller_id: str = ""
    ended_by: str = "customer"  # or agent
    adopted: bool = False  # of an engine before this one, or another part: pacing has not heard of it
    state_at: float = 0.0  # since when it is as its seat is told: connected, or held
    party: Party | None = None  # who else is asked, joined or sent the customer
    came_from: int | None = None  # the seat that sent it on, to which it comes back where nobody takes it
    refusal: str = ""  # the rule that did not permit it
    recording: str = ""  # on, paused, failed; empty: it is not recorded
    notes: str = ""  # what was written down of it so far, for who takes it over
    answers: dict[str, str] = field(default_factory=dict)  # to the script, likewise

    @property
    def id(self) -> str:
        return self.lead.call_id

    @property
    def uid(self) -> str:
        """The channel's Uniqueid."""
        return self.channel or CALL_PREFIX + self.lead.call_id

    @property
    def inbound(self) -> bool:
        """Whether the customer called in. The law and the campaign's counts of dialed calls are not about it."""
        return bool(self.channel)

    @property
    def for_any_seat(self) -> bool:
        """Whether it was dialed for whichever seat is free. Any other asks pacing for none: its own seat is kept."""
        return not self.inbound and self.wanted_seat is None
