"""Reports that go out by themselves: made by a reader in a process of its own, mailed, and laid in folders."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import structlog
from sqlalchemy import Engine as DatabaseEngine
from sqlalchemy.exc import SQLAlchemyError

from campaigns import database
from campaigns.reports.asking import Question
from campaigns.reports.runs import COUNTING, Claim, Runs
from campaigns.reports.schedule import Schedule, Span
from campaigns.reports.schedules import Schedules
from campaigns.rights import Right
from campaigns.users import User, UserStore
from cti.desk import Refusal
from cti.language import catalogue
from cti.readers import Readers
from cti.report_desk import KINDS
from cti.report_reader import Order
from dialer.channel import NotTaken
from dialer.config import Config, ReportSection
from dialer.mail import MailServer, headed

log = structlog.get_logger(__name__)

LOOK_S = 5.0  # who presses "send now" waits for it
AT_ONCE = 4  # below what readers have waiting at most
LIMIT_S = 60.0  # for a mail: with the making far below the lease
PATIENCE = timedelta(hours=3)  # with days that are not counted; then it goes out, and says so
PLAIN = re.compile(r"\w[\w.@+-]{0,99}")  # a login that is a folder's name


def _now() -> datetime:
    return datetime.now(UTC)


class Failed(Exception):
    """A report that was not sent. `fault` is one of the page's words; the text says more."""

    def __init__(self, fault: str, detail: str = "") -> None:
        super().__init__(detail)
        self.fault = fault


class Sending:
    """The scheduled reports of one daemon: those of its configuration, and those that people made."""

    def __init__(self, stored: DatabaseEngine, config: Config, clock: Callable[[], datetime] = _now) -> None:
        self._stored = stored
        self._config = config
        self._clock = clock
        self._mail = MailServer(config.mail)
        self._runs = Runs(stored)
        self._configured = scheduled(config)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._readers = Readers(
            config.reports.database_url or stored.url.render_as_string(hide_password=False)
        )

    async def run(self) -> None:
        """Send what is due, and what somebody wants now, until cancelled."""
        try:
            while True:
                try:
                    await self.look()
                except SQLAlchemyError as fault:
                    log.warning("reports wait for the database", reason=database.reason(fault))
                await asyncio.sleep(LOOK_S)
        finally:
            await self.close()

    async def close(self) -> None:
        """End the readers."""
        await self._readers.close()

    async def look(self) -> int:
        """Send what is to be sent; how many went out. Raises what the database raises."""
        now = self._clock()
        made, settled, first, asked = await asyncio.to_thread(
            lambda: (
                Schedules(self._stored).all(),
                self._runs.settled(now),
                self._runs.first(now),
                self._runs.asked(now),
            )
        )
        by_id = {each.schedule_id: each for each in made}
        work = [self._asked(by_id[schedule], run) for run, schedule in asked if schedule in by_id]
        for each in (*self._configured, *made):
            spans = () if each.paused else each.due(now, first.get(each.key))
            work += [self._due(each, span) for span in spans if (*each.key, span) not in settled]
        return sum(await asyncio.gather(*work))

    # --- within ---------------------------------------------------------------------------------------------------

    # A claim waits for its turn, so its lease begins when that has come.
    async def _due(self, schedule: Schedule, span: Span) -> bool:
        async with self._turns:
            claim = await asyncio.to_thread(self._runs.claim, schedule, span, self._clock())
            return claim is not None and await self._run(schedule, claim)

    async def _asked(self, schedule: Schedule, run_id: int) -> bool:
        async with self._turns:
            claim = await asyncio.to_thread(self._runs.claim_asked, run_id, self._clock())
            return claim is not None and await self._run(schedule, claim)

    async def _run(self, schedule: Schedule, claim: Claim) -> bool:
        """Make it and send it; what came of it is on record."""
        told = {"report": schedule.name, "since": str(claim.span.since), "until": str(claim.span.until)}
        try:
            user = await asyncio.to_thread(self._user, schedule.login)
            if user is None or not user.may(Right.REPORTS):
                raise Failed("nobody", schedule.login)
            refused = await self._sent(schedule, user, claim)
        except SQLAlchemyError:
            raise
        except Exception as fault:  # whatever is wrong with one, the others go out, and calls go on
            why = fault if isinstance(fault, Failed) else Failed("made", repr(fault))
            if why.fault == COUNTING:
                log.info("a report waits until its days are counted", **told, reason=str(why))
            else:
                log.warning(
                    "a report could not be sent",
                    **told,
                    fault=why.fault,
                    reason=str(why),
                    exc_info=why is not fault,
                )
            await asyncio.to_thread(self._runs.failed, claim, self._clock(), why.fault, str(why))
            return False
        await asyncio.to_thread(self._runs.sent, claim, self._clock(), refused)
        log.info("a report was sent", **told)
        return True

    async def _sent(self, schedule: Schedule, user: User, claim: Claim) -> str:
        """Who of its addresses was refused. Raises :class:`Failed`."""
        span = claim.span
        question = Question(
            schedule.report, span.since, span.until, schedule.zone, schedule.by, schedule.campaigns
        )
        seen = None if user.seen is None else sorted(user.seen)
        waits = not claim.asked_by and self._clock() < claim.made_at + PATIENCE
        order = Order(
            user.user_id, question, seen, schedule.format, schedule.language, self._config.pause, counted=waits,
        )  # fmt: skip
        try:
            body, counted = await self._readers.ask(order, _never)
        except Refusal as fault:
            raise Failed(COUNTING if fault.code == "counting" else "made", fault.detail) from fault
        file = f"{schedule.name}-{span.since}-{span.until}.{schedule.format}"
        if schedule.laid:
            try:
                await asyncio.to_thread(_lay, self._folder(schedule, user), file, body)
            except OSError as fault:
                raise Failed("folder", fault.strerror or str(fault)) from fault
        if not schedule.to:
            return ""
        if not self._config.mail.host:
            raise Failed("mail", "[mail] has no host")
        try:
            async with asyncio.timeout(LIMIT_S):
                letter = self._letter(schedule, user, claim, file, body, counted)
                return await self._mail.post(letter)
        except NotTaken as fault:
            raise Failed("mail", str(fault)) from fault
        except TimeoutError as fault:
            raise Failed("mail", f"no answer within {LIMIT_S:g} s") from fault

    def _user(self, login: str) -> User | None:
        """Whose rights a report has; None: nobody is called so, or they are shut out."""
        return next((each for each in UserStore(self._stored).all() if each.login == login), None)

    def _folder(self, schedule: Schedule, user: User) -> Path:
        """The one of the configuration; else its owner's own, so that nobody writes over another's files."""
        if not schedule.schedule_id:
            return Path(schedule.folder)
        if not self._config.reports.folder:
            raise Failed("folder", "[reports] has no folder")
        own = user.login if PLAIN.fullmatch(user.login) else f"user {user.user_id}"
        return Path(self._config.reports.folder) / own

    def _letter(
        self, schedule: Schedule, user: User, claim: Claim, file: str, body: bytes, counted: bool
    ) -> EmailMessage:
        texts, span = catalogue(schedule.language), claim.span
        days = f"{span.since}" if span.since == span.until else f"{span.since} – {span.until}"
        subject = f"{texts('brand')}: {texts(f'report.{schedule.report}')}, {days}"
        mail = headed(self._config.mail.sender, ", ".join(schedule.to), subject, f"report-{claim.run_id}")
        told = texts("report.mail", days=days, name=schedule.name, who=user.name)
        mail.set_content(told if counted else f"{told}\n\n{texts('report.due')}")
        kind, _, of = KINDS[schedule.format].partition("/")
        mail.add_attachment(body, maintype=kind, subtype=of, filename=file)
        return mail


def scheduled(config: Config) -> tuple[Schedule, ...]:
    """The schedules of a configuration."""
    return tuple(_schedule(each, config.reports.zone) for each in config.report)


def _schedule(section: ReportSection, zone: str) -> Schedule:
    return Schedule(
        section.name, section.report, section.login, section.every, section.at, zone, section.by, (), section.format,
        section.language, section.to, bool(section.folder), section.folder,
    )  # fmt: skip


async def _never() -> bool:
    return False


def _lay(folder: Path, file: str, body: bytes) -> None:
    """A file that is there as a whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".{file}.new"
    new.write_bytes(body)
    new.replace(folder / file)
