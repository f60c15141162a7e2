"""A campaign with a list, for stories about leads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, text

from campaigns.hopper import Hopper
from campaigns.ids import leased_at
from campaigns.journal_store import JournalStore
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.records import AnyRecord
from campaigns.store import Applied, CampaignStore
from campaigns.values import Ask, Lead, Permit

NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)  # 12 o'clock in Shanghai, a Tuesday
CONFIG = 'name = "spring"\nswitch = "main"\nrunning = true\n'


class Campaign:
    """One campaign in a database; others have the same numbers."""

    def __init__(
        self,
        db: Engine,
        leads: int = 10,
        more: str = "",
        zone: str = "Asia/Shanghai",
        name: str = "spring",
    ) -> None:
        self.db = db
        self.store = CampaignStore(db)
        config = CONFIG.replace("spring", name) + more
        self.applied: Applied = self.store.apply(config, "test", "tester", NOON)
        rows = [Row(n + 2, (f"+8613800{n:06d}",), f"客户{n}", {"n": n}, (zone,)) for n in range(leads)]
        self.imported = store_rows(db, self.id, "list", "test", NOON, rows)
        self.hopper = Hopper(db, "engine-1")
        self.journal = JournalStore(db, "engine-1")

    @property
    def id(self) -> int:
        return self.applied.campaign_id

    def lease(self, limit: int = 1, at: datetime = NOON) -> list[Lead]:
        return self.hopper.lease(self.id, limit, at)

    def dial(self, leads: Sequence[Lead], at: datetime = NOON) -> list[str]:
        """Authorize; the ids of those that were permitted."""
        answers = self.hopper.authorize([Ask(lead.call_id, "main") for lead in leads], at)
        return [call_id for call_id, answer in answers.items() if isinstance(answer, Permit)]

    def record(self, *records: AnyRecord) -> None:
        self.journal.apply(list(enumerate(records, self.journal.last_serial() + 1)))

    def one(self, sql: str, **values: object):  # type: ignore[no-untyped-def]
        with self.db.connect() as connection:
            return connection.execute(text(sql), values).one()


def put_on_record(connection: Connection, campaign: Campaign, lead: Lead) -> None:
    """Half of what a permit does: the call's attempt, on a connection of one's own."""
    connection.execute(
        text("""
            INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at)
            VALUES (CAST(:call_id AS uuid), :leased_at, :campaign, :lead, :number, 'main', 'engine-1', :at)
        """),
        {
            "call_id": lead.call_id,
            "leased_at": leased_at(lead.call_id),
            "campaign": campaign.id,
            "lead": lead.lead_id,
            "number": lead.number_id,
            "at": NOON,
        },
    )


def later(**more: float) -> datetime:
    return NOON + timedelta(**more)
