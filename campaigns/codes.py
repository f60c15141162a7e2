"""Codes under which something of a campaign's file is kept, and texts in both languages: how a file's are checked."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from campaigns.rules.terms import Check

CODE = re.compile(r"[a-z][a-z0-9_]{0,31}")


def check_code(code: str, seen: Collection[str], at: str, check: Check, taken: str = "") -> None:
    """Call `check` when it is none, or one of those that were `seen`; `taken` is a word with a meaning of its own."""
    but = f", and not {taken}" if taken else ""
    check(
        bool(CODE.fullmatch(code)) and code != taken,
        f"{at}.code",
        f"{code!r} must be lower-case letters, digits and _{but}",
    )
    check(code not in seen, f"{at}.code", f"{code!r} stands twice")


def check_texts(texts: Mapping[str, str], at: str, check: Check) -> None:
    """Call `check` when a language is missing."""
    check({"en", "zh"} <= set(texts), at, "needs a text in en and in zh")
