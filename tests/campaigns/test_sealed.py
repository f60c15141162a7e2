"""Sealed recordings: what was said comes back, nothing that was changed does, and a kill loses nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from campaigns.audit import lines
from campaigns.key_file import KeyFile, VaultError
from campaigns.recordings import LONGEST, QUIET, Plain, Recordings
from campaigns.records import AttemptConnected, AttemptEnded
from campaigns.sealed import (
    CHUNK,
    HEAD,
    PLACE,
    PLACES,
    TAG,
    Damaged,
    Sealed,
    key_id,
    rewrap,
    seal,
    wipe,
    wrapped_by,
)
from tests.campaigns.world import NOON, Campaign

CALL, OTHER = "01" * 16, "02" * 16
SOUND = b"RIFF" + random.Random(7).randbytes(3 * CHUNK + 1_000)
# For each number of a line, a process that seals the file and is killed before its so-manieth doing of those that the
# interpreter tells of: an open, a rename, a removal; 0: never. Says how each ended.
KILLED = """
import os, signal, sys
from pathlib import Path
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from campaigns.key_file import KeyFile
from campaigns.sealed import seal
plain, sealed, call, keys = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], KeyFile(Path(sys.argv[4]))
for line in sys.stdin:
    left = int(line)
    if (child := os.fork()) == 0:
        def told(event, arguments):
            global left
            if event in ("open", "os.rename", "os.remove", "os.utime") and str(plain.parent) in str(arguments[0]):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(told)
        seal(plain, sealed, call, keys)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    made = KeyFile(tmp_path / "recording-keys")
    made.make()
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "monitor"
    made.mkdir()
    return made


def paths(folder: Path, call: str = CALL) -> tuple[Path, Path]:
    return folder / f"{call}.wav", folder / f"{call}.sealed"


def sealed(folder: Path, keys: KeyFile, sound: bytes = SOUND, call: str = CALL) -> Path:
    plain, path = paths(folder, call)
    plain.write_bytes(sound)
    seal(plain, path, call, keys)
    return path


def heard(path: Path, keys: KeyFile, start: int = 0, stop: int | None = None, call: str = CALL) -> bytes:
    sound = Sealed(path, call, keys)
    try:
        return b"".join(sound.read(start, sound.length if stop is None else stop))
    finally:
        sound.close()


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_what_was_said_comes_back_and_nothing_of_it_is_in_the_file(
    folder: Path, keys: KeyFile, length: int
) -> None:
    sound = SOUND[:length]
    path = sealed(folder, keys, sound)
    assert heard(path, keys) == sound and os.listdir(folder) == [path.name]
    assert path.stat().st_mode & 0o077 == 0
    assert length < 64 or sound[:64] not in path.read_bytes()


def test_any_part_is_that_part(folder: Path, keys: KeyFile) -> None:
    path, dice = sealed(folder, keys), random.Random(3)
    for _ in range(50):
        start, stop = sorted(dice.sample(range(len(SOUND) + 1), 2))
        assert heard(path, keys, start, stop) == SOUND[start:stop]


@pytest.mark.parametrize(
    "at", [0, 12, PLACES[0] + 10, HEAD, HEAD + CHUNK + TAG + 5, HEAD + 3 * (CHUNK + TAG) + 1_002]
)
def test_a_changed_bit_is_not_played(folder: Path, keys: KeyFile, at: int) -> None:
    path = sealed(folder, keys)
    with path.open("r+b") as file:
        file.seek(at)
        [was] = file.read(1)
        file.seek(at)
        file.write(bytes([was ^ 1]))
    with pytest.raises(Damaged):
        heard(path, keys)


def test_what_comes_before_a_changed_part_is_genuine(folder: Path, keys: KeyFile) -> None:
    path = sealed(folder, keys)
    with path.open("r+b") as file:
        file.seek(HEAD + 2 * (CHUNK + TAG))
        file.write(b"?")
    sound = Sealed(path, CALL, keys)
    parts = sound.read(0, sound.length)
    assert next(parts) + next(parts) == SOUND[: 2 * CHUNK]
    with pytest.raises(Damaged, match="part 2"):
        next(parts)
    sound.close()


def test_cut_short_longer_swapped_or_another_calls_it_is_not_played(folder: Path, keys: KeyFile) -> None:
    path, whole = sealed(folder, keys), b""
    whole = path.read_bytes()
    a, b = (whole[HEAD + n * (CHUNK + TAG) :][: CHUNK + TAG] for n in range(2))
    for wrong in (whole[:-1], whole[: HEAD + CHUNK + TAG], whole[:100], b"", whole + b"x",
                  whole[:HEAD] + b + a + whole[HEAD + 2 * (CHUNK + TAG) :]):  # fmt: skip
        path.write_bytes(wrong)
        with pytest.raises(Damaged):
            heard(path, keys)
    path.write_bytes(whole)
    path.rename(paths(folder, OTHER)[1])
    with pytest.raises(Damaged):
        heard(paths(folder, OTHER)[1], keys, call=OTHER)


def test_another_key_opens_nothing_and_says_which_is_needed(
    folder: Path, keys: KeyFile, tmp_path: Path
) -> None:
    path, wrong = sealed(folder, keys), KeyFile(tmp_path / "wrong")
    with pytest.raises(VaultError, match="can't be read"):
        heard(path, wrong)
    wrong.make()
    with pytest.raises(VaultError, match=key_id(keys.read()[0]).hex()):
        heard(path, wrong)


def test_no_two_recordings_have_a_key_in_common(folder: Path, keys: KeyFile) -> None:
    first, second = sealed(folder, keys), sealed(folder, keys, call=OTHER)
    one, two = first.read_bytes(), second.read_bytes()
    assert one[HEAD : HEAD + 64] != two[HEAD : HEAD + 64]
    second.write_bytes(two[: PLACES[0]] + one[PLACES[0] : HEAD] + two[HEAD:])
    with pytest.raises(Damaged):
        heard(second, keys, call=OTHER)


def test_a_new_key_takes_over_and_the_old_one_opens_nothing(
    folder: Path, keys: KeyFile, tmp_path: Path
) -> None:
    path = sealed(folder, keys)
    os.utime(path, (1_000, 1_000))
    old = KeyFile(tmp_path / "old")
    (tmp_path / "old").touch(0o600)
    (tmp_path / "old").write_bytes(keys.path.read_bytes())
    sound = path.read_bytes()[HEAD:]
    keys.add()
    assert heard(path, keys) == SOUND
    assert rewrap(path, CALL, keys) and not rewrap(path, CALL, keys)
    keys.drop_old()
    assert heard(path, keys) == SOUND and path.read_bytes()[HEAD:] == sound and path.stat().st_mtime == 1_000
    with pytest.raises(VaultError):
        heard(path, old)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes another's file")
def test_a_new_key_leaves_the_file_whose_it_is(keys: KeyFile) -> None:
    shutil.chown(keys.path, "nobody")
    keys.add()
    assert (keys.path.owner(), keys.path.stat().st_mode & 0o777) == ("nobody", 0o600)


@pytest.mark.parametrize("torn", [0, 1, 40, PLACE])
def test_a_rewrapping_that_was_cut_off_leaves_it_open_and_is_done_again(
    folder: Path, keys: KeyFile, torn: int
) -> None:
    path = sealed(folder, keys)
    before = path.read_bytes()
    keys.add()
    rewrap(path, CALL, keys)
    after = path.read_bytes()
    new = (
        before[: PLACES[1]] + after[PLACES[1] :][:torn] + before[PLACES[1] + torn :]
    )  # only so much came to the disk
    path.write_bytes(new)
    assert heard(path, keys) == SOUND
    assert rewrap(path, CALL, keys) and wrapped_by(path) == [key_id(keys.read()[0])]
    assert heard(path, keys) == SOUND


@contextmanager
def sealer(folder: Path, keys: KeyFile) -> Iterator[Callable[..., int]]:
    """Has the call's recording sealed by a process; its pid, or how it ended."""
    command = [sys.executable, "-c", KILLED, *paths(folder), CALL, keys.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None

        def ended(at: int | None = None) -> int:
            if at is not None:
                print(at, file=process.stdin, flush=True)
            return int(process.stdout.readline())  # type: ignore[union-attr]

        yield ended
        process.stdin.close()


def test_a_kill_at_any_moment_leaves_one_of_them_whole(folder: Path, keys: KeyFile) -> None:
    plain, path = paths(folder)
    killed = 0
    with sealer(folder, keys) as ended:
        for at in range(1, 30):
            for each in folder.iterdir():
                each.unlink()
            plain.write_bytes(SOUND)
            ended(at)
            status = ended()
            assert plain.exists() or path.exists()
            assert not plain.exists() or plain.read_bytes() == SOUND
            assert not path.exists() or heard(path, keys) == SOUND
            if plain.exists():
                seal(plain, path, CALL, keys)
            assert not plain.exists() and heard(path, keys) == SOUND
            if status == 0:
                break
            assert status == -signal.SIGKILL
            killed += 1
    assert killed >= 6  # before it began, in between, when both were there


def test_a_kill_while_it_is_written_leaves_one_of_them_whole(folder: Path, keys: KeyFile) -> None:
    plain, path = paths(folder)
    with plain.open("wb") as file:
        file.truncate(100 << 20)
    with sealer(folder, keys) as ended:
        child = ended(0)
        deadline = time.monotonic() + 60
        while plain.exists() and not any(each.stat().st_size > HEAD for each in folder.glob(".*")):
            assert time.monotonic() < deadline
        os.kill(child, signal.SIGKILL)
        ended()
    assert plain.exists() or heard(path, keys, 0, 10) == bytes(10)
    assert not plain.exists() or plain.stat().st_size == 100 << 20


def test_a_long_one_is_sealed_and_played_in_little_memory(folder: Path, keys: KeyFile) -> None:
    plain, path = paths(folder)
    with plain.open("wb") as file:
        file.truncate(20 << 20)
    keys.read()
    tracemalloc.start()
    seal(plain, path, CALL, keys)
    sound = Sealed(path, CALL, keys)
    assert sum(len(part) for part in sound.read(0, sound.length)) == 20 << 20
    sound.close()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 << 20


def test_a_look_through_the_folder_takes_no_memory_for_all_that_is_in_it(db: Engine, folder: Path) -> None:
    recordings = Recordings(db, folder)
    for n in range(5_000):
        (folder / f"{n:032x}.sealed").touch()
    for look in (
        lambda: recordings.to_seal(NOON),
        lambda: recordings.clear(NOON),
        lambda: recordings.let_go(NOON - timedelta(days=3650)),
    ):
        assert not look()
        tracemalloc.start()
        assert not look()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 500_000


def test_all_that_is_old_goes_in_one_look_and_how_many_is_on_record(
    db: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("campaigns.recordings.AT_ONCE", 7)
    recordings, old = Recordings(db, folder), (NOON - timedelta(days=31)).timestamp()
    for n in range(40):
        path = folder / f"{n:032x}.{'wav' if n % 2 else 'sealed'}"
        path.touch()
        if n < 30:
            os.utime(path, (old, old))
    assert recordings.let_go(NOON - timedelta(days=30)) == 30
    assert {int(each.stem, 16) for each in folder.iterdir()} == set(range(30, 40))
    told = [json.loads(line.after or "") for line in lines(db, action="recordings deleted")]
    assert sum(each["recordings"] for each in told) == 30
    assert recordings.let_go(NOON - timedelta(days=30)) == 0


def test_what_grows_meanwhile_or_is_no_file_of_the_switchs_is_left_alone(
    folder: Path, keys: KeyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, path = paths(folder)
    (tmp_path / "secret").write_bytes(b"of somebody else")
    plain.symlink_to(tmp_path / "secret")
    for make in (
        lambda: None,
        lambda: (plain.unlink(), os.mkfifo(plain)),
        lambda: (plain.unlink(), plain.mkdir()),
    ):
        make()
        with pytest.raises(OSError):
            seal(plain, path, CALL, keys)
        with pytest.raises(OSError):
            Plain(plain)
        assert os.listdir(folder) == [plain.name]
    path.symlink_to(tmp_path / "secret")
    for work in (
        lambda: Sealed(path, CALL, keys),
        lambda: rewrap(path, CALL, keys),
        lambda: wrapped_by(path),
    ):
        with pytest.raises(OSError):
            work()
    wipe(path)
    assert (tmp_path / "secret").read_bytes() == b"of somebody else"
    plain.rmdir()
    plain.write_bytes(SOUND)
    synced = os.fsync

    def fsync(file: int) -> None:
        with plain.open("ab") as more:
            more.write(b"one more word")
        synced(file)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Damaged, match="still being written"):
        seal(plain, path, CALL, keys)
    assert os.listdir(folder) == [plain.name] and plain.read_bytes().startswith(SOUND)


def test_calls_that_are_over_are_sealed_and_let_go_with_their_keys(
    db: Engine, folder: Path, keys: KeyFile
) -> None:
    campaign = Campaign(db, leads=2)
    over, on = campaign.dial(campaign.lease(2))
    for call in (over, on):
        campaign.record(AttemptConnected(at=NOON, call_id=call, user_id=1))
    campaign.record(AttemptEnded(at=NOON, call_id=over, outcome="connected"))
    recordings = Recordings(db, folder, keys)
    written = (NOON - 2 * QUIET).timestamp()
    for name in (over, on, OTHER, "notes"):
        (folder / f"{name}.wav").write_bytes(SOUND)
        os.utime(folder / f"{name}.wav", (written, written))
    (folder / f"{'f' * 32}.wav").touch()  # of no time that there is
    (folder / f"{'03' * 16}.wav").symlink_to(folder / f"{'03' * 16}.wav")
    (folder / f"{'04' * 16}.sealed").mkdir()
    os.utime(folder / f"{'04' * 16}.sealed", (0, 0))
    os.utime(folder / f"{'f' * 32}.wav", (written, written))
    os.utime(folder / f"{OTHER}.wav", ((NOON - 2 * LONGEST).timestamp(),) * 2)
    (folder / f".{over}.sealed.0badf00d").touch()  # of an engine that was killed
    os.utime(folder / f".{over}.sealed.0badf00d", (written, written))
    assert recordings.to_seal(NOON - QUIET) == [OTHER]  # whoever was sent on to somebody is still recorded
    assert recordings.to_seal(NOON) == [OTHER, over]
    for call in recordings.to_seal(NOON):
        recordings.seal(call)
    recordings.clear(NOON)
    recordings.clear(NOON + 2 * LONGEST)
    strange = {f"{'f' * 32}.wav", f"{'03' * 16}.wav", f"{'04' * 16}.sealed", "notes.wav"}
    there = {each.name for each in folder.iterdir()}
    assert there - strange == {f"{over}.sealed", f"{OTHER}.sealed", f"{on}.wav"} and strange < there
    for call in (over, on):
        sound = recordings.sound(call)
        assert b"".join(sound.read(0, sound.length)) == SOUND
        sound.close()
    with pytest.raises(VaultError, match="names no keys"):
        Recordings(db, folder).sound(over)
    kept = os.open(folder / f"{OTHER}.sealed", os.O_RDONLY)
    assert recordings.let_go(NOON - timedelta(hours=30)) == 1
    assert os.pread(kept, HEAD, 0) == bytes(HEAD)  # its key went before its name
    os.close(kept)
    keys.add()
    (folder / f"{OTHER}.sealed").write_bytes(b"?")
    told: list[str] = []
    (folder / f"{'04' * 16}.sealed").rmdir()
    assert recordings.rewrap(told.append) == (1, 1) and OTHER in told[0]
    assert len(lines(db, action="recordings rewrapped")) == 1
