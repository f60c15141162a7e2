"""AMI on the wire, without a socket: bytes in, messages out; values in, bytes out.

Theory of operation. A message is a run of header lines that an empty line ends. Input is kept as bytes until a whole
message is there, so a character cut by a chunk comes out whole; what is no UTF-8 then becomes U+FFFD. An event has
seventeen lines and the engine asks for three or four of them, so a message stays the bytes that came, and a header
is looked for when it is asked for. A message with too many bytes is dropped up to the next empty line and counted.
Nothing a peer sends raises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TypeVar

from dialer.switch.port import UnsafeValue

BANNER = b"Asterisk Call Manager/"
MAX_MESSAGE = 262_144  # bytes; a Command's output may be long, an event never is
MAX_BANNER = 256
MAX_LINE = (
    1_022  # bytes Asterisk 22 takes in a line from us; one more is "line too long", and an orphan error
)
END = b"\r\n\r\n"

T = TypeVar("T")


class Message(Mapping[str, str]):
    """A message as the bytes that came, valid UTF-8: a header is found when it is asked for.

    Of a header that is repeated the first counts; :meth:`each` gives all.
    """

    __slots__ = ("_lines",)

    def __init__(self, lines: bytes) -> None:
        self._lines = b"\n" + lines  # so that every line, the first one too, begins after a LF

    def get(self, key: str, default: T = None) -> str | T:
        """The value of a header. Hot path."""
        _, found, rest = self._lines.partition(_begin(key))
        return rest.partition(b"\n")[0].strip(b" \r").decode() if found else default

    def each(self, key: str) -> list[str]:
        """All values, in order, of a header that is repeated, such as Output."""
        _, *found = self._lines.split(_begin(key))
        return [rest.partition(b"\n")[0].strip(b" \r").decode() for rest in found]

    def __getitem__(self, key: str) -> str:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        lines = self._lines.decode().split("\n")
        return iter(dict.fromkeys(line.partition(":")[0] for line in lines if ":" in line))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@lru_cache(maxsize=256)  # the program asks for some thirty
def _begin(key: str) -> bytes:
    """The end of the line before, and what the line of this header begins with."""
    return f"\n{key}:".encode()


class Parser:
    """Cuts a stream into messages. `faults` counts what was dropped: long, garbled, undecodable."""

    def __init__(self) -> None:
        self.banner = ""
        self.faults: Counter[str] = Counter()
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[Message]:
        """Take what was read; return the messages that are whole by now."""
        data = self._rest + data if self._rest else data
        if not self.banner:
            line, found, after = data.partition(b"\n")
            if len(line) > MAX_BANNER:
                self.banner, self._skipping = "?", True
            elif not found:
                self._rest = data
                return []
            else:
                self.banner, data = line.decode("utf-8", "replace").strip() or "?", after
        parts = data.split(END)
        self._rest = parts.pop()
        messages = []
        for part in parts:
            if self._skipping:
                self._skipping = False
            elif len(part) > MAX_MESSAGE:
                self.faults["too_long"] += 1
            else:
                message = self._read(part)
                if message is not None:
                    messages.append(message)
        if len(self._rest) > MAX_MESSAGE + len(END) - 1:  # the longest message, and most of its end
            if not self._skipping:
                self.faults["too_long"] += 1
            self._skipping = True
            self._rest = self._rest[-len(END) + 1 :]  # an end may be cut here
        return messages

    def _read(self, part: bytes) -> Message | None:
        """The message, if it has any header, with U+FFFD for what is no UTF-8. Hot path."""
        try:
            part.decode()
        except UnicodeDecodeError:
            self.faults["undecodable"] += 1
            part = part.decode("utf-8", "replace").encode()
        colons = part.count(b":")
        if colons != part.count(b"\n") + 1:  # as many colons as lines are taken as one in each
            garbled = sum(1 for line in part.decode().split("\n") if ":" not in line and line.strip())
            if garbled:
                self.faults["garbled"] += garbled
        return Message(part) if colons else None


def encode(action: str, action_id: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """An action as bytes.

    Raises :class:`dialer.switch.port.UnsafeValue` for a control character, which would begin a header of its own,
    and for a line that Asterisk would refuse.
    """
    lines = [f"Action: {action}\r\nActionID: {action_id}"]
    for key, value in headers:
        line = f"{key}: {value}"
        if not line.isprintable():
            check_printable(key, value)
        if len(line) * 4 > MAX_LINE and len(line.encode("utf-8", "replace")) > MAX_LINE:
            raise UnsafeValue(f"{key} is too long for a line of AMI ({MAX_LINE} bytes)")
        lines.append(line)
    try:
        return ("\r\n".join(lines) + "\r\n\r\n").encode()
    except UnicodeEncodeError as fault:
        raise UnsafeValue(f"{action} holds a character that is no text") from fault


def check_printable(key: str, value: str) -> None:
    """Refuse control characters in either, line and paragraph separators included."""
    for char in key + value:
        if ord(char) < 32 or 127 <= ord(char) < 160 or char in "\u2028\u2029":
            raise UnsafeValue(
                f"{key.encode('unicode_escape').decode()} holds the control character U+{ord(char):04X}"
            )


def variables(values: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Channel variables for an Originate, one header each.

    Raises UnsafeValue for what Asterisk would read otherwise: it splits at commas and drops quotes and backslashes.
    """
    for name, value in values.items():
        if any(char in '",\\' for char in value) or not name.isidentifier():
            raise UnsafeValue(f"the variable {name} holds a comma, a quote or a backslash")
        yield "Variable", f"{name}={value}"
