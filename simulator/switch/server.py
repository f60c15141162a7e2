"""The virtual switch as a whole: its listener, its sessions, its clock, and its end and return."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, Self

from simulator.scenario import Scenario
from simulator.switch.actions import ACTIONS, Actions
from simulator.switch.dialplan import CONTRACT, Context
from simulator.switch.exchange import Exchange
from simulator.switch.faults import Faults
from simulator.switch.listing import LISTINGS
from simulator.switch.log import CallLog
from simulator.switch.session import Account, Session

log = logging.getLogger(__name__)

USER: Final = "dialer"
SECRET: Final = "virtual-switch"  # of a switch that listens on loopback and has no telephones
AWAY_S: Final = 0.3  # a real Asterisk was back after that long


class VirtualSwitch:
    """An Asterisk 22 that has no telephony: `async with VirtualSwitch(scenario) as sw`, then `sw.host`, `sw.port`.

    `log` is its own call log, `faults` what it can be made to do wrong. The scenario's seed makes it reproducible. With
    `timestamps` its events say when they were, as with `timestampevents` in manager.conf.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        user: str = USER,
        secret: str = SECRET,
        accounts: Mapping[str, Account] | None = None,
        contexts: Mapping[str, Context] = CONTRACT,
        log_path: Path | None = None,
        auth_timeout_s: float = 30.0,
        tls: ssl.SSLContext | None = None,
        timestamps: bool = True,
    ) -> None:
        self.scenario = scenario
        self.host, self.port = host, port
        self.user, self.secret = user, secret
        self.accounts: dict[str, Account] = {user: Account(secret), **(accounts or {})}
        self.auth_timeout_s = auth_timeout_s
        self.sessions: set[Session] = set()
        self.variables: dict[str, str] = {}
        self.shutting_down = False
        self.started = time.time()
        self.log = CallLog(log_path)
        self.faults = Faults(self)
        self.actions = Actions(self)
        self._contexts, self._tls, self._timestamps = contexts, tls, timestamps
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; `port` is the real one afterwards."""
        self.loop = asyncio.get_running_loop()
        self.exchange = Exchange(self.scenario, self.log, self._contexts, self._timestamps)
        await self._listen()

    async def stop(self) -> None:
        """Close everything. Calls that are up end in the log as `stopped`."""
        for task in list(self._tasks):
            task.cancel()
        await self._close_listener()
        for session in list(self.sessions):
            session.abort()
        self.exchange.vanish("stopped")
        self.log.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def uptime_s(self) -> int:
        return max(0, int(time.time() - self.started))

    def wall_clock(self) -> float:
        return time.time()

    def action_names(self) -> list[str]:
        return sorted((*ACTIONS, *LISTINGS, "challenge", "login"))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run in the background; a failure is logged."""
        task = self.loop.create_task(work)
        self._tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("the virtual switch failed at a task", exc_info=error)

        task.add_done_callback(done)

    # --- end and return ---------------------------------------------------------------------------------------

    async def restart(self, away_s: float = AWAY_S) -> None:
        """Crash and come back: channels vanish without a Hangup, connections are cut, the start-up time is another."""
        await self._close_listener()
        for session in list(self.sessions):
            session.abort()
        self.exchange.vanish("restart")
        await self._return(away_s)

    async def restart_gracefully(self, away_s: float = AWAY_S) -> None:
        """`core restart gracefully`: refuse all actions, wait for the last call to end, say Shutdown, come back."""
        self.shutting_down = True
        while self.exchange.by_uid:
            await asyncio.sleep(0.01)
        self.exchange.feed.send("Shutdown", "Shutdown: Cleanly\r\nRestart: True\r\n", "system")
        await self._close_listener()
        for session in list(self.sessions):
            session.close()
        self.exchange.vanish("restart")
        await self._return(away_s)
        self.shutting_down = False

    async def stop_accepting(self, seconds: float = 0.0) -> None:
        """Refuse new connections, for a while or (0) until :meth:`accept_again`."""
        await self._close_listener()
        if seconds:
            self.spawn(self._listen_after(seconds))

    async def accept_again(self) -> None:
        if self._server is None:
            await self._listen()

    async def _return(self, away_s: float) -> None:
        await asyncio.sleep(away_s)
        self.started = max(time.time(), self.started + 1)  # told in whole seconds, so at least one later
        self.shutting_down = False
        await self.accept_again()

    async def _listen_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.accept_again()

    async def _listen(self) -> None:
        self._server = await self.loop.create_server(
            lambda: Session(self), self.host, self.port, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close_listener(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            await asyncio.sleep(0)
