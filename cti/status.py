"""The watchers' channel: campaign snapshots, coalesced and sent to every status page at a steady pace."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from time import monotonic

import structlog
from starlette.websockets import WebSocket

from campaigns.rights import Right
from campaigns.users import User
from cti import wire
from cti.bus import Bus
from cti.identity import Accounts
from cti.messages import CampaignSnapshot
from cti.page import Page
from cti.settings import WebSettings

log = structlog.get_logger(__name__)

YIELD_EVERY = 50  # watchers served before the loop may do something more urgent, such as a screen-pop


class StatusBoard:
    """The last snapshot of each campaign, and who watches. Snapshots are kept and sent; none is queued twice."""

    def __init__(self, bus: Bus, accounts: Accounts, settings: WebSettings) -> None:
        self._accounts = accounts
        self._settings = settings
        self._snapshots: dict[str, CampaignSnapshot] = {}
        self._texts: dict[str, str] = {}
        self._changed: set[str] = set()
        self._watchers: set[Page] = set()
        self.counters: Counter[str] = Counter()
        bus.on_snapshot(self._from_engine)

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def _from_engine(self, snapshot: CampaignSnapshot) -> None:
        self._snapshots[snapshot.campaign] = snapshot
        self._changed.add(snapshot.campaign)

    async def serve(self, ws: WebSocket, user: User, token: str) -> None:
        """Serve a watcher's socket to its end."""
        await ws.accept()
        page = Page(ws, user, token, self._settings)
        for campaign, text in self._texts.items():
            if user.sees(campaign):
                page.outbox.put_latest(campaign, text)
        self._watchers.add(page)
        try:
            await page.run(lambda: self._read(page))
        finally:
            self._watchers.discard(page)

    async def _read(self, page: Page) -> None:
        """A watcher only asks whether we are there."""
        while True:
            data = await page.ws.receive_text()
            try:
                frame = wire.read_frame(data)
            except wire.BadFrame:
                frame = None
            if isinstance(frame, wire.Ping) and page.allowance.take(monotonic()):
                page.outbox.put_latest("pong", wire.text(wire.Pong(frame.at, time.time())))
                continue
            self.counters["malformed"] += 1
            page.faults += 1
            if page.faults > self._settings.fault_limit:
                page.end(wire.POLICY)

    def sign_out(self, token: str) -> None:
        """The session is over: so is watching."""
        for page in list(self._watchers):
            if page.token == token:
                page.end(wire.NO_SESSION, "signed_out")

    async def run(self) -> None:
        """Publish, and look after stuck and expired watchers, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish())
            tasks.create_task(self._check_sessions())

    async def _publish(self) -> None:
        while True:
            await asyncio.sleep(self._settings.status_interval_s)
            for campaign in list(self._changed):
                self._changed.discard(campaign)
                text = self._texts[campaign] = wire.encode(self._snapshots[campaign]).decode()
                for served, page in enumerate(list(self._watchers), start=1):
                    if page.user.sees(campaign):
                        page.outbox.put_latest(campaign, text)
                    if served % YIELD_EVERY == 0:
                        await asyncio.sleep(0)
            now = monotonic()
            for page in list(self._watchers):
                if page.outbox.stuck_s(now) > self._settings.lag_limit_s and not page.ending:
                    self.counters["watchers_lagging"] += 1
                    page.end(wire.LAGGING, flush=False)

    async def _check_sessions(self) -> None:
        while True:
            await asyncio.sleep(self._settings.session_check_s)
            for page in list(self._watchers):
                try:
                    user = await self._accounts.session(page.token)
                    if user is None or not user.may(Right.WATCH):
                        page.end(wire.NO_SESSION, "session_ended")
                    else:
                        page.user = user  # what they see may have changed
                except Exception:  # the database may be away: watching goes on meanwhile
                    log.warning("a session could not be checked", user_id=page.user.user_id, exc_info=True)
                    break
