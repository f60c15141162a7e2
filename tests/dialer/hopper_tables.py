"""A hopper's tables in memory, which may be away, slow, or cut after a commit: as the engine meets them."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count

import msgspec
from sqlalchemy.exc import OperationalError

from campaigns.callbacks import Coming
from campaigns.values import Ask, InFlight, Lead, OutsideCaller, Permit, Refusal, RefusalReason

LIMIT_S = 20.0
CAMPAIGN = 7
Answer = Permit | Refusal


class Tables:
    """A hopper's tables: leads that are open, leases given out, attempts on record. May be away, or slow."""

    def __init__(self, leads: int) -> None:
        self.open = leads
        self.leased: set[str] = set()
        self.unheard: set[str] = set()  # leased, and the reply was lost
        self.released: list[str] = []
        self.on_record: set[str] = set()
        self.barred: set[str] = set()
        self.batches: list[int] = []
        self.outside = 0
        self.away = False
        self.cut_after_commit = False
        self.fault: Exception | None = None
        self.go = threading.Event()
        self.go.set()
        self.asked = 0
        self._ids = count(1)

    def _reach(self) -> None:
        self.asked += 1
        self.go.wait(LIMIT_S)
        if self.fault is not None:
            raise self.fault
        if self.away:
            raise OperationalError("", None, Exception("connection refused"))

    def lease(self, campaign_id: int, limit: int, now: datetime) -> list[Lead]:
        self._reach()
        assert campaign_id == CAMPAIGN
        given = [f"{next(self._ids):032x}" for _ in range(min(limit, self.open))]
        self.open -= len(given)
        self.leased.update(given)
        if self.cut_after_commit:
            self.unheard.update(given)
            raise OperationalError("", None, Exception("server closed the connection unexpectedly"))
        return [Lead(one, CAMPAIGN, 1, 1, "+8613800138000", "王小明", ("Asia/Shanghai",), 0) for one in given]

    def lease_callbacks(self, campaign_id: int, users: Sequence[int], now: datetime) -> list[Lead]:
        return []

    def may_send_outside(self, by: OutsideCaller, now: datetime) -> Refusal | None:
        self._reach()
        return self.refuse_outside(by, now) if self.outside >= by.calls else None

    def sent_outside(
        self, by: OutsideCaller, uid: str, campaign_id: int, number: str, now: datetime
    ) -> Refusal | None:
        found = self.may_send_outside(by, now)
        self.outside += found is None
        return found

    def refuse_outside(self, by: OutsideCaller, now: datetime) -> Refusal:
        return Refusal("", RefusalReason.OUTSIDE_CALLS, f"user {by.user_id}", now + timedelta(hours=1))

    def lease_number(self, campaign_id: int, number: str, by: OutsideCaller, now: datetime) -> Lead | Refusal:
        if self.outside >= by.calls:
            return self.refuse_outside(by, now)
        found = self.lease(campaign_id, 1, now)
        if not found:
            return Refusal("", RefusalReason.WINDOW, "", now + timedelta(hours=1))
        return msgspec.structs.replace(found[0], number=number)

    def who_called(self, campaign_id: int, number: str, call_id: str) -> Lead | None:
        return None

    def coming_callbacks(
        self, campaign_id: int, users: Sequence[int], now: datetime, until: datetime
    ) -> list[Coming]:
        return []

    def renew(self, call_ids: Collection[str], now: datetime) -> int:
        self._reach()
        return len(self.leased & set(call_ids))

    def stray(self, held: Collection[str], now: datetime) -> list[str]:
        self._reach()
        return sorted(self.unheard - set(held))

    def release(self, call_ids: Sequence[str], not_before: datetime | None = None) -> None:
        self._reach()
        self.leased.difference_update(call_ids)
        self.unheard.difference_update(call_ids)
        self.released.extend(call_ids)

    def authorize(self, calls: Sequence[Ask], now: datetime) -> Mapping[str, Answer]:
        self._reach()
        self.batches.append(len(calls))
        permitted = [call.call_id for call in calls if call.call_id not in self.barred]
        self.on_record.update(permitted)
        if self.cut_after_commit:
            raise OperationalError("", None, Exception("server closed the connection unexpectedly"))
        refused = {c: Refusal(c, RefusalReason.DNC, "on the list") for c in self.barred}
        return {call_id: Permit(call_id, now) for call_id in permitted} | refused

    def in_flight(
        self, now: datetime, others: Iterable[str] = (), switches: Iterable[str] = ()
    ) -> list[InFlight]:
        return []

    def take_over(self, call_ids: Sequence[str], now: datetime) -> int:
        return 0

    def left(self, campaign_id: int) -> int:
        return self.open
