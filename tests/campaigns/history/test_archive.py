"""Months move to files and back with nothing lost, nothing twice, and nobody waiting."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Thread
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, text

from campaigns import database
from campaigns.day import dialed_calls, seat_intervals
from campaigns.history import archive
from campaigns.history.archive import holding
from campaigns.history.files import ArchiveError, Files
from campaigns.history.kinds import KINDS, SEAT_LOG
from campaigns.history.query import History, Person
from campaigns.records import AttemptConnected, AttemptEnded, Dispositioned
from campaigns.reports.rolling import roll
from campaigns.store import CampaignStore
from tests.campaigns.history.past import IMPORTED, MONTHS, TODAY, Past, number, wait_for
from tests.campaigns.world import NOON, Campaign
from tests.database import fresh_url


def test_old_months_move_and_history_reads_as_before(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    before = past.history.calls(IMPORTED, TODAY)
    counts = past.history.outcomes(MONTHS[0], date(2026, 9, 1))
    done = past.run()
    assert {(m.kind, m.month) for m in done.archived} == {
        (kind, month) for kind in ("attempt", "disposition", "seat_log") for month in MONTHS[:2]
    }
    assert past.rows("SELECT to_regclass('attempt_2026_06') AS gone")[0].gone is None
    after = past.history.calls(IMPORTED, TODAY)
    assert [c.archived for c in after] == [True] * 120 + [False] * 60
    assert [(c.call_id, c.e164, c.notes, c.code, c.code_notes, c.ring_s, c.ended_at) for c in after] == [
        (c.call_id, c.e164, c.notes, c.code, c.code_notes, c.ring_s, c.ended_at) for c in before
    ]
    assert past.history.outcomes(MONTHS[0], date(2026, 9, 1)) == counts
    past.check()


def test_a_day_of_a_month_that_moved_is_told_as_before(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    spans = [
        (datetime(2026, 6, 8, tzinfo=UTC), datetime(2026, 6, 20, tzinfo=UTC)),
        (
            datetime(2026, 7, 22, tzinfo=UTC),
            datetime(2026, 8, 10, tzinfo=UTC),
        ),  # one month in a file, one in tables
    ]

    def told() -> list[object]:
        return [
            ask(past.history, past.campaign, since, until)
            for since, until in spans
            for ask in (seat_intervals, dialed_calls)
        ]

    before = told()
    assert [len(each) > 2 for each in before] == [True] * 4  # type: ignore[arg-type]
    past.run()
    assert past.states()["seat_log", "2026-07"] == "archived"
    assert told() == before


def test_a_persons_calls_are_found_in_files_and_tables(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    past.run()
    calls = past.history.calls(IMPORTED, TODAY, Person(e164s=(number(4),)))
    assert [(c.archived, c.e164) for c in calls] == [(True, number(4))] * 2
    lead = past.rows("SELECT lead_id FROM number WHERE e164 = :e164", e164=number(4))[0].lead_id
    calls = past.history.calls(IMPORTED, TODAY, Person((lead,)), campaign_id=past.campaign)
    assert [c.dialed_at.month for c in calls] == [6, 7, 8]
    assert past.history.calls(IMPORTED, TODAY, Person((lead,)), campaign_id=past.campaign + 1) == []
    july = past.history.calls(datetime.fromisoformat("2026-07-01T00:00Z"), TODAY, Person((lead,)))
    assert [c.dialed_at.month for c in july] == [7, 8]


def test_every_column_of_the_tables_goes_with_the_month(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path, leads=3)
    for kind in KINDS.values():
        rows = past.rows(
            "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:name AS regclass) AND attnum > 0",
            name=kind.table,
        )
        assert {row.attname for row in rows} == set(kind.columns), kind.table
    with db.begin() as connection:
        connection.execute(text("ALTER TABLE attempt ADD mood text"))
    with pytest.raises(ArchiveError, match="can't archive: mood; use a newer one"):
        past.run()
    assert past.states() == {}


def test_a_file_with_fewer_columns_comes_back_all_the_same(
    db: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = Past(db, tmp_path)
    with db.begin() as connection:
        connection.execute(text("ALTER TABLE seat_log DROP COLUMN call_id"))
    fewer = replace(
        SEAT_LOG,
        columns={name: t for name, t in SEAT_LOG.columns.items() if name != "call_id"},
        source=SEAT_LOG.source.replace(", call_id", ""),
    )
    with monkeypatch.context() as then:
        then.setitem(KINDS, "seat_log", fewer)
        past.run()
    with db.begin() as connection:
        connection.execute(text("ALTER TABLE seat_log ADD COLUMN call_id text"))
    with holding(db, past.files) as job:
        job.restore(MONTHS[0], date(2026, 12, 1), TODAY)
    assert past.rows("SELECT count(*), count(call_id) FROM seat_log_2026_06") == [(20, 0)]


def test_a_month_comes_back_and_leaves_again_when_its_time_is_over(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    before = past.rows("SELECT * FROM attempt_2026_06 ORDER BY call_id")
    past.run()
    with holding(db, past.files) as job:
        job.restore(MONTHS[0], date(2026, 12, 1), TODAY)
    assert [tuple(r)[:21] for r in past.rows("SELECT * FROM attempt_2026_06 ORDER BY call_id")] == [
        tuple(r)[:21] for r in before
    ]
    assert not list((tmp_path / "attempt").glob("2026-06*"))
    past.check()
    assert past.run().archived == []
    assert (
        len(past.run(at=TODAY + timedelta(days=8)).archived) == 6
    )  # and August's, three months having passed
    past.check()


def test_a_file_that_was_changed_is_told_and_never_restored(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path)
    past.run()
    [path] = (tmp_path / "attempt").glob("2026-06*.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with holding(db, past.files) as job:
        [manifest] = [m for m in job.manifests() if (m.kind, m.month) == ("attempt", MONTHS[0])]
        assert "is not what was written" in job.files.faults(job.duck, manifest)[0]
        with pytest.raises(ArchiveError, match="is not what was written"):
            job.restore(MONTHS[0], date(2026, 12, 1), TODAY)
    assert past.states()[("attempt", "2026-06")] == "archived"


def test_what_is_written_to_a_month_while_it_moves_is_in_its_file(
    db: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = Past(db, tmp_path)
    finish = archive.Job.finish

    def late(job, kind, month, manifest, *more):  # type: ignore[no-untyped-def]
        with db.begin() as connection:  # an agent who saves notes after the copy was made
            connection.execute(text("UPDATE attempt SET notes = 'late' WHERE leased_at < '2026-07-01'"))
        return finish(job, kind, month, manifest, *more)

    monkeypatch.setattr(archive.Job, "finish", late)
    past.run()
    monkeypatch.undo()
    june = [c for c in past.history.calls(IMPORTED, TODAY) if c.dialed_at.month == 6]
    assert {c.notes for c in june} == {"late"}
    past.check()


def test_a_reader_who_began_before_a_month_moved_sees_it_once(
    db: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = Past(db, tmp_path)
    moving = Thread(target=past.run)
    live = History._live

    def meanwhile(*given):  # type: ignore[no-untyped-def]
        moving.start()
        wait_for(lambda: ("attempt", "2026-06") in past.states())
        return live(*given)

    monkeypatch.setattr(History, "_live", meanwhile)
    seen = past.history.calls(IMPORTED, TODAY)
    monkeypatch.undo()
    moving.join()
    assert sorted(UUID(c.call_id) for c in seen) == sorted(past.calls)
    assert not any(c.archived for c in seen)
    past.check()


def test_calls_go_on_while_months_move_and_never_wait_for_a_lock(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path, name="old")
    calling = database.connect(db.url.render_as_string(hide_password=False))
    event.listen(calling, "connect", lambda raw, _: raw.cursor().execute("SET lock_timeout = '100ms'"))
    campaign = Campaign(calling, leads=500)
    moving = Thread(target=past.run)
    moving.start()
    called = 0
    while moving.is_alive() and called < 490:
        [lead] = campaign.lease()
        assert campaign.dial([lead]) == [lead.call_id]
        campaign.record(
            AttemptConnected(at=NOON, call_id=lead.call_id, user_id=7),
            AttemptEnded(at=NOON, call_id=lead.call_id, outcome="connected", final=True),
            Dispositioned(at=NOON, call_id=lead.call_id, user_id=7, code="sold"),
        )
        called += 1
    moving.join()
    calling.dispose()
    assert called > 0
    assert set(past.states().values()) == {"archived"}
    recorded = past.rows("SELECT FROM attempt WHERE outcome = 'connected' AND dialed_at = :at", at=NOON)
    assert len(recorded) == called


def test_a_folder_is_the_archive_of_one_database_and_another_touches_nothing(
    db: Engine, tmp_path: Path
) -> None:
    past = Past(db, tmp_path)
    past.run()
    other = database.connect(fresh_url())
    with pytest.raises(ArchiveError, match="is the archive of another database"), holding(other, past.files):
        pass
    other.dispose()
    past.check()


def test_months_do_not_go_to_a_second_folder(db: Engine, tmp_path: Path) -> None:
    past = Past(db, tmp_path / "shared")
    past.run()
    other = Files(tmp_path / "another")  # of another host, or what a disk is to be mounted over
    with pytest.raises(ArchiveError, match="in files of another folder") as refused, holding(db, other):
        pass
    assert not list(other.written())
    _, _, way_out = str(refused.value).partition("If they are lost, write ")
    identity, path = way_out.split(" into ")
    Path(path).write_text(identity)
    with holding(db, other):
        pass
    past.check()


def test_a_database_that_is_older_than_its_archive_loses_no_file_that_it_may_need(
    db: Engine, tmp_path: Path
) -> None:
    past = Past(db, tmp_path)
    past.run()
    for path in tmp_path.glob(
        "attempt/2026-06.1.*"
    ):  # as after an erasure that the database was restored from before
        path.rename(path.with_name(path.name.replace(".1.", ".2.")))
    for path in tmp_path.glob("attempt/2026-07.1.*"):  # of a month that it knows nothing of
        path.rename(path.with_name(path.name.replace("2026-07", "2026-01")))
    with holding(db, past.files) as job:
        assert len([fault for m in job.manifests() for fault in job.files.faults(job.duck, m)]) == 2
    assert {p.name for p in tmp_path.glob("attempt/*.parquet")} == {"2026-06.2.parquet", "2026-01.1.parquet"}


def test_the_daemon_does_not_load_duckdb() -> None:
    import subprocess
    import sys

    code = "import sys, dialer.daemon, dialer.cli, campaigns.history.retention; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("rolled", [False, True])
def test_the_abandon_ledger_of_a_campaigns_life_counts_archived_calls(
    db: Engine, tmp_path: Path, rolled: bool
) -> None:
    past = Past(db, tmp_path)
    with db.begin() as connection:
        connection.execute(text("UPDATE attempt SET outcome = 'abandoned' WHERE number_id % 10 = 1"))
        connection.execute(text("UPDATE attempt SET outcome = 'hung_up' WHERE number_id % 10 = 4"))
        connection.execute(text("UPDATE attempt SET amd = 'MACHINE' WHERE number_id % 30 = 4"))
        connection.execute(text("UPDATE attempt SET amd = 'HANGUP' WHERE number_id % 30 = 14"))
    life = timedelta(days=36_500)
    store = CampaignStore(db)
    before = store.window(past.campaign, life, TODAY, ["sold"])
    while rolled and (turn := roll(db, TODAY)) and turn.more:
        pass
    assert store.window(past.campaign, life, TODAY, ["sold"]) == before
    past.run()
    assert store.window(past.campaign, life, TODAY, ["sold"]) == before
    assert all(before)


def test_a_window_that_begins_within_an_archived_month_counts_the_rest_of_it(
    db: Engine, tmp_path: Path
) -> None:
    past = Past(db, tmp_path)
    with db.begin() as connection:
        connection.execute(text("UPDATE attempt SET outcome = 'abandoned' WHERE number_id % 10 = 1"))
        connection.execute(text("UPDATE attempt SET outcome = 'hung_up' WHERE number_id % 10 = 4"))
    since = TODAY - datetime(2026, 7, 15, 12, tzinfo=UTC)  # of the second of two months that go into files
    store = CampaignStore(db)
    while (turn := roll(db, TODAY)) is None or turn.more:
        pass
    before = store.window(past.campaign, since, TODAY, ["sold"])
    past.run()
    assert store.window(past.campaign, since, TODAY, ["sold"]) == before
