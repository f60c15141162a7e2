"""The switch's own call log: one record a call, JSON lines, the witness that knows nothing of the engine's books.

The file has each record anew whenever the call got further, so that what a killed switch had in its hands is on file.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import IO

import msgspec


class BridgeStay(msgspec.Struct, omit_defaults=True):
    """One stay in a bridge; times are Unix seconds. `peers` are the uids that were in it at the same time."""

    bridge: str
    entered: float
    peers: list[str] = msgspec.field(default_factory=list)
    left: float | None = None


class CallRecord(msgspec.Struct):
    """What became of one Originate. Times are Unix seconds, absent when it did not happen.

    `ended_by` is far_end, engine (Hangup action), dialplan, ring_limit, refused (never became a channel), restart (the
    switch lost it), stopped (the virtual switch was closed), or empty while the call is up. `harbour` is agi,
    playback or empty; `harbour_done` when the message was heard to its end.
    """

    uid: str
    dial: str
    created: float
    context: str = ""
    attempt: int = 1
    ringing: float | None = None
    answered: float | None = None
    bridged_with: list[BridgeStay] = msgspec.field(default_factory=list)
    harbour: str = ""
    harbour_done: bool = False
    amd: str = ""
    digits: str = ""
    sent_keys: str = ""  # to its far end, by PlayDTMF
    muted: bool = False
    ended: float | None = None
    cause: int | None = None
    tech_cause: int | None = None
    ended_by: str = ""


class CallLog:
    """All calls by uid, in the order they were made, and a file that gets each one as it goes on.

    A uid that was used twice is kept twice: `calls` has all, `by_uid` the latest.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.calls: list[CallRecord] = []
        self.by_uid: dict[str, CallRecord] = {}
        self._file: IO[bytes] | None = path.open("ab") if path is not None else None

    def open_call(self, uid: str, dial: str, context: str, attempt: int) -> CallRecord:
        record = CallRecord(uid, dial, time.time(), context, attempt)
        self.calls.append(record)
        self.by_uid[uid] = record
        return record

    def end(self, record: CallRecord, cause: int | None, tech_cause: int | None, ended_by: str) -> None:
        record.ended = time.time()
        record.cause, record.tech_cause, record.ended_by = cause, tech_cause, ended_by
        self.note(record)

    def note(self, record: CallRecord) -> None:
        """The call got further: what is known of it goes to the file."""
        if self._file is not None:
            self._file.write(msgspec.json.encode(record) + b"\n")
            self._file.flush()

    def live(self) -> list[CallRecord]:
        return [record for record in self.calls if record.ended is None]

    def close(self) -> None:
        """Close the file; calls that are up must have been ended before."""
        if self._file is not None:
            self._file.close()
            self._file = None


class LogReader:
    """Reads a log file, again and again as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._calls: dict[tuple[str, float], CallRecord] = {}
        self._decode = msgspec.json.Decoder(CallRecord).decode

    def calls(self) -> list[CallRecord]:
        """The calls in the order they were made, each as it was told last; a line without its end is none yet."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read)
                lines = file.read().split(b"\n")[:-1]
            for line in lines:
                record = self._decode(line)
                self._calls[record.uid, record.created] = record
                self._read += len(line) + 1
        return list(self._calls.values())


def read_log(path: Path) -> list[CallRecord]:
    """The calls of a log file, see :meth:`LogReader.calls`."""
    return LogReader(path).calls()
