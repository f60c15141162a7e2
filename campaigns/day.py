"""A recorded span of a campaign, such as a day: who did what from when to when, and every attempt with its times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from campaigns.history.query import History, SeatLine

# What a seat's states mean for its campaign: `dialer/core/seat.py` names the states, pacing's contract these four.
DOES = {
    "ready": "idle",
    "preview": "talk",
    "connecting": "talk",
    "talking": "talk",
    "wrap_up": "wrap",
    "phone": "away",
    "no_phone": "away",
    "paused": "away",
}
LONGEST_SHIFT = timedelta(days=1)  # a seat that began to do something earlier is not looked for


@dataclass(frozen=True, slots=True)
class SeatInterval:
    """A seat in one state of its machine, for this campaign, from `start` to `stop`.

    `does` is idle, talk, wrap or away; `call_id` its customer's call, if it had one.
    """

    user_id: int
    session_id: str
    state: str
    reason: str
    call_id: str
    start: datetime
    stop: datetime

    @property
    def does(self) -> str:
        return DOES.get(self.state, "away")


@dataclass(frozen=True, slots=True)
class DialedCall:
    """One attempt. `ring_s` ends with the answer or the call, `wait_s` runs from the answer until a seat had it."""

    call_id: str
    list_id: int | None  # None when the lead is gone
    dialed_at: datetime
    answered_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    ring_s: float | None
    wait_s: float | None
    talk_s: float | None
    user_id: int | None
    amd: str | None
    code: str | None  # the agent's disposition


def seat_intervals(
    history: History, campaign_id: int, since: datetime, until: datetime
) -> Sequence[SeatInterval]:
    """What the campaign's seats did between two instants, clipped to them, in the order of their starts.

    A seat that serves several campaigns stands with the one whose customer it has, else with the one whose pacing
    counts on it. The last line of a user holds until the next one, whatever campaign or session that is of; what has
    none ends at `until`. Raises :class:`campaigns.history.files.FileGone`.
    """
    of_user: dict[int, list[SeatLine]] = {}
    for line in history.seats(since - LONGEST_SHIFT, until):
        of_user.setdefault(line.user_id, []).append(line)
    found = [
        (line.id, SeatInterval(line.user_id, line.session_id, line.state, line.reason, line.call_id,
                               max(line.at, since), stop))
        for lines in of_user.values()
        for line, stop in zip(lines, [*(after.at for after in lines[1:]), until], strict=True)
        if line.campaign_id == campaign_id and stop > since and line.state != "offline"
    ]  # fmt: skip
    return [each for _, each in sorted(found, key=lambda pair: (pair[1].start, pair[0]))]


def dialed_calls(
    history: History, campaign_id: int, since: datetime, until: datetime
) -> Sequence[DialedCall]:
    """The campaign's attempts that were dialed between two instants, in order.

    Raises :class:`campaigns.history.files.FileGone`.
    """
    calls = history.calls(since, until, campaign_id=campaign_id)
    lists = history.lists_of([call.lead_id for call in calls])
    return [
        DialedCall(
            call.call_id, lists.get(call.lead_id), call.dialed_at, call.answered_at, call.connected_at, call.ended_at,
            call.outcome, call.ring_s, call.wait_s, call.talk_s, call.user_id, call.amd, call.code,
        )
        for call in calls
        if call.called_in is None
    ]  # fmt: skip
