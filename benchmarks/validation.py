"""The simulator held to the engine: `python -m benchmarks.validation [--scale S] [--json FILE]`.

The same short shift twice: in virtual time on the simulator's floor, and in real time through the whole daemon, with
its PostgreSQL, its rules and journal, AMI over TCP to the virtual switch, and agents on the bus. The people on the
lists are the same, one by one: who answers after how long, and how long talk and wrap-up last. So what is different is
the simulator's error, or the engine's own time.

Several teams of each mode work side by side in one daemon, each with a list of its own. The difference in each figure
must lie within the figure's margin, and is told with its 95 % confidence interval over the teams. The engine's
figures are those of its tables, attempts and seat log.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from time import time

import structlog
from sqlalchemy import Engine

from benchmarks import report
from benchmarks.report import Result
from campaigns.config import parse
from campaigns.day import dialed_calls, seat_intervals
from campaigns.history.files import Files
from campaigns.history.query import History
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.order import spread
from campaigns.people import People
from campaigns.store import CampaignStore
from cti.messages import LogIn, ScreenPop
from dialer.config import AgiSection, Config, DatabaseSection, MetricsSection, SwitchSection, WebSection
from dialer.core.seat import SeatState
from dialer.core.terms import pacing_config
from dialer.daemon import Addresses, Daemon
from dialer.engine import REPACE_TICKS, TICK_S
from dialer.virtual_seats import Manner, VirtualSeats
from pacing.pacer import CampaignPacer
from simulator.customers import ListedCustomers, number
from simulator.floor import Scenario, simulate
from simulator.floor.distribution import Constant, Gamma, Lognormal
from simulator.floor.result import quantile
from simulator.floor.scenario import Campaign, Seats
from simulator.switch.server import VirtualSwitch

SHIFT_S = 60.0
LEADS = 1_500  # of each team: more than it dials
SETUP_S, RING_LIMIT_S = 0.2, 15.0  # the engine's limit counts from the dial, the floor's from the first ring
TEAMS = {"progressive": (6, 12), "ratio": (6, 12), "predictive": (6, 30)}  # how many teams, of how many seats
START_LIMIT_S = 60.0
SETTLE_S = 1.0  # after the shift, until what happened in it is on record
SEEN_LATE = timedelta(seconds=1.0)  # at most so long after a team's first dial it is seen to have begun

# By how much of itself a figure may differ. Beyond one call a seat an event that comes some milliseconds later changes
# who is called next, and the two shifts part: in the ratio mode by a few people in two teams of six, in predictive
# dialing in all. There few are abandoned, so the share of those is told, and held to nothing.
MARGINS: dict[str, dict[str, float | None]] = {
    "progressive": {"dials": 0.03, "answers": 0.03, "occupancy": 0.03, "idle": 0.04},
    "ratio": {"dials": 0.08, "answers": 0.08, "occupancy": 0.04, "idle": 0.1, "abandoned": 0.1},
    "predictive": {"dials": 0.08, "answers": 0.08, "occupancy": 0.05, "idle": 0.35, "abandoned": None},
}
NAMES = {
    "dials": "dials a seat-hour",
    "answers": "answers a seat-hour",
    "occupancy": "occupancy, %",
    "idle": "idle s a call",
    "abandoned": "abandoned, % of answers",
}

# Short, so that the minute of a test holds a whole shift's worth of calls.
PEOPLE = Campaign(
    person=0.45,
    busy=0.1,
    failed=0.05,
    setup=Constant(SETUP_S),
    ring=Gamma(3.0, 0.5),
    talk=Lognormal(8.0, 0.8),
    wrap=Gamma(2.0, 0.5),
    busy_after_s=0.5,
    failed_after_s=0.5,
    ring_limit_s=RING_LIMIT_S - SETUP_S,
    target=0.1,
)
CONFIG = """
name = "{name}"
switch = "virtual"
running = {running}
mode = "{mode}"
ratio = 3.5
target = {target}
ring_limit_s = {ring_limit_s}
wrap_up_s = 600.0
max_lines = 2000
[rules.windows]
"""
ALL_DAY = "".join(
    f"{day} = {{ from = 00:00:00, to = 23:59:59 }}\n"
    for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
)


def seed(place: int) -> int:
    """Of the list with that number."""
    return 1_000 + place


@dataclass(frozen=True, slots=True)
class Team:
    """Seats with a campaign of their own; `place` is the number of its list."""

    place: int
    mode: str
    seats: int

    @property
    def name(self) -> str:
        return f"{self.mode}-{self.place}"

    def config(self, running: bool) -> str:
        target = 1.0 if self.mode == "ratio" else PEOPLE.target
        head = CONFIG.format(
            name=self.name,
            running=str(running).lower(),
            mode=self.mode,
            target=target,
            ring_limit_s=RING_LIMIT_S,
        )
        return head + ALL_DAY


@dataclass(frozen=True, slots=True)
class Shift:
    """What a team's shift came to. Seconds are those of all its seats."""

    dials: float
    connected: float
    abandoned: float
    idle_s: float
    busy_s: float

    @property
    def figures(self) -> dict[str, float]:
        """By the names of `NAMES`."""
        hours = (self.idle_s + self.busy_s) / 3600
        answered = self.connected + self.abandoned
        return {
            "dials": self.dials / hours,
            "answers": answered / hours,
            "occupancy": 100 * self.busy_s / (self.idle_s + self.busy_s),
            "idle": self.idle_s / self.connected,
            "abandoned": 100 * self.abandoned / answered,
        }


def teams(scale: float = 1.0) -> list[Team]:
    """All teams; a smaller scale has fewer of each mode, and no less than three."""
    found: list[Team] = []
    for mode, (count, seats) in TEAMS.items():
        found += [Team(len(found) + n, mode, seats) for n in range(max(3, round(count * scale)))]
    return found


# --- on the floor -------------------------------------------------------------------------------------------


class Asked(CampaignPacer):
    """Our pacer, asked as often as the engine asks it."""

    ask_every_s = TICK_S * REPACE_TICKS


def on_floor(team: Team, people: Campaign = PEOPLE) -> Shift:
    """The team's shift in virtual time, under the pacing that its campaign's file asks for."""
    scenario = Scenario(team.name, "", SHIFT_S / 3600, (Seats(team.seats),), (people,), warm_up_min=0.0)
    config = pacing_config(parse(team.config(running=True), team.name))
    day = simulate(scenario, lambda _: Asked(config), seed(team.place))
    return Shift(day.dials, day.connected, day.abandoned, day.idle_s, day.talk_s + day.wrap_s)


# --- through the engine -------------------------------------------------------------------------------------


class Agents(VirtualSeats):
    """Agents who wrap up for as long as the customer's fate says."""

    def __init__(self, daemon: Daemon, logins: Sequence[LogIn], people: ListedCustomers) -> None:
        super().__init__(daemon.bus, logins, Manner(hangs_up=0.0))
        self._people = people

    def wrap_s(self, pop: ScreenPop | None, chance: random.Random) -> float:
        return super().wrap_s(pop, chance) if pop is None else self._people.wrap_s(pop.number)


class Installation:
    """A daemon with all teams on one virtual switch."""

    def __init__(self, squad: Sequence[Team]) -> None:
        self._squad = squad
        lists = 1 + max(team.place for team in squad)
        self._people = ListedCustomers([(PEOPLE, seed(place)) for place in range(lists)])
        self._campaigns: dict[str, int] = {}
        self._logins: list[LogIn] = []

    def prepare(self, stored: Engine) -> None:
        """Campaigns that do not run yet, their lists, and their seats."""
        at = datetime.now(UTC)
        users = People(stored)
        for team in self._squad:
            applied = CampaignStore(stored).apply(team.config(running=False), team.name, "validation", at)
            self._campaigns[team.name] = applied.campaign_id
            store_rows(stored, applied.campaign_id, team.name, "made up", at, customers(team))
            for n in range(team.seats):
                phone = f"p{team.place}s{n}"
                user = users.add("", phone, phone, "agent", "", phone, [team.name])
                self._logins.append(LogIn(user_id=user, name=phone, phone=phone, campaigns=(team.name,)))

    async def run(self, url: str, folder: Path) -> dict[Team, Shift]:
        """The whole shift. `url` names an empty database; empty is an embedded one in `folder`."""
        async with VirtualSwitch(self._people) as switch:
            section = SwitchSection(
                name="virtual", host=switch.host, port=switch.port, user=switch.user, secret=switch.secret,
                max_lines=10_000, calls_per_s=10_000.0,
            )  # fmt: skip
            config = Config(
                switch=(section,), database=DatabaseSection(url=url), web=WebSection(port=0),
                metrics=MetricsSection(port=0), agi=AgiSection(port=0),
            )  # fmt: skip
            daemon = Daemon(config, folder)
            ready: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
            running = asyncio.create_task(daemon.run(ready.set_result, self.prepare))
            await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                await running
            agents = Agents(daemon, self._logins, self._people)
            working = asyncio.create_task(agents.run())
            try:
                found = await self._shift(daemon)
            finally:
                agents.leave()
                working.cancel()
                daemon.stop(0.0)
                await asyncio.gather(running, working, return_exceptions=True)
            return found

    async def _shift(self, daemon: Daemon) -> dict[Team, Shift]:
        assert daemon.engine is not None and daemon.database is not None
        core, stored = daemon.engine.core, daemon.database
        async with asyncio.timeout(START_LIMIT_S):
            while sum(s.state is SeatState.READY for s in core.seats.by_user.values()) < len(self._logins):
                await asyncio.sleep(0.05)
        for team in self._squad:
            CampaignStore(stored).apply(team.config(running=True), team.name, "validation", datetime.now(UTC))
        began: dict[Team, float] = {}
        async with asyncio.timeout(START_LIMIT_S):
            while len(began) < len(self._squad):
                for team in self._squad:
                    if core.campaigns[team.name].in_air:
                        began.setdefault(team, time())
                await asyncio.sleep(0.005)
        await asyncio.sleep(max(began.values()) + SHIFT_S + PEOPLE.connect_limit_s + SETTLE_S - time())
        while daemon.engine.journal.depth:
            await asyncio.sleep(0.05)
        return {team: self._recorded(stored, team, began[team]) for team in self._squad}

    def _recorded(self, stored: Engine, team: Team, began: float) -> Shift:
        """A shift as the tables have it: from its first dial, with which the floor begins too."""
        campaign = self._campaigns[team.name]
        limit = timedelta(seconds=PEOPLE.connect_limit_s)
        history = History(stored, Files(Path("archive")))  # nothing is that old
        seen = datetime.fromtimestamp(began, UTC)
        calls = dialed_calls(history, campaign, seen - SEEN_LATE, seen + timedelta(seconds=SHIFT_S))
        since = min(call.dialed_at for call in calls)
        until = since + timedelta(seconds=SHIFT_S)
        calls = [call for call in calls if call.dialed_at < until]
        spent = {"idle": 0.0, "talk": 0.0, "wrap": 0.0, "away": 0.0}
        for each in seat_intervals(history, campaign, since, until):
            spent[each.does] += (each.stop - each.start).total_seconds()
        lost = [
            c.answered_at + limit for c in calls if c.outcome == "abandoned" and c.answered_at is not None
        ]
        return Shift(
            dials=len(calls),
            connected=sum(1 for c in calls if c.connected_at is not None and c.connected_at < until),
            abandoned=sum(1 for at in lost if at < until),
            idle_s=spent["idle"],
            busy_s=spent["talk"] + spent["wrap"],
        )


def customers(team: Team) -> Iterator[Row]:
    """A team's list, so that its people are called one after the other although an import puts neighbours apart."""
    called_at = {row: turn for turn, row in enumerate(spread(LEADS))}
    for row in range(LEADS):
        lead = called_at[row]
        yield Row(row + 2, (number(team.place, lead),), f"客户{lead}", {}, ("Asia/Shanghai",))


# --- the comparison -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of one mode: the engine's, the simulator's, and the difference in parts of the engine's.

    `half` is half of the difference's 95 % confidence interval over the teams.
    """

    mode: str
    figure: str
    engine: float
    floor: float
    difference: float
    half: float

    @property
    def margin(self) -> float | None:
        return MARGINS[self.mode][self.figure]

    @property
    def apart(self) -> bool:
        """Whether the two can't be said to agree."""
        return self.margin is not None and abs(self.difference) > self.margin


def compare(engine: Mapping[Team, Shift], floor: Mapping[Team, Shift]) -> list[Compared]:
    """Every figure of `MARGINS`, mode by mode."""
    found = []
    for mode, margins in MARGINS.items():
        squad = [team for team in engine if team.mode == mode]
        for figure in margins:
            real = [engine[team].figures[figure] for team in squad]
            apart = [floor[team].figures[figure] - engine[team].figures[figure] for team in squad]
            mean = fmean(real)
            half = quantile(len(apart) - 1) * stdev(apart) / sqrt(len(apart)) / mean
            found.append(Compared(mode, figure, mean, mean + fmean(apart), fmean(apart) / mean, half))
    return found


def measure(scale: float) -> list[Result]:
    """Both shifts, and what is different."""
    squad = teams(scale)
    with tempfile.TemporaryDirectory() as folder:
        engine = report.run_async(lambda: Installation(squad).run("", Path(folder)))
    results = []
    for each in compare(engine, {team: on_floor(team) for team in squad}):
        name = f"{each.mode}: {NAMES[each.figure]}"
        results += [
            Result(f"{name}, engine", each.engine, ""),
            Result(f"{name}, simulator", each.floor, ""),
            Result(
                f"{name}, apart",
                100 * abs(each.difference),
                "%",
                None if each.margin is None else 100 * each.margin,
            ),
            Result(f"{name}, apart, give or take", 100 * each.half, "%"),
        ]
    return results


def main() -> int:
    chosen = report.options(__doc__ or "", "teams of each mode; 1.0 is six")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    return report.report("validation", chosen, measure(chosen.scale))


if __name__ == "__main__":
    raise SystemExit(main())
