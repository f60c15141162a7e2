"""A campaign that writes to its customers, for stories about messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Engine, text

from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.messages.outbox import Letter, Outbox
from campaigns.records import AnyRecord, AttemptConnected, AttemptEnded, Dispositioned
from campaigns.values import Lead
from tests.campaigns.world import NOON, Campaign, later

MISSED = """
[[messages.steps]]
code = "missed"
channel = "sms"
outcomes = ["no_answer", "busy"]
delay_s = 172800
text = { zh = "{name}您好，我们曾致电给您。回复TD退订", en = "{name}, we tried to call you. STOP ends this" }
"""
CONFIRMED = """
[[messages.steps]]
code = "confirmed"
channel = "email"
dispositions = ["sold"]
to = "email"
purpose = "service"
sender = "春天公司"
subject = { zh = "{name}，感谢您的订购", en = "Thank you, {name}" }
text = { zh = "您订购了{plan}。", en = "You have ordered {plan}." }
"""
OFFER = """
[[messages.steps]]
code = "offer"
channel = "email"
outcomes = ["no_answer"]
to = "email"
subject = { zh = "新套餐" }
text = { zh = "{name}，有新套餐。退订：{unsubscribe}" }
"""
TWO_DAYS_LATER = later(days=2)


class Writing:
    """A campaign with steps, and one engine's outbox."""

    def __init__(
        self, db: Engine, steps: str = MISSED + CONFIRMED, customers: int = 3, more: str = ""
    ) -> None:
        self.db = db
        self.campaign = Campaign(db, leads=0, more=more + steps)
        rows = [
            Row(
                n + 2, (f"+8613800{n:06d}",), f"客户{n}", {"email": f"Kunde{n}@example.com", "plan": "畅享199"},
                ("Asia/Shanghai",), customer_id=f"c{n}",
            )
            for n in range(customers)
        ]  # fmt: skip
        store_rows(db, self.campaign.id, "customers", "test", NOON, rows)
        self.outbox = Outbox(db, "engine-1", "https://dialer.example")

    def add(self, number: str, **known: Any) -> None:
        """One more customer, of whom this is known."""
        row = Row(2, (number,), "客户", known, ("Asia/Shanghai",), customer_id=number)
        store_rows(self.db, self.campaign.id, number, "test", NOON, [row])

    def call(self, *leads: Lead, outcome: str = "no_answer", at: datetime = NOON) -> None:
        """Calls to these customers, over at `at`."""
        assert len(self.campaign.dial(leads, at)) == len(leads)
        records: list[AnyRecord] = []
        for lead in leads:
            if outcome == "connected":
                records.append(AttemptConnected(at=at, call_id=lead.call_id, user_id=1))
            records.append(AttemptEnded(at=at, call_id=lead.call_id, outcome=outcome, retry_at=at))
        self.campaign.record(*records)

    def calls(self, outcome: str = "no_answer", at: datetime = NOON) -> list[Lead]:
        """A call to every customer."""
        leads = self.campaign.lease(1_000, at)
        self.call(*leads, outcome=outcome, at=at)
        return leads

    def disposed(self, lead: Lead, code: str, at: datetime = NOON) -> None:
        """An agent's verdict."""
        self.campaign.record(Dispositioned(at=at, call_id=lead.call_id, user_id=1, code=code))

    def claim(
        self, at: datetime, channels: tuple[str, ...] = ("email", "sms"), limit: int = 100
    ) -> list[Letter]:
        """What may be sent."""
        return list(self.outbox.claim(channels, limit, at).letters)

    def rows(self) -> list[Any]:
        """The messages."""
        with self.db.connect() as connection:
            return list(connection.execute(text("SELECT * FROM message ORDER BY id")))

    def states(self) -> list[tuple[str, str]]:
        return [(row.state, row.reason) for row in self.rows()]
