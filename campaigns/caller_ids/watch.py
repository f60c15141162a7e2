"""The watch over all numbers in use: takes in finished calls, flags a number whose answers collapse, and reports.

Journals count finished calls by number in the transaction that records them; the watch weighs the counts some seconds
later, one engine at a time. No history is read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from campaigns.audit import write
from campaigns.caller_ids.choosing import BUCKET_S, DAY_BUCKET_S, IN_DAY, IN_HOUR, Pools, pools_of
from campaigns.caller_ids.watching import FLAGGED_AT, Answers, added, look, others_rate
from campaigns.config import CampaignsError
from campaigns.store import CampaignStore, NoSuchCampaign

WATCH_LOCK = 0x7A646361  # an advisory lock: "zdca"
LOCK = text("SELECT pg_advisory_xact_lock(:key)")
KEPT = """
SELECT campaign_id, caller_id AS number, fresh_calls, fresh_answers, calls, answers FROM caller_id_answers
ORDER BY campaign_id, caller_id
"""
ANSWERS = text(f"{KEPT} FOR UPDATE")
REPORTED = text(KEPT)
REMEMBER = text("""
UPDATE caller_id_answers SET fresh_calls = 0, fresh_answers = 0, calls = :calls, answers = :answers
WHERE campaign_id = :campaign AND caller_id = :number
""")
FORGET = text("DELETE FROM caller_id_answers WHERE campaign_id = :campaign AND caller_id = :number")
STANDING = text("SELECT caller_id AS number, evidence, flagged_at, out_at FROM caller_id_watch")
USED = text("SELECT caller_id AS number, hour_calls, day_calls, last_at FROM caller_id_use")
KEEP = text("""
INSERT INTO caller_id_watch (caller_id, evidence, flagged_at, out_at) VALUES (:number, :evidence, :flagged, :out)
ON CONFLICT (caller_id) DO UPDATE SET evidence = excluded.evidence, flagged_at = excluded.flagged_at,
    out_at = excluded.out_at
""")
PUT_BACK = text("""
UPDATE caller_id_watch SET evidence = 0, flagged_at = NULL, out_at = NULL
WHERE caller_id = :number AND (flagged_at IS NOT NULL OR out_at IS NOT NULL)
""")
ANEW = text("UPDATE caller_id_answers SET calls = 0, answers = 0 WHERE caller_id = :number")
MOST_OUT = 0.5  # of a pool: when more of it fails, the numbers are not what is wrong


class UnknownCallerId(CampaignsError):
    """A number that is neither flagged nor taken out."""


@dataclass(frozen=True, slots=True)
class CallerId:
    """One number in one campaign. Rates are of calls that a person could have answered; None: not known yet."""

    campaign: str
    pool: str  # the regions and prefixes it is for; empty: the fallback
    number: str
    calls: float  # remembered: older ones fade
    rate: float | None
    pool_rate: float | None  # of the others of the pool
    evidence: float  # 1: flagged
    flagged_at: datetime | None
    out_at: datetime | None
    hour_calls: int | None = (
        None  # of the last hour and day, by all campaigns; None where nothing limits them
    )
    day_calls: int | None = None
    last_at: datetime | None = None


class CallerIdWatch:
    """The numbers of all campaigns. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = CampaignStore(engine)

    def look(self, now: datetime) -> list[CallerId]:
        """Weigh what finished since the last look. Returns the numbers that were flagged by it, with what was done."""
        campaigns = self._campaigns()
        with self._engine.begin() as connection:
            connection.execute(LOCK, {"key": WATCH_LOCK})
            rows: dict[int, dict[str, Answers]] = {}
            for row in connection.execute(ANSWERS):
                rows.setdefault(row.campaign_id, {})[row.number] = _answers(row)
            standing = {row.number: row for row in connection.execute(STANDING)}
            against: dict[str, float] = {}
            for campaign_id, answers in rows.items():
                if campaign_id not in campaigns:  # its version is a newer program's
                    continue
                pools = campaigns[campaign_id][1].named()
                for numbers in pools.values():
                    pool, evidence = look([answers[number] for number in numbers if number in answers])
                    for each, more in zip(pool, evidence, strict=True):
                        if answers[each.number].fresh_calls:
                            against[each.number] = against.get(each.number, 0.0) + more
                    self._remember(connection, campaign_id, pool)
                there = {number for numbers in pools.values() for number in numbers}
                for number in answers.keys() - there:
                    connection.execute(FORGET, {"campaign": campaign_id, "number": number})
            flagged = self._judge(connection, campaigns, standing, against, now)
        return [each for each in self.report() if each.number in flagged]

    def report(self, campaign: str | None = None) -> list[CallerId]:
        """Every number in use, of one campaign or all; also one that was never shown. Raises NoSuchCampaign."""
        campaigns = self._campaigns()
        if campaign is not None and campaign not in {name for name, _ in campaigns.values()}:
            raise NoSuchCampaign(f"there is no campaign {campaign!r}")
        with self._engine.connect() as connection:
            rows = {(row.campaign_id, row.number): _answers(row) for row in connection.execute(REPORTED)}
            standing = {row.number: row for row in connection.execute(STANDING)}
            used = {row.number: row for row in connection.execute(USED)}
            now = connection.execute(text("SELECT now()")).scalar_one()
        found = []
        for campaign_id, (name, pools) in campaigns.items():
            if campaign not in (None, name):
                continue
            for pool, numbers in pools.named().items():
                answers = [rows.get((campaign_id, number), Answers(number)) for number in numbers]
                for each in answers:
                    kept, use = standing.get(each.number), used.get(each.number)
                    found.append(
                        CallerId(
                            campaign=name,
                            pool=pool,
                            number=each.number,
                            calls=each.calls,
                            rate=each.rate,
                            pool_rate=others_rate(answers, each.number),
                            evidence=kept.evidence / FLAGGED_AT if kept is not None else 0.0,
                            flagged_at=kept.flagged_at if kept is not None else None,
                            out_at=kept.out_at if kept is not None else None,
                            hour_calls=_within(use.hour_calls, IN_HOUR, BUCKET_S, now) if use else None,
                            day_calls=_within(use.day_calls, IN_DAY, DAY_BUCKET_S, now) if use else None,
                            last_at=use.last_at if use else None,
                        )
                    )
        return found

    def put_back(self, number: str) -> None:
        """Use a number again; what spoke against it is forgotten. Raises :class:`UnknownCallerId`."""
        with self._engine.begin() as connection:
            connection.execute(LOCK, {"key": WATCH_LOCK})
            if not connection.execute(PUT_BACK, {"number": number}).rowcount:
                raise UnknownCallerId(
                    f"{number} is neither flagged nor taken out; `dialer caller-ids` lists those in use"
                )
            connection.execute(ANEW, {"number": number})
            write(connection, "caller-ID put back", number)

    # --- within -----------------------------------------------------------------------------------------------

    def _campaigns(self) -> Mapping[int, tuple[str, Pools]]:
        return {
            each.campaign_id: (each.config.name, pools_of(each.config)) for each in self._store.readable()
        }

    @staticmethod
    def _remember(connection: Connection, campaign_id: int, pool: Collection[Answers]) -> None:
        values = [
            {"campaign": campaign_id, "number": each.number, "calls": each.calls, "answers": each.answers}
            for each in pool
        ]
        if values:
            connection.execute(REMEMBER, values)

    @staticmethod
    def _judge(
        connection: Connection,
        campaigns: Mapping[int, tuple[str, Pools]],
        standing: Mapping[str, Row[Any]],
        against: Mapping[str, float],
        now: datetime,
    ) -> set[str]:
        """Add the evidence, flag and take out; a flag goes when the evidence does. Returns what was flagged."""
        flagged = set()
        out = {number for number, row in standing.items() if row.out_at is not None}
        for number, more in against.items():
            row = standing.get(number)
            evidence = added(row.evidence if row is not None else 0.0, more)
            since = row.flagged_at if row is not None else None
            if evidence >= FLAGGED_AT and since is None:
                flagged.add(number)
                since = now
                if _may_go_out(number, campaigns, out):
                    out.add(number)
                    write(connection, "caller-ID taken out", number, f"evidence {evidence:.2f}", at=now)
            elif evidence == 0.0 and number not in out:
                since = None
            taken_out = (row.out_at if row is not None else None) or (now if number in out else None)
            connection.execute(
                KEEP, {"number": number, "evidence": evidence, "flagged": since, "out": taken_out}
            )
        return flagged


def _may_go_out(number: str, campaigns: Mapping[int, tuple[str, Pools]], out: Collection[str]) -> bool:
    """Whether a campaign that has the number wants it out, and enough of each of its pools is left."""
    wanted = False
    for _, pools in campaigns.values():
        for numbers in pools.named().values():
            if number in numbers:
                wanted |= pools.use.take_out
                if sum(each in out for each in numbers) + 1 > MOST_OUT * len(numbers):
                    return False
    return wanted


def _answers(row: Row[Any]) -> Answers:
    return Answers(row.number, row.fresh_calls, row.fresh_answers, row.calls, row.answers)


def _within(counts: Mapping[str, int], span: int, width: int, now: datetime) -> int:
    first = int(now.timestamp()) // width - span
    return sum(calls for bucket, calls in counts.items() if int(bucket) >= first)
