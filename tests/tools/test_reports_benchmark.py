"""The benchmark of reports, at a size of seconds: all is counted, every report is asked, and every figure is there."""

from __future__ import annotations

import threading
from multiprocessing import Event, Value

import pytest
from sqlalchemy import Engine, text

from benchmarks import reports
from campaigns import database
from campaigns.reports.catalogue import REPORTS


@pytest.mark.timeout(180)
def test_what_reports_cost_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "ASKED", 1)
    results = {result.what: result for result in reports.measure(0.00001)}
    for name in REPORTS:
        assert f"{name}, a day" in results and f"{name}, a year" in results
    assert results["campaigns, a day: of the attempts over of the roll-ups"].value > 0
    assert "the abandon window of a campaign, 30 days, slowest" in results
    assert len([what for what in results if "beside over without" in what]) == 4


def test_a_reader_whose_statement_takes_too_long_goes_on(db: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "step_back", lambda: None)  # it would be this process that steps back
    monkeypatch.setattr(database, "READING_LIMIT_MS", 50)
    stop, asked, late = Event(), Value("q", 0), Value("q", 0)
    url = db.url.render_as_string(hide_password=False)
    reader = threading.Thread(target=reports.read, args=(url, stop, asked, late))
    with db.begin() as connection:
        connection.execute(text("LOCK TABLE rollup_agent IN ACCESS EXCLUSIVE MODE"))
        reader.start()
        while reader.is_alive() and late.value < 2:
            reader.join(0.01)
        assert (asked.value, late.value >= 2) == (0, True)
    while reader.is_alive() and asked.value < 1:
        reader.join(0.01)
    stop.set()
    reader.join()
    assert asked.value
