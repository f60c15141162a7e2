"""Each story of the contract is told twice: on the virtual switch, and on a real Asterisk 22 with SIPp."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.contract.house import House
from tests.contract.switches import SwitchUnderTest, VirtualSwitchProcess, calls_over


@pytest.fixture(scope="session")
def virtual_switch() -> Iterator[VirtualSwitchProcess]:
    """One virtual switch for all stories."""
    switch = VirtualSwitchProcess()
    switch.start()
    yield switch
    switch.stop()


@pytest.fixture(params=["virtual", pytest.param("asterisk", marks=pytest.mark.asterisk)])
def switch(request: pytest.FixtureRequest) -> SwitchUnderTest:
    """The switch of this telling."""
    return request.getfixturevalue("virtual_switch" if request.param == "virtual" else "asterisk_rig")


@pytest.fixture
async def house(switch: SwitchUnderTest, tmp_path: Path) -> AsyncIterator[House]:
    """An installation on the switch; after the story nothing of it is left there."""
    house = House(switch, tmp_path)
    yield house
    await house.close()
    await calls_over(switch)
