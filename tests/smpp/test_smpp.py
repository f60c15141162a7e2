"""Texts to an SMSC of another make: taken in parts, throttled, lost and bound again; receipts, STOP, and TLS."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

import pytest
import trustme
from sqlalchemy import Engine

from campaigns.dnc import DncStore
from campaigns.messages.announcing import Announcer
from campaigns.messages.choices import ChoiceStore
from campaigns.messages.receipts import Receipts
from dialer.config import SmppSection
from dialer.messages import Messages
from dialer.smpp import Smpp
from tests.campaigns.messages.world import MISSED, TWO_DAYS_LATER, Writing
from tests.campaigns.world import later
from tests.smpp.running import DEADLINE_S, Smsc, smsc

LONG = "春" * 150  # three parts


def section(port: int, **more: object) -> SmppSection:
    return SmppSection(host="127.0.0.1", port=port, system_id="dialer", password="secret", **more)  # type: ignore[arg-type]


@asynccontextmanager
async def sending(
    world: Writing, there: Smsc, at: Callable[[], datetime] = lambda: TWO_DAYS_LATER, **more: object
) -> AsyncIterator[Messages]:
    """An engine that is bound, and looks at the outbox when it is told."""
    channel = Smpp(section(there.port, **more), Receipts(world.db, "sms"), at)
    messages = Messages(world.outbox, {"sms": channel}, Announcer(world.db), at)
    session = asyncio.create_task(channel.run())
    try:
        await there.told("bound")
        yield messages
    finally:
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await asyncio.to_thread(true):
            await asyncio.sleep(0.02)


def calling(db: Engine, text: str = "", customers: int = 1) -> Writing:
    steps = MISSED
    if text:
        steps = steps[: steps.index("text =")] + f'text = {{ zh = "{text}" }}\n'
    world = Writing(db, steps=steps, customers=customers)
    world.calls()
    return world


def receipt(of: str, stat: str = "DELIVRD") -> dict[str, object]:
    return {
        "source_addr": "8613800000000", "destination_addr": "10690001", "esm_class": 4,
        "short_message": f"id:{of} sub:001 dlvrd:001 submit date:2611261200 done date:2611261201 stat:{stat} err:000",
    }  # fmt: skip


async def test_a_text_goes_out_and_its_receipt_comes_back(db: Engine) -> None:
    world = calling(db)
    async with smsc() as there, sending(world, there, sender="10690001") as messages:
        await messages.look("sms")
        text = await there.told("id")
        assert (text["to"], text["from"], text["receipt"]) == ("8613800000000", "10690001", 1)
        assert (text["text"], text["coding"]) == ("客户0您好，我们曾致电给您。回复TD退订", 8)
        assert world.states() == [("sent", "")]
        await there.do(deliver=receipt("unknown"))
        await there.do(deliver=receipt(text["id"], "ENROUTE"))
        await there.do(deliver=receipt(text["id"]))
        await until(lambda: world.rows()[0].delivered_at == TWO_DAYS_LATER)
    assert world.rows()[0].bounced_at is None


async def test_a_long_text_has_arrived_when_all_of_its_parts_have(db: Engine) -> None:
    world = calling(db, LONG)
    async with smsc() as there, sending(world, there) as messages:
        await messages.look("sms")
        parts = [await there.told("id") for _ in range(3)]
        assert "".join(part["text"] for part in parts) == LONG
        reference = parts[0]["udh"][0][2]
        assert [part["udh"][0] for part in parts] == [[0, 3, reference, 3, n] for n in (1, 2, 3)]
        for part in parts[:2]:
            await there.do(deliver=receipt(part["id"]))
        await there.told("taken")
        await there.told("taken")
        receipts = Receipts(db, "sms")
        assert world.rows()[0].delivered_at is None
        await there.do(deliver=receipt(parts[2]["id"], "UNDELIV"))
        await until(lambda: world.rows()[0].bounced_at is not None)
        assert world.rows()[0].detail == "UNDELIV err:000"
        name = f"127.0.0.1:{there.port}/dialer"
        assert receipts.receipt(f"{name} {parts[2]['id']}", True, "", later(days=3))  # it arrived in the end
        await until(lambda: world.rows()[0].delivered_at == later(days=3))


async def test_too_many_texts_wait_a_moment_and_go_out(db: Engine) -> None:
    world = calling(db, customers=3)
    async with smsc() as there:
        await there.do(throttle=2)
        async with sending(world, there, window=1) as messages:
            await messages.look("sms")
            assert world.states() == [("sent", "")] * 3
            told = {(await there.told("id"))["to"] for _ in range(3)}
            assert told == {f"861380000000{n}" for n in range(3)}


@pytest.mark.parametrize(("status", "state"), [(0x0B, "failed"), (0x08, "waiting")])
async def test_what_an_smsc_refuses_waits_or_is_given_up(db: Engine, status: int, state: str) -> None:
    world = calling(db)
    async with smsc() as there, sending(world, there) as messages:
        await there.do(refuse=status, deliver=receipt("unknown"))
        await there.told("taken")
        await messages.look("sms")
        [row] = world.rows()
        assert (row.state, row.detail) == (state, f"SMPP status 0x{status:02X}")


async def test_stop_by_text_ends_texts_and_calls(db: Engine) -> None:
    world = calling(db)
    async with smsc() as there, sending(world, there) as messages:
        await messages.look("sms")
        reply = {"source_addr": "8613800000000", "source_addr_ton": 1, "destination_addr": "10690001"}
        for said in ("STOP", "退订"):
            await there.do(deliver=reply | {"short_message": said})
            await until(lambda said=said: world.rows()[0].reply == said)
        [entry] = DncStore(db).check("+8613800000000")
        assert (entry.layer, entry.source) == ("company", "reply by sms")


async def test_stop_from_abroad_by_a_number_without_its_type_is_of_whom_was_written_to(db: Engine) -> None:
    world = Writing(db, steps=MISSED, customers=0)
    world.add("+13125550123")
    world.calls()
    async with smsc() as there, sending(world, there) as messages:
        await messages.look("sms")
        reply = {"source_addr": "13125550123", "source_addr_ton": 0, "destination_addr": "10690001"}
        await there.do(deliver=reply | {"short_message": "STOP"})
        await until(lambda: ChoiceStore(db).of("+13125550123"))
    assert DncStore(db).check("+13125550123") and not DncStore(db).check("+8613125550123")


def test_a_receipt_whose_id_has_a_nul_is_taken(db: Engine) -> None:
    assert not Receipts(db, "sms").receipt("smsc m\0", True, "", TWO_DAYS_LATER)


async def test_a_lost_session_is_bound_again_and_what_waited_goes_out(db: Engine) -> None:
    world = calling(db)
    async with smsc() as there, sending(world, there) as messages:
        await there.do(drop=True)
        await there.told("closed")
        looking = asyncio.create_task(messages.look("sms"))
        await there.told("bound")
        await looking
        if world.states() == [("waiting", "failed")]:  # it was sent into the session while that was lost
            await Messages(world.outbox, messages._channels, Announcer(db), lambda: later(days=3)).look("sms")
        assert world.states() == [("sent", "")]


async def test_an_smsc_that_names_a_length_beyond_all_measure_is_left(db: Engine) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bind = await reader.readexactly(16)
        await reader.readexactly(struct.unpack(">I", bind[:4])[0] - 16)
        writer.write(struct.pack(">III", 21, 0x80000009, 0) + bind[12:] + b"smsc\0")
        writer.write(struct.pack(">IIII", 0xFFFFFFF0, 5, 0, 1) + b"x" * 100_000)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as there:
        channel = Smpp(section(there.sockets[0].getsockname()[1]), Receipts(db, "sms"))
        session = asyncio.create_task(channel.run())
        await until(lambda: channel._fault)
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)
    assert channel._fault == "the session was lost"


async def test_an_engine_that_stops_takes_its_leave(db: Engine) -> None:
    world = calling(db)
    async with smsc() as there:
        channel = Smpp(section(there.port), Receipts(db, "sms"))
        messages = Messages(world.outbox, {"sms": channel}, Announcer(db), lambda: TWO_DAYS_LATER)
        running = asyncio.create_task(messages.run())
        await there.told("id")
        await until(lambda: world.states() == [("sent", "")])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert running.cancelled()
        await there.told("unbound")


async def test_without_a_session_texts_wait_and_say_why(db: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dialer.smpp.BOUND_S", 0.05)
    world = calling(db)
    channel = Smpp(section(1), Receipts(db, "sms"))
    session = asyncio.create_task(channel.run())
    try:
        await until(lambda: channel._fault)
        await Messages(world.outbox, {"sms": channel}, Announcer(db), lambda: TWO_DAYS_LATER).look("sms")
    finally:
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)
    assert world.states() == [("waiting", "failed")] and "no session" in world.rows()[0].detail


async def test_the_session_is_ciphered_and_only_with_whom_is_believed(
    db: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = calling(db)
    authority = trustme.CA()
    theirs = authority.issue_cert("127.0.0.1")
    key, chain, believed = tmp_path / "key", tmp_path / "chain", tmp_path / "ca"
    theirs.private_key_pem.write_to_path(key)
    theirs.cert_chain_pems[0].write_to_path(chain)
    authority.cert_pem.write_to_path(believed)
    monkeypatch.setenv("SSL_CERT_FILE", str(believed))
    async with smsc("--key", key, "--cert", chain) as there:
        async with sending(world, there, tls=True) as messages:
            await messages.look("sms")
            assert world.states() == [("sent", "")]
        trustme.CA().cert_pem.write_to_path(believed)  # another one
        channel = Smpp(section(there.port, tls=True), Receipts(db, "sms"))
        session = asyncio.create_task(channel.run())
        await until(lambda: channel._fault)
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)
        assert "certificate" in channel._fault.lower() or "issuer" in channel._fault.lower()
