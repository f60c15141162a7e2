"""Workbooks made by hand, part by part, so that a test can also make those that no spreadsheet would write."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

CONTENT_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>'
)
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def letters(column: int) -> str:
    """A, B, … Z, AA: the letters of a column that is counted from 0."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def cell(reference: str, value: object) -> str:
    """One cell as it stands in a sheet's XML; a str that begins with '=' is a formula and its value, as in '=A1|5'."""
    if isinstance(value, bool):
        return f'<c r="{reference}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, (int, float)):
        return f'<c r="{reference}"><v>{value!r}</v></c>'
    text = str(value)
    if text.startswith("=") and "|" in text:
        formula, _, kept = text[1:].partition("|")
        shown = f"<v>{escape(kept)}</v>" if kept else ""
        return f'<c r="{reference}" t="str"><f>{escape(formula)}</f>{shown}</c>'
    if text.startswith("#"):
        return f'<c r="{reference}" t="e"><v>{escape(text)}</v></c>'
    return f'<c r="{reference}" t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'


def sheet_xml(cells: Mapping[str, object] | Sequence[Sequence[object]], merged: Sequence[str] = ()) -> str:
    """A sheet's XML from rows, or from single cells by reference; None is no cell."""
    if isinstance(cells, Mapping):
        rows: dict[int, str] = {}
        for reference, value in cells.items():
            number = int(reference.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
            rows[number] = rows.get(number, "") + cell(reference, value)
    else:
        rows = {
            number: "".join(
                cell(f"{letters(at)}{number}", value) for at, value in enumerate(row) if value is not None
            )
            for number, row in enumerate(cells, 1)
        }
    data = "".join(f'<row r="{number}">{inner}</row>' for number, inner in rows.items())
    ranges = "".join(f'<mergeCell ref="{each}"/>' for each in merged)
    more = f"<mergeCells>{ranges}</mergeCells>" if merged else ""
    return f'<worksheet xmlns="{MAIN}"><sheetData>{data}</sheetData>{more}</worksheet>'


def xlsx(sheets: Mapping[str, str], hidden: Sequence[str] = ()) -> bytes:
    """A workbook of sheets by name, each as :func:`sheet_xml` gives it."""
    listed, related, parts = "", "", {}
    for index, (name, xml) in enumerate(sheets.items(), 1):
        state = ' state="hidden"' if name in hidden else ""
        listed += f'<sheet name="{escape(name)}" sheetId="{index}"{state} r:id="rId{index}"/>'
        related += (
            f'<Relationship Id="rId{index}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{index}.xml"/>'
        )
        parts[f"xl/worksheets/sheet{index}.xml"] = xml
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("[Content_Types].xml", CONTENT_TYPES)
        file.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{RELATIONS}"><Relationship Id="rId1" Type="{OFFICE}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        file.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>',
        )
        file.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{RELATIONS}">{related}</Relationships>'
        )
        for name, xml in parts.items():
            file.writestr(name, xml)
    return out.getvalue()


def one_sheet(cells: Mapping[str, object] | Sequence[Sequence[object]], merged: Sequence[str] = ()) -> bytes:
    """A workbook with one sheet."""
    return xlsx({"Sheet1": sheet_xml(cells, merged)})


def ods(rows: Sequence[Sequence[object]], repeat_last: int = 1) -> bytes:
    """An OpenDocument spreadsheet with one sheet; its last row stands there `repeat_last` times."""

    def written(value: object) -> str:
        if value is None:
            return "<table:table-cell/>"
        if isinstance(value, (int, float)):
            return f'<table:table-cell office:value-type="float" office:value="{value!r}"/>'
        return (
            f'<table:table-cell office:value-type="string"><text:p>{escape(str(value))}</text:p>'
            "</table:table-cell>"
        )

    body = ""
    for index, row in enumerate(rows, 1):
        times = repeat_last if index == len(rows) else 1
        body += f'<table:table-row table:number-rows-repeated="{times}">{"".join(map(written, row))}</table:table-row>'
    names = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{short}:1.0"'
        for short in ("office", "table", "text")
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        file.writestr(
            "META-INF/manifest.xml",
            '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
            '<manifest:file-entry manifest:full-path="/" '
            'manifest:media-type="application/vnd.oasis.opendocument.spreadsheet"/></manifest:manifest>',
        )
        file.writestr(
            "content.xml",
            f"<office:document-content {names}><office:body><office:spreadsheet>"
            f'<table:table table:name="Sheet1">{body}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    return out.getvalue()


SECTOR = 512


def xls(rows: Sequence[Sequence[object]]) -> bytes:
    """A workbook of Excel 97 with one sheet: records of BIFF8 in a compound file of two chains."""

    def record(kind: int, body: bytes) -> bytes:
        return struct.pack("<HH", kind, len(body)) + body

    def text(value: str, width: str = "<H") -> bytes:
        return struct.pack(width, len(value)) + b"\x01" + value.encode("utf-16-le")

    begin_book = record(0x809, struct.pack("<HHHHII", 0x0600, 5, 0x0DBB, 1996, 0, 6))
    begin_sheet = record(0x809, struct.pack("<HHHHII", 0x0600, 0x10, 0x0DBB, 1996, 0, 6))
    end = record(0x0A, b"")
    codepage = record(0x42, struct.pack("<H", 1200))
    bound_length = len(record(0x85, struct.pack("<IBB", 0, 0, 0) + text("Sheet1", "<B")))
    at = len(begin_book) + len(codepage) + bound_length + len(end)
    bound = record(0x85, struct.pack("<IBB", at, 0, 0) + text("Sheet1", "<B"))
    width = max(map(len, rows))
    cells = record(0x200, struct.pack("<IIHHH", 0, len(rows), 0, width, 0))
    for y, row in enumerate(rows):
        for x, value in enumerate(row):
            if isinstance(value, (int, float)):
                cells += record(0x203, struct.pack("<HHHd", y, x, 0, float(value)))
            elif value is not None:
                cells += record(0x204, struct.pack("<HHH", y, x, 0) + text(str(value)))
    return compound("Workbook", begin_book + codepage + bound + end + begin_sheet + cells + end)


def compound(name: str, stream: bytes) -> bytes:
    """A compound file with one stream; one of the name EncryptedPackage is a workbook with a password."""
    stream = stream.ljust(
        max(4096, -(-len(stream) // SECTOR) * SECTOR), b"\0"
    )  # below 4,096 it would be in the small chain
    sectors = len(stream) // SECTOR
    chain = [0xFFFFFFFD, 0xFFFFFFFE] + [n + 3 for n in range(sectors - 1)] + [0xFFFFFFFE]
    allocation = struct.pack(f"<{len(chain)}I", *chain).ljust(SECTOR, b"\xff")

    def entry(called: str, kind: int, child: int, first: int, size: int) -> bytes:
        encoded = (called + "\0").encode("utf-16-le") if called else b""
        return (
            encoded.ljust(64, b"\0")
            + struct.pack("<HBBIII", len(encoded), kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, child)
            + bytes(36)
            + struct.pack("<IQ", first, size)
        )

    directory = entry("Root Entry", 5, 1, 0xFFFFFFFE, 0) + entry(name, 2, 0xFFFFFFFF, 2, len(stream))
    directory += 2 * entry("", 0, 0xFFFFFFFF, 0, 0)
    header = (
        bytes.fromhex("d0cf11e0a1b11ae1")
        + bytes(16)
        + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
        + bytes(6)
        + struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
        + struct.pack("<109I", 0, *([0xFFFFFFFF] * 108))
    )
    return header + allocation + directory + stream
