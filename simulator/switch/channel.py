"""One channel of the virtual switch: who it is, where in the dialplan it stands, and what its far end will do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from simulator.scenario import Behaviour
from simulator.switch.log import CallRecord

if TYPE_CHECKING:
    from simulator.switch.bridges import Bridge

DOWN: Final = 0
RINGING: Final = 5
UP: Final = 6
STATE_TEXT: Final[dict[int, str]] = {DOWN: "Down", RINGING: "Ringing", UP: "Up"}
UNKNOWN: Final = "<unknown>"


class Channel:
    """A live channel; `order` counts all channels of the switch, so that the older of two is known."""

    __slots__ = (
        "account",
        "agi",
        "app",
        "app_data",
        "behaviour",
        "bridge",
        "bridge_ended",
        "call_end",
        "caller_name",
        "caller_num",
        "cause",
        "connected_name",
        "connected_num",
        "context",
        "device",
        "dial",
        "dialplan_timer",
        "exten",
        "far_end",
        "gone",
        "keys",
        "linked",
        "music",
        "name",
        "order",
        "originate",
        "patience",
        "priority",
        "record",
        "recordings",
        "since",
        "spies",
        "state",
        "tech_cause",
        "uid",
        "variables",
        "was_bridged",
    )

    def __init__(
        self, name: str, uid: str, dial: str, order: int, behaviour: Behaviour, record: CallRecord, now: float
    ) -> None:
        self.name = name
        self.uid = uid
        self.dial = dial
        self.order = order
        self.behaviour = behaviour
        self.record = record
        self.device = name.rpartition("-")[0]
        self.state = DOWN
        self.linked: tuple[int, str] = (order, uid)
        self.caller_num = self.caller_name = UNKNOWN
        self.connected_num = self.connected_name = UNKNOWN
        self.account = ""
        self.context, self.exten, self.priority = "nowhere", "s", 1
        self.app = self.app_data = ""
        self.since = now
        self.variables: dict[str, str] = {}
        self.bridge: Bridge | None = None
        self.was_bridged = False
        self.bridge_ended = False
        self.gone = False
        self.cause = 0
        self.tech_cause = 0
        self.recordings = 0
        self.music = False
        self.originate: Originate | None = None
        self.spies: list[Channel] = []
        self.far_end: list[asyncio.TimerHandle] = []  # what the far end does by itself
        self.dialplan_timer: asyncio.TimerHandle | None = None  # what the dialplan waits for
        self.patience: asyncio.TimerHandle | None = None
        self.call_end: asyncio.TimerHandle | None = None
        self.agi: asyncio.Task[None] | None = None
        self.keys: asyncio.Queue[str] | None = None

    def headers(self, prefix: str = "") -> str:
        """The channel's headers as they stand in nearly every event."""
        p = prefix
        return (
            f"{p}Channel: {self.name}\r\n{p}ChannelState: {self.state}\r\n"
            f"{p}ChannelStateDesc: {STATE_TEXT[self.state]}\r\n"
            f"{p}CallerIDNum: {self.caller_num}\r\n{p}CallerIDName: {self.caller_name}\r\n"
            f"{p}ConnectedLineNum: {self.connected_num}\r\n{p}ConnectedLineName: {self.connected_name}\r\n"
            f"{p}Language: en\r\n{p}AccountCode: {self.account}\r\n{p}Context: {self.context}\r\n"
            f"{p}Exten: {self.exten}\r\n{p}Priority: {self.priority}\r\n"
            f"{p}Uniqueid: {self.uid}\r\n{p}Linkedid: {self.linked[1]}\r\n"
        )

    def forget_timers(self) -> None:
        """Nothing that was planned for this channel happens any more."""
        for timer in (*self.far_end, self.dialplan_timer, self.patience, self.call_end):
            if timer is not None:
                timer.cancel()
        self.far_end = []
        self.dialplan_timer = self.patience = self.call_end = None
        if self.agi is not None and self.keys is not None:
            self.keys.put_nowait(HANG_UP_MARK)


HANG_UP_MARK: Final = ""  # in the queue of keys: the channel is gone


class Originate:
    """What an Originate action asked for, until its OriginateResponse is out."""

    __slots__ = (
        "action_id",
        "answered",
        "app",
        "app_data",
        "asked_id",
        "context",
        "early_media",
        "exten",
        "priority",
        "silent",
    )

    def __init__(
        self,
        action_id: str,
        asked_id: str,
        context: str,
        exten: str,
        priority: int,
        app: str = "",
        app_data: str = "",
        silent: bool = False,
        early_media: bool = False,
    ) -> None:
        self.action_id = action_id  # the reply line, ready to send
        self.asked_id = asked_id
        self.context = context
        self.exten = exten
        self.priority = priority
        self.app = app
        self.app_data = app_data
        self.silent = silent  # not Async: no OriginateResponse, the reply itself waits
        self.early_media = early_media
        self.answered: asyncio.Future[bool] | None = None

    def headers(self) -> str:
        if self.app:
            return f"Application: {self.app}\r\nData: {self.app_data}\r\n"
        return f"Context: {self.context}\r\nExten: {self.exten}\r\n"
