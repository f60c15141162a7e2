"""Events on their way to the sessions: an event is built only when some session would get it."""

from __future__ import annotations

import time
from typing import Protocol

from simulator.switch.channel import Channel


class Listener(Protocol):
    """A logged-in session, as the feed sees it."""

    def wants(self, name: str, event_class: str) -> bool:
        """False when no event of that name and class would pass."""
        ...

    def event(self, name: str, event_class: str, text: str) -> None: ...


class Feed:
    """All sessions, and what they want, remembered until one of them changes; `timestamps` as in manager.conf."""

    __slots__ = ("_listeners", "_timestamps", "_wanted", "built")

    def __init__(self, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._listeners: list[Listener] = []
        self._wanted: dict[str, bool] = {}
        self.built = 0

    def join(self, listener: Listener) -> None:
        self._listeners.append(listener)
        self.changed()

    def leave(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)
        self.changed()

    def changed(self) -> None:
        """A session's mask or filters are other than they were."""
        self._wanted.clear()

    def wants(self, name: str, event_class: str = "call") -> bool:
        wanted = self._wanted.get(name)
        if wanted is None:
            wanted = any(listener.wants(name, event_class) for listener in self._listeners)
            self._wanted[name] = wanted
        return wanted

    def send(self, name: str, body: str, event_class: str = "call") -> None:
        """Send an event whose body (headers with line ends) is built already."""
        self.built += 1
        time_ = f"Timestamp: {time.time():.6f}\r\n" if self._timestamps else ""
        text = f"Event: {name}\r\nPrivilege: {event_class},all\r\n{time_}{body}\r\n"
        for listener in list(self._listeners):
            listener.event(name, event_class, text)

    def channel(self, name: str, channel: Channel, tail: str = "", event_class: str = "call") -> None:
        """An event that is the channel's headers and something after them."""
        if self.wants(name, event_class):
            self.send(name, channel.headers() + tail, event_class)
