"""One person's data is told whole and erased whole; the counts stay, and a legal hold is stronger."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from campaigns.history import person as persons
from campaigns.history import retention
from campaigns.history.archive import holding
from campaigns.history.files import quoted
from campaigns.history.holds import Holds, NoSuchHold
from campaigns.history.kinds import KINDS
from campaigns.history.person import Refused
from campaigns.history.query import Person
from tests.campaigns.history.past import IMPORTED, MONTHS, TODAY, UNERASABLE, Past, number

HIM = 2  # of the list: connected each month, so with dispositions


def erase(past: Past, person: Person, at: datetime = TODAY) -> persons.Erased:
    with holding(past.db, past.files) as job:
        return persons.erase(job, person, "ticket 12", "li", at)


# He was taken by a segment, and bought twice, once by an order without a number of its own.
SOLD = """
WITH sold AS (
    INSERT INTO purchase (unit_id, customer_id, at, amount, reference)
    SELECT id, :customer, :at, 10, unnest(ARRAY['A1', :customer || ' 2026-11-24 10 1']) FROM unit
), made AS (
    INSERT INTO segment (unit_id, name, version) SELECT id, 'all', 1 FROM unit RETURNING id
), taken AS (
    INSERT INTO segment_take (segment_id, segment, version, campaign_id, list_name, hold_out, taken_at, taken_by,
        called, held_out)
    SELECT id, 'all', 1, (SELECT min(id) FROM campaign), 'w', 0, :at, 'li', 1, 0 FROM made RETURNING id, campaign_id
), tried AS (
    INSERT INTO trial_member SELECT campaign_id, 'customer ' || :customer, 'plain', 0.5, :at FROM taken
) INSERT INTO segment_member SELECT campaign_id, 'customer ' || :customer, id, false FROM taken
"""


def everything(past: Past) -> str:
    """All rows of all tables, and all of the archive, as one text."""
    tables = past.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = [str(past.rows(f"SELECT * FROM {t.tablename}")) for t in tables]
    with past.files.opened() as duck:
        every = "SELECT COLUMNS(*)::VARCHAR FROM"
        found += [
            str(duck.execute(f"{every} {quoted(path)}").fetchall())
            for path in past.files.folder.rglob("*.parquet")
        ]
    return "\n".join([*found, *(p.read_text() for p in past.files.folder.rglob("*.json"))])


def test_all_that_is_known_of_a_person_is_told(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    past.run()
    him = persons.find(db, number=number(HIM))
    with db.begin() as connection:
        connection.execute(
            text("INSERT INTO dnc (e164, layer, source, at) VALUES (:e164, 'company', 'key', :at)"),
            {"e164": number(HIM), "at": TODAY},
        )
        connection.execute(
            text(
                "INSERT INTO callback (call_id, lead_id, user_id, due_at, anyone_at, expires_at) "
                "VALUES (gen_random_uuid(), :lead, 7, :at, :at, :at)"
            ),
            {"lead": him.lead_ids[0], "at": TODAY},
        )
    told = msgspec.json.decode(msgspec.json.encode(persons.export(db, past.history, him, "li", TODAY)))
    [lead] = told["leads"]
    assert (lead["name"], lead["attributes"], lead["campaign"], lead["list"]) == (
        "客户2",
        {"n": 2},
        "spring",
        "list",
    )
    assert [n["e164"] for n in told["numbers"]] == [number(HIM)]
    assert [(c["archived"], c["code"], bool(c["code_notes"])) for c in told["calls"]] == [
        (True, told["calls"][0]["code"], True),
        (True, told["calls"][0]["code"], True),
        (False, told["calls"][0]["code"], True),
    ]
    assert len(told["callbacks"]) == len(told["do_not_call"]) == 1
    assert persons.find(db, customer=lead["customer_id"]) == him
    [line] = past.rows("SELECT actor, action, detail FROM audit WHERE action = 'person exported'")
    assert (line.actor, "3 calls" in line.detail) == ("li", True)


def test_an_erased_person_is_nowhere_and_every_count_stays(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    past.run()
    him = persons.find(db, number=number(HIM))
    notes = [c.code_notes for c in past.history.calls(IMPORTED, TODAY, him) if c.code_notes]
    answers = [c.answers for c in past.history.calls(IMPORTED, TODAY, him) if c.answers]
    counts = past.history.outcomes(MONTHS[0], TODAY.date().replace(day=1))
    with db.begin() as connection:
        connection.execute(text(SOLD), {"customer": him.customer_ids[0], "at": TODAY})
    before = everything(past)
    assert all(trace in before for trace in (number(HIM), notes[0], answers[0]))
    erased = erase(past, him)
    assert (erased.archived, erased.live["attempts"], erased.live["leads"]) == (2, 1, 1)
    assert [erased.live[what] for what in ("purchases", "taken_by_segments", "scripts_tried")] == [2, 1, 1]
    assert past.rows("SELECT party FROM trial_member")[0].party == f"lead {him.lead_ids[0]}"
    orders = past.rows("SELECT id, customer_id, reference FROM purchase ORDER BY id")
    nobody = [f"erased:{row.id}" for row in orders]
    assert [row.customer_id for row in orders] == nobody
    assert [row.reference for row in orders] == ["A1", nobody[1]]
    left = everything(past)
    for trace in (
        number(HIM),
        "'客户2'",
        him.customer_ids[0] + "'",
        *(f"'{note}'" for note in notes),
        *answers,
    ):
        assert trace not in left
    assert past.history.outcomes(MONTHS[0], TODAY.date().replace(day=1)) == counts
    assert persons.find(db, number=number(HIM)).lead_ids == ()
    assert (
        len(past.history.calls(IMPORTED, TODAY, Person(him.lead_ids))) == 3
    )  # somebody was called; nobody knows who
    past.check()


def test_a_customer_on_two_lists_is_one_person(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path, leads=5)
    other = Past(db, tmp_path / "none", leads=5, name="summer")
    with db.begin() as connection:  # the same customer, by another number
        connection.execute(
            text(
                "UPDATE lead SET customer_id = 'X' WHERE id IN (SELECT lead_id FROM number "
                "WHERE (campaign_id, e164) IN ((:spring, :one), (:summer, :two)))"
            ),
            {"spring": past.campaign, "one": number(1), "summer": other.campaign, "two": number(4)},
        )
    by_number = persons.find(db, number=number(4))
    assert persons.find(db, customer="X").e164s == (number(1), number(4))
    assert number(1) in by_number.e164s and "X" in by_number.customer_ids
    assert len(by_number.lead_ids) == 3  # hers by either number, and who else has the second


TRIED = text("INSERT INTO trial_member VALUES (:campaign, :party, :arm, 0.5, :at)")


def try_scripts(past: Past, **arms: str) -> None:
    """Of each arm a party of the campaign."""
    with past.db.begin() as connection:
        for arm, party in arms.items():
            connection.execute(TRIED, {"campaign": past.campaign, "party": party, "arm": arm, "at": IMPORTED})


def test_whose_script_was_chosen_before_and_after_a_list_named_the_customer_is_erased(
    db: Engine, tmp_path: Path
) -> None:
    past = Past(db, tmp_path)
    him = persons.find(db, number=number(HIM))
    try_scripts(past, plain=f"lead {him.lead_ids[0]}", gift=f"customer {him.customer_ids[0]}")
    assert len(persons.export(db, past.history, him, "li", TODAY)["scripts_tried"]) == 2
    erase(past, him)
    # His talks count for the arm for which they counted.
    assert past.rows("SELECT party, arm FROM trial_member") == [(f"lead {him.lead_ids[0]}", "gift")]


def test_of_two_customers_with_a_number_in_common_each_keeps_their_script(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path, leads=5)
    other = Past(db, tmp_path / "none", leads=5, name="summer")
    first, second = past.rows(
        "SELECT l.id, l.customer_id FROM lead l JOIN number n ON n.lead_id = l.id "
        "WHERE n.campaign_id = :campaign AND n.e164 = ANY(:e164s) ORDER BY n.e164",
        campaign=past.campaign,
        e164s=[number(1), number(2)],
    )
    with db.begin() as connection:  # the second one by the first one's number
        connection.execute(
            text(
                "UPDATE lead SET customer_id = :customer WHERE id = "
                "(SELECT lead_id FROM number WHERE campaign_id = :campaign AND e164 = :e164)"
            ),
            {"customer": second.customer_id, "campaign": other.campaign, "e164": number(1)},
        )
    both = persons.find(db, number=number(1))
    assert set(both.customer_ids) == {first.customer_id, second.customer_id}
    try_scripts(past, plain=f"customer {first.customer_id}", gift=f"customer {second.customer_id}")
    erase(past, both)
    assert dict(past.rows("SELECT arm, party FROM trial_member")) == {
        "plain": f"lead {first.id}",
        "gift": f"lead {second.id}",
    }


def test_an_erasure_that_can_not_be_ended_is_told_and_keeps_no_other_from_it(
    db: Engine, tmp_path: Path
) -> None:
    past = Past(db, tmp_path)
    him, her = persons.find(db, number=number(HIM)), persons.find(db, number=number(HIM + 1))
    with db.begin() as connection:
        connection.execute(text(UNERASABLE.format(lead=him.lead_ids[0])))
    with pytest.raises(DBAPIError, match="not this one"):
        erase(past, him)
    assert erase(past, her).live["leads"] == 1
    done = past.run()
    assert done.unerased == 1 and {m.month for m in done.archived} == set(MONTHS[:2])
    assert number(HIM) in everything(past)
    with db.begin() as connection:
        connection.execute(text("DROP TRIGGER unerasable ON lead"))
    assert past.run().unerased == 0
    assert number(HIM) not in everything(past)


def test_an_objection_outlives_the_erasure(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    with db.begin() as connection:
        connection.execute(
            text("INSERT INTO dnc (e164, layer, source, at) VALUES (:e164, 'company', 'key', :at)"),
            {"e164": number(HIM), "at": TODAY},
        )
    erase(past, persons.find(db, number=number(HIM)))
    assert past.rows("SELECT source FROM dnc WHERE e164 = :e164", e164=number(HIM)) == [("key",)]


@pytest.mark.parametrize("held", ["campaign_id", "e164", "customer_id"])
def test_a_legal_hold_beats_an_erasure_until_it_is_lifted(db: Engine, tmp_path: Path, held: str) -> None:
    past = Past(db, tmp_path)
    past.run()
    him = persons.find(db, number=number(HIM))
    subject: Any = {"campaign_id": past.campaign, "e164": number(HIM), "customer_id": him.customer_ids[0]}[
        held
    ]
    hold = Holds(db).place("wang", "suit 7 of 2026", TODAY, **{held: subject})
    with pytest.raises(Refused, match=rf"legal hold {hold} \(suit 7 of 2026; wang, 2026-11-24\)"):
        erase(past, him)
    assert len(past.history.calls(IMPORTED, TODAY, him)) == 3
    Holds(db).lift(hold, "wang", "settled", TODAY)
    assert erase(past, him).archived == 2
    assert number(HIM) not in everything(past)
    with pytest.raises(NoSuchHold):
        Holds(db).lift(hold, "wang", "again", TODAY)


def test_who_was_just_called_or_is_in_a_call_is_erased_later(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    him = persons.find(db, number=number(HIM))
    last = max(c.dialed_at for c in past.history.calls(IMPORTED, TODAY, him))
    with pytest.raises(Refused, match="try again after"):
        erase(past, him, last + timedelta(hours=1))
    with db.begin() as connection:
        connection.execute(
            text("UPDATE lead SET lease = gen_random_uuid() WHERE id = ANY(:ids)"),
            {"ids": list(him.lead_ids)},
        )
    with pytest.raises(Refused, match="is being called"):
        erase(past, him)


def test_a_restored_month_gives_nobody_back(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    past.run()
    him = persons.find(db, number=number(HIM))
    erase(past, him)
    with holding(db, past.files) as job:
        job.restore(MONTHS[0], (TODAY + timedelta(days=7)).date(), TODAY)
    assert number(HIM) not in everything(past)
    past.check()


def test_whoever_adds_a_table_that_may_name_a_person_says_what_becomes_of_it(
    db: Engine, tmp_path: Path
) -> None:
    rows = Past(db, tmp_path, leads=1).rows(
        "SELECT DISTINCT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace "
        "AND a.attname IN ('e164', 'e164s', 'number', 'party', 'customer', 'customer_id', 'customer_ids', 'attributes')"
    )
    erased = {
        "lead",
        "number",
        "attempt",
        "archived_number",
        "called",
        "legal_hold",
        "erasure",
        "list_change",
        "outside_call",
        "message",
        "purchase",
        "segment_member",
        "trial_member",
    }
    stay = {
        "dnc",
        "lock_out",
        "refusal_lock",
        "consent",
    }  # for the reasons that docs/howto/keep-history.md gives
    found = {row.relname for row in rows}
    assert found - erased - stay == set(), "see LIVE and TOLD in campaigns/history/person.py"
    deleted = " ".join(str(statement) for statement in (*retention.FORGET, *retention.OLD.values()))
    let_go = {*KINDS, *re.findall(r"DELETE FROM (\w+)", deleted)}
    stay = {"dnc", "consent", "legal_hold", "erasure"}  # as long as they hold; one that is done names nobody
    assert found - let_go - stay == set(), "see FORGET and OLD in campaigns/history/retention.py"


def test_no_question_about_a_person_goes_through_a_table(db: Engine) -> None:
    """Ways by the keys are all that is weighed: where there is none, the years of everybody are gone through."""
    values = {"leads": [1], "e164s": ["+8613800000000"], "customers": ["K7"], "parties": ["customer K7"]}
    few = "campaign|list|legal_hold|lock_out"
    with db.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        plans = {
            key: "\n".join(connection.execute(text(f"EXPLAIN {sql}"), values).scalars())
            for key, sql in persons.TOLD.items()
        }
    assert {key: plan for key, plan in plans.items() if re.search(rf"Seq Scan on (?!({few}) )", plan)} == {}
