"""The benchmark of reports, at a size of seconds: all is counted, every report is asked, and every figure is there."""

from __future__ import annotations

import pytest

from benchmarks import reports
from campaigns.reports.catalogue import REPORTS


@pytest.mark.timeout(180)
def test_what_reports_cost_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "ASKED", 1)
    results = {result.what: result for result in reports.measure(0.00001)}
    for name in REPORTS:
        assert f"{name}, a day" in results and f"{name}, a year" in results
    assert results["campaigns, a day: of the attempts over of the roll-ups"].value > 0
    assert len([what for what in results if "beside over without" in what]) == 4
