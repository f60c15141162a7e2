"""The page that holds all laws to all scenarios: what it says, and that a day is simulated once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts import compare_laws

SCENARIO = """
story = "A short morning."
hours = 0.75

[[seats]]
count = 3

[[campaigns]]
talk = { family = "exponential", mean_s = 60 }
person = 0.4
"""


def test_a_page_is_made_of_days_that_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario, kept, page = tmp_path / "morning.toml", tmp_path / "kept", tmp_path / "laws.md"
    scenario.write_text(SCENARIO)

    def made(*more: str) -> str:
        options = ["--days", "2", "--jobs", "1", "--kept", str(kept), "--page", str(page), *more]
        monkeypatch.setattr(sys, "argv", ["compare_laws", str(scenario), *options])
        compare_laws.main()
        return page.read_text()

    first = made()
    assert "## morning\n\nA short morning. Target 3%.\n" in first
    assert "| progressive | 2 | 0.00 |" in first and "| clairvoyant | 2 | 0.00 |" in first
    assert first.count("| predictive |") + first.count("| **predictive** |") == 1

    whole = kept.read_bytes()
    assert made() == first and kept.read_bytes() == whole
    kept.write_bytes(whole[:-20])  # the last day was cut off
    assert made("--no-more") != first
    assert made() == first
