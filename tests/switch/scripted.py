"""A peer on a real socket that does what a test's script says: one script a connection, the last one for all others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from dialer.switch.asterisk import WANTED, AsteriskSwitch
from dialer.switch.port import LinkDown, LinkUp, SwitchEvent

BANNER = "Asterisk Call Manager/11.0.0\r\n"
LIMIT_S = 30.0
STRANGE = "zdc-" + "1" * 32  # the channel of the odd events

Action = Mapping[str, str]
Script = Callable[["Peer"], Awaitable[None]]
Kind = TypeVar("Kind", bound=SwitchEvent)


ODD_EVENTS = (
    # digits that are no numbers, numbers that are none, headers that are missing
    [("Event", "Hangup"), ("Uniqueid", STRANGE), ("Cause", "²"), ("TechCause", "①")],
    [("Event", "Hangup"), ("Uniqueid", "zdc-"), ("Cause", "9" * 5_000)],
    [("Event", "Newstate"), ("Uniqueid", STRANGE), ("ChannelState", "\u0667")],
    [("Event", "OriginateResponse"), ("ActionID", "")],
    [("Event", ""), ("Uniqueid", STRANGE)],
    [("Event", "UserEvent"), ("UserEvent", "ZhudongAMD"), ("Uniqueid", STRANGE), ("Status", "\0" * 20)],
    [("Response", "Success")],
    [("ActionID", "none of ours")],
)


def block(headers: Iterable[tuple[str, str]]) -> bytes:
    """One message as Asterisk writes it."""
    return ("".join(f"{key}: {value}\r\n" for key, value in headers) + "\r\n").encode()


class Peer:
    """One connection as the script sees it. `actions` holds everything that was received on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.actions: list[Action] = []
        self.closed = asyncio.Event()
        self._reader, self._writer = reader, writer
        self._unread: asyncio.Queue[Action] = asyncio.Queue()

    @property
    def names(self) -> list[str]:
        """The names of all actions received."""
        return [action["Action"] for action in self.actions]

    @property
    def dialed(self) -> list[str]:
        """The channels that were to be originated: an action without one only tries the user's rights."""
        return [a["Channel"] for a in self.actions if a["Action"] == "Originate" and "Channel" in a]

    async def listen(self) -> None:
        """Take actions until the other side closes."""
        try:
            while True:
                data = await self._reader.readuntil(b"\r\n\r\n")
                pairs = (line.partition(": ") for line in data.decode().split("\r\n") if line)
                action: dict[str, str] = {}
                for key, _, value in pairs:
                    action[key] = f"{action[key]}\n{value}" if key in action else value
                self.actions.append(action)
                self._unread.put_nowait(action)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()

    def say(self, data: str | bytes) -> None:
        """Write bytes as they are."""
        self._writer.write(data.encode() if isinstance(data, str) else data)

    def event(self, name: str, **headers: object) -> None:
        self.say(block([("Event", name), *((key, str(value)) for key, value in headers.items())]))

    def reply(self, action: Action, response: str = "Success", **headers: str) -> None:
        self.say(block([("Response", response), ("ActionID", action["ActionID"]), *headers.items()]))

    async def action(self, name: str) -> Action:
        """The next action; Pings before it are answered, anything else is a mistake of the test."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                action = await self._unread.get()
                if action["Action"] == name:
                    return action
                assert action["Action"] == "Ping", f"{name} was expected, {action} came"
                self.reply(action, Ping="Pong")

    def greet(self) -> None:
        self.say(BANNER)

    def booted(self) -> None:
        """Say that all of the switch has started."""
        self.event("FullyBooted", Privilege="system,all", Status="Fully Booted")

    async def accept(self, started: bool = True) -> None:
        """Greet, take the log-in, say which Asterisk this is, and let the user do all that calls need."""
        self.greet()
        self.reply(await self.action("Login"), Message="Authentication accepted")
        if started:
            self.booted()
        self.reply(await self.action("CoreSettings"), AsteriskVersion="22.10.1", AMIversion="11.0.0")
        self.reply(await self.action("Originate"), "Error", Message="Channel not specified")
        self.reply(await self.action("Hangup"), "Error", Message="No such channel")

    async def all_filters(self) -> None:
        """Take as many event filters as there are."""
        for _ in WANTED:
            self.reply(await self.action("Filter"), Message="Success")

    async def filters(self) -> list[str]:
        """Take the event filters, up to the request for the snapshot: it is kept unanswered, `asked_for_snapshot`."""
        found = []
        while (action := await self.any_action())["Action"] == "Filter":
            found.append(action["MatchCriteria"])
            self.reply(action, Message="Success")
        assert action["Action"] == "CoreShowChannels", action
        self.asked_for_snapshot = action
        return found

    def snapshot(self, *channels: Mapping[str, str]) -> None:
        """Answer the request for the snapshot."""
        action_id = self.asked_for_snapshot["ActionID"]
        self.reply(self.asked_for_snapshot, EventList="start", Message="Channels will follow")
        for channel in channels:
            self.event("CoreShowChannel", ActionID=action_id, **channel)
        self.event(
            "CoreShowChannelsComplete", ActionID=action_id, EventList="Complete", ListItems=len(channels)
        )

    async def resync(self, *channels: Mapping[str, str]) -> list[str]:
        """All that comes before LinkUp, in the order it has to come. Returns the event filters."""
        await self.accept()
        found = await self.filters()
        self.snapshot(*channels)
        return found

    async def serve(self) -> None:
        """Say yes to everything until the other side closes."""
        while True:
            action = await self.any_action()
            self.reply(action, Message="done")

    def cut(self) -> None:
        """Break the connection without a word."""
        self._writer.transport.abort()

    async def any_action(self) -> Action:
        """The next action, whatever it is."""
        async with asyncio.timeout(LIMIT_S):
            return await self._unread.get()


class ScriptedPeer:
    """Listens on loopback and runs a script for each connection; a script that ends closes its connection."""

    def __init__(self, *scripts: Script, port: int = 0) -> None:
        self.port = port
        self.peers: list[Peer] = []
        self._scripts = scripts
        self._faults: list[BaseException] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    async def __aenter__(self) -> ScriptedPeer:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._faults and kind is None:
            raise self._faults[0]

    async def connected(self, count: int) -> Peer:
        """Wait for the connection of this number, from 1."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.peers) < count:
                self._news.clear()
                await self._news.wait()
        return self.peers[count - 1]

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        script = self._scripts[min(len(self.peers), len(self._scripts) - 1)]
        self.peers.append(peer)
        self._news.set()
        task = asyncio.create_task(self._play(peer, script, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, peer: Peer, script: Script, writer: asyncio.StreamWriter) -> None:
        listening = asyncio.create_task(peer.listen())
        playing = asyncio.ensure_future(script(peer))
        try:
            await asyncio.wait({listening, playing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (playing, listening):
                one.cancel()
            for fault in await asyncio.gather(playing, return_exceptions=True):
                if isinstance(fault, Exception):
                    self._faults.append(fault)
            await asyncio.gather(listening, return_exceptions=True)
            writer.close()


class Ear:
    """A listener that keeps what it hears and can be waited on."""

    def __init__(self) -> None:
        self.events: list[SwitchEvent] = []
        self._news = asyncio.Event()

    def __call__(self, event: SwitchEvent) -> None:
        self.events.append(event)
        self._news.set()

    async def hears(self, kind: type[Kind], count: int = 1) -> Kind:
        """Wait for the event of this kind and number, from 1."""
        async with asyncio.timeout(LIMIT_S):
            while len(found := self.of(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return found[count - 1]

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def story(self) -> list[str]:
        """The kinds of the events, in order, without those of the link."""
        return [type(event).__name__ for event in self.events if not isinstance(event, (LinkUp, LinkDown))]


@contextlib.asynccontextmanager
async def running(port: int, name: str = "pbx") -> AsyncIterator[tuple[AsteriskSwitch, Ear]]:
    """The adapter at work against this port, and what the engine hears of it."""
    switch, ear = AsteriskSwitch(name, "127.0.0.1", port, "dialer", "secret"), Ear()
    task = asyncio.create_task(switch.run(ear))
    try:
        yield switch, ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
