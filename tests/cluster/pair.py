"""Two engines with one database and one switch, as processes that can be killed, stopped and woken."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.contract.house import House
from tests.contract.switches import VirtualSwitchProcess

BOUND_S = 60.0  # starts and take-overs on a busy machine
TWICE = """
SELECT count(*) FROM attempt a JOIN attempt b ON a.lead_id = b.lead_id AND a.call_id < b.call_id
    AND b.dialed_at < COALESCE(a.ended_at, 'infinity')
"""


class Pair:
    """Both engines. Which of them has the switch is theirs to find out."""

    def __init__(self, a: House, b: House, *, limit_s: float = BOUND_S) -> None:
        self.a, self.b = a, b
        self._limit_s = limit_s
        self.switch = a.switch
        for each, other in ((a, b), (b, a)):
            with (each.folder / "dialer.toml").open("a") as file:
                file.write(f'[cluster]\naddress = "{each.door}"\nothers = ["{other.door}"]\n')

    async def launch(self) -> tuple[House, House]:
        """Start both at once; returns the one that has the switch, and the one that stands by."""
        await asyncio.gather(self.a.spawn(), self.b.spawn())
        both = (self.a, self.b)
        await asyncio.gather(*(each.until("it knows", self._knows, self._limit_s) for each in both))
        owner, standby = await self.roles()
        await self.has(owner)
        return owner, standby

    async def roles(self) -> tuple[House, House]:
        """The one that has the switch, and the one that stands by."""
        owned = [(await each.metrics())[self._owned] for each in (self.a, self.b)]
        assert sorted(owned) == [0, 1]
        return (self.a, self.b) if owned[0] else (self.b, self.a)

    async def has(self, house: House) -> None:
        """Wait until this one has the switch and is connected to it."""
        up = f'zhudong_switch_up{{switch="{self.switch.name}"}}'
        await house.until("it has the switch", lambda m: m.get(self._owned) == 1 == m.get(up), self._limit_s)

    async def stands_by(self, house: House) -> None:
        """Wait until this one runs and has no switch."""
        await house.until("it stands by", lambda m: m.get(self._owned) == 0 and self._knows(m), self._limit_s)

    async def close(self) -> None:
        for each in (self.b, self.a):
            await each.close()

    @property
    def _owned(self) -> str:
        return f'zhudong_switch_owned{{switch="{self.switch.name}"}}'

    def _knows(self, metrics: dict[str, float]) -> bool:
        return metrics.get("zhudong_engines_alive") == 2 and self._owned in metrics


def on_one_host(switch: VirtualSwitchProcess, folder: Path) -> Pair:
    """Both on this one, in a database of their own."""
    for name in ("a", "b"):
        (folder / name).mkdir()
    a = House(switch, folder / "a", engine="a")
    return Pair(a, House(switch, folder / "b", a.url, "b"))
