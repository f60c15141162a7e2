"""What the rules cost: `python -m benchmarks.rules [--scale S] [--json FILE]`.

At scale 1: ten million numbers on the do-not-call lists and 10,000 prefixes, five million numbers with a month's calls
on record, two million leads. Leads are leased by the thousand and calls authorized by ten, as the engine does at 100
calls a second, on an embedded PostgreSQL; first with those lists and records empty, then full. `why` is asked of a
number and of the whole campaign.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Engine, text

from benchmarks import report
from benchmarks.report import Result, percentile
from campaigns import database
from campaigns.hopper import Hopper
from campaigns.store import CampaignStore
from campaigns.values import Ask, Permit
from campaigns.why import Explainer

BARRED, PREFIXES, CALLED, LEADS = 10_000_000, 10_000, 5_000_000, 2_000_000
LEASED, ASKED = 1_000, 10  # leads of a lease, calls of a question
ROUNDS = 30
LEASE_MS, AUTHORIZE_MS, TIMES, WHY_S = 100.0, 25.0, 2.0, 3.0

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)  # noon in Shanghai, a Tuesday
CAMPAIGN = """
name = "spring"
switch = "main"
running = true
[rules]
profile = "cn-collection"
holidays = "CN"
[rules.number]
days_30 = 8
hours_24 = 3
gap_s = 1800.0
"""
SPARE = 3 * ROUNDS * LEASED  # leads for what is measured with empty lists
NUMBERS = """
INSERT INTO list (campaign_id, name, source, imported_at, accepted) VALUES (:campaign, 'list', 'made up', :now, :leads);
INSERT INTO campaign_zone VALUES (:campaign, 'Asia/Shanghai');
INSERT INTO lead (campaign_id, list_id, name, attributes, zones)
SELECT :campaign, 1, 'customer', '{"plan": "5G"}', '{Asia/Shanghai}' FROM generate_series(1, :leads);
INSERT INTO number (lead_id, campaign_id, e164)
SELECT id, :campaign, '+86138' || lpad(id::text, 8, '0') FROM lead
"""
# One lead in twenty is barred: by a number of its own, or by a prefix that it is alone with.
LISTS = """
INSERT INTO dnc (e164, layer, source, at)
SELECT CASE WHEN n % 5 = 0 AND n < 5 * :leads THEN '+86138' || lpad((n * 4)::text, 8, '0')
    ELSE '+8619' || lpad(n::text, 9, '0') END, 'national', 'registry', :now FROM generate_series(1, :barred) n
ON CONFLICT DO NOTHING;
INSERT INTO dnc_prefix (prefix, layer, source, at)
SELECT '+8617' || lpad(n::text, 5, '0'), 'company', 'office', :now FROM generate_series(1, :prefixes) n;
INSERT INTO called (party, life, at, campaigns)
SELECT '+86138' || lpad(n::text, 8, '0'), 6,
    ARRAY(SELECT :now - i * interval '4 days' FROM generate_series(6, 1, -1) i), '{1, 2, 1, 2, 1, 2}'
FROM generate_series(1, :called) n ON CONFLICT DO NOTHING
"""


def statements(engine: Engine, script: str, **values: object) -> None:
    """Run a script's statements without the usual limit of time."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        for statement in script.split(";\n"):
            connection.execute(text(statement), values)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))


def timed(work: Callable[[], object]) -> float:
    """How long it takes, in milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def calls(hopper: Hopper, campaign: int) -> tuple[list[float], list[float], int]:
    """Times of leases and of questions, sorted, and how many calls were permitted."""
    leasing, asking, permitted = [], [], 0
    for _ in range(ROUNDS):
        leads = []
        leasing.append(timed(lambda leads=leads: leads.extend(hopper.lease(campaign, LEASED, NOW))))
        for at in range(0, len(leads) // 10, ASKED):
            asks = [Ask(lead.call_id, "main") for lead in leads[at : at + ASKED]]
            answers: list[object] = []
            asking.append(timed(lambda a=asks, into=answers: into.extend(hopper.authorize(a, NOW).values())))
            permitted += sum(isinstance(answer, Permit) for answer in answers)
    return sorted(leasing), sorted(asking), permitted


def measure(scale: float) -> list[Result]:
    """Fill, measure, fill more, measure again."""
    with report.scratch("rules") as folder:
        engine = database.connect(database.start_embedded(folder))
        try:
            database.migrate(engine)
            campaign = CampaignStore(engine).apply(CAMPAIGN, "made up", "benchmark", NOW).campaign_id
            leads = int(LEADS * scale) + SPARE
            statements(engine, NUMBERS, campaign=campaign, leads=leads, now=NOW)
            hopper = Hopper(engine, "engine-1")
            empty_lease, empty_ask, _ = calls(hopper, campaign)
            statements(
                engine,
                LISTS,
                leads=leads,
                barred=int(BARRED * scale),
                prefixes=int(PREFIXES * scale),
                called=max(int(CALLED * scale), leads),
                now=NOW,
            )
            full_lease, full_ask, permitted = calls(hopper, campaign)
            explainer = Explainer(engine)
            number = f"+86138{leads:08d}"
            of_number = sorted(timed(lambda: explainer.number(number, NOW)) for _ in range(ROUNDS))
            of_campaign = timed(lambda: explainer.campaign("spring", NOW))
            why = explainer.campaign("spring", NOW)
        finally:
            engine.dispose()
    p99 = 0.99
    return [
        Result("lease 1,000, lists full, p50", percentile(full_lease, 0.5), "ms"),
        Result("lease 1,000, lists full, p99", percentile(full_lease, p99), "ms", LEASE_MS),
        Result(
            "lease 1,000, full over empty, p50",
            percentile(full_lease, 0.5) / percentile(empty_lease, 0.5),
            "times",
            TIMES,
        ),
        Result("authorize 10, lists full, p50", percentile(full_ask, 0.5), "ms"),
        Result("authorize 10, lists full, p99", percentile(full_ask, p99), "ms", AUTHORIZE_MS),
        Result(
            "authorize 10, full over empty, p50",
            percentile(full_ask, 0.5) / percentile(empty_ask, 0.5),
            "times",
            TIMES,
        ),
        Result("calls permitted with the lists full", permitted, "calls", ROUNDS * LEASED / 10, "at_least"),
        Result("why of a number, p50", percentile(of_number, 0.5), "ms"),
        Result("why of a campaign", of_campaign / 1000, "s", WHY_S),
        Result("its leads that were looked at", why.looked_at / why.leads * 100, "%"),
    ]


def main() -> int:
    """Run it; 1 when a budget is broken."""
    chosen = report.options(__doc__ or "")
    return report.report("rules", chosen, measure(chosen.scale))


if __name__ == "__main__":
    sys.exit(main())
