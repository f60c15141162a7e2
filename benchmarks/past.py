"""A call centre's past, made fast: campaigns with leads and a year of attempts, and lists to import beside them.

Not a benchmark itself. Leads and attempts are made by PostgreSQL from the numbers 1, 2, 3, …: lead, number and person
have the same one, scattered over the numbers of one prefix. Attempts lie in the months before the last one; each month
is filled before it is attached, so its indexes are built once, and it is not logged, since nothing writes to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, text

from campaigns.partitions import attach, bounds, month_of, partition_name
from campaigns.rules.keys import WEEKDAYS
from campaigns.store import CampaignStore

CAMPAIGNS = 10
MONTHS = range(-13, -1)  # relative to this one; the last one and this one are made by the migrations
SHARED = 5  # one number in so many of a campaign's is in the next campaign as well
SCATTER, ALL_NUMBERS = 7_919, 100_000_000  # a prime, and the numbers that begin with one prefix
BARRED = 200_000
KNOWN = 20  # one row in so many of a list is somebody's whom a campaign has already
ODD = 10  # one in so many is written as people write numbers
BAD, BAR = 50, 100  # one in so many is no number, one is on a do-not-call list

ANY_TIME = ", ".join(f"{day} = {{ from = 00:00:00, to = 23:59:59.999999 }}" for day in WEEKDAYS)
CONFIG = f'switch = "main"\nrunning = true\nrules.windows = {{ {ANY_TIME} }}\n'

LIST = text("""
INSERT INTO list (campaign_id, name, source, imported_at, accepted, first_lead, last_lead, finished_at)
VALUES (:campaign, 'old', 'made up', :now, :last - :first + 1, :first, :last, :now) RETURNING id
""")
LEADS = text("""
INSERT INTO lead (id, campaign_id, list_id, name, attributes, zones, region, customer_id, open)
OVERRIDING SYSTEM VALUE
SELECT n, :campaign, :list, 'customer ' || n, '{"plan": "5G"}', '{Asia/Shanghai}', '', 'C' || n, :open OR n % 2 = 0
FROM generate_series(CAST(:first AS bigint), :last) n
""")
NUMBERS = text("""
INSERT INTO number (id, lead_id, campaign_id, e164, attempts) OVERRIDING SYSTEM VALUE
SELECT n, n, :campaign, '+86139' || lpad(((n - :shared) * :scatter % :all)::text, 8, '0'), CAST(:attempts AS int)
FROM generate_series(CAST(:first AS bigint), :last) n
""")
PEOPLE = text("SELECT setval('lead_id_seq', :last), setval('number_id_seq', :last)")
ZONE = text("INSERT INTO campaign_zone VALUES (:campaign, 'Asia/Shanghai')")
ATTEMPTS = """
INSERT INTO {month} (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, dialed_at, answered_at,
    connected_at, ended_at, outcome, cause, tech_cause, ring_s, wait_s, talk_s, user_id, harbour_played)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid,
    at, CASE WHEN lead <= :ready THEN 1 ELSE 2 + (lead - :ready - 1) / :each END, lead, lead, 'main', 'engine-1',
    at, CASE WHEN talked THEN at END, CASE WHEN talked THEN at END, at + interval '40 s',
    CASE WHEN talked THEN 'connected' ELSE 'no_answer' END, 16, 0, (n % 1000) / 40.0,
    CASE WHEN talked THEN 0.4 END, CASE WHEN talked THEN (n % 3000) / 7.0 END, CASE WHEN talked THEN n % 150 END, false
FROM (
    SELECT n, n % 3 = 0 AS talked, 1 + n * :scatter % :leads AS lead,
        CAST(:begin AS timestamptz) + (n - :first) * CAST(:step AS interval) AS at
    FROM generate_series(CAST(:first AS bigint), :last) n
) n
"""
CALLED = text("""
INSERT INTO called (party, life, at, campaigns)
SELECT '+86139' || lpad((n * :scatter % :all)::text, 8, '0'), 5, ARRAY[:now - interval '20 days'], '{1}'
FROM generate_series(CAST(1 AS bigint), :last) n
""")
LISTS = text("""
INSERT INTO dnc (e164, layer, source, at)
SELECT '+86138' || lpad((n * :every * :scatter % :all)::text, 8, '0'), 'national', 'registry', :now
FROM generate_series(CAST(1 AS bigint), :barred) n
""")


@dataclass(frozen=True, slots=True)
class Past:
    """What was made: the leads of the first campaign are all to be called."""

    leads: int
    attempts: int
    people: int  # different numbers


def add_campaigns(engine: Engine, count: int, now: datetime) -> None:
    """Running campaigns with ids from 1, that may call at any time."""
    store = CampaignStore(engine)
    for n in range(1, count + 1):
        found = store.apply(f'name = "campaign-{n}"\n{CONFIG}', "made up", "benchmark", now).campaign_id
        assert found == n, f"the campaigns are the first ones in their database, this one is {found}"


def bar_some(engine: Engine, barred: int, now: datetime) -> None:
    """A do-not-call list, on which some rows of every list of :func:`write_list` are."""
    _run(engine, LISTS, every=BAR, barred=barred, now=now)


def make_past(
    engine: Engine, leads: int, ready: int, attempts: int, now: datetime, say: Callable[[str], None]
) -> Past:
    """Fill an empty system: about `attempts` in the last year, and `leads`, of which the first campaign has `ready`."""
    each = (leads - ready) // (CAMPAIGNS - 1)
    leads, month_calls = ready + each * (CAMPAIGNS - 1), attempts // len(MONTHS)
    add_campaigns(engine, CAMPAIGNS, now)
    last = shared = 0
    for n in range(1, CAMPAIGNS + 1):
        first, last = last + 1, last + (ready if n == 1 else each)
        values = {"campaign": n, "first": first, "last": last, "now": now}
        with engine.begin() as connection:
            connection.execute(ZONE, {"campaign": n})
            values["list"] = connection.execute(LIST, values).scalar_one()
        _run(engine, LEADS, open=n == 1, **values)
        _run(engine, NUMBERS, shared=shared, attempts=0 if n == 1 else attempts // leads, **values)
        shared += each // SHARED
        say(f"history: {last:,} of {leads:,} leads")
    _run(engine, PEOPLE, last=leads)
    _run(engine, CALLED, last=leads // SHARED, now=now)
    for n, offset in enumerate(MONTHS):
        month = month_of(now.date(), offset)
        begin, end = bounds(month)
        name = partition_name("attempt", month)
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
            connection.execute(
                text(
                    f"CREATE UNLOGGED TABLE {name} (LIKE attempt INCLUDING DEFAULTS) "
                    "WITH (autovacuum_enabled = off)"
                )
            )
            values = {
                "first": n * month_calls,
                "last": (n + 1) * month_calls - 1,
                "ready": ready,
                "each": each,
                "leads": leads,
                "scatter": SCATTER,
                "begin": begin,
                "step": (end - begin) / month_calls,
            }
            connection.execute(text(ATTEMPTS.format(month=name)), values)
            attach(connection, "attempt", month)
        say(f"history: {(n + 1) * month_calls:,} of {attempts:,} attempts")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE lead, number, called"))
        connection.execute(text("ANALYZE attempt"))
        connection.execute(text("CHECKPOINT"))
    return Past(leads, month_calls * len(MONTHS), leads - shared)


def write_list(path: Path, first: int, rows: int, people: int) -> None:
    """A list as operators have them, of the numbers from `first` on.

    Some rows are no numbers, some are barred; some are of the `people` whom the past of :func:`make_past` has.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write("手机,姓名,客户编号,套餐,地区,月均消费\n")
        for n in range(first, first + rows):
            digits = f"138{n * SCATTER % ALL_NUMBERS:08d}"
            if n % KNOWN == 1:
                digits = f"139{(1 + n // KNOWN * SCATTER % people) * SCATTER % ALL_NUMBERS:08d}"
            elif n % BAD == 2:
                digits = digits[:9]
            if n % ODD == 3:
                digits = f"{digits[:3]}-{digits[3:7]} {digits[7:]}"
            file.write(f"{digits},张{n % 997},L{n},畅享 {n % 7 * 10},城关区,{19 + n % 300}.{n % 90 + 10}\n")


def _run(engine: Engine, statement: object, **values: object) -> None:
    """Without the limit of time, and without looking up what each foreign key points to."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(statement, {"scatter": SCATTER, "all": ALL_NUMBERS} | values)  # type: ignore[call-overload]
