"""May this message be sent now? The decision about calls, asked with what is known of messages by its channel."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from campaigns.config import CampaignConfig
from campaigns.messages.keys import MessageStep, rules_of
from campaigns.rules.decision import Barred, Called, Consent, Facts
from campaigns.rules.known import Known, party_of
from campaigns.rules.profiles import PROFILES
from campaigns.rules.terms import Terms, terms_of

BUCKETS = 1_000_000
BOUNCED = "bounced: "  # the source of a no that a mail server said, not the person
EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody said of being written to at an address, by one channel; `expires_at` None: without an end."""

    id: int
    agreed: bool
    source: str
    at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a message is for: the lead, its number that was called, and where the message goes."""

    lead_id: int
    campaign_id: int
    number: str
    address: str
    customer_id: str | None
    region: str
    zones: tuple[str, ...]

    @property
    def party(self) -> str:
        """Who it is, for what is drawn by customer."""
        return party_of(self.customer_id) if self.customer_id else self.number


@dataclass(frozen=True, slots=True)
class Announced:
    """By what a campaign announces its calls: the step, and what holds for its messages."""

    step: MessageStep
    terms: Terms


def announced_by(config: CampaignConfig) -> Announced | None:
    """How a campaign announces its calls; None: it does not."""
    step = next((each for each in config.messages.steps if each.before_call_s), None)
    return Announced(step, terms_for(config, step)) if step is not None else None


def terms_for(config: CampaignConfig, step: MessageStep) -> Terms:
    """What holds for a step: hours and caps as for calls, and consent as its channel needs it."""
    rules = rules_of(config.messages, config.rules, step.channel)
    asked = step.channel in (*PROFILES[rules.profile].message_consent, *config.messages.consent)
    return dataclasses.replace(
        terms_of(rules, config.running), consent=asked and step.purpose == "marketing", _openings={}
    )


def facts_for(
    recipient: Recipient,
    step: MessageStep,
    known: Sequence[Known],
    choices: Sequence[Choice],
    to_address: Called,
    to_customer: Called | None,
    now: datetime,
) -> Facts:
    """What the decision wants to know. `known` is of the number called, and of another one that a text goes to;
    `to_address` and `to_customer` are the messages so far, by this channel.
    """
    locked = max(known, key=lambda each: each.locked_until or EVER)
    barred = [entry for each in known for entry in each.dnc]
    return Facts(
        call_id="",
        zones=recipient.zones,
        attempts=0,
        number=recipient.address if step.channel == "sms" else recipient.number,
        region=recipient.region,
        campaign_id=recipient.campaign_id,
        locked_until=locked.locked_until,
        lock=locked.lock,
        dnc=(*barred, *_barred(choices, step.channel, recipient.address, now)),
        consents=consents(choices),
        called=to_address,
        customer=to_customer,
    )


def consents(choices: Iterable[Choice]) -> tuple[Consent, ...]:
    """The times in which somebody agreed: each until it expires, or until they said no."""
    said = sorted(choices, key=lambda c: (c.at, c.id))
    found = []
    for index, each in enumerate(said):
        if each.agreed:
            ends = [c.at for c in said[index + 1 :] if not c.agreed][:1]
            ends += [each.expires_at] if each.expires_at is not None else []
            found.append(Consent(each.id, each.at, min(ends, default=None)))
    return tuple(found)


def bounced(choices: Sequence[Choice]) -> str:
    """What a mail server said of the address, when that is the last word of it; else empty."""
    last = max(choices, key=lambda c: (c.at, c.id), default=None)
    return last.source.removeprefix(BOUNCED) if last is not None and last.source.startswith(BOUNCED) else ""


def held_out(campaign: str, step: MessageStep, party: str) -> bool:
    """Whether a customer is one of those who get no message of this step, fixed for good."""
    drawn = sha256(f"{campaign}\n{step.code}\n{party}".encode()).digest()
    return int.from_bytes(drawn[:8]) % BUCKETS < step.hold_out * BUCKETS


def _barred(choices: Sequence[Choice], channel: str, address: str, now: datetime) -> tuple[Barred, ...]:
    """The last word, when it is a no; one whose time is yet to come, by a clock that runs ahead, counts already."""
    said = [c for c in choices if not c.agreed or c.at <= now]
    last = max(said, key=lambda c: (c.at, c.id), default=None)
    if last is None or last.agreed:
        return ()
    return (Barred(channel, address, last.source),)
