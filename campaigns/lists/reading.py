"""Rows of a list, one by one, with the row number a person sees and with what is wrong with those that can't be read.

A text file is read in blocks and never held; a line or a cell that no list has is left out and told. The reader of
CSV is the standard library's; what is ours is that a quote which is never closed costs its own row and no other.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, TextIO

from campaigns.lists.encodings import encoding_of
from campaigns.lists.mapping import HEADER_WITHIN, MAX_COLUMNS, Columns, NoMapping, find_header, map_columns
from campaigns.lists.normalising import MAX_CELL
from campaigns.lists.sources import ImportFailed, Source, size_of
from campaigns.lists.values import as_text, plain_value, texts

BLOCK = 256 << 10  # characters
MAX_LINE = 1 << 20  # characters
MOST_LINES = 100  # of one record; a quote that spans more was never closed
DELIMITERS = (",", "\t", ";", "|", "，")
UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]"
)  # control characters, and what could not be decoded
HALF = re.compile("[\ud800-\udfff]")  # of a character, which JSON can write and no text can hold
NOTHING = " \t\r\n\x00\x1a\ufeff"  # a row of these is blank: padding of disks, the end of a file of DOS
CHINESE = re.compile("[\u3400-\u9fff]")
TOO_LONG = "\x00\n"  # stands for a line that is
SHOWN = 200  # characters of a value that are told


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row, in which column (empty: the row as a whole), and what stands there."""

    reason: str
    column: str = ""
    value: str = ""


Record = tuple[int, Sequence[Any], Fault | None]


@dataclass(slots=True)
class Table:
    """A list that is open: its columns, its records, and how far they have been read as a share."""

    columns: Columns
    records: Iterator[Record]
    format: str
    share: Callable[[], float] = lambda: 0.0
    notes: list[str] = field(default_factory=list)


def read(source: Source, given: Mapping[str, str]) -> Table:
    """Open a source's rows; `given` maps columns that a person named. Raises :class:`ImportFailed`."""
    if source.kind == "jsonl":
        return read_json_lines(source, given)
    if source.kind == "workbook":
        from campaigns.lists.workbook import read_workbook

        return read_workbook(source, given)
    return read_text(source, given)


# --- CSV ------------------------------------------------------------------------------------------------------


def read_text(source: Source, given: Mapping[str, str]) -> Table:
    """CSV and its like, in whatever encoding and with whatever delimiter. Raises :class:`ImportFailed`."""

    def readable(head: str) -> bool:
        lines = [line for line in re.split(r"[\r\n]+", head)[:HEADER_WITHIN] if not line.isascii()]
        return any(find_header([_cells(line, each)], given) == 0 for line in lines for each in DELIMITERS)

    encoding = encoding_of(source.path, readable)
    raw = source.path.open("rb")
    file = io.TextIOWrapper(raw, encoding=encoding, errors="replace", newline=None)
    size = max(1, size_of(source.path))
    lines = Lines(file)
    beginning = lines.look_ahead(HEADER_WITHIN)
    named = re.fullmatch(r"sep=(.)\n", beginning[0]) if beginning else None
    delimiter = named[1] if named else _delimiter(beginning, given)
    records = _csv_records(lines, delimiter)
    if encoding == "gb18030":
        records = _without_utf8(records)
    table = open_rows(records, source.name, given)
    shown = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}.get(delimiter, delimiter)
    table.format = f"{encoding.upper().replace('-SIG', '')}, {shown}"
    table.share = lambda: min(1.0, raw.tell() / size)
    return table


class Lines:
    """The lines of a file, each with its end; :data:`TOO_LONG` stands for one that no list has."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._ready: deque[str] = deque()
        self._rest = ""
        self._skipping = False
        self.taken: list[str] = []  # since the last record ended

    def __iter__(self) -> Iterator[str]:
        ready, taken = self._ready, self.taken
        while True:
            while ready:
                if len(taken) >= MOST_LINES:
                    raise csv.Error("a quote is opened and never closed")
                line = ready.popleft()
                taken.append(line)
                yield line
            if not self._more():
                return

    def give_back(self, lines: Sequence[str]) -> None:
        """Have these come again, next."""
        self._ready.extendleft(reversed(lines))

    def look_ahead(self, count: int) -> list[str]:
        """The next lines, which still come."""
        while len(self._ready) < count and self._more():
            pass
        return list(islice(self._ready, count))

    def _more(self) -> bool:
        while block := self._file.read(BLOCK):
            lines = (self._rest + block).split("\n")
            self._rest = lines.pop()
            if self._skipping:
                if not lines:
                    self._rest = ""
                    continue
                self._skipping = False
                lines[0] = TOO_LONG[:-1]
            if len(self._rest) > MAX_LINE:
                self._skipping, self._rest = True, ""
            if lines:
                self._ready.extend([line + "\n" for line in lines])
                return True
        if self._rest or self._skipping:
            self._ready.append(TOO_LONG if self._skipping else self._rest + "\n")
            self._rest, self._skipping = "", False
            return True
        return False


def _csv_records(lines: Lines, delimiter: str) -> Iterator[Record]:
    csv.field_size_limit(MAX_LINE)
    taken = lines.taken
    row = 0
    while True:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                row += 1
                if len(taken) == 1 and taken[0] == TOO_LONG:
                    yield row, (), Fault(f"is longer than {MAX_LINE:,} characters")
                else:
                    yield row, cells, None
                taken.clear()
            return
        except csv.Error as fault:
            row += 1
            first, rest = taken[0], taken[1:]
            taken.clear()
            lines.give_back(rest)
            yield (
                row,
                _cells(first, delimiter),
                Fault(_quote_fault(str(fault)), value=first.rstrip("\n")[:SHOWN]),
            )


def _without_utf8(records: Iterator[Record]) -> Iterator[Record]:
    """Rows of a file in GB18030; those that were pasted in from one in UTF-8 are told, and not read as other names."""
    for record in records:
        text = "".join(record[1])
        if record[2] is None and not text.isascii():
            with suppress(UnicodeError):
                if CHINESE.search(text.encode("gb18030").decode("utf-8")):
                    yield record[0], record[1], Fault("is in UTF-8, unlike the rest of the file")
                    continue
        yield record


def _quote_fault(said: str) -> str:
    if "end of data" in said or "never closed" in said or "limit" in said:
        return "a quote is opened and never closed"
    return "a quote stands where none may" if "expected after" in said else f"can't be read: {said}"


def _cells(line: str, delimiter: str) -> list[str]:
    """One line's cells, whatever its quotes."""
    with suppress(csv.Error):
        return next(csv.reader([line], delimiter=delimiter), [])
    return line.rstrip("\n").split(delimiter)


def _delimiter(lines: Sequence[str], given: Mapping[str, str]) -> str:
    """The delimiter under which a header is found that names the most fields; a comma when nothing tells."""
    best, most = ",", (0, 0)
    for each in DELIMITERS:
        rows = [_cells(line, each) for line in lines]
        at = find_header(rows, given)
        if at is not None and (score := (1, len(rows[at]))) > most:
            best, most = each, score
    return best


# --- rows of any table with a header --------------------------------------------------------------------------


def open_rows(records: Iterator[Record], name: str, given: Mapping[str, str]) -> Table:
    """Find the header, map it, and let the other rows come. Raises :class:`ImportFailed`."""
    head = list(islice(records, HEADER_WITHIN))
    if not head:
        raise ImportFailed(f"{name}: is empty; the first row must name the columns")
    fault = next((fault for _, _, fault in head if fault is not None), None)
    try:
        at = find_header([() if fault else cells for _, cells, fault in head], given)
        if at is None:
            first = next((cells for _, cells, _ in head if any(map(str.strip, cells))), ())
            if any(sum(map(str.isdigit, cell)) >= 7 for cell in first):
                raise ImportFailed(f"{name}: has no header; the first row must name the columns")
            if fault is not None and not first:
                raise ImportFailed(f"{name}: row {head[0][0]}: {fault.reason}")
            map_columns(first, given)  # says which columns there are
            at = 0
        full = [cell if isinstance(cell, str) else str(cell) for cell in head[at][1]]
        header = full[: max(i for i, cell in enumerate(full, 1) if cell.strip())]
        columns = map_columns(header, given)
    except NoMapping as none:
        raise ImportFailed(f"{name}: {none}") from none
    rows = _checked(chain(head[at + 1 :], records), columns, len(full))
    return Table(columns, rows, "")


def _checked(records: Iterable[Record], columns: Columns, most: int) -> Iterator[Record]:
    """Every row that is not blank, told apart when it is short or long or holds what no cell may."""
    width = len(columns.header)
    for record in records:
        row, cells, fault = record
        if fault is not None:
            yield record
            continue
        text = "".join(cells)
        if text.isspace() or not text.strip(NOTHING):
            continue
        count = len(cells)
        if count != width and (count < width or any(map(str.strip, cells[most:]))):
            yield row, cells, Fault(f"has {count} cells, the header has {width}")
        elif not text.isprintable() or "\ufffd" in text or len(text) > MAX_CELL:
            yield row, cells, _unfit(cells, columns)
        else:
            yield record


def _unfit(cells: Sequence[str], columns: Columns) -> Fault | None:
    for at, cell in enumerate(cells):
        name = columns.header[at] if at < len(columns.header) else ""
        if len(cell) > MAX_CELL:
            return Fault(
                f"is {len(cell):,} characters long, a cell has at most {MAX_CELL:,}", name, cell[:SHOWN]
            )
        if (found := UNFIT.search(cell)) is not None:
            what = (
                "holds bytes that are no text in the file's encoding"
                if found[0] == "\ufffd"
                else "holds control characters"
            )
            return Fault(what, name, cell[:SHOWN])
    return None


# --- JSON lines, and rows of a database -----------------------------------------------------------------------


def read_json_lines(source: Source, given: Mapping[str, str]) -> Table:
    """An object a line. The file is read twice: all keys of all lines are its columns. Raises :class:`ImportFailed`."""
    keys: dict[str, None] = {}
    for _, each in _json_lines(source):
        if isinstance(each, dict):
            keys.update(dict.fromkeys(each))
            if len(keys) > MAX_COLUMNS:
                raise ImportFailed(f"{source.name}: has more than {MAX_COLUMNS} different keys")
    if not keys:
        raise ImportFailed(
            f"{source.name}: is no table, and no JSON lines, which have a whole object in each line"
        )
    names = list(keys)

    def records() -> Iterator[Record]:
        for row, each in _json_lines(source):
            if isinstance(each, Fault):
                yield row, (), each
            else:
                yield row, [each.get(name) for name in names], None

    return open_values(records(), names, given, source.name, "JSON lines")


def _json_lines(source: Source) -> Iterator[tuple[int, dict[str, Any] | Fault]]:
    with source.path.open(encoding="utf-8-sig", errors="replace", newline=None) as file:
        lines = Lines(file)
        for row, line in enumerate(lines, 1):
            lines.taken.clear()
            if line.isspace():
                continue
            if line == TOO_LONG:
                yield row, Fault(f"is longer than {MAX_LINE:,} characters")
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                yield row, Fault("is no JSON", value=line.strip()[:SHOWN])
                continue
            if "\\ud" in line.casefold() and HALF.search("".join(texts(found))):
                yield row, Fault("holds half a character", value=line.strip()[:SHOWN])
            elif isinstance(found, dict):
                yield row, found
            else:
                yield row, Fault("is no JSON object", value=line.strip()[:SHOWN])


def open_values(
    records: Iterator[Record], names: Sequence[str], given: Mapping[str, str], name: str, format: str
) -> Table:
    """Rows whose values have types: numbers, names and the like become text, attributes stay what they are.

    Raises :class:`ImportFailed`.
    """
    try:
        columns = map_columns(names, given)
    except NoMapping as fault:
        raise ImportFailed(f"{name}: {fault}") from fault
    attributes = {at for at, _ in columns.keys} - {columns.customer_id, *columns.places}

    def rows() -> Iterator[Record]:
        for row, values, fault in records:
            if fault is not None:
                yield row, values, fault
                continue
            cells = [plain_value(v) if at in attributes else as_text(v) for at, v in enumerate(values)]
            written = [cell if isinstance(cell, str) else "".join(texts(cell)) for cell in cells]
            if any(written):
                yield row, cells, _unfit(written, columns)

    return Table(columns, rows(), format)
