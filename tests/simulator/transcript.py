"""Reads a recorded AMI conversation: who said what and when, connection by connection, byte for byte."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "transcripts"
BANNER: Final = "Asterisk Call Manager/"

Message = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """What the client sent, at `at_s` from the start, after having heard `heard` messages on its connection."""

    at_s: float
    data: bytes
    heard: int


@dataclass(slots=True)
class Connection:
    """One connection: the actions of the client and the messages of the switch, each in order."""

    began_s: float
    sent: list[Sent] = field(default_factory=list)
    heard: list[Message] = field(default_factory=list)
    heard_at_s: list[float] = field(default_factory=list)


def message(text: str) -> Message:
    """Headers of one message, in order; a line without a colon is a header without a value."""
    pairs = []
    for line in text.split("\r\n"):
        if line:
            key, _, value = line.partition(":")
            pairs.append((key, value.removeprefix(" ")))
    return tuple(pairs)


def read(name: str) -> list[Connection]:
    """The connections of a story; a banner begins one."""
    connections: list[Connection] = []
    at_s = 0.0
    said, asked = "", b""
    for raw in (FOLDER / f"{name}.txt").read_bytes().split(b"\n"):
        if raw.startswith(b"@"):
            at_s = float(raw[1:])
        elif raw.startswith(b"S: "):
            line = raw[3:].decode("utf-8", "surrogateescape").rstrip("\r")
            if line.startswith(BANNER):
                connections.append(Connection(at_s))
            elif line:
                said += line + "\r\n"
            else:
                connections[-1].heard.append(message(said))
                connections[-1].heard_at_s.append(at_s)
                said = ""
        elif raw.startswith(b"C: "):
            asked += raw[3:] + b"\n"
            if re.fullmatch(rb"\r?", raw[3:]):
                connections[-1].sent.append(Sent(at_s, asked, len(connections[-1].heard)))
                asked = b""
    return connections
