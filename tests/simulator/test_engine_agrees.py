"""The simulator says what the engine does: one shift through the whole daemon, and the same one on the floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from benchmarks import report, validation
from benchmarks.validation import MARGINS, PEOPLE, Shift, Team, compare, on_floor
from simulator.floor.distribution import Gamma, Lognormal
from simulator.floor.scenario import Campaign
from tests.database import fresh_url

pytestmark = pytest.mark.timeout(600)  # a minute's shift, in real time, and perhaps three more


def shift(squad: Sequence[Team], folder: Path) -> Mapping[Team, Shift]:
    return report.run_async(lambda: validation.Installation(squad).run(fresh_url(), folder))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Team, Shift]:
    """The shift as the daemon's tables have it."""
    return shift(validation.teams(), tmp_path_factory.mktemp("validation"))


@pytest.mark.alone
def test_the_floor_comes_to_what_the_engine_comes_to(engine: Mapping[Team, Shift], tmp_path: Path) -> None:
    """In real time, so a slow machine may spoil a shift; a wrong model spoils one of a third of the work, too."""
    floor = {team: on_floor(team) for team in engine}
    found = compare(engine, floor)
    assert len(found) == sum(map(len, MARGINS.values()))
    if any(each.apart for each in found):
        squad = list(engine)
        thirds = [shift(squad[n::3], tmp_path / str(n)) for n in range(3)]
        found = compare({team: worked for third in thirds for team, worked in third.items()}, floor)
    assert [each for each in found if each.apart] == []


@pytest.mark.alone
def test_without_surplus_calls_they_are_the_same_calls(engine: Mapping[Team, Shift]) -> None:
    """Progressively nobody is abandoned on either side, and hardly a call falls on the other side of the end."""
    for team, worked in engine.items():
        if team.mode == "progressive":
            floor = on_floor(team)
            assert (worked.abandoned, floor.abandoned) == (0, 0)
            assert abs(worked.connected - floor.connected) <= 4


def wrong(**changes: object) -> Campaign:
    return msgspec.structs.replace(PEOPLE, **changes)


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param(wrong(talk=Lognormal(1.15 * 8.0, 0.8)), id="talks 15 % too long"),
        pytest.param(wrong(ring=Gamma(1.3 * 3.0, 0.5)), id="rings 30 % too long"),
        pytest.param(wrong(person=0.85 * 0.45), id="15 % fewer answer"),
        pytest.param(wrong(wrap=Gamma(1.5 * 2.0, 0.5)), id="wrap-up half as long again"),
        pytest.param(wrong(connect_limit_s=1.0), id="abandoned after half the time"),
    ],
)
def test_a_simulator_that_is_wrong_is_found(planted: Campaign) -> None:
    """By an engine whose figures are the right ones: the comparison is tested, not the machine's mood."""
    squad = validation.teams()
    found = compare(
        {team: on_floor(team) for team in squad}, {team: on_floor(team, planted) for team in squad}
    )
    assert any(each.apart for each in found)


def test_no_margin_lets_a_figure_pass_that_is_off_by_fifteen_percent() -> None:
    """But for how long seats wait in predictive dialing, where two right shifts part by more."""
    for margins in MARGINS.values():
        for figure, margin in margins.items():
            assert margin is None or margin < 0.15 or figure == "idle"
