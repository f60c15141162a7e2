"""Wrong on purpose: the type checker must find each fault here, or it checks nothing."""

from __future__ import annotations

from typing import assert_type

from pacing.contract import Mode, PacingConfig, Room


def wants_text(text: str) -> int:
    return text


assert_type(wants_text(3), int)
PacingConfig(mode=Mode.RATIO, ratio="two")
Room(free_line=3)
Room(free_lines=3).free_lines = 4
