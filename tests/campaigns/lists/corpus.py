"""Ugly files as they come, each with what a careful clerk makes of it, row by row."""

# ruff: noqa: E501 - a file and what comes of it are read best in one line

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.campaigns.lists import workbooks

A, B, C, D = "+8613800138000", "+8613900139001", "+8618612345678", "+862388886666"
Numbers = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ugly:
    """A file. `leads` is row to name and numbers, `rejects` row to a word of the reason; or `refused` a word of it."""

    name: str
    data: bytes
    leads: Mapping[int, tuple[str, Numbers]] = field(default_factory=dict)
    rejects: Mapping[int, str] = field(default_factory=dict)
    duplicates: int = 0
    refused: str = ""
    area_code: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


def csv(text: str, encoding: str = "utf-8") -> bytes:
    return text.encode(encoding)


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return out.getvalue()


PLAIN = "电话,姓名\n13800138000,李娜\n13900139001,王小明\n"
GOOD = {2: ("李娜", (A,)), 3: ("王小明", (B,))}
TRADITIONAL = "姓名,電話\n王小明,13800138000\n陳大文,13900139001\n"


def ones(header: str, cell: str, name: str = "李") -> bytes:
    """One row whose number is `cell`."""
    quoted = '"' + cell.replace('"', '""') + '"'
    return csv(f"{header},姓名\n{quoted},{name}\n")


def read_as(name: str, cell: str, *numbers: str, area_code: str = "") -> Ugly:
    return Ugly(f"number-{name}.csv", ones("手机", cell), {2: ("李", numbers)}, area_code=area_code)


def no_number(name: str, cell: str, reason: str) -> Ugly:
    return Ugly(f"number-{name}.csv", ones("手机", cell), rejects={2: reason})


ENCODINGS = [
    Ugly("utf8.csv", csv(PLAIN), GOOD),
    Ugly("utf8-bom.csv", csv(PLAIN, "utf-8-sig"), GOOD),
    Ugly("utf16-bom.csv", csv(PLAIN, "utf-16"), GOOD),
    Ugly("utf16-le.csv", csv(PLAIN, "utf-16-le"), GOOD),
    Ugly("utf16-be.csv", csv(PLAIN, "utf-16-be"), GOOD),
    Ugly("gb18030.csv", csv(PLAIN, "gb18030"), GOOD),
    Ugly("gbk-names-only.csv", csv("phone,name\n13800138000,李娜\n13900139001,王小明\n", "gbk"), GOOD),
    Ugly("big5.csv", csv(TRADITIONAL, "big5"), {2: ("王小明", (A,)), 3: ("陳大文", (B,))}),
    Ugly(
        "big5-names-only.csv",
        csv("phone,name\n13800138000,王小明\n13900139001,陳大文\n", "big5"),
        {2: ("王小明", (A,)), 3: ("陳大文", (B,))},
    ),
    Ugly("one-broken-row.csv", csv("电话,姓名\n13800138000,李娜\n") + b"13900139001,\xff\xfe\n", {2: ("李娜", (A,))}, {3: "no text"}),
    Ugly("nul.csv", csv("电话,姓名\n13800138000,李\x00娜\n13900139001,王小明\n"), {3: ("王小明", (B,))}, {2: "control"}),
]  # fmt: skip
ENCODINGS += [
    Ugly("utf8-with-a-gb-row.csv", csv("电话,姓名\n13800138000,李娜\n") + "13900139001,王小明\n".encode("gbk"), {2: ("李娜", (A,))}, {3: "no text"}),
    Ugly("gb-with-a-utf8-row.csv", csv("电话,姓名\n13800138000,李娜\n", "gbk") + csv("13900139001,张伟\n18612345678,王小明\n"), {2: ("李娜", (A,))}, {3: "UTF-8", 4: "no text"}),
    Ugly("gb18030-four-bytes.csv", csv("电话,姓名\n13800138000,𠮷野\n13900139001,㐂㐄\n", "gb18030"), {2: ("𠮷野", (A,)), 3: ("㐂㐄", (B,))}),
    Ugly("bom-in-the-middle.csv", csv("电话,姓名\n13800138000,李娜\n\ufeff13900139001,王小明\n"), GOOD),
    Ugly("disk-padding.csv", csv(PLAIN) + bytes(4_096), GOOD),
    Ugly("end-of-dos.csv", csv(PLAIN) + b"\x1a", GOOD),
    Ugly("nul-in-the-header.csv", csv("电话,姓名,套\x00餐\n13800138000,李娜,A\n"), {2: ("李娜", (A,))}),
    Ugly("emoji.csv", csv("电话,姓名\n13800138000,🐼李👨‍👩‍👧娜\n"), {2: ("🐼李👨‍👩‍👧娜", (A,))}),
]  # fmt: skip
SHAPES = [
    Ugly("tabs.tsv", csv(PLAIN.replace(",", "\t")), GOOD),
    Ugly("semicolons.csv", csv(PLAIN.replace(",", ";")), GOOD),
    Ugly("bars.txt", csv(PLAIN.replace(",", "|")), GOOD),
    Ugly("sep-line.csv", csv("sep=;\n" + PLAIN.replace(",", ";")), {3: ("李娜", (A,)), 4: ("王小明", (B,))}),
    Ugly("crlf.csv", csv(PLAIN.replace("\n", "\r\n")), GOOD),
    Ugly("old-mac.csv", csv(PLAIN.replace("\n", "\r")), GOOD),
    Ugly("no-end-of-line.csv", csv(PLAIN.rstrip("\n")), GOOD),
    Ugly("blank-lines.csv", csv("电话,姓名\n\n13800138000,李娜\n,\n13900139001,王小明\n\n"), {3: ("李娜", (A,)), 5: ("王小明", (B,))}),
    Ugly("titles-above.csv", csv("2026年春季名单,\n,\n" + PLAIN), {4: ("李娜", (A,)), 5: ("王小明", (B,))}),
    Ugly("short-and-long.csv", csv("电话,姓名,区\n13800138000\n13900139001,王,A,B\n18612345678,张,A,,\n"), {4: ("张", (C,))}, {2: "cells", 3: "cells"}),
    Ugly("two-lines-in-a-cell.csv", csv('电话,姓名,地址\n13800138000,李娜,"一行\n二行"\n13900139001,王小明,\n'), GOOD),
    Ugly("quote-never-closed.csv", csv('电话,姓名\n13800138000,"李娜\n13900139001,王小明\n'), {3: ("王小明", (B,))}, {2: "quote"}),
    Ugly("quotes-misplaced.csv", csv('电话,姓名\n13800138000,"李"娜\n13900139001,王小明\n'), {3: ("王小明", (B,))}, {2: "quote"}),
    Ugly("duplicate-headers.csv", csv("电话,电话,姓名,备注,备注\n13800138000,13900139001,李娜,a,b\n"), {2: ("李娜", (A, B))}),
    Ugly("marked-headers.csv", csv("*手机号码（必填）, 客户 姓名:\n13800138000,李娜\n"), {2: ("李娜", (A,))}),
    Ugly("english-headers.csv", csv("First Name,Last Name,Mobile Phone,Phone (home)\nTom,Wang,13800138000,023-88886666\n"), {2: ("Tom Wang", (A, D))}),
    Ugly("surname-apart.csv", csv("姓,名,联系电话\n李,娜,13800138000\n"), {2: ("李娜", (A,))}),
    Ugly("500-columns.csv", csv(",".join(["电话", *(f"c{n}" for n in range(499))]) + "\n" + ",".join(["13800138000", *["x"] * 499]) + "\n"), {2: ("", (A,))}),
    Ugly("5000-columns.csv", csv(",".join(["电话", *(f"c{n}" for n in range(4_999))]) + "\n"), refused="columns"),
    Ugly("10-mb-cell.csv", csv("电话,姓名\n13800138000," + "x" * 10_000_000 + "\n13900139001,王小明\n"), {3: ("王小明", (B,))}, {2: "longer"}),
    Ugly("long-cell.csv", csv("电话,姓名\n13800138000," + "x" * 40_000 + "\n13900139001,王小明\n"), {3: ("王小明", (B,))}, {2: "long"}),
    Ugly("mapped.csv", csv("甲,乙\n13800138000,李娜\n"), {2: ("李娜", (A,))}, columns={"甲": "mobile", "乙": "name"}),
    Ugly("header-only.csv", csv("电话,姓名\n")),
    Ugly("same-number-twice.csv", csv("电话,姓名\n13800138000,李\n+86 138-0013-8000,王\n"), {2: ("李", (A,))}, duplicates=1),
    Ugly("formula-name.csv", csv("电话,姓名\n12,=cmd()\n13800138000,'=1+1\n"), {3: ("=1+1", (A,))}, {2: "number"}),
    Ugly("decimal-commas.csv", csv("姓名;电话;余额\n李娜;13800138000;12,50\n王小明;13900139001;1.234,00\n"), GOOD),
    Ugly("mixed-ends-of-line.csv", csv("电话,姓名\r\n13800138000,李娜\n13900139001,王小明\r18612345678,张\r\n"), GOOD | {4: ("张", (C,))}),
    Ugly("quote-open-for-the-rest.csv", csv('电话,姓名\n13800138000,"李娜\n' + "13900139001,王小明\n" * 20_000), {3: ("王小明", (B,))}, {2: "quote"}, duplicates=19_999),
    Ugly("title-with-a-number.csv", csv("联系电话: 023-88886666 春季名单\n" + PLAIN), {3: ("李娜", (A,)), 4: ("王小明", (B,))}),
    Ugly("two-header-rows.csv", csv("联系方式,,客户\n手机,家庭电话,姓名\n13800138000,023-88886666,李娜\n"), {3: ("李娜", (A, D))}),
    Ugly("header-again.csv", csv("电话,姓名\nPhone,Name\n13800138000,李娜\n电话,姓名\n13900139001,王小明\n"), {3: ("李娜", (A,)), 5: ("王小明", (B,))}, {2: "no telephone number", 4: "no telephone number"}),
    Ugly("sub-totals.csv", csv("姓名,电话,金额\n李娜,13800138000,5\n小计：1人,,5\n合计,1,5\n"), {2: ("李娜", (A,))}, {3: "no number", 4: "no telephone number"}),
    Ugly("trailing-delimiter.csv", csv("电话,姓名,\n13800138000,李娜,\n13900139001,王小明\n"), GOOD),
    Ugly("in-single-quotes.csv", csv("电话,姓名\n'13800138000','李娜'\n"), {2: ("李娜", (A,))}),
    Ugly("long-names.csv", csv(f"电话,姓名\n13800138000,{'李' * 201}\n13900139001,{'王' * 200}\n"), {3: ("王" * 200, (B,))}, {2: "200"}),
    Ugly("whole-rows-quoted.csv", csv('"电话,姓名"\n"13800138000,李娜"\n'), refused="no column holds the number"),
    Ugly("spaces.csv", csv("电话 , 姓名\n 13800138000\u00a0,\u3000李 \u3000 娜 \n"), {2: ("李 娜", (A,))}),
]  # fmt: skip
NUMBERS = [
    read_as("plus", "+86 138 0013 8000", A),
    read_as("idd", "008613800138000", A),
    read_as("country-code-alone", "8613800138000", A),
    read_as("trunk-zero", "013800138000", A),
    read_as("float", "13800138000.0", A),
    read_as("apostrophe", "'13800138000", A),
    read_as("forced-text", '="13800138000"', A),
    read_as("full-width", "１３８００１３８０００", A),
    read_as("thousands", "13,800,138,000", A),
    read_as("labelled", "电话:13800138000", A),
    read_as("with-note", "13800138000（父亲）", A),
    read_as("invisible", "\u202d138\u200b00138000\u202c", A),
    read_as("two-by-slash", "13800138000/13900139001", A, B),
    read_as("two-by-dun", "13800138000、13900139001", A, B),
    read_as("two-by-space", "13800138000 13900139001", A, B),
    read_as("scientific-whole", "1.3800138000E+10", A),
    read_as("landline", "(023)8888-6666", D),
    read_as("landline-no-zero", "2388886666", D),
    read_as("local", "8888 6666", D, area_code="023"),
    read_as("foreign", "+1 650-253-0000", "+16502530000"),
    read_as("pieces-by-en-dash", "138–0013–8000", A),
    read_as("pieces-by-middle-dot", "138·0013·8000", A),
    read_as("idd-spaced", "00 86 138-0013-8000", A),
    read_as("second-number-prefix", "12530 13800138000", A),
    read_as("ip-call-prefix", "17951 023 88886666", D),
    read_as("ip-call-prefix-mobile", "1795113800138000", A),
    read_as("thousands-with-decimals", "13,800,138,000.00", A),
    read_as("scientific-of-three-digits", "1.3800138000E+010", A),
    read_as("two-by-plus", "+8613800138000+8613900139001", A, B),
    read_as("two-by-hyphen", "13800138000-13900139001", A, B),
    read_as("short-second", "023-88886666/7777", D),
    no_number("scientific-of-eight-digits", "1.3800138E+10", "lost"),
    no_number("letters-for-zeros", "138OO138OOO", "letters"),
    no_number("extension-by-hyphen", "023-88886666-8001", "extension"),
    no_number("hidden-by-a-shop", "13800138000-1234", "extension"),
    no_number("out-of-service", "13800138000（停机）", "not to be called"),
    no_number("do-not-call", "不要打13800138000", "not to be called"),
    no_number("half-a-cent", "13800138000.5", "no number"),
    no_number("run-together", "1380013800013900139001", "no telephone number"),
    no_number("scientific-lost", "1.38E+10", "lost"),
    no_number("masked", "138****8000", "masked"),
    no_number("extension", "023-88886666转12", "extension"),
    no_number("letter-o", "1380013800O", "letters"),
    no_number("too-short", "1380013", "number"),
    no_number("too-long", "138001380001", "no number"),
    no_number("local-alone", "88886666", "area code"),
    no_number("words", "没有电话", "no telephone number"),
    no_number("empty", "", "no number"),
    no_number("id-card", "500101199001011234", "no telephone number"),
]
TABLE = [["手机", "姓名"], [13800138000.0, "李娜"], ["13900139001", "王小明"]]
WORKBOOKS = [
    Ugly("plain.xlsx", workbooks.one_sheet(TABLE), GOOD),
    Ugly("old.xls", workbooks.xls(TABLE), GOOD),
    Ugly("open.ods", workbooks.ods(TABLE), GOOD),
    Ugly("named-csv.csv", workbooks.one_sheet(TABLE), GOOD),
    Ugly("away-from-the-corner.xlsx", workbooks.one_sheet({"C4": "手机", "D4": "姓名", "C6": 13800138000, "D6": "李娜"}), {6: ("李娜", (A,))}),
    Ugly(
        "merged.xlsx",
        workbooks.one_sheet(
            [["名单", None, None], ["手机", "姓名", "区"], [13800138000, "李娜", "渝中"], [13900139001, "王小明", None]],
            ["A1:C1", "C3:C4"],
        ),
        {3: ("李娜", (A,)), 4: ("王小明", (B,))},
    ),
    Ugly("formulas.xlsx", workbooks.one_sheet([["手机", "姓名"], ["=A9|13800138000", "=B9|李娜"], ["=A9|", "王"], ["#N/A", "张"]]), {2: ("李娜", (A,))}, {3: "no number", 4: "no number"}),
    Ugly("lost-digits.xlsx", workbooks.one_sheet([["手机"], [1.38001380001380e16]]), rejects={2: "lost"}),
    Ugly("second-sheet.xlsx", workbooks.xlsx({"说明": workbooks.sheet_xml([["只读"]]), "名单": workbooks.sheet_xml(TABLE)}), GOOD),
    Ugly("hidden-sheet.xlsx", workbooks.xlsx({"old": workbooks.sheet_xml([["手机"], [18612345678]]), "名单": workbooks.sheet_xml(TABLE)}, ["old"]), GOOD),
    Ugly("far-cell.xlsx", workbooks.one_sheet({"A1": "手机", "A2": 13800138000, "XFD1048576": 1}), refused="GiB"),
    Ugly("header-only.xlsx", workbooks.one_sheet(TABLE[:1])),
    Ugly("password.xlsx", workbooks.compound("EncryptedPackage", b""), refused="password"),
    Ugly("tabs-called.xls", csv("手机\t姓名\n13800138000\t李娜\n", "utf-16"), {2: ("李娜", (A,))}),
    Ugly("negative-and-broken.xlsx", workbooks.one_sheet([["手机"], [13800138000.5], [True]]), rejects={2: "no number", 3: "no telephone number"}),
    Ugly("empty.xlsx", workbooks.one_sheet([]), refused="empty"),
    Ugly("cut.xlsx", workbooks.one_sheet(TABLE)[:900], refused="zip"),
    Ugly("cut.xls", workbooks.xls(TABLE)[:700], refused="workbook"),
]  # fmt: skip
PACKED = [
    Ugly("list.csv.gz", gzip.compress(csv(PLAIN)), GOOD),
    Ugly("list.zip", zipped({"list.csv": csv(PLAIN, "gb18030"), "__MACOSX/._list.csv": b"x"}), GOOD),
    Ugly("workbook.zip", zipped({"list.xlsx": workbooks.one_sheet(TABLE)}), GOOD),
    Ugly("two.zip", zipped({"a.csv": csv(PLAIN), "b.csv": csv(PLAIN)}), refused="2 files"),
    Ugly("twice.zip", zipped({"a.csv.gz": gzip.compress(csv(PLAIN))}), refused="twice"),
    Ugly("cut.gz", gzip.compress(csv(PLAIN * 99))[:-9], refused="broken"),
    Ugly("bomb.gz", gzip.compress(bytes(200 << 20), 6), refused="times its size"),
    Ugly("bomb.zip", zipped({"list.csv": b"1" * (200 << 20)}), refused="times its size"),
]
NO_LISTS = [
    Ugly("empty.csv", b"", refused="empty"),
    Ugly("blank.csv", b"\n \n\r\n", refused="empty"),
    Ugly("mark-only.csv", b"\xef\xbb\xbf", refused="empty"),
    Ugly("no-header.csv", csv("13800138000,李娜\n13900139001,王\n"), refused="no header"),
    Ugly("no-number-column.csv", csv("姓名,地址\n李娜,重庆\n"), refused="no column holds the number"),
    Ugly("page.xls", b"<html><table><tr><td>13800138000</td></tr></table></html>", refused="HTML"),
    Ugly("page-with-mark.xls", b"\xef\xbb\xbf\n<!DOCTYPE html><html></html>", refused="HTML"),
    Ugly("document.csv", b"%PDF-1.7 ...", refused="PDF"),
    Ugly("table.xml", b'<?xml version="1.0"?><Workbook/>', refused="XML"),
    Ugly("array.json", b'[{"phone": "13800138000"}]', refused="JSON"),
]
JSON_LINES = [
    Ugly(
        "list.jsonl",
        csv('{"phone": 13800138000, "name": "李娜", "vip": true}\n\n{"phone": ["13900139001", "18612345678"]}\n[1]\n{x\n'),
        {1: ("李娜", (A,)), 3: ("", (B, C))},
        {4: "object", 5: "no JSON"},
    ),
]  # fmt: skip
JSON_LINES += [
    Ugly(
        "odd-values.jsonl",
        csv(
            '{"phone": [[13800138000]], "car": {"brand": "x", "years": [1, 2]}, "n": 99999999999999999999999, "f": NaN}\n'
            '{"phone": "13900139001", "a": {"b": ["\\u0000"]}}\n{"phone": "13900139001", "a": "\\ud800"}\n'
            f'{{"phone": "13900139001", "a": {"[" * 5_000}{"]" * 5_000}}}\n{{"phone": "13900139001", "\\u0000k": 1}}\n'
        ),
        {1: ("", (A,)), 5: ("", (B,))},
        {2: "control", 3: "half", 4: "no JSON"},
    ),
    Ugly("pretty.json", csv('{\n  "phone": "13800138000"\n}\n'), refused="no JSON lines"),
]  # fmt: skip
CORPUS = [*ENCODINGS, *SHAPES, *NUMBERS, *WORKBOOKS, *PACKED, *NO_LISTS, *JSON_LINES]
