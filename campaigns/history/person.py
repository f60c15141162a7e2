"""One person's data: all of it told, or all of it gone, live and archived, with every count left as it was.

What an erasure leaves: attempts, codes of dispositions and leads as rows without a person, so that reports and
accounts still add up; an entry on the do-not-call list, a lock-out, and for a month the count of calls, since only they
keep the next list from calling the person again; a consent, since it is what made calls lawful; and a line in the
audit log that names nobody. A legal hold on the person, or on a campaign that called them, beats it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, text

from campaigns.audit import write
from campaigns.config import CampaignsError
from campaigns.history import months
from campaigns.history.archive import Job
from campaigns.history.files import ArchiveError, quoted, summed
from campaigns.history.holds import in_force
from campaigns.history.kinds import ATTEMPT, DISPOSITION
from campaigns.history.months import Month
from campaigns.history.query import History, Person
from campaigns.rules.known import party_of
from campaigns.trials import assigning

log = structlog.get_logger(__name__)

SETTLED = timedelta(
    days=1
)  # after the last call: longer than wrap-up, and than a journal waits for the database
LONGEST_CAP = timedelta(days=31)  # caps look back 30 days
UNCAPPED = "(cardinality(at) = 0 OR at[cardinality(at)] < :caps)"  # no cap looks so far back
EVER = datetime(1970, 1, 1, tzinfo=UTC)

# All campaigns are named, so that the index on (campaign_id, e164) serves.
LEADS_OF_NUMBER = text("""
SELECT DISTINCT lead_id FROM number WHERE campaign_id = ANY(ARRAY(SELECT id FROM campaign)) AND e164 = :e164
""")
LEADS_OF_CUSTOMERS = text("SELECT id FROM lead WHERE customer_id = ANY(:customers)")
NUMBERS = text("SELECT DISTINCT e164 FROM number WHERE lead_id = ANY(:leads) AND e164 NOT LIKE 'erased:%'")
CUSTOMERS = text("SELECT DISTINCT customer_id FROM lead WHERE id = ANY(:leads) AND customer_id IS NOT NULL")
KNOWN = text(
    "SELECT e164, customer_id FROM archived_number WHERE e164 = :e164 OR customer_id = ANY(:customers)"
)

TOLD = {
    "leads": """SELECT l.*, c.name AS campaign, i.name AS list, i.source, i.imported_at FROM lead l
        JOIN campaign c ON c.id = l.campaign_id JOIN list i ON i.id = l.list_id
        WHERE l.id = ANY(:leads) ORDER BY l.id""",
    "numbers": "SELECT * FROM number WHERE lead_id = ANY(:leads) ORDER BY id",
    "changes_by_lists": "SELECT * FROM list_change WHERE lead_id = ANY(:leads)",
    "changes_by_agents": "SELECT * FROM lead_edit WHERE lead_id = ANY(:leads) ORDER BY id",
    "callbacks": "SELECT * FROM callback WHERE lead_id = ANY(:leads) ORDER BY id",
    "do_not_call": "SELECT * FROM dnc WHERE e164 = ANY(:e164s)",
    "consents": "SELECT * FROM consent WHERE e164 = ANY(:e164s) ORDER BY id",
    "calls_counted": "SELECT * FROM called WHERE party = ANY(:parties)",
    "lock_outs": "SELECT * FROM lock_out WHERE e164 = ANY(:e164s)",
    "refusals": "SELECT * FROM refusal_lock WHERE e164 = ANY(:e164s)",
    "archive_knows": "SELECT * FROM archived_number WHERE e164 = ANY(:e164s) OR customer_id = ANY(:customers)",
    "calls_outside": "SELECT * FROM outside_call WHERE number = ANY(:e164s) ORDER BY at",
    "purchases": "SELECT * FROM purchase WHERE customer_id = ANY(:customers) ORDER BY id",
    "taken_by_segments": "SELECT * FROM segment_member WHERE party = ANY(:parties)",
    "scripts_tried": "SELECT * FROM trial_member WHERE party = ANY(:parties)",
    "messages": """SELECT * FROM message WHERE lead_id = ANY(:leads) OR address = ANY(:e164s)
        OR customer_id = ANY(:customers) ORDER BY id""",
    "said_of_messages": """SELECT * FROM message_choice WHERE address = ANY(:e164s)
        OR address IN (SELECT address FROM message WHERE lead_id = ANY(:leads)) ORDER BY id""",
    "legal_holds": "SELECT * FROM legal_hold WHERE e164 = ANY(:e164s) OR customer_id = ANY(:customers)",
}

LEASED = text("SELECT id, lease FROM lead WHERE id = ANY(:leads) ORDER BY id FOR UPDATE")
LAST_CALL = text("SELECT max(dialed_at) FROM attempt WHERE lead_id = ANY(:leads)")
CAMPAIGNS = text("""
SELECT campaign_id FROM lead WHERE id = ANY(:leads)
UNION SELECT campaign_id FROM archived_number WHERE e164 = ANY(:e164s) OR customer_id = ANY(:customers)
UNION SELECT campaign_id FROM attempt WHERE e164 = ANY(:e164s) OR customer_id = ANY(:customers)
""")
BEGUN = text("""
INSERT INTO erasure (reference, asked_by, asked_at, e164s, customer_ids, lead_ids)
VALUES (:reference, :who, :at, :e164s, :customers, :leads) RETURNING id
""")
# From here on nobody calls them.
CLOSED = text("UPDATE lead SET open = false, ready_at = NULL WHERE id = ANY(:leads)")
UNDONE = text("SELECT * FROM erasure WHERE done_at IS NULL ORDER BY id")
DONE = text(
    "UPDATE erasure SET done_at = :at, e164s = NULL, customer_ids = NULL, lead_ids = NULL WHERE id = :id"
)
CALLS = "lead_id = ANY(:leads) OR e164 = ANY(:e164s) OR customer_id = ANY(:customers)"
LIVE = {
    "webhook_deliveries": f"DELETE FROM webhook_delivery WHERE call_id IN (SELECT call_id FROM attempt WHERE {CALLS})",
    "drafts": f"DELETE FROM draft WHERE call_id IN (SELECT call_id FROM attempt WHERE {CALLS})",
    "dispositions": f"""UPDATE disposition SET notes = '' WHERE notes <> ''
        AND (call_id, leased_at) IN (SELECT call_id, leased_at FROM attempt WHERE {CALLS})""",
    "attempts": f"UPDATE attempt SET notes = NULL, answers = NULL, e164 = NULL, customer_id = NULL WHERE {CALLS}",
    "changes_by_lists": "DELETE FROM list_change WHERE lead_id = ANY(:leads)",
    "changes_by_agents": "DELETE FROM lead_edit WHERE lead_id = ANY(:leads)",
    "callbacks": "UPDATE callback SET done_at = :at WHERE lead_id = ANY(:leads) AND done_at IS NULL",
    # Each customer as a lead without one: their talks count for the arm as before. What a lead had before its customer
    # was known counts for nothing, and would be in the way.
    "scripts_tried": """DELETE FROM trial_member t USING lead l WHERE l.id = ANY(:leads) AND l.customer_id IS NOT NULL
            AND t.campaign_id = l.campaign_id AND t.party = 'lead ' || l.id;
        UPDATE trial_member t SET party = COALESCE(
            (SELECT 'lead ' || min(l.id) FROM lead l WHERE l.id = ANY(:leads) AND l.campaign_id = t.campaign_id
                AND t.party = 'customer ' || l.customer_id),
            'erased:' || md5(random()::text))
        WHERE party = ANY(:parties) AND starts_with(party, 'customer ')""",
    "numbers": "UPDATE number SET e164 = 'erased:' || id WHERE lead_id = ANY(:leads)",
    "leads": """UPDATE lead SET name = '', attributes = '{}', zones = '{}', region = '', customer_id = NULL,
        open = false, ready_at = NULL WHERE id = ANY(:leads)""",
    "calls_outside": "UPDATE outside_call SET number = 'erased' WHERE number = ANY(:e164s)",
    "purchases": """UPDATE purchase SET customer_id = 'erased:' || id,
        reference = CASE WHEN starts_with(reference, customer_id || ' ') THEN 'erased:' || id ELSE reference END
        WHERE customer_id = ANY(:customers)""",
    "taken_by_segments": """UPDATE segment_member SET party = 'erased:' || take_id || ':' || md5(random()::text)
        WHERE party = ANY(:parties)""",
    # What was said of an address stays, as an entry on the do-not-call list does.
    "messages": """UPDATE message SET address = NULL, customer_id = NULL, sender = '', subject = '', body = '',
        detail = '', reply = '',
        reason = CASE WHEN state IN ('waiting', 'sending') THEN 'erased' ELSE reason END,
        state = CASE WHEN state IN ('waiting', 'sending') THEN 'not_sent' ELSE state END
        WHERE lead_id = ANY(:leads) OR address = ANY(:e164s) OR customer_id = ANY(:customers)""",
    "calls_counted": f"DELETE FROM called WHERE party = ANY(:parties) AND {UNCAPPED}",
    "archive_knows": "DELETE FROM archived_number WHERE e164 = ANY(:e164s) OR customer_id = ANY(:customers)",
    "lifted_holds": """UPDATE legal_hold SET e164 = CASE WHEN e164 IS NOT NULL THEN 'erased' END,
        customer_id = CASE WHEN customer_id IS NOT NULL THEN 'erased' END
        WHERE lifted_at IS NOT NULL AND (e164 = ANY(:e164s) OR customer_id = ANY(:customers))""",
}

PERSONAL = ("notes", "answers", "e164", "customer_id")  # an attempt's columns that say who was called
LOOSE = text("UPDATE disposition SET notes = '' WHERE notes <> '' AND call_id = ANY(CAST(:calls AS uuid[]))")


class Refused(CampaignsError):
    """The person can't be erased now. The text says why, who decided so, and until when."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure changed: rows of the live tables by what they are, and attempts in files."""

    erasure: int
    live: dict[str, int]
    archived: int


def find(engine: Engine, number: str = "", customer: str = "") -> Person:
    """Whom a number (E.164) or a customer's id stands for, as far as the database knows.

    By a number: the customers that it belongs to, with all their leads and numbers. Of a number that several people
    share they are all found.
    """
    with engine.connect() as connection:
        values: dict[str, Any] = {"e164": number, "customers": [customer] if customer else []}
        values["leads"] = list(connection.execute(LEADS_OF_NUMBER, values).scalars()) if number else []
        customers = {*values["customers"], *connection.execute(CUSTOMERS, values).scalars()}
        customers |= {row.customer_id for row in connection.execute(KNOWN, values) if row.customer_id}
        values["customers"] = sorted(customers)
        leads: set[int] = {*values["leads"], *connection.execute(LEADS_OF_CUSTOMERS, values).scalars()}
        values["leads"] = sorted(leads)
        e164s = {number} - {""} | set(connection.execute(NUMBERS, values).scalars())
        e164s |= {row.e164 for row in connection.execute(KNOWN, values)}
    return Person(tuple(sorted(leads)), tuple(sorted(e164s)), tuple(sorted(customers)))


def export(engine: Engine, history: History, person: Person, who: str, at: datetime) -> dict[str, Any]:
    """Everything that is known of a person, as values for JSON; the audit log keeps that it was asked, not of whom."""
    calls = [asdict(call) for call in history.calls(EVER, at + SETTLED, person, every_row=True)]
    with engine.begin() as connection:
        told = {
            name: [dict(row._mapping) for row in connection.execute(text(sql), _values(person))]
            for name, sql in TOLD.items()
        }
        counts = {name: len(rows) for name, rows in {**told, "calls": calls}.items()}
        write(connection, "person exported", "a person", _in_words(counts), at=at, who=who)
    return {"asked_at": at, "person": asdict(person), **told, "calls": calls}


def erase(job: Job, person: Person, reference: str, who: str, at: datetime) -> Erased:
    """Erase a person everywhere. `reference` is the asker's own, such as a ticket: no data of the person.

    Raises :class:`Refused`, and then nothing was changed.
    """
    resume(job, at)
    with job.work.begin():
        _refuse_if_held(job.work, person)
        _refuse_if_busy(job.work, person, at)
        values = {**_values(person), "reference": reference, "who": who, "at": at}
        erasure = job.work.execute(BEGUN, values).scalar_one()
        job.work.execute(CLOSED, values)
    return _carry_out(job, erasure, person, who, at)


def resume(job: Job, at: datetime) -> int:
    """Bring to their end the erasures that a crash cut short; how many could not be, each of them told in the log."""
    with job.work.begin():
        rows = job.work.execute(UNDONE).all()
    left = 0
    for row in rows:
        log.info("an erasure is brought to its end", erasure=row.id)
        person = Person(tuple(row.lead_ids), tuple(row.e164s), tuple(row.customer_ids))
        try:
            _carry_out(job, row.id, person, row.asked_by, at)
        except Exception:  # of the database or a file: it is to keep no other from its end
            log.exception("an erasure could not be brought to its end", erasure=row.id)
            left += 1
    return left


# --- within -------------------------------------------------------------------------------------------------------


def _refuse_if_held(connection: Connection, person: Person) -> None:
    campaigns = set(connection.execute(CAMPAIGNS, _values(person)).scalars())
    for hold in in_force(connection):
        if hold.campaign_id in campaigns:
            raise Refused(
                f"nothing was erased: the campaign {hold.campaign} called this person, and is under {hold}"
            )
        if hold.e164 in person.e164s or hold.customer_id in person.customer_ids:
            raise Refused(f"nothing was erased: this person is under {hold}")


def _refuse_if_busy(connection: Connection, person: Person, at: datetime) -> None:
    """A call that goes on, or whose notes may still be on their way, would write the person down again."""
    if any(row.lease for row in connection.execute(LEASED, _values(person))):
        raise Refused(
            "nothing was erased: this person is being called, or about to be; try again after the call"
        )
    last: datetime | None = connection.execute(LAST_CALL, _values(person)).scalar_one()
    if last is not None and last > at - SETTLED:
        raise Refused(
            f"nothing was erased: the last call was at {last:%F %T}Z, and what it led to may still be written; "
            f"try again after {last + SETTLED:%F %T}Z"
        )


def _carry_out(job: Job, erasure: int, person: Person, who: str, at: datetime) -> Erased:
    files = {(m.kind, m.month): m for m in job.months() if m.state == "archived"}
    loose = [  # dispositions that are live although their attempts are not, as after a run that was cut short
        call
        for (kind, month), m in files.items()
        if kind == ATTEMPT.table and (DISPOSITION.table, month) not in files
        for call in _calls(job, m, person)
    ]
    values = {**_values(person), "caps": at - LONGEST_CAP, "at": at}
    with job.work.begin():
        live = {name: job.work.execute(text(sql), values).rowcount for name, sql in LIVE.items()}
        live["dispositions"] += job.work.execute(LOOSE, {"calls": loose}).rowcount
    for (kind, month), verdicts in files.items():
        if kind == DISPOSITION.table and (attempts := files.get((ATTEMPT.table, month))) is not None:
            calls = f"SELECT call_id FROM {_file(job, attempts)} WHERE {person.filed()}"
            _rewrite(job, verdicts, f"notes <> '' AND call_id IN ({calls})", {"notes": "''"}, at)
    archived = 0
    for (kind, _), attempts in files.items():
        if kind == ATTEMPT.table:
            told = [name for name in PERSONAL if name in attempts.manifest.columns]
            some = f"COALESCE({', '.join(told)}) IS NOT NULL AND {person.filed()}"
            archived += _rewrite(job, attempts, some, dict.fromkeys(told, "NULL"), at)
    with job.work.begin():
        job.work.execute(DONE, {"id": erasure, "at": at})
        detail = _in_words({**live, "archived attempts": archived})
        write(job.work, "person erased", f"erasure {erasure}", detail, at=at, who=who)
    return Erased(erasure, live, archived)


def _rewrite(job: Job, month: Month, which: str, changed: dict[str, str], at: datetime) -> int:
    """Replace a month's file by one in which the rows `which` have other values; returns how many they are."""
    file = _file(job, month)
    [rows] = job.duck.execute(f"SELECT count(*) FROM {file} WHERE {which}").fetchone() or (0,)
    if not rows:
        return 0
    values = ", ".join(
        f"CASE WHEN {which} THEN {value} ELSE {name} END AS {name}" for name, value in changed.items()
    )
    query = f"SELECT * REPLACE ({values}) FROM {file}"
    layout = month.manifest.layout
    expected = summed(job.duck, layout, query)
    manifest = job.files.write(job.duck, layout, month.month, month.manifest.generation + 1, query, at)
    if (manifest.rows, manifest.fingerprint) != (month.manifest.rows, expected[3]):
        raise ArchiveError(f"{job.files.path(manifest)} is not what was to be written; {file} stays as it is")
    with job.work.begin():
        months.set_state(job.work, manifest, "archived", at)
    job.sweep()
    return rows


def _calls(job: Job, attempts: Month, person: Person) -> list[str]:
    found = job.duck.execute(f"SELECT call_id::VARCHAR FROM {_file(job, attempts)} WHERE {person.filed()}")
    return [call for (call,) in found.fetchall()]


def _file(job: Job, month: Month) -> str:
    return quoted(job.files.path(month.manifest))


def _values(person: Person) -> dict[str, Any]:
    return {
        "leads": list(person.lead_ids),
        "e164s": list(person.e164s),
        "customers": list(person.customer_ids),
        "parties": [
            *person.e164s,
            *map(party_of, person.customer_ids),
            *(assigning.party_of(None, lead) for lead in person.lead_ids),
        ],
    }


def _in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
