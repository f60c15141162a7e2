"""Calls as OpenTelemetry traces: one a call, from its lease to the end of its seat's wrap-up; an optional extra.

Nothing is measured for it. What the core wants done and put on record tells all of a call; when it is over, that is
written as spans whose times lie behind. The trace's id is the call's, which logs and tables have too. Exported are
times, names and outcomes, and nothing of the customer: neither number nor name.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import getrandbits
from time import time
from typing import Protocol

import structlog

from campaigns.ids import leased_at
from campaigns.records import (
    AnyRecord,
    AttemptAnswered,
    AttemptConnected,
    AttemptEnded,
    CalledIn,
    Dispositioned,
    SeatChanged,
)
from cti.messages import ScreenPop
from dialer.config import ConfigError, TracingSection
from dialer.core.call import Call
from dialer.core.effects import Authorize, Effect, Join, Originate, Refused, Tell, Write
from dialer.core.seat import SeatState
from dialer.switch.port import CALL_PREFIX

log = structlog.get_logger(__name__)

MOST = 20_000  # calls at a time; those that come beyond them are not traced
TAKES_S = 3.0  # a collector that does not take spans within this, tried again and all, has lost them
RANDOM_DIGITS, RANDOMS = 8, 16**8  # of a call's id, its last ones
WRONG = frozenset({"abandoned", "lost", "failed", "congestion"})


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a call; instants are seconds since 1970."""

    name: str
    start: float
    end: float
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    events: tuple[tuple[str, float], ...] = ()


@dataclass(slots=True)
class _Seen:
    """What was seen of a call so far."""

    begins: float
    campaign: str
    switch: str
    asked: float | None = None
    dialed: float | None = None
    answered: float | None = None
    joining: float | None = None
    connected: float | None = None
    wrapping: float | None = None
    ended: AttemptEnded | None = None
    seat: int | None = None
    seats: set[int] = field(default_factory=set)  # that have it now, or are wrapping up
    events: list[tuple[str, float]] = field(default_factory=list)


class Sink(Protocol):
    """Takes a call's spans, the whole of it first."""

    def __call__(self, call_id: str, spans: list[Span], wrong: bool) -> None: ...


class Traces:
    """Watches effects on the loop. `calls` are the engine's; of all calls a `share` is traced, chosen by their ids."""

    def __init__(
        self, calls: Mapping[str, Call], sink: Sink, share: float = 1.0, clock: Callable[[], float] = time
    ) -> None:
        self._calls = calls
        self._sink = sink
        self._below = share * RANDOMS
        self._clock = clock
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._with: dict[int, str] = {}  # the call that a seat has, or is wrapping up

    def watch(self, effect: Effect) -> None:
        """See what is wanted done. A fault of ours here costs a trace and nothing else."""
        try:
            self._watch(effect)
        except Exception:  # whatever is wrong with a trace, the call goes on
            log.exception("a call could not be traced")

    def _watch(self, effect: Effect) -> None:
        match effect:
            case Authorize(call_ids=call_ids):
                for call_id in call_ids:
                    self._begin(call_id).asked = self._clock()
            case Originate(origination=origination, outside=None):
                if (seen := self._seen.get(origination.uid.removeprefix(CALL_PREFIX))) is not None:
                    seen.dialed = self._clock()
            case Join(call_id=call_id):
                if (seen := self._seen.get(call_id)) is not None and seen.joining is None:
                    seen.joining = self._clock()
            case Tell(message=ScreenPop(call_id=call_id)):
                if (seen := self._seen.get(call_id)) is not None:
                    seen.events.append(("screen-pop", self._clock()))
            case Refused(call_id=call_id):
                self._finish(call_id, self._clock())
            case Write(record=record):
                self._recorded(record)

    def _recorded(self, record: AnyRecord) -> None:
        at = record.at.timestamp()
        if isinstance(record, CalledIn):
            self._begin(record.call_id, at)
        elif isinstance(record, SeatChanged):
            self._seat_changed(record, at)
        elif (seen := self._seen.get(getattr(record, "call_id", ""))) is not None:
            if isinstance(record, AttemptAnswered):
                seen.answered = at
            elif isinstance(record, AttemptConnected):
                seen.connected, seen.seat = seen.connected or at, record.user_id
            elif isinstance(record, Dispositioned):
                seen.events.append((f"disposition {record.code}", at))
            elif isinstance(record, AttemptEnded):
                seen.ended = record
                if not seen.seats:
                    self._finish(record.call_id, at)

    def _seat_changed(self, record: SeatChanged, at: float) -> None:
        before = self._with.pop(record.user_id, "")
        wraps = record.state == SeatState.WRAP_UP  # of the call before: it has none any more
        call_id = before if wraps and not record.call_id else record.call_id
        if (seen := self._seen.get(call_id)) is not None:
            self._with[record.user_id] = call_id
            seen.seats.add(record.user_id)
            if wraps and seen.wrapping is None:
                seen.wrapping = at
        if before != call_id and (left := self._seen.get(before)) is not None:
            left.seats.discard(record.user_id)
            if left.ended is not None and not left.seats:
                self._finish(before, at)

    def _begin(self, call_id: str, at: float | None = None) -> _Seen:
        call = self._calls.get(call_id)
        begins = at if at is not None else leased_at(call_id).timestamp()
        seen = _Seen(begins, call.campaign if call else "", call.switch if call else "")
        if len(self._seen) < MOST and int(call_id[-RANDOM_DIGITS:], 16) < self._below:
            self._seen[call_id] = seen
        return seen

    def _finish(self, call_id: str, at: float) -> None:
        if (seen := self._seen.pop(call_id, None)) is not None:
            outcome = seen.ended.outcome if seen.ended is not None else ""
            self._sink(call_id, _spans(seen, at), outcome in WRONG)


def _spans(seen: _Seen, at: float) -> list[Span]:
    """The whole call, then its parts in their order."""
    ended = seen.ended
    over = ended.at.timestamp() if ended is not None else at
    about: dict[str, str | int | float | bool] = {
        "zhudong.campaign": seen.campaign,
        "zhudong.switch": seen.switch,
        "zhudong.outcome": ended.outcome if ended is not None else "not_dialed",
    }
    if ended is not None and ended.cause:
        about["zhudong.cause"] = ended.cause
    if ended is not None and ended.amd:
        about["zhudong.amd"] = ended.amd
    if seen.seat is not None:
        about["zhudong.seat"] = seen.seat
    found = [Span("call", seen.begins, max(at, over), about, tuple(seen.events))]

    def part(name: str, start: float | None, end: float) -> None:
        if start is not None and end >= start:
            found.append(Span(name, start, end))

    if seen.asked is not None:
        part("buffer", seen.begins, seen.asked)
        part("authorize", seen.asked, seen.dialed if seen.dialed is not None else at)
    if seen.dialed is not None:
        until = seen.answered if seen.answered is not None else over
        rang = until - ended.ring_s if ended is not None and ended.ring_s is not None else until
        part("set up", seen.dialed, max(seen.dialed, rang))
        if rang < until:
            part("ring", max(seen.dialed, rang), until)
    part("wait", seen.answered, seen.connected if seen.connected is not None else over)
    if seen.connected is not None:
        part("bridge", seen.joining, seen.connected)
        part("talk", seen.connected, over)
    part("wrap up", seen.wrapping, at)
    return found


class Exporter:
    """Spans to an OpenTelemetry collector, by OTLP over HTTP, from the SDK's own thread; what it can't take is lost."""

    def __init__(self, section: TracingSection, engine: str) -> None:
        """Raises ConfigError where the extra is not installed."""
        try:
            from opentelemetry import trace as api
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk import trace as sdk
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        except ImportError as fault:
            raise ConfigError(
                f"tracing.endpoint: needs the extra `tracing`: pip install 'zhudong[tracing]' ({fault})"
            ) from fault
        self._api, self._sdk = api, sdk
        self._scope = InstrumentationScope("zhudong")
        self._resource = Resource.create({"service.name": "zhudong", "service.instance.id": engine})
        self._batches = BatchSpanProcessor(OTLPSpanExporter(endpoint=section.endpoint, timeout=TAKES_S))

    def __call__(self, call_id: str, spans: list[Span], wrong: bool) -> None:
        """The spans as they are, without a tracer: it would time them itself, and takes ten times as long."""
        whole = None
        for span in spans:
            context = self._api.SpanContext(
                int(call_id, 16),
                getrandbits(64) or 1,
                False,
                self._api.TraceFlags(self._api.TraceFlags.SAMPLED),
            )
            ended_wrong = wrong and whole is None
            self._batches.on_end(
                self._sdk.ReadableSpan(
                    name=span.name,
                    context=context,
                    parent=whole,
                    resource=self._resource,
                    attributes=span.attributes,
                    events=[self._sdk.Event(name, timestamp=_ns(at)) for name, at in span.events],
                    status=self._api.Status(
                        self._api.StatusCode.ERROR if ended_wrong else self._api.StatusCode.UNSET
                    ),
                    start_time=_ns(span.start),
                    end_time=_ns(span.end),
                    instrumentation_scope=self._scope,
                )
            )
            whole = whole or context

    def close(self) -> None:
        """Send what is left, if the collector takes it soon. Blocks."""
        self._batches.shutdown()


def _ns(at: float) -> int:
    return int(at * 1_000_000_000)
