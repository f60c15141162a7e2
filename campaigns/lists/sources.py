"""Where a list comes from: a file as it was given, unpacked if it was packed, and told by its content, not its name."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from campaigns.config import CampaignsError

STDIN = "-"
MOST_UNPACKED = 8 << 30  # bytes
FREE_UNPACKED = 64 << 20  # bytes that are unpacked whatever the ratio
MOST_RATIO = 100  # a list packs to a fifth or a twentieth; a bomb to a thousandth
BLOCK = 1 << 20
HEAD = 4_096  # bytes that are looked at

# What begins like this is none of what we read, whatever its name says.
OTHERS = (
    (b"%PDF", "a PDF"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"\xfd7zXZ", "packed with xz; unpack it first"),
    (b"BZh", "packed with bzip2; unpack it first"),
    (b"SQLite format 3", "an SQLite database; --sql and --query read one"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"\x7fELF", "a program"),
)
NOISE = ("__MACOSX/", ".DS_Store", "Thumbs.db")  # what archivers add by themselves


class ImportFailed(CampaignsError):
    """The list as a whole can't be read. The text says where and why; nothing went in."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be read: `kind` is `text`, `jsonl` or `workbook`; `name` is what people call it."""

    path: Path
    name: str
    kind: str
    note: str = ""  # what was done to get there


@contextmanager
def opened(given: str, stdin: BinaryIO | None = None) -> Iterator[Source]:
    """A file by path, or standard input for `-`; what had to be unpacked is gone at the end.

    Raises :class:`ImportFailed`.
    """
    with tempfile.TemporaryDirectory(prefix="zhudong-list-") as folder:
        if given == STDIN:
            path = Path(folder) / "stdin"
            with path.open("wb") as out:
                shutil.copyfileobj(stdin or io.BytesIO(), out, BLOCK)
            name = "standard input"
        else:
            path, name = Path(given), given
            if path.is_dir():
                raise ImportFailed(f"{name}: is a folder")
            if not path.exists():
                raise ImportFailed(f"{name}: can't be read: there is no such file")
            if not path.is_file():
                raise ImportFailed(f"{name}: is no file; pipe it to standard input and give -")
        try:
            yield _told(path, name, Path(folder))
        except OSError as fault:
            raise ImportFailed(f"{fault.filename or name}: can't be read: {fault.strerror}") from fault


def _told(path: Path, name: str, folder: Path, within: str = "") -> Source:
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head.strip(b" \t\r\n\0\xef\xbb\xbf"):
        raise ImportFailed(f"{name}: is empty; the first row must name the columns")
    for begin, what in OTHERS:
        if head.startswith(begin):
            raise ImportFailed(f"{name}: is {what}")
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return Source(path, name, "workbook", within)
    if head.startswith(b"\x1f\x8b"):
        if within:
            raise ImportFailed(f"{name}: is packed twice; unpack it first")
        with gzip.open(path) as packed:
            inner = _unpacked(packed, folder / "unpacked", name, path.stat().st_size)
        return _told(inner, name, folder, "unpacked")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _zipped(path, name, folder, within)
    return Source(path, name, _text_kind(head, name), within)


def _zipped(path: Path, name: str, folder: Path, within: str) -> Source:
    """A workbook is a zip file too; any other has one member, which is the list."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            names = {each.filename for each in members}
            if any(each.startswith(("xl/", "content.xml")) for each in names):
                return Source(path, name, "workbook", within)
            members = [each for each in members if not any(noise in each.filename for noise in NOISE)]
            if "word/document.xml" in names or "ppt/presentation.xml" in names:
                raise ImportFailed(f"{name}: is an office document, but no workbook")
            if within:
                raise ImportFailed(f"{name}: is packed twice; unpack it first")
            if len(members) != 1:
                raise ImportFailed(f"{name}: holds {len(members)} files; a packed list is one file")
            (member,) = members
            if member.flag_bits & 1:
                raise ImportFailed(f"{name}: is locked with a password; unpack it first")
            with archive.open(member) as packed:
                inner = _unpacked(packed, folder / "unpacked", name, path.stat().st_size)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as fault:
        raise ImportFailed(f"{name}: is a broken zip file: {fault}") from fault
    return _told(inner, name, folder, "unpacked")


def _unpacked(packed: IO[bytes] | gzip.GzipFile, to: Path, name: str, packed_bytes: int) -> Path:
    size = 0
    room = shutil.disk_usage(to.parent).free // 2
    with to.open("wb") as out:
        while True:
            try:
                block = packed.read(BLOCK)
            except (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile) as fault:
                raise ImportFailed(f"{name}: is packed, and broken: {fault}") from fault
            if not block:
                return to
            size += len(block)
            if size > FREE_UNPACKED and size > MOST_RATIO * packed_bytes:
                raise ImportFailed(
                    f"{name}: unpacks to more than {MOST_RATIO} times its size, as no list does; it was left"
                )
            if size > MOST_UNPACKED or size > room:
                raise ImportFailed(f"{name}: unpacks to more than {size >> 30} GiB; unpack it, and cut it up")
            out.write(block)


def _text_kind(head: bytes, name: str) -> str:
    for encoding in ("utf-16", "utf-8-sig") if head[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        text = head.decode(encoding, "ignore").lstrip().casefold()
        if text.startswith(
            ("<!doctype html", "<html", "<table", "<head", "<body", "<meta", "<script", "<div")
        ):
            raise ImportFailed(
                f"{name}: is a web page (HTML), whatever its name says; save it as XLSX or CSV"
            )
        if text.startswith(("<?xml", "<workbook")):
            if "<html" in text:
                raise ImportFailed(
                    f"{name}: is a web page (HTML), whatever its name says; save it as XLSX or CSV"
                )
            raise ImportFailed(f"{name}: is XML; open it in a spreadsheet and save it as XLSX or CSV")
        if text.startswith("{"):
            return "jsonl"
        if text.startswith(("[{", "[ {", "[\n", "[\r\n")):
            raise ImportFailed(f"{name}: is one JSON array; JSON lines are wanted, an object in each line")
    return "text"


def size_of(path: Path) -> int:
    """Bytes of a file."""
    return os.stat(path).st_size
