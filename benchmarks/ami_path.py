"""AMI events a second, bytes to engine events: `python -m benchmarks.ami_path [--scale S] [--json FILE]`.

The same bytes go in chunks of 64 KB, in memory and without a socket, once into our link (parser, translation, a
listener that counts the engine's events) and, as the alternative, into panoramisk's own protocol with one callback
registered for all events, which counts them. So panoramisk does less: its messages are not translated yet. The events
are those of calls as a real Asterisk 22 tells them: of ten calls four are answered, bridged and hung up by the
customer, three ring until the limit, three are busy; two hundred calls are told at a time. Told twice: as they pass the
event filters that our adapter sets at log-in, and without filters. CPU time of the process, best of the rounds.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from itertools import chain, zip_longest
from time import monotonic, process_time

import panoramisk
from panoramisk.ami_protocol import AMIProtocol

from benchmarks import report
from benchmarks.report import Result
from dialer.switch.asterisk import WANTED
from dialer.switch.clock import SwitchClock
from dialer.switch.port import CALL_PREFIX, LinkUp, Snapshot, SwitchEvent
from dialer.switch.protocol import AmiLink
from dialer.switch.translation import Translation

CALLS = 4_000
AT_A_TIME = 200
CHUNK = 65_536  # what asyncio reads at most; uvloop reads as much
ROUNDS = 5
BUDGET = 3.0  # times panoramisk
BANNER = b"Asterisk Call Manager/11.0.0\r\n"

Headers = list[tuple[str, object]]
Event = tuple[str, bytes]
Pass = Callable[[list[bytes]], int]


def message(name: str, headers: Headers) -> Event:
    lines = [f"Event: {name}", "Privilege: call,all", *(f"{key}: {value}" for key, value in headers)]
    return name, ("\r\n".join(lines) + "\r\n\r\n").encode()


def call(number: int) -> Iterator[Event]:
    """All events of one call, in the order and with the headers of the recordings."""
    uid, name = f"{CALL_PREFIX}{number:032x}", f"PJSIP/carrier-{number:08x}"
    dialled = f"138{number:08d}"
    kind = "answered" if number % 10 < 4 else "no answer" if number % 10 < 7 else "busy"

    def channel(state: int, dest: str = "", context: str = "nowhere", priority: int = 1) -> Headers:
        told = {0: "Down", 5: "Ringing", 6: "Up"}[state]
        return [
            (f"{dest}Channel", name),
            (f"{dest}ChannelState", state),
            (f"{dest}ChannelStateDesc", told),
            (f"{dest}CallerIDNum", "10086"),
            (f"{dest}CallerIDName", "王小明"),
            (f"{dest}ConnectedLineNum", "10086"),
            (f"{dest}ConnectedLineName", "<unknown>"),
            (f"{dest}Language", "en"),
            (f"{dest}AccountCode", ""),
            (f"{dest}Context", context),
            (f"{dest}Exten", "s"),
            (f"{dest}Priority", priority),
            (f"{dest}Uniqueid", uid),
            (f"{dest}Linkedid", uid),
        ]

    def device(state: str) -> Event:
        return message("DeviceStateChange", [("Device", "PJSIP/carrier"), ("State", state)])

    def originated(response: str, reason: int) -> Event:
        at = name if response == "Success" else f"PJSIP/{dialled}@carrier"
        return message(
            "OriginateResponse",
            [
                ("ActionID", f"z1-{number}"),
                ("Response", response),
                ("Channel", at),
                ("Context", "zhudong-customer"),
                ("Exten", "s"),
                ("Reason", reason),
                ("Uniqueid", uid),
                ("CallerIDNum", "10086"),
                ("CallerIDName", "<unknown>"),
            ],
        )

    def hung_up(state: int, cause: int, text: str, tech: int, context: str = "nowhere") -> Event:
        ends: Headers = [("Cause", cause), ("Cause-txt", text), *([("TechCause", tech)] if tech else [])]
        return message("Hangup", channel(state, context=context) + ends)

    yield message("Newchannel", channel(0))
    yield message("NewCallerid", [*channel(0), ("CID-CallingPres", "0 (Presentation Allowed, Not Screened)")])
    yield message("NewConnectedLine", channel(0))
    yield message("DialBegin", [*channel(0, "Dest"), ("DialString", f"{dialled}@carrier")])
    if kind == "busy":
        yield message("HangupRequest", [*channel(0), ("Cause", 17), ("TechCause", 486)])
        yield originated("Failure", 0)
        yield message("DialEnd", [*channel(0, "Dest"), ("DialStatus", "BUSY")])
        yield hung_up(0, 17, "User busy", 486)
        return
    yield message("Newstate", channel(5))
    yield message("DialState", [*channel(5, "Dest"), ("DialStatus", "RINGING")])
    yield device("RINGING")
    if kind == "no answer":
        yield originated("Failure", 3)
        yield hung_up(5, 19, "User alerting, no answer", 480)
        yield device("NOT_INUSE")
        return
    yield message("Newstate", channel(6))
    yield message("DialEnd", [*channel(6, "Dest"), ("DialStatus", "ANSWER")])
    yield device("INUSE")
    yield originated("Success", 4)
    context = "zhudong-customer"
    joined = [message(kind, headers) for kind, headers in bridge(number, channel(6, "", context, 2))]
    yield from joined[:3]
    yield message("HangupRequest", channel(6, "", context, 2))
    yield joined[3]
    yield hung_up(6, 16, "Normal Clearing", 0, context)
    yield device("NOT_INUSE")
    yield from joined[4:]


def bridge(number: int, customer: Headers) -> Iterator[tuple[str, Headers]]:
    """The bridge's own events: the customer's and the seat's coming, the customer's and the seat's going."""

    def state(channels: int, technology: str) -> Headers:
        return [
            ("BridgeUniqueid", f"cb4faaf2-5ee4-4359-90a5-{number:012x}"),
            ("BridgeType", "basic"),
            ("BridgeTechnology", technology),
            ("BridgeCreator", "<unknown>"),
            ("BridgeName", "<unknown>"),
            ("BridgeNumChannels", channels),
            ("BridgeVideoSourceMode", "none"),
        ]

    ours = {"Channel": f"PJSIP/seat{number:03d}", "Uniqueid": f"zds-{number:032x}", "Context": "zhudong-seat"}
    seat: Headers = [(key, ours.get(key, value)) for key, value in customer]
    yield "BridgeCreate", state(0, "simple_bridge")
    yield "BridgeEnter", state(1, "simple_bridge") + customer
    yield "BridgeEnter", state(2, "simple_bridge") + seat
    yield "BridgeLeave", state(1, "native_rtp") + customer
    yield "BridgeLeave", state(0, "native_rtp") + seat
    yield "BridgeDestroy", state(0, "native_rtp")


def stream(calls: int, wanted: tuple[str, ...] | None) -> tuple[int, list[bytes]]:
    """How many events, and their bytes in chunks. Calls of one batch are told interleaved."""
    said: list[bytes] = []
    for first in range(0, calls, AT_A_TIME):
        batch = [call(number) for number in range(first, min(first + AT_A_TIME, calls))]
        told = (event for event in chain.from_iterable(zip_longest(*batch)) if event is not None)
        said += [data for name, data in told if wanted is None or name in wanted]
    data = BANNER + b"".join(said)
    return len(said), [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]


def ours(chunks: list[bytes]) -> int:
    """Our path: the link's data_received, and the events that the engine would have been given."""
    told = 0

    def listener(event: SwitchEvent) -> None:
        nonlocal told
        told += 1

    translation = Translation("pbx", listener, lambda: None, SwitchClock())
    link = AmiLink(translation.hear)
    translation.begin(LinkUp(monotonic(), "pbx", "22.10.1", Snapshot({}, {})))
    for chunk in chunks:
        link.data_received(chunk)
    translation.end()
    assert told > 0, "no event reached the engine"
    return link.events.total()


def panoramisks(chunks: list[bytes]) -> int:
    """panoramisk's own: its protocol as its Manager sets it up, one callback for all events."""
    told = 0

    def callback(manager: panoramisk.Manager, event: panoramisk.message.Message) -> None:
        nonlocal told
        told += 1

    manager = panoramisk.Manager(loop=asyncio.get_running_loop())
    manager.register_event("*", callback)
    protocol = AMIProtocol()
    protocol.connection_made(None)
    protocol.factory = manager
    vars(protocol)["encoding"] = "utf8"  # as its Manager does
    for chunk in chunks:
        protocol.data_received(chunk)
    return told


def spent_s(path: Pass, chunks: list[bytes], events: int) -> float:
    """CPU seconds of one pass. Every event must have come through."""
    gc.collect()
    began = process_time()
    came = path(chunks)
    spent = process_time() - began
    if came != events:
        raise RuntimeError(f"{events} events went in, {came} came out of {path.__name__}")
    return spent


async def measure(calls: int, wanted: tuple[str, ...] | None) -> tuple[int, float, float]:
    """Events in the stream, events a second of ours and of panoramisk's; the two take turns."""
    events, chunks = stream(calls, wanted)
    rounds = [(spent_s(ours, chunks, events), spent_s(panoramisks, chunks, events)) for _ in range(ROUNDS)]
    return events, *(events / min(one) for one in zip(*rounds, strict=True))


def compare(scale: float) -> list[Result]:
    """Both paths on both streams, and how many times faster ours is."""
    calls = max(AT_A_TIME, int(CALLS * scale))
    results = []
    for told, wanted in (("filtered events", WANTED), ("all events", None)):
        events, here, there = report.run_async(lambda wanted=wanted: measure(calls, wanted))
        results += [
            Result(f"{told}: a call brings", round(events / calls, 1), "events"),
            Result(f"{told}: bytes to engine events", round(here), "events/s"),
            Result(f"{told}: panoramisk, bytes to callback", round(there), "events/s"),
            Result(f"{told}: ratio", round(here / there, 2), "×", BUDGET, "at_least"),
        ]
    return results


def main() -> int:
    chosen = report.options(__doc__.splitlines()[0], f"1.0 is {CALLS:,} calls")
    return report.report("ami_path", chosen, compare(chosen.scale))


if __name__ == "__main__":
    sys.exit(main())
