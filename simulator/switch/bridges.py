"""Bridges as AMI's Bridge action makes them, and a third by BridgeAdd: who enters, leaves, when one is no more."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Protocol

from simulator.switch.channel import Channel
from simulator.switch.feed import Feed
from simulator.switch.log import BridgeStay


class Bridge:
    """A basic bridge. It enters as simple_bridge and is native_rtp once both are in, which no event tells."""

    __slots__ = ("members", "stays", "technology", "uid")

    def __init__(self) -> None:
        self.uid = str(uuid.uuid4())
        self.technology = "simple_bridge"
        self.members: list[Channel] = []
        self.stays: dict[Channel, BridgeStay] = {}

    def headers(self) -> str:
        return (
            f"BridgeUniqueid: {self.uid}\r\nBridgeType: basic\r\nBridgeTechnology: {self.technology}\r\n"
            f"BridgeCreator: <unknown>\r\nBridgeName: <unknown>\r\nBridgeNumChannels: {len(self.members)}\r\n"
            "BridgeVideoSourceMode: none\r\n"
        )


class Owner(Protocol):
    """Who is told what bridges do to channels."""

    def now(self) -> float: ...

    def pulled(self, channel: Channel) -> None:
        """The channel is about to be taken out of its dialplan."""
        ...

    def entered(self, channel: Channel) -> None: ...

    def left(self, channel: Channel) -> None: ...

    def go_on(self, channel: Channel) -> None:
        """The channel's bridge is over: its dialplan goes on."""
        ...


class Bridges:
    """All live bridges."""

    __slots__ = ("_feed", "_owner", "live")

    def __init__(self, feed: Feed, owner: Owner) -> None:
        self._feed = feed
        self._owner = owner
        self.live: dict[str, Bridge] = {}

    def join(self, first: Channel, second: Channel) -> Bridge:
        """Put both into a new bridge, out of the ones they are in. The caller has stopped their dialplans."""
        bridge = Bridge()
        self.live[bridge.uid] = bridge
        if self._feed.wants("BridgeCreate"):
            self._feed.send("BridgeCreate", bridge.headers())
        left_alone: list[Bridge] = []
        for channel in (first, second):
            if (old := channel.bridge) is not None:
                self._leave(channel)
                old.technology = "simple_bridge"
                left_alone.append(old)
            else:
                self._owner.pulled(channel)
            self._enter(bridge, channel)
        if not any(channel.recordings for channel in bridge.members):
            bridge.technology = "native_rtp"
        for old in left_alone:
            self._dissolve(old)
        return bridge

    def add(self, bridge: Bridge, channel: Channel) -> None:
        """One more comes in; the end of any of them is that of the bridge."""
        bridge.technology = "softmix"
        self._enter(bridge, channel)

    def leave(self, channel: Channel) -> None:
        """Take the channel out; whoever is left alone leaves too and goes on in the dialplan."""
        if (bridge := channel.bridge) is not None:
            self._leave(channel)
            self._dissolve(bridge)

    def leave_hanging_up(self, channel: Channel, hang_up: Callable[[], None]) -> None:
        """As :meth:`leave`, with the channel's own end told before its partner's dialplan goes on."""
        if (bridge := channel.bridge) is None:
            hang_up()
            return
        self._leave(channel)
        others = self._empty(bridge)
        hang_up()
        for other in others:
            self._owner.go_on(other)

    def recording_changed(self, channel: Channel) -> None:
        if (bridge := channel.bridge) is not None:
            recorded = any(member.recordings for member in bridge.members)
            bridge.technology = "simple_bridge" if recorded else bridge.technology

    def _enter(self, bridge: Bridge, channel: Channel) -> None:
        bridge.members.append(channel)
        channel.bridge = bridge
        channel.was_bridged = True
        channel.since = self._owner.now()
        stay = BridgeStay(bridge.uid, time.time())
        for other in bridge.members[:-1]:
            stay.peers.append(other.uid)
            bridge.stays[other].peers.append(channel.uid)
        bridge.stays[channel] = stay
        channel.record.bridged_with.append(stay)
        oldest = min(member.linked for member in bridge.members)
        for member in bridge.members:
            member.linked = oldest
        if self._feed.wants("BridgeEnter"):
            self._feed.send("BridgeEnter", bridge.headers() + channel.headers())
        self._owner.entered(channel)

    def _leave(self, channel: Channel) -> None:
        bridge = channel.bridge
        assert bridge is not None
        bridge.members.remove(channel)
        channel.bridge = None
        channel.bridge_ended = True
        bridge.stays.pop(channel).left = time.time()
        if self._feed.wants("BridgeLeave"):
            self._feed.send("BridgeLeave", bridge.headers() + channel.headers())
        self._owner.left(channel)

    def _empty(self, bridge: Bridge) -> list[Channel]:
        others = list(bridge.members)
        for other in others:
            self._leave(other)
        if self.live.pop(bridge.uid, None) is not None and self._feed.wants("BridgeDestroy"):
            self._feed.send("BridgeDestroy", bridge.headers())
        return others

    def _dissolve(self, bridge: Bridge) -> None:
        for other in self._empty(bridge):
            self._owner.go_on(other)
