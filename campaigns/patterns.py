"""Patterns of telephone numbers: digits, `?` for one digit, and at the end `*` for any that follow."""

from __future__ import annotations

import re
from functools import lru_cache

OUTSIDE = re.compile(
    r"\+?[0-9]{3}[0-9?]{0,17}\*?"
)  # one that lets everything through would let toll fraud through
DESTINATION = re.compile(r"\+[1-9][0-9?]{0,17}\*?")  # a whole country may be meant


def fits(patterns: tuple[str, ...], number: str) -> bool:
    """Whether one of these patterns has this number."""
    return _compiled(patterns).fullmatch(number) is not None


@lru_cache(maxsize=1_024)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    each = [re.escape(p).replace(r"\?", "[0-9]").replace(r"\*", "[0-9]*") for p in patterns]
    return re.compile("|".join(each) if each else r"(?!)")
