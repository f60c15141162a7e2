"""Where a channel stands in the dialplan and what comes next: the engine's own contexts, played natively.

A context is a row of steps, its priorities from 1. A step does something and says what follows: the next step, a
wait, or another place. A bridge pulls a channel out of the step it waits in; afterwards it goes on at the next one,
which is what Asterisk does after AMI's Bridge.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulator.switch.channel import Channel

if TYPE_CHECKING:
    from simulator.switch.exchange import Exchange

NEXT: Final = "next"
WAIT: Final = "wait"
HANG_UP: Final = "hang up"


@dataclass(frozen=True, slots=True)
class Go:
    """Go on in another context, or at another priority."""

    context: str
    priority: int = 1


Outcome = str | Go
Play = Callable[["Exchange", Channel], Outcome]


@dataclass(frozen=True, slots=True)
class Step:
    """One priority: the application and its data as the console shows them, and what it does."""

    app: str
    data: str
    play: Play


Context = tuple[Step, ...]


def answer() -> Step:
    return Step("Answer", "", lambda exchange, channel: NEXT)


def wait(seconds: float) -> Step:
    def play(exchange: Exchange, channel: Channel) -> Outcome:
        exchange.resume_after(channel, seconds)
        return WAIT

    return Step("Wait", f"{seconds:g}", play)


def goto(context: str, priority: int) -> Step:
    return Step("Goto", f"{context},s,{priority}", lambda exchange, channel: Go(context, priority))


def hang_up() -> Step:
    return Step("Hangup", "", lambda exchange, channel: HANG_UP)


def go_if(text: str, test: Callable[[Channel], bool], yes: Go) -> Step:
    return Step("GotoIf", text, lambda exchange, channel: yes if test(channel) else NEXT)


def note_answer() -> Step:
    """When the customer answered, for whoever asks later."""

    def play(exchange: Exchange, channel: Channel) -> Outcome:
        channel.variables["ZD_ANSWERED"] = f"{time.time():.3f}"
        return NEXT

    return Step("Set", "ZD_ANSWERED=${STRFTIME(,,%s.%3q)}", play)


def amd() -> Step:
    def play(exchange: Exchange, channel: Channel) -> Outcome:
        found = channel.behaviour.amd

        def decided() -> None:
            channel.variables["AMDSTATUS"], channel.variables["AMDCAUSE"] = found.status, found.cause
            channel.record.amd = found.status

        exchange.resume_after(channel, found.after_s, decided)
        return WAIT

    return Step("AMD", "", play)


def user_event(name: str, data: str, headers: Callable[[Channel], str]) -> Step:
    def play(exchange: Exchange, channel: Channel) -> Outcome:
        exchange.feed.channel("UserEvent", channel, f"UserEvent: {name}\r\n{headers(channel)}", "user")
        return NEXT

    return Step("UserEvent", f"{name},{data}", play)


def music(seconds: float | None = None) -> Step:
    def play(exchange: Exchange, channel: Channel) -> Outcome:
        channel.music = True
        exchange.feed.channel("MusicOnHoldStart", channel, "Class: default\r\n")
        if seconds is None:
            exchange.hold(channel)
        else:
            exchange.resume_after(channel, seconds)
        return WAIT

    return Step("MusicOnHold", "default" if seconds is None else f",{seconds:g}", play)


def agi(script: str) -> Step:
    """The dialogue runs in a task; it resumes the channel, with AGISTATUS set."""

    def play(exchange: Exchange, channel: Channel) -> Outcome:
        exchange.start_agi(channel, channel.variables.get("ZD_AGI", ""), script)
        return WAIT

    return Step("AGI", f"${{ZD_AGI}}/{script}", play)


def sound() -> Step:
    def play(exchange: Exchange, channel: Channel) -> Outcome:
        exchange.resume_after(channel, exchange.scenario.sound_s)
        return WAIT

    return Step("Playback", "${ZD_SOUND}", play)


def bridge_add() -> Step:
    """Into the bridge in which the channel with this id is; there is none: go on."""

    def play(exchange: Exchange, channel: Channel) -> Outcome:
        other = exchange.find(channel.variables.get("ZD_WITH", ""))
        if other is None or other.bridge is None:
            return NEXT
        channel.priority += 1
        exchange.bridges.add(other.bridge, channel)
        return WAIT

    return Step("BridgeAdd", "${ZD_WITH}", play)


def playback() -> Step:
    def play(exchange: Exchange, channel: Channel) -> Outcome:
        channel.record.harbour = "playback"
        exchange.begin_harbour(channel)

        def heard() -> None:
            channel.record.harbour_done = True

        exchange.resume_after(channel, exchange.scenario.sound_s, heard)
        return WAIT

    return Step("Playback", "${ZD_MESSAGE}", play)


def _fresh_bridge(channel: Channel) -> bool:
    """Whether a bridge ended since this was last asked."""
    ended, channel.bridge_ended = channel.bridge_ended, False
    return ended


def _amd_headers(channel: Channel) -> str:
    found = channel.variables
    return f"Status: {found.get('AMDSTATUS', '')}\r\nCause: {found.get('AMDCAUSE', '')}\r\n"


def _call_headers(channel: Channel) -> str:
    return f"Called: {channel.exten}\r\nCaller: {channel.caller_num}\r\n"


SAID_AGAIN_S: Final = 10.0  # that a customer calls in
NO_ENGINE_S: Final = 5.0  # an answered customer whom the engine leaves alone goes to the safe harbour
AFTER_BRIDGE_S: Final = 10.0  # a customer whose seat left waits for the engine to find another
RING_S: Final = 30.0
NAILED_UP_S: Final = 86400.0
TEST_S: Final = 60.0

_AFTER_BRIDGE: Final = Go("zhudong-customer", 5)

CONTRACT: Final[Mapping[str, Context]] = {
    "zhudong-seat": (answer(), wait(NAILED_UP_S), goto("zhudong-seat", 2)),
    "zhudong-ring": (answer(), wait(RING_S), hang_up()),
    "zhudong-customer": (
        note_answer(),
        wait(NO_ENGINE_S),
        go_if("$[${BRIDGED}]?kept", _fresh_bridge, _AFTER_BRIDGE),
        goto("zhudong-safe-harbour", 1),
        wait(AFTER_BRIDGE_S),
        go_if("$[${BRIDGED}]?kept", _fresh_bridge, _AFTER_BRIDGE),
        hang_up(),
    ),
    "zhudong-amd": (
        answer(),
        note_answer(),
        amd(),
        # a customer who was bridged before AMD had decided came here by the end of that bridge
        go_if("$[${BRIDGED}]?kept", _fresh_bridge, _AFTER_BRIDGE),
        user_event(
            "ZhudongAMD",
            "Status: ${AMDSTATUS},Cause: ${AMDCAUSE}",
            _amd_headers,
        ),
        goto("zhudong-customer", 2),
    ),
    "zhudong-safe-harbour": (
        answer(),
        agi("safe-harbour"),
        go_if("$[${BRIDGED}]?kept", _fresh_bridge, _AFTER_BRIDGE),
        go_if(
            "$[${AGISTATUS} = SUCCESS]?done",
            lambda channel: channel.variables["AGISTATUS"] == "SUCCESS",
            Go("zhudong-safe-harbour", 6),
        ),
        playback(),
        hang_up(),
    ),
    "zhudong-inbound": (
        answer(),
        user_event("ZhudongCall", "Called: ${EXTEN},Caller: ${CALLERID(num)}", _call_headers),
        music(SAID_AGAIN_S),
        goto("zhudong-inbound", 2),
    ),
    "zhudong-busy": (answer(), hang_up()),
    "zhudong-hold": (
        answer(),
        music(),
        go_if("$[${BRIDGED}]?kept", _fresh_bridge, _AFTER_BRIDGE),
        hang_up(),
    ),
    "zhudong-confer": (answer(), bridge_add(), goto("zhudong-customer", 5)),
    "zhudong-play": (
        answer(),
        sound(),
        go_if("$[${BRIDGED}]?kept", _fresh_bridge, _AFTER_BRIDGE),
        goto("zhudong-customer", 5),
    ),
    "zhudong-test": (answer(), wait(TEST_S), hang_up()),
}


ANY_NUMBER: Final = frozenset({"zhudong-inbound"})  # its extensions are the numbers that were called


class Dialplan:
    """The contexts a switch has, and how a channel moves through them."""

    __slots__ = ("_exchange", "contexts")

    def __init__(self, exchange: Exchange, contexts: Mapping[str, Context]) -> None:
        self._exchange = exchange
        self.contexts = contexts

    def exists(self, context: str, exten: str, priority: int = 1) -> bool:
        known = exten.isdecimal() if context in ANY_NUMBER else exten == "s"
        return known and 0 < priority <= len(self.contexts.get(context, ()))

    def enter(self, channel: Channel, context: str, exten: str, priority: int) -> None:
        """Put the channel there and let it run."""
        channel.context, channel.exten, channel.priority = context, exten, priority
        self.run(channel)

    def run(self, channel: Channel) -> None:
        """Play steps from where the channel stands until one waits or the call is over."""
        while not channel.gone:
            steps = self.contexts.get(channel.context, ())
            if not 0 < channel.priority <= len(steps):
                self._exchange.end_by_dialplan(channel)
                return
            step = steps[channel.priority - 1]
            channel.app, channel.app_data = step.app, step.data
            outcome = step.play(self._exchange, channel)
            if outcome == WAIT:
                return
            if outcome == HANG_UP:
                self._exchange.end_by_dialplan(channel)
                return
            if isinstance(outcome, Go):
                channel.context, channel.priority = outcome.context, outcome.priority
            else:
                channel.priority += 1
