"""Texts as short messages carry them: by the alphabet that they need, in parts, and what comes back read. Pure.

3GPP TS 23.038 (the alphabets), TS 23.040, 9.2.3.24.1 (parts), SMPP 3.4, 5.2.12 and appendix B (esm_class, receipts).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Columns of TS 23.038, 6.2.1, and what follows an escape.
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
ESCAPED = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
ESCAPE = 0x1B
OCTETS = {c: bytes([n]) for n, c in enumerate(BASIC) if n != ESCAPE} | {
    c: bytes([ESCAPE, n]) for c, n in ESCAPED.items()
}
CHARACTERS = {octets: c for c, octets in OCTETS.items()}

DEFAULT, ASCII, LATIN_1, UCS_2 = 0, 1, 3, 8  # data_coding
HEADED, RECEIPT, KIND = 0x40, 0x04, 0x3C  # esm_class
# One message, and each of several, whose header takes six octets: septets are sent as octets, and packed behind.
ONE, EACH = {DEFAULT: 160, UCS_2: 140}, {DEFAULT: 153, UCS_2: 134}
MOST_PARTS = 255
RECEIPT_ID, RECEIPT_STATE = re.compile(r"\bid:(\S{1,65})"), re.compile(r"\bstat:([A-Z]{1,7})")
ARRIVED, LOST = {"DELIVRD"}, {"EXPIRED", "DELETED", "UNDELIV", "UNKNOWN", "REJECTD"}
STATES = {2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 7: "UNKNOWN", 8: "REJECTD"}  # message_state


@dataclass(frozen=True, slots=True)
class TextPart:
    """What one submit carries."""

    octets: bytes
    data_coding: int
    esm_class: int


def parts_of(text: str, reference: int) -> list[TextPart]:
    """A text in as few parts as it takes; `reference` (0 to 255) is what they are put together by.

    In the default alphabet where it has all characters, else in UCS-2. No character is cut in two. Raises ValueError:
    it takes more than 255.
    """
    coding = DEFAULT if all(c in OCTETS for c in text) else UCS_2
    characters = [OCTETS[c] if coding == DEFAULT else c.encode("utf-16-be", "replace") for c in text]
    if sum(map(len, characters)) <= ONE[coding]:
        return [TextPart(b"".join(characters), coding, 0)]
    parts = list(_filled(characters, EACH[coding]))
    if len(parts) > MOST_PARTS:
        raise ValueError(f"it takes {len(parts)} parts, and there may be {MOST_PARTS}")
    return [
        TextPart(bytes([5, 0, 3, reference, len(parts), place]) + part, coding, HEADED)
        for place, part in enumerate(parts, 1)
    ]


def text_of(octets: bytes, data_coding: int, esm_class: int) -> str:
    """What somebody wrote; what can't be read of it is replaced."""
    if esm_class & HEADED and octets:
        octets = octets[1 + octets[0] :]
    if data_coding == DEFAULT:
        return "".join(_read(octets))
    return octets.decode({UCS_2: "utf-16-be", ASCII: "ascii"}.get(data_coding, "latin-1"), "replace")


def receipt_of(octets: bytes, message_id: str, state: int | None) -> tuple[str, bool, str] | None:
    """Of a receipt: whose it is, whether the message arrived, and what was said; None while that is open.

    `message_id` and `state` are what its optional parameters say, empty and None: nothing.
    """
    said = octets.decode("latin-1")
    found, stat = RECEIPT_ID.search(said), RECEIPT_STATE.search(said)
    whose = message_id or (found[1] if found else "")
    what = STATES.get(state, "") if state is not None else stat[1] if stat else ""
    if not whose or what not in ARRIVED | LOST:
        return None
    error = re.search(r"\berr:(\S{1,10})", said)
    return whose, what in ARRIVED, f"{what} {error[0]}" if error else what


def _filled(characters: list[bytes], room: int) -> Iterator[bytes]:
    part = bytearray()
    for character in characters:
        if len(part) + len(character) > room:
            yield bytes(part)
            part.clear()
        part += character
    yield bytes(part)


def _read(octets: bytes) -> Iterator[str]:
    rest = iter(octets)
    for octet in rest:
        key = bytes([octet, next(rest, ESCAPE)]) if octet == ESCAPE else bytes([octet])
        yield CHARACTERS.get(key, "\ufffd")
