"""A recorded day is lived again: what the tables tell of it, what it comes to, and what would have been."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

import msgspec
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine
from sqlalchemy import text as sql

from campaigns import database
from campaigns.history.files import Files
from campaigns.steering import changed
from dialer import recorded
from dialer.cli import main
from dialer.config import SwitchSection
from dialer.preview import NoPreview, Order, preview
from dialer.recorded import NoSuchDay, RecordedDay
from pacing.contract import Mode
from pacing.pacer import CampaignPacer
from simulator.floor import FloorLaw, OneEach, Result, Scenario, load, simulate_floor
from simulator.floor.distribution import Empirical, Exponential, Gamma, Lognormal
from simulator.floor.scenario import Break, Campaign, Seats
from simulator.policies.registry import policy
from tests.campaigns.world import Campaign as Stored
from tests.database import fresh_url
from tests.dialer.diary import Diary

pytestmark = pytest.mark.timeout(240)  # days of a predictive law, in virtual time

DAY = date(2026, 11, 24)
NO_FILES = Files(Path("no-archive"))
BEGIN = datetime(2026, 11, 24, 9, 0).astimezone()
UNKNOWN_S = 3600.0  # before the record begins: the law has found its team
PEOPLE = Campaign(
    name="spring",
    person=((0.0, 0.22), (2.0, 0.22), (2.0, 0.34), (4.0, 0.34)),
    busy=0.06,
    failed=0.04,
    setup=Gamma(0.8, 0.5),
    ring=Gamma(11.0, 0.5),
    talk=Lognormal(50.0, 0.9),
    wrap=Gamma(12.0, 0.6),
    patience=Exponential(8.0),
)
HALL = (Seats(6), Seats(4, to_h=3.5, breaks=(Break(1.5, 10, 20), Break(2.5, 15, 10))))
TRUTH = Scenario("truth", "", 4.0, HALL, (PEOPLE,), warm_up_min=UNKNOWN_S / 60)
FIGURES = ("occupancy", "connects_per_seat_hour", "idle_s_per_call", "abandon_rate")
T_995 = {5: 5.60, 19: 3.17}  # quantiles of Student's t, two-sided 99.5 %, 4 and 18 degrees of freedom


@dataclass(frozen=True)
class Record:
    """A database with one recorded day, and what that day truly came to."""

    db: Engine
    url: str
    truth: Result

    @property
    def day(self) -> RecordedDay:
        return recorded.read(self.db, NO_FILES, "spring", DAY)


def record(mode: Mode, ratio: float = 1.5) -> Record:
    url = fresh_url()
    db = database.connect(url)
    config = replace(PEOPLE.pacing(), mode=mode, ratio=ratio)
    law: FloorLaw = OneEach({"spring": CampaignPacer(config)})
    diary = Diary(law, BEGIN)
    truth = simulate_floor(TRUTH, diary, seed=1)
    stored = Stored(db, leads=0, more=f'mode = "{mode}"\nratio = {ratio}\n')
    diary.write(db, stored.id, UNKNOWN_S)
    return Record(db, url, truth)


@pytest.fixture(scope="module")
def predictive() -> Iterator[Record]:
    found = record(Mode.PREDICTIVE)
    yield found
    found.db.dispose()


@pytest.fixture(scope="module")
def by_ratio() -> Iterator[Record]:
    found = record(Mode.RATIO, 2.5)
    yield found
    found.db.dispose()


def outside(day: Result, lived: list[Result]) -> list[str]:
    """The figures in which a day does not look like one of these."""
    found = []
    for figure in FIGURES:
        values = [getattr(each, figure) for each in lived]
        half = T_995[len(values)] * stdev(values) * sqrt(1 + 1 / len(values))
        if abs(getattr(day, figure) - fmean(values)) > half:
            found.append(
                f"{figure}: {getattr(day, figure):.4f}, lived again {fmean(values):.4f} ± {half:.4f}"
            )
    return found


def lived(scenario: Scenario, law: str, days: int) -> list[Result]:
    return [policy(law).day(scenario, seed) for seed in range(101, 101 + days)]


# --- what the record says ---------------------------------------------------------------------------------------


def test_the_days_own_figures_are_those_it_came_to(predictive: Record) -> None:
    day, truth = predictive.day, predictive.truth
    figures = recorded.figures(day, recorded.scenario(day))
    assert figures.occupancy == pytest.approx(truth.occupancy, abs=0.002)
    assert figures.seat_hours == pytest.approx(truth.seat_hours, rel=0.002)
    for name in ("dials", "connected", "abandoned"):
        assert getattr(figures, name) == pytest.approx(getattr(truth, name), abs=5)
    line = recorded.recorded(day, recorded.scenario(day))
    assert line.abandon.low < truth.abandon_rate < line.abandon.high


def test_people_seats_and_hours_are_found_again(predictive: Record) -> None:
    day = predictive.day
    switch = SwitchSection(name="main", host="pbx", user="dialer", secret="x", max_lines=90, calls_per_s=4.0)
    far = msgspec.structs.replace(switch, name="far")  # which its campaign is not on
    scenario = recorded.scenario(day, [switch, far])
    assert (scenario.lines, scenario.calls_per_s, scenario.start_hour) == (90, 4.0, BEGIN.hour)
    assert (scenario.hours, scenario.warm_up_min, day.law) == (4.0, 60.0, "predictive")
    people = scenario.campaigns[0]
    assert people.talk.mean() == pytest.approx(50.0, rel=0.08)
    assert people.wrap is not None and people.wrap.mean() == pytest.approx(12.0, rel=0.05)
    assert people.ring.mean() == pytest.approx(10.6, rel=0.05)  # of Gamma(11, 0.5), those below 25 s
    assert people.setup.mean() == pytest.approx(0.8, rel=0.05)
    assert (people.ring_limit_s, people.failed_after_s) == (pytest.approx(25.0), pytest.approx(3.0))
    assert isinstance(people.person, tuple) and isinstance(people.busy, tuple)
    shares = [share for _, share in people.person]
    assert shares[0] == shares[1]  # the first hour is lived twice
    assert shares[1] == pytest.approx(0.21, abs=0.03) and shares[-1] == pytest.approx(0.33, abs=0.03)
    assert people.busy[0][1] == pytest.approx(0.06, abs=0.02)
    assert isinstance(people.patience, Empirical)
    soon = [value for value in people.patience.values_s if value <= 2.0]
    assert len(soon) / len(people.patience.values_s) == pytest.approx(0.22, abs=0.12)  # 1 - exp(-2 / 8)
    assert len(scenario.seats) == 10
    leaving = [seat for seat in scenario.seats if seat.to_h is not None and seat.to_h < 3.9]
    assert len(leaving) == 4
    for seat in leaving:
        assert (
            seat.to_h is not None and 3.48 < seat.to_h < 3.6
        )  # who has a customer goes when the call is over
        again, first, second = (
            each.minutes for each in seat.breaks
        )  # the first hour's break, too, comes twice
        assert again == pytest.approx(first)
        assert (first, second) == (pytest.approx(10.0, abs=2.0), pytest.approx(15.0, abs=2.0))


def test_a_day_lived_again_under_its_own_law_comes_to_the_same(predictive: Record) -> None:
    day = predictive.day
    scenario = recorded.scenario(day)
    assert outside(recorded.figures(day, scenario), lived(scenario, day.law, 5)) == []


def test_so_does_one_that_was_dialed_by_a_ratio(by_ratio: Record) -> None:
    """Many fast days: what is rebuilt wrongly by a few percent would show."""
    day = by_ratio.day
    scenario = recorded.scenario(day)
    assert day.law == "ratio:2.5"
    figures, days = recorded.figures(day, scenario), lived(scenario, day.law, 19)
    assert outside(figures, days) == []
    people = scenario.campaigns[0]
    assert isinstance(people.talk, Empirical)
    longer = Empirical(tuple(1.15 * value for value in people.talk.values_s))
    wrong = msgspec.structs.replace(scenario, campaigns=(msgspec.structs.replace(people, talk=longer),))
    assert outside(figures, lived(wrong, day.law, 19)) != []


# --- what would have been ---------------------------------------------------------------------------------------


def test_seats_more_do_as_those_there_were_and_the_target_is_the_one_asked_for(by_ratio: Record) -> None:
    scenario = recorded.scenario(by_ratio.day)
    more = recorded.changed(scenario, 0.02, 5)
    assert (more.seat_count, more.campaigns[0].target) == (15, 0.02)
    assert more.name == "spring 2026-11-24, target 0.02, 5 seats more"
    assert set(more.seats) == set(scenario.seats)
    fewer = recorded.changed(scenario, None, -3)
    assert (fewer.seat_count, fewer.campaigns[0].target) == (7, scenario.campaigns[0].target)
    with pytest.raises(NoSuchDay, match="had 10 seats, of which 10 can't be left out"):
        recorded.changed(scenario, None, -10)


def test_a_day_that_is_not_there_is_told(by_ratio: Record) -> None:
    for campaign, day, says in (
        ("autumn", DAY, "no campaign 'autumn'"),
        ("spring", date(2026, 11, 23), "no attempt between"),
    ):
        with pytest.raises(NoSuchDay, match=says):
            recorded.read(by_ratio.db, NO_FILES, campaign, day)


# --- the command ------------------------------------------------------------------------------------------------


@pytest.fixture
def dialer_toml(by_ratio: Record, tmp_path: Path) -> str:
    file = tmp_path / "dialer.toml"
    file.write_text(
        f'[database]\nurl = "{by_ratio.url}"\n'
        '[[switch]]\nname = "main"\nhost = "pbx"\nuser = "dialer"\nsecret = "x"\nmax_lines = 80\ncalls_per_s = 5.0\n'
    )
    return str(file)


def test_the_command_sets_the_record_beside_the_day_as_it_was_and_as_asked(
    dialer_toml: str, tmp_path: Path
) -> None:
    saved = tmp_path / "asked.toml"
    asked = [
        "--from-history",
        "spring",
        str(DAY),
        "--seats",
        "2",
        "--policies",
        "progressive",
        "--seeds",
        "2",
    ]
    base = ["simulate", *asked, "--jobs", "1", "--config", dialer_toml]
    found = CliRunner().invoke(main, [*base, "--json", "--save", str(saved)])
    assert found.exit_code == 0, found.output
    rows = json.loads(found.stdout)
    name = "spring 2026-11-24"
    assert [(row["scenario"], row["policy"]) for row in rows] == [
        (name, "recorded"), (name, "progressive"), (f"{name}, 2 seats more", "progressive"),
    ]  # fmt: skip
    assert rows[0]["bound_share"]["value"] is None and rows[0]["abandon"]["value"] > 0
    again = load(saved)
    assert (again.seat_count, again.lines, again.calls_per_s) == (12, 80, 5.0)
    table = CliRunner().invoke(main, base).stdout
    assert "recorded" in table and "from 10:00 to 13:" in table


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seats", "3"], "change a day that --from-history names"),
        (["yardstick-5", "--from-history", "spring", "2026-11-24"], "there is no other scenario"),
        (["--from-history", "autumn", "2026-11-24"], "there is no campaign 'autumn'"),
        (
            ["--from-history", "spring", "2026-11-24", "--save", "/nowhere/x.toml"],
            "there is no folder /nowhere",
        ),
        (["--from-history", "spring", "24.11.2026"], "does not match the format"),
    ],
)
def test_what_can_not_be_asked_is_told(arguments: list[str], says: str, dialer_toml: str) -> None:
    found = CliRunner().invoke(main, ["simulate", *arguments, "--config", dialer_toml])
    assert found.exit_code == 2
    assert says in found.stderr


def test_a_preview_lives_the_last_hours_as_they_were_dialed_and_as_they_would_be(by_ratio: Record) -> None:
    with by_ratio.db.connect() as connection:
        text = connection.execute(sql("SELECT text FROM campaign_version")).scalar_one()
    wanted = changed(text, {"mode": "progressive", "priority": 4}, "spring")
    until = BEGIN + timedelta(hours=3)
    order = Order(by_ratio.url, "no-archive", "spring", wanted, (), until)
    found = asyncio.run(preview(order))
    assert found["then"]["abandoned"] == 0  # one call for each free seat
    assert found["live"]["abandoned"] > 0
    assert found["then"]["occupancy"][0] < found["live"]["occupancy"][0]
    assert (found["seats"], found["unseen"]) == (10, ["priority"])
    later = msgspec.structs.replace(order, until=until + timedelta(days=1))
    with pytest.raises(NoPreview, match="spring has no attempt between"):
        asyncio.run(preview(later))
