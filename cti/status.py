"""The watchers' channel: figures, seats, curves and alarms, coalesced and sent to every console at a steady pace.

Theory of operation. What the engine tells is kept, and marked as changed, within its own call. Twice a second what
changed is encoded once and put into the outboxes of those who see it: a snapshot in place of an unsent older one, seats
as the rows that this page has not got. Nothing is asked of the engine, nothing is queued twice, and a page that does
not read is closed.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from time import monotonic
from typing import Any

import structlog
from starlette.websockets import WebSocket

from campaigns.rights import Right
from campaigns.users import User
from cti import wire
from cti.alarms import Alarm, Alarms, AlarmsFrame
from cti.bus import Bus
from cti.curves import Curves
from cti.figures import CampaignSnapshot, FloorChange, SeatRow
from cti.identity import Accounts
from cti.page import Page
from cti.settings import WebSettings

log = structlog.get_logger(__name__)

YIELD_EVERY = 50  # watchers served before the loop may do something more urgent, such as a screen-pop


class HeldFrame(wire.Frame, frozen=True, tag="held"):
    """What holds a campaign's leads back."""

    campaign: str
    found: dict[str, Any]


class Watcher(Page):
    """A console's socket. `unsent` are the seats that have changed since its last rows, `shown` those that it has."""

    def __init__(self, ws: WebSocket, user: User, token: str, settings: WebSettings) -> None:
        super().__init__(ws, user, token, settings)
        self.unsent: set[int] = set()
        self.shown: set[int] = set()

    def sees_seat(self, row: SeatRow) -> bool:
        """Whether the seat works for, or serves, a campaign that this watcher sees."""
        return any(self.user.sees(name) for name in row.serves)


class StatusBoard:
    """What watchers know, and who they are."""

    def __init__(self, bus: Bus, accounts: Accounts, settings: WebSettings) -> None:
        self._accounts = accounts
        self._settings = settings
        self._snapshots: dict[str, CampaignSnapshot] = {}
        self._texts: dict[str, str] = {}
        self._changed: set[str] = set()
        self._seats: dict[int, SeatRow] = {}
        self._rows: dict[int, str] = {}  # the same as they go over the socket
        self._watchers: set[Watcher] = set()
        self._curves = Curves()
        self._held: dict[str, str] = {}
        self.alarms = Alarms()
        self._alarms_changed = False
        self.counters: Counter[str] = Counter()
        bus.on_snapshot(self._from_engine)
        bus.on_floor(self._floor_changed)

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def _from_engine(self, snapshot: CampaignSnapshot) -> None:
        self._snapshots[snapshot.campaign] = snapshot
        self._changed.add(snapshot.campaign)
        self._curves.take(snapshot)

    def _floor_changed(self, change: FloorChange) -> None:
        for row in change.seats:
            self._seats[row.user_id] = row
            self._rows.pop(row.user_id, None)
        for user_id in change.gone:
            self._seats.pop(user_id, None)
            self._rows.pop(user_id, None)
        changed = {row.user_id for row in change.seats} | set(change.gone)
        for watcher in self._watchers:
            watcher.unsent |= changed

    def acknowledge(self, alarm_id: int, who: str) -> Alarm | None:
        """Somebody has seen an alarm; all who see it learn of it. None: it is over."""
        found = self.alarms.acknowledge(alarm_id, who, time.time())
        self._alarms_changed = True
        return found

    def seats(self) -> list[SeatRow]:
        """Everybody who is at a seat."""
        return list(self._seats.values())

    def seat(self, user_id: int) -> SeatRow | None:
        return self._seats.get(user_id)

    def watched(self) -> list[str]:
        """The running campaigns that somebody watches."""
        running = [name for name, snapshot in self._snapshots.items() if snapshot.running]
        return [name for name in running if any(page.user.sees(name) for page in self._watchers)]

    def held(self, campaign: str, found: dict[str, Any]) -> None:
        """What holds a campaign's leads back, as :class:`campaigns.why.CampaignWhy` says it."""
        self._held[campaign] = wire.text(HeldFrame(campaign, found))
        for page in self._watchers:
            if page.user.sees(campaign):
                page.outbox.put_latest(f"held {campaign}", self._held[campaign])

    async def serve(self, ws: WebSocket, user: User, token: str) -> None:
        """Serve a watcher's socket to its end."""
        await ws.accept()
        watcher = Watcher(ws, user, token, self._settings)
        for campaign, text in self._texts.items():
            if user.sees(campaign):
                watcher.outbox.put_latest(campaign, text)
                watcher.outbox.put_latest(f"curves {campaign}", wire.text(self._curves.whole(campaign)))
                if campaign in self._held:
                    watcher.outbox.put_latest(f"held {campaign}", self._held[campaign])
        watcher.unsent.update(self._seats)
        self._tell_alarms(watcher)
        self._watchers.add(watcher)
        try:
            await watcher.run(lambda: self._read(watcher))
        finally:
            self._watchers.discard(watcher)

    async def _read(self, page: Watcher) -> None:
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

    # --- out ----------------------------------------------------------------------------------------------------

    async def _publish(self) -> None:
        while True:
            await asyncio.sleep(self._settings.status_interval_s)
            for campaign in list(self._changed):
                self._changed.discard(campaign)
                await self._publish_campaign(self._snapshots[campaign])
            if self.alarms.look(self._snapshots, self._seats.values(), time.time()) or self._alarms_changed:
                self._alarms_changed = False
                for served, page in enumerate(list(self._watchers), start=1):
                    self._tell_alarms(page)
                    await self._breathe(served)
            for served, page in enumerate(list(self._watchers), start=1):
                self._tell_seats(page)
                await self._breathe(served)
            now = monotonic()
            for page in list(self._watchers):
                if page.outbox.stuck_s(now) > self._settings.lag_limit_s and not page.ending:
                    self.counters["watchers_lagging"] += 1
                    page.end(wire.LAGGING, flush=False)

    async def _publish_campaign(self, snapshot: CampaignSnapshot) -> None:
        campaign = snapshot.campaign
        text = self._texts[campaign] = wire.encode(snapshot).decode()
        frame = self._curves.newest(campaign)
        curves = None if frame is None else wire.text(frame)
        for served, page in enumerate(list(self._watchers), start=1):
            if page.user.sees(campaign):
                page.outbox.put_latest(campaign, text)
                if curves is not None:
                    page.outbox.put_latest(f"curve {campaign}", curves)
            await self._breathe(served)

    @staticmethod
    async def _breathe(served: int) -> None:
        if served % YIELD_EVERY == 0:
            await asyncio.sleep(0)

    def _tell_alarms(self, page: Watcher) -> None:
        page.outbox.put_latest("alarms", wire.text(AlarmsFrame(self.alarms.of(page.user.sees))))

    def _tell_seats(self, page: Watcher) -> None:
        """The seats that the page has not got yet, unless it has not read the last ones."""
        if not page.unsent or page.outbox.waits("floor"):
            return
        rows, gone = [], []
        for user_id in page.unsent:
            row = self._seats.get(user_id)
            if row is not None and page.sees_seat(row):
                rows.append(self._row_text(user_id, row))
                page.shown.add(user_id)
            elif user_id in page.shown:
                gone.append(str(user_id))
                page.shown.discard(user_id)
        page.unsent.clear()
        if rows or gone:
            text = f'{{"type":"floor","seats":[{",".join(rows)}],"gone":[{",".join(gone)}]}}'
            page.outbox.put_latest("floor", text)

    def _row_text(self, user_id: int, row: SeatRow) -> str:
        text = self._rows.get(user_id)
        if text is None:
            text = self._rows[user_id] = wire.encode(row).decode()
        return text

    async def _check_sessions(self) -> None:
        while True:
            await asyncio.sleep(self._settings.session_check_s)
            for page in list(self._watchers):
                try:
                    user = await self._accounts.session(page.token)
                    if user is None or not user.may(Right.WATCH):
                        page.end(wire.NO_SESSION, "session_ended")
                    elif any(page.user.sees(name) and not user.sees(name) for name in self._snapshots):
                        page.end(wire.SEES_LESS, flush=False)  # it shows what is not theirs any more
                    else:
                        if user.seen != page.user.seen:  # what they see has changed, and so have the rows
                            page.unsent.update(self._seats)
                        page.user = user
                except Exception:  # the database may be away: watching goes on meanwhile
                    log.warning("a session could not be checked", user_id=page.user.user_id, exc_info=True)
                    break
