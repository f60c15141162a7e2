"""A report's columns, values and figures in the reader's language, for page and files alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from campaigns.reports.asking import Column, Table
from campaigns.reports.catalogue import Unit
from cti.language import Catalogue
from cti.pauses import PauseReason

NONE = "–"
# The dimensions whose values are codes of ours, and where their words are.
CODES = {
    "outcome": "outcome", "reason": "refusal", "cause": "hangup",
    "law_profile": "report", "law_since": "report", "law_kept": "report",
}  # fmt: skip


class Words:
    """What a report says in one language."""

    def __init__(self, texts: Catalogue, pauses: Sequence[PauseReason] = ()) -> None:
        self._t = texts
        self._pauses = {each.code: each.label.get(texts.language, each.code) for each in pauses}

    def title(self, report: str) -> str:
        return self._t(f"report.{report}")

    def column(self, key: str) -> str:
        return self._t(f"report.column.{key}")

    @property
    def total(self) -> str:
        return self._t("report.total")

    @property
    def behind(self) -> str:
        return self._t("report.due")

    def value(self, dimension: str, value: str) -> str:
        """A row's value of a dimension, for people."""
        if not value or (dimension == "sip" and value == "0"):
            return self._t("report.no_outcome" if dimension == "outcome" else "report.none")
        if dimension == "reason" and value in self._pauses:
            return self._pauses[value]
        key = f"{CODES.get(dimension, '')}.{value}"
        return self._t(key) if key in self._t.texts else value

    def figure(self, unit: Unit, value: Any) -> str:
        """A figure as people read it: 1,234 – 12.3 % – 1:02:03 – 4.5."""
        if value is None:
            return NONE
        if unit is Unit.SHARE:
            return f"{100 * value:.1f}%"
        if unit is Unit.LAW:
            return f"{100 * value:.2f}%"
        if unit in (Unit.SECONDS, Unit.TOTAL):
            minutes, seconds = divmod(round(value), 60)
            hours, rest = divmod(minutes, 60)
            return f"{hours:,}:{rest:02}:{seconds:02}" if unit is Unit.TOTAL else f"{minutes:,}:{seconds:02}"
        return f"{value:,.1f}" if unit is Unit.RATE else f"{value:,}"

    def cell(self, column: Column, value: Any) -> str:
        return self.value(column.key, str(value)) if column.unit is None else self.figure(column.unit, value)

    def rows(self, table: Table, most: int | None = None) -> list[list[tuple[str, Any]]]:
        """The cells of so many rows, as text and as they are."""
        return [
            [(self.cell(column, value), value) for column, value in zip(table.columns, row, strict=True)]
            for row in table.rows[:most]
        ]
