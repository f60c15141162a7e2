"""Events to a company's own system, over real sockets: signed, in order, until taken, and never where they may not."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event as ThreadEvent

import pytest
from sqlalchemy import Engine, text

from campaigns.webhooks import DEAD_LIFE, LEFT_ALONE, NewDelivery, WebhookStore, dead, send_again
from cti import outbound, webhooks
from cti.bus import Bus
from cti.feed import Feed
from cti.messages import Dispose
from cti.outbound import NotSent, Outbound, allowed
from cti.webhooks import GIVE_UP, Hook, Webhooks
from tests.cti.fakes import ScriptedEngine
from tests.cti.running import AGENT, until

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
SECRET = "a secret of the receiver's"
CALL = "c0ffee00" * 4


@dataclass
class Receiver:
    """A company's own system. `answer` says the status to each request; None: none ever."""

    answer: Callable[[dict[str, str], dict], int | None] = lambda headers, body: 204
    got: list[tuple[dict[str, str], dict]] = field(default_factory=list)
    asked: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        raw = await reader.readexactly(int(headers["content-length"]))
        self.asked += 1
        status = self.answer(headers | {":path": head[0], ":raw": raw.decode()}, json.loads(raw))
        if status is None:
            await reader.read()
        elif status == 200:  # a body without end
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not writer.is_closing():
                writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
                try:
                    await writer.drain()
                except ConnectionError:
                    break
        else:
            where = "Location: http://127.0.0.1:1/\r\n" if status == 302 else ""
            writer.write(f"HTTP/1.1 {status} X\r\n{where}Content-Length: 0\r\n\r\n".encode())
            if status < 300:
                self.got.append((headers | {":raw": raw.decode()}, json.loads(raw)))
        writer.close()


@asynccontextmanager
async def receiver(
    answer: Callable[[dict[str, str], dict], int | None] | None = None,
) -> AsyncIterator[Receiver]:
    there = Receiver() if answer is None else Receiver(answer)
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    there.port = server.sockets[0].getsockname()[1]
    yield there
    server.close()


@asynccontextmanager
async def running(db: Engine, *hooks: Hook) -> AsyncIterator[tuple[ScriptedEngine, Webhooks]]:
    bus = Bus()
    feed = Feed(bus)
    sender = Webhooks(hooks, WebhookStore(db, "engine-1"))
    feed.on_event = sender.hear
    task = asyncio.create_task(sender.run())
    try:
        yield ScriptedEngine(bus), sender
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def hook(there: Receiver, **more: object) -> Hook:
    return Hook(**({"name": "crm", "url": there.url, "secret": SECRET, "networks": LOOPBACK} | more))  # type: ignore[arg-type]


def waiting(db: Engine) -> int:
    with db.connect() as connection:
        return connection.execute(
            text("SELECT count(*) FROM webhook_delivery WHERE dead_at IS NULL")
        ).scalar_one()


async def whole_call(engine: ScriptedEngine) -> str:
    call = engine.pop(AGENT.user_id)
    engine.connect(AGENT.user_id)
    engine.end(AGENT.user_id)
    await engine.bus.command(Dispose(user_id=AGENT.user_id, call_id=call, code="sold", notes="500M"))
    return call


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of the tests' length."""
    monkeypatch.setattr(webhooks, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(webhooks, "LOOK_S", 0.05)
    monkeypatch.setattr(webhooks, "AWAY_S", 0.05)


# --- what comes ---------------------------------------------------------------------------------------------


async def test_a_result_is_told_when_the_next_customer_is_there_already(db: Engine) -> None:
    async with receiver() as there, running(db, hook(there, campaigns=("demo",))) as (engine, _):
        call = engine.pop(AGENT.user_id)
        engine.connect(AGENT.user_id)
        engine.end(AGENT.user_id)
        engine.pop(AGENT.user_id, campaign="other")  # before the result is on record
        await engine.bus.command(Dispose(user_id=AGENT.user_id, call_id=call, code="sold", and_ready=False))
        await until(lambda: len(there.got) == 4)
    told = there.got[-1][1]
    assert (told["campaign"], told["event"]["type"], told["event"]["call_id"]) == ("demo", "disposed", call)


async def test_a_calls_events_come_signed_and_in_order(db: Engine) -> None:
    async with receiver() as there, running(db, hook(there)) as (engine, sender):
        call = await whole_call(engine)
        await until(lambda: len(there.got) == 4)
        await until(lambda: waiting(db) == 0)
        assert sender.counters == Counter({("crm", "delivered"): 4})
    events = [body["event"] for _, body in there.got]
    assert [(e["type"], e.get("state", "")) for e in events] == [
        ("screen_pop", ""),
        ("call_status", "connected"),
        ("call_status", "ended"),
        ("disposed", ""),
    ]
    assert {e["call_id"] for e in events} == {call}
    for headers, body in there.got:
        stamp, _, proof = headers["zhudong-signature"].partition(",")
        signed = f"{stamp.removeprefix('t=')}.{headers['zhudong-delivery']}.{headers[':raw']}"
        assert proof == "v1=" + hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
        assert abs(time.time() - int(stamp.removeprefix("t="))) < 30
        assert headers["zhudong-event"] == body["event"]["type"]
        assert headers["host"] == f"127.0.0.1:{there.port}"


async def test_a_hook_hears_of_its_own_campaigns_only(db: Engine) -> None:
    async with receiver() as there, running(db, hook(there, campaigns=("spring",))) as (engine, _):
        engine.pop(AGENT.user_id)
        engine.pop(AGENT.user_id, campaign="spring")
        await until(lambda: there.got)
        await until(lambda: waiting(db) == 0)
    assert [body["campaign"] for _, body in there.got] == ["spring"]


async def test_what_is_not_taken_comes_again_and_the_calls_order_holds(db: Engine, hasty: None) -> None:
    failing = {"screen_pop": 3, "call_status": 1}

    def answer(headers: dict[str, str], body: dict) -> int:
        kind = body["event"]["type"]
        if body["event"]["user_id"] == AGENT.user_id and failing.get(kind, 0) > 0:
            failing[kind] -= 1
            return 500
        return 204

    async with receiver(answer) as there, running(db, hook(there)) as (engine, sender):
        await whole_call(engine)
        engine.pop(8)  # another call is not held up
        await until(lambda: len(there.got) == 5)
        assert sender.counters["crm", "retried"] == 4
    mine = [body["event"]["type"] for _, body in there.got if body["event"]["user_id"] == AGENT.user_id]
    assert mine == ["screen_pop", "call_status", "call_status", "disposed"]
    assert there.got[0][1]["event"]["user_id"] == 8


async def test_what_waits_outlives_a_restart(db: Engine, hasty: None) -> None:
    down = True

    def answer(headers: dict[str, str], body: dict) -> int:
        return 503 if down else 204

    async with receiver(answer) as there:
        async with running(db, hook(there)) as (engine, sender):
            engine.pop(8)
            await until(lambda: sender.counters["crm", "retried"])
            await whole_call(engine)  # ended at once: what is queued is written still
        assert waiting(db) == 5
        down = False
        async with running(db, hook(there)):
            await until(lambda: len(there.got) == 5)
            await until(lambda: waiting(db) == 0)


async def test_what_nobody_takes_is_given_up_kept_and_sent_again_by_hand(
    db: Engine, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "GIVE_UP", timedelta(0))
    refusing = True

    def answer(headers: dict[str, str], body: dict) -> int:
        return 410 if refusing and body["event"]["type"] == "screen_pop" else 204

    async with receiver(answer) as there, running(db, hook(there)) as (engine, sender):
        call = await whole_call(engine)
        await until(lambda: len(there.got) == 3)  # the later ones go on
        (kept,) = dead(db)
        assert (kept.hook, kept.call_id, kept.kind, kept.fault) == (
            "crm",
            call,
            "screen_pop",
            "answered with 410",
        )
        assert sender.counters["crm", "dead"] == 1
        refusing = False
        assert send_again(db, [kept.delivery_id + 99], datetime.now(UTC)) == 0
        assert send_again(db, [kept.delivery_id], datetime.now(UTC)) == 1
        await until(lambda: len(there.got) == 4)
        await until(lambda: not dead(db) and waiting(db) == 0)


async def test_what_has_no_turn_at_a_receiver_that_does_not_answer_is_given_up_in_time_too(
    db: Engine, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "GIVE_UP", timedelta(seconds=0.5))
    monkeypatch.setattr(webhooks, "COUNT_S", 0.1)
    monkeypatch.setattr(webhooks, "AT_ONCE", 1)
    async with receiver(lambda headers, body: None) as there, running(db, hook(there)) as (_, sender):
        calls = [NewDelivery("crm", f"{n:032x}", "screen_pop", '{"event": 1}') for n in range(50)]
        WebhookStore(db, "engine-1").add(calls, datetime.now(UTC))
        await until(lambda: sender.counters["crm", "dead"] == 50)
    assert len(dead(db)) == 50
    assert "its turn did not come" in {each.fault for each in dead(db)}


async def test_what_waits_for_a_hook_or_an_engine_that_is_no_more_is_told_of_and_goes_in_time(
    db: Engine,
) -> None:
    now = datetime.now(UTC)
    for engine, name, age in (
        ("engine-1", "old name", LEFT_ALONE * 2),
        ("engine-0", "crm", LEFT_ALONE * 2),
        ("engine-1", "crm", LEFT_ALONE * 2),  # the engine was down: it sends it now
        ("engine-1", "old name", GIVE_UP),
        ("engine-2", "crm", GIVE_UP),
    ):
        WebhookStore(db, engine).add([NewDelivery(name, CALL, "screen_pop", '{"event": 1}')], now - age)
    assert WebhookStore(db, "engine-1").sweep(["crm"], now - LEFT_ALONE) == {"old name": 0, "crm": 0}
    async with receiver() as there, running(db, hook(there)) as (_, sender):
        await until(lambda: len(dead(db)) == 2 and waiting(db) == 2)
        assert len(there.got) == 1
        await until(lambda: sender.counters["old name", "dead"] == 1 and sender.counters["crm", "dead"] == 1)
    assert [each.hook for each in dead(db)] == ["old name", "crm"]
    assert {each.fault for each in dead(db)} == {"no engine sends to this webhook any more"}
    assert WebhookStore(db, "engine-1").sweep(["crm"], now + LEFT_ALONE + DEAD_LIFE) == {
        "old name": 1,
        "crm": 1,
    }
    assert [each.since for each in dead(db)] == [now - GIVE_UP] * 2


async def test_two_engines_on_one_database_send_each_their_own(db: Engine) -> None:
    now = datetime.now(UTC)
    for name in ("engine-1", "engine-2"):
        WebhookStore(db, name).add([NewDelivery("crm", CALL, "screen_pop", f'"{name}"')], now)
    (due,) = WebhookStore(db, "engine-2").due("crm", now, 10)
    assert due.body == '"engine-2"'


async def test_with_the_database_away_events_wait_and_the_engine_does_not(
    db: Engine, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MOST_QUEUED", 4)
    async with receiver() as there, running(db, hook(there)) as (engine, sender):
        with db.begin() as connection:
            connection.execute(text("ALTER TABLE webhook_delivery RENAME TO away"))
        await whole_call(engine)
        engine.pop(AGENT.user_id)
        assert sender.counters["crm", "lost"] == 1
        await asyncio.sleep(0.2)
        assert not there.got
        with db.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO webhook_delivery"))
        await until(lambda: len(there.got) == 4)


class Hanging(WebhookStore):
    """A database that gives no answer before it is `back`."""

    def __init__(self, engine: Engine, name: str) -> None:
        super().__init__(engine, name)
        self.asked, self.back = ThreadEvent(), ThreadEvent()

    def add(self, new: Sequence[NewDelivery], now: datetime) -> None:
        self.asked.set()
        self.back.wait()


@pytest.mark.parametrize(
    "writing", [False, True], ids=["it is written to at the end", "it is written to already"]
)
async def test_an_end_waits_a_moment_for_a_database_that_hangs(
    db: Engine, monkeypatch: pytest.MonkeyPatch, writing: bool
) -> None:
    monkeypatch.setattr(webhooks, "END_LIMIT_S", 0.1)
    store = Hanging(db, "engine-1")
    bus = Bus()
    feed = Feed(bus)
    async with receiver() as there:
        sender = Webhooks([hook(there)], store)
        feed.on_event = sender.hear
        ending = asyncio.create_task(sender.run())
        await asyncio.sleep(0.05)
        ScriptedEngine(bus).pop(AGENT.user_id)
        if writing:
            await until(store.asked.is_set)
        ending.cancel()
        try:
            assert await asyncio.wait({ending}, timeout=20) == ({ending}, set()) and ending.cancelled()
        finally:
            store.back.set()


def test_what_is_due_is_found_by_its_index(db: Engine) -> None:
    store, now = WebhookStore(db, "engine-1"), datetime.now(UTC)
    for n in range(200):
        store.add([NewDelivery("crm", f"{n % 20:032x}", "call_status", "{}") for _ in range(10)], now)
    with db.begin() as connection:
        connection.execute(text("ANALYZE webhook_delivery"))
    assert len({each.call_id for each in store.due("crm", now, 100)}) == 20


# --- where it may not go ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a00:1::",
    ],
)
def test_a_private_address_is_not_reached_in_whatever_form(address: str) -> None:
    assert not allowed(ipaddress.ip_address(address), ())


def test_the_open_internet_and_what_was_named_is() -> None:
    assert allowed(ipaddress.ip_address("1.1.1.1"), ())
    assert allowed(ipaddress.ip_address("2606:4700::1111"), ())
    assert allowed(ipaddress.ip_address("10.1.2.3"), (ipaddress.ip_network("10.1.0.0/16"),))
    assert not allowed(ipaddress.ip_address("10.2.2.3"), (ipaddress.ip_network("10.1.0.0/16"),))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"]
)
async def test_the_machine_itself_is_never_asked(host: str) -> None:
    async with receiver() as there, Outbound() as out:
        with pytest.raises(NotSent):
            await out.post(f"http://{host}:{there.port}/", b"{}", {}, ())
        assert there.asked == 0


async def test_a_name_of_two_faces_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when it is checked and private when it is used: it is used as it was checked."""
    asked = []

    async def rebinding(host: str, port: int) -> list[outbound.Address]:
        asked.append(host)
        return [ipaddress.ip_address("1.1.1.1" if len(asked) > 1 else "127.0.0.1")]

    monkeypatch.setattr(outbound, "addresses", rebinding)
    async with receiver() as there, Outbound() as out:
        assert await out.post(f"http://rebound.example:{there.port}/", b"{}", {}, LOOPBACK) == 204
        assert asked == ["rebound.example"]
        assert there.got[0][0]["host"] == f"rebound.example:{there.port}"


async def test_one_private_address_of_several_is_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    async def both(host: str, port: int) -> list[outbound.Address]:
        return [ipaddress.ip_address("1.1.1.1"), ipaddress.ip_address("10.0.0.1")]

    monkeypatch.setattr(outbound, "addresses", both)
    async with Outbound() as out:
        with pytest.raises(NotSent, match=r"10\.0\.0\.1"):
            await out.post("https://two.example/", b"{}", {}, ())


async def test_plain_http_stays_in_named_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def public(host: str, port: int) -> list[outbound.Address]:
        return [ipaddress.ip_address("1.1.1.1")]

    monkeypatch.setattr(outbound, "addresses", public)
    async with Outbound() as out:
        with pytest.raises(NotSent, match="https"):
            await out.post("http://open.example/", b"{}", {}, LOOPBACK)


async def test_a_redirect_is_not_followed_and_a_body_not_read(db: Engine) -> None:
    async with receiver(lambda headers, body: 302) as there, Outbound() as out:
        assert await out.post(there.url, b"{}", {}, LOOPBACK) == 302
        assert there.asked == 1
    async with receiver(lambda headers, body: 200) as there, Outbound() as out:
        began = time.monotonic()
        assert await out.post(there.url, b"{}", {}, LOOPBACK) == 200
        assert time.monotonic() - began < 2.0


async def test_who_never_answers_is_left_and_so_is_who_has_no_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbound, "LIMIT_S", 0.3)
    async with receiver(lambda headers, body: None) as there, Outbound() as out:
        with pytest.raises(NotSent, match="no answer within"):
            await out.post(there.url, b"{}", {}, LOOPBACK)
        with pytest.raises(NotSent):
            await out.post(there.url.replace("http:", "https:"), b"{}", {}, LOOPBACK)
    assert ssl.create_default_context().check_hostname  # what httpx takes
