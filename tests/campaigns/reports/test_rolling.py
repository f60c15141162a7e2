"""Roll-ups are what a count of the rows gives, whatever came in which order, and however often they are made."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from campaigns.abandon_window import window
from campaigns.reports import rolling
from campaigns.reports.compliance import windows
from campaigns.reports.rolling import roll
from tests.campaigns.reports.raw import (
    TURNS,
    Call,
    Line,
    World,
    calls,
    counted_calls,
    counted_seats,
    lines,
)
from tests.campaigns.world import NOON

AFTER = NOON + timedelta(hours=3)
WORLDS: dict[int, World] = {}


def world_of(db: Engine) -> World:
    """One for all examples of a test."""
    if id(db) not in WORLDS:
        WORLDS[id(db)] = World(db)
    return WORLDS[id(db)]


def told_as_counted(world: World) -> None:
    """A campaign's window is what a count of its calls gives, whatever of it was counted before."""
    for campaign in world.campaigns:
        for length in (timedelta(minutes=47), timedelta(hours=2), timedelta(days=36_500)):
            [by_hand] = world.rows(
                "SELECT count(a.connected_at), "
                "count(*) FILTER (WHERE outcome = 'hung_up' AND (amd IS NULL OR amd NOT IN ('MACHINE', 'HANGUP'))), "
                "count(*) FILTER (WHERE outcome = 'abandoned'), "
                "count(a.connected_at) FILTER (WHERE d.code = 'sold') "
                "FROM attempt a LEFT JOIN disposition d USING (call_id, leased_at) "
                f"WHERE campaign_id = {campaign} AND called_in IS NULL AND dialed_at >= '{AFTER - length}'"
            )
            with world.db.connect() as connection:
                assert window(connection, campaign, length, AFTER, ["sold"]) == tuple(by_hand)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(calls, max_size=12), st.lists(lines, max_size=12), st.sets(st.integers(0, TURNS - 1)))
def test_any_history_counted_at_any_time_is_what_its_rows_say(
    db: Engine, calls: list[Call], lines: list[Line], rolled_after: set[int]
) -> None:
    world = world_of(db)
    world.clear()
    ids: dict[int, str] = {}
    for turn in range(TURNS):
        world.write(calls, lines, turn, ids)
        if turn in rolled_after:
            world.roll(NOON + timedelta(minutes=40 * turn))
        told_as_counted(world)
    world.roll(AFTER)
    told_as_counted(world)
    tables = world.tables()

    by_call: Counter[tuple[object, ...]] = Counter()
    for row in tables["rollup_call"]:
        by_call[row[:6]] += row[6]
    assert by_call == counted_calls(world)
    seats = {row[:5]: row[6] for row in tables["rollup_seat"] if row[6]}
    assert seats == {key: ms for key, ms in counted_seats(world, AFTER).items() if ms}

    # The cuts agree with each other and with the rows, to the unit.
    raw = world.rows(
        "SELECT count(*) AS attempts, count(answered_at) AS answered, count(connected_at) AS connected, "
        "COALESCE(sum(round(talk_s * 1000.0)), 0)::bigint AS talk, "
        "COALESCE(sum(round(ring_s * 1000.0)), 0)::bigint AS ring, "
        "count(*) FILTER (WHERE amd IN ('MACHINE', 'HANGUP')) AS machines FROM attempt"
    )[0]
    told = world.rows(
        "SELECT COALESCE(sum(attempts), 0) AS attempts, COALESCE(sum(answered), 0) AS answered, "
        "COALESCE(sum(connected), 0) AS connected, COALESCE(sum(talk_ms), 0) AS talk, "
        "COALESCE(sum(ring_ms), 0) AS ring, COALESCE(sum(machines), 0) AS machines FROM rollup_call"
    )[0]
    assert tuple(raw) == tuple(map(int, told))
    line = world.rows(
        "SELECT COALESCE(sum(attempts), 0) AS a, COALESCE(sum(answered), 0) AS n, COALESCE(sum(talk_ms), 0) AS t "
        "FROM rollup_line"
    )[0]
    assert tuple(map(int, line)) == (raw.attempts, raw.answered, raw.talk)
    agent = world.rows(
        "SELECT COALESCE(sum(connected), 0) AS c, COALESCE(sum(talk_ms), 0) AS t FROM rollup_agent"
    )[0]
    assert tuple(map(int, agent)) == (raw.connected, raw.talk)
    [promised] = world.rows("SELECT COALESCE(sum(promised), 0) AS n FROM rollup_callback")
    assert promised.n == world.rows("SELECT count(*) AS n FROM callback")[0].n

    # Once more, of everything: nothing changes.
    with world.db.begin() as connection:
        for kind in ("calls", "stays", "callbacks"):
            connection.execute(
                text(
                    "INSERT INTO rollup_due SELECT :kind, half_hour FROM rollup_call "
                    "UNION SELECT :kind, half_hour FROM rollup_seat"
                ),
                {"kind": kind},
            )
    world.roll(AFTER)
    assert world.tables() == tables


def test_a_turn_that_is_killed_has_done_nothing(db: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(db)
    call = Call(0, 1, 0, "", "connected", 16, 0, 5, 60, None, "sold", (0, 0, 0))
    world.write([call], [], 0, {})
    due = world.rows("SELECT * FROM rollup_due ORDER BY kind, half_hour")

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(rolling, "count_calls", killed)
        with pytest.raises(Killed):
            roll(db, AFTER)
    assert world.rows("SELECT * FROM rollup_due ORDER BY kind, half_hour") == due
    assert world.tables()["rollup_call"] == []
    world.roll(AFTER)
    assert [row[6] for row in world.tables()["rollup_call"]] == [1]


def test_who_hung_up_while_the_detection_listened_is_in_no_law_s_count(db: Engine) -> None:
    world = World(db)
    found = [
        Call(n, 1, 0, "", "hung_up", 16, 0, 5, 0, amd, None, (0, 0, 0))
        for n, amd in enumerate((None, "HUMAN", "NOTSURE", "MACHINE", "HANGUP"))
    ]
    world.write(found, [], 0, {})

    def window_of() -> tuple[int, ...]:
        with db.connect() as connection:
            return window(connection, world.campaigns[0], timedelta(hours=24), AFTER, [])

    assert window_of() == (0, 3, 0, 0)
    world.roll(AFTER)
    assert window_of() == (0, 3, 0, 0)
    assert [(each.campaign, each.hung_up) for each in windows(db, AFTER, None)] == [("east", 3), ("west", 0)]


def test_two_at_once_take_turns(db: Engine) -> None:
    with db.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": rolling.LOCK})
        assert roll(db, NOON) is None
    assert roll(db, NOON) is not None


def test_what_is_written_while_a_turn_is_on_is_counted_by_the_next(db: Engine) -> None:
    world = World(db)
    call = Call(0, 1, 0, "", "connected", 16, 0, 5, 60, None, "sold", (0, 1, 2))
    ids: dict[int, str] = {}
    world.write([call], [], 0, ids)
    with db.connect() as slow, slow.begin():  # its mark and its change are there when it commits, not before
        slow.execute(text("UPDATE attempt SET outcome = 'connected', connected_at = dialed_at"))
        world.roll(AFTER)
        assert [row[3] for row in world.tables()["rollup_call"]] == [""]
    world.roll(AFTER)
    assert [row[3] for row in world.tables()["rollup_call"]] == ["connected"]


def test_the_calls_of_a_half_hour_are_found_by_their_ids(db: Engine) -> None:
    """Of a day that waits to be counted, each half hour reads its own calls, not those of a whole day."""
    World(db)
    with db.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        values = {"begin": NOON, "end": NOON + timedelta(minutes=30)}
        plan = "\n".join(connection.execute(text(f"EXPLAIN {rolling.DIALED}"), values).scalars())
    assert "Index Cond: ((call_id >= " in plan, plan
