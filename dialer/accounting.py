"""Squares the books with the switch: every call of its own log against the table of attempts, every lead, every seat.

Nothing here looks at the engine's counters. A difference means that something was lost, invented or told wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from campaigns.accounts import Accounts, Attempt
from campaigns.values import Outcome
from dialer.switch.port import CALL_PREFIX, LEG_PREFIX

NEVER_DIALED = frozenset(
    {Outcome.CANCELLED, Outcome.FAILED, Outcome.LOST}
)  # may have no channel on the switch
NO_PERSON = frozenset(
    {Outcome.BUSY, Outcome.NO_ANSWER, Outcome.CONGESTION, Outcome.INVALID, Outcome.REJECTED}
)


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A call as a switch saw it."""

    uid: str
    answered: bool
    bridged_with: tuple[str, ...]  # uids
    ended: bool


@dataclass(slots=True)
class Balance:
    """What does not add up, named; all empty when the books are square."""

    leads: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    seats: list[str] = field(default_factory=list)

    @property
    def square(self) -> bool:
        return not (self.leads or self.calls or self.seats)


def balance(accounts: Accounts, witnessed: Iterable[Witnessed], attempts_cap: int) -> Balance:
    """Compare, after the engine has stopped. Blocks: it reads the database."""
    found = Balance()
    seen = {call.uid: call for call in witnessed}
    attempts = accounts.attempts()
    _compare_calls(found, attempts, seen)
    if leased := accounts.leased():
        found.leads.append(f"{leased} leads are still leased")
    if twice := accounts.called_at_once():
        found.leads.append(f"{twice} leads were called while a call to them was on")
    if barred := accounts.called_on_dnc():
        found.leads.append(f"{barred} calls went to numbers on the do-not-call list")
    if over := accounts.over_cap(attempts_cap):
        found.leads.append(f"{over} numbers were called more often than the cap")
    found.seats += [f"the leg {uid} was left up" for uid, c in seen.items() if _is_leg(uid) and not c.ended]
    found.seats += [
        f"seat {user} ended as {state}"
        for user, state in accounts.seat_states().items()
        if state != "offline"
    ]
    return found


def _compare_calls(found: Balance, attempts: Mapping[str, Attempt], seen: Mapping[str, Witnessed]) -> None:
    calls = {uid[len(CALL_PREFIX) :]: call for uid, call in seen.items() if uid.startswith(CALL_PREFIX)}
    for call_id in calls.keys() - attempts.keys():
        found.calls.append(f"{call_id}: on the switch, not in the books")
    for call_id, attempt in attempts.items():
        call = calls.get(call_id)
        if attempt.outcome is None:
            found.calls.append(f"{call_id}: has no outcome")
        elif call is None:
            if attempt.outcome not in NEVER_DIALED:
                found.calls.append(f"{call_id}: {attempt.outcome} in the books, never on the switch")
        else:
            _compare_call(found, attempt, call)


def _compare_call(found: Balance, attempt: Attempt, call: Witnessed) -> None:
    joined = any(_is_leg(uid) for uid in call.bridged_with)
    if not call.ended:
        found.calls.append(f"{attempt.call_id}: still up on the switch")
    if joined != (attempt.outcome == Outcome.CONNECTED):
        with_seat = "was" if joined else "was not"
        found.calls.append(
            f"{attempt.call_id}: {attempt.outcome} in the books, {with_seat} in a bridge with a seat"
        )
    if call.answered and attempt.outcome in NO_PERSON:
        found.calls.append(f"{attempt.call_id}: {attempt.outcome} in the books, answered on the switch")
    if not call.answered and attempt.outcome in (Outcome.ABANDONED, Outcome.HUNG_UP, Outcome.MACHINE):
        found.calls.append(f"{attempt.call_id}: {attempt.outcome} in the books, never answered on the switch")


def _is_leg(uid: str) -> bool:
    return uid.startswith(LEG_PREFIX)
