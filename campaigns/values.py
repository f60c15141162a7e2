"""The values that campaigns hands to the engine and takes back: leads, permits, refusals, outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec


class Outcome(StrEnum):
    """What came of one originate. Exactly one is recorded for each."""

    CONNECTED = "connected"  # a human, in one bridge with a seat
    ABANDONED = "abandoned"  # a human, no seat within the connect limit
    HUNG_UP = "hung_up"  # a human who left before the connect limit had passed
    MACHINE = "machine"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CONGESTION = "congestion"
    INVALID = "invalid"  # the number does not exist
    REJECTED = "rejected"
    FAILED = "failed"  # the switch or the network could not place it
    CANCELLED = "cancelled"  # hung up by us before an answer
    LOST = "lost"  # dialed, and a crash or a lost switch took its fate
    MISSED = "missed"  # the customer called in, and no seat had them before they left or the wait was over


# `amd` of one that hung up and counts as no person: it was a machine, or left before the detection knew.
NO_PERSON = ("MACHINE", "HANGUP")

DNC_LAYERS = ("national", "company", "campaign", "complaint")


class RefusalReason(StrEnum):
    """Why a lead may not be called now."""

    WINDOW = "window"
    DNC = "dnc"
    ATTEMPTS = "attempts"
    RETRY_DELAY = "retry_delay"
    LOCK_OUT = "lock_out"
    REFUSED = "refused"  # the customer said no to an agent
    CONSENT = "consent"
    CAP_DAY = "cap_day"
    CAP_24H = "cap_24h"
    CAP_30D = "cap_30d"
    CAP_LIFE = "cap_life"
    GAP = "gap"
    IN_CALL = "in_call"  # a call to this customer, by whatever lead and campaign, is not over
    CALLBACK = "callback"  # it waits for the time that was agreed, or for the person who agreed it
    NUMBER_DONE = "number_done"  # it does not exist, or enough came of it
    NO_ZONE = "no_zone"
    DESTINATION = "destination"  # the campaign may not call there at all
    OUTSIDE_CALLS = "outside_calls"  # the agent's own calls outside, within 24 hours
    OUTSIDE_MINUTES = "outside_minutes"
    CALLER_ID = "caller_id"  # each number that the customer may be shown rests, or has no calls left
    LEASE_LOST = "lease_lost"
    CAMPAIGN_STOPPED = "campaign_stopped"
    FINISHED = "finished"  # the campaign is, with this customer
    ANNOUNCEMENT = "announcement"  # the customer is told of the call first, and was not yet


class Lead(msgspec.Struct, frozen=True, gc=False):
    """A leased lead with the one number to dial. `call_id` is the lease, the attempt and (prefixed) the channel."""

    call_id: str  # 32 lower-case hex digits
    campaign_id: int
    lead_id: int
    number_id: int
    number: str  # E.164, with +
    name: str
    zones: tuple[str, ...]  # IANA; the call must be lawful in all of them
    attempts: int  # made before this one, on this number
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)
    list_id: int = 0
    customer_id: str = ""  # the company's own, empty when the list had none
    user_id: int | None = None  # whose callback it is, when it is for this person
    arm: str = ""  # of the campaign's trial, empty when there is none


class OutsideCaller(NamedTuple):
    """An agent who calls a number of their own choice; so many calls and minutes they have within 24 hours."""

    user_id: int
    calls: int
    minutes: float


class Ask(NamedTuple):
    """A call that the rules are asked about, and the switch and the arm that the attempt is recorded with."""

    call_id: str
    switch: str
    arm: str = ""


@dataclass(frozen=True, slots=True)
class Permit:
    """This call may be placed now. The attempt is durably recorded as dialed before the permit is handed out."""

    call_id: str
    at: datetime
    caller_id: str = (
        ""  # what the customer will see, recorded with the attempt; empty when the switch chooses
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """This call may not be placed now; `detail` is for people, `until` when it may be asked again, if known."""

    call_id: str
    reason: RefusalReason
    detail: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class InFlight:
    """A lease found at start: `dialed` tells whether the attempt was recorded as dialed before the crash."""

    call_id: str
    campaign_id: int
    lead: Lead
    owner: str
    dialed: bool
    switch: str = ""
    seat_user_id: int | None = None  # connected with, when the record says so
    answered_at: datetime | None = None  # and connected, as far as the record says so
    connected_at: datetime | None = None
    channel: str = ""  # of a customer who called in: the Uniqueid, which is not of our making
    notes: str = ""  # what was written down so far
    answers: dict[str, str] = field(default_factory=dict)  # to the script, likewise
    paused: bool = False  # its recording, by whoever has it
