"""What happens at all seats, numbered and kept for a while, for programs that follow it: a CRM, a wallboard.

Theory of operation. The engine's events come in the engine's own call and are only put into a ring. Who follows reads
from it at their own pace, with a place of their own; nobody is waited for. A place that the ring has left behind, or
of another process, can't be gone on from: the follower is told the present state and goes on from there.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any

import msgspec

from cti.bus import Bus
from cti.messages import Answers, Command, Dispose, Message, Reply, ScreenPop, SeatMessage, encode

KEPT = 20_000  # events: ten minutes of a thousand seats
BATCH = 200  # events that are written before the loop has its turn
CALLS = 8  # of a seat, whose campaign is known: a verdict comes when the next customers are there already


class Disposed(Message, frozen=True, tag="disposed"):
    """An agent's verdict was taken."""

    user_id: int
    call_id: str
    code: str
    notes: str
    answers: Answers
    do_not_call: bool
    callback_at: float | None
    callback_local: str


class Happened(msgspec.Struct, frozen=True):
    """One event. `campaign` is that of its call; empty where there is none."""

    seq: int
    at: float  # POSIX seconds
    campaign: str
    event: SeatMessage | Disposed

    @property
    def user_id(self) -> int:
        return self.event.user_id

    @property
    def kind(self) -> str:
        return str(type(self.event).__struct_config__.tag)


Listener = Callable[[Happened, str], None]  # with its id


class Feed:
    """The ring. `on_event` hears each event at once, in the engine's own call."""

    def __init__(self, bus: Bus, kept: int = KEPT) -> None:
        self.epoch = secrets.token_hex(8)
        self.seq = 0
        self.on_event: Listener | None = None
        self._ring: list[Happened | None] = [None] * kept
        self._campaigns: dict[int, dict[str, str]] = {}  # by user, of their last calls
        self._more = asyncio.Event()
        # By user: the number of their next event, when it comes.
        self._next: dict[int, asyncio.Future[int]] = {}
        bus.on_seat(self._hear)
        bus.on_done(self._done)

    # --- in -------------------------------------------------------------------------------------------------

    def _hear(self, message: SeatMessage) -> None:
        """Hot path."""
        if isinstance(message, ScreenPop):
            calls = self._campaigns.setdefault(message.user_id, {})
            calls[message.call_id] = message.campaign
            if len(calls) > CALLS:
                del calls[next(iter(calls))]
        self._put(message, getattr(message, "call_id", ""))

    def _done(self, command: Command, reply: Reply) -> None:
        if reply.ok and isinstance(command, Dispose):
            verdict = Disposed(
                user_id=command.user_id,
                call_id=command.call_id,
                code=command.code,
                notes=command.notes,
                answers=command.answers,
                do_not_call=command.do_not_call,
                callback_at=command.callback_at,
                callback_local=command.callback_local,
            )
            self._put(verdict, command.call_id)

    def _put(self, message: SeatMessage | Disposed, call_id: str) -> None:
        campaign = self._campaigns.get(message.user_id, {}).get(call_id, "")
        self.seq += 1
        happened = Happened(self.seq, time.time(), campaign, message)
        self._ring[self.seq % len(self._ring)] = happened
        self._more.set()
        waited_for = self._next.pop(message.user_id, None)
        if waited_for is not None:
            waited_for.set_result(self.seq)
        if self.on_event is not None:
            self.on_event(happened, self.id(self.seq))

    # --- out ------------------------------------------------------------------------------------------------

    def place(self, told: str) -> int | None:
        """The number of the last event seen, of an id; None where nothing can be gone on from."""
        epoch, _, number = told.partition("-")
        if epoch != self.epoch or not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        seq = int(number)
        return seq if self.seq - len(self._ring) <= seq <= self.seq else None

    def id(self, seq: int) -> str:
        return f"{self.epoch}-{seq}"

    async def after(
        self, seq: int, user_id: int | None = None
    ) -> AsyncGenerator[list[Happened] | None, None]:
        """The events after this one, of all seats or of one, in bundles, for ever. None: the ring has left us behind.

        Who follows one seat sleeps through what happens at the others.
        """
        while True:
            if seq < self.seq - len(self._ring):
                yield None
                return
            if seq == self.seq and user_id is not None:
                following = self._next.setdefault(user_id, asyncio.get_running_loop().create_future())
                seq = await asyncio.shield(following) - 1  # others may wait for it, too
                continue
            if seq == self.seq:
                self._more.clear()
                await self._more.wait()
                continue
            upto = min(self.seq, seq + BATCH)
            bundle = [self._ring[n % len(self._ring)] for n in range(seq + 1, upto + 1)]
            seq = upto
            yield [each for each in bundle if each is not None and user_id in (None, each.user_id)]

    def text(self, happened: Happened) -> str:
        """As it goes to a follower."""
        return told(self.id(happened.seq), happened)


def told(event_id: str, happened: Happened) -> str:
    """An event with its id, as JSON."""
    return encode(
        {"id": event_id, "at": happened.at, "campaign": happened.campaign, "event": happened.event}
    ).decode()


def listed(states: Iterable[Any]) -> str:
    """The present state of seats, as JSON."""
    return encode({"seats": list(states)}).decode()
