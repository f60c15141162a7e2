"""Plays a recorded story on the virtual switch: the same actions at the same points, what it says for comparison."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from simulator.switch.server import VirtualSwitch
from tests.simulator.rig import ACCOUNTS, CONTEXTS, RigScenario
from tests.simulator.transcript import BANNER, Connection, Message, message

# What the client of the recordings waited for before it went on.
AWAITED = (
    "Newstate",
    "OriginateResponse",
    "Hangup",
    "UserEvent",
    "BridgeEnter",
    "DTMFEnd",
    "MixMonitorStart",
)
LIMIT_S = 120.0  # of the fast clock
# Values that tell the time or the machine, not the story.
VOLATILE = frozenset(
    {
        "Timestamp",
        "Uptime",
        "LastReload",
        "Challenge",
        "Key",
        "AsteriskVersion",
        "Duration",
        "Seconds",
        "CommandId",
    }
    | {f"Core{what}{part}" for what in ("Startup", "Reload") for part in ("Date", "Time")}
    | {"CoreCurrentCalls", "CoreProcessedCalls"}
)
# DialState RINGING and the channel's own change to Ringing race in Asterisk: the state in it is either.
RACING = VOLATILE | {"DestChannelState", "DestChannelStateDesc"}


@dataclass(slots=True)
class Names:
    """Channels, ids that the switch chose and bridges, named by their first appearance."""

    channels: dict[str, str] = field(default_factory=dict)
    own_ids: dict[str, str] = field(default_factory=dict)
    bridges: dict[str, str] = field(default_factory=dict)

    def learn(self, heard: Message) -> None:
        found = dict(heard)
        for prefix in ("", "Dest"):
            name, uid = found.get(f"{prefix}Channel", ""), found.get(f"{prefix}Uniqueid", "")
            if re.fullmatch(r"\d+\.\d+", uid):
                uid = self.own_ids.setdefault(uid, f"<own id {len(self.own_ids)}>")
            if re.fullmatch(r"PJSIP/.*-[0-9a-f]{8}", name):
                self.channels.setdefault(name, f"<channel {uid}>")
        if bridge := found.get("BridgeUniqueid"):
            self.bridges.setdefault(bridge, f"<bridge {len(self.bridges)}>")

    def plain(self, heard: Message) -> Message:
        """The message with names for what differs from run to run."""
        self.learn(heard)
        racing = RACING if told(heard) == "DialState" else VOLATILE
        return tuple((key, "*" if key in racing else self._plain(value)) for key, value in heard)

    def _plain(self, value: str) -> str:
        value = self.channels.get(value, value)
        value = self.own_ids.get(value, value)
        value = self.bridges.get(value, value)
        head, comma, rest = value.partition(",")
        said, colon, name = value.partition(": ")
        if colon and name in self.channels:
            return said + colon + self.channels[name]
        return self.channels.get(head, head) + comma + rest


def told(heard: Message) -> str:
    return dict(heard).get("Event", "") if heard and heard[0][0] == "Event" else ""


def streams(heard: Iterable[Message]) -> Mapping[str, Sequence[Message]]:
    """What was said, parted by what one thread of Asterisk says in order: only within a part is order certain."""
    parts: dict[str, list[Message]] = {}
    names = Names()
    for raw in heard:
        plain = names.plain(raw)
        found = dict(plain)
        event = told(plain)
        if (
            not event
            or "EventList" in found
            or ("ActionID" in found and event not in ("OriginateResponse", "UserEvent"))
        ):
            part = "replies"
        elif event == "OriginateResponse":
            part = f"response to {found.get('ActionID')}"
        elif "DestUniqueid" in found:
            part = f"dialing of {found['DestUniqueid']}"
        elif event in ("BridgeCreate", "BridgeDestroy"):
            part = found["BridgeUniqueid"]
        elif event == "DeviceStateChange":
            part = f"device {found['Device']}"
        elif "Uniqueid" in found:
            if event in ("BridgeEnter", "BridgeLeave"):
                parts.setdefault(found["BridgeUniqueid"], []).append(plain)
            part = f"channel {found['Uniqueid']}"
        else:
            part = event
        parts.setdefault(part, []).append(plain)
    return parts


class Client:
    """A connection to the virtual switch that keeps all it hears."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.closed = asyncio.Event()
        self._news = asyncio.Event()

    async def connect(self, host: str, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection(host, port)
        assert (await self._reader.readline()).startswith(BANNER.encode())
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        try:
            while True:
                data = await self._reader.readuntil(b"\r\n\r\n")
                self.heard.append(message(data.decode("utf-8", "surrogateescape")))
                self._news.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()
            self._news.set()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def act(self, **headers: object) -> None:
        text = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
        self.send(f"{text}\r\n".encode("utf-8", "surrogateescape"))

    async def until(self, enough: Callable[[list[Message]], bool], limit_s: float = LIMIT_S) -> None:
        async with asyncio.timeout(limit_s):
            while not enough(self.heard):
                if self.closed.is_set():
                    raise ConnectionError("the switch closed the connection")
                self._news.clear()
                await self._news.wait()

    async def reply(self, action_id: str, limit_s: float = LIMIT_S) -> dict[str, str]:
        await self.until(lambda heard: any(_answers(one, action_id) for one in heard), limit_s)
        return next(dict(one) for one in self.heard if _answers(one, action_id))

    async def event(self, name: str, uid: str = "", limit_s: float = LIMIT_S) -> dict[str, str]:
        def fits(one: Message) -> bool:
            return told(one) == name and (not uid or dict(one).get("Uniqueid") == uid)

        await self.until(lambda heard: any(map(fits, heard)), limit_s)
        return next(dict(one) for one in self.heard if fits(one))

    async def close(self) -> None:
        self._writer.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def _answers(one: Message, action_id: str) -> bool:
    return bool(one) and one[0][0] == "Response" and ("ActionID", action_id) in one


def rig_switch(order: int = 30) -> VirtualSwitch:
    return VirtualSwitch(
        RigScenario(order),
        user="dialer",
        secret="rig-secret",
        accounts=ACCOUNTS,
        contexts=CONTEXTS,
        auth_timeout_s=5,
        timestamps=False,
    )


async def replay(connections: Sequence[Connection], order: int = 30) -> list[list[Message]]:
    """What the virtual switch said on each connection."""
    loop = asyncio.get_running_loop()
    said: list[list[Message]] = []
    clients: list[Client] = []
    async with rig_switch(order) as switch:
        begin = loop.time() - connections[0].began_s
        here, there = Names(), Names()
        for index, connection in enumerate(connections):
            client = Client()
            clients.append(client)
            await client.connect(switch.host, switch.port)
            told_before = 0
            for sent in connection.sent:
                awaited = Counter(map(told, connection.heard[: sent.heard]))
                await client.until(lambda heard, awaited=awaited: _has(heard, awaited))
                await asyncio.sleep(max(0.0, begin + sent.at_s - loop.time()))
                for one in connection.heard[told_before : sent.heard]:
                    there.learn(one)
                told_before = sent.heard
                for one in client.heard:
                    here.learn(one)
                client.send(_with_key(_translated(sent.data, there, here), client.heard))
            last = (
                index == len(connections) - 1 or connections[index + 1].began_s >= connection.heard_at_s[-1]
            )
            if last:
                wanted = len(connection.heard)
                with contextlib.suppress(
                    TimeoutError, ConnectionError
                ):  # the comparison shows what is missing
                    await client.until(lambda heard, wanted=wanted: len(heard) >= wanted, 30.0)
                await asyncio.sleep(0.3)
                await client.close()
        for client in clients:
            await client.close()
            said.append(client.heard)
    return said


def _has(heard: Sequence[Message], awaited: Counter[str]) -> bool:
    seen = Counter(map(told, heard))
    return all(seen[name] >= awaited[name] for name in (*AWAITED, ""))


def _with_key(data: bytes, heard: Sequence[Message]) -> bytes:
    """The answer to this switch's challenge, where the recording answers its own."""
    challenge = next((dict(one)["Challenge"] for one in reversed(heard) if "Challenge" in dict(one)), "")
    key = hashlib.md5(f"{challenge}rig-secret".encode()).hexdigest()
    return re.sub(rb"(?m)^Key: .*?(?=\r)", f"Key: {key}".encode(), data)


def _translated(data: bytes, there: Names, here: Names) -> bytes:
    """The client's bytes with our channels' names for the recording's."""
    ours = {plain: name for name, plain in here.channels.items()}
    bridges = {plain: name for name, plain in here.bridges.items()}
    for name, plain in (*there.channels.items(), *there.bridges.items()):
        mine = ours.get(plain) or bridges.get(plain)
        if mine is not None:
            data = data.replace(name.encode(), mine.encode())
    return data
