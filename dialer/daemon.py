"""The composition root: builds every room's part of one daemon, runs them together, and takes them down in order.

Order down: no new calls and the calls' end (drain), then the seats' door, then the journal, then the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic, time
from typing import TypeVar
from uuid import uuid4

import msgspec
import psycopg2
import psycopg2.errors
import structlog
from sqlalchemy import Engine as DatabaseEngine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from campaigns import backup, database
from campaigns.audit import By, acting
from campaigns.hopper import Hopper as StoredHopper
from campaigns.journal_store import JournalStore
from campaigns.key_file import KeyFile
from campaigns.messages.announcing import Announcer
from campaigns.messages.outbox import Outbox
from campaigns.messages.receipts import Receipts
from campaigns.ownership import Ownership
from campaigns.partitions import ensure_partitions
from campaigns.parts import PartStore
from campaigns.reach import REPORTS, WEB, as_role, held
from campaigns.second_factor import seal_plain
from campaigns.store import CampaignStore, Unreadable
from campaigns.users import UserStore
from campaigns.values import InFlight, Outcome
from campaigns.vault import KEYS, Vault
from campaigns.webhooks import WebhookStore
from cti.accounts import StoredAccounts
from cti.app import create_app
from cti.bus import Bus
from cti.desk import Stored
from cti.drafts import Drafts
from cti.messages import LogIn
from cti.server import serve
from cti.settings import OidcSettings, WebSettings
from cti.webhooks import Hook, Webhooks
from dialer import garbage
from dialer.campaign_folder import CampaignFolder
from dialer.certificates import Certificates, believed
from dialer.channel import Channel
from dialer.config import Config, GatewaySection, OidcSection, SwitchSection, WebhookSection, client_secret
from dialer.core.engine import EngineCore
from dialer.core.lines import SwitchLines
from dialer.engine import Engine
from dialer.fastagi import FastAgi
from dialer.gateway import Gateway
from dialer.handover import Handover
from dialer.journal import Batch, Journal, Unavailable
from dialer.leads import Hopper
from dialer.learning import Learning
from dialer.mail import Mail
from dialer.messages import Messages
from dialer.metrics import Metrics
from dialer.preview import order_of, preview
from dialer.rolling import Rolling
from dialer.sealing import Sealing, recordings_of
from dialer.sending import Sending, scheduled
from dialer.sharing import Exchange
from dialer.smpp import Smpp
from dialer.switch.asterisk import AsteriskSwitch
from dialer.tenure import TURN_S, Lost, Tenure
from dialer.tracing import Exporter, Traces

T = TypeVar("T")

# The server is gone, busy to the last connection, or (25006) a standby that takes no writes after a failover.
AWAY = (
    OperationalError,
    InterfaceError,
    NoConnectionFree,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
    psycopg2.errors.lookup("25006"),
)

log = structlog.get_logger(__name__)

WATCH_S = 1.0  # how often applied versions are looked for; live within 2 s
COUNT_EVERY = 10  # watches between two counts of the leads left
LEARNED_EVERY = 60  # watches between two savings of what pacing has learned
WHOLE_LIFE = timedelta(days=36_500)  # of a campaign
LEDGER_EVERY = 600  # watches between two readings of the abandon window
PARTITIONS_EVERY = 3_600  # watches between two looks at the calendar


class AlreadyRunning(Exception):
    """Another daemon uses this data folder."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running daemon can be reached."""

    web: int
    metrics: int
    agi: int


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
        self._exchange: Exchange | None = None
        self.database: DatabaseEngine | None = None
        self._certificates = Certificates(config, self.metrics)
        self._stop = asyncio.Event()
        self._drain_limit_s = config.engine.drain_limit_s
        self._change = 0
        self._unreadable: set[str] = set()  # campaigns whose newest version can't be read
        self._store_thread = ThreadPoolExecutor(1, "campaigns")

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
                self._store_thread.shutdown(wait=False)
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
        fixed = [
            name
            for name in (
                "cluster",
                "database",
                "web",
                "oidc",
                "metrics",
                "tracing",
                "agi",
                "campaigns",
                "webhook",
                "backup",
                "reports",
                "mail",
                "messages",
                "report",
            )
            if getattr(config, name) != getattr(self.config, name)
        ]
        if config.engine.name != self.config.engine.name:
            fixed.insert(0, "engine.name")
        if [_link(s) for s in config.switch] != [_link(s) for s in self.config.switch]:
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
        database.migrate(engine)
        return engine

    def _tenure(self, stored: DatabaseEngine) -> Tenure:
        """By a connection of its own: no other work makes it late."""
        config, name = self.config, self.config.engine.name
        url = stored.url.render_as_string(hide_password=False)
        own = database.connect(url, pool_size=1, name=database.session_name(name))
        switches = [section.name for section in config.switch]
        return Tenure(Ownership(own, name, _mark_of(self.data), switches, config.cluster.address), name)

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
        last = await asyncio.to_thread(journal_store.last_serial)
        journal = Journal(_unavailable_told_apart(journal_store.apply), self.data / "spool" / name, last)
        hopper = Hopper(StoredHopper(stored, name, lambda: tenure.tokens))
        accounts = StoredAccounts(UserStore(stored))
        core = EngineCore(
            {section.name: _lines(section) for section in config.switch},
            wall_offset=time() - monotonic(),
            agi_url=config.agi.advertise or f"agi://{config.agi.host}:{agi.port}",
            pauses=config.pause,
            name=name,
        )
        switches = {section.name: _switch(section) for section in config.switch}
        for lines in core.switches.values():
            lines.ours = lines.name in taken
        engine = self.engine = Engine(core, switches, hopper, journal, self.bus, self.metrics, tenure)
        if exporter is not None:
            engine.traces = Traces(core.calls.by_id, exporter, config.tracing.share)
        store = CampaignStore(stored)
        vault = await asyncio.to_thread(self._sealed, stored)
        learning = Learning(stored, engine, self.metrics)
        exchange = self._exchange = Exchange(PartStore(stored, lambda: tenure.tokens), engine)
        rolling = Rolling(stored, self.metrics)
        own = "" if config.database.url else stored.url.render_as_string(hide_password=False)
        web = held(database.connect(config.database.web_url or config.database.url or as_role(own, WEB)), WEB)
        archive = Path(config.history.folder) if config.history.folder else self.data / "archive"
        recordings = recordings_of(config, self.data)
        keys = KeyFile(Path(config.recordings.keys)) if config.recordings.keys else None
        app = create_app(
            self.bus,
            accounts,
            _web_settings(config),
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
        webhooks = Webhooks([_hook(section) for section in config.webhook], WebhookStore(stored, name))
        app.state.feed.on_event = webhooks.hear
        messages = Messages(
            Outbox(stored, name, config.messages.public_url, _rates(config)),
            _channels(config, stored),
            Announcer(stored),
        )
        begun = asyncio.Event()
        handover = Handover(tenure, switches)
        running = asyncio.create_task(
            engine.run(before=lambda: self._begin(engine, taken, stored, store, begun)), name="engine"
        )
        web_port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        parts = [
            running,
            asyncio.create_task(
                self._keep(engine, tenure, handover, stored, store, begun, app.state.gateway.drafts),
                name="ownership",
            ),
            asyncio.create_task(handover.run(self._stop), name="switches of others"),
            asyncio.create_task(
                serve(app, config.web.host, config.web.port, web_port.set_result, self._certificates.pages),
                name="web",
            ),
            asyncio.create_task(self._certificates.run(), name="certificates"),
            asyncio.create_task(self._watch(engine, store, hopper), name="campaigns"),
            asyncio.create_task(self._refresh(app, agi, switches, webhooks, messages), name="figures"),
            asyncio.create_task(learning.run(), name="learning"),
            asyncio.create_task(exchange.run(), name="parts"),
            asyncio.create_task(rolling.run(), name="roll-ups"),
            asyncio.create_task(Sending(stored, config).run(), name="reports"),
            asyncio.create_task(Sealing(stored, recordings, keys, self.metrics).run(), name="sealing"),
            asyncio.create_task(webhooks.run(), name="webhooks"),
            asyncio.create_task(messages.run(), name="messages"),
            asyncio.create_task(garbage.collect(lambda: not core.calls.by_id), name="garbage"),
        ]
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        leaving = asyncio.create_task(handover.due.wait(), name="hand over")
        try:
            await asyncio.wait([*parts, web_port], return_when=asyncio.FIRST_COMPLETED)
            if web_port.done() and ready is not None:
                ready(Addresses(web_port.result(), metrics_port, agi.port))
            await asyncio.wait([*parts, stopping, leaving], return_when=asyncio.FIRST_COMPLETED)
            if stopping.done() or leaving.done():
                if leaving.done():
                    await engine.hand_over(lambda: 0.0 if self._stop.is_set() else self._drain_limit_s)
                if self._stop.is_set():
                    await self._wind_down(engine, tenure)
                with contextlib.suppress(SQLAlchemyError):  # the database is away: what was kept last holds
                    await self._keep_learned(engine, store)
        finally:
            faults = await _take_down([*parts, stopping, leaving])
            await agi.stop()
            await journal.close()
            await tenure.hand(handover.heirs)  # what it knows is on record now
            if self._stop.is_set() or not handover.heirs:
                await tenure.release()
            tenure.close()
            await asyncio.to_thread(self.metrics.close)
            if exporter is not None:
                await asyncio.to_thread(exporter.close)
            hopper.close()
            learning.close()
            exchange.close()
            rolling.close()
            await asyncio.to_thread(web.dispose)
            accounts.close()
        if faults:
            raise faults[0]
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
        store: CampaignStore,
        begun: asyncio.Event,
    ) -> None:
        """Before any switch is connected: the campaigns, and what was in flight on the switches that are ours.

        What our last run had in its spool is part of what is known of its calls, so it comes into the tables first.
        """
        if not await engine.journal.caught_up():
            log.error("the spool of the last run is not in the database; its calls are judged without it")
        await self._configure(engine, store)
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
            if (
                each.switch in taken
                if each.switch
                else not taken.keys().isdisjoint(on.get(each.campaign_id, ()))
            ):
                return True  # else what is left of our last run, on a switch that nobody has any more, or not dialed
            return at_start and each.owner == name and each.switch not in core.switches

        found = [each for each in await engine.hopper.in_flight(others) if of_ours(each)]
        if found:
            log.info("calls of the last run are looked for", calls=len(found))
            await engine.hopper.take_over([each.call_id for each in found])
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

    async def _keep(
        self,
        engine: Engine,
        tenure: Tenure,
        handover: Handover,
        stored: DatabaseEngine,
        store: CampaignStore,
        begun: asyncio.Event,
        drafts: Drafts,
    ) -> None:
        """Renew what is ours, and take what another engine left. Raises :class:`dialer.tenure.Lost`."""
        await begun.wait()
        told = ""
        while True:
            await asyncio.sleep(TURN_S)
            try:
                taken = await tenure.turn(handover.unreached())
                handover.look()
                if taken and not self._stop.is_set():
                    await self._configure(engine, store)
                    await drafts.load()  # of those whose pages come here
                    for campaign in list(engine.core.campaigns.values()):
                        if not taken.keys().isdisjoint(campaign.config.switches):
                            await self._read_learned(engine, store, campaign.name, taken)
                            await self._read_ledger(engine, store, campaign.name, datetime.now(UTC))
                    await self._take(engine, stored, taken)
                told = ""
            except SQLAlchemyError as fault:
                why = database.reason(fault)
                if why != told:
                    log.warning("the switches' leases can't be renewed", reason=why)
                told = why
            self.metrics.engines_alive.set(sum(each.alive for each in tenure.engines))

    async def _wind_down(self, engine: Engine, tenure: Tenure) -> None:
        """Let an engine that stands by go on with the calls, or else let them finish."""
        heir = await tenure.heir()
        if heir is not None:
            log.info("handing over", to=heir.name, limit_s=self._drain_limit_s)
            await engine.hand_over(lambda: self._drain_limit_s)
            heir = await tenure.heir()  # which may have ended meanwhile
        if heir is None:
            log.info("draining", limit_s=self._drain_limit_s)
            await engine.drain(lambda: self._drain_limit_s)

    async def _configure(self, engine: Engine, store: CampaignStore) -> None:
        """Take the campaigns' versions that are newer than those we have."""
        now = datetime.now(UTC)
        for found in await self._in_store(lambda: store.newer_than(self._change)):
            self._change = max(self._change, found.change)
            if isinstance(found, Unreadable):
                self._stop_unreadable(engine, found)
                continue
            name = found.config.name
            fresh = name not in engine.core.campaigns
            engine.configure(found.campaign_id, found.config)
            if name in self._unreadable:
                self._unreadable.remove(name)
                self.metrics.config_ok.labels(name).set(1)
            log.info("a campaign was configured", campaign=name, version=found.version)
            for switch in found.config.switches:
                if switch not in engine.core.switches:
                    log.warning(
                        "the campaign's switch is not configured; it does not dial there",
                        campaign=name,
                        switch=switch,
                    )
            if fresh:
                await self._read_learned(engine, store, name, found.config.switches)
            await self._read_ledger(engine, store, name, now)

    def _stop_unreadable(self, engine: Engine, found: Unreadable) -> None:
        """Nobody knows what its newest version wants; the others go on, and so do its calls in progress."""
        log.error(
            "a campaign's version can't be read; it is stopped", campaign=found.name, reason=found.reason
        )
        self._unreadable.add(found.name)
        self.metrics.config_ok.labels(found.name).set(0)
        campaign = engine.core.campaigns.get(found.name)
        if campaign is not None:
            engine.configure(campaign.id, msgspec.structs.replace(campaign.config, running=False))

    async def _read_ledger(self, engine: Engine, store: CampaignStore, name: str, now: datetime) -> None:
        campaign = engine.core.campaigns[name]
        window_s = campaign.ledger.rule.window_s
        length = timedelta(seconds=window_s) if window_s is not None else WHOLE_LIFE
        if self._exchange is not None and campaign.sharing is not None:
            await self._exchange.read(campaign, campaign.sharing, length, now)
            return
        machines = [d.code for d in campaign.config.dispositions if d.machine]
        connected, hung_up, abandoned, found = await self._in_store(
            lambda: store.window(campaign.id, length, now, machines)
        )
        if engine.journal.depth == 0:  # else the tables lag behind what we counted ourselves
            hearing = sum(  # the message: on record as abandoned when it is over
                call.outcome is Outcome.ABANDONED and call.campaign == name
                for call in engine.core.calls.by_id.values()
            )
            campaign.seed(monotonic(), connected, hung_up, abandoned + hearing, found)

    async def _read_learned(
        self, engine: Engine, store: CampaignStore, name: str, switches: Iterable[str]
    ) -> None:
        """Give pacing what it had learned before the last stop; without it, it learns anew.

        A part that has learned nothing by itself begins with what another one has.
        """
        campaign = engine.core.campaigns[name]
        learned = await self._in_store(lambda: store.learned(campaign.id))
        of_parts: Mapping[str, str] = {}
        if self._exchange is not None and campaign.sharing is not None:
            of_parts = await self._exchange.learned(campaign)
        for part in {campaign.part(switch) for switch in switches}:
            found = of_parts.get(part.switch, learned)
            try:
                if found:
                    part.restore(json.loads(found))
            except ValueError as fault:
                log.warning("pacing learns anew", campaign=name, switch=part.switch, reason=str(fault))

    async def _keep_learned(self, engine: Engine, store: CampaignStore) -> None:
        for campaign in engine.core.ours():
            for part in [each for each in campaign.parts if engine.core.has(each.switch)]:
                learned = json.dumps(part.pacer.learned(), separators=(",", ":"))
                await self._in_store(partial(store.keep_learned, campaign.id, learned))
                if self._exchange is not None and campaign.sharing is not None:
                    await self._exchange.keep_learned(campaign, part.switch, learned)

    async def _watch(self, engine: Engine, store: CampaignStore, hopper: Hopper) -> None:
        folder = CampaignFolder(self.config.campaigns.folder, store, self.metrics)
        turn, told = 0, ""
        while True:
            await asyncio.sleep(WATCH_S)
            turn += 1
            try:
                if engine.core.owner:
                    await self._in_store(folder.apply_changes)
                await self._configure(engine, store)
                if turn % COUNT_EVERY == 1:
                    for campaign in engine.core.ours():
                        engine.leads_left[campaign.name] = await hopper.left(campaign.id)
                if turn % LEDGER_EVERY == 0:
                    for name in list(engine.core.campaigns):
                        await self._read_ledger(engine, store, name, datetime.now(UTC))
                if turn % LEARNED_EVERY == 0:
                    await self._keep_learned(engine, store)
                if turn % PARTITIONS_EVERY == 0 and self.database is not None:
                    await asyncio.to_thread(ensure_partitions, self.database, datetime.now(UTC).date())
                told = ""
            except SQLAlchemyError as fault:  # the database is away
                why = database.reason(fault)
                if why != told:
                    log.warning("the campaigns could not be looked at", reason=why)
                told = why

    async def _refresh(
        self,
        app,
        agi: FastAgi,
        switches: Mapping[str, AsteriskSwitch],
        webhooks: Webhooks,
        messages: Messages,
    ) -> None:  # type: ignore[no-untyped-def]
        while True:
            await asyncio.sleep(WATCH_S)
            for switch in switches.values():
                self.metrics.stream(switch.name, switch.stats.events, switch.stats.faults)
            self.metrics.dialogues(agi.results)
            self.metrics.door(app.state.gateway.counters)
            self.metrics.webhooks(webhooks.counters, webhooks.waiting)
            self.metrics.messages(messages.counters, messages.waiting)

    async def _in_store(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._store_thread, work)


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


async def _take_down(tasks: list[asyncio.Task]) -> list[BaseException]:  # type: ignore[type-arg]
    for task in tasks:
        task.cancel()
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


def _lines(section: SwitchSection) -> SwitchLines:
    return SwitchLines(
        section.name,
        section.max_lines,
        section.calls_per_s,
        section.trunk,
        section.phone,
        section.softphone,
        section.softphone_endpoint,
    )


def _switch(section: SwitchSection) -> AsteriskSwitch:
    return AsteriskSwitch(
        section.name, section.host, section.port, section.user, section.secret, believed(section)
    )


def _channels(config: Config, stored: DatabaseEngine) -> dict[str, Channel]:
    """By what this engine can send messages."""
    found: dict[str, Channel] = {}
    if config.messages.email.host:
        found["email"] = Mail(config.messages.email)
    for name, section in _gateways(config).items():
        found[name] = Gateway(section)
    if config.messages.smpp is not None:
        by = By("smpp", config.messages.smpp.host)
        found["sms"] = Smpp(config.messages.smpp, Receipts(acting(stored, by), "sms"))
    return found


def _rates(config: Config) -> dict[str, float]:
    """How many messages of a channel may go out in a second."""
    found = {"email": config.messages.email.per_second}
    found |= {name: section.per_second for name, section in _gateways(config).items()}
    if config.messages.smpp is not None:
        found["sms"] = config.messages.smpp.per_second
    return {name: rate for name, rate in found.items() if rate}


def _gateways(config: Config) -> dict[str, GatewaySection]:
    named = {"sms": config.messages.sms, "gateway": config.messages.gateway}
    return {name: section for name, section in named.items() if section is not None}


def _hook(section: WebhookSection) -> Hook:
    networks = tuple(map(ipaddress.ip_network, section.networks))
    return Hook(section.name, section.url, section.secret, section.campaigns, networks)


def _link(section: SwitchSection) -> tuple[object, ...]:
    """What of a switch holds until the next start; the pages' headers name the address of its softphones."""
    return (
        section.name,
        section.host,
        section.port,
        section.user,
        section.secret,
        section.tls,
        section.ca,
        section.softphone,
    )


def _sign_on(section: OidcSection) -> OidcSettings:
    return OidcSettings(
        issuer=section.issuer,
        client_id=section.client_id,
        redirect_uri=section.redirect_uri,
        secret=client_secret(section, os.environ),
        claim=section.claim,
        scopes=section.scopes,
        new_role=section.new_role or "",
        new_unit=section.new_unit,
    )


def _web_settings(config: Config) -> WebSettings:
    web = config.web
    return WebSettings(
        secure_cookie=web.secure_cookie,
        allowed_origins=web.allowed_origins,
        trusted_proxies=web.trusted_proxies,
        default_language=web.default_language,
        second_factor=tuple(str(role) for role in web.second_factor),
        frames=web.frames,
        oidc=_sign_on(config.oidc) if config.oidc is not None else None,
        others=config.cluster.others,
        cookie_domain=config.cluster.cookie_domain,
        bounces=(config.messages.email.bounces, config.messages.email.secret),
        gateways=tuple((name, section.secret) for name, section in _gateways(config).items()),
        pauses=config.pause,
        switches=tuple(section.name for section in config.switch),
        softphones=tuple(section.softphone for section in config.switch if section.softphone),
    )
