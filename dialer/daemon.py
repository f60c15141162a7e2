"""The composition root: builds every room's part of one daemon, runs them together, and takes them down in order.

Order down: no new calls and the calls' end (drain), then the seats' door, then the journal, then the switches, then
what is on its way to others, then the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time
from uuid import uuid4

import msgspec
import structlog
from sqlalchemy import Engine as DatabaseEngine
from sqlalchemy.exc import SQLAlchemyError

from campaigns import backup, database
from campaigns.hopper import Hopper as StoredHopper
from campaigns.journal_store import JournalStore
from campaigns.key_file import KeyFile
from campaigns.messages.announcing import Announcer
from campaigns.messages.outbox import Outbox
from campaigns.ownership import Ownership
from campaigns.parts import PartStore
from campaigns.reach import REPORTS, WEB, as_role, held
from campaigns.seats_left import end_seats
from campaigns.second_factor import seal_plain
from campaigns.users import UserStore
from campaigns.values import InFlight
from campaigns.vault import KEYS, Vault
from campaigns.webhooks import WebhookStore
from cti.accounts import StoredAccounts
from cti.app import create_app
from cti.bus import Bus
from cti.desk import Stored
from cti.drafts import Drafts
from cti.messages import LogIn
from cti.server import serve
from cti.webhooks import Webhooks
from dialer import garbage
from dialer.certificates import Certificates
from dialer.config import Config
from dialer.core.engine import EngineCore
from dialer.engine import Engine
from dialer.fastagi import FastAgi
from dialer.handover import Handover
from dialer.journal import Batch, Journal, Unavailable
from dialer.leads import Hopper
from dialer.learning import Learning
from dialer.live_campaigns import LiveCampaigns
from dialer.made import channels, hook_of, lines_of, link_of, rates, switch_of, web_settings
from dialer.messages import Messages
from dialer.metrics import Metrics
from dialer.outage import AWAY, Outage
from dialer.preview import order_of, preview
from dialer.rolling import Rolling
from dialer.sealing import Sealing, recordings_of
from dialer.sending import Sending, scheduled
from dialer.sharing import Exchange
from dialer.switch.asterisk import AsteriskSwitch
from dialer.tenure import TURN_S, Lost, Tenure
from dialer.tracing import Exporter, Traces

log = structlog.get_logger(__name__)

REFRESH_S = 1.0  # between two looks at what the parts have counted
KEEP_LIMIT_S = 5.0  # what pacing has learned of a hundred campaigns is kept in less than one
UNSERVED_LIMIT_S = 30.0  # of tries to serve a switch: as long as a single statement may take


class AlreadyRunning(Exception):
    """Another daemon uses this data folder."""


class Ended(Exception):
    """A part of the daemon returned that runs until it is stopped: a fault of the program."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running daemon can be reached."""

    web: int
    metrics: int
    agi: int


class _Taken:
    """Switches that were taken and are not served yet, each with who had it; `more` is set while there are any."""

    def __init__(self) -> None:
        self.waiting: dict[str, str] = {}
        self.more = asyncio.Event()
        self._tried: dict[str, float] = {}  # since when

    def add(self, taken: Mapping[str, str]) -> None:
        self.waiting |= taken
        if self.waiting:
            self.more.set()

    def tried_for(self, limit_s: float) -> list[str]:
        """Those that could not be served for longer than this; all are tried now."""
        now = monotonic()
        self._tried = {switch: self._tried.get(switch, now) for switch in self.waiting}
        return [switch for switch, since in self._tried.items() if now - since > limit_s]

    def served(self, switches: Iterable[str]) -> None:
        for switch in switches:
            del self.waiting[switch]
            self._tried.pop(switch, None)
        if not self.waiting:
            self.more.clear()


class Daemon:
    """One daemon. :meth:`run` returns after :meth:`stop`; `ready` is called once, with the ports.

    Raises BadCertificate when one that it is to use can't be.
    """

    def __init__(self, config: Config, data: Path) -> None:
        self.config = config
        self.data = data
        self.bus = Bus()
        self.metrics = Metrics()
        self.engine: Engine | None = None
        self.database: DatabaseEngine | None = None
        self._certificates = Certificates(config, self.metrics)
        self._stop = asyncio.Event()
        self._drain_limit_s = config.engine.drain_limit_s
        self._began = datetime.now(UTC)

    def stop(self, drain_limit_s: float | None = None) -> None:
        """Begin to drain; :meth:`run` returns when that is done."""
        if drain_limit_s is not None:
            self._drain_limit_s = drain_limit_s
        self._stop.set()

    async def run(
        self,
        ready: Callable[[Addresses], None] | None = None,
        prepare: Callable[[DatabaseEngine], object] | None = None,
    ) -> None:
        """Run until stopped. `prepare` is called in a thread once the database is there, before anything is read.

        Raises what keeps it from starting: a DatabaseError, CannotListen, AlreadyRunning.
        """
        with _only_one(self.data):
            self.database = await asyncio.to_thread(self._open_database)
            try:
                if prepare is not None:
                    await asyncio.to_thread(prepare, self.database)
                await self._run(self.database, ready)
            finally:
                await asyncio.to_thread(self.database.dispose)

    def reload(self, config: Config) -> list[str]:
        """Take a new configuration; returns what has changed and waits for a restart: sections, and the name."""
        if self.engine is None:
            return []
        for section in config.switch:
            lines = self.engine.core.switches.get(section.name)
            if lines is not None:
                lines.max_lines, lines.calls_per_s = section.max_lines, section.calls_per_s
                lines.trunk, lines.phone = section.trunk, section.phone
                lines.softphone_endpoint = section.softphone_endpoint
        self._drain_limit_s = config.engine.drain_limit_s
        self._certificates.renew()
        sections = (field.name for field in msgspec.structs.fields(Config))
        fixed = [
            name
            for name in sections
            if name not in ("engine", "switch") and getattr(config, name) != getattr(self.config, name)
        ]
        if config.engine.name != self.config.engine.name:
            fixed.insert(0, "engine.name")
        if [link_of(s) for s in config.switch] != [link_of(s) for s in self.config.switch]:
            fixed.append("switch")
        return fixed

    # --- within ---------------------------------------------------------------------------------------------------

    def _open_database(self) -> DatabaseEngine:
        url = self.config.database.url
        if not url:
            folder = self.config.backup.folder
            backup.archive_to(self.data / "postgresql", Path(folder) if folder else None)
            url = database.start_embedded(self.data / "postgresql")
        engine = database.connect(url, name=database.session_name(self.config.engine.name))
        database.migrate(engine, self._stop.is_set)
        return engine

    def _tenure(self, stored: DatabaseEngine) -> Tenure:
        """By a connection of its own: no other work makes it late."""
        config, name = self.config, self.config.engine.name
        url = stored.url.render_as_string(hide_password=False)
        own = database.connect(url, pool_size=1, name=database.session_name(name))
        switches = [section.name for section in config.switch]
        standby = [section.name for section in config.switch if section.standby]
        mark = _mark_of(self.data)
        return Tenure(Ownership(own, name, mark, switches, config.cluster.address, standby), name)

    def _sealed(self, stored: DatabaseEngine) -> Vault:
        vault = Vault(self.data / KEYS)
        if lost := seal_plain(stored, vault):
            log.error("second factors can't be checked: the keys are not those of this database", people=lost)
        return vault

    async def _run(self, stored: DatabaseEngine, ready: Callable[[Addresses], None] | None) -> None:
        config, name = self.config, self.config.engine.name
        exporter = Exporter(config.tracing, name) if config.tracing.endpoint else None
        tenure = await asyncio.to_thread(self._tenure, stored)
        taken = await tenure.turn()
        agi = FastAgi(config.agi.host, config.agi.port, self._harbour_done)
        metrics_port = self.metrics.serve(config.metrics.host, config.metrics.port)
        await agi.start()
        journal_store = JournalStore(stored, name)
        await asyncio.to_thread(journal_store.cut_off)
        last = await asyncio.to_thread(journal_store.last_serial)
        journal = Journal(_unavailable_told_apart(journal_store.apply), self.data / "spool" / name, last)
        hopper = Hopper(StoredHopper(stored, name, lambda: tenure.tokens))
        accounts = StoredAccounts(UserStore(stored))
        core = EngineCore(
            {section.name: lines_of(section) for section in config.switch},
            wall_offset=time() - monotonic(),
            agi_url=config.agi.advertise or f"agi://{config.agi.host}:{agi.port}",
            pauses=config.pause,
            name=name,
        )
        switches = {section.name: switch_of(section) for section in config.switch}
        for lines in core.switches.values():
            lines.ours = lines.name in taken
        engine = self.engine = Engine(core, switches, hopper, journal, self.bus, self.metrics, tenure)
        if exporter is not None:
            engine.traces = Traces(core.calls.by_id, exporter, config.tracing.share)
        vault = await asyncio.to_thread(self._sealed, stored)
        learning = Learning(stored, engine, self.metrics)
        exchange = Exchange(PartStore(stored, lambda: tenure.tokens), engine)
        live = LiveCampaigns(stored, engine, exchange, config.campaigns.folder, self.metrics)
        rolling = Rolling(stored, self.metrics)
        own = "" if config.database.url else stored.url.render_as_string(hide_password=False)
        web = held(database.connect(config.database.web_url or config.database.url or as_role(own, WEB)), WEB)
        archive = config.history.archive(self.data)
        recordings = recordings_of(config, self.data)
        keys = KeyFile(Path(config.recordings.keys)) if config.recordings.keys else None
        app = create_app(
            self.bus,
            accounts,
            web_settings(config),
            Stored(
                stored,
                self.data / "imports",
                archive,
                vault,
                web,
                config.reports.database_url or config.database.url or as_role(own, REPORTS),
                config.reports.zone,
                recordings,
                config.recordings.keep_days,
                keys,
                scheduled(config),
                bool(config.mail.host and config.mail.sender),
                config.reports.folder,
            ),
            lambda name, text: preview(order_of(stored, archive, name, text, config.switch)),
        )
        self.bus.at(tenure.elsewhere)
        app.state.gateway.on_health = self.metrics.page_fared
        webhooks = Webhooks([hook_of(section) for section in config.webhook], WebhookStore(stored, name))
        app.state.feed.on_event = webhooks.hear
        messages = Messages(
            Outbox(stored, name, config.messages.public_url, rates(config)),
            channels(config, stored),
            Announcer(stored),
        )
        begun, later = asyncio.Event(), _Taken()
        handover = Handover(tenure, switches)
        running = asyncio.create_task(
            engine.run(before=lambda: self._begin(engine, taken, stored, live, begun)), name="engine"
        )
        web_port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        parts = [
            running,
            asyncio.create_task(self._keep(tenure, handover, begun, later), name="ownership"),
            asyncio.create_task(
                self._serve(engine, stored, live, begun, app.state.gateway.drafts, tenure, later),
                name="taken switches",
            ),
            asyncio.create_task(handover.run(self._stop), name="switches of others"),
            asyncio.create_task(
                serve(app, config.web.host, config.web.port, web_port.set_result, self._certificates.pages),
                name="web",
            ),
            asyncio.create_task(self._certificates.run(), name="certificates"),
            asyncio.create_task(live.run(), name="campaigns"),
            asyncio.create_task(live.count_leads(hopper), name="lead counts"),
            asyncio.create_task(self._refresh(app, agi, switches, webhooks, messages), name="figures"),
            asyncio.create_task(learning.run(), name="learning"),
            asyncio.create_task(exchange.run(), name="parts"),
            asyncio.create_task(rolling.run(), name="roll-ups"),
            asyncio.create_task(Sending(stored, config).run(), name="reports"),
            asyncio.create_task(Sealing(stored, recordings, keys, self.metrics).run(), name="sealing"),
            asyncio.create_task(garbage.collect(lambda: not core.calls.by_id), name="garbage"),
        ]
        senders = [
            asyncio.create_task(webhooks.run(), name="webhooks"),
            asyncio.create_task(messages.run(), name="messages"),
        ]
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        leaving = asyncio.create_task(handover.due.wait(), name="hand over")
        try:
            await asyncio.wait([*parts, *senders, web_port], return_when=asyncio.FIRST_COMPLETED)
            if web_port.done() and ready is not None:
                ready(Addresses(web_port.result(), metrics_port, agi.port))
            await asyncio.wait([*parts, *senders, stopping, leaving], return_when=asyncio.FIRST_COMPLETED)
            ended = [part.get_name() for part in (*parts, *senders) if part.done()]
            if stopping.done() or leaving.done():
                if leaving.done():
                    await engine.hand_over(lambda: 0.0 if self._stop.is_set() else self._drain_limit_s)
                if self._stop.is_set():
                    await self._wind_down(engine, tenure)
                # Where the database is away, or hangs, what was kept last holds.
                with contextlib.suppress(SQLAlchemyError, TimeoutError):
                    async with asyncio.timeout(KEEP_LIMIT_S):
                        await live.keep_learned()
        finally:
            for task in (*parts, *senders, stopping, leaving):
                task.cancel()
            faults = await _faults([*parts, stopping, leaving])
            await agi.stop()
            await journal.close()
            await tenure.hand(handover.heirs)  # what it knows is on record now
            if self._stop.is_set() or not handover.heirs:
                await tenure.release()
            faults += await _faults(senders)  # a mail server that is slow keeps nobody from the switches
            tenure.close()
            await asyncio.to_thread(self.metrics.close)
            if exporter is not None:
                await asyncio.to_thread(exporter.close)
            hopper.close()
            learning.close()
            exchange.close()
            live.close()
            rolling.close()
            await asyncio.to_thread(web.dispose)
            accounts.close()
        if faults:
            raise faults[0]
        if ended and not (self._stop.is_set() or handover.due.is_set()):
            raise Ended(f"a part of the daemon ended by itself: {', '.join(ended)}")
        if handover.heirs and not self._stop.is_set():
            raise Lost("what this engine did not reach, another one takes over")

    def _harbour_done(self, uid: str, played: bool, opted_out: bool) -> None:
        if self.engine is not None:
            self.engine.harbour_done(uid, played, opted_out)

    async def _begin(
        self,
        engine: Engine,
        taken: Mapping[str, str],
        stored: DatabaseEngine,
        live: LiveCampaigns,
        begun: asyncio.Event,
    ) -> None:
        """Before any switch is connected: the campaigns, and what was in flight on the switches that are ours.

        What our last run had in its spool is part of what is known of its calls, so it comes into the tables first.
        """
        if not await engine.journal.caught_up():
            log.error("the spool of the last run is not in the database; its calls are judged without it")
        await live.configure()
        await self._take(engine, stored, taken, at_start=True)
        if not taken:
            log.info("this engine stands by")
        begun.set()

    async def _take(
        self, engine: Engine, stored: DatabaseEngine, taken: Mapping[str, str], at_start: bool = False
    ) -> None:
        """Recover what the engines before us had in flight on switches that are ours now, and connect to them."""
        name, core = self.config.engine.name, engine.core
        on = {campaign.id: campaign.config.switches for campaign in core.campaigns.values()}
        others = {before for before in taken.values() if before != name}

        def of_ours(each: InFlight) -> bool:
            if not at_start and each.owner == name and not each.dialed:
                return (
                    False  # a buffer here has it, a seat or the rules; and if nobody, it is found as a stray
                )
            if (
                each.switch in taken
                if each.switch
                else not taken.keys().isdisjoint(on.get(each.campaign_id, ()))
            ):
                return True  # else what is left of our last run, on a switch that nobody has any more, or not dialed
            return at_start and each.owner == name and each.switch not in core.switches

        # Also of engines before those: one may have died that was just taking a switch over.
        found = [each for each in await engine.hopper.in_flight(others, taken) if of_ours(each)]
        if found:
            log.info("calls of the last run are looked for", calls=len(found))
            ours = {each.call_id for each in found}
            await engine.hopper.take_over(sorted(ours))
            # Until then an engine that only slept could still tell of them; what it tells now counts for nothing.
            found = [each for each in await engine.hopper.in_flight() if each.call_id in ours]
        await asyncio.to_thread(end_seats, stored, name, others, self._began if at_start else None)
        users = await asyncio.to_thread(UserStore(stored).all)
        seats: Mapping[int, LogIn] = {
            u.user_id: LogIn(u.user_id, u.name, u.phone, u.campaigns, ranks=dict(u.ranks)) for u in users
        }
        core.recover(found, seats, monotonic())
        for switch, before in taken.items():
            engine.take(switch)
            if before != name:
                self.metrics.takeovers.labels(switch).inc()
        engine.flush()

    async def _keep(self, tenure: Tenure, handover: Handover, begun: asyncio.Event, taken: _Taken) -> None:
        """Renew what is ours, and take what another engine left: nothing that takes long may make this late.

        Raises :class:`dialer.tenure.Lost`.
        """
        away = Outage("the switches' leases can't be renewed")
        while True:
            await asyncio.sleep(TURN_S)
            with away.told():
                # What is not served yet has no link.
                unreached = handover.unreached(taken.waiting) if begun.is_set() else {}
                taken.add(await tenure.turn(unreached))
                handover.look()
            self.metrics.engines_alive.set(sum(each.alive for each in tenure.engines))

    async def _serve(
        self,
        engine: Engine,
        stored: DatabaseEngine,
        live: LiveCampaigns,
        begun: asyncio.Event,
        drafts: Drafts,
        tenure: Tenure,
        taken: _Taken,
    ) -> None:
        """Serve the switches that were taken; where the database breaks that off, begin anew.

        Where that fails for long, as with a program that is older than the database, the switch goes to an engine that
        can have it; what no other one can have is tried on. An engine that is to end serves no more of them.
        """
        await begun.wait()
        away = Outage("switches that were taken can't be served yet")
        while True:
            await taken.more.wait()
            if self._stop.is_set():
                return
            with away.told():
                for switch in taken.tried_for(UNSERVED_LIMIT_S):
                    if (heir := await tenure.pass_on(switch)) is not None:
                        log.error("a switch that can't be served is passed on", switch=switch, to=heir.name)
                        taken.served([switch])
                if not taken.waiting:
                    continue
                switches = dict(taken.waiting)
                await live.take(switches)
                await drafts.load()  # of those whose pages come here
                await self._take(engine, stored, switches)
                taken.served(switches)
            if taken.waiting:
                await asyncio.sleep(TURN_S)

    async def _wind_down(self, engine: Engine, tenure: Tenure) -> None:
        """Let an engine that stands by go on with the calls, or else let them finish; for the drain limit in all."""
        began, heir = monotonic(), await tenure.heir()
        if heir is not None:
            log.info("handing over", to=heir.name, limit_s=self._drain_limit_s)
            await engine.hand_over(lambda: self._drain_limit_s)
            heir = await tenure.heir()  # which may have ended meanwhile
        if heir is None:
            gone_s = monotonic() - began
            log.info("draining", limit_s=round(max(0.0, self._drain_limit_s - gone_s), 1))
            await engine.drain(lambda: self._drain_limit_s - gone_s)

    async def _refresh(
        self,
        app,
        agi: FastAgi,
        switches: Mapping[str, AsteriskSwitch],
        webhooks: Webhooks,
        messages: Messages,
    ) -> None:  # type: ignore[no-untyped-def]
        while True:
            await asyncio.sleep(REFRESH_S)
            for switch in switches.values():
                self.metrics.stream(switch.name, switch.stats.events, switch.stats.faults)
            self.metrics.dialogues(agi.results)
            self.metrics.door(app.state.gateway.counters)
            self.metrics.webhooks(webhooks.counters, webhooks.waiting)
            self.metrics.messages(messages.counters, messages.waiting)


@contextlib.contextmanager
def _only_one(data: Path):  # type: ignore[no-untyped-def]
    """Hold the data folder's lock."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "daemon.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(f"another dialer runs on {data}; give --data another folder") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _mark_of(data: Path) -> str:
    """What tells this data folder from every other."""
    file = data / "engine.id"
    if not file.exists():
        beside = data / "engine.id.new"
        beside.write_text(uuid4().hex)
        beside.replace(file)  # a full disk leaves no empty mark, which others would have as well
    return file.read_text().strip()


async def _faults(tasks: list[asyncio.Task]) -> list[BaseException]:  # type: ignore[type-arg]
    """What these ended by that were cancelled, other than that."""
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    return [e for e in ended if isinstance(e, BaseException) and not isinstance(e, asyncio.CancelledError)]


def _unavailable_told_apart(apply: Callable[[Batch], None]) -> Callable[[Batch], None]:
    """The journal's `apply`, with the faults of the database itself told apart from those of a record."""

    def applied(batch: Batch) -> None:
        try:
            apply(batch)
        except AWAY as fault:
            raise Unavailable(str(fault).strip().split("\n")[0]) from fault

    return applied
