"""The page of the faults: what a night's runs came to is kept as it was, and added up."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults import __main__ as page
from tests.faults.rounds import keep
from tests.faults.running import Run


def test_runs_that_were_kept_are_read_as_they_were_and_added_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "KEPT", tmp_path / "faults.jsonl")
    assert page.kept() == []
    runs = [
        Run("link cut", 3, 20, 18, Counter(connected=9, lost=2), 8, 1, 2.5, 3.0, 1.5),
        Run(
            "link cut",
            4,
            10,
            10,
            Counter(connected=4),
            4,
            0,
            0.5,
            0.6,
            2.5,
            violations=["a lead is nobody's"],
        ),
    ]
    for each in runs:
        keep(each, page.KEPT)
    assert page.kept() == runs
    told = page.table(page.kept(), datetime(2026, 11, 29, tzinfo=UTC))
    assert told.startswith("2 faults, 30 calls and 12 verdicts accounted for, 1 violations")
    assert "| 2 | 30 | 28 | 13 | 12 | 1 | 3 · 4 s | 1.5 s | 1 |" in told
