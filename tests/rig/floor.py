"""A floor on the rig: seats' legs that stay up, and customers who are called and joined with them in one way or other.
It speaks to the switch by the engine's own link, and decides nothing: a customer's seat is known before the call.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from dialer.switch.asterisk import log_in, set_filters
from dialer.switch.port import CALL_PREFIX, LEG_PREFIX, ActionRefused, SwitchError
from dialer.switch.protocol import AmiLink
from dialer.switch.wire import Message
from tests.rig.asterisk import AsteriskRig

SEATS_PER_S: Final = 100.0
JOIN_LIMIT_S: Final = 2.0  # an answered customer who is in no bridge by then is lost
ANSWER_LIMIT_S: Final = 10.0
TALKER: Final = "13"  # the rig's customer who answers after 0.3 s, says hello and goes on sending
CONFERENCES: Final = """
[joining-seat]
exten = _X.,1,Answer()
 same = n,ConfBridge(${EXTEN},default_bridge,default_user)
[joining-customer]
exten = _X.,1,ConfBridge(${EXTEN},default_bridge,default_user)
"""  # a rig's extra dialplan; the extension is the conference's name


@dataclass(frozen=True, slots=True)
class Way:
    """One way to join. `at_once`: on the first sign of an answer, else on OriginateResponse."""

    name: str
    conference: bool
    at_once: bool = True


BRIDGE: Final = Way("Bridge", conference=False)
CONFERENCE: Final = Way("conference", conference=True, at_once=False)
HASTY: Final = Way("hasty conference", conference=True)


@dataclass(frozen=True, slots=True)
class Seat:
    """A seat's leg, and the name of its conference."""

    name: str
    leg: str


@dataclass(slots=True)
class Call:
    """A customer on the way to a seat. `joined` is seconds since the answer, None when the join was lost."""

    uid: str
    seat: Seat
    joined: asyncio.Future[float | None]
    ended: asyncio.Future[None]
    answered_at: float | None = None
    asked: bool = False


class Ear(AmiLink):
    """A link that counts what comes."""

    heard_bytes = 0

    def data_received(self, data: bytes) -> None:
        self.heard_bytes += len(data)
        super().data_received(data)


@dataclass(slots=True)
class Floor:
    """Seats and customers on one switch, joined in one way."""

    way: Way
    link: AmiLink
    seats: deque[Seat] = field(default_factory=deque)
    lost: int = 0
    _calls: dict[str, Call] = field(default_factory=dict)
    _by_leg: dict[str, Call] = field(default_factory=dict)
    _legs_up: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    _bridges: dict[str, str] = field(default_factory=dict)
    _asking: set[asyncio.Task[None]] = field(default_factory=set)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    # --- what is done -----------------------------------------------------------------------------------------

    async def nail_up(self, seats: int, phone: str) -> None:
        """Ring so many phones; each stays in its context, or in its conference."""
        for number in range(1, seats + 1):
            seat = Seat(f"{number:03}", f"{LEG_PREFIX}{number:032x}")
            self._legs_up[seat.leg] = asyncio.get_running_loop().create_future()
            where = ("joining-seat", seat.name) if self.way.conference else ("zhudong-seat", "s")
            await self._originate(seat.leg, phone.format(seat.name), *where)
            self.seats.append(seat)
            await asyncio.sleep(1 / SEATS_PER_S)
        async with asyncio.timeout(ANSWER_LIMIT_S):
            await asyncio.gather(*self._legs_up.values())

    async def call(self) -> Call:
        """Call a customer, who is joined with the next free seat; returns when that is so, or is lost."""
        loop = asyncio.get_running_loop()
        seat, number = self.seats.popleft(), next(self._numbers)
        call = Call(f"{CALL_PREFIX}{number:032x}", seat, loop.create_future(), loop.create_future())
        self._calls[call.uid] = self._by_leg[seat.leg] = call
        await self._originate(call.uid, f"PJSIP/138{number:06}{TALKER}@carrier", "zhudong-customer", "s")
        await asyncio.wait({call.joined}, timeout=ANSWER_LIMIT_S)
        if not call.joined.done():
            call.joined.set_result(None)
        self.lost += call.joined.result() is None and call.answered_at is not None
        return call

    async def end(self, call: Call) -> None:
        """Hang the customer up; the seat is free."""
        with suppress(ActionRefused):  # it is gone already
            await self.link.ask("Hangup", (("Channel", call.uid), ("Cause", "16")))
        async with asyncio.timeout(ANSWER_LIMIT_S):
            await call.ended
        del self._calls[call.uid], self._by_leg[call.seat.leg]
        self.seats.append(call.seat)

    async def record(self, call: Call) -> None:
        await self.link.ask("MixMonitor", (("Channel", call.uid), ("File", f"{call.uid}.wav")))

    async def packets(self) -> int:
        """Packets of voice that Asterisk has received and sent on the channels that live now."""
        shown = await self.link.ask("Command", (("Command", "pjsip show channelstats"),))
        rows = (line.split() for line in shown.each("Output") if " ulaw " in line)
        return sum(int(row[at]) for row in rows for at in (row.index("ulaw") + 1, row.index("ulaw") + 5))

    async def _originate(self, uid: str, dial: str, context: str, exten: str) -> None:
        headers = (("Channel", dial), ("ChannelId", uid), ("Async", "true"), ("Timeout", "15000"))
        where = (("Context", context), ("Exten", exten), ("Priority", "1"))
        await self.link.ask("Originate", (*headers, *where))

    async def _join(self, call: Call) -> None:
        try:
            if self.way.conference:
                where = (("Context", "joining-customer"), ("Exten", call.seat.name), ("Priority", "1"))
                await self.link.ask("Redirect", (("Channel", call.uid), *where))
            else:
                both = (("Channel1", call.uid), ("Channel2", call.seat.leg), ("Tone", "no"))
                await self.link.ask("Bridge", both)
        except SwitchError as fault:
            print(f"  {self.way.name}: {fault}")
        await asyncio.wait({call.joined}, timeout=JOIN_LIMIT_S)
        if not call.joined.done():
            call.joined.set_result(None)

    # --- what is heard ----------------------------------------------------------------------------------------

    def hear(self, name: str, message: Message, at: float) -> None:
        uid = message.get("Uniqueid", "")
        if name == "BridgeEnter":
            self._bridges[uid] = message["BridgeUniqueid"]
            call = self._calls.get(uid) or self._by_leg.get(uid)
            if call is not None:
                self._maybe_joined(call, at)
        elif name == "BridgeLeave":
            self._bridges.pop(uid, None)
        elif name == "OriginateResponse" and message.get("Response") == "Success":
            if uid in self._legs_up:
                self._legs_up[uid].set_result(None)
            else:
                self._answered(uid, at, surely=True)
        elif name == "Newstate" and message.get("ChannelState") == "6":
            self._answered(uid, at, surely=False)
        elif name == "Hangup" and (call := self._calls.get(uid)) is not None:
            call.ended.set_result(None)
            if not call.joined.done():
                call.joined.set_result(None)

    def _answered(self, uid: str, at: float, *, surely: bool) -> None:
        call = self._calls.get(uid)
        if call is None:
            return
        if call.answered_at is None:
            call.answered_at = at
        if not call.asked and (surely or self.way.at_once):
            call.asked = True
            asking = asyncio.get_running_loop().create_task(self._join(call))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)

    def _maybe_joined(self, call: Call, at: float) -> None:
        bridge = self._bridges.get(call.uid)
        if bridge is None or bridge != self._bridges.get(call.seat.leg) or call.joined.done():
            return
        assert call.answered_at is not None
        call.joined.set_result(at - call.answered_at)


async def connect(
    rig: AsteriskRig, on_event: Callable[[str, Message, float], None], *, filtered: bool
) -> Ear:
    """A logged-in link, with the engine's filters or without."""
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(lambda: Ear(on_event), rig.host, rig.port)
    await link.greeted
    await log_in(link, rig.user, rig.secret)
    if filtered:
        await set_filters(link)
    return link


@asynccontextmanager
async def open_floor(rig: AsteriskRig, way: Way) -> AsyncIterator[Floor]:
    """A floor whose link has the engine's filters."""
    floor: Floor | None = None

    def hear(name: str, message: Message, at: float) -> None:
        if floor is not None:
            floor.hear(name, message, at)

    link = await connect(rig, hear, filtered=True)
    floor = Floor(way, link)
    try:
        yield floor
    finally:
        link.close()
