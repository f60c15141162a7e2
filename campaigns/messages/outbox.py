"""The outbox: what is due is permitted, written and leased in one transaction, sent by whoever has the lease, settled.

What is guaranteed. A step's message is there once for each lead. While its lease lasts it is one engine's; the lease is
longer than a sending may take. An engine that dies before it could say what came of it leaves the lease to run out, and
the message is sent again under the same key: at least once, and once wherever the receiver knows a key again. All that
permits a message is asked in the transaction that leases it, so also before it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from campaigns.config import CampaignConfig, ConfigError, parse
from campaigns.messages.choices import NotAnAddress, address_of, say
from campaigns.messages.keys import BEFORE, UNSUBSCRIBE, MessageStep
from campaigns.messages.permission import BOUNCED, Choice, Recipient, bounced, facts_for, held_out, terms_for
from campaigns.messages.writing import NoValue, language_of, written
from campaigns.numbers import country_of
from campaigns.prepared import PLANNED
from campaigns.rules.basis import bases_on_record, basis_of
from campaigns.rules.decision import NEVER_CALLED, Called, Facts, consent_of, may_call
from campaigns.rules.known import OnRecord, on_record, parties, party_of
from campaigns.rules.terms import Terms
from campaigns.values import Refusal, RefusalReason

LEASE = timedelta(minutes=5)  # longer than any channel may take for one message
TOO_LATE = timedelta(days=7)  # after it was due a message says nothing that is true any more
LOOK_AGAIN = timedelta(minutes=10)  # for what waits for something other than time
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)  # doubling, after what failed
MOST_TRIES = 12  # some seven hours
FOR_GOOD = frozenset(
    {RefusalReason.DNC, RefusalReason.DESTINATION, RefusalReason.NO_ZONE, RefusalReason.CAP_LIFE}
)
UNREADABLE = "unreadable"  # the campaign's newest version, by this program
HOUR = frozenset({RefusalReason.WINDOW, RefusalReason.CAMPAIGN_STOPPED})

# Due ones that nobody else is at, with the lead as it is now. A talk since then has overtaken what was due after a call
# that reached nobody; a disposition that was corrected takes back what it had made due; and of a call that was made
# already, or will not be, nobody is told. Who was taken back since with their list is written to no more for that call.
DUE = text("""
SELECT m.id, m.campaign_id, m.step, m.channel, m.lead_id, m.event, m.due_at, m.tries, m.permitted_at,
    replace(m.key::text, '-', '') AS key, l.name, l.attributes, l.region, l.zones, l.customer_id, n.e164,
    c.name AS campaign, v.change, v.version, v.text,
    CASE WHEN m.event LIKE 'outcome %' AND EXISTS (SELECT FROM attempt a WHERE a.lead_id = m.lead_id
            AND a.leased_at > m.leased_at AND a.connected_at IS NOT NULL) THEN 'overtaken'
        WHEN m.event LIKE 'disposition %' AND EXISTS (SELECT FROM disposition d WHERE d.call_id = m.call_id
            AND d.leased_at = m.leased_at AND 'disposition ' || d.code <> m.event) THEN 'corrected'
        WHEN m.event = 'before' AND l.last_call IS NOT NULL THEN 'called'
        WHEN m.event = 'before' AND NOT l.open THEN 'closed'
        ELSE '' END AS gone,
    l.taken_back_at >= m.leased_at AS taken_back,
    EXISTS (SELECT FROM segment_member s WHERE s.campaign_id = m.campaign_id AND s.held_out
        AND s.party IN ('customer ' || l.customer_id, n.e164)) AS held_out
FROM message m JOIN lead l ON l.id = m.lead_id JOIN number n ON n.id = m.number_id
JOIN campaign c ON c.id = m.campaign_id
JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version
WHERE m.state IN ('waiting', 'sending') AND m.next_at <= :now AND m.channel = ANY(:channels)
ORDER BY m.next_at, m.id LIMIT :limit
FOR UPDATE OF m SKIP LOCKED
""")
# What was permitted counts, whatever came of it: as with calls, and as nobody knows what an engine that died had sent.
# Two engines that write to one person wait for each other here: what is counted after that holds until the commit.
HOLD = text("""
SELECT pg_advisory_xact_lock(h) FROM (
    SELECT DISTINCT hashtextextended('message ' || p, 0) AS h FROM unnest(CAST(:parties AS text[])) p
    ORDER BY 1 OFFSET 0
) x
""")
# Engines with one database share a channel's rate: each waits here for what the others have let go.
RATE = text("SELECT pg_advisory_xact_lock(hashtextextended('messages by ' || :channel, 0))")
LET_GO = text("SELECT count(*) FROM message WHERE channel = :channel AND permitted_at > :since")
COUNTED = text("""
SELECT id, channel, address, customer_id, permitted_at, campaign_id FROM message
WHERE permitted_at IS NOT NULL AND address = ANY(:addresses)
UNION
SELECT id, channel, address, customer_id, permitted_at, campaign_id FROM message
WHERE permitted_at IS NOT NULL AND customer_id = ANY(:customers)
""")
CHOICES = text("""
SELECT channel, address, id, agreed, source, at, expires_at FROM message_choice WHERE address = ANY(:addresses)
""")
# Of one that was permitted before, the share stays as it was when it was drawn, or unknown.
TAKEN = text("""
UPDATE message SET state = 'sending', reason = '', detail = '', tries = tries + 1, next_at = :until, engine = :engine,
    customer_id = :customer, address = :address, sender = :sender, subject = :subject, body = :body,
    permitted_at = :now, basis_id = :basis, choice_id = :choice,
    hold_out = CASE WHEN permitted_at IS NULL THEN :hold_out ELSE hold_out END
WHERE id = :id
""")
LATER = text("""
UPDATE message SET state = 'waiting', reason = :reason, detail = :detail, next_at = :next
WHERE id = :id
""")
NOT_SENT = text("""
UPDATE message SET state = 'not_sent', reason = :reason, detail = :detail, customer_id = :customer,
    next_at = :now, hold_out = :hold_out
WHERE id = :id
""")
# Only by who has the lease: an engine that slept over it changes nothing.
_MINE = "WHERE id = :id AND state = 'sending' AND tries = :tries AND engine = :engine"
SENT = text(f"UPDATE message SET state = 'sent', sent_at = :now {_MINE}")
# An id that the other end gives anew is its newest message's.
PARTS = text("""
INSERT INTO message_part (remote_id, message_id)
SELECT DISTINCT id, CAST(:message AS bigint) FROM unnest(CAST(:ids AS text[])) AS t (id)
ON CONFLICT (remote_id) DO UPDATE SET message_id = excluded.message_id, delivered = false
""")
TRY_LATER = text(f"""
UPDATE message SET state = 'waiting', reason = 'failed', detail = :detail, next_at = :next {_MINE}
""")
FAILED = text(f"UPDATE message SET state = 'failed', reason = 'failed', detail = :detail {_MINE}")
WAITING = text("""
SELECT channel, count(*) AS waiting FROM message WHERE state IN ('waiting', 'sending') GROUP BY channel
""")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that may be sent now, until its lease ends. `link`: it can be answered with one click."""

    message_id: int
    key: str
    tries: int  # with this one
    channel: str
    campaign: str
    address: str
    sender: str
    subject: str
    body: str
    link: str = ""

    @property
    def last(self) -> bool:
        """Whether it is given up when this try fails."""
        return self.tries >= MOST_TRIES


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one look at the outbox came to: what may be sent, how many others by (channel, reason); and whether a
    channel has had all that it is let have at the moment.
    """

    letters: tuple[Letter, ...]
    others: Mapping[tuple[str, str], int]
    full: bool = False


@dataclass(frozen=True, slots=True)
class _Case:
    """A due message with its step, as far as it can be asked about."""

    row: Row[Any]
    config: CampaignConfig
    step: MessageStep
    terms: Terms
    recipient: Recipient

    @property
    def asked(self) -> tuple[_Case, ...]:
        """As the numbers' records are asked: of the number that was called, and of another that a text goes to."""
        whom = self.recipient
        if self.step.channel != "sms" or whom.address == whom.number:
            return (self,)
        return self, replace(self, recipient=replace(whom, number=whom.address))

    # What the numbers' records are asked with.
    @property
    def lead_id(self) -> int:
        return self.recipient.lead_id

    @property
    def call_id(self) -> str:
        return ""

    @property
    def e164(self) -> str:
        return self.recipient.number

    @property
    def customer_id(self) -> str | None:
        return self.recipient.customer_id

    @property
    def campaign_id(self) -> int:
        return self.recipient.campaign_id


class Outbox:
    """The outbox of one database, for the engine `name`. `public_url` is what links begin with. Every method blocks.

    `per_second`: so many messages of a channel are let go in any second at most, over all engines.
    """

    def __init__(
        self, engine: Engine, name: str, public_url: str = "", per_second: Mapping[str, float] | None = None
    ) -> None:
        self._engine = engine
        self._name = name
        self._public_url = public_url.rstrip("/")
        self._per_second = dict(per_second or {})
        self._configs: dict[int, CampaignConfig | None] = {}

    def claim(self, channels: Sequence[str], limit: int, now: datetime) -> Claimed:
        """Up to `limit` messages that are due are looked at; those that may be sent at `now` are leased to us."""
        letters: list[Letter] = []
        others: dict[tuple[str, str], int] = {}
        full = False

        def other(channel: str, reason: str) -> None:
            others[channel, reason] = others.get((channel, reason), 0) + 1

        with self._engine.begin() as connection:
            free = [channel for channel in channels if channel not in self._per_second]
            due = list(connection.execute(DUE, {"now": now, "channels": free, "limit": limit}))
            for channel in sorted(self._per_second.keys() & set(channels)):
                room = self._room(connection, channel, now)
                full |= room < limit
                values = {"now": now, "channels": [channel], "limit": min(room, limit)}
                due += connection.execute(DUE, values)
            cases: list[_Case] = []
            for row in due:
                found = self._case(row, now)
                if isinstance(found, _Case):
                    cases.append(found)
                elif found is None:  # a newer engine may know it, or this one when its program is as new
                    other(row.channel, UNREADABLE)
                    detail = f"version {row.version} is not one that this engine can read"
                    _later(connection, row, UNREADABLE, detail, now + LOOK_AGAIN)
                else:
                    other(row.channel, found[0])
                    _not_sent(connection, row, *found, now=now)
            if cases:
                self._judge(connection, cases, now, letters, other)
        return Claimed(tuple(letters), others, full)

    def sent(self, letter: Letter, now: datetime, ids: Sequence[str] = ()) -> bool:
        """Record that it was taken at the other end, in parts that it tells of by these ids, if it does.

        False: the lease was not ours any more.
        """
        return self._settle(SENT, letter, ids, now=now)

    def failed(self, letter: Letter, now: datetime, fault: str, for_good: bool, nobody: bool = False) -> bool:
        """Record that it was not: it is tried again later, or given up. `nobody`'s address is written to no more."""
        if nobody:
            with self._engine.begin() as connection:
                say(connection, letter.channel, letter.address, False, f"{BOUNCED}{fault}", now)
        if for_good or letter.last:
            return self._settle(FAILED, letter, detail=fault)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (letter.tries - 1))
        return self._settle(TRY_LATER, letter, detail=fault, next=now + pause)

    def waiting(self) -> Mapping[str, int]:
        """How many are not sent yet, by channel."""
        with self._engine.connect() as connection:
            return {row.channel: row.waiting for row in connection.execute(WAITING)}

    # --- within -----------------------------------------------------------------------------------------------

    def _room(self, connection: Connection, channel: str, now: datetime) -> int:
        """How many more may be let go now; until the transaction ends no other engine lets any go."""
        rate = self._per_second[channel]
        span_s = max(1.0, 1.0 / rate)
        connection.execute(RATE, {"channel": channel})
        values = {"channel": channel, "since": now - timedelta(seconds=span_s)}
        return max(0, int(rate * span_s + 1e-9) - connection.execute(LET_GO, values).scalar_one())

    def _settle(self, statement: Any, letter: Letter, ids: Sequence[str] = (), **values: Any) -> bool:
        values |= {"id": letter.message_id, "tries": letter.tries, "engine": self._name}
        with self._engine.begin() as connection:
            ours = connection.execute(statement, values).rowcount == 1
            if ours and ids:
                connection.execute(PARTS, {"message": letter.message_id, "ids": list(ids)})
        return ours

    def _case(self, row: Row[Any], now: datetime) -> _Case | tuple[str, str] | None:
        """What is asked about, or why there is nothing to ask; None where this program can't know."""
        if row.gone:
            return row.gone, ""
        if now > row.due_at + TOO_LATE:
            return "too_late", f"was due at {row.due_at:%F %T}Z"
        config = self._config(row)
        if config is None:
            return None
        step = next((s for s in config.messages.steps if s.code == row.step), None)
        if step is None or step.channel != row.channel:
            return "no_step", f"version {row.version} of the campaign has no such step"
        if row.taken_back and step.purpose == "marketing":  # what was ordered is confirmed all the same
            return "closed", ""
        try:
            address = _address(row, step)
        except NotAnAddress:
            return "no_address", f"the attribute {step.to!r} has none"
        zones, region = tuple(row.zones), row.region
        recipient = Recipient(row.lead_id, row.campaign_id, row.e164, address, row.customer_id, region, zones)
        return _Case(row, config, step, terms_for(config, step), recipient)

    def _config(self, row: Row[Any]) -> CampaignConfig | None:
        """The campaign's newest version; None when this program can't read it."""
        with suppress(KeyError):  # a channel is looked at in a thread; another's may clear it meanwhile
            return self._configs[row.change]
        try:
            config = parse(row.text, f"campaign {row.campaign}")
        except ConfigError:
            config = None
        if len(self._configs) > 1_000:
            self._configs.clear()
        self._configs[row.change] = config
        return config

    def _judge(
        self,
        connection: Connection,
        cases: list[_Case],
        now: datetime,
        letters: list[Letter],
        other: Callable[[str, str], None],
    ) -> None:
        whom = {p for c in cases for p in (*parties(c.e164, c.customer_id), c.recipient.address)}
        connection.execute(HOLD, {"parties": sorted(whom)})
        before = _Before(connection, cases)
        connection.exec_driver_sql(PLANNED)
        known = on_record(connection, [each for case in cases for each in case.asked])
        permitted: list[tuple[_Case, Facts, Letter]] = []
        for case in cases:
            answer = self._answer(case, before, known, now)
            if isinstance(answer, Refusal):
                other(case.row.channel, str(answer.reason))
                _refused(connection, case.row, answer, now)
            elif isinstance(answer[1], str):
                other(case.row.channel, answer[0])
                _not_sent(connection, case.row, answer[0], answer[1], now=now, share=case.step.hold_out)
            else:
                permitted.append((case, answer[0], answer[1]))
                before.add(case, now)
        bases = [basis_of(facts, case.terms, case.row.change, now) for case, facts, _ in permitted]
        ids = bases_on_record(connection, bases)
        for (case, facts, letter), basis in zip(permitted, bases, strict=True):
            values = {
                "id": case.row.id, "until": now + LEASE, "engine": self._name, "customer": case.customer_id,
                "address": letter.address, "sender": letter.sender, "subject": letter.subject, "body": letter.body,
                "now": now, "basis": ids[basis], "choice": consent_of(facts, now),
                "hold_out": case.step.hold_out,
            }  # fmt: skip
            connection.execute(TAKEN, values)
            letters.append(letter)

    def _answer(
        self, case: _Case, before: _Before, known: OnRecord, now: datetime
    ) -> Refusal | tuple[str, str] | tuple[Facts, Letter]:
        """A refusal; or why none is to be sent, in a word and in detail; or the facts and what is sent."""
        step, whom = case.step, case.recipient
        facts = facts_for(
            whom,
            step,
            [known.of(each) for each in case.asked],
            before.choices(case),
            before.to_address(case),
            before.to_customer(case),
            now,
        )
        if why := bounced(before.choices(case)):
            return "no_one", why
        answer = may_call(facts, case.terms, now)
        if isinstance(answer, Refusal):
            return answer
        try:
            letter = self._written(case)
        except NoValue as fault:
            return "no_value", str(fault)
        # Last: who is held out is then like who is sent one, permitted at the same moment.
        if case.row.held_out:
            return "held_out_of_calls", ""
        # Drawn once: a message that is tried again may have arrived, whatever the share is by now.
        if case.row.permitted_at is None and held_out(case.row.campaign, step, whom.party):
            return "held_out", ""
        return facts, letter

    def _written(self, case: _Case) -> Letter:
        row, step, messages = case.row, case.step, case.config.messages
        link = ""
        if step.channel == "email" and step.purpose == "marketing":
            link = f"{self._public_url}/unsubscribe/{row.key}"
        values = {name: str(value) for name, value in row.attributes.items() if value is not None}
        values |= {
            "name": row.name,
            "customer_id": row.customer_id or "",
            "number": row.e164,
            "campaign": row.campaign,
        }
        values[UNSUBSCRIBE] = link
        language = language_of(values.get(messages.language, ""), step.text)
        return Letter(
            message_id=row.id,
            key=row.key,
            tries=row.tries + 1,
            channel=row.channel,
            campaign=row.campaign,
            address=case.recipient.address,
            sender=step.sender,
            subject=written(step.subject[language], values) if step.subject else "",
            body=written(step.text[language], values),
            link=link,
        )


class _Before:
    """What was sent to these people before, by the channel of each, and what they said of it."""

    def __init__(self, connection: Connection, cases: Sequence[_Case]) -> None:
        addresses = sorted({c.recipient.address for c in cases})
        customers = sorted({c.customer_id for c in cases if c.customer_id})
        ours = {c.row.id for c in cases}
        self._choices: dict[tuple[str, str], list[Choice]] = {}
        self._messages: dict[tuple[str, str], Called] = {}
        for channel, address, *said in connection.execute(CHOICES, {"addresses": addresses}):
            self._choices.setdefault((channel, address), []).append(Choice(*said))
        for row in connection.execute(COUNTED, {"addresses": addresses, "customers": customers}):
            if row.id not in ours:  # one whose lease ran out is the one that is asked about
                self._count(row.channel, row.address, row.customer_id, row.permitted_at, row.campaign_id)

    def choices(self, case: _Case) -> Sequence[Choice]:
        return self._choices.get((case.step.channel, case.recipient.address), ())

    def to_address(self, case: _Case) -> Called:
        return self._messages.get((case.step.channel, case.recipient.address), NEVER_CALLED)

    def to_customer(self, case: _Case) -> Called | None:
        if not case.customer_id:
            return None
        return self._messages.get((case.step.channel, party_of(case.customer_id)), NEVER_CALLED)

    def add(self, case: _Case, now: datetime) -> None:
        """One more is permitted."""
        self._count(case.step.channel, case.recipient.address, case.customer_id, now, case.campaign_id)

    def _count(
        self, channel: str, address: str, customer_id: str | None, at: datetime, campaign_id: int
    ) -> None:
        for party in parties(address, customer_id):
            was = self._messages.get((channel, party), NEVER_CALLED)
            self._messages[channel, party] = Called((*was.recent, (at, campaign_id)), was.life + 1)


def _address(row: Row[Any], step: MessageStep) -> str:
    """Where a message goes. Raises :class:`NotAnAddress`: the step's attribute has none."""
    if not step.to:
        return row.e164
    return address_of(step.channel, str(row.attributes.get(step.to) or ""), country_of(row.e164))


def _refused(connection: Connection, row: Row[Any], refusal: Refusal, now: datetime) -> None:
    """Look at it again when the reason may not hold any more; what holds for good ends it.

    A call that was to be announced waits for the hour alone: else it comes without.
    """
    ends = row.event == BEFORE and refusal.reason not in HOUR
    if ends or (refusal.until is None and refusal.reason in FOR_GOOD):
        _not_sent(connection, row, str(refusal.reason), refusal.detail, now=now)
        return
    until = refusal.until if refusal.until is not None and refusal.until > now else now + LOOK_AGAIN
    _later(connection, row, str(refusal.reason), refusal.detail, until)


def _later(connection: Connection, row: Row[Any], reason: str, detail: str, until: datetime) -> None:
    connection.execute(LATER, {"id": row.id, "reason": reason, "detail": detail, "next": until})


def _not_sent(
    connection: Connection, row: Row[Any], reason: str, detail: str, now: datetime, share: float | None = None
) -> None:
    values = {"id": row.id, "reason": reason, "detail": detail, "customer": row.customer_id, "now": now}
    connection.execute(NOT_SENT, values | {"hold_out": share})
