"""What was put on record survives: in groups, in order, once, whatever of database and disk is away meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy import exc as sa
from structlog.testing import capture_logs

from campaigns.journal_store import JournalStore
from campaigns.records import AnyRecord, AttemptEnded, Audited, SeatChanged
from dialer import journal as journal_module
from dialer.daemon import _unavailable_told_apart
from dialer.engine import SAVE_LIMIT_S
from dialer.journal import Batch, Journal, Spool, Unavailable
from tests.campaigns.world import NOON, Campaign

LIMIT_S = 20.0


def note(n: int) -> Audited:
    """The n-th of the day's entries."""
    return Audited(at=datetime(2026, 11, 24, tzinfo=UTC), actor="chen", action="note", subject=str(n))


class Tables:
    """A database as the journal knows it: it keeps the last serial, may be away, and refuses what a test names."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.serial = 0
        self.away = False
        self.asked = self.tried = 0
        self.refuses: set[str] = set()
        self.open = threading.Event()
        self.open.set()

    def apply(self, batch: Batch) -> None:
        self.asked += 1
        self.open.wait(LIMIT_S)
        self.tried += 1
        if self.away:
            raise Unavailable("connection refused")
        fresh = [(serial, record) for serial, record in batch if serial > self.serial]
        if bad := [r.subject for _, r in fresh if r.subject in self.refuses]:  # type: ignore[union-attr]
            raise ValueError(f"value too long: {bad[0]}")
        if fresh:
            self.batches.append([r.subject for _, r in fresh])  # type: ignore[union-attr]
            self.serial = batch[-1][0]

    @property
    def rows(self) -> list[str]:
        return [subject for batch in self.batches for subject in batch]


@asynccontextmanager
async def writing(tables: Tables, folder: Path) -> AsyncIterator[Journal]:
    journal = Journal(tables.apply, folder, tables.serial)
    try:
        yield journal
    finally:
        tables.open.set()
        await journal.close()


async def until(so: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not so():
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "RETRY_S", 0.05)


def numbers(first: int, last: int) -> list[str]:
    return [str(n) for n in range(first, last + 1)]


# --- the database is there ---------------------------------------------------------------------------------------


async def test_what_gathers_while_a_commit_is_on_shares_the_next_one(tmp_path: Path) -> None:
    tables = Tables()
    async with writing(tables, tmp_path) as journal:
        tables.open.clear()
        journal.put(note(1))
        await until(lambda: tables.asked == 1)
        for n in range(2, 501):
            journal.put(note(n))
        tables.open.set()
        await journal.durable(500)
        assert tables.rows == numbers(1, 500)
        assert journal.commits <= 3 and journal.applied == 500 and journal.depth == 0
    assert not (tmp_path / "journal.spool").exists()


async def test_what_comes_soon_after_a_commit_shares_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "GATHER_S", 0.3)
    tables = Tables()
    async with writing(tables, tmp_path) as journal:
        tables.open.clear()
        journal.put(note(1))
        await until(lambda: tables.asked == 1)
        journal.put(note(2))
        tables.open.set()
        await journal.durable(1)
        journal.put(note(3))
        await journal.durable(3)
        assert tables.batches == [["1"], ["2", "3"]]


async def test_durable_waits_for_the_commit_and_for_nothing_else(tmp_path: Path) -> None:
    tables = Tables()
    async with writing(tables, tmp_path) as journal:
        await journal.durable(journal.put(note(1)))
        assert tables.rows == ["1"]
        tables.open.clear()
        later = journal.put(note(2))
        await journal.durable(1)  # that one is safe already
        waiting = asyncio.create_task(journal.durable(later))
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        assert not done and tables.rows == ["1"]
        tables.open.set()
        async with asyncio.timeout(LIMIT_S):
            await waiting
        assert tables.rows == ["1", "2"]


async def test_what_was_taken_is_on_record_once_it_is_in_the_database_and_not_in_the_spool(
    tmp_path: Path,
) -> None:
    tables = Tables()
    async with writing(tables, tmp_path) as journal:
        assert await journal.on_record(LIMIT_S)
        journal.put(note(1))
        assert await journal.on_record(LIMIT_S) and tables.rows == ["1"]
        tables.open.clear()
        journal.put(note(2))
        assert not await journal.on_record(0.05)
        tables.away = True
        tables.open.set()
        assert not await journal.on_record(LIMIT_S)
        tables.away = False
        await until(lambda: journal.depth == 0)
        assert await journal.on_record(LIMIT_S)


async def test_one_who_gave_up_waiting_holds_up_nobody(tmp_path: Path) -> None:
    tables = Tables()
    async with writing(tables, tmp_path) as journal:
        tables.open.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await journal.durable(journal.put(note(1)))
        waiting = asyncio.create_task(journal.durable(journal.put(note(2))))
        tables.open.set()
        async with asyncio.timeout(LIMIT_S):
            await waiting


async def test_what_was_put_before_the_end_is_written_at_the_end(tmp_path: Path) -> None:
    tables = Tables()
    async with writing(tables, tmp_path) as journal:
        for n in range(1, 5001):
            journal.put(note(n))
    assert tables.rows == numbers(1, 5000)
    assert max(map(len, tables.batches)) <= journal_module.MAX_BATCH


async def test_a_fault_of_its_own_does_not_end_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, append, failed = Tables(), Spool.append, []

    def fails_once(spool: Spool, batch: Batch) -> None:
        if not failed:
            failed.append(batch)
            raise RuntimeError("nobody thought of this")
        append(spool, batch)

    monkeypatch.setattr(Spool, "append", fails_once)
    tables.away = True
    async with writing(tables, tmp_path) as journal:
        async with asyncio.timeout(LIMIT_S):
            await journal.durable(journal.put(note(1)))
        assert failed
        tables.away = False
        journal.put(note(2))
        await until(lambda: tables.rows == ["1", "2"])


# --- the database is away ----------------------------------------------------------------------------------------


async def test_a_database_that_is_away_loses_nothing_and_gets_all_in_order_when_it_is_back(
    tmp_path: Path,
) -> None:
    tables = Tables()
    async with writing(tables, tmp_path) as journal:
        await journal.durable(journal.put(note(1)))
        tables.away = True
        for n in range(2, 100):
            journal.put(note(n))
        await journal.durable(99)  # on disk is durable
        assert not journal.available and journal.depth == 98
        [spooled] = Spool(tmp_path / "journal.spool").read()
        assert [record.subject for _, record in spooled] == numbers(2, 99)  # type: ignore[union-attr]
        tables.away = False
        for n in range(100, 150):
            journal.put(note(n))
        await until(lambda: journal.depth == 0)
        assert tables.rows == numbers(1, 149) and journal.available
    assert not (tmp_path / "journal.spool").exists()


async def test_a_spooled_record_is_synced_before_anyone_is_told_that_it_is_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def noted(fd: int) -> None:
        fsync(fd)
        synced.append(os.fstat(fd).st_size)

    monkeypatch.setattr(journal_module.os, "fsync", noted)
    tables = Tables()
    tables.away = True
    async with writing(tables, tmp_path) as journal:
        await journal.durable(journal.put(note(1)))
        assert synced == [(tmp_path / "journal.spool").stat().st_size]


async def test_an_engine_that_ended_without_a_database_hands_its_spool_to_the_next(tmp_path: Path) -> None:
    tables = Tables()
    tables.away = True
    async with writing(tables, tmp_path) as journal:
        for n in range(1, 11):
            journal.put(note(n))
    tables.away = False
    async with writing(tables, tmp_path) as journal:
        assert journal.depth == 10
        journal.put(note(11))
        await until(lambda: journal.depth == 0)
    assert tables.rows == numbers(1, 11)


async def test_what_the_database_has_already_is_not_applied_again(tmp_path: Path) -> None:
    """A crash between the commit and the end of the spool: the serial in the database tells."""
    tables = Tables()
    Spool(tmp_path / "journal.spool").append([(n, note(n)) for n in range(1, 6)])
    tables.apply([(n, note(n)) for n in range(1, 4)])
    async with writing(tables, tmp_path) as journal:
        journal.put(note(6))
        await until(lambda: journal.depth == 0)
    assert tables.rows == numbers(1, 6)


@pytest.mark.parametrize("lost", [1, 20])
async def test_a_line_cut_by_a_crash_is_dropped_and_swallows_none(tmp_path: Path, lost: int) -> None:
    """It was never promised: `durable` had not returned."""
    file = tmp_path / "journal.spool"
    Spool(file).append([(n, note(n)) for n in range(1, 4)])
    file.write_bytes(file.read_bytes()[:-lost])
    tables = Tables()
    tables.away = True
    async with writing(tables, tmp_path) as journal:
        await journal.durable(journal.put(note(4)))
        tables.away = False
        await until(lambda: journal.depth == 0)
    whole = ["1", "2", "3"] if lost == 1 else ["1", "2"]  # a line end is no part of the record
    assert tables.rows == [*whole, "4"]


async def test_a_spool_that_is_binary_garbage_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "journal.spool").write_bytes(os.urandom(5_000))
    tables = Tables()
    async with writing(tables, tmp_path) as journal:
        await journal.durable(journal.put(note(1)))
        await until(lambda: journal.depth == 0)
    assert tables.rows == ["1"]


# --- the database hangs: it takes a batch, and says nothing more --------------------------------------------------


@pytest.mark.parametrize("commits", [True, False], ids=["it was committed", "it was not"])
async def test_a_database_that_hangs_is_away_and_gets_each_record_once_when_it_speaks_again(
    commits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "APPLY_LIMIT_S", 0.05, raising=False)
    tables = Tables()
    async with writing(tables, tmp_path) as journal:
        tables.open.clear()
        async with asyncio.timeout(LIMIT_S / 4):
            await journal.durable(journal.put(note(1)))
            await journal.durable(journal.put(note(2)))  # nor does it hold up what comes after
        assert not journal.available and journal.depth == 2 and tables.tried == 0
        tables.away = not commits
        tables.open.set()
        await until(lambda: tables.tried)
        tables.away = False
        await until(lambda: journal.depth == 0)
        assert journal.available
    assert tables.rows == ["1", "2"]


async def test_what_a_database_that_hangs_has_not_confirmed_is_left_to_the_next_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM, with the server frozen: what was put on record since then is in nobody's memory but this one's."""
    monkeypatch.setattr(journal_module, "APPLY_LIMIT_S", 0.05, raising=False)
    hanging = Tables()
    hanging.open.clear()
    journal = Journal(hanging.apply, tmp_path, 0)
    for n in range(1, 6):
        journal.put(note(n))
    await journal.close(1.0)
    tables = Tables()
    async with writing(tables, tmp_path) as journal:
        await until(lambda: tables.rows)
    assert tables.rows == numbers(1, 5)
    hanging.open.set()


async def test_while_a_database_that_is_away_is_tried_again_what_comes_is_safe_in_time_for_an_agents_verdict(
    tmp_path: Path,
) -> None:
    """Its host is gone, and each try hangs until the connection is given up."""
    tables = Tables()
    tables.away = True
    async with writing(tables, tmp_path) as journal:
        await journal.durable(journal.put(note(1)))
        for n in range(2, 4):
            asked = tables.asked
            tables.open.clear()
            await until(lambda asked=asked: tables.asked > asked)
            async with asyncio.timeout(SAVE_LIMIT_S):
                await journal.durable(journal.put(note(n)))
            tables.open.set()
        tables.away = False
        await until(lambda: journal.depth == 0)
        assert journal.available and journal.applied == 3
    assert tables.rows == numbers(1, 3)


async def test_a_refused_record_with_which_the_spool_begins_keeps_no_slow_database_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "AWAY_LIMIT_S", 0.2, raising=False)
    tables = Tables()
    tables.away, tables.refuses = True, {"1", "3"}
    async with writing(tables, tmp_path) as journal:
        for n in range(1, 5):
            await journal.durable(journal.put(note(n)))
        apply = tables.apply

        def slowly(batch: Batch) -> None:
            threading.Event().wait(0.3 if len(batch) > 1 else 0.0)
            apply(batch)

        monkeypatch.setattr(journal._apply, "_apply", slowly)
        tables.away = False
        await until(lambda: journal.depth == 0)
        assert journal.rejected == 2
    assert tables.rows == ["2", "4"]


# --- the disk ----------------------------------------------------------------------------------------------------


class Disk:
    """A disk that is full: `left` bytes of a write still fit, then it says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.full, self.left, self.tried = False, 0, 0
        disk, opened = self, Path.open

        def open_(path: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
            if disk.full and path.name == name and "a" in mode:
                disk.tried += 1
                if disk.left:
                    with opened(path, mode, *args, **more) as file:
                        return _Full(path, disk.left, file.tell())
                raise OSError(28, "No space left on device")
            return opened(path, mode, *args, **more)

        monkeypatch.setattr(Path, "open", open_)


class _Full:
    def __init__(self, path: Path, left: int, at: int) -> None:
        self._path, self._left, self._at = path, left, at

    def __enter__(self) -> _Full:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self) -> int:
        return self._at

    def write(self, data: bytes) -> int:
        fits, self._left = data[: self._left], max(0, self._left - len(data))
        with open(self._path, "ab") as file:
            file.write(fits)
        if len(fits) < len(data):
            raise OSError(28, "No space left on device")
        return len(data)


async def test_with_neither_database_nor_disk_records_are_kept_until_one_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, disk = Tables(), Disk(monkeypatch, "journal.spool")
    tables.away = disk.full = True
    disk.left = 20  # a piece of a line
    async with writing(tables, tmp_path) as journal:
        waiting = asyncio.create_task(journal.durable(journal.put(note(1))))
        await until(lambda: disk.tried >= 2)
        assert not waiting.done() and journal.depth == 1
        journal.put(note(2))
        tables.away = False
        async with asyncio.timeout(LIMIT_S):
            await waiting
        await until(lambda: journal.depth == 0)
    assert tables.rows == ["1", "2"]
    assert not (tmp_path / "journal.spool").exists()  # nothing waits, and nothing seems to


async def test_at_the_end_neither_is_given_up_while_there_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, disk = Tables(), Disk(monkeypatch, "journal.spool")
    tables.away = disk.full = True
    journal = Journal(tables.apply, tmp_path, 0)
    journal.put(note(1))
    ending = asyncio.create_task(journal.close(LIMIT_S))
    await until(lambda: disk.tried >= 3 or ending.done())
    disk.full = False
    with capture_logs() as said:
        await ending
    [spooled] = Spool(tmp_path / "journal.spool").read()
    assert [serial for serial, _ in spooled] == [1]
    assert not [line for line in said if "lost" in line["event"]]


async def test_what_neither_takes_until_the_end_is_told_to_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, disk = Tables(), Disk(monkeypatch, "journal.spool")
    tables.away = disk.full = True
    journal = Journal(tables.apply, tmp_path, 0)
    journal.put(note(1))
    with capture_logs() as said:
        await journal.close(0.3)
    assert [line["records"] for line in said if "what it has left is lost" in line["event"]] == [1]
    disk.full = False
    await journal.close()


async def test_a_disk_that_filled_up_in_the_middle_of_a_batch_writes_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, disk = Tables(), Disk(monkeypatch, "journal.spool")
    tables.away = disk.full = True
    disk.left = 250  # two whole lines and some of the third
    async with writing(tables, tmp_path) as journal:
        tables.open.clear()
        for n in range(1, 6):
            journal.put(note(n))
        tables.open.set()
        await until(lambda: disk.tried >= 1)
        disk.full = False
        await journal.durable(5)
        tables.away = False
        await until(lambda: journal.depth == 0)
    assert tables.rows == numbers(1, 5)


# --- a record that is refused ------------------------------------------------------------------------------------


async def test_a_record_that_is_refused_by_itself_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    tables = Tables()
    tables.refuses = {"17", "400"}
    async with writing(tables, tmp_path) as journal:
        tables.open.clear()
        for n in range(1, 501):
            journal.put(note(n))
        tables.open.set()
        async with asyncio.timeout(LIMIT_S):
            await journal.durable(500)  # it holds up nobody, and is not lost either
        assert (journal.applied, journal.rejected) == (498, 2)
    assert tables.rows == [n for n in numbers(1, 500) if n not in tables.refuses]
    lines = [json.loads(line) for line in (tmp_path / "journal.rejected").read_text("utf-8").splitlines()]
    assert [(line["serial"], line["record"]["subject"], line["reason"]) for line in lines] == [
        (17, "17", "value too long: 17"),
        (400, "400", "value too long: 400"),
    ]


async def test_a_refused_record_and_a_full_disk_do_not_end_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, disk = Tables(), Disk(monkeypatch, "journal.rejected")
    tables.refuses, disk.full = {"2"}, True
    async with writing(tables, tmp_path) as journal:
        for n in range(1, 4):
            journal.put(note(n))
        await until(lambda: disk.tried >= 2)
        assert journal.depth  # nothing is let go of that is neither in the tables nor on disk
        disk.full = False
        await until(lambda: journal.depth == 0)
    assert tables.rows == ["1", "3"]
    assert len((tmp_path / "journal.rejected").read_text("utf-8").splitlines()) == 1


async def test_a_refused_record_is_set_aside_once_however_often_the_spool_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_BATCH", 2)
    tables = Tables()
    tables.refuses = {"2"}
    Spool(tmp_path / "journal.spool").append([(n, note(n)) for n in range(1, 5)])
    apply, failures = tables.apply, 0

    def sometimes(batch: Batch) -> None:
        nonlocal failures
        if batch[0][0] == 3 and failures < 2:
            failures += 1
            raise Unavailable("connection lost")
        apply(batch)

    monkeypatch.setattr(tables, "apply", sometimes)
    async with writing(tables, tmp_path) as journal:
        await until(lambda: journal.depth == 0)
        assert journal.rejected == 1
    assert tables.rows == ["1", "3", "4"]
    assert len((tmp_path / "journal.rejected").read_text("utf-8").splitlines()) == 1


# --- the real tables ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        sa.TimeoutError("QueuePool limit of size 8 overflow 0 reached"),
        sa.OperationalError("", None, Exception("could not connect")),
    ],
    ids=["no connection is free", "no server"],
)
async def test_a_busy_or_absent_database_is_away_and_no_records_fault(
    fault: Exception, tmp_path: Path
) -> None:
    def apply(batch: Batch) -> None:
        raise fault

    with pytest.raises(Unavailable):
        _unavailable_told_apart(apply)([(1, note(1))])


async def test_a_server_that_became_a_read_only_standby_is_away_until_it_is_not(
    db: Engine, tmp_path: Path
) -> None:
    """After a failover every record is refused; setting them all aside would be losing them by hand."""
    standby = True
    store = JournalStore(db, "engine-1")

    class Standby:
        """The engine with its transactions turned read-only."""

        connect = db.connect

        @contextmanager
        def begin(self) -> Iterator[Connection]:
            with db.begin() as connection:
                connection.exec_driver_sql(f"SET TRANSACTION READ {'ONLY' if standby else 'WRITE'}")
                yield connection

    store._engine = Standby()  # type: ignore[assignment]
    journal = Journal(_unavailable_told_apart(store.apply), tmp_path, 0)
    await journal.durable(journal.put(note(1)))
    assert not journal.available and journal.rejected == 0
    standby = False
    await until(lambda: journal.depth == 0)
    await journal.close()
    assert (journal.rejected, journal.applied, store.last_serial()) == (0, 1, 1)


async def test_a_bad_record_among_good_ones_costs_only_itself_in_the_real_tables(
    db: Engine, tmp_path: Path
) -> None:
    campaign = Campaign(db)
    [lead] = campaign.lease()
    campaign.dial([lead])
    records: list[AnyRecord] = [
        SeatChanged(at=NOON, user_id=7, session_id="s", state="talking"),
        SeatChanged(at=NOON, user_id=7, session_id="s", state="\0"),  # PostgreSQL takes no NUL in a text
        AttemptEnded(at=NOON, call_id="no id of ours", outcome="connected"),
        AttemptEnded(at=NOON, call_id=lead.call_id, outcome="connected", user_id=7, final=True),
    ]
    store = JournalStore(db, "engine-1")
    journal = Journal(_unavailable_told_apart(store.apply), tmp_path, store.last_serial())
    serials = [journal.put(record) for record in records]
    await journal.durable(serials[-1])
    await journal.close()
    assert (journal.applied, journal.rejected) == (2, 2)
    assert campaign.one("SELECT outcome FROM attempt")[0] == "connected"
    assert campaign.one("SELECT count(*) FROM seat_log")[0] == 1
