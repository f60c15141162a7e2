"""The page that says what so many seats need: its arithmetic, and that it is made of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.capacity import FULL, Costs, needs, page

COSTS = Costs(
    dials=0.03, connects=0.007, talk_s=120, engine_s=0.007, page=0.0001, database_s=0.004, stored=2_000
)


def measured(**figures: float) -> dict[str, Any]:
    rows = [{"what": name.replace("_", " "), "value": value} for name, value in figures.items()]
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
    loaded = measured(
        seats=200, calls_placed=20, engine_process=14, database__share=8, database_grows__for_each_call=2_345
    )
    loaded["results"][3]["what"] = "database, share of a core"
    made = page(loaded, measured_door(), str(floor))
    assert "7.0 ms of a core for each call placed" in made and "2,345 bytes" in made
    assert "at 100 calls/s" in made  # 0.7 of a core, 7 ms each


def measured_door() -> dict[str, Any]:
    file = measured(pages_on_one_door=2_000)
    file["results"].append({"what": "door, share of a core", "value": 20.0})
    return file
