"""What comes back of messages: receipts, replies, and the word that there be no more, by reply or by a mail's link."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
import structlog
from sqlalchemy import Connection, Engine, text

from campaigns.audit import masked
from campaigns.messages.choices import NotAnAddress, address_of, say
from campaigns.messages.writing import plain

log = structlog.get_logger(__name__)

MOST_REPLY = 500  # characters that are kept
SHOWN = 40  # of a sender that can't be read
# 47 CFR 64.1200(a)(10)(i) names the first seven; 退订 and its letters are what Chinese texts ask for (TD, T, R, N).
NO_MORE = frozenset(
    {"stop", "quit", "end", "revoke", "optout", "cancel", "unsubscribe", "stopall", "arret", "退订", "拒收", "取消",
     "td", "t", "r", "n"}
)  # fmt: skip
KEY = re.compile(r"[0-9a-f]{32}")

OF_KEY = text("SELECT id, channel, address FROM message WHERE key = :key AND permitted_at IS NOT NULL")
# A receipt says that it was sent, also where the engine that sent it died before it could.
DELIVERED = text("""
UPDATE message SET delivered_at = COALESCE(delivered_at, :at), sent_at = COALESCE(sent_at, :at), state = 'sent'
WHERE key = :key AND channel = :channel AND permitted_at IS NOT NULL AND state IN ('waiting', 'sending', 'sent')
""")
BOUNCED = text("""
UPDATE message SET bounced_at = COALESCE(bounced_at, :at), reason = 'bounced', detail = :detail
WHERE key = :key AND channel = :channel AND permitted_at IS NOT NULL
""")
WRITTEN_TO = text("""
SELECT EXISTS (SELECT FROM message WHERE channel = :channel AND address = :address AND permitted_at IS NOT NULL)
""")
REPLIED = text("""
UPDATE message SET replied_at = :at, reply = :reply WHERE id = (
    SELECT id FROM message WHERE channel = :channel AND address = :address AND permitted_at IS NOT NULL
    ORDER BY permitted_at DESC LIMIT 1)
""")


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"sender": "from"}):
    """What a gateway tells: that a `message` (its key) was `delivered` or has `failed`, or a `reply` with its `text`
    that came `from` a number or an account.
    """

    kind: Literal["delivered", "failed", "reply"]
    message: str = ""
    sender: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the events: known messages, replies on record, and how many want no more; the rest is unknown."""

    messages: int = 0
    replies: int = 0
    no_more: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Linked:
    """The message that a link was in."""

    message_id: int
    channel: str
    address: str


def linked(engine: Engine, key: str) -> Linked | None:
    """The message of a link; None: there is none, or it was never sent."""
    if not KEY.fullmatch(key):
        return None
    with engine.connect() as connection:
        row = connection.execute(OF_KEY, {"key": key}).one_or_none()
    return None if row is None else Linked(*row)


def no_more(engine: Engine, message: Linked, at: datetime) -> None:
    """Put on record that whoever has the link wants no more."""
    with engine.begin() as connection:
        say(connection, message.channel, message.address, False, f"link of message {message.message_id}", at)


def refuses(reply: str) -> bool:
    """Whether a reply asks for no more: one of the words alone, whatever marks are around it."""
    return re.sub(r"[\W_]+", "", reply).casefold() in NO_MORE


def kept(said: str) -> str:
    """What is kept of another's words: the database holds no NUL, and one is no reason to refuse what came with it."""
    return said.replace("\0", "")[:MOST_REPLY]


def take(engine: Engine, channel: str, events: Sequence[Event], at: datetime) -> Taken:
    """Put on record what a gateway tells, all or nothing; the same told again changes nothing more."""
    messages = replies = refused = unknown = 0
    with engine.begin() as connection:
        for each in events:
            if each.kind == "reply":
                address = _sender(connection, channel, each.sender)
                if not address:
                    told = masked(plain(each.sender)[:SHOWN])
                    log.warning(
                        "a reply is from no address", channel=channel, sender=told, no_more=refuses(each.text)
                    )
                    unknown += 1
                    continue
                values = {"channel": channel, "address": address, "at": at, "reply": kept(each.text)}
                replies += connection.execute(REPLIED, values).rowcount
                if refuses(each.text):
                    # From whoever it comes: who asks not to be written to is heard, known or not.
                    say(connection, channel, address, False, f"reply by {channel}", at)
                    refused += 1
            else:
                known = 0
                if KEY.fullmatch(each.message):
                    values = {
                        "key": each.message,
                        "channel": channel,
                        "at": at,
                        "detail": kept(each.text),
                    }
                    known = connection.execute(
                        DELIVERED if each.kind == "delivered" else BOUNCED, values
                    ).rowcount
                messages += known
                unknown += not known
    return Taken(messages, replies, refused, unknown)


def _sender(connection: Connection, channel: str, told: str) -> str:
    """The address that a reply is from, as messages go to it; empty: it is none.

    Many tell an international number without its +, and may mean a national one: it is the first where that was written
    to. What has no letter and was not written to as it stands is a number, also by a gateway, else an account.
    """
    given = plain(told)
    named = any(map(str.isalpha, given))
    whole = "+" + given.removeprefix("+")
    for each in (given,) if named else (whole,) if channel == "sms" else (given, whole):
        if connection.execute(WRITTEN_TO, {"channel": channel, "address": each}).scalar_one():
            return each
    for each in (channel,) if named else ("sms", channel):
        with suppress(NotAnAddress):
            return address_of(each, given)
    return ""
