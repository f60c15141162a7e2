"""What the stories share: a virtual switch with a client that is logged in, calls, and a FastAGI service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from simulator.scenario import Scenario, TailsScenario
from simulator.switch.log import CallRecord
from simulator.switch.server import SECRET, USER, VirtualSwitch
from tests.simulator.fast_clock import SPEED
from tests.simulator.replay import LIMIT_S, Client

Dialogue = Callable[["Service", str], Awaitable[None]]


async def logged_in(switch: VirtualSwitch, **more: str) -> Client:
    client = Client()
    await client.connect(switch.host, switch.port)
    client.act(Action="Login", ActionID="login", Username=USER, Secret=SECRET, **more)
    assert (await client.reply("login"))["Response"] == "Success"
    return client


@contextlib.asynccontextmanager
async def line(
    scenario: Scenario | None = None, **options: Any
) -> AsyncIterator[tuple[VirtualSwitch, Client]]:
    """A switch and a client of it."""
    async with VirtualSwitch(scenario or TailsScenario(), **options) as switch:
        client = await logged_in(switch)
        try:
            yield switch, client
        finally:
            await client.close()


def call(
    client: Client,
    uid: str,
    channel: str,
    context: str = "zhudong-customer",
    ring_limit_s: float = 20.0,
    variable: str = "",
) -> None:
    """Originate; a channel without a slash is a customer's number."""
    client.act(
        Action="Originate",
        ActionID=uid,
        Channel=channel if "/" in channel else f"PJSIP/{channel}@carrier",
        ChannelId=uid,
        Async="true",
        Timeout=int(ring_limit_s * 1000),
        Context=context,
        Exten="s",
        Priority=1,
        CallerID="10086",
        Variable=variable,
    )


async def answered(client: Client, uid: str) -> None:
    await client.until(
        lambda heard: any(dict(one).get("Uniqueid") == uid and ("ChannelState", "6") in one for one in heard)
    )


async def bridged(client: Client, customer: str, seat: str) -> None:
    action_id = f"bridge {customer} {seat}"
    client.act(Action="Bridge", ActionID=action_id, Channel1=customer, Channel2=seat)
    assert (await client.reply(action_id))["Response"] == "Success"


async def done(switch: VirtualSwitch, client: Client, uid: str) -> CallRecord:
    """The log's record of a call that has ended."""
    await client.event("Hangup", uid)
    return switch.log.by_uid[uid]


def lasted_s(begin: float | None, end: float | None) -> float:
    """Seconds of the fast clock between two entries of the log."""
    assert begin is not None and end is not None
    return (end - begin) * SPEED


def events_of(client: Client, uid: str) -> Sequence[str]:
    """The names of the events about one channel, in order."""
    found = (dict(one) for one in client.heard)
    return [
        one["Event"]
        for one in found
        if "Event" in one and uid in (one.get("Uniqueid"), one.get("DestUniqueid"))
    ]


class Service:
    """A FastAGI service: one dialogue for every connection; `greetings` and `said` are what the switch told it."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self.greetings: list[dict[str, str]] = []
        self.said: list[str] = []
        self.asked_at: list[float] = []
        self.connected = asyncio.Event()

    async def __aenter__(self) -> Service:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.variable = f"ZD_AGI=agi://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        greeting: dict[str, str] = {}
        while text := (await reader.readline()).decode().rstrip("\n"):
            key, _, value = text.partition(": ")
            greeting[key] = value
        self.greetings.append(greeting)
        self.connected.set()
        with contextlib.suppress(ConnectionError):
            await self._dialogue(self, greeting["agi_uniqueid"])
        writer.close()

    async def ask(self, command: str) -> str:
        """One command's reply."""
        self.asked_at.append(asyncio.get_running_loop().time())
        self._writer.write(f"{command}\n".encode())
        async with asyncio.timeout(LIMIT_S):
            reply = (await self._reader.readline()).decode().rstrip("\n")
        self.said.append(reply)
        return reply
