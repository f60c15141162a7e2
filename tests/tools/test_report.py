"""The benchmarks' shared form: what it says, what it writes, and when it fails."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks.report import Options, Result, options, percentile, report


def test_a_broken_budget_is_named_and_fails_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [Result("fast enough", 3.0, "ms", 20.0), Result("too slow", 21.5, "ms", 20.0)]
    assert report("sample", Options(0.5, tmp_path / "out.json"), results) == 1
    table = capsys.readouterr().out
    assert "BROKEN" in next(line for line in table.splitlines() if "too slow" in line)
    assert "ok" in next(line for line in table.splitlines() if "fast enough" in line)
    written = json.loads((tmp_path / "out.json").read_text())
    assert (written["name"], written["scale"]) == ("sample", 0.5)
    assert [
        (row["what"], row["value"], row["unit"], row["budget"], row["ok"]) for row in written["results"]
    ] == [
        ("fast enough", 3.0, "ms", 20.0, True),
        ("too slow", 21.5, "ms", 20.0, False),
    ]


def test_a_budget_can_be_a_floor_and_a_figure_can_have_none() -> None:
    results = [Result("rate", 0.7, "× COPY", 0.5, "at_least"), Result("for information", 9e9, "rows")]
    assert report("sample", Options(1.0, None), results) == 0
    assert not Result("rate", 0.4, "× COPY", 0.5, "at_least").ok


def test_no_figure_breaks_its_budget() -> None:
    assert not Result("nothing was measured", math.nan, "ms", 20.0).ok


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.0, 1.0)])
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(1, 101)], share) == expected
    assert math.isnan(percentile([], share))


def test_a_scale_of_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "--scale", "0"])
    with pytest.raises(SystemExit):
        options("sample")
