"""Why a seat may pause: the reasons that the pages offer and the engine takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from campaigns.codes import CODE

MOST = 9  # one digit each on the page
LONGEST_S = 86_400.0
OURS = frozenset({"page_lost", "phone_lost", "phone_no_answer", "switch_down"})  # the engine's own reasons


class PauseReason(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A reason to pause. `paid`: it counts as work. After `limit_s` the page says that it is over; 0 is no limit."""

    code: str
    label: dict[str, str]
    paid: bool = True
    limit_s: float = 0.0


DEFAULT_PAUSES = (
    PauseReason(code="break", label={"en": "Break", "zh": "休息"}, limit_s=900.0),
    PauseReason(code="lunch", label={"en": "Lunch", "zh": "用餐"}, paid=False, limit_s=3_600.0),
    PauseReason(code="meeting", label={"en": "Meeting", "zh": "会议"}),
    PauseReason(code="training", label={"en": "Training", "zh": "培训"}),
    PauseReason(code="technical", label={"en": "Technical problem", "zh": "设备故障"}),
)


def faults(pauses: Sequence[PauseReason]) -> Iterator[tuple[str, str]]:
    """Yield (key, reason) for what makes no sense."""
    if len(pauses) > MOST:
        yield "pause", f"has {len(pauses)} reasons, at most {MOST} can be"
    seen: set[str] = set()
    for index, each in enumerate(pauses):
        key = f"pause[{index}]"
        if not CODE.fullmatch(each.code):
            yield f"{key}.code", f"{each.code!r} must be lower-case letters, digits and _"
        if each.code in OURS:
            yield f"{key}.code", f"{each.code!r} is a reason of the engine's own"
        if each.code in seen:
            yield f"{key}.code", f"{each.code!r} stands twice"
        seen.add(each.code)
        if not {"en", "zh"} <= set(each.label):
            yield f"{key}.label", "needs a text in en and in zh"
        if not 0.0 <= each.limit_s <= LONGEST_S:  # NaN is not
            yield f"{key}.limit_s", f"must be between 0 (no limit) and {LONGEST_S:.0f}"
