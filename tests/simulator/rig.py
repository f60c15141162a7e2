"""The test rig of the recordings, as the virtual switch plays it: its users, dialplan, numbers and phones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from simulator.scenario import AMD_HUMAN, AMD_MACHINE, Behaviour
from simulator.switch.channel import Channel
from simulator.switch.dialplan import (
    CONTRACT,
    Context,
    agi,
    amd,
    answer,
    goto,
    hang_up,
    music,
    user_event,
    wait,
)
from simulator.switch.session import Account

ACCOUNTS: Final[Mapping[str, Account]] = {
    "dialer": Account(
        "rig-secret",
        frozenset({"system", "call", "user", "dtmf", "agi"}),
        frozenset({"system", "call", "user", "originate", "command", "reporting"}),
    ),
    "reader": Account("rig-secret", frozenset({"call"}), frozenset({"reporting"})),
}


def _amd_found(channel: Channel) -> str:
    return f"Status: {channel.variables['AMDSTATUS']}\r\nCause: {channel.variables['AMDCAUSE']}\r\n"


CONTEXTS: Final[Mapping[str, Context]] = {
    **CONTRACT,
    "seat-wait": (answer(), wait(86400), goto("seat-wait", 2)),
    "customer-wait": (wait(60), hang_up()),
    "customer-keep": (wait(60), wait(60), hang_up()),
    "hold": (answer(), music()),
    "amd": (answer(), amd(), user_event("AMD", "", _amd_found), wait(60)),
    "agi": (answer(), agi("survey")),
}

_ANSWERS_IN_2S: Final = Behaviour(answers_after_s=2.0)
NUMBERS: Final[Mapping[str, Behaviour]] = {
    "61000000": _ANSWERS_IN_2S,
    "61000001": Behaviour(answers_after_s=1.0, leaves_after_s=5.0),
    "61000002": Behaviour(rings_after_s=None, refuses_with=486),
    "61000003": Behaviour(),
    "61000004": Behaviour(rings_after_s=None, refuses_with=503),
    "61000005": Behaviour(rings_after_s=None, refuses_with=404),
    "61000006": Behaviour(rings_after_s=None, answers_after_s=0.01, leaves_after_s=0.6),
    "61000007": Behaviour(answers_after_s=1.0),
    "61000008": Behaviour(rings_after_s=None, refuses_with=480),
    "61000009": Behaviour(rings_after_s=None, progress_after_s=0.01, answers_after_s=2.0),
    "61000010": Behaviour(answers_after_s=1.0, amd=AMD_HUMAN),
    "61000011": Behaviour(answers_after_s=1.0, amd=AMD_MACHINE),
    "61000012": Behaviour(answers_after_s=1.0, keys=((3.0, "1"), (6.0, "5"), (7.0, "#"))),
    "61000013": Behaviour(refuses_with=486, refuses_after_s=2.0),
}


@dataclass(slots=True)
class RigScenario:
    """`order` picks one of the orders of events that a real switch was seen to use."""

    order: int = 30
    sound_s: float = 2.0

    def customer(self, number: str, attempt: int) -> Behaviour:
        return replace(NUMBERS[number], order=self.order)

    def phone(self, endpoint: str, attempt: int) -> Behaviour | None:
        if endpoint == "nobody":
            return None
        at_once = Behaviour(rings_after_s=None, answers_after_s=0.004, order=self.order)
        if endpoint == "seat901":
            return replace(at_once, leaves_after_s=8.0)
        return replace(at_once, goes_silent_after_s=8.0) if endpoint == "seat902" else at_once

    def knows_trunk(self, trunk: str) -> bool:
        return trunk == "carrier"
