"""One campaign on two switches, each with an engine of its own: they dial together, and spend one abandon budget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.cluster.pair import BOUND_S, TWICE
from tests.contract.house import House
from tests.contract.switches import VirtualSwitchProcess

pytestmark = pytest.mark.slow

BY_SWITCH = text("""
SELECT a.switch, count(*) FILTER (WHERE connected_at IS NOT NULL), count(*) FILTER (WHERE outcome = 'hung_up'),
    count(*) FILTER (WHERE outcome = 'abandoned'), 0 FROM attempt a GROUP BY 1 ORDER BY 1
""")
COUNTED = text(
    "SELECT switch, connected, hung_up, abandoned, machines FROM campaign_counted "
    "WHERE connected + hung_up + abandoned > 0 ORDER BY 1"
)
LEFT = 'zhudong_part_abandons_left{campaign="spring",switch="%s"}'
RATE = 'zhudong_abandon_ratio{campaign="spring"}'


class Split:
    """The engine `a` has the first switch, `b` has the second; each stands by for the other's."""

    def __init__(self, first: VirtualSwitchProcess, second: VirtualSwitchProcess, folder: Path) -> None:
        for name in ("a", "b"):
            (folder / name).mkdir()
        self.first, self.second = first, second
        self.a = House(first, folder / "a", engine="a")
        self.b = House(second, folder / "b", self.a.url, "b")
        for each, other in ((self.a, self.b), (self.b, self.a)):
            with (each.folder / "dialer.toml").open("a") as file:
                file.write(f'[cluster]\naddress = "{each.door}"\nothers = ["{other.door}"]\n')
        for each, switch in ((self.a, second), (self.b, first)):
            with (each.folder / "dialer.toml").open("a") as file:
                file.write(
                    f'[[switch]]\nname = "{switch.name}"\nhost = "{switch.host}"\nport = {switch.port}\n'
                    f'user = "{switch.user}"\nsecret = "{switch.secret}"\nmax_lines = 20\ncalls_per_s = 50.0\n'
                    "standby = true\n"
                )

    def counted(self) -> tuple[list[Any], list[Any]]:
        """What the attempts say of each switch, and what its part has counted."""
        with self.a.db.connect() as connection:
            found = [[tuple(row) for row in connection.execute(query)] for query in (BY_SWITCH, COUNTED)]
        return found[0], found[1]

    async def know(self, *houses: House) -> None:
        """Wait until these say what the attempts say of the whole campaign."""

        def so(metrics: dict[str, float]) -> bool:
            rows, _ = self.counted()
            abandoned = sum(row[3] for row in rows)
            return abandoned > 0 and metrics.get(RATE) == pytest.approx(
                abandoned / sum(sum(row[1:4]) for row in rows)
            )

        for each in houses:
            await each.until("it knows the whole campaign's rate", so, BOUND_S)

    async def close(self) -> None:
        for each in (self.b, self.a):
            await each.close()


@pytest.fixture
async def split(virtual_switch: VirtualSwitchProcess, tmp_path: Path) -> AsyncIterator[Split]:
    second = VirtualSwitchProcess(name="second")
    second.start()
    split = Split(virtual_switch, second, tmp_path)
    yield split
    await split.close()
    second.stop()


@pytest.mark.timeout(240)
async def test_a_part_goes_on_at_the_other_engine_and_the_abandon_accounts_are_one(split: Split) -> None:
    a, b = split.a, split.b
    a.campaign(["08"] * 40, 'mode = "ratio"\nratio = 1.0\nwrap_up_s = 60.0')
    await asyncio.gather(a.start(), b.start())
    lina = await a.working("lina", "seat001")
    first = await lina.connected()
    await a.until_so("it is on record", "SELECT every(connected_at IS NOT NULL) FROM attempt", BOUND_S)
    a.supervisor_changes("ratio = 1.0", "ratio = 2.0")
    a.supervisor_changes('switch = "virtual"', 'switch = ["virtual", "second"]')
    await b.until("its part is there", lambda m: LEFT % "second" in m, BOUND_S)
    mario = await b.working("mario", "seat002")
    second = await mario.connected(60.0)
    assert a.each("SELECT DISTINCT owner || ' on ' || switch FROM attempt ORDER BY 1") == [
        "a on virtual",
        "b on second",
    ]

    # Each has its share of what is left, so each dials two for one seat: one of them is abandoned, and both know.
    for each, switch in ((a, "virtual"), (b, "second")):
        await each.until("it may let calls go", lambda m, on=switch: m.get(LEFT % on, 0.0) > 1.0, BOUND_S)
    await lina.ends(first["call_id"])
    first = await lina.connected(60.0)
    abandoned = "SELECT count(*) > 0 FROM attempt WHERE outcome = 'abandoned' AND owner = 'a'"
    await a.until_so("an abandoned call", abandoned, BOUND_S)
    await split.know(a, b)

    await a.kill()
    owned = {f'zhudong_switch_{what}{{switch="virtual"}}' for what in ("owned", "up")}
    await b.until("it has both switches", lambda m: all(m.get(each) == 1 for each in owned), BOUND_S)
    await lina.goes_on_at(b.door, first["call_id"])
    await mario.ends(second["call_id"])
    second = await mario.connected(60.0)
    await lina.ends(first["call_id"])
    first = await lina.connected(60.0)
    at_b = "SELECT count(DISTINCT switch) = 2 FROM attempt WHERE owner = 'b'"
    await b.until_so("the part goes on at the other engine", at_b, BOUND_S)

    b.applied = a.applied
    b.supervisor_changes("running = true", "running = false")
    for agent, call in ((lina, first), (mario, second)):
        await agent.do("pause", reason="")
        await agent.do("hang_up", call_id=call["call_id"])
        await agent.dispose()
    await b.until_so("all have their outcome", "SELECT every(outcome IS NOT NULL) FROM attempt", BOUND_S)
    assert b.scalar(TWICE) == 0
    await b.books_are_square()
    (of_second, of_first), by_parts = split.counted()
    assert by_parts == [
        of_second,
        ("virtual", of_first[1] - 1, *of_first[2:]),
    ]  # one was before there were parts
    await split.know(b)
