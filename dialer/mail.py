"""E-mail as a channel of messages: one letter becomes one mail, handed to the company's mail server."""

from __future__ import annotations

import ssl
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, localtime

import aiosmtplib

from campaigns.messages.outbox import Letter
from dialer.channel import NotTaken
from dialer.config import MailSection

WIDE = policy.SMTP.clone(max_line_length=900)  # RFC 5322 allows 998: no link is folded
STEP_S = 15.0  # for each of the server's answers; all together are bounded by dialer/messages.py


class Mail:
    """Sends by SMTP (RFC 5321)."""

    def __init__(self, section: MailSection) -> None:
        self._section = section

    async def send(self, letter: Letter) -> None:
        """Hand it over. Raises :class:`NotTaken`."""
        section = self._section
        server = aiosmtplib.SMTP(
            hostname=section.host,
            port=section.port,
            use_tls=section.security == "tls",
            start_tls=section.security == "starttls",
            username=section.user or None,
            password=section.password or None,
            tls_context=ssl.create_default_context() if section.security != "none" else None,
            timeout=STEP_S,
        )
        try:
            async with server:
                await server.send_message(mail_of(letter, section.sender))
        except (aiosmtplib.SMTPAuthenticationError, aiosmtplib.SMTPSenderRefused) as fault:
            raise NotTaken(_said(fault)) from fault  # the set-up's fault, not the letter's
        except aiosmtplib.SMTPRecipientsRefused as fault:
            codes = [each.code for each in fault.recipients]
            raise NotTaken(_said(fault.recipients[0]), for_good=min(codes) >= 500) from fault
        except aiosmtplib.SMTPDataError as fault:
            raise NotTaken(_said(fault), for_good=fault.code >= 500) from fault
        except (aiosmtplib.SMTPException, OSError) as fault:
            raise NotTaken(str(fault) or type(fault).__name__) from fault

    async def close(self) -> None:
        """Nothing is held: each mail has a connection of its own."""


def mail_of(letter: Letter, address: str) -> EmailMessage:
    """The mail. Its Message-ID is the letter's key: sent again, it is the same mail."""
    mail = EmailMessage(policy=WIDE)
    mail["From"] = formataddr((letter.sender, address)) if letter.sender else address
    mail["To"] = letter.address
    mail["Subject"] = letter.subject
    mail["Date"] = format_datetime(localtime())
    mail["Message-ID"] = f"<{letter.key}@{address.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no robot answers it
    if letter.link:  # RFC 8058: the mail program itself asks for no more, with one click
        mail["List-Unsubscribe"] = f"<{letter.link}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(letter.body)
    return mail


def _said(fault: aiosmtplib.SMTPResponseException) -> str:
    return f"{fault.code} {fault.message}"
