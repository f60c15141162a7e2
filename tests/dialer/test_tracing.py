"""Calls as traces: what is told of each, by the effects alone, and what a real collector's protocol carries of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

from campaigns.ids import new_call_id
from campaigns.records import (
    AttemptAnswered,
    AttemptConnected,
    AttemptEnded,
    Dispositioned,
    Record,
    SeatChanged,
)
from cti.messages import Dispose
from dialer.config import ConfigError, TracingSection, parse
from dialer.core.effects import Authorize, Drop, Join, Originate, Refused, Write
from dialer.switch.port import Origination
from dialer.tracing import Span, Traces
from simulator.scenario import Behaviour, TailsScenario
from simulator.switch.server import VirtualSwitch
from tests.core.world import CAMPAIGN as SPRING
from tests.core.world import World, lead
from tests.dialer.running import CAMPAIGN, SEAT, config, running

LEASED = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
COLLEAGUE = 2


class Watched:
    """Traces with a clock that a test turns. Times are seconds since the lease."""

    def __init__(self, share: float = 1.0) -> None:
        self.now = 0.0
        self.told: dict[str, tuple[list[Span], bool]] = {}
        self.traces = Traces({}, self._take, share, lambda: LEASED.timestamp() + self.now)
        self.call = new_call_id(LEASED)

    def _take(self, call_id: str, spans: list[Span], wrong: bool) -> None:
        assert call_id not in self.told
        self.told[call_id] = (spans, wrong)

    def dialed(self) -> Watched:
        """The call was reserved after 3 s in the buffer, and dialed half a second later."""
        self.now = 3.0
        self.traces.watch(Authorize("main", (self.call,)))
        self.now = 3.5
        self.traces.watch(Originate("main", Origination(f"zdc-{self.call}", "x", "zhudong-customer", 25.0)))
        return self

    def write(self, at: float, record: type[Record], **values: object) -> Watched:
        self.traces.watch(Write(record(at=LEASED + timedelta(seconds=at), **values)))  # type: ignore[call-arg]
        return self

    def seat(self, at: float, state: str, call: str = "", user: int = SEAT) -> Watched:
        return self.write(at, SeatChanged, user_id=user, session_id="s", state=state, call_id=call)

    def talked(self) -> Watched:
        """Answered after 6.5 s of which it rang 6, joined 40 ms later; the customer hangs up after 20 s."""
        self.dialed().write(10.0, AttemptAnswered, call_id=self.call).seat(10.0, "connecting", self.call)
        self.now = 10.01
        self.traces.watch(Join("main", self.call, f"zdc-{self.call}", "zds-1"))
        self.write(10.04, AttemptConnected, call_id=self.call, user_id=SEAT)
        self.seat(10.04, "talking", self.call)
        return self.write(30.04, AttemptEnded, call_id=self.call, outcome="connected", cause=16, ring_s=6.0)

    def spans(self) -> dict[str, tuple[float, float]]:
        found, _ = self.told[self.call]
        begin = LEASED.timestamp()
        return {each.name: (round(each.start - begin, 2), round(each.end - begin, 2)) for each in found}


def test_a_call_is_told_from_its_lease_to_the_end_of_the_wrap_up() -> None:
    watched = Watched().talked()
    watched.seat(30.05, "wrap_up")
    watched.write(35.0, Dispositioned, call_id=watched.call, user_id=SEAT, code="sold")
    assert watched.told == {}
    watched.seat(35.0, "ready")
    assert watched.spans() == {
        "call": (0.0, 35.0),
        "buffer": (0.0, 3.0),
        "authorize": (3.0, 3.5),
        "set up": (3.5, 4.0),
        "ring": (4.0, 10.0),
        "wait": (10.0, 10.04),
        "bridge": (10.01, 10.04),
        "talk": (10.04, 30.04),
        "wrap up": (30.05, 35.0),
    }
    (whole, *_), wrong = watched.told[watched.call]
    assert whole.attributes["zhudong.outcome"] == "connected"
    assert [name for name, _ in whole.events] == ["disposition sold"]
    assert not wrong


def test_the_colleague_who_took_it_wraps_it_up() -> None:
    watched = Watched().dialed().write(10.0, AttemptAnswered, call_id="")
    watched.write(10.0, AttemptConnected, call_id=watched.call, user_id=SEAT)
    watched.seat(10.0, "talking", watched.call).seat(20.0, "talking", watched.call, COLLEAGUE)
    watched.seat(20.1, "ready")
    watched.write(30.0, AttemptEnded, call_id=watched.call, outcome="connected")
    watched.seat(30.0, "wrap_up", "", COLLEAGUE)
    assert watched.told == {}
    watched.seat(33.0, "paused", "", COLLEAGUE)
    assert watched.spans()["wrap up"] == (30.0, 33.0)


def test_one_whom_nobody_reached_ends_with_its_ring() -> None:
    watched = Watched().dialed()
    watched.write(28.5, AttemptEnded, call_id=watched.call, outcome="no_answer", cause=19, ring_s=24.0)
    assert watched.spans() == {
        "call": (0.0, 28.5),
        "buffer": (0.0, 3.0),
        "authorize": (3.0, 3.5),
        "set up": (3.5, 4.5),
        "ring": (4.5, 28.5),
    }


def test_an_abandoned_one_is_marked_as_wrong() -> None:
    watched = Watched().dialed().write(10.0, AttemptAnswered, call_id="")
    watched.write(12.0, AttemptEnded, call_id=watched.call, outcome="abandoned")
    assert watched.told[watched.call][1]


def test_one_that_was_refused_was_not_dialed() -> None:
    watched = Watched()
    watched.traces.watch(Authorize("main", (watched.call,)))
    watched.now = 0.2
    watched.traces.watch(Refused(watched.call))
    (whole, *_), _ = watched.told[watched.call]
    assert whole.attributes["zhudong.outcome"] == "not_dialed"
    assert watched.spans() == {"call": (0.0, 0.2), "buffer": (0.0, 0.0), "authorize": (0.0, 0.2)}


@pytest.mark.parametrize("reason", ["dnc", "database"])
def test_nothing_is_kept_of_calls_that_the_core_was_refused(reason: str) -> None:
    """Twenty thousand of them, of a list that is mostly barred, would leave no room for any other call."""
    world, watched = World(), Watched()
    world.seat(1)
    world.core.reserve([lead(1), lead(2)], SPRING, world.at)
    world.core.refused(lead(1).call_id, reason, world.at)
    world.core.permitted(lead(2).call_id, "", world.at)
    for effect in world.core.take():
        watched.traces.watch(effect)
    assert {
        call_id: spans[0].attributes["zhudong.outcome"] for call_id, (spans, _) in watched.told.items()
    } == {lead(1).call_id: "not_dialed"}
    assert list(watched.traces._seen) == [lead(2).call_id]


def test_a_share_of_the_calls_is_chosen_by_their_ids() -> None:
    traced = 0
    for _ in range(1_000):
        watched = Watched(share=0.25).dialed()
        watched.write(9.0, AttemptEnded, call_id=watched.call, outcome="busy")
        traced += len(watched.told)
    assert 170 < traced < 340  # seven standard deviations


def test_what_it_cannot_understand_costs_a_trace_and_nothing_else() -> None:
    watched = Watched()
    watched.traces.watch(Authorize("main", ("no id",)))
    watched.traces.watch(Drop("main", "zdc-1"))
    watched.write(1.0, AttemptEnded, call_id="unknown", outcome="busy")
    assert watched.told == {}


@pytest.mark.parametrize(
    ("text", "key"),
    [('endpoint = "collector:4318"', "tracing.endpoint"), ("share = 0.0", "tracing.share")],
)
def test_what_makes_no_sense_is_refused(text: str, key: str) -> None:
    switch = '[[switch]]\nname = "main"\nhost = "h"\nuser = "u"\nsecret = "s"\n'
    with pytest.raises(ConfigError, match=key):
        parse(f"{switch}[tracing]\n{text}\n", "dialer.toml")


# --- to a collector ---------------------------------------------------------------------------------------------


class Collector:
    """Takes OTLP over HTTP, and keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[SentSpan] = []
        self.services: set[str] = set()
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                take(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/traces"

    def _take(self, body: bytes) -> None:
        sent = ExportTraceServiceRequest()
        sent.ParseFromString(body)
        for each in sent.resource_spans:
            about = {value.key: value.value.string_value for value in each.resource.attributes}
            self.services.add(about["service.instance.id"])
            for scope in each.scope_spans:
                self.spans += scope.spans


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    found = Collector()
    threading.Thread(target=found.server.serve_forever, daemon=True).start()
    yield found
    await asyncio.to_thread(found.server.shutdown)
    found.server.server_close()


async def test_a_collector_gets_a_call_under_its_own_id(collector: Collector, tmp_path: Path) -> None:
    people = TailsScenario(tails={"01": Behaviour(answers_after_s=0.2, leaves_after_s=0.6)})
    async with VirtualSwitch(people) as switch:
        fixed = msgspec.structs.replace(
            config(switch.host, switch.port, switch.user, switch.secret),
            tracing=TracingSection(endpoint=collector.url),
        )
        async with running(fixed, tmp_path) as here:
            await here.seat()
            here.campaign(CAMPAIGN, "+8613800138001")
            await here.until(lambda: here.rows("SELECT 1 FROM attempt WHERE ended_at IS NOT NULL"))
            (row,) = here.rows("SELECT replace(call_id::text, '-', '') FROM attempt")
            call = str(row[0])
            await here.until(lambda: here.engine.core.seats.by_user[SEAT].state == "wrap_up")
            assert (await here.daemon.bus.command(Dispose(user_id=SEAT, call_id=call, code="sold"))).ok
    # what is left goes out with the daemon
    assert {each.trace_id.hex() for each in collector.spans} == {call}
    (whole,) = (each for each in collector.spans if not each.parent_span_id)
    parts = {each.name for each in collector.spans if each.parent_span_id == whole.span_id}
    assert {"buffer", "authorize", "ring", "wait", "bridge", "talk", "wrap up"} <= parts
    about = {each.key: each.value.string_value for each in whole.attributes}
    assert about["zhudong.campaign"] == "spring"
    assert about["zhudong.outcome"] == "connected"
    assert "13800138001" not in str(collector.spans) and "王小明" not in str(collector.spans)
    assert collector.services == {here.daemon.config.engine.name}


async def test_a_collector_that_is_away_holds_nobody_up(tmp_path: Path) -> None:
    people = TailsScenario(tails={"01": Behaviour(answers_after_s=0.05, leaves_after_s=0.2)})
    async with VirtualSwitch(people) as switch:
        fixed = msgspec.structs.replace(
            config(switch.host, switch.port, switch.user, switch.secret),
            tracing=TracingSection(endpoint="http://127.0.0.1:9/v1/traces"),
        )
        async with running(fixed, tmp_path) as here:
            await here.seat()
            here.campaign(CAMPAIGN, "+8613800138001")
            await here.until(lambda: here.rows("SELECT 1 FROM attempt WHERE ended_at IS NOT NULL"))
