"""Workbooks (XLSX, XLS, ODS), read in a process of its own with limits on memory and time.

A workbook of 5 kB can ask for 512 GiB, and the library then aborts its process, which no exception tells of. So a
child reads it, and what becomes of the child is one line to the person who gave the file. The child speaks in frames:
four bytes of length, then JSON; the sheet first, then batches of rows, an empty batch at the end.
"""

from __future__ import annotations

import json
import resource
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import msgspec

from campaigns.lists.mapping import HEADER_WITHIN, find_header
from campaigns.lists.reading import Record, Table, as_text, open_rows
from campaigns.lists.sources import ImportFailed, Source

MEMORY = 2 << 30  # bytes of address space; a million rows of ten columns take half of it
TIME_S = 300  # of the child's CPU; a million rows take 15 s
SILENCE_S = 120.0  # until the next batch; the first comes when the sheet is parsed
BATCH = 500  # rows
LENGTH = struct.Struct(">I")
MOST_FRAME = 256 << 20  # bytes


def read_workbook(source: Source, given: Mapping[str, str]) -> Table:
    """The first visible sheet that names a number's column. Raises :class:`ImportFailed`."""
    child = subprocess.Popen(  # -P: a list may lie beside it that is called json.py
        [sys.executable, "-P", "-m", "campaigns.lists.workbook", str(source.path), json.dumps(dict(given))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    frames = _frames(child, source.name)
    first: dict[str, Any] = next(frames)
    done = [0]
    table = open_rows(_records(frames, done), source.name, given)
    table.format = f"sheet {first['sheet']}"
    table.share = lambda: min(1.0, done[0] / max(1, first["rows"]))
    if first["others"]:
        table.notes.append(
            f"only sheet {first['sheet']!r} was read, not {', '.join(map(repr, first['others']))}"
        )
    return table


def _records(frames: Iterator[Any], done: list[int]) -> Iterator[Record]:
    row = 0
    for batch in frames:
        for cells in batch:
            row += 1
            yield row, cells, None
        done[0] = row


def _frames(child: subprocess.Popen[bytes], name: str) -> Iterator[Any]:
    """What the child says, until its end; a child that says nothing for too long is killed."""
    assert child.stdout is not None
    late = threading.Event()

    def give_up() -> None:
        late.set()
        child.kill()

    try:
        while True:
            timer = threading.Timer(SILENCE_S, give_up)
            timer.start()
            try:
                frame = _frame(child.stdout)
            finally:
                timer.cancel()
            if frame is None:
                raise ImportFailed(f"{name}: {_fate(child.wait(), late.is_set())}")
            if isinstance(frame, str):
                raise ImportFailed(f"{name}: {frame}")
            if frame == []:
                return
            yield frame
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def _frame(out: IO[bytes]) -> Any:
    head = out.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = out.read(length) if length <= MOST_FRAME else b""
    return msgspec.json.decode(body) if len(body) == length else None


def _fate(code: int, late: bool) -> str:
    if late or code == -signal.SIGXCPU:
        return f"the workbook could not be read in {TIME_S} s; save the list alone as CSV"
    if code in (-signal.SIGABRT, -signal.SIGKILL, -signal.SIGSEGV, 1):
        return (
            f"the workbook needs more than {MEMORY >> 30} GiB to be read; a cell far from the table, or a bomb: "
            "copy the table into a new workbook, or save it as CSV"
        )
    return f"the workbook's reader ended with code {code}"


# --- in the child ---------------------------------------------------------------------------------------------


def _send(value: Any) -> None:
    body = msgspec.json.encode(value)
    sys.stdout.buffer.write(LENGTH.pack(len(body)) + body)


def _columns_filled(ranges: Sequence[Any], left: int) -> dict[int, list[tuple[int, int]]]:
    """Of merged cells, those of several rows: by column, first and last row. What stands above stands in all."""
    found: dict[int, list[tuple[int, int]]] = {}
    for (top, first), (bottom, _) in ranges:
        if bottom > top and first >= left:
            found.setdefault(first - left, []).append((top, bottom))
    return {column: sorted(spans) for column, spans in found.items()}


def _rows(sheet: Any) -> Iterator[list[str]]:
    filled = _columns_filled(sheet.merged_cell_ranges or (), (sheet.start or (0, 0))[1])
    kept: dict[int, tuple[int, str]] = {}  # column to the last row of a merged cell, and its text
    for at, values in enumerate(sheet.iter_rows()):
        cells = [as_text(value) for value in values]
        for column, spans in filled.items():
            until, text = kept.get(column, (-1, ""))
            if at <= until:
                cells[column] = text
            elif spans and spans[0][0] == at:
                kept[column] = (spans.pop(0)[1], cells[column])
        yield cells


def _child(path: str, given: Mapping[str, str]) -> None:
    import python_calamine

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (TIME_S, TIME_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    book = python_calamine.CalamineWorkbook.from_path(path)
    visible = [
        each.name
        for each in book.sheets_metadata
        if each.visible == python_calamine.SheetVisibleEnum.Visible
        and each.typ == python_calamine.SheetTypeEnum.WorkSheet
    ]
    chosen, some = None, []
    for name in visible:
        sheet = book.get_sheet_by_name(name)
        if not sheet.height:
            continue
        some.append(name)
        head = [cells for cells, _ in zip(_rows(sheet), range(HEADER_WITHIN), strict=False)]
        if chosen is None and find_header(head, given) is not None:
            chosen = name
    if not some:
        _send("is empty; the first row must name the columns")
        return
    sheet = book.get_sheet_by_name(chosen or some[0])
    _send(
        {"sheet": sheet.name, "rows": sheet.height, "others": [name for name in some if name != sheet.name]}
    )
    batch: list[list[str]] = []
    for cells in _rows(sheet):
        batch.append(cells)
        if len(batch) == BATCH:
            _send(batch)
            batch = []
    if batch:
        _send(batch)
    _send([])


def _main() -> None:
    import python_calamine

    try:
        _child(sys.argv[1], json.loads(sys.argv[2]))
    except python_calamine.PasswordError:
        _send("is locked with a password; save it without one")
    except (python_calamine.CalamineError, OSError, ValueError) as fault:
        _send(f"is no workbook that can be read: {fault}")
    except MemoryError:
        sys.exit(1)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    _main()
