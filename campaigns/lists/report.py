"""What became of a list, row by row: for a program as JSON, for a clerk as a file of rejected rows to correct.

Both are written as the list is read, so they may be as long as the list.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from campaigns.lists.loading import Judged
from campaigns.lists.mapping import REJECT_PREFIX
from campaigns.lists.reading import Fault

KEPT = 20  # faults that are kept to be shown
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the start of a formula


@dataclass(slots=True)
class Result:
    """What became of a list. `rows` are those that are not blank: accepted, duplicates and rejected add up to it."""

    list_id: int = 0
    name: str = ""
    format: str = ""
    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    dry_run: bool = False
    notes: list[str] = field(default_factory=list)
    rejects: list[tuple[int, Fault]] = field(default_factory=list)  # the first few
    leads: list[tuple[int, str, tuple[str, ...]]] = field(
        default_factory=list
    )  # the first few: row, name, numbers


class Report:
    """Collects what became of the rows. `json` and `rejects` are files to be written, None for none."""

    def __init__(self, json: Path | None, rejects: Path | None) -> None:
        self.result = Result()
        self._json = json
        self._rejects_path = rejects
        self._rejects: IO[str] | None = None
        self._writer: Any = None
        self._parts: dict[str, IO[bytes]] = {}
        if json is not None:
            json.write_bytes(b"")  # a place that can't be written to is told before the work
            self._parts = {
                key: tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
                for key in ("leads", "rejects", "duplicate_rows", "left_out")
            }
        self._header: Sequence[str] = ()

    def begin(self, header: Sequence[str], format: str, notes: Sequence[str]) -> None:
        """The list is open."""
        self._header = header
        self.result.format = format
        self.result.notes.extend(notes)

    def rejected(self, row: int, cells: Sequence[Any], fault: Fault) -> None:
        """A row that is left out, with all its cells as they were."""
        result = self.result
        result.rows += 1
        result.rejected += 1
        if len(result.rejects) < KEPT:
            result.rejects.append((row, fault))
        self._put("rejects", row, fault)
        if self._rejects_path is None:
            return
        if self._rejects is None:
            self._rejects = self._rejects_path.open("w", encoding="utf-8-sig", newline="")
            self._writer = csv.writer(self._rejects)
            told = [REJECT_PREFIX + key for key in ("row", "column", "value", "reason")]
            self._writer.writerow([*told, *map(neutral, self._header)])
        self._writer.writerow(
            [row, *map(neutral, (fault.column, fault.value, fault.reason)), *(neutral(str(c)) for c in cells)]
        )

    def judged(self, chunk: Judged, cells: dict[int, Sequence[Any]]) -> None:
        """What became of a chunk of rows that could be read; `cells` are those rows as they were."""
        result = self.result
        for row, numbers in chunk.accepted:
            if len(result.leads) < KEPT:
                result.leads.append((row.row, row.name, numbers))
        if self._parts:
            encode = msgspec.json.encode
            self._parts["leads"].writelines(
                encode({"row": row.row, "name": row.name, "numbers": numbers}) + b",\n"
                for row, numbers in chunk.accepted
            )
        for row, fault in chunk.duplicates:
            self._put("duplicate_rows", row.row, fault)
        for number, fault in chunk.left_out:
            self._put("left_out", number, fault)
        for row, fault in chunk.barred:
            self.rejected(row.row, cells.get(row.row, ()), fault)
        result.accepted += len(chunk.accepted)
        result.duplicates += len(chunk.duplicates)
        result.rows += len(chunk.accepted) + len(chunk.duplicates)

    def end(self, refused: str = "") -> Result:
        """Close the files. With `refused` nothing went in, and the counts are of nothing."""
        if self._rejects is not None:
            self._rejects.close()
        if self._json is not None:
            self._write(self._json, refused)
        for part in self._parts.values():
            part.close()
        return self.result

    # --- within -----------------------------------------------------------------------------------------------

    def _put(self, part: str, row: int, fault: Fault) -> None:
        if self._parts:
            told = {"row": row, "column": fault.column, "value": fault.value, "reason": fault.reason}
            self._parts[part].write(msgspec.json.encode(told) + b",\n")

    def _write(self, path: Path, refused: str) -> None:
        result = self.result
        head: dict[str, Any] = {
            "list": result.name,
            "list_id": result.list_id,
            "format": result.format,
            "dry_run": result.dry_run,
            "rows": 0 if refused else result.rows,
            "accepted": 0 if refused else result.accepted,
            "duplicates": 0 if refused else result.duplicates,
            "rejected": 0 if refused else result.rejected,
            "refused": refused or None,
            "notes": result.notes,
        }
        with path.open("wb") as out:
            out.write(msgspec.json.encode(head)[:-1])
            for key, part in self._parts.items():
                out.write(f',\n"{key}": ['.encode())
                end = 0 if refused else part.tell()
                part.seek(0)
                left = max(0, end - 2)  # without the last comma
                while left and (block := part.read(min(left, 1 << 20))):
                    out.write(block)
                    left -= len(block)
                out.write(b"]")
            out.write(b"}\n")


def neutral(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; the reader of lists takes the apostrophe away again."""
    return "'" + cell if cell.startswith(FORMULA) else cell
