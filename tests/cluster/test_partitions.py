"""Engines on separate hosts, and a network that parts them: from the database alone, and from everything."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from campaigns.accounts import Accounts
from dialer.accounting import balance, witnessed
from simulator.switch.log import LogReader
from tests.cluster.hosts import (
    DATABASE,
    SWITCH,
    Host,
    Network,
    engine_on,
    network,
    server_at,
)
from tests.cluster.pair import TWICE, Pair
from tests.contract.house import House
from tests.contract.switches import VirtualSwitchProcess, channels
from tests.faults.installation import Site

pytestmark = pytest.mark.slow


class Apart(Pair):
    """Two engines, each on a host of its own."""

    def __init__(self, net: Network, switch: VirtualSwitchProcess, folder: Path, url: str) -> None:
        self.net = net
        self._hosts = {name: net.host() for name in ("a", "b")}
        self.log = folder / "calls"  # the switch's own
        super().__init__(*(engine_on(host, switch, folder, url, name) for name, host in self._hosts.items()))

    def host(self, house: House) -> Host:
        return self._hosts[house.engine]


@pytest.fixture
async def apart(tmp_path: Path) -> AsyncIterator[Apart]:
    if lacks := Site.FAR.lacks:
        pytest.skip(lacks)
    with network() as net:
        switch = VirtualSwitchProcess(
            options=("--scenario", "tails", "--host", net.address(SWITCH), "--log", str(tmp_path / "calls")),
            host=net.address(SWITCH),
        )
        switch.start()
        try:
            with server_at(net.address(DATABASE), f"{net.address(0)}/24") as url:
                pair = Apart(net, switch, tmp_path, url)
                yield pair
                await pair.close()
        finally:
            switch.stop()


@pytest.mark.timeout(240)
async def test_whoever_is_cut_off_stops_dialing_and_the_other_goes_on(apart: Apart) -> None:
    apart.a.campaign(["08"] * 12, "wrap_up_s = 1.0")
    first, second = await apart.launch()
    lina = await first.working("lina", "seat001")
    pop = await lina.connected()

    # the owner reaches the switch, but no longer the database, and nobody tells it so
    apart.host(first).lose(apart.net.address(DATABASE))
    await apart.has(second)
    dialed = await calls(apart)
    await lina.goes_on_at(second.door, pop["call_id"])
    assert dialed == {f"zdc-{pop['call_id']}"}  # the voice was not cut, and nobody else was called
    # the call ends while both hear the switch: it has one end
    await lina.ends(pop["call_id"], "sold", "and signed")
    following = await lina.connected(60.0)
    apart.host(first).find(apart.net.address(DATABASE))
    await apart.stands_by(first)
    assert f"zdc-{following['call_id']}" in await calls(apart)  # it hung up nobody when it came back

    # the owner's host is gone from the network as a whole
    apart.host(second).unplug()
    await apart.has(first)
    await lina.goes_on_at(first.door, following["call_id"])
    await lina.ends(following["call_id"])
    third = await lina.connected(60.0)
    apart.host(second).plug()
    await apart.stands_by(second)
    assert f"zdc-{third['call_id']}" in await calls(apart)

    await lina.do("pause", reason="break")
    await lina.do("hang_up", call_id=third["call_id"])
    await lina.dispose()
    await first.until_so("all have their outcome", "SELECT every(outcome IS NOT NULL) FROM attempt")
    of_first = next(row for row in first.attempts() if row.e164 == pop["number"])
    assert (of_first.outcome, of_first.code, of_first.notes) == ("connected", "sold", "and signed")
    assert first.scalar(TWICE) == 0
    await first.books_are_square()


@pytest.mark.timeout(240)
async def test_a_switch_that_its_engine_does_not_reach_goes_to_one_that_does(apart: Apart) -> None:
    apart.a.campaign(["08"] * 12, 'mode = "ratio"\nratio = 2.0\nwrap_up_s = 1.0')
    first, second = await apart.launch()
    lina = await first.working("lina", "seat001")
    pop = await lina.connected()

    # both reach the database and neither the switch, and nobody tells them so: it stays where it is
    begun, switch = time.time(), apart.net.address(SWITCH)
    for house in (first, second):
        apart.host(house).lose(switch)
    await first.until_so("its owner says that it does not reach it", "SELECT out_of_reach FROM switch_lease")
    await second.has_logged("nor does this engine reach the switch")
    owner = "SELECT engine FROM switch_lease WHERE until > clock_timestamp()"
    assert first.each(owner) == [first.engine] == first.each(f"{owner} AND offered_by = ''")

    # now the other one reaches it
    apart.host(second).find(switch)
    await apart.has(second)
    await apart.stands_by(first)  # it began anew
    assert "another engine reaches the switch, and this one does not" in first.log.read_text()
    await lina.goes_on_at(second.door, pop["call_id"])
    assert f"zdc-{pop['call_id']}" in await calls(apart)  # the voice was not cut
    await lina.ends(pop["call_id"], "sold", "and signed")
    following = await lina.connected(60.0)
    over = time.time()
    apart.host(first).find(switch)

    await lina.do("pause", reason="break")
    await lina.do("hang_up", call_id=following["call_id"])
    await lina.dispose()
    await second.until_so("all have their outcome", "SELECT every(outcome IS NOT NULL) FROM attempt")
    of_first = next(row for row in second.attempts() if row.e164 == pop["number"])
    assert (of_first.outcome, of_first.code, of_first.notes) == ("connected", "sold", "and signed")
    assert second.scalar(TWICE) == 0
    await second.books_are_square()
    apart.a.supervisor_changes("running = true", "running = false")
    accounts = Accounts(second.db, second.began)
    await second.until("no lead is in anyone's hands", lambda _: accounts.at_rest())
    spools = [house.folder / "data" / "spool" for house in (first, second)]
    seen = witnessed(LogReader(apart.log).calls())
    found = balance(
        accounts, seen, 1, spools=spools, unheard=[(begun, over)], connect_limit_s=2.0, at_work=True
    )
    assert found.differences == [] and len(seen) >= 3


async def calls(apart: Apart) -> set[str]:
    """Customers' channels on the switch."""
    return {uid for uid in await channels(apart.switch) if uid.startswith("zdc-")}
