"""Misbehaviour on demand: what a switch, a network or a stranger on the port can do to the engine's link."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from simulator.switch.server import VirtualSwitch
    from simulator.switch.session import Session

LONG_LINE_BYTES: Final = 1_000_000

GARBAGE: Final[Mapping[str, bytes]] = {
    # an event whose value ends in the middle of a character
    "cut_utf8": b"Event: UserEvent\r\nPrivilege: user,all\r\nUserEvent: Odd\r\nName: \xe7\x8e\r\n\r\n",
    "long_line": b"Event: UserEvent\r\nPrivilege: user,all\r\nUserEvent: Odd\r\nName: "
    + b"x" * LONG_LINE_BYTES
    + b"\r\n\r\n",
    "binary": bytes(range(256)) * 8 + b"\r\n\r\n",
    "no_colon": b"this is not a header\r\nnor is this\r\n\r\n",
    "half_event": b"Event: Hangup\r\nPrivilege: call,all\r\n\r\n",
}


class UnknownFault(ValueError):
    """There is no such fault, or its value makes no sense; the message names both."""


class Faults:
    """The faults of one switch. A session that asked for a fault over AMI is spared: it is the one that ends it."""

    def __init__(self, switch: VirtualSwitch) -> None:
        self._switch = switch
        self.delay_replies_s = 0.0
        self.refuses_logins = False
        self._lose = 0
        self._duplicate = 0
        self._reorder = 0
        self._kept: list[tuple[Session, bytes]] = []

    # --- on replies -------------------------------------------------------------------------------------------

    def reply(self, session: Session, data: bytes) -> None:
        """Send a reply, unless a fault has other plans for it."""
        if session.control or session.account is None:
            session.say(data)
        elif self._lose:
            self._lose -= 1
        elif self._duplicate:
            self._duplicate -= 1
            session.say(data + data)
        elif self._reorder:
            self._kept.append((session, data))
            if len(self._kept) >= self._reorder:
                self._let_go()
        elif self.delay_replies_s:
            self._switch.loop.call_later(self.delay_replies_s, session.say, data)
        else:
            session.say(data)

    def _let_go(self) -> None:
        kept, self._kept, self._reorder = self._kept, [], 0
        for session, data in reversed(kept):
            session.say(data)

    # --- on demand --------------------------------------------------------------------------------------------

    def drop_link(self) -> None:
        """Cut every connection without a word; the calls go on."""
        for session in self._victims():
            session.abort()

    def delay_replies(self, seconds: float) -> None:
        """From now on every reply comes that much later; events come in time. 0 ends it."""
        self.delay_replies_s = seconds

    def lose_replies(self, count: int) -> None:
        """The next `count` replies never come, though their actions are carried out."""
        self._lose = count

    def duplicate_replies(self, count: int) -> None:
        """The next `count` replies come twice."""
        self._duplicate = count

    def reorder_replies(self, count: int) -> None:
        """Keep the next `count` replies and send them last first."""
        self._reorder = count

    def send_garbage(self, kind: str) -> None:
        """Send what no Asterisk should: a key of :data:`GARBAGE`; or `split_utf8`, sound but cut by TCP."""
        if kind == "split_utf8":
            whole = (
                "Event: UserEvent\r\nPrivilege: user,all\r\nUserEvent: Odd\r\nName: 王小明\r\n\r\n".encode()
            )
            cut = whole.index("王".encode()) + 1
            self._to_all(whole[:cut])
            self._switch.loop.call_later(0.05, self._to_all, whole[cut:])
            return
        if kind not in GARBAGE:
            raise UnknownFault(
                f"no garbage is called {kind!r}; there are {', '.join((*GARBAGE, 'split_utf8'))}"
            )
        self._to_all(GARBAGE[kind])

    def refuse_logins(self, refuse: bool = True) -> None:
        self.refuses_logins = refuse

    def go_half_open(self, half_open: bool = True) -> None:
        """The connections stay, nothing is read or sent any more, as when a cable is pulled. False: speak again."""
        for session in self._victims():
            session.half_open = half_open

    def _to_all(self, data: bytes) -> None:
        for session in self._victims():
            if session.account is not None:
                session.say(data)

    def _victims(self) -> list[Session]:
        return [session for session in self._switch.sessions if not session.control]

    async def by_name(self, name: str, value: str) -> None:
        """A fault as the AMI action names it: the methods here, and the switch's own comings and goings."""
        try:
            match name.replace("-", "_").lower():
                case "drop_link":
                    self.drop_link()
                case "delay_replies":
                    self.delay_replies(float(value))
                case "lose_replies":
                    self.lose_replies(int(value))
                case "duplicate_replies":
                    self.duplicate_replies(int(value))
                case "reorder_replies":
                    self.reorder_replies(int(value))
                case "send_garbage":
                    self.send_garbage(value)
                case "refuse_logins":
                    self.refuse_logins(value != "off")
                case "go_half_open":
                    self.go_half_open(value != "off")
                case "stop_accepting":
                    await self._switch.stop_accepting(float(value or 0))
                case "restart":
                    self._later(self._switch.restart(float(value or 0.3)))
                case "restart_gracefully":
                    self._later(self._switch.restart_gracefully(float(value or 0.3)))
                case _:
                    raise UnknownFault(f"no fault is called {name!r}")
        except ValueError as error:
            raise UnknownFault(str(error)) from None

    def _later(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        self._switch.spawn(work)
