"""What the parts of a campaign on several switches have counted, and hold of the abandons that are left: two tables.

`campaign_counted` is written by the journal in the transactions that put calls on record, so it is as true as they are
(:mod:`campaigns.journal_store`). `campaign_part` is what each part's engine says of it once a second; its row goes with
the switch, and only the engine that has the switch writes it. Every method blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from campaigns.abandon_window import window
from campaigns.ownership import held as still_held

LOCK_LIMIT_S = 2  # a turn that waits for longer is left out; the next one is a second later
# A part whose engine is gone: this long after its lease ran out none of its calls is in the air any more. The longest
# ring limit, what a switch may add to it, detection and the wait for a seat, with as much again as those.
OVER_S = 160

ALONE = text(f"""
SET LOCAL lock_timeout = '{LOCK_LIMIT_S}s';
SELECT pg_advisory_xact_lock(hashtext('campaign part'), CAST(:campaign AS int))
""")
# An engine tells nothing of a campaign that its switch was taken out of before: so what was told by one that had the
# switch earlier counts for as long after it was taken from that one.
PARTS = text(f"""
SELECT s.switch, COALESCE(h.seats, 0) AS seats, COALESCE(h.held, 0) AS held,
    p.connected, p.hung_up, p.abandoned, p.machines,
    c.connected AS c_connected, c.hung_up AS c_hung_up, c.abandoned AS c_abandoned, c.machines AS c_machines,
    COALESCE(l.engine, '') AS engine, COALESCE(l.until > clock_timestamp(), false) AS alive, p.at
FROM (SELECT switch FROM campaign_part WHERE campaign_id = :campaign
    UNION SELECT switch FROM campaign_counted WHERE campaign_id = :campaign) s
LEFT JOIN campaign_part p ON p.campaign_id = :campaign AND p.switch = s.switch
LEFT JOIN campaign_counted c ON c.campaign_id = :campaign AND c.switch = s.switch
LEFT JOIN switch_lease l ON l.switch = s.switch
LEFT JOIN campaign_part h ON h.campaign_id = p.campaign_id AND h.switch = p.switch
    AND LEAST(l.until, CASE WHEN p.at < l.since THEN l.since END) > clock_timestamp() - make_interval(secs => {OVER_S})
ORDER BY s.switch
""")
TELL = text("""
INSERT INTO campaign_part (campaign_id, switch, seats, held, connected, hung_up, abandoned, machines, at)
VALUES (:campaign, :switch, :seats, :held, :connected, :hung_up, :abandoned, :machines, clock_timestamp())
ON CONFLICT (campaign_id, switch) DO UPDATE SET seats = excluded.seats, held = excluded.held,
    connected = excluded.connected, hung_up = excluded.hung_up, abandoned = excluded.abandoned,
    machines = excluded.machines, at = excluded.at
""")
COUNTED = text("""
SELECT switch, connected, hung_up, abandoned, machines FROM campaign_counted WHERE campaign_id = :campaign
""")
LEARNED = text("""
SELECT switch, learned FROM campaign_part WHERE campaign_id = :campaign AND learned <> ''
""")
KEEP_LEARNED = text("""
UPDATE campaign_part SET learned = :learned WHERE campaign_id = :campaign AND switch = :switch
""")


class Figures(NamedTuple):
    """People who answered, as a ledger counts them."""

    connected: int = 0
    hung_up: int = 0
    abandoned: int = 0
    machines: int = 0

    def __add__(self, other: Figures) -> Figures:  # type: ignore[override]
        return Figures(*(a + b for a, b in zip(self, other, strict=True)))

    def __sub__(self, other: Figures) -> Figures:
        return Figures(*(a - b for a, b in zip(self, other, strict=True)))

    def at_least(self, other: Figures) -> Figures:
        """The larger of each."""
        return Figures(*map(max, self, other))


@dataclass(frozen=True, slots=True)
class Told:
    """A part as its engine, which need not be this one, told of it last. `alive`: that engine has its switch."""

    switch: str
    engine: str
    alive: bool
    seats: int  # at work
    held: float  # abandons that others must leave to it
    told: Figures  # what its engine has counted, on record or not yet
    recorded: Figures  # what is on record
    at: datetime | None  # None: never


class PartStore:
    """The parts of the campaigns of one database. `tokens` are those of the switches that this engine has."""

    def __init__(self, engine: Engine, tokens: Callable[[], Mapping[str, int]]) -> None:
        self._engine = engine
        self._tokens = tokens

    def exchange(
        self,
        campaign_id: int,
        seats: Mapping[str, int],
        agree: Callable[[Sequence[Told]], Mapping[str, tuple[float, Figures]]],
    ) -> tuple[Sequence[Told], Collection[str]]:
        """Hear of all parts, and tell of our own: seats at work, and what `agree` says they hold and have counted.

        Nobody else tells of this campaign between the two. Of a part whose switch is not ours any more nothing is told;
        returned are all parts as they were, and the switches of those that were told of. What they hold is durable.
        """
        with self._engine.begin() as connection:
            connection.execute(ALONE, {"campaign": campaign_id})
            ours = still_held(connection, self._tokens(), seats)
            rows = connection.execute(PARTS, {"campaign": campaign_id}).all()
            parts = [
                Told(
                    row.switch,
                    row.engine,
                    row.alive,
                    row.seats,
                    row.held,
                    _figures(row.connected, row.hung_up, row.abandoned, row.machines),
                    _figures(row.c_connected, row.c_hung_up, row.c_abandoned, row.c_machines),
                    row.at,
                )
                for row in rows
            ]
            for switch, (held, figures) in sorted(agree(parts).items()):
                if switch in ours:
                    values = {
                        "campaign": campaign_id,
                        "switch": switch,
                        "seats": seats[switch],
                        "held": held,
                    }
                    connection.execute(TELL, values | figures._asdict())
        return parts, ours

    def window(
        self, campaign_id: int, length: timedelta, now: datetime, machine_codes: Sequence[str]
    ) -> tuple[tuple[int, int, int, int], Mapping[str, Figures]]:
        """What the books say of the window, and what the parts had counted in that very moment."""
        with self._engine.connect() as plain:
            connection = plain.execution_options(isolation_level="REPEATABLE READ")
            return window(connection, campaign_id, length, now, machine_codes), counted(
                connection, campaign_id
            )

    def learned(self, campaign_id: int) -> Mapping[str, str]:
        """What pacing kept, by switch."""
        with self._engine.connect() as connection:
            rows = connection.execute(LEARNED, {"campaign": campaign_id})
            return {row.switch: row.learned for row in rows}

    def keep_learned(self, campaign_id: int, switch: str, learned: str) -> None:
        """Keep what pacing has learned with the part."""
        with self._engine.begin() as connection:
            values = {"campaign": campaign_id, "switch": switch, "learned": learned}
            connection.execute(KEEP_LEARNED, values)


def counted(connection: Connection, campaign_id: int) -> Mapping[str, Figures]:
    """What is on record of each part."""
    rows = connection.execute(COUNTED, {"campaign": campaign_id})
    return {row.switch: Figures(row.connected, row.hung_up, row.abandoned, row.machines) for row in rows}


def _figures(*counts: int | None) -> Figures:
    return Figures(*(count or 0 for count in counts))
