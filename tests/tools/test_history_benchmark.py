"""The benchmark of history, at a size of seconds: the months really move, and every figure is there."""

from __future__ import annotations

import pytest

from benchmarks import history


@pytest.mark.timeout(120)
def test_what_history_costs_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "QUESTIONS", 3)
    results = {result.what: result for result in history.measure(0.001)}
    assert results["rows archived, of 4,000 attempts: rate"].value > 0
    assert 0.0 < results["what the files take of the tables and indexes"].value < 1.0
    assert len([what for what in results if "beside over without" in what]) == 2
    assert all(result.value > 0 for result in results.values())
