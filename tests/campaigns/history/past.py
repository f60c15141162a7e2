"""A campaign with months behind it, and the books of where each of its attempts is."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import Engine, text

from campaigns.history.archive import Job, holding
from campaigns.history.files import Files, quoted
from campaigns.history.months import all_months
from campaigns.history.query import History
from campaigns.history.retention import Done, Policy, run
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.partitions import KEYS, make_partition
from campaigns.store import CampaignStore

TODAY = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
MONTHS = (date(2026, 6, 1), date(2026, 7, 1), date(2026, 8, 1))  # the first two are old enough to move
IMPORTED = datetime(2026, 5, 31, tzinfo=UTC)
CONFIG = 'name = "{}"\nswitch = "main"\nrunning = true\n'

# Call ids carry the time of the lease, as campaigns/ids.py makes them; every third call was connected and judged.
CALLS = text("""
INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at, answered_at,
    connected_at, ended_at, outcome, cause, tech_cause, ring_s, wait_s, talk_s, user_id, amd, harbour_played, notes,
    answers)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(at::text), 1, 3) || '8'
    || substr(md5(at::text || n.id), 1, 15))::uuid, at, n.campaign_id, n.lead_id, n.id, 'main', 'engine-1', at,
    CASE WHEN talked THEN at + interval '11.5 s' END, CASE WHEN talked THEN at + interval '12.25 s' END,
    at + interval '95.123456 s', CASE WHEN talked THEN 'connected' ELSE 'no_answer' END, 16, 0,
    11.5 + place / 7.0, CASE WHEN talked THEN 0.75 END, CASE WHEN talked THEN place / 3.0 END,
    CASE WHEN talked THEN 7 END, CASE WHEN place % 5 = 0 THEN 'MACHINE' END, false,
    CASE place % 9 WHEN 0 THEN E'asks "why", says \\\\N\\n第二行,\\tthen rings off' WHEN 3 THEN '' END,
    CASE WHEN talked THEN '{"bill":"' || 99 + n.id || '"}' END
FROM (
    SELECT n.*, row_number() OVER (ORDER BY n.id) AS place, (n.id % 3 = 0) AS talked,
        CAST(:begin AS timestamptz) + row_number() OVER (ORDER BY n.id) * CAST(:step AS interval) AS at
    FROM number n WHERE n.campaign_id = :campaign
) n
""")
JUDGED = text("""
INSERT INTO disposition (call_id, leased_at, user_id, code, notes, do_not_call, retry_at, final, at)
SELECT call_id, leased_at, user_id, CASE WHEN number_id % 2 = 0 THEN 'sold' ELSE 'interested' END,
    'wants it by ' || number_id, false, NULL, true, ended_at + interval '20 s'
FROM attempt WHERE connected_at IS NOT NULL AND leased_at >= :begin AND leased_at < :end AND campaign_id = :campaign
""")
SEATS = text("""
INSERT INTO seat_log (at, user_id, session_id, state, reason, call_id, campaign_id)
SELECT leased_at, 7, 's', 'talking', '', replace(call_id::text, '-', ''), campaign_id
FROM attempt WHERE connected_at IS NOT NULL AND leased_at >= :begin AND leased_at < :end AND campaign_id = :campaign
""")

CLOSED = text("""
UPDATE lead l SET customer_id = 'C' || id, open = false, last_call = a.call_id FROM attempt a
WHERE a.lead_id = l.id AND a.leased_at >= :begin
""")
COUNTED = text("UPDATE number n SET attempts = (SELECT count(*) FROM attempt a WHERE a.number_id = n.id)")
# A lead whose customer can't be erased.
UNERASABLE = """
CREATE FUNCTION unerasable() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE TRIGGER unerasable BEFORE UPDATE OF name ON lead FOR EACH ROW WHEN (OLD.id = {lead})
EXECUTE FUNCTION unerasable()
"""


class Past:
    """A campaign whose `leads` were each called once in every one of MONTHS."""

    def __init__(self, db: Engine, folder: Path, leads: int = 60, name: str = "spring") -> None:
        self.db = db
        self.files = Files(folder)
        self.history = History(db, self.files)
        self.campaign = CampaignStore(db).apply(CONFIG.format(name), "test", "tester", IMPORTED).campaign_id
        rows = [Row(n + 2, (number(n),), f"客户{n}", {"n": n}, ("Asia/Shanghai",)) for n in range(leads)]
        store_rows(db, self.campaign, "list", "test", IMPORTED, rows)
        for month in MONTHS:
            self._call_all(month, leads)
        with db.begin() as connection:
            connection.execute(COUNTED)
        self.calls = {row.call_id for row in self.rows("SELECT call_id FROM attempt")}

    def _call_all(self, month: date, leads: int) -> None:
        begin = datetime(month.year, month.month, 1, tzinfo=UTC)
        end = datetime(month.year, month.month + 1, 1, tzinfo=UTC)
        values = {"begin": begin, "end": end, "step": (end - begin) / (leads + 1), "campaign": self.campaign}
        with self.db.begin() as connection:
            for table in KEYS:
                make_partition(connection, table, month)
            for statement in (CALLS, JUDGED, SEATS):
                connection.execute(statement, values)
            connection.execute(CLOSED, {"begin": begin})

    def rows(self, sql: str, **values: object):  # type: ignore[no-untyped-def]
        with self.db.connect() as connection:
            return connection.execute(text(sql), values).all()

    def run(self, policy: Policy | None = None, at: datetime = TODAY) -> Done:
        with holding(self.db, self.files) as job:
            return run(job, policy or Policy(), "tester", at)

    def states(self) -> dict[tuple[str, str], str]:
        with self.db.connect() as connection:
            return {(m.kind, f"{m.month:%Y-%m}"): m.state for m in all_months(connection)}

    def filed(self, kind: str = "attempt", what: str = "call_id") -> list:  # type: ignore[type-arg]
        """A column of all months of a kind that are in files, as their manifests name them."""
        with self.files.opened() as duck, self.db.connect() as connection:
            found = []
            for m in all_months(connection):
                if m.kind == kind and m.state == "archived":
                    path = quoted(self.files.path(m.manifest))
                    found += [value for (value,) in duck.execute(f"SELECT {what} FROM {path}").fetchall()]
        return found

    def live(self) -> list[UUID]:
        """The attempts that count as live: of months that are in no file."""
        return [
            r.call_id
            for r in self.rows(
                "SELECT call_id FROM attempt a WHERE NOT EXISTS (SELECT FROM archived_month m WHERE m.kind = 'attempt' "
                "AND m.state <> 'restored' AND m.month = date_trunc('month', a.leased_at AT TIME ZONE 'UTC')::date)"
            )
        ]

    def check(self) -> None:
        """Every attempt is in one place, every file is what its manifest says, and the counts are those of the rows."""
        seen = [UUID(call.call_id) for call in self.history.calls(IMPORTED, TODAY)]
        assert sorted(seen) == sorted(self.calls)
        with holding(self.db, self.files) as job:
            faults(job)
        assert sorted([*self.live(), *self.filed()]) == sorted(self.calls)
        total = self.rows("SELECT COALESCE(sum(attempts), 0) AS n FROM archived_outcome")[0].n
        assert total == len(self.filed())
        outcomes = self.history.outcomes(MONTHS[0], date(2026, 9, 1))
        assert sum(o.attempts for o in outcomes) == len(self.calls)


def faults(job: Job) -> None:
    assert [fault for m in job.manifests() for fault in job.files.faults(job.duck, m)] == []


def number(n: int) -> str:
    return f"+8613800{n:06d}"


def wait_for(so: Callable[[], object], limit_s: float = 20.0) -> None:
    """Wait until something is so, with a deadline."""
    deadline = time.monotonic() + limit_s
    while not so():
        assert time.monotonic() < deadline, "it did not come to be so in time"
        time.sleep(0.01)
