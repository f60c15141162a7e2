"""Lists come in: CSV with a header, in UTF-8 or GB18030; every row goes in or is told apart with its reason.

The file is read record by record, so its size does not matter; good rows go into the tables by COPY, in one
transaction, so a list is there whole or not at all.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import phonenumbers
from phonenumbers import timezone as number_zones
from sqlalchemy import Engine, text

from campaigns.config import CampaignsError, known_zone

PHONE_HEADERS = frozenset(
    {"phone", "number", "tel", "telephone", "mobile", "电话", "号码", "手机", "手机号", "联系电话"}
)
NAME_HEADERS = frozenset({"name", "customer", "姓名", "名称", "客户", "客户姓名"})
ZONE_HEADERS = frozenset({"timezone", "time_zone", "zone", "时区"})
MAX_FIELD = 4_096  # characters; a longer one is a quote that was never closed
MAX_COLUMNS = 200
UNKNOWN_ZONE = "Etc/Unknown"  # what the library says when it does not know
REJECTS_KEPT = 20  # shown; the file has them all

CREATE_LIST = text("""
INSERT INTO list (campaign_id, name, source, imported_at) VALUES (:campaign, :name, :source, :at) RETURNING id
""")
STAGE = """
CREATE TEMPORARY TABLE stage (place bigint, lead_id bigint DEFAULT nextval('lead_id_seq'), e164 text, name text,
    attributes jsonb, zones text[]) ON COMMIT DROP
"""
COPY = "COPY stage (place, e164, name, attributes, zones) FROM STDIN"
# A number once in the file and once in the campaign; the first row wins.
DUPLICATES = """
DELETE FROM stage s USING (
    SELECT place, row_number() OVER (PARTITION BY e164 ORDER BY place) > 1 AS again FROM stage
) o LEFT JOIN stage t USING (place) LEFT JOIN number n ON n.campaign_id = %(campaign)s AND n.e164 = t.e164
WHERE o.place = s.place AND (o.again OR n.id IS NOT NULL)
RETURNING s.place, s.e164
"""
LEADS = """
INSERT INTO lead (id, campaign_id, list_id, name, attributes, zones) OVERRIDING SYSTEM VALUE
SELECT lead_id, %(campaign)s, %(list)s, name, attributes, zones FROM stage ORDER BY place
"""
NUMBERS = """
INSERT INTO number (lead_id, campaign_id, e164) SELECT lead_id, %(campaign)s, e164 FROM stage ORDER BY place
"""
ZONES = """
INSERT INTO campaign_zone (campaign_id, zone) SELECT DISTINCT %(campaign)s, unnest(zones) FROM stage
ON CONFLICT DO NOTHING
"""
COUNTED = "UPDATE list SET accepted = %(accepted)s, rejected = %(rejected)s WHERE id = %(list)s"


class ImportFailed(CampaignsError):
    """The file as a whole can't be read. The text says where and why; nothing went in."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that may go in. `place` is its record number, the header being 1."""

    place: int
    e164: str
    name: str
    attributes: dict[str, Any]
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that may not, and why."""

    place: int
    reason: str
    cells: tuple[str, ...] = ()


@dataclass(slots=True)
class ImportResult:
    """What became of a file; `rejects` are its first few."""

    list_id: int
    accepted: int = 0
    rejected: int = 0
    encoding: str = ""
    rejects: list[Reject] = field(default_factory=list)


def import_csv(
    engine: Engine,
    campaign_id: int,
    path: Path,
    at: datetime,
    rejects_path: Path,
    region: str = "CN",
    zone: str = "",
) -> ImportResult:
    """Import a file into a campaign as a new list.

    `region` reads national numbers (ISO 3166), `zone` (IANA) stands for numbers that name none. Rejected rows go to
    `rejects_path`, a CSV of row, reason and the cells. Raises :class:`ImportFailed`.
    """
    if zone and not known_zone(zone):
        raise ImportFailed(f"{zone!r} is no time zone of the IANA database")
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ImportFailed(f"{region!r} is no region known to have telephone numbers")
    encoding = encoding_of(path)
    with (
        path.open(encoding=encoding, newline="", errors="surrogateescape") as file,
        rejects_path.open("w", encoding="utf-8", newline="") as out,
    ):
        rejects = csv.writer(out)
        rejects.writerow(["row", "reason", "cells"])
        result = ImportResult(0, encoding=encoding)

        def reject(each: Reject) -> None:
            result.rejected += 1
            rejects.writerow([each.place, each.reason, *map(_printable, each.cells)])
            if len(result.rejects) < REJECTS_KEPT:
                result.rejects.append(each)

        rows = read_rows(file, str(path), region, zone)

        def good() -> Iterator[Row]:
            for each in rows:
                if isinstance(each, Row):
                    yield each
                else:
                    reject(each)

        store_rows(engine, campaign_id, path.stem, str(path), at, good(), reject, result)
    return result


def encoding_of(path: Path) -> str:
    """`utf-8-sig` or `gb18030`: whichever reads the file without a fault, UTF-8 first, else the one with fewer."""
    try:
        faults = {name: _decoding_faults(path, name) for name in ("utf-8-sig", "gb18030")}
    except OSError as fault:
        raise ImportFailed(f"{path}: can't be read: {fault.strerror}") from fault
    return min(faults, key=lambda name: faults[name])


def read_rows(file: Iterable[str], where: str, region: str, zone: str) -> Iterator[Row | Reject]:
    """Read the header at once and every record as it is asked for. Raises :class:`ImportFailed` for a bad header."""
    csv.field_size_limit(MAX_FIELD)
    reader = csv.reader(file, strict=True)
    try:
        header = [cell.strip() for cell in next(reader)]
    except StopIteration:
        raise ImportFailed(f"{where}: is empty; the first row must name the columns") from None
    except csv.Error as fault:
        raise ImportFailed(f"{where}: row 1 can't be read: {fault}") from fault
    columns = _columns(header, where)
    return _records(reader, header, columns, region, zone)


def store_rows(
    engine: Engine,
    campaign_id: int,
    name: str,
    source: str,
    at: datetime,
    rows: Iterable[Row],
    reject: Any,
    result: ImportResult,
) -> None:
    """Put rows into the tables as a new list, without those that are there already."""
    with engine.begin() as connection:
        values = {"campaign": campaign_id, "name": name, "source": source, "at": at}
        result.list_id = connection.execute(CREATE_LIST, values).scalar_one()
        cursor = connection.connection.cursor()
        cursor.execute(STAGE)
        cursor.copy_expert(COPY, _CopyLines(rows))
        cursor.execute("ANALYZE stage")
        parameters = {"campaign": campaign_id, "list": result.list_id}
        cursor.execute(DUPLICATES, parameters)
        for place, e164 in cursor.fetchall():
            reject(Reject(place, f"{e164} stands in this file or this campaign already"))
        cursor.execute(LEADS, parameters)
        result.accepted = cursor.rowcount
        cursor.execute(NUMBERS, parameters)
        cursor.execute(ZONES, parameters)
        counts = {"accepted": result.accepted, "rejected": result.rejected, "list": result.list_id}
        cursor.execute(COUNTED, counts)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE lead"))


# --- within ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Columns:
    phone: int
    name: int | None
    zone: int | None


def _columns(header: list[str], where: str) -> _Columns:
    if len(header) > MAX_COLUMNS:
        raise ImportFailed(f"{where}: {len(header)} columns, at most {MAX_COLUMNS} are taken")
    known = [cell.casefold().replace(" ", "_") for cell in header]

    def find(names: frozenset[str]) -> int | None:
        return next((i for i, cell in enumerate(known) if cell in names), None)

    phone = find(PHONE_HEADERS)
    if phone is None:
        raise ImportFailed(f"{where}: no column holds the number; name one of them phone, number or 电话")
    return _Columns(phone, find(NAME_HEADERS), find(ZONE_HEADERS))


def _records(
    reader: Iterator[list[str]], header: list[str], columns: _Columns, region: str, zone: str
) -> Iterator[Row | Reject]:
    place = 1
    while True:
        place += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            yield Reject(place, f"can't be read: {fault}")
            continue
        if any(cell.strip() for cell in cells):
            yield _row(place, cells, header, columns, region, zone)


def _row(
    place: int, cells: list[str], header: list[str], columns: _Columns, region: str, zone: str
) -> Row | Reject:
    given = tuple(cells)
    if len(cells) != len(header):
        return Reject(place, f"has {len(cells)} cells, the header has {len(header)}", given)
    if any("\udc80" <= char <= "\udcff" for cell in cells for char in cell):
        return Reject(place, "holds bytes that are no text in the file's encoding", given)
    if any(ord(char) < 32 and char not in "\t\r\n" for cell in cells for char in cell):
        return Reject(place, "holds control characters", given)
    try:
        number = phonenumbers.parse(cells[columns.phone], region)
    except phonenumbers.NumberParseException as fault:
        return Reject(place, f"{cells[columns.phone]!r} is no telephone number: {fault}", given)
    if not phonenumbers.is_valid_number(number) or number.extension:
        return Reject(place, f"{cells[columns.phone]!r} is no number that can be dialed", given)
    named = cells[columns.zone].strip() if columns.zone is not None else ""
    if named and not known_zone(named):
        return Reject(place, f"{named!r} is no time zone of the IANA database", given)
    zones = (named,) if named else zones_of(number, zone)
    if not zones:
        return Reject(place, "the number names no time zone, and none was given", given)
    special = {columns.phone, columns.name, columns.zone}
    return Row(
        place=place,
        e164=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
        name=" ".join(cells[columns.name].split()) if columns.name is not None else "",
        attributes={
            key: cell.strip()
            for i, (key, cell) in enumerate(zip(header, cells, strict=True))
            if i not in special and key
        },
        zones=zones,
    )


def zones_of(number: phonenumbers.PhoneNumber, default: str) -> tuple[str, ...]:
    """The zones the number's owner may be in, all of which must be open; `default` for a number that names none."""
    zones = tuple(
        z for z in number_zones.time_zones_for_number(number) if z != UNKNOWN_ZONE and known_zone(z)
    )
    return zones or ((default,) if default else ())


class _CopyLines(io.RawIOBase):
    """Rows as a file in COPY's text form, made as it is read."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = iter(rows)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:  # type: ignore[override]
        while size < 0 or len(self._rest) < size:
            row = next(self._rows, None)
            if row is None:
                break
            attributes = msgspec.json.encode(row.attributes).decode()
            zones = "{" + ",".join(row.zones) + "}"
            line = "\t".join(_escape(c) for c in (str(row.place), row.e164, row.name, attributes, zones))
            self._rest += line.encode() + b"\n"
        data, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return data


def _escape(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _printable(cell: str) -> str:
    """Without what could not be decoded, and never the start of a formula in a spreadsheet."""
    clean = cell.encode("utf-8", "replace").decode("utf-8", "replace")
    return "'" + clean if clean[:1] in ("=", "+", "-", "@", "\t", "\r") else clean


def _decoding_faults(path: Path, encoding: str) -> int:
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        return sum(block.count("\ufffd") for block in iter(lambda: file.read(1 << 20), ""))
