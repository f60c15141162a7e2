"""`dialer simulate`: the list, the table, the JSON, the picture, and what is said of wrong names."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from dialer.cli import main

pytestmark = pytest.mark.timeout(180)  # numba compiles once on a new machine
TINY = """
story = "Two seats for half an hour."
hours = 0.5
warm_up_min = 5
[[seats]]
count = 2
[[campaigns]]
talk = { family = "exponential", mean_s = 60 }
person = 0.3
ring = { family = "gamma", mean_s = 10, cv = 0.5 }
"""


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    file = tmp_path / "tiny.toml"
    file.write_text(TINY)
    return str(file)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["simulate", *arguments])


def test_without_a_scenario_it_lists_what_there_is() -> None:
    found = run()
    assert found.exit_code == 0
    assert "yardstick-20" in found.stdout
    assert "clairvoyant" in found.stdout


def test_the_table_has_a_line_for_each_law_and_the_story(tiny: str) -> None:
    found = run(tiny, "--policies", "progressive, ratio:3", "--seeds", "2", "--jobs", "1")
    assert found.exit_code == 0, found.output
    assert "Two seats for half an hour." in found.stdout
    for law in ("progressive", "ratio:3"):
        assert any(line.split()[:1] == [law] for line in found.stdout.splitlines())


def test_json_has_intervals_and_counts_and_the_picture_is_drawn(tiny: str, tmp_path: Path) -> None:
    picture = tmp_path / "out.svg"
    found = run(tiny, "--policies", "issabel,clairvoyant", "--seeds", "3", "--json", "--plot", str(picture))
    assert found.exit_code == 0, found.output
    rows = json.loads(found.stdout)
    assert [(row["scenario"], row["policy"], row["days"]) for row in rows] == [
        ("tiny", "issabel", 3),
        ("tiny", "clairvoyant", 3),
    ]
    issabel, bound = rows
    assert issabel["abandon"]["low"] <= issabel["abandon"]["value"] <= issabel["abandon"]["high"]
    assert bound["bound_share"]["value"] == 1.0
    assert bound["counts"]["dials"] > bound["counts"]["connected"] > 0
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_the_same_seeds_give_the_same_figures_on_any_number_of_processes(tiny: str) -> None:
    one = run(tiny, "--policies", "wombat", "--seeds", "3", "--json", "--jobs", "1")
    two = run(tiny, "--policies", "wombat", "--seeds", "3", "--json", "--jobs", "2")
    assert one.stdout == two.stdout != ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere",), "there is no scenario 'nowhere'"),
        (("yardstick-5", "--policies", "guesswork"), "there is no policy 'guesswork'"),
        (("yardstick-5", "--plot", "/no/such/folder/out.svg"), "there is no folder /no/such/folder"),
    ],
)
def test_a_wrong_name_is_answered_with_exit_code_2(arguments: tuple[str, ...], says: str) -> None:
    found = run(*arguments)
    assert found.exit_code == 2
    assert says in found.stderr


def test_the_virtual_switch_by_itself_has_a_command_of_its_own() -> None:
    found = CliRunner().invoke(main, ["virtual-switch", "--scenario", "statistical", "--answers", "2"])
    assert found.exit_code == 2
    assert "answers is a share from 0 to 1" in found.output
