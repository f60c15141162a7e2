"""Strangers at the FastAGI port: bounded in bytes, lines, time and number, and never felt by the calls next to them."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from contextlib import ExitStack
from time import monotonic

import pytest

from cti.server import CannotListen
from dialer import fastagi
from dialer.fastagi import GREETING_LINES
from tests.fastagi.line import HEARD_OUT, KEY, LIMIT_S, MESSAGE, NO_KEY, UID, Line, Service, serving, until


async def a_customer_is_served(service: Service, line: Line | None = None) -> None:
    """A dialogue that goes as it should."""
    line = line or await service.line()
    line.greet()
    await line.answers(MESSAGE, KEY, HEARD_OUT, NO_KEY)
    await line.closed()


HOSTILE = {
    "a greeting that never ends": b"agi_x: 1\n" * (GREETING_LINES + 1),
    "a line of a megabyte": b"x" * 1_000_000,
    "binary": bytes(range(256)) * 100,
    "a mail server": b"220 mail.example ESMTP\r\n\r\n",
    "nothing, and the end": b"",
    "half a greeting, and the end": b"agi_network_script: safe-har",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
async def test_a_stranger_is_let_go_and_counted_and_the_next_customer_is_served(data: bytes) -> None:
    async with serving(max_dialogues=1) as service:
        line = await service.line()
        line.say(data)
        if len(data) < 1_000:
            line._writer.write_eof()
        await until(lambda: sum(service.agi.results.values()) == 1)
        assert service.told == []
        await a_customer_is_served(service)
        await until(lambda: service.agi.results["played"] == 1)
    assert service.told == [(UID, True, False)]


@pytest.mark.parametrize(
    "reply",
    ["", "hello", "200", "200 result=", "200 result=1 (", "999 x", "5" * 5_000, "200 result=" + "9" * 400,
     "200 result=99999999999", "510 Invalid", "520-Invalid\nx\n520 End", "\x00\xff"],
)  # fmt: skip
@pytest.mark.parametrize("answered", [0, 2, 3])
async def test_nonsense_for_a_reply_ends_that_dialogue_alone(answered: int, reply: str) -> None:
    async with serving() as service:
        line = await service.line()
        line.greet()
        await line.answers(*(MESSAGE, KEY, HEARD_OUT)[:answered])
        await line.asks()
        line.say(reply.encode("latin-1") + b"\n")
        line._writer.write_eof()
        await until(lambda: sum(service.agi.results.values()) == 1)
        assert not service.agi.results["opted_out"]
        await a_customer_is_served(service)
        await until(lambda: not service.agi._open)


async def test_a_dialogue_that_does_not_exist_is_refused_by_closing() -> None:
    async with serving() as service:
        line = await service.line()
        line.greet("lottery")
        await line.closed()
        await service.ended(unknown=1)
    assert line.asked == [] and service.told == []


async def test_a_peer_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastagi, "SILENCE_S", 0.1)
    async with serving(max_dialogues=1) as service:
        line = await service.line()
        await line.closed()
        await service.ended(faulty=1)
        await a_customer_is_served(service)


@pytest.mark.parametrize("drip", [b"x", b"HANGUP\n"])
async def test_a_peer_that_drips_is_given_up_too(drip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then breaks no silence; a thread is not lent for hours for that."""
    monkeypatch.setattr(fastagi, "DIALOGUE_S", 0.3)
    async with serving(max_dialogues=1) as service:
        line = await service.line()
        async with asyncio.timeout(LIMIT_S):
            while not service.agi.results["faulty"]:
                line.say(drip)
                await asyncio.sleep(0.01)
        await a_customer_is_served(service)


async def test_more_dialogues_than_allowed_are_closed_at_once_and_those_that_go_on_are_not_touched() -> None:
    async with serving(max_dialogues=3) as service:
        talking = [await service.line() for _ in range(3)]
        for line in talking:
            line.greet()
            await line.answers(MESSAGE)
        for _ in range(5):
            await (await service.line()).closed()  # the dialplan plays the message by itself
        assert service.agi.results == {"refused": 5}
        for line in talking:
            await line.answers(KEY, HEARD_OUT, NO_KEY)
            await line.closed()
        await service.ended(refused=5, played=3)
        await a_customer_is_served(service)


async def test_the_event_loop_is_never_held_up_by_dialogues() -> None:
    async with serving(max_dialogues=16) as service:
        lines = [await service.line() for _ in range(16)]
        for line in lines:
            line.greet()
            await line.answers(MESSAGE, KEY)  # and now the message plays: nothing comes for seconds
        longest, last, until_s = 0.0, monotonic(), monotonic() + 0.5
        while last < until_s:
            await asyncio.sleep(0.005)
            longest, last = max(longest, monotonic() - last), monotonic()
        assert longest < 0.25
        began = monotonic()
    assert monotonic() - began < 5.0  # the end cuts what goes on


async def test_the_end_cuts_dialogues_and_their_customers_are_not_told_of() -> None:
    async with serving() as service:
        line = await service.line()
        line.greet()
        await line.answers(MESSAGE, KEY)
        await line.asks()
    await until(lambda: sum(service.agi.results.values()) == 1)
    assert not any(played or opted_out for _, played, opted_out in service.told)


async def test_a_process_out_of_file_descriptors_takes_dialogues_again_when_it_has_some() -> None:
    """Somebody else's leak must not leave customers without the message for good."""
    async with serving() as service:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with ExitStack() as stack:
            waiting = socket.socket()
            waiting.setblocking(False)
            limit = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
            while True:
                try:
                    stack.callback(os.close, os.dup(0))
                except OSError:
                    break
            await asyncio.get_running_loop().sock_connect(waiting, ("127.0.0.1", service.agi.port))
            await until(lambda: service.agi.results["not_taken"])
        await a_customer_is_served(service)
        waiting.close()


async def test_an_address_that_is_taken_is_told_at_the_start() -> None:
    async with serving() as service:
        second = fastagi.FastAgi("127.0.0.1", service.agi.port, lambda *_: None)
        with pytest.raises(CannotListen, match=rf"FastAGI address 127\.0\.0\.1:{service.agi.port}"):
            await second.start()
