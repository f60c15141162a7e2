"""A report as a file: CSV, or a workbook. What it says is what the page says; figures stay numbers to be added up."""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import BytesIO, StringIO
from typing import Any

from campaigns.reports.asking import Column, Table
from campaigns.reports.catalogue import Unit
from campaigns.spreadsheet import plain

Label = Callable[[str], str]  # of a column
Shown = Callable[[str, str], str]  # a dimension and its value, for people
DIGITS = {Unit.SHARE: 6, Unit.LAW: 6, Unit.SECONDS: 3, Unit.TOTAL: 3, Unit.RATE: 3}
DAY_S = 86_400.0
WIDEST = 40  # characters
# How a workbook shows each unit; its times are days.
FORMATS = {
    Unit.COUNT: "#,##0",
    Unit.SHARE: "0.0%",
    Unit.LAW: "0.00%",
    Unit.SECONDS: "[m]:ss",
    Unit.TOTAL: "[h]:mm:ss",
    Unit.RATE: "0.0",
}


def as_csv(table: Table, label: Label, shown: Shown, total: str, note: str = "") -> bytes:
    """UTF-8 with the mark by which a spreadsheet knows it; durations in seconds, shares from 0 to 1.

    A `note` is its last line.
    """
    out = StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([plain(label(column.key)) for column in table.columns])
    for row in table.rows:
        writer.writerow([_cell(*pair, shown) for pair in zip(table.columns, row, strict=True)])
    if table.totals:
        writer.writerow(_total(table, total, lambda column, value: _cell(column, value, shown)))
    if note:
        writer.writerow([note])
    return out.getvalue().encode("utf-8-sig")


def as_workbook(table: Table, label: Label, shown: Shown, total: str, title: str, note: str = "") -> bytes:
    """A workbook of one sheet, with its head frozen. Strings are strings in it, whatever they begin with.

    A `note` is below the table.
    """
    import xlsxwriter

    out = BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(out, options) as book:
        sheet = book.add_worksheet(title[:31])
        formats = {unit: book.add_format({"num_format": shape}) for unit, shape in FORMATS.items()}
        sums = {
            u: book.add_format({"num_format": shape, "bold": True, "top": 1}) for u, shape in FORMATS.items()
        }
        head = book.add_format({"bold": True, "text_wrap": True, "bottom": 1, "valign": "top"})
        bold = book.add_format({"bold": True, "top": 1})
        for place, column in enumerate(table.columns):
            sheet.write_string(0, place, label(column.key), head)
            told = [shown(column.key, str(row[place])) for row in table.rows] if column.unit is None else []
            sheet.set_column(place, place, min(WIDEST, max([12, *map(len, told)]) + 2))
        sum_up = [_total(table, total, lambda _, value: value)] if table.totals else []
        for line, row in enumerate([*table.rows, *sum_up], 1):
            last = line > len(table.rows)
            for place, (column, value) in enumerate(zip(table.columns, row, strict=True)):
                if column.unit is None:
                    told = str(value or "") if last else shown(column.key, str(value))
                    sheet.write_string(line, place, told, bold if last else None)
                elif value is not None:
                    number = value / DAY_S if column.unit in (Unit.SECONDS, Unit.TOTAL) else value
                    sheet.write_number(line, place, number, (sums if last else formats)[column.unit])
        if note:
            sheet.write_string(2 + len(table.rows) + len(sum_up), 0, note)
        sheet.freeze_panes(1, sum(column.unit is None for column in table.columns))
    return out.getvalue()


def _cell(column: Column, value: Any, shown: Shown) -> str:
    if value is None:
        return ""
    if column.unit is None:
        return plain(shown(column.key, str(value)))
    digits = DIGITS.get(column.unit)
    return str(value) if digits is None else f"{value:.{digits}f}"


def _total(table: Table, total: str, cell: Callable[[Column, Any], Any]) -> list[Any]:
    row = [cell(column, value) for column, value in zip(table.columns, table.totals, strict=True)]
    return [total, *row[1:]]
