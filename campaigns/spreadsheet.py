"""Text on its way into a spreadsheet: never the start of a formula there, whoever wrote it."""

from __future__ import annotations

STARTS = ("=", "+", "-", "@", "\t", "\r")


def plain(text: str) -> str:
    """A cell's text; what a spreadsheet would take for a formula begins with an apostrophe.

    A number in E.164 keeps its +.
    """
    number = text[:1] == "+" and text[1:].isdigit()
    return "'" + text if text[:1] in STARTS and not number else text
