"""Reports that go out by themselves: made by a reader in a process of its own, mailed, and laid in folders."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import structlog
from sqlalchemy import Engine as DatabaseEngine
from sqlalchemy.exc import SQLAlchemyError

from campaigns import database
from campaigns.reports.asking import Question, zone_of
from campaigns.reports.schedule import Span, sending, span_of, was_sent
from campaigns.rights import Right
from campaigns.users import User, UserStore
from cti.desk import Refusal
from cti.language import catalogue
from cti.readers import Readers
from cti.report_desk import KINDS
from cti.report_reader import Order
from dialer.config import Config, MailSection, ReportSection

log = structlog.get_logger(__name__)

LOOK_S = 60.0
AGAIN_S = 300.0  # after one that could not be sent
SMTP_LIMIT_S = 30.0


class Sending:
    """The scheduled reports of one daemon."""

    def __init__(self, stored: DatabaseEngine, config: Config) -> None:
        self._stored = stored
        self._config = config
        self._readers = Readers(
            config.reports.database_url or stored.url.render_as_string(hide_password=False)
        )

    async def run(self) -> None:
        """Send what is due until cancelled."""
        try:
            while True:
                well = [await self.look(each, datetime.now(UTC)) for each in self._config.report]
                await asyncio.sleep(LOOK_S if all(well) else AGAIN_S)
        finally:
            await self.close()

    async def close(self) -> None:
        """End the readers."""
        await self._readers.close()

    async def look(self, section: ReportSection, now: datetime) -> bool:
        """Send one report, if it is due and was not sent; False: it could not be."""
        span = span_of(section.every, section.at, zone_of(self._config.reports.zone), now)
        try:
            if await asyncio.to_thread(was_sent, self._stored, section.name, span):
                return True
            user = await asyncio.to_thread(self._user, section.login)
            if user is None:
                log.warning("a report has nobody who may see it", report=section.name, login=section.login)
                return False
            body = await self._made(section, span, user)
            await asyncio.to_thread(self._send, section, span, body, now)
        except (Refusal, OSError, smtplib.SMTPException, SQLAlchemyError) as fault:
            why = database.reason(fault) if isinstance(fault, SQLAlchemyError) else str(fault)
            log.warning("a report could not be sent", report=section.name, reason=why)
            return False
        log.info("a report was sent", report=section.name, since=str(span.since), until=str(span.until))
        return True

    # --- within ---------------------------------------------------------------------------------------------------

    def _user(self, login: str) -> User | None:
        """Whose rights a report has, while they may see reports."""
        found = next((each for each in UserStore(self._stored).all() if each.login == login), None)
        return found if found is not None and found.may(Right.REPORTS) else None

    async def _made(self, section: ReportSection, span: Span, user: User) -> bytes:
        question = Question(section.report, span.since, span.until, self._config.reports.zone, section.by)
        seen = None if user.seen is None else sorted(user.seen)
        order = Order(user.user_id, question, seen, section.format, section.language, self._config.pause)
        return await self._readers.ask(order, _never)

    def _send(self, section: ReportSection, span: Span, body: bytes, now: datetime) -> None:
        file = f"{section.name}-{span.since}-{span.until}.{section.format}"
        with sending(self._stored, section.name, span, now) as ours:
            if not ours:
                return
            if section.folder:
                _lay(Path(section.folder), file, body)
            if section.to:
                _mail(self._config.mail, _message(self._config.mail, section, span, file, body))


async def _never() -> bool:
    return False


def _lay(folder: Path, file: str, body: bytes) -> None:
    """A file that is there as a whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".{file}.new"
    new.write_bytes(body)
    new.replace(folder / file)


def _message(mail: MailSection, section: ReportSection, span: Span, file: str, body: bytes) -> EmailMessage:
    texts = catalogue(section.language)
    days = f"{span.since}" if span.since == span.until else f"{span.since} – {span.until}"
    message = EmailMessage()
    message["From"], message["To"] = mail.sender, ", ".join(section.to)
    message["Subject"] = f"{texts('brand')}: {texts(f'report.{section.report}')}, {days}"
    message.set_content(texts("report.mail", days=days))
    kind, _, of = KINDS[section.format].partition("/")
    message.add_attachment(body, maintype=kind, subtype=of, filename=file)
    return message


def _mail(mail: MailSection, message: EmailMessage) -> None:
    trusted = ssl.create_default_context()
    if mail.security == "tls":
        server = smtplib.SMTP_SSL(mail.host, mail.port, timeout=SMTP_LIMIT_S, context=trusted)
    else:
        server = smtplib.SMTP(mail.host, mail.port, timeout=SMTP_LIMIT_S)
    with server:
        if mail.security == "starttls":
            server.starttls(context=trusted)
        if mail.user:
            server.login(mail.user, mail.password)
        server.send_message(message)
