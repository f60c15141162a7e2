"""Pacing as a filter, for other dialers and simulators: JSON lines of events in, an answer out for each that asks.

One campaign. The lines are `{"t": 12.3, "seat": 7, "state": "idle|talk|wrap|away"}`, `{"t": 12.3, "call": 991, "event":
"dialed|ringing|answered|machine|no_answer|busy|failed|cancelled|connected|abandoned|hung_up|ended", "seat": 7}`, and
the question `{"t": 12.3, "decide": true, "free_lines": 30}`, which is answered at once by `{"dial": 3, "why": {…}}`.
The event "offered" is of somebody who calls in. A line that can't be read is answered by `{"error": "…"}`, and the next
one is served.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

import msgspec

from pacing.contract import CallEvent, CallStage, InboundOffered, PacingConfig, Room, SeatEvent, SeatState
from pacing.pacer import CampaignPacer

LONGEST_LINE = 65_536  # bytes
UNBOUNDED = 1_000_000
STATES = {state.value: state for state in SeatState}
# "answered" here is a person who wants a seat; where a detector decides, "machine" takes it back.
STAGES = {stage.value: stage for stage in CallStage} | {"answered": CallStage.HUMAN}

Id = int | str


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line. `t` is seconds on the caller's clock."""

    t: float
    seat: Id | None = None
    state: str | None = None
    leaving: bool = False
    call: Id | None = None
    event: str | None = None
    cause: int | None = None
    list: Id | None = None
    decide: bool = False
    free_lines: int = UNBOUNDED
    calls_per_s: int = UNBOUNDED
    leads: int = UNBOUNDED


class Refused(ValueError):
    """A line that makes no sense; the text says why."""


class Filter:
    """One campaign's pacing behind lines of JSON."""

    def __init__(self, config: PacingConfig) -> None:
        self._pacer = CampaignPacer(config)
        self._decode = msgspec.json.Decoder(Line).decode
        self._encode = msgspec.json.Encoder().encode
        self._now = -math.inf

    def answer(self, data: bytes) -> bytes | None:
        """Take a line; the answer without a line end, None when there is none."""
        try:
            if len(data) > LONGEST_LINE:
                raise Refused(f"the line is longer than {LONGEST_LINE} bytes")
            return self._take(self._decode(data))
        except (msgspec.MsgspecError, Refused, UnicodeDecodeError) as fault:
            return self._encode({"error": str(fault)})

    def _take(self, line: Line) -> bytes | None:
        if not math.isfinite(line.t):
            raise Refused("t must be a finite number")
        if line.t < self._now:
            raise Refused(f"t went back from {self._now:g} to {line.t:g}")
        if line.decide:
            self._now = line.t
            decision = self._pacer.decide(line.t, Room(line.free_lines, line.calls_per_s, line.leads))
            return self._encode({"dial": decision.dial, "why": {"bound": decision.bound, **decision.why}})
        if line.call is not None and line.event == "offered":
            self._pacer.observe(InboundOffered(line.t, line.call))
        elif line.call is not None:
            stage = STAGES.get(line.event or "")
            if stage is None:
                raise Refused(f"event must be one of {', '.join(STAGES)}, is {line.event!r}")
            self._pacer.observe(CallEvent(line.t, line.call, stage, line.seat, line.cause, line.list))
        elif line.seat is not None:
            state = STATES.get(line.state or "")
            if state is None:
                raise Refused(f"state must be one of {', '.join(STATES)}, is {line.state!r}")
            self._pacer.observe(SeatEvent(line.t, line.seat, state, leaving=line.leaving))
        else:
            raise Refused("a line needs a seat, a call or decide")
        self._now = line.t
        return None


def serve(config: PacingConfig, lines: Iterable[bytes], out: BinaryIO) -> None:
    """Answer every line, each at once, until the lines end or nobody reads the answers any more."""
    answer: Callable[[bytes], Any] = Filter(config).answer
    try:
        for line in lines:
            if line.isspace():
                continue
            answered = answer(line)
            if answered is not None:
                out.write(answered + b"\n")
                out.flush()
    except BrokenPipeError:
        return
