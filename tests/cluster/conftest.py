"""The switch of all stories, and two engines for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.cluster.pair import Pair, on_one_host
from tests.contract.switches import VirtualSwitchProcess


@pytest.fixture(scope="module")
def virtual_switch() -> Iterator[VirtualSwitchProcess]:
    switch = VirtualSwitchProcess()
    switch.start()
    yield switch
    switch.stop()


@pytest.fixture
async def pair(virtual_switch: VirtualSwitchProcess, tmp_path: Path) -> AsyncIterator[Pair]:
    pair = on_one_host(virtual_switch, tmp_path)
    yield pair
    await pair.close()
