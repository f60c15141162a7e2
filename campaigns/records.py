"""What the journal carries: every transition that must survive, as typed records applied exactly once, in order."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Record(msgspec.Struct, frozen=True, tag_field="kind", kw_only=True):
    """Base of all records. `at` is an aware datetime, UTC."""

    at: datetime


class CalledIn(Record, frozen=True, tag="called_in"):
    """A customer has called one of the campaign's numbers. `number` is theirs (E.164), empty when it is withheld."""

    call_id: str
    campaign_id: int
    number: str
    channel: str
    switch: str
    owner: str


class AttemptAnswered(Record, frozen=True, tag="answered"):
    call_id: str


class AttemptConnected(Record, frozen=True, tag="connected"):
    """The customer and `user_id`'s seat are in one bridge.

    `split`, here and below: the campaign is on several switches, and its parts are told that this one has counted it.
    """

    call_id: str
    user_id: int
    split: bool = False


class AttemptEnded(Record, frozen=True, tag="ended"):
    """The one outcome of an originate; sets the attempt, the number's and the lead's next state.

    `retry_at` is when the number may be tried again (None: no more by itself; of a customer's own call: as planned,
    and not before), `other_at` when another one of the
    lead's that was tried less often; `locked_until` sets a lock-out. `number_done`, or the `most`-th such outcome,
    ends the number, and with its last number the lead. `final` takes the lead out of the campaign. What was not
    `dialed`, since no switch took it, does not count as an attempt on the number.
    `amd` is what its detection said, as AMDSTATUS of Asterisk; `HANGUP` where the customer left while it listened.
    """

    call_id: str
    outcome: str
    cause: int = 0
    tech_cause: int = 0
    ring_s: float | None = None
    wait_s: float | None = None
    talk_s: float | None = None
    user_id: int | None = None
    amd: str | None = None
    harbour_played: bool = False
    retry_at: datetime | None = None
    locked_until: datetime | None = None
    final: bool = False
    dialed: bool = True
    other_at: datetime | None = None
    number_done: bool = False
    most: int | None = None
    split: bool = False


class Dispositioned(Record, frozen=True, tag="dispositioned"):
    """The seat's verdict on a call. `retry_at` and `final` overrule those of the outcome.

    `other_at` is when another number of the lead's may be tried that was tried less often. The `most`-th such verdict
    is final. `locked_until` bars all numbers of a customer who does not want such calls.
    `other_number`: this one is not the customer's and is done; the lead comes again for another, if it has one.
    `answers` are those to the script, as a JSON object.
    `machine`: of a campaign on several switches it says that nobody was there.
    `handed_on`: another seat has or had the customer since, whose verdict this one does not replace.
    A callback that is `personal` is for `callback_for` alone (`user_id` where that is not said) until `team_at`, then
    also for others of their unit until `anyone_at`, and none any more from `expires_at` on; else it is for anyone.
    """

    call_id: str
    user_id: int
    code: str
    notes: str = ""
    answers: str = ""
    callback_at: datetime | None = None
    do_not_call: bool = False
    retry_at: datetime | None = None
    final: bool = False
    other_number: bool = False
    locked_until: datetime | None = None
    other_at: datetime | None = None
    most: int | None = None
    personal: bool = False
    team_at: datetime | None = None
    anyone_at: datetime | None = None
    expires_at: datetime | None = None
    callback_for: int | None = None
    machine: bool = False
    handed_on: bool = False


class NotesSaved(Record, frozen=True, tag="notes"):
    """What an agent has written down of a call so far: notes, and the answers to the script as a JSON object."""

    call_id: str
    user_id: int
    notes: str
    answers: str = ""


class OutsideEnded(Record, frozen=True, tag="outside_ended"):
    """The channel to an outside number to which an agent sent a customer is no more."""

    uid: str


class OptedOut(Record, frozen=True, tag="opted_out"):
    """The customer asked, by key or by voice, not to be called again: the number goes on the DNC list.

    Without a number, as when the call was over already, it is that of the call's attempt.
    """

    call_id: str
    number: str
    source: str
    campaign_id: int


class SeatChanged(Record, frozen=True, tag="seat"):
    """A line of the seat session log, with the campaign whose customer it has, else whose pacing counts on it; or 0."""

    user_id: int
    session_id: str
    state: str
    reason: str = ""
    call_id: str = ""
    campaign_id: int = 0


class Audited(Record, frozen=True, tag="audit"):
    actor: str
    action: str
    subject: str
    detail: str = ""


# What is audited of a call's recording; what the switch did not do is taken back by a word of its own.
RECORDING_PAUSED, RECORDING_RESUMED = "recording_paused", "recording_resumed"
RECORDING_NOT_PAUSED, RECORDING_NOT_RESUMED = "recording_not_paused", "recording_not_resumed"

AnyRecord = (
    CalledIn
    | AttemptAnswered
    | AttemptConnected
    | AttemptEnded
    | Dispositioned
    | NotesSaved
    | OutsideEnded
    | OptedOut
    | SeatChanged
    | Audited
)
