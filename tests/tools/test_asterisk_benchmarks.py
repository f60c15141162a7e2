"""The benchmarks that need a real Asterisk: without one they say so and measure nothing; with one, a small step."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import ceiling, joining
from benchmarks.engine import Load
from tests.rig.asterisk import AsteriskRig
from tests.rig.place import HOW, find


@pytest.mark.parametrize("benchmark", [ceiling, joining])
def test_without_an_asterisk_it_says_how_to_get_one(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(benchmark, "find", lambda: None)
    monkeypatch.setattr("sys.argv", ["benchmark", "--json", str(tmp_path / "out.json")])
    assert benchmark.main() == 0
    assert HOW in capsys.readouterr().out
    assert '"results": []' in (tmp_path / "out.json").read_text()


@pytest.mark.asterisk
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_step_towards_the_ceiling_is_a_shift_on_a_real_asterisk(asterisk_rig: AsteriskRig) -> None:
    """A few seats for some seconds; the fixture is there for its skip, the step has a rig of its own."""
    installed = find()
    assert installed is not None
    had = ceiling.step(installed, Load(seats=4, calls_per_s=5, warm_up_s=2.0, measured_s=10.0))
    figures = {result.what: result for result in ceiling.told(5, had)}
    assert figures["at 5 calls/s: connected since the start"].value > 0
    assert figures["at 5 calls/s: answer read to connect sent, p99"].value > 0
    assert [each.what for each in figures.values() if not each.ok] == []
    assert had.switch_cpu.keys() == {"Asterisk", "carrier", "phones"}
