"""Mails that come back: whose message it was, by a return address that only we could have made, and what came of it.

Anybody can write to a return address. So what is read first is the address, then, of a mail whose address is ours, what
a mail server says in it: a report of RFC 3464, or the text of servers that write none. All is bounded before it is
parsed.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32decode, b32encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from hashlib import sha256
from typing import Literal

from sqlalchemy import Engine, text

from campaigns.config import CampaignsError
from campaigns.messages.answers import MOST_REPLY
from campaigns.messages.choices import say
from campaigns.messages.permission import BOUNCED
from campaigns.messages.writing import plain

MOST_MAIL = 262_144  # bytes: ours are of some tens of kB, and a report holds one of them at most
MOST_PARTS = 20  # boundaries that a mail may name: each line is compared with all that are open
MOST_TEXT = 20_000  # characters of what a server says
KEY_BYTES, MARK_BYTES = 16, 10  # 80 bits: to guess one takes more tries than a door answers
TOKEN = 26 + 16  # characters, in base 32
LONGEST_LOCAL = 64 - TOKEN - 1  # RFC 5321, 4.5.3.1.1
ADDRESSED = ("Delivered-To", "X-Original-To", "Envelope-To", "To")  # whom it came to, as servers note it
# RFC 3463: nobody of this name, no such domain, no syntax, moved, a domain that takes no mail (RFC 7505), disabled.
NOBODY = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
SMTP = re.compile(r"\s*smtp\s*;\s*", re.IGNORECASE)  # the type of a diagnostic code
REPLY_CODE = re.compile(r"\b([45]\d\d)[ -]")
UNKNOWN = re.compile(
    r"(user|mailbox|recipient|address|account) (is )?(unknown|not found|does ?n[o']t exist|disabled)|no such user|"
    r"(unknown|invalid|no such) (user|recipient|mailbox|address)|no mailbox here by that name",
    re.IGNORECASE,
)
SERVERS = re.compile(r"mailer-daemon|postmaster|mail delivery", re.IGNORECASE)

FAILED = text("""
UPDATE message SET bounced_at = :at, reason = 'bounced', detail = :detail
WHERE key = :key AND channel = 'email' AND permitted_at IS NOT NULL AND bounced_at IS NULL RETURNING id, address
""")
DELAYED = text("""
UPDATE message SET detail = :detail
WHERE key = :key AND channel = 'email' AND permitted_at IS NOT NULL AND bounced_at IS NULL RETURNING id, address
""")

Fate = Literal["nobody", "failed", "delayed"]


class NotABounce(CampaignsError):
    """The mail tells of no message of ours that came back, or can't be read. The text says why."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """What a mail that came back says of the message `key`.

    `nobody`: its address is no one's; `failed`: it did not arrive; `delayed`: not yet.
    """

    key: str
    fate: Fate
    why: str


def return_address(address: str, secret: str, key: str) -> str:
    """Where a message's mail comes back to: its own address at `address`, with a token that only we can make."""
    name, _, domain = address.rpartition("@")
    made = b32encode(bytes.fromhex(key) + _mark(secret, key)).decode()
    return f"{name}+{made.rstrip('=').lower()}@{domain}"


def bounce_of(mail: bytes, address: str, secret: str) -> Bounce:
    """What a mail that came to a return address at `address` says. Raises :class:`NotABounce`."""
    if len(mail) > MOST_MAIL:
        raise NotABounce(f"the mail has more than {MOST_MAIL} bytes")
    if mail[:MOST_MAIL].lower().count(b"boundary") > MOST_PARTS:
        raise NotABounce(f"the mail has more than {MOST_PARTS} parts")
    key = _key(BytesHeaderParser(policy=policy.compat32).parsebytes(mail), address, secret)
    try:
        found = BytesParser(policy=policy.compat32).parsebytes(mail)
        said = _reported(found) or _written(found)
    except (RecursionError, LookupError, ValueError) as fault:  # too deep, no such codec, no base 64
        raise NotABounce(f"the mail can't be read: {type(fault).__name__}") from fault
    if said is None:
        raise NotABounce("the mail says of no message that it did not arrive")
    return Bounce(key, *said)


def take_bounce(engine: Engine, bounce: Bounce, at: datetime) -> bool:
    """Put it on record; nobody's address is written to no more. The same again changes nothing.

    Returns whether it is new.
    """
    values = {"key": bounce.key, "at": at, "detail": bounce.why}
    with engine.begin() as connection:
        statement = DELAYED if bounce.fate == "delayed" else FAILED
        row = connection.execute(statement, values).one_or_none()
        if row is not None and row.address and bounce.fate == "nobody":
            say(connection, "email", row.address, False, f"{BOUNCED}{bounce.why}", at)
    return row is not None


def no_ones(status: str, said: str) -> bool:
    """Whether the address is no one's: by the status, or where that says nothing more than "failed" by the words."""
    if status in NOBODY:
        return True
    inner = STATUS.search(said)
    if status.endswith(".0.0") or not status:
        return (inner is not None and inner[1] in NOBODY) or (
            (inner is None or inner[1].endswith(".0.0")) and UNKNOWN.search(said) is not None
        )
    return False


# --- within -----------------------------------------------------------------------------------------------------


def _mark(secret: str, key: str) -> bytes:
    return hmac.digest(secret.encode(), f"bounce {key}".encode(), sha256)[:MARK_BYTES]


def _key(headers: Message, address: str, secret: str) -> str:
    """The key in the address that the mail came to. Raises :class:`NotABounce`."""
    name, _, domain = address.rpartition("@")
    ours = re.compile(rf"{re.escape(name)}\+([a-z2-7]{{{TOKEN}}})@{re.escape(domain)}", re.IGNORECASE)
    forged = False
    for header in ADDRESSED:
        for value in headers.get_all(header, [])[:MOST_PARTS]:
            for token in ours.findall(str(value)[:MOST_TEXT])[:MOST_PARTS]:
                raw = b32decode(token.upper() + "=" * (-TOKEN % 8))
                key = raw[:KEY_BYTES].hex()
                if hmac.compare_digest(raw[KEY_BYTES:], _mark(secret, key)):
                    return key
                forged = True
    if forged:
        raise NotABounce("the mail's return address is none that we made")
    raise NotABounce(f"the mail came to no return address at {address}")


def _reported(mail: Message) -> tuple[Fate, str] | None:
    """What a report says of the one recipient that a mail of ours has (RFC 3464, 2.3)."""
    for part in _parts(mail):
        if part.get_content_type() != "message/delivery-status":
            continue
        blocks = part.get_payload()
        for block in blocks[:MOST_PARTS] if isinstance(blocks, list) else ():
            if not isinstance(block, Message):
                continue
            action = str(block.get("Action", "")).partition("(")[0].strip().lower()
            status = STATUS.search(str(block.get("Status", "")))
            said = SMTP.sub("", str(block.get("Diagnostic-Code", ""))[:MOST_TEXT])
            why = _short(said if status and status[1] in said else f"{status[1] if status else ''} {said}")
            if action == "failed":
                return ("nobody" if no_ones(status[1] if status else "", said) else "failed"), why
            if action == "delayed":
                return "delayed", why
    return None


def _written(mail: Message) -> tuple[Fate, str] | None:
    """What a server says in words, where it writes no report: of servers alone, not of a robot or a person."""
    by_server = SERVERS.search(str(mail.get("From", ""))[:MOST_TEXT]) or mail.get("X-Failed-Recipients")
    if not by_server:
        return None
    part = next((each for each in _parts(mail) if each.get_content_type() == "text/plain"), None)
    body = part.get_payload(decode=True) if part is not None else b""
    said = body[:MOST_TEXT].decode("utf-8", "replace") if isinstance(body, bytes) else ""
    status, code = STATUS.search(said), REPLY_CODE.search(said)
    found = status[1] if status else code[1] if code else ""
    at = min((each.start() for each in (status, code) if each), default=0)
    unknown = UNKNOWN.search(said)
    if not found and not unknown and not mail.get("X-Failed-Recipients"):
        return None
    why = _short(said[max(0, (unknown.start() if unknown and not found else at) - 40) :])
    if found.startswith("4"):
        return "delayed", why
    return ("nobody" if no_ones(status[1] if status else "", said) else "failed"), why


def _parts(mail: Message) -> Iterator[Message]:
    """The mail and its parts, as far as one looks; not those of a mail that it brings back."""
    yield mail
    if mail.get_content_maintype() == "multipart" and isinstance(parts := mail.get_payload(), list):
        for part in parts[:MOST_PARTS]:
            if isinstance(part, Message):
                yield from _parts(part)


def _short(said: str) -> str:
    return plain(said)[:MOST_REPLY].strip()
