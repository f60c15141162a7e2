"""E-mail: messages as a channel, and reports, each mail handed to the company's mail server by SMTP."""

from __future__ import annotations

import ssl
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, localtime

import aiosmtplib

from campaigns.messages.bounces import no_ones, return_address
from campaigns.messages.outbox import Letter
from campaigns.messages.writing import plain
from dialer.channel import NotTaken
from dialer.config import MailSection, MessageMailSection

WIDE = policy.SMTP.clone(max_line_length=900)  # RFC 5322 allows 998: no link is folded
STEP_S = 15.0  # for each of the server's answers; all together are bounded by who sends


class Mail:
    """Sends by SMTP (RFC 5321)."""

    def __init__(self, section: MessageMailSection) -> None:
        self._section = section
        self._server = MailServer(section)

    async def send(self, letter: Letter) -> tuple[str, ...]:
        """Hand it over. Raises :class:`NotTaken`."""
        section = self._section
        back = return_address(section.bounces, section.secret, letter.key) if section.bounces else None
        await self._server.post(mail_of(letter, section.sender), back)
        return ()

    async def run(self) -> None:
        """Nothing is held."""

    async def close(self) -> None:
        """Nothing is held: each mail has a connection of its own."""


class MailServer:
    """The company's mail server. Each mail has a connection of its own."""

    def __init__(self, section: MailSection) -> None:
        self._section = section
        # This machine's authorities; read once, as it takes 20 ms, and the loop that sends brings screen-pops, too.
        trusted = section.host and section.security != "none"
        self._trust = ssl.create_default_context() if trusted else None

    async def post(self, mail: EmailMessage, back: str | None = None) -> str:
        """Hand a mail over; says which of its addresses were not taken. Raises :class:`NotTaken`: none was.

        It comes back to the address `back`, None: to that of its sender.
        """
        section = self._section
        server = aiosmtplib.SMTP(
            hostname=section.host,
            port=section.port,
            use_tls=section.security == "tls",
            start_tls=section.security == "starttls",
            username=section.user or None,
            password=section.password or None,
            tls_context=self._trust,
            timeout=STEP_S,
        )
        try:
            async with server:
                refused, _ = await server.send_message(mail, sender=back)
        except (aiosmtplib.SMTPAuthenticationError, aiosmtplib.SMTPSenderRefused) as fault:
            raise NotTaken(_said(fault)) from fault  # the set-up's fault, not the mail's
        except aiosmtplib.SMTPRecipientsRefused as fault:
            codes = [each.code for each in fault.recipients]
            said = _said(fault.recipients[0])
            raise NotTaken(said, min(codes) >= 500, nobody=min(codes) >= 500 and no_ones("", said)) from fault
        except aiosmtplib.SMTPDataError as fault:
            raise NotTaken(_said(fault), for_good=fault.code >= 500) from fault
        except (aiosmtplib.SMTPException, OSError) as fault:
            raise NotTaken(plain(str(fault)) or type(fault).__name__) from fault
        return "; ".join(f"{address}: {_said(answer)}" for address, answer in refused.items())


def mail_of(letter: Letter, address: str) -> EmailMessage:
    """The mail of a message. Its Message-ID is the letter's key: sent again, it is the same mail."""
    mail = headed(address, letter.address, letter.subject, letter.key, letter.sender)
    if letter.link:  # RFC 8058: the mail program itself asks for no more, with one click
        mail["List-Unsubscribe"] = f"<{letter.link}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(letter.body)
    return mail


def headed(address: str, to: str, subject: str, key: str, sender: str = "") -> EmailMessage:
    """A mail from an address of ours, and from whom, that has no body yet."""
    mail = EmailMessage(policy=WIDE)
    mail["From"] = formataddr((sender, address)) if sender else address
    mail["To"] = to
    mail["Subject"] = subject
    mail["Date"] = format_datetime(localtime())
    mail["Message-ID"] = f"<{key}@{address.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no robot answers it
    return mail


def _said(answer: aiosmtplib.SMTPResponse | aiosmtplib.SMTPResponseException) -> str:
    """A server's answer on one line: bytes that are no UTF-8, which come as surrogates, are left out."""
    return f"{answer.code} {plain(answer.message)}"
