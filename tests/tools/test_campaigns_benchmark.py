"""The benchmark of lists and history, at a size of seconds: lists really come in, and every figure is there."""

from __future__ import annotations

import pytest

from benchmarks import campaigns


@pytest.mark.timeout(180)
def test_what_lists_and_history_cost_is_measured(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in (
        ("FEWEST_ROWS", 600),
        ("ROUNDS", 1),
        ("TURNS", 1),
        ("LEASED", 20),
        ("ROWS_PER_S", 600),
    ):
        monkeypatch.setattr(campaigns, name, value)
    results = {result.what: result for result in campaigns.measure(0.0005)}
    assert results["leads and attempts there"].value >= 4_900
    assert results["leads leased, none of them twice"].value == 2 * (1 + 4) * 20
    assert len([what for what in results if " full over empty" in f" {what}"]) == 2
    assert len([what for what in results if "beside an import over none" in what]) == 2
    assert all(result.value > 0 for result in results.values())
    assert "history: 24,996 of 25,000 attempts" in capfd.readouterr().err
