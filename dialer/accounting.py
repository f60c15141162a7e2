"""Squares the books with the switch: every call of its own log against the tables, the journal, every lead, every seat.

Nothing here looks at the engine's counters. A difference means that something was lost, invented or told wrong.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from campaigns.accounts import Accounts, Attempt, Verdict
from campaigns.values import Outcome
from dialer.core.seats import leg_user
from dialer.journal import REJECTED, SPOOL
from dialer.switch.port import CALL_PREFIX, LEG_PREFIX

if TYPE_CHECKING:
    from simulator.switch.log import CallRecord

NEVER_DIALED = frozenset(
    {Outcome.CANCELLED, Outcome.FAILED, Outcome.LOST}
)  # may have no channel on the switch
NO_PERSON = frozenset(
    {Outcome.BUSY, Outcome.NO_ANSWER, Outcome.CONGESTION, Outcome.INVALID, Outcome.REJECTED}
)
UNKNOWN = frozenset({Outcome.LOST, Outcome.ABANDONED})  # what a call is that nobody heard the end of
ANSWERED = frozenset({Outcome.CONNECTED, Outcome.ABANDONED, Outcome.HUNG_UP, Outcome.MACHINE})


KINDS = ("leads", "calls", "seats", "journal", "waits")
WAITED = frozenset({Outcome.CONNECTED, Outcome.HUNG_UP})
WAIT_WITHIN_S = 1.0  # a busy machine takes its time between two lines of a log
# Records of the last moments before a crash may not have been committed; nobody was told that they are.
UNCOMMITTED_S = 2.0


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay in a bridge, with those who were in it at the same time; Unix seconds, `left` None while it lasts."""

    entered: float
    peers: tuple[str, ...]
    left: float | None = None


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A call as a switch saw it. Instants are Unix seconds, None where it did not come to that."""

    uid: str
    dial: str
    made: float
    answered: float | None = None
    stays: tuple[Stay, ...] = ()
    ended: float | None = None

    @property
    def is_customer(self) -> bool:
        """Whether the engine dialed a customer by it."""
        return self.uid.startswith(CALL_PREFIX)


def connected_since(seen: Iterable[Witnessed], since: float) -> int:
    """Customers whom the switch has brought together with a seat since then (Unix seconds)."""
    return sum(call.is_customer and any(stay.entered >= since for stay in call.stays) for call in seen)


def witnessed(records: Iterable[CallRecord], deaths: Sequence[float] = ()) -> list[Witnessed]:
    """What the virtual switch's own log says; its death (Unix seconds) was the end of the calls that were up."""
    return [
        Witnessed(
            record.uid,
            record.dial,
            record.created,
            record.answered,
            tuple(Stay(stay.entered, tuple(stay.peers), stay.left) for stay in record.bridged_with),
            record.ended
            if record.ended is not None
            else next((death for death in deaths if death >= record.created), None),
        )
        for record in records
    ]


@dataclass(slots=True)
class Balance:
    """What does not add up, named; all empty when the books are square.

    `unheard` does add up: calls that ended while nobody listened, of which the books can't know what the switch does.
    """

    leads: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    seats: list[str] = field(default_factory=list)
    journal: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    waited_s: float = 0.0  # by the switch, and as told in the books
    told_s: float = 0.0
    unheard: list[str] = field(default_factory=list)

    @property
    def differences(self) -> list[str]:
        """All of them."""
        return [each for kind in KINDS for each in getattr(self, kind)]

    @property
    def square(self) -> bool:
        return not self.differences


def balance(
    accounts: Accounts,
    seen: Iterable[Witnessed],
    attempts_cap: int,
    *,
    spools: Iterable[Path] = (),
    promised: Mapping[str, Verdict] | None = None,
    unheard: Sequence[tuple[float, float]] = (),
    connect_limit_s: float | None = None,
    at_work: bool = False,
) -> Balance:
    """Compare, when no call is up and no lead in anyone's hands any more. Blocks: it reads the database.

    `spools` are the folders of the journals' spools, `promised` the verdicts that agents were told are saved, by call;
    `unheard` are the times, Unix seconds, in which the engine was not there or could not hear the switch. With
    `connect_limit_s`, where there is no machine detection, what people waited is compared, too.
    With `at_work` the engine still runs: seats and their legs are where they were.
    """
    found = Balance()
    calls = list(seen)
    attempts = accounts.attempts()
    _compare_calls(found, attempts, calls, unheard, connect_limit_s)
    if connect_limit_s is not None:
        _compare_waits(found, attempts, calls, connect_limit_s)
    _check_leads(found, accounts, attempts_cap)
    _check_lines(found, calls)
    _check_seats(found, attempts, calls)
    if not at_work:
        _check_home(found, accounts, calls)
    for folder in spools:
        _check_journal(found, folder)
    if promised:
        _check_verdicts(found, accounts, promised)
    return found


# --- calls -------------------------------------------------------------------------------------------------------


def _compare_calls(
    found: Balance,
    attempts: Mapping[str, Attempt],
    seen: Sequence[Witnessed],
    unheard: Sequence[tuple[float, float]],
    connect_limit_s: float | None,
) -> None:
    calls: dict[str, Witnessed] = {}
    for call in seen:
        if call.is_customer:
            call_id = call.uid[len(CALL_PREFIX) :]
            if call_id in calls:
                found.calls.append(f"{call_id}: placed twice on the switch")
            calls[call_id] = call
    for call_id in calls.keys() - attempts.keys():
        found.calls.append(f"{call_id}: on the switch, not in the books")
    for call_id, attempt in attempts.items():
        call = calls.get(call_id)
        if attempt.outcome is None:
            found.calls.append(f"{call_id}: has no outcome")
        elif attempt.outcome == Outcome.LOST and attempt.answered_at is not None:
            found.calls.append(f"{call_id}: lost in the books, though it is known to have been answered")
        elif call is None:
            if attempt.outcome not in NEVER_DIALED:
                found.calls.append(f"{call_id}: {attempt.outcome} in the books, never on the switch")
        elif attempt.outcome in UNKNOWN and _ended_in(call, unheard) and (call.stays or call.answered):
            found.unheard.append(f"{call_id}: {attempt.outcome} in the books, as far as anybody could hear")
        else:
            _compare_call(found, attempt, call, connect_limit_s)


def _ended_in(call: Witnessed, times: Sequence[tuple[float, float]]) -> bool:
    return call.ended is not None and any(
        begun - UNCOMMITTED_S <= call.ended <= over for begun, over in times
    )


def _compare_call(found: Balance, attempt: Attempt, call: Witnessed, connect_limit_s: float | None) -> None:
    def odd(what: str) -> None:
        found.calls.append(f"{attempt.call_id}: {attempt.outcome} in the books, {what}")

    legs = [uid for stay in call.stays for uid in stay.peers if _is_leg(uid)]
    if call.ended is None:
        found.calls.append(f"{attempt.call_id}: still up on the switch")
    if attempt.outcome == Outcome.ABANDONED and _bridged_late(call, connect_limit_s):
        pass  # the switch did late what it was told in time, when they had been given to the safe harbour
    elif bool(legs) != (attempt.outcome == Outcome.CONNECTED):
        odd(f"{'was' if legs else 'was not'} in a bridge with a seat")
    elif legs and attempt.user_id not in {leg_user(leg) for leg in legs}:
        odd(f"with seat {attempt.user_id}, was in a bridge with another")
    if call.answered is not None and attempt.outcome in NO_PERSON:
        odd("answered on the switch")
    if call.answered is None and attempt.outcome in ANSWERED:
        odd("never answered on the switch")
    if attempt.answered_at is None and attempt.outcome in ANSWERED:
        odd("without the instant of its answer")


def _bridged_late(call: Witnessed, connect_limit_s: float | None) -> bool:
    """Whether the switch brought them together with a seat only when they had waited for too long, and for a moment."""
    if connect_limit_s is None or call.answered is None:
        return False
    latest = call.answered + connect_limit_s
    with_seat = [stay for stay in call.stays if any(map(_is_leg, stay.peers))]
    return all(
        stay.entered > latest and (stay.left or math.inf) <= stay.entered + WAIT_WITHIN_S
        for stay in with_seat
    )


def _compare_waits(
    found: Balance, attempts: Mapping[str, Attempt], seen: Sequence[Witnessed], limit_s: float
) -> None:
    """Who waited for longer than the limit is abandoned, or told to have waited so long."""
    for call in seen:
        attempt = attempts.get(call.uid[len(CALL_PREFIX) :]) if call.is_customer else None
        if attempt is None or call.answered is None or attempt.outcome not in WAITED:
            continue
        with_seat = [stay.entered for stay in call.stays if any(map(_is_leg, stay.peers))]
        if bool(with_seat) != (attempt.outcome == Outcome.CONNECTED):
            continue  # told already
        waited = (min(with_seat) if with_seat else call.ended or call.answered) - call.answered
        told = attempt.wait_s or 0.0
        found.waited_s += waited
        found.told_s += told
        short = told < waited - WAIT_WITHIN_S
        if waited > limit_s + WAIT_WITHIN_S and (short or attempt.outcome == Outcome.HUNG_UP):
            found.waits.append(
                f"{attempt.call_id}: {attempt.outcome} after {told:.1f} s in the books, {waited:.1f} s on the switch"
            )


def _check_lines(found: Balance, seen: Sequence[Witnessed]) -> None:
    """By the switch's own clock: whom it called while an earlier call to the same number was up."""
    calls: defaultdict[str, list[Witnessed]] = defaultdict(list)
    for call in sorted(seen, key=lambda call: call.made):
        if call.is_customer:
            calls[call.dial].append(call)
    for dial, theirs in calls.items():
        for before, after in pairwise(theirs):
            if before.uid != after.uid and (before.ended is None or after.made < before.ended):
                found.leads.append(f"{dial} was called while a call to it was up on the switch")


# --- leads -------------------------------------------------------------------------------------------------------


def _check_leads(found: Balance, accounts: Accounts, attempts_cap: int) -> None:
    if leased := accounts.leased():
        found.leads.append(f"{leased} leads are still leased")
    found.leads += [f"{call_id}: its lease and its outcome do not fit" for call_id in accounts.astray()]
    found.leads += [f"lead {lead_id}: does not know its last call" for lead_id in accounts.forgotten()]
    found.leads += [f"{number}: its calls are not those that count" for number in accounts.miscounted()]
    if twice := accounts.called_at_once():
        found.leads.append(f"{twice} leads were called while a call to them was on")
    if barred := accounts.called_on_dnc():
        found.leads.append(f"{barred} calls went to numbers on the do-not-call list")
    if over := accounts.over_cap(attempts_cap):
        found.leads.append(f"{over} numbers were called more often than the cap")


# --- seats -------------------------------------------------------------------------------------------------------


def _check_seats(found: Balance, attempts: Mapping[str, Attempt], seen: Sequence[Witnessed]) -> None:
    """No leg was in a bridge with two customers at once; by its own stays, since they leave a moment after it has."""
    talks: defaultdict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for leg in seen:
        if _is_leg(leg.uid):
            for stay in leg.stays:
                for customer in stay.peers:
                    if customer.startswith(CALL_PREFIX):
                        talks[leg.uid].append(
                            (stay.entered, stay.left or leg.ended or stay.entered, customer)
                        )
    for uid, theirs in talks.items():
        for (_, left, one), (entered, _, other) in pairwise(sorted(theirs)):
            if one != other and entered < left:
                found.seats.append(f"the leg {uid} had two customers at once")


def _check_home(found: Balance, accounts: Accounts, seen: Sequence[Witnessed]) -> None:
    found.seats += [f"the leg {c.uid} was left up" for c in seen if _is_leg(c.uid) and c.ended is None]
    found.seats += [
        f"seat {user} ended as {state}"
        for user, state in accounts.seat_states().items()
        if state != "offline"
    ]


def _is_leg(uid: str) -> bool:
    return uid.startswith(LEG_PREFIX)


# --- the journal -------------------------------------------------------------------------------------------------


def _check_journal(found: Balance, folder: Path) -> None:
    found.journal += [f"{file}: records wait here" for file in sorted(folder.glob(f"*/{SPOOL}"))]
    for file in sorted(folder.glob(f"*/{REJECTED}")):
        found.journal.append(f"{file}: {len(file.read_bytes().splitlines())} records were refused")


def _check_verdicts(found: Balance, accounts: Accounts, promised: Mapping[str, Verdict]) -> None:
    """What an agent was told is saved is there, whatever happened since."""
    on_record = accounts.verdicts(list(promised))
    for call_id, verdict in promised.items():
        if on_record.get(call_id) != verdict:
            found.journal.append(
                f"{call_id}: {verdict} was acknowledged, {on_record.get(call_id)} is on record"
            )


def summary(found: Balance) -> dict[str, int]:
    """How many of each kind."""
    return {kind: len(getattr(found, kind)) for kind in KINDS}
