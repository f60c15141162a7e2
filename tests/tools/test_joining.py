"""The benchmark that needs a real Asterisk says so on a machine without one, and measures nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import joining
from tests.rig.place import HOW


def test_without_an_asterisk_it_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(joining, "find", lambda: None)
    monkeypatch.setattr("sys.argv", ["joining", "--json", str(tmp_path / "out.json")])
    assert joining.main() == 0
    assert HOW in capsys.readouterr().out
    assert '"results": []' in (tmp_path / "out.json").read_text()
