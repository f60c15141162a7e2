"""One AMI connection: log-in, permissions, event mask and filters, and replies in the order Asterisk sends them."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from simulator.switch.filters import Sieve
from simulator.switch.wire import BANNER, Action, ActionReader, encode

if TYPE_CHECKING:
    from simulator.switch.server import VirtualSwitch

WRONG_LOGIN_S: Final = 1.0  # Asterisk waits that long before it refuses
READ: Final = frozenset({"system", "call", "user", "dtmf", "agi", "reporting"})
WRITE: Final = frozenset({"system", "call", "user", "originate", "command", "reporting"})


@dataclass(frozen=True, slots=True)
class Account:
    """A user of manager.conf: what it may hear (`read`) and do (`write`)."""

    secret: str
    read: frozenset[str] = READ
    write: frozenset[str] = WRITE


class Session(asyncio.Protocol):
    """A client's connection. Everything is written once a turn of the loop, in the order it was said."""

    def __init__(self, switch: VirtualSwitch) -> None:
        self.switch = switch
        self.account: Account | None = None
        self.control = False  # sends faults itself, so they spare it
        self.half_open = False
        self._transport: asyncio.Transport | None = None
        self._reader = ActionReader()
        self._sieve = Sieve()
        self._mask: frozenset[str] = frozenset()
        self._challenge = ""
        self._out: list[bytes] = []
        self._flush_planned = False
        self._held = False
        self._waiting: list[Action] = []
        self._patience: asyncio.TimerHandle | None = None

    # --- the connection ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it
        self.switch.sessions.add(self)
        self._write(BANNER.encode())
        self._patience = self.switch.loop.call_later(self.switch.auth_timeout_s, self.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.switch.sessions.discard(self)
        self.switch.exchange.feed.leave(self)
        if self._patience is not None:
            self._patience.cancel()

    def data_received(self, data: bytes) -> None:
        if self.half_open:
            return
        for action in self._reader.feed(data):
            if self._held:
                self._waiting.append(action)
            else:
                self._take(action)

    def close(self) -> None:
        """Send what is said and close."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut the link without a word."""
        if self._transport is not None:
            self._transport.abort()

    # --- what is said -----------------------------------------------------------------------------------------

    def reply(self, text: str) -> None:
        """A reply, with whatever fault is on."""
        self.switch.faults.reply(self, encode(text))

    def say(self, data: bytes) -> None:
        """Write as it is, after what was said before."""
        if self._held or self.half_open:
            if self._held:
                self._out.append(data)
            return
        self._write(data)

    def event(self, name: str, event_class: str, text: str) -> None:
        if event_class in self._mask and self._sieve.passes(name, text):
            self.say(encode(text))

    def wants(self, name: str, event_class: str) -> bool:
        return event_class in self._mask and self._sieve.verdict(name) is not False

    def _write(self, data: bytes) -> None:
        self._out.append(data)
        if not self._flush_planned:
            self._flush_planned = True
            self.switch.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        if self._held or not self._out:
            return
        data = b"".join(self._out)
        self._out.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # --- actions ----------------------------------------------------------------------------------------------

    def _take(self, action: Action) -> None:
        if action.fault:
            self.refuse(action, action.fault)
            return
        name = action.name.lower()
        if self.switch.shutting_down:
            self.refuse(action, "Asterisk is shutting down")
        elif self.account is None and name not in ("login", "challenge", "logoff"):
            self.refuse(action, "Permission denied")
        elif name == "login":
            self._log_in(action)
        elif name == "challenge":
            self._give_challenge(action)
        else:
            self.switch.actions.carry_out(self, name, action)

    def refuse(self, action: Action, message: str) -> None:
        self.reply(f"Response: Error\r\n{action.reply_id}Message: {message}\r\n\r\n")

    def accept(self, action: Action, message: str = "") -> None:
        said = f"Message: {message}\r\n" if message else ""
        self.reply(f"Response: Success\r\n{action.reply_id}{said}\r\n")

    def hold(self) -> Callable[[str], None]:
        """Do nothing more until the returned function is called with the reply that was waited for."""
        self._held = True

        def release(reply: str) -> None:
            self._held = False
            self._out.insert(0, encode(reply))
            self._write(b"")
            waiting, self._waiting = self._waiting, []
            for index, action in enumerate(waiting):
                if self._held:
                    self._waiting = waiting[index:] + self._waiting
                    break
                self._take(action)

        return release

    def set_mask(self, mask: str) -> bool:
        """Take an event mask and say whether any event passes now."""
        wanted = mask.strip().lower()
        assert self.account is not None
        if wanted in ("off", "no", "false", "0"):
            self._mask = frozenset()
        elif wanted in ("on", "yes", "true", "1", "all", ""):
            self._mask = self.account.read
        else:
            self._mask = self.account.read & frozenset(part.strip() for part in wanted.split(","))
        self.switch.exchange.feed.changed()
        return bool(self._mask)

    @property
    def sieve(self) -> Sieve:
        return self._sieve

    def _give_challenge(self, action: Action) -> None:
        if action.get("authtype").lower() != "md5":
            self.refuse(action, "Must specify AuthType")
            return
        self._challenge = str(random.SystemRandom().randrange(10**8, 10**9))
        self.reply(f"Response: Success\r\n{action.reply_id}Challenge: {self._challenge}\r\n\r\n")

    def _log_in(self, action: Action) -> None:
        account = self.switch.accounts.get(action.get("username"))
        if account is None or not self._proves(action, account) or self.switch.faults.refuses_logins:
            release = self.hold()

            def refused() -> None:
                release(f"Response: Error\r\n{action.reply_id}Message: Authentication failed\r\n\r\n")
                self.close()

            self.switch.loop.call_later(WRONG_LOGIN_S, refused)
            return
        if self._patience is not None:
            self._patience.cancel()
        self.account = account
        feed = self.switch.exchange.feed
        feed.join(self)
        hears = self.set_mask(action.get("events", "on"))
        self.accept(action, "Authentication accepted")
        if hears and "system" in self._mask:
            up_s = self.switch.uptime_s()
            self.say(
                f"Event: FullyBooted\r\nPrivilege: system,all\r\nUptime: {up_s}\r\nLastReload: {up_s}\r\n"
                "Status: Fully Booted\r\n\r\n".encode()
            )

    def _proves(self, action: Action, account: Account) -> bool:
        if action.get("authtype").lower() == "md5":
            wanted = hashlib.md5(
                (self._challenge + account.secret).encode(), usedforsecurity=False
            ).hexdigest()
            return bool(self._challenge) and action.get("key").lower() == wanted
        return action.get("secret") == account.secret
