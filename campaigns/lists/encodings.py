"""Which encoding a text file is in: its mark, strict UTF-8, what makes its header readable, and only then a guess."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from pathlib import Path

BLOCK = 1 << 20
SAMPLE = 256 << 10  # bytes the guess looks at
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
PAIR = re.compile(rb"[\x81-\xfe][\x40-\xfe]")
OTHERS = ("gb18030", "big5", "big5hkscs")
GUESSED = ["utf_8", "utf_16", "gb18030", "big5", "cp1252", "shift_jis"]
WIDE_SHARE = (
    0.2  # of the bytes at odd, or at even, places: digits, commas and letters in UTF-16 have a zero byte each
)
CHINESE_SHARE = (
    0.9  # of the pairs: GB2312's characters are 0xB0…0xF7 and 0xA1…; Big5 has four in ten outside of that
)
BROKEN_SHARE = (
    0.1  # a text with fewer broken than whole characters beyond ASCII by this is UTF-8 with broken rows
)


def encoding_of(path: Path, readable: Callable[[str], bool]) -> str:
    """The name of the codec. `readable` says of a decoded beginning whether it names columns that are known."""
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    for mark, name in MARKS:
        if head.startswith(mark):
            return name
    wide = _wide(head)
    if wide:
        return wide
    if _strict(path, "utf-8"):
        return "utf-8"
    broken, whole = _utf8_faults(head)
    if broken <= BROKEN_SHARE * whole or readable(head.decode("utf-8", "ignore")):
        return "utf-8"  # also where rows in another encoding were pasted in below a header that can be read
    able = [name for name in OTHERS if _strict(path, name)]
    fitting = [name for name in able if readable(head.decode(name, "ignore"))]
    if fitting:
        return fitting[0]
    if "gb18030" in able and _plain_chinese(head):
        return "gb18030"
    guessed = _guess(head)
    if guessed and _strict(path, guessed):
        return guessed
    if able:
        return able[0]
    # Nothing reads all of it: what makes the header readable, else what leaves the fewest faults; its rows are told.
    for name in ("utf-8", *OTHERS):
        if readable(head.decode(name, "ignore")) and not head.split(b"\n", 1)[0].isascii():
            return name
    return min(("utf-8", "gb18030", "big5"), key=lambda name: head.decode(name, "replace").count("\ufffd"))


def _wide(head: bytes) -> str:
    pairs = len(head) // 2
    if pairs < 4:
        return ""
    if head[1::2].count(0) > WIDE_SHARE * pairs and head[0::2].count(0) < WIDE_SHARE * pairs / 10:
        return "utf-16-le"
    if head[0::2].count(0) > WIDE_SHARE * pairs and head[1::2].count(0) < WIDE_SHARE * pairs / 10:
        return "utf-16-be"
    return ""


def _strict(path: Path, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)("strict")
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _utf8_faults(head: bytes) -> tuple[int, int]:
    """Broken places of a sample read as UTF-8, and whole characters beyond ASCII."""
    text = head.decode("utf-8", "replace")
    beyond = sum(1 for char in text if char > "\x7f")
    broken = text.count("\ufffd")
    return broken, beyond - broken


def _plain_chinese(head: bytes) -> bool:
    """Whether what is not ASCII comes in pairs of GB2312's characters; tells GB from Big5 by a few names."""
    pairs = PAIR.findall(head)
    plain = sum(1 for pair in pairs if 0xB0 <= pair[0] <= 0xF7 and pair[1] >= 0xA1)
    return bool(pairs) and plain >= CHINESE_SHARE * len(pairs)


def _guess(head: bytes) -> str:
    from charset_normalizer import from_bytes  # 20 ms to import, and rarely needed

    best = from_bytes(head, cp_isolation=GUESSED).best()
    return best.encoding.replace("_", "-") if best is not None else ""
