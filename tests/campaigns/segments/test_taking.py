"""A campaign takes customers by a segment: within its budget, without those held out, rested, and never twice."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from campaigns import database
from campaigns.evaluation.evaluating import evaluate
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.lists.undoing import undo
from campaigns.records import AttemptConnected, AttemptEnded
from campaigns.segments.compiling import TooFarBack
from campaigns.segments.language import SegmentError
from campaigns.segments.store import NoSuchSegment, SegmentStore
from campaigns.segments.taking import CanNotTake, Wish, take
from campaigns.store import NoSuchCampaign
from campaigns.units import NoSuchUnit, Units
from tests.campaigns.history.past import TODAY, Past
from tests.campaigns.world import NOON, Campaign, later
from tests.database import as_of

MEMBERS = text(
    "SELECT party, held_out FROM segment_member m JOIN campaign c ON c.id = m.campaign_id WHERE c.name = :c"
)


def customers(db: Engine, campaign: Campaign, count: int) -> None:
    rows = [
        Row(n + 1, (f"+8613900{n:06d}",), f"客户{n}", {"n": n}, ("Asia/Shanghai",), customer_id=f"C{n}")
        for n in range(count)
    ]
    store_rows(db, campaign.id, "all", "test", NOON, rows)


def members(db: Engine, campaign: str) -> dict[str, bool]:
    with db.connect() as connection:
        return {row.party: row.held_out for row in connection.execute(MEMBERS, {"c": campaign})}


def test_versions_are_kept_and_the_same_text_makes_none(db: Engine) -> None:
    store = SegmentStore(db)
    Units(db).add("east")
    store.save("young", "age < 30", "east", "li", NOON)
    assert store.save("young", "age < 30", "", "li", NOON).version == 1
    found = store.save("young", "age < 35", "", "wu", later(hours=1))
    assert (found.version, found.unit, found.saved_by) == (2, "east", "wu")
    assert [(v.version, v.text) for v in store.versions("young")] == [(2, "age < 35"), (1, "age < 30")]
    with db.connect() as connection:
        east = connection.execute(text("SELECT id FROM unit WHERE name = 'east'")).scalar_one()
    store.save("all", "", "", "li", NOON)
    assert [each.name for each in store.all(east)] == ["young"]
    assert [each.name for each in store.all()] == ["all", "young"]
    for name, words, unit, fault in (
        ("bad", "age <", "", SegmentError),
        (" ", "", "", SegmentError),
        ("x", "", "nowhere", NoSuchUnit),
    ):
        with pytest.raises(fault):
            store.save(name, words, unit, "li", NOON)
    with pytest.raises(NoSuchSegment):
        store.find("bad")


def test_some_are_called_some_held_out_and_nobody_is_taken_twice(db: Engine) -> None:
    pool, spring = Campaign(db, leads=0, name="pool"), Campaign(db, leads=0)
    summer = Campaign(db, leads=0, name="summer")
    customers(db, pool, 600)
    SegmentStore(db).save("half", "n < 300", "", "li", NOON)
    wish = Wish("half", "spring", "wave 1", budget=100, hold_out=0.25, rest_days=0)
    first = take(db, wish, "li", NOON)
    assert (first.called, first.left_out) == (100, 0) and 12 <= first.held_out <= 60
    found = members(db, "spring")
    assert sum(found.values()) == first.held_out and len(found) == 100 + first.held_out
    rest = take(db, Wish("half", "spring", "wave 2", hold_out=0.25, rest_days=0), "li", NOON)
    everyone = members(db, "spring")
    assert len(everyone) == 300 and found.items() <= everyone.items()
    assert first.called + rest.called == sum(not held for held in everyone.values())
    assert take(db, wish, "li", NOON).called == 0
    leads = spring.one(
        "SELECT count(*), count(DISTINCT customer_id), min(name) <> '' FROM lead WHERE campaign_id = :c",
        c=spring.id,
    )
    assert tuple(leads) == (first.called + rest.called,) * 2 + (True,)
    with db.connect() as connection:
        called = connection.execute(
            text("SELECT 'customer ' || customer_id FROM lead WHERE campaign_id = :c"), {"c": spring.id}
        )
        assert not set(called.scalars()) & {party for party, held in everyone.items() if held}
    # Whoever is held out at a quarter is held out at a half, too, of any campaign.
    take(db, Wish("half", "summer", "a", hold_out=0.5, rest_days=0), "li", NOON)
    held = {party for party, out in members(db, "summer").items() if out}
    assert {party for party, out in everyone.items() if out} < held and len(members(db, "summer")) == 300
    assert summer.lease(1), "they are called like others"


def test_whom_an_agent_talked_to_lately_rests(db: Engine) -> None:
    pool, spring = Campaign(db, leads=0, name="pool"), Campaign(db, leads=0)
    customers(db, pool, 3)
    [lead] = pool.lease()
    pool.dial([lead])
    pool.record(
        AttemptConnected(at=NOON, call_id=lead.call_id, user_id=7),
        AttemptEnded(at=NOON, call_id=lead.call_id, outcome="connected", final=True),
    )
    SegmentStore(db).save("all", "", "", "li", NOON)
    wish = Wish("all", "spring", "w", hold_out=0, rest_days=30)
    assert take(db, wish, "li", later(days=29)).called == 2
    assert take(db, wish, "li", later(days=31)).called == 1
    assert spring.hopper.left(spring.id) == 3


def test_a_units_segment_knows_nobody_of_other_units(db: Engine) -> None:
    units = Units(db)
    units.add("east/one")
    units.add("west")
    for unit, name in (("east/one", "one"), ("west", "two"), ("east", "mine")):
        Campaign(db, leads=3 if name != "mine" else 0, name=name, more=f'unit = "{unit}"\n')
    SegmentStore(db).save("ours", "", "east", "li", NOON)
    assert take(db, Wish("ours", "mine", "w", hold_out=0), "li", NOON).called == 3
    with db.connect() as connection:
        lists = connection.execute(text("SELECT count(*) FROM segment_member")).scalar_one()
    assert lists == 3


@pytest.mark.parametrize(
    ("wish", "fault"),
    [
        (Wish("all", "spring", "w", budget=0), CanNotTake),
        (Wish("all", "spring", "w", hold_out=0.6), CanNotTake),
        (Wish("all", "spring", " "), CanNotTake),
        (Wish("all", "spring", "a\0"), CanNotTake),
        (Wish("all", "spring", "a" * 201), CanNotTake),
        (Wish("all", "spring", "w", rest_days=-1), CanNotTake),
        (Wish("no such", "spring", "w"), NoSuchSegment),
        (Wish("all", "no such", "w"), NoSuchCampaign),
    ],
)
def test_what_makes_no_sense_changes_nothing(db: Engine, wish: Wish, fault: type[Exception]) -> None:
    Campaign(db, leads=1)
    SegmentStore(db).save("all", "", "", "li", NOON)
    with pytest.raises(fault):
        take(db, wish, "li", NOON)
    with db.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM segment_take")).scalar_one() == 0


def test_whose_talks_are_in_files_is_not_taken_for_rested(db: Engine, tmp_path: Path) -> None:
    """June and July of this campaign move to files, August stays: every third customer was talked to in each."""
    Past(db, tmp_path, name="pool").run()
    spring = Campaign(db, leads=0)
    store = SegmentStore(db)
    store.save("all", "", "", "li", TODAY)
    root = spring.one("SELECT id FROM unit WHERE parent_id IS NULL").id
    since_august = (TODAY - datetime(2026, 8, 1, tzinfo=UTC)).days
    for days, words in (
        (365, ""),
        (since_august + 1, ""),
        (0, f"not connects > 0 within {since_august + 1} days"),
    ):
        store.save("these", words, "", "li", TODAY)
        with pytest.raises(TooFarBack, match="calls since 2026-08-01, 115 days ago"):
            take(db, Wish("these", "spring", "w", hold_out=0, rest_days=days), "li", TODAY)
    with pytest.raises(TooFarBack):
        store.count('result = "sold" within 365 days', root, TODAY)
    assert store.count("orders = 0 within 365 days", root, TODAY).customers == 60
    assert store.calls_since() == datetime(2026, 8, 1, tzinfo=UTC)
    assert take(db, Wish("all", "spring", "w", hold_out=0, rest_days=since_august), "li", TODAY).called == 40


def test_whom_an_undone_list_had_is_not_taken_any_more(db: Engine) -> None:
    pool, spring = Campaign(db, leads=0, name="pool"), Campaign(db, leads=0)
    customers(db, pool, 100)
    SegmentStore(db).save("all", "", "", "li", NOON)
    first = take(db, Wish("all", "spring", "wave 1", budget=20, hold_out=0.5, rest_days=0), "li", NOON)
    assert first.called == 20 and first.held_out > 0
    undo(db, spring.id, "wave 1", NOON)
    assert members(db, "spring") == {}
    assert evaluate(db, "spring", later(days=-1), later(days=1), "campaign").gains == ()
    again = take(db, Wish("all", "spring", "wave 1", hold_out=0, rest_days=0), "li", later(hours=1))
    assert (again.called, again.held_out) == (100, 0)


def test_whom_a_campaign_called_stays_taken_and_so_do_those_held_out_beside_them(db: Engine) -> None:
    pool, spring = Campaign(db, leads=0, name="pool"), Campaign(db, leads=0)
    customers(db, pool, 100)
    SegmentStore(db).save("all", "", "", "li", NOON)
    with db.begin() as connection:
        connection.execute(
            text("INSERT INTO dnc (e164, layer, source, at) VALUES ('+8613900000007', 'company', 'x', :at)"),
            {"at": NOON},
        )
    taken = take(db, Wish("all", "spring", "w", hold_out=0.2, rest_days=0), "li", NOON)
    assert taken.left_out == 1
    [lead] = spring.lease()
    spring.dial([lead])
    undone = undo(db, spring.id, "w", later(minutes=1))
    assert (undone.removed, undone.closed) == (taken.called - 1, 1)
    left = members(db, "spring")
    assert [party for party, held in left.items() if not held] == [f"customer {lead.customer_id}"]
    assert sum(left.values()) == taken.held_out
    [gain] = evaluate(db, "spring", later(days=-1), later(days=1), "campaign").gains
    assert (gain.called, gain.held_out) == (1, taken.held_out)


def test_takes_of_before_know_their_segments_name() -> None:
    engine = as_of("0054")
    with engine.begin() as connection:
        connection.exec_driver_sql("""
            INSERT INTO campaign (name, version, unit_id) SELECT 'spring', 1, id FROM unit;
            INSERT INTO segment (unit_id, name, version) SELECT id, unnest(ARRAY['young', 'fibre']), 1 FROM unit;
            INSERT INTO segment_take (segment_id, version, campaign_id, list_name, hold_out, taken_at, taken_by, called,
                held_out)
            SELECT id, 1, 1, 'w', 0.1, now(), 'li', 1, 0 FROM segment;
        """)
    database.migrate(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT segment FROM segment_take ORDER BY id").scalars().all() == [
            "young", "fibre",
        ]  # fmt: skip
    engine.dispose()
