"""AMI on the wire: bytes in, actions out, with the limits and the odd line ends of Asterisk 22; no socket here.

Text is UTF-8 with surrogate escapes, so bytes that are not UTF-8 come back as they came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BANNER: Final = "Asterisk Call Manager/11.0.0\r\n"
LONGEST_LINE: Final = 1022  # bytes without the line end; one more is an error
MOST_HEADERS: Final = 128
GIVE_UP_BYTES: Final = (
    4 * 1024 * 1024
)  # a line that never ends is cut here; Asterisk's own limit is the line's


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@dataclass(slots=True)
class Action:
    """One action as a client sent it. `fault` is the parser's complaint, empty when the action may be carried out."""

    headers: list[tuple[str, str]]
    fault: str = ""

    def get(self, name: str, default: str = "") -> str:
        """The first header of that name, whatever its case."""
        wanted = name.lower()
        for key, value in self.headers:
            if key.lower() == wanted:
                return value
        return default

    def every(self, name: str) -> list[str]:
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]

    @property
    def name(self) -> str:
        return self.get("action")

    @property
    def reply_id(self) -> str:
        """The ActionID line of a reply, or nothing."""
        given = self.get("actionid")
        return f"ActionID: {given}\r\n" if given else ""


class ActionReader:
    """Cuts a client's bytes into actions. A bare LF ends a line too, a bare CR does not; as Asterisk reads."""

    __slots__ = ("_buffer", "_fault", "_headers", "_lines", "_orphan")

    def __init__(self) -> None:
        self._buffer = b""
        self._headers: list[tuple[str, str]] = []
        self._lines = 0
        self._fault = ""
        self._orphan = False

    def feed(self, data: bytes) -> list[Action]:
        lines = (self._buffer + data).split(b"\n")
        self._buffer = lines.pop()
        if len(self._buffer) > GIVE_UP_BYTES:
            self._buffer = b""
        actions: list[Action] = []
        for raw in lines:
            line = raw[:-1] if raw.endswith(b"\r") else raw
            if not line:
                actions.append(self._finish())
                if self._orphan:  # a line one byte too long leaves its line end behind, an action of its own
                    self._orphan = False
                    actions.append(self._finish())
                continue
            self._lines += 1
            if len(line) > LONGEST_LINE:
                self._fault = "Failed to parse message: line too long"
                self._orphan = len(line) == LONGEST_LINE + 1
            elif self._lines > MOST_HEADERS:
                self._fault = "Too many lines in message or allocation failure"
            else:
                key, colon, value = line.decode("utf-8", "surrogateescape").partition(":")
                if colon:
                    self._headers.append((key.strip(), value.lstrip(" ")))
        return actions

    def _finish(self) -> Action:
        action = Action(self._headers, self._fault)
        if not action.fault and not action.name:
            action.fault = "Missing action in request"
        self._headers, self._lines, self._fault = [], 0, ""
        return action
