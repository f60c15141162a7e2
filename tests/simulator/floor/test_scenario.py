"""Scenario files: those that come with the package, and what is said of wrong ones."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from simulator.floor import ScenarioError, load, names
from simulator.floor.scenario import Amd, Block, Break, Campaign, Inbound, Scenario, Seats, by_minute

ROOT = Path(__file__).parents[3]
GOOD = """
story = "A story."
hours = 1
[[seats]]
count = 2
[[campaigns]]
talk = { family = "exponential", mean_s = 60 }
"""


def test_there_are_scenarios_and_each_tells_its_story() -> None:
    assert len(names()) >= 12
    assert {"yardstick-5", "yardstick-20", "yardstick-100"} <= set(names())
    stories = [load(name).story for name in names()]
    assert all(len(story) > 60 for story in stories)
    assert len(set(stories)) == len(stories)


def test_each_scenario_is_on_the_reference_page() -> None:
    page = (ROOT / "docs/reference/scenarios.md").read_text(encoding="utf-8")
    assert [name for name in names() if f"`{name}`" not in page] == []


@pytest.mark.parametrize("table", [Scenario, Seats, Break, Campaign, Amd, Inbound, Block])
def test_each_key_is_on_the_reference_page(table: type[msgspec.Struct]) -> None:
    page = (ROOT / "docs/reference/scenarios.md").read_text(encoding="utf-8")
    assert [key for key in table.__struct_fields__ if not re.search(rf"\b{key}\b", page)] == []


def test_a_file_of_ones_own_is_named_after_itself(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    scenario = load(file)
    assert (scenario.name, scenario.seat_count, scenario.line_count) == ("mine", 2, 24)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hours = ", "mine.toml"),
        (GOOD.replace("count = 2", 'count = "two"'), "$.seats[0].count"),
        (GOOD.replace("count = 2", "count = 0"), "seats 'seats': count must be 1 or more, is 0"),
        (GOOD.replace("count = 2", "cuont = 2"), "cuont"),
        (GOOD.replace("count = 2", 'count = 2\nserves = ["nobody"]'), "serve 'nobody', no campaign"),
        (GOOD.replace("exponential", "weibull"), "weibull"),
        (
            GOOD.replace("mean_s = 60", "mean_s = -60"),
            "campaign 'main': talk: mean_s must be above 0, is -60",
        ),
        (GOOD + "person = 1.5\n", "person must be a share from 0 to 1"),
        (GOOD + "person = 0.8\nmachine = 0.3\n", "come to 1.1, more than all dials"),
        (GOOD + "person = 0.6\nblocks = [{ name = 'a', leads = 5, factor = 2 }]\n", "come to 1.2"),
        (GOOD + "target = 2\n", "$.campaigns[0].target"),
        (GOOD.replace("hours = 1", "hours = 0.2"), "warm_up_min must be a multiple of 5 below hours"),
        (GOOD.replace("hours = 1", "hours = -1"), "$.hours"),
        (GOOD.replace("hours = 1", "hours = 0"), "hours must be above 0"),
        (GOOD.replace("hours = 1", "hours = nan"), "hours"),
        (GOOD.replace("count = 2", "count = 2\nfrom_h = 0.5\nto_h = 0.25"), "to_h must be after from_h"),
        (GOOD.replace("mean_s = 60", "mean_s = inf"), "mean_s must be above 0, is inf"),
        (GOOD + "person = [[1, 0.2], [0, 0.3]]\n", "person must be a number or points"),
        (GOOD + "person = []\n", "person must be a number or points"),
        (
            GOOD + "inbound = { calls_per_h = -5, talk = { family = 'constant', mean_s = 9 } }\n",
            "calls_per_h must be 0 or more",
        ),
        (GOOD + "connect_limit_s = -1\n", "$.campaigns[0].connect_limit_s"),
        (GOOD.replace("hours = 1", "hours = 1\nlines = 0"), "lines must be 1 or more"),
        (GOOD.replace("hours = 1", "hours = 1\ncalls_per_s = 0"), "calls_per_s must be above 0"),
        (GOOD + "[[campaigns]]\n", "each with a name of its own"),
    ],
)
def test_a_wrong_file_is_refused_and_says_where_and_why(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ScenarioError) as fault:
        load(file)
    assert says in str(fault.value)
    assert "mine.toml" in str(fault.value)


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(ScenarioError, match=r"no scenario 'nowhere'.*yardstick-5"):
        load("nowhere")


def test_a_course_runs_straight_between_its_points_and_steps_where_two_share_an_hour() -> None:
    course = by_minute(((0.0, 0.2), (1.0, 0.4), (1.0, 0.1), (2.0, 0.1)), 180)
    assert course[29] == pytest.approx(0.2983, abs=1e-3)
    assert course[59] > 0.39
    assert course[60] == course[179] == 0.1
