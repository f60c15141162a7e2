"""What a SIP endpoint is doing as a device, counted over its channels, for DeviceStateChange."""

from __future__ import annotations

from simulator.switch.channel import DOWN, RINGING, UP, Channel
from simulator.switch.feed import Feed


class Devices:
    """Counts the ringing and the answered channels of each endpoint."""

    __slots__ = ("_counts", "_feed")

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._counts: dict[str, list[int]] = {}

    def moved(self, channel: Channel, before: int, after: int) -> None:
        """The channel's state changed; `after` is DOWN when it is gone."""
        counts = self._counts.setdefault(channel.device, [0, 0])
        old = self._state(counts)
        for state, step in ((before, -1), (after, 1)):
            if state == RINGING:
                counts[0] += step
            elif state == UP:
                counts[1] += step
        new = self._state(counts)
        if new != old and self._feed.wants("DeviceStateChange"):
            self._feed.send("DeviceStateChange", f"Device: {channel.device}\r\nState: {new}\r\n")

    def gone(self, channel: Channel) -> None:
        self.moved(channel, channel.state, DOWN)

    def clear(self) -> None:
        self._counts.clear()

    @staticmethod
    def _state(counts: list[int]) -> str:
        if counts[0]:
            return "RINGINUSE" if counts[1] else "RINGING"
        return "INUSE" if counts[1] else "NOT_INUSE"
