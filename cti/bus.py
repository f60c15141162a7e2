"""The bus between the seats' door and the engine, in memory: commands are awaited, events are handed on at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cti.figures import CampaignSnapshot, FloorChange
from cti.messages import Command, Reply, SeatMessage

Engine = Callable[[Command], Awaitable[Reply]]
Readiness = Callable[[], dict[str, bool]]
SeatListener = Callable[[SeatMessage], None]
DoneListener = Callable[[Command, Reply], None]
SnapshotListener = Callable[[CampaignSnapshot], None]
FloorListener = Callable[[FloorChange], None]


class Bus:
    """One engine, any number of listeners. Listeners must not block: they put the event into an outbox of their own."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._ready: Readiness = dict
        self._elsewhere: Callable[[], str] = str
        self._seat_listeners: list[SeatListener] = []
        self._done_listeners: list[DoneListener] = []
        self._snapshot_listeners: list[SnapshotListener] = []
        self._floor_listeners: list[FloorListener] = []

    def serve(self, engine: Engine, ready: Readiness = dict) -> None:
        """Let `engine` answer the commands; `ready` says of each thing that it needs whether it has it now."""
        self._engine, self._ready = engine, ready

    def at(self, elsewhere: Callable[[], str]) -> None:
        """Have it known at which address another engine has the calls, while this one stands by; empty: it does not."""
        self._elsewhere = elsewhere

    @property
    def elsewhere(self) -> str:
        """The address of the pages of the engine that has the calls, when that is another one, and it is known."""
        return self._elsewhere()

    @property
    def served(self) -> bool:
        """Whether an engine answers commands."""
        return self._engine is not None

    @property
    def ready(self) -> dict[str, bool]:
        """What the engine needs to call anybody, and whether it is there."""
        return {"engine": self.served, **self._ready()}

    async def command(self, command: Command) -> Reply:
        """Give a command to the engine; without one the reply is `no_engine`."""
        if self._engine is None:
            return Reply(ok=False, code="no_engine")
        reply = await self._engine(command)
        for listener in self._done_listeners:
            listener(command, reply)
        return reply

    def on_seat(self, listener: SeatListener) -> None:
        self._seat_listeners.append(listener)

    def on_done(self, listener: DoneListener) -> None:
        """Have it hear each command with the engine's reply."""
        self._done_listeners.append(listener)

    def on_snapshot(self, listener: SnapshotListener) -> None:
        self._snapshot_listeners.append(listener)

    def on_floor(self, listener: FloorListener) -> None:
        self._floor_listeners.append(listener)

    def to_seat(self, message: SeatMessage) -> None:
        for listener in self._seat_listeners:
            listener(message)

    def snapshot(self, snapshot: CampaignSnapshot) -> None:
        for listener in self._snapshot_listeners:
            listener(snapshot)

    def floor(self, change: FloorChange) -> None:
        for listener in self._floor_listeners:
            listener(change)
