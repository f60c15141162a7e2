"""What is over its time goes, what a hold covers stays, and the counts are kept."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from campaigns.history import person as persons
from campaigns.history import retention
from campaigns.history.holds import Holds
from campaigns.history.query import Person
from campaigns.history.retention import Policy
from tests.campaigns.history.past import IMPORTED, MONTHS, TODAY, Past, number

SHORT = Policy(live_months=12, calls="30d", seats="5y", leads="30d", audit="10y")


def test_calls_go_after_thirty_days_and_their_counts_stay(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    counts = past.history.outcomes(MONTHS[0], date(2026, 9, 1))
    done = past.run(SHORT)
    assert {m.month for m in done.expired} == set(MONTHS)
    assert past.history.calls(IMPORTED, TODAY) == []
    assert past.history.known([number(4)]) == []  # the lead's time and its calls' are over
    assert past.history.outcomes(MONTHS[0], date(2026, 9, 1)) == counts
    assert not list(tmp_path.rglob("*.parquet"))
    assert past.rows("SELECT count(*) FROM seat_log")[0].count == 60  # another class
    assert done.leads == 60 and past.rows("SELECT count(*) FROM number")[0].count == 0
    assert past.run(SHORT).expired == []


def test_a_held_person_stays_when_the_others_go(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    hold = Holds(db).place("wang", "complaint", TODAY, e164=number(2))
    done = past.run(SHORT)
    assert {m.rows for m in done.held} == {1}
    calls = past.history.calls(IMPORTED, TODAY)
    assert {c.e164 for c in calls} == {number(2)} and all(c.code for c in calls) and len(calls) == 3
    assert past.rows("SELECT count(*) FROM number")[0].count == 1
    Holds(db).lift(hold, "wang", "settled", TODAY)
    past.run(SHORT)
    assert past.history.calls(IMPORTED, TODAY, Person(e164s=(number(2),))) == []


def test_a_held_campaign_keeps_its_seats_too(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    other = Past(db, tmp_path / "none", leads=3, name="summer")
    Holds(db).place("wang", "audit by the regulator", TODAY, campaign_id=other.campaign)
    past.run(Policy(calls="30d", seats="30d", leads="30d"))
    assert {c.campaign_id for c in past.history.calls(IMPORTED, TODAY)} == {other.campaign}
    assert set(past.filed("seat_log", "campaign_id")) == {other.campaign}
    assert past.rows("SELECT DISTINCT campaign_id FROM lead") == [(other.campaign,)]


def test_the_last_two_months_stay_live_whatever_their_class(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    done = past.run(SHORT, TODAY.replace(month=9, day=30) + timedelta(hours=10))
    assert {m.month for m in done.archived} == {MONTHS[0], MONTHS[1]}


def test_a_forgotten_lead_stays_known_as_long_as_its_calls(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    before = past.history.known([number(4), "+8613999999999"])
    assert [(k.e164, k.campaign_id, k.attempts) for k in before] == [(number(4), past.campaign, 3)]
    assert before[0].last_at is not None and before[0].last_at.month == 8
    done = past.run(Policy(live_months=2, calls="5y", leads="30d"), TODAY)
    assert done.leads == 60 and past.rows("SELECT count(*) FROM lead")[0].count == 0
    assert past.history.known([number(4)]) == before
    assert len(past.history.calls(IMPORTED, TODAY, Person(e164s=(number(4),)))) == 3
    him = persons.find(db, customer=str(before[0].customer_id))
    assert him.e164s == (number(4),)
    past.run(SHORT)
    assert past.history.known([number(4)]) == []


def test_calls_are_counted_for_caps_until_none_looks_so_far_back(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path, leads=2)
    with db.begin() as connection:
        for party, days in (
            ("+8613999999999", 40),
            ("customer X", 40),
            ("+8613999999998", 20),
            (number(1), 40),
        ):
            connection.execute(
                text("INSERT INTO called VALUES (:party, 1, ARRAY[CAST(:at AS timestamptz)], '{1}')"),
                {"party": party, "at": TODAY - timedelta(days=days)},
            )
    past.run()
    assert {row.party for row in past.rows("SELECT party FROM called")} == {"+8613999999998", number(1)}


# Of each customer an order, a take by a segment, and a script that was tried.
KNOWN_BESIDE = """
WITH sold AS (
    INSERT INTO purchase (unit_id, customer_id, at, amount, reference)
    SELECT u.id, c, CAST(:at AS timestamptz), 10, c || :at FROM unit u, unnest(CAST(:customers AS text[])) c
), made AS (
    INSERT INTO segment (unit_id, name, version) SELECT id, :at, 1 FROM unit RETURNING id
), taken AS (
    INSERT INTO segment_take (segment_id, segment, version, campaign_id, list_name, hold_out, taken_at, taken_by,
        called, held_out)
    SELECT id, 'all', 1, :campaign, 'w', 0, CAST(:at AS timestamptz), 'li', 1, 0 FROM made RETURNING id
), tried AS (
    INSERT INTO trial_member
    SELECT :campaign, 'customer ' || c, 'plain', 0.5, CAST(:at AS timestamptz) FROM unnest(CAST(:customers AS text[])) c
) INSERT INTO segment_member
SELECT :campaign, 'customer ' || c, t.id, true FROM taken t, unnest(CAST(:customers AS text[])) c
"""


def test_what_is_kept_of_a_customer_beside_lists_and_calls_goes_after_them(
    db: Engine, tmp_path: Path
) -> None:
    past = Past(db, tmp_path)
    held, gone = (persons.find(db, number=number(n)) for n in (2, 3))
    Holds(db).place("wang", "complaint", TODAY, customer_id=held.customer_ids[0])
    customers = {"old": [held.customer_ids[0], gone.customer_ids[0], "never listed"], "new": ["just bought"]}
    with db.begin() as connection:
        for age, days in (("old", 410), ("new", 390)):  # a campaign is evaluated for up to a year
            at = str(TODAY - timedelta(days=days))
            values = {"campaign": past.campaign, "customers": customers[age], "at": at}
            connection.execute(text(KNOWN_BESIDE), values)
        for lead in (held.lead_ids[0], gone.lead_ids[0]):
            connection.execute(
                text("INSERT INTO trial_member VALUES (:campaign, 'lead ' || :lead, 'gift', 0.5, :at)"),
                {"campaign": past.campaign, "lead": lead, "at": TODAY - timedelta(days=410)},
            )

    def beside() -> list[set[str]]:
        asked = (
            "SELECT customer_id AS who FROM purchase",
            "SELECT substr(party, 10) AS who FROM segment_member",
            "SELECT substr(party, 10) AS who FROM trial_member WHERE arm = 'plain'",
        )
        return [{row.who for row in past.rows(sql)} for sql in asked]

    past.run()  # the leads are closed and their calls are over, but the time of neither
    everybody = {*customers["old"], *customers["new"]} - {"never listed"}
    assert everybody <= beside()[0] & beside()[1] & beside()[2]
    past.run(SHORT)
    assert beside() == [{held.customer_ids[0], "just bought"}] * 3
    assert past.rows("SELECT party FROM trial_member WHERE arm = 'gift'") == [(f"lead {held.lead_ids[0]}",)]


def test_numbers_that_agents_chose_themselves_go_after_ninety_days(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path, leads=1)
    Holds(db).place("wang", "complaint", TODAY, e164="+861069001236")
    with db.begin() as connection:
        for n, days in enumerate((91, 89, 91), 4):
            connection.execute(
                text("INSERT INTO outside_call VALUES (:uid, :at, 7, :campaign, :number)"),
                {
                    "uid": f"zdp-{n}",
                    "at": TODAY - timedelta(days=days),
                    "campaign": past.campaign,
                    "number": f"+86106900123{n}",
                },
            )
    past.run()
    assert past.rows("SELECT number FROM outside_call ORDER BY 1") == [("+861069001235",), ("+861069001236",)]


def test_leads_go_some_at_a_time_and_each_is_looked_at_once(
    db: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = Past(db, tmp_path)
    Holds(db).place("wang", "complaint", TODAY, e164=number(2))
    monkeypatch.setattr(retention, "AT_ONCE", 7)
    assert past.run(SHORT).leads == 59
    with db.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = connection.execute(
            text(f"EXPLAIN {retention.LEADS}"), {"before": TODAY, "first": 8, "end": 15}
        ).scalars()
        assert "Index Cond: ((id >= 8) AND (id < 15))" in "\n".join(plan)
