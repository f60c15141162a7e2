"""Whatever the clock, the lists, what people said and what they had before: no message leaves outside its limits.

The outbox over a real database, beside a plain reading of the same facts that shares nothing with the decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from tests.campaigns.messages.world import MISSED, Writing

ZONES = ("Asia/Shanghai", "Asia/Urumqi", "America/New_York", "Europe/London")
PEOPLE = 6
LIMITS = '[messages]\nconsent = ["sms"]\n[messages.caps.sms]\nday = 1\ndays_30 = 2\n'
BASE = datetime(2026, 11, 26, tzinfo=UTC)
EMPTY = ("message", "message_choice", "dnc", "dnc_prefix", "lock_out", "segment_member")
INTO = """
INSERT INTO message (campaign_id, step, channel, lead_id, number_id, call_id, leased_at, event, due_at, next_at, state,
    address, customer_id, permitted_at)
SELECT l.campaign_id, :step, 'sms', l.id, n.id, gen_random_uuid(), :due, 'outcome no_answer', :due, :due, :state,
    :address, :customer, :permitted
FROM lead l JOIN number n ON n.lead_id = l.id WHERE l.customer_id = :of
"""


@dataclass(frozen=True)
class Known:
    """What is known of one customer, in hours before (or after) the moment of asking."""

    zone: str
    choices: tuple[tuple[bool, float, float | None], ...] = ()  # agreed, when, and for how long
    before: tuple[float, ...] = ()  # messages
    by_number: bool = True  # those before are known by the number, else by the customer alone
    barred: float | None = None  # until when, hours from now; None: not at all
    prefix: bool = False
    locked: float | None = None
    held_out: bool = False


HOURS = st.integers(1, 40 * 24).map(lambda h: h + 0.25)
KNOWN = st.builds(
    Known,
    zone=st.sampled_from(ZONES),
    choices=st.lists(
        st.tuples(st.sampled_from([True, True, True, False]), HOURS, st.none() | HOURS), min_size=1, max_size=3,
        unique_by=lambda c: c[1],
    ).map(tuple),
    before=st.lists(HOURS, max_size=3).map(tuple),
    by_number=st.booleans(),
    barred=st.sampled_from([None, None, None, -1.5, 2.5]),
    prefix=st.booleans(),
    locked=st.sampled_from([None, None, None, -1.5, 2.5]),
    held_out=st.sampled_from([False, False, False, True]),
)  # fmt: skip


def allowed(known: Known, now: datetime) -> bool:
    """The limits, read plainly."""
    here = ZoneInfo(known.zone)
    local = now.astimezone(here)
    said = [(now - timedelta(hours=ago), agreed, lasts) for agreed, ago, lasts in known.choices]
    agreed = max(said)[1]
    # A yes that has no end still holds where one that was said after it has ended.
    since_no = [
        c
        for c in said
        if c[0] > max((c[0] for c in said if not c[1]), default=datetime.min.replace(tzinfo=UTC))
    ]
    consent = agreed and any(
        lasts is None or at + timedelta(hours=lasts) > now for at, yes, lasts in since_no if yes
    )
    before = [now - timedelta(hours=ago) for ago in known.before]
    return (
        9 <= local.hour < 20
        and consent
        and not any(at.astimezone(here).date() == local.date() for at in before)
        and sum(at > now - timedelta(days=30, hours=1) for at in before) < 2
        and not (known.barred is not None and known.barred > 0)
        and not (known.locked is not None and known.locked > 0)
        and not known.held_out
    )


@pytest.mark.timeout(240)
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=st.lists(KNOWN, min_size=PEOPLE, max_size=PEOPLE), minutes=st.integers(0, 3 * 24 * 60))
def test_no_message_leaves_outside_its_limits(db: Engine, people: list[Known], minutes: int) -> None:
    now = BASE + timedelta(minutes=minutes)
    world = the_world(db)
    with db.begin() as connection:
        for table in EMPTY:
            connection.execute(text(f"DELETE FROM {table}"))
        for n, known in enumerate(people):
            put(connection, world, n, known, now)
    found = {letter.address for letter in world.claim(now, ("sms",))}
    assert found == {number(n) for n, known in enumerate(people) if allowed(known, now)}


WORLDS: dict[str, Writing] = {}


def the_world(db: Engine) -> Writing:
    """One campaign for all examples on a database."""
    return WORLDS.setdefault(str(db.url), Writing(db, steps=LIMITS + MISSED, customers=PEOPLE))


def number(n: int) -> str:
    return f"+8613800{n:06d}"


def put(connection, world: Writing, n: int, known: Known, now: datetime) -> None:  # type: ignore[no-untyped-def]
    """Have the database know this of the n-th customer, to whom a message is due."""

    def run(sql: str, **values: object) -> None:
        connection.execute(text(sql), values)

    def away(hours: float) -> datetime:
        return now + timedelta(hours=hours)

    run("UPDATE lead SET zones = ARRAY[:zone] WHERE customer_id = :c", zone=known.zone, c=f"c{n}")
    due = {"of": f"c{n}", "due": now - timedelta(minutes=1)}
    run(INTO, **due, step="missed", state="waiting", address=None, customer=None, permitted=None)
    for place, hours in enumerate(known.before):
        address, customer = (number(n), None) if known.by_number else ("+8613811111111", f"c{n}")
        run(
            INTO, **due, step=f"before{place}", state="sent", address=address, customer=customer, permitted=away(-hours)
        )  # fmt: skip
    for agreed, ago, lasts in known.choices:
        run(
            "INSERT INTO message_choice (channel, address, agreed, source, at, expires_at)"
            " VALUES ('sms', :a, :yes, 's', :at, :until)",
            a=number(n), yes=agreed, at=away(-ago), until=None if lasts is None else away(lasts - ago),
        )  # fmt: skip
    if known.barred is not None:
        table, column = ("dnc_prefix", "prefix") if known.prefix else ("dnc", "e164")
        run(
            f"INSERT INTO {table} ({column}, layer, campaign_id, source, reason, at, expires_at)"
            " VALUES (:p, 'company', 0, 's', '', :at, :until)",
            p=number(n), at=away(-100), until=away(known.barred),
        )  # fmt: skip
    if known.locked is not None:
        run(
            "INSERT INTO lock_out (e164, until, reason) VALUES (:p, :until, 'refusal')",
            p=number(n),
            until=away(known.locked),
        )
    if known.held_out:
        run("SET LOCAL session_replication_role = replica")
        run(
            "INSERT INTO segment_member (campaign_id, party, take_id, held_out) VALUES (:g, :p, 1, true)",
            g=world.campaign.id, p=f"customer c{n}",
        )  # fmt: skip
        run("SET LOCAL session_replication_role = DEFAULT")
