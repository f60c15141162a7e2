"""Records reach the tables once, whatever is repeated, and an agent's verdict has the last word in any order."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from campaigns import database, journal_store
from campaigns.hopper import Hopper
from campaigns.journal_store import CURSOR, MOVE, JournalStore
from campaigns.prepared import PLANNED
from campaigns.records import (
    AttemptAnswered,
    AttemptConnected,
    AttemptEnded,
    Audited,
    Dispositioned,
    NotesSaved,
    OptedOut,
    OutsideEnded,
    SeatChanged,
)
from campaigns.rules import facts
from campaigns.rules.known import on_record
from campaigns.values import Lead
from tests.campaigns.history.past import wait_for
from tests.campaigns.world import NOON, Campaign, later

WAITS = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


def connected(lead: Lead) -> AttemptEnded:
    return AttemptEnded(
        at=later(minutes=2), call_id=lead.call_id, outcome="connected", talk_s=61.5, user_id=7, final=True
    )


def dialed(campaign: Campaign) -> Lead:
    [lead] = campaign.lease()
    campaign.dial([lead])
    return lead


def talk(lead: Lead) -> tuple[AttemptAnswered, AttemptConnected]:
    """As far as a seat."""
    return (
        AttemptAnswered(at=NOON, call_id=lead.call_id),
        AttemptConnected(at=NOON, call_id=lead.call_id, user_id=7),
    )


def test_no_record_reads_a_table_whole(db: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ways by the keys are all that is weighed: where there is none, a list with millions of leads is gone through."""
    campaign, plans = Campaign(db, leads=3), {}
    real = journal_store.execute_values

    def explained(cursor: Any, sql: str, rows: Any, **more: Any) -> None:
        if not sql.lstrip().startswith("INSERT INTO") or "SELECT" in sql:
            real(cursor, f"EXPLAIN {sql}", rows, **more)
            plans[sql] = "\n".join(line for (line,) in cursor.fetchall())
        real(cursor, sql, rows, **more)

    monkeypatch.setattr(journal_store, "execute_values", explained)
    first, second, third = (dialed(campaign) for _ in range(3))
    at = later(minutes=1)
    campaign.record(*talk(first), *talk(second))
    campaign.record(
        AttemptEnded(at=at, call_id=first.call_id, outcome="connected", most=3, number_done=True, split=True),
        AttemptEnded(at=at, call_id=second.call_id, outcome="abandoned", locked_until=later(days=3)),
        AttemptEnded(at=at, call_id=third.call_id, outcome="cancelled", dialed=False),
        NotesSaved(at=at, call_id=first.call_id, user_id=7, notes="of that"),
        OptedOut(at=at, call_id=second.call_id, number="", source="key", campaign_id=campaign.id),
        Dispositioned(
            at=at, call_id=first.call_id, user_id=7, code="interested", retry_at=later(days=1), do_not_call=True,
            other_number=True, locked_until=later(days=9), other_at=later(hours=1), most=2, machine=True,
            callback_at=later(hours=2),
        ),
        Dispositioned(at=at, call_id=second.call_id, user_id=7, code="no", final=True),
        OutsideEnded(at=at, uid="zdo-1"),
    )  # fmt: skip
    whole = {sql: plan for sql, plan in plans.items() if re.search(r"Seq Scan on (?!campaign |list )", plan)}
    assert len(plans) > 20 and not whole


def test_a_batch_applied_twice_counts_once(db: Engine) -> None:
    campaign = Campaign(db)
    lead = dialed(campaign)
    batch = [
        (1, AttemptAnswered(at=NOON, call_id=lead.call_id)),
        (2, SeatChanged(at=NOON, user_id=7, session_id="s", state="talking", call_id=lead.call_id)),
        (3, Audited(at=NOON, actor="chen", action="listen", subject="7")),
    ]
    campaign.journal.apply(batch)
    campaign.journal.apply(batch)
    campaign.journal.apply([*batch, (4, connected(lead))])
    assert campaign.journal.last_serial() == 4
    assert campaign.one("SELECT count(*) FROM seat_log")[0] == 1
    assert campaign.one("SELECT count(*) FROM audit WHERE action = 'listen'")[0] == 1
    row = campaign.one("SELECT outcome, answered_at, talk_s FROM attempt")
    assert row == ("connected", NOON, 61.5)


def test_who_begins_anew_waits_for_the_batch_that_its_last_life_had_sent(db: Engine) -> None:
    """It goes on with the serials after it: what had the same ones would be left out as applied before."""
    store = JournalStore(db, "engine-1")
    with db.connect() as sent, ThreadPoolExecutor(1) as thread:
        sent.exec_driver_sql(CURSOR, ("engine-1",))
        sent.exec_driver_sql(MOVE, (110, "engine-1"))
        last = thread.submit(store.last_serial)
        wait_for(lambda: last.done() or sent.execute(WAITS).scalar_one())
        sent.commit()
        assert last.result() == 110


def test_a_batch_in_whose_middle_the_machine_of_its_last_life_went_down_is_not_waited_for(db: Engine) -> None:
    """The database hears of that after hours; until then it would keep the batch open, and the serial."""
    url = db.url.render_as_string(hide_password=False)
    gone = database.connect(url, name=database.session_name("engine-1"))
    with db.begin() as connection:
        connection.exec_driver_sql(CURSOR, ("engine-1",))
        connection.exec_driver_sql(MOVE, (90, "engine-1"))
    sent = gone.connect()
    sent.exec_driver_sql(CURSOR, ("engine-1",))
    sent.exec_driver_sql(MOVE, (110, "engine-1"))
    hasty = database.connect(url, 1, "-c statement_timeout=2000", database.session_name("engine-1"))
    store = JournalStore(hasty, "engine-1")
    store.cut_off()
    assert store.last_serial() == 90
    with pytest.raises(OperationalError):
        sent.commit()
    sent.invalidate()
    for engine in (gone, hasty):
        engine.dispose()


def test_the_first_outcome_is_the_one(db: Engine) -> None:
    campaign = Campaign(db)
    lead = dialed(campaign)
    lost = AttemptEnded(at=NOON, call_id=lead.call_id, outcome="lost")
    campaign.record(connected(lead), lost)
    campaign.record(lost)
    assert campaign.one("SELECT outcome FROM attempt")[0] == "connected"


def test_of_a_call_that_is_over_nothing_is_heard(db: Engine) -> None:
    """An engine that slept tells of it when another one has recorded the call as one that nobody heard of."""
    campaign = Campaign(db)
    lead = dialed(campaign)
    campaign.record(AttemptEnded(at=NOON, call_id=lead.call_id, outcome="lost"))
    campaign.record(*talk(lead))
    assert campaign.one("SELECT outcome, answered_at, connected_at FROM attempt") == ("lost", None, None)


def test_of_a_call_that_was_taken_over_its_former_engine_tells_nothing(db: Engine) -> None:
    """The other one judges it by what is on record then."""
    campaign = Campaign(db)
    lead = dialed(campaign)
    other = Hopper(db, "engine-2")
    assert other.take_over([lead.call_id], NOON) == 1
    campaign.record(*talk(lead))
    assert campaign.one("SELECT answered_at, connected_at FROM attempt") == (None, None)
    JournalStore(db, "engine-2").apply(list(enumerate(talk(lead), 1)))
    assert campaign.one("SELECT answered_at, connected_at FROM attempt") == (NOON, NOON)


def test_a_connected_lead_is_done_unless_the_agent_says_otherwise(db: Engine) -> None:
    campaign = Campaign(db, leads=3)
    done, again, early = (dialed(campaign) for _ in range(3))
    call_back = {"user_id": 7, "code": "interested", "retry_at": later(hours=1)}
    campaign.record(connected(done), connected(again))
    campaign.record(Dispositioned(at=NOON, call_id=again.call_id, **call_back))  # type: ignore[arg-type]
    campaign.record(Dispositioned(at=NOON, call_id=early.call_id, **call_back))  # type: ignore[arg-type]
    campaign.record(connected(early))
    assert campaign.lease(5) == []
    assert {lead.lead_id for lead in campaign.lease(5, later(hours=1))} == {again.lead_id, early.lead_id}


def test_a_callback_is_kept_and_the_lead_comes_then(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    lead = dialed(campaign)
    due = later(hours=3)
    campaign.record(
        connected(lead),
        Dispositioned(at=NOON, call_id=lead.call_id, user_id=7, code="interested", callback_at=due),
    )
    assert campaign.one("SELECT lead_id, due_at FROM callback") == (lead.lead_id, due)
    assert campaign.lease(at=later(hours=2)) == [] and len(campaign.lease(at=due)) == 1


def test_a_number_that_wants_no_more_calls_is_barred_by_key_or_by_the_agent(db: Engine) -> None:
    campaign = Campaign(db, leads=3)
    by_key, by_word, late = (dialed(campaign) for _ in range(3))
    campaign.record(
        OptedOut(
            at=NOON, call_id=by_key.call_id, number=by_key.number, source="key", campaign_id=campaign.id
        ),
        connected(by_word),
        Dispositioned(at=NOON, call_id=by_word.call_id, user_id=7, code="sold", do_not_call=True),
        OptedOut(at=NOON, call_id=late.call_id, number="", source="key", campaign_id=0),
    )
    with db.connect() as connection:
        rows = connection.execute(text("SELECT e164, source, layer, campaign_id FROM dnc")).all()
    assert {tuple(row) for row in rows} == {
        (by_key.number, "key", "company", 0),
        (by_word.number, "agent", "company", 0),
        (late.number, "key", "company", 0),
    }


def test_what_no_switch_took_is_no_attempt_on_the_number_and_only_once(db: Engine) -> None:
    campaign = Campaign(db, leads=2)
    withheld, busy = dialed(campaign), dialed(campaign)
    undone = AttemptEnded(at=NOON, call_id=withheld.call_id, outcome="cancelled", retry_at=NOON, dialed=False)
    campaign.record(undone, AttemptEnded(at=NOON, call_id=busy.call_id, outcome="busy"))
    campaign.record(undone)
    with db.connect() as connection:
        rows = connection.execute(text("SELECT e164, attempts FROM number")).all()
    assert {row.e164: row.attempts for row in rows} == {withheld.number: 0, busy.number: 1}
    [again] = campaign.lease()
    assert (again.lead_id, again.attempts) == (withheld.lead_id, 0)


def test_the_last_notes_and_the_last_verdict_count(db: Engine) -> None:
    campaign = Campaign(db)
    lead = dialed(campaign)
    campaign.record(
        NotesSaved(at=NOON, call_id=lead.call_id, user_id=7, notes="first"),
        NotesSaved(at=NOON, call_id=lead.call_id, user_id=7, notes="再打"),
        Dispositioned(at=NOON, call_id=lead.call_id, user_id=7, code="sold"),
        Dispositioned(at=NOON, call_id=lead.call_id, user_id=7, code="not_interested", final=True),
        AttemptConnected(at=NOON, call_id=lead.call_id, user_id=7),
    )
    assert campaign.one("SELECT notes, user_id FROM attempt") == ("再打", 7)
    assert campaign.one("SELECT code FROM disposition")[0] == "not_interested"


def test_answers_are_taken_back_by_who_writes_down_and_not_by_a_verdict_without_any(db: Engine) -> None:
    campaign = Campaign(db)
    lead = dialed(campaign)
    answers = '{"bill":"99"}'
    campaign.record(NotesSaved(at=NOON, call_id=lead.call_id, user_id=7, notes="hers", answers=answers))
    campaign.record(Dispositioned(at=NOON, call_id=lead.call_id, user_id=8, code="sold"))
    assert campaign.one("SELECT notes, answers FROM attempt") == ("hers", answers)
    newer = '{"bill":"98"}'
    campaign.record(
        NotesSaved(at=NOON, call_id=lead.call_id, user_id=8, notes="his", answers=newer),
        Dispositioned(at=NOON, call_id=lead.call_id, user_id=8, code="sold"),
        Dispositioned(at=NOON, call_id=lead.call_id, user_id=7, code="no", answers=answers, handed_on=True),
    )
    assert campaign.one("SELECT notes, answers FROM attempt") == ("his", newer)
    campaign.record(NotesSaved(at=NOON, call_id=lead.call_id, user_id=8, notes="his"))
    assert campaign.one("SELECT notes, answers FROM attempt") == ("his", None)


@pytest.mark.parametrize("at_once", [True, False])
def test_who_had_the_customer_last_has_the_last_word(db: Engine, at_once: bool) -> None:
    """Of who has handed them on the verdict counts until then, and that they want no more calls in any case."""
    campaign = Campaign(db)
    lead = dialed(campaign)
    call, due = lead.call_id, later(hours=3)
    records = [
        Dispositioned(at=NOON, call_id=call, user_id=7, code="no", handed_on=True),
        Dispositioned(at=NOON, call_id=call, user_id=8, code="interested", callback_at=due),
        AttemptEnded(at=NOON, call_id=call, outcome="connected", user_id=8),
        Dispositioned(
            at=NOON, call_id=call, user_id=7, code="no", final=True, do_not_call=True, handed_on=True
        ),
    ]
    for batch in [records] if at_once else [[record] for record in records]:
        campaign.record(*batch)
    assert campaign.one("SELECT code, user_id FROM disposition") == ("interested", 8)
    assert campaign.one("SELECT user_id, due_at, done_at FROM callback") == (8, due, None)
    assert campaign.one("SELECT open FROM lead WHERE id = :lead", lead=lead.lead_id)[0]
    assert campaign.one("SELECT e164 FROM dnc")[0] == lead.number


def test_who_has_handed_the_customer_on_puts_their_own_verdict_right(db: Engine) -> None:
    campaign = Campaign(db)
    lead = dialed(campaign)
    for code in ("sold", "not_interested"):
        campaign.record(Dispositioned(at=NOON, call_id=lead.call_id, user_id=7, code=code, handed_on=True))
    assert campaign.one("SELECT code FROM disposition")[0] == "not_interested"


def test_a_refusal_that_was_a_slip_of_the_key_is_taken_back_by_whose_it_was_and_bars_nobody(
    db: Engine,
) -> None:
    campaign, other = Campaign(db, leads=1), Campaign(db, leads=1, name="summer")
    lead = dialed(campaign)
    until = later(days=36_500)

    def said(code: str, user_id: int = 7, **more: Any) -> Dispositioned:
        return Dispositioned(at=NOON, call_id=lead.call_id, user_id=user_id, code=code, **more)

    campaign.record(*talk(lead), connected(lead))
    campaign.record(said("refused", final=True, locked_until=until))
    assert other.lease(at=later(hours=1)) == []  # and it is put off for as long
    campaign.record(said("sold", 8, handed_on=True))
    assert other.lease(at=later(hours=1)) == []
    campaign.record(said("interested", callback_at=later(days=1)))
    assert len(other.lease(at=later(hours=1))) == 1
    assert len(campaign.lease(at=later(days=1))) == 1


def test_a_refusal_that_is_taken_back_leaves_the_locks_that_other_calls_gave(db: Engine) -> None:
    campaign, other = Campaign(db, leads=1), Campaign(db, leads=1, name="summer")
    first = dialed(campaign)
    campaign.record(*talk(first), connected(first))
    slip = dialed(other)
    abandoned = AttemptEnded(at=NOON, call_id=slip.call_id, outcome="abandoned", locked_until=later(days=3))
    refused = {"at": NOON, "user_id": 7, "code": "refused", "final": True}
    campaign.record(
        Dispositioned(call_id=first.call_id, locked_until=later(days=60), **refused),  # type: ignore[arg-type]
        Dispositioned(call_id=slip.call_id, locked_until=later(days=900), **refused),  # type: ignore[arg-type]
        abandoned,
    )

    def locked() -> tuple[datetime | None, str]:
        with db.connect() as connection:
            connection.exec_driver_sql(PLANNED)
            rows = facts.of_leads(connection, [first.lead_id])
            known = on_record(connection, rows).of(rows[0])
        return known.locked_until, known.lock

    assert locked() == (later(days=900), "refusal")
    campaign.record(Dispositioned(at=NOON, call_id=slip.call_id, user_id=7, code="sold", final=True))
    assert locked() == (later(days=60), "refusal")
    campaign.record(Dispositioned(at=NOON, call_id=first.call_id, user_id=7, code="sold", final=True))
    assert locked() == (later(days=3), "abandoned")


def test_an_abandoned_number_is_locked_out(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    lead = dialed(campaign)
    until = later(days=3)
    campaign.record(
        AttemptEnded(at=NOON, call_id=lead.call_id, outcome="abandoned", retry_at=NOON, locked_until=until)
    )
    assert campaign.one("SELECT e164, until FROM lock_out") == (lead.number, until)
    assert campaign.store.window(campaign.id, timedelta(days=30), later(hours=1)) == (0, 0, 1, 0)
