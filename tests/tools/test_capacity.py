"""The page that says what so many seats need: its arithmetic, and that it is made of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.capacity import FULL, Costs, needs, page

COSTS = Costs(
    dials=0.03, connects=0.007, talk_s=120, engine_s=0.007, page=0.0001, database_s=0.004, stored=2_000
)


def measured(figures: dict[str, float]) -> dict[str, Any]:
    rows = [{"what": name, "value": value} for name, value in figures.items()]
    return {"machine": "two cores", "scale": 1.0, "results": rows}


def test_a_row_is_what_its_calls_take() -> None:
    row = needs(2_000, COSTS)
    assert row["calls placed, /s"] == "60"  # 2,000 seats, 0.03 each
    assert row["lines"] == "2,898"  # 60 a second for 17.6 s, 1,680 talks, and 3.1 deviations
    assert row["engines"] == "1" and row["their cores"] == "0.62"  # 60 x 7 ms, 2,000 x 0.1 ms
    assert row["grows, GB a day · a year"] == "4.3 · 1,296"  # 60 x 36,000 s x 2 kB
    assert COSTS.most == pytest.approx(FULL / 0.007)


def test_the_page_is_of_what_was_measured_and_nothing_else(tmp_path: Path) -> None:
    floor = tmp_path / "short.toml"
    floor.write_text(
        'story = "A short morning."\nhours = 0.75\n[[seats]]\ncount = 3\n'
        '[[campaigns]]\ntalk = { family = "exponential", mean_s = 60 }\nperson = 0.4\n'
    )
    loaded = measured({
        "seats": 200, "calls placed": 20, "engine process, share of a core": 14, "database, share of a core": 8,
        "database grows, for each call": 2_345,
    })  # fmt: skip
    door = measured({"pages on one door": 2_000, "door, share of a core": 20})
    made = page(loaded, door, str(floor))
    assert "7.0 ms of a core for each call placed" in made and "2,345 bytes" in made
    assert "at 100 calls/s" in made  # 0.7 of a core, 7 ms each
