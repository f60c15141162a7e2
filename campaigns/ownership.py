"""Which engine has which switch, and with it the switch's campaigns: leases with fencing tokens.

A lease that its engine renews is nobody else's. One that ran out is taken by whoever asks first, with a token one
higher; what the engine before it writes of calls to place carries the old token, and is refused (:func:`held`). The
database's clock alone says when a lease runs out. Who has a switch and does not reach it says so in the lease; who
reaches it offers to take it, and is the one that it is handed to. Every method blocks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from campaigns.config import CampaignsError
from campaigns.database import session_name
from campaigns.prepared import Prepared, array, text_array

LEASE_S = 3.0  # with half a second between two looks, and the recovery: an engine's campaigns move within 5 s
# An engine waits for up to 6 s between two tries of its own, and 5 s for what does not answer: one of them has failed.
OUT_OF_REACH_S = 10.0
# So long a switch that an engine only stands by for is left to the one whose own it is, to start, or to start anew.
STAND_BACK_S = 10.0
OFFER_S = 6.0  # an offer is made anew every 2 s, after a try that may take 3
# Where a switch goes to and fro, none of its engines reaches it well: each time one waits for twice as long, up to five
# minutes, until one has kept it for an hour.
MOST_HANDED = 5
CALM_S = 3_600.0

HERE = text("""
INSERT INTO engine AS e (name, home, address, able, own, since, until)
VALUES (:name, :home, :address, :able, :own, clock_timestamp(), clock_timestamp() + make_interval(secs => :lease))
ON CONFLICT (name) DO UPDATE SET home = excluded.home, address = excluded.address, able = excluded.able,
    own = excluded.own,
    until = excluded.until, since = CASE WHEN :began THEN excluded.since ELSE e.since END,
    before = CASE WHEN :began THEN e.until ELSE e.before END
WHERE e.home = excluded.home OR e.until < clock_timestamp()
RETURNING name
""")
# No lock that :data:`HELD` would wait for: a renewal and a call that is authorized don't hold each other up.
RENEW = text("""
UPDATE switch_lease SET until = clock_timestamp() + make_interval(secs => :lease), out_of_reach = :unreached >=
    :patience * CASE WHEN since < clock_timestamp() - make_interval(secs => :calm) THEN 1 ELSE 2 ^ handed END
WHERE switch = :switch AND engine = :name AND token = :token
RETURNING CASE WHEN out_of_reach AND offered_until > clock_timestamp() THEN offered_by ELSE '' END
""")
# What was offered to take is the offerer's, as long as the offer holds. `left_at`: when its engine gave it up.
FREE = text("""
SELECT w.switch, l.engine, CASE WHEN l.until = '-infinity' THEN l.since ELSE clock_timestamp() END AS left_at,
    l.until = '-infinity' AS given_up, l.offered_by = :name AND l.offered_until > clock_timestamp() AS handed,
    EXISTS (SELECT FROM engine e WHERE e.name <> :name AND w.switch = ANY (e.own) AND e.until > clock_timestamp())
        AS anothers
FROM unnest(CAST(:switches AS text[])) AS w (switch)
LEFT JOIN switch_lease l ON l.switch = w.switch
WHERE l.switch IS NULL
    OR (l.engine = :name OR l.until = '-infinity' OR :patient AND l.until < clock_timestamp())
    AND (l.offered_by = :name OR l.offered_until < clock_timestamp())
ORDER BY w.switch
""")
# What an engine left open that stopped in the middle would lock leads, and the lease itself, for as long as it sleeps.
# What it has opened since it gave the switch up is its next life's.
CUT_OFF = text("""
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = :session AND datname = current_database() AND usename = current_user
    AND pid <> pg_backend_pid() AND backend_start < :left_at
""")
LOCK = text("SELECT FROM switch_lease WHERE switch = :switch FOR UPDATE")
TAKE = text("""
INSERT INTO switch_lease AS l (switch, engine, token, since, until)
VALUES (:switch, :name, 1, clock_timestamp(), clock_timestamp() + make_interval(secs => :lease))
ON CONFLICT (switch) DO UPDATE SET engine = excluded.engine, token = l.token + 1, since = excluded.since,
    until = excluded.until, out_of_reach = false, offered_by = '', offered_until = '-infinity'
WHERE l.engine = excluded.engine OR l.until < clock_timestamp()
RETURNING token
""")
RELEASE = text("""
UPDATE switch_lease SET until = '-infinity', since = clock_timestamp()
WHERE switch = :switch AND engine = :name AND token = :token
""")
ASKED = text("""
SELECT switch FROM switch_lease
WHERE switch = ANY (:able) AND engine <> :name AND out_of_reach AND until > clock_timestamp() ORDER BY switch
""")
OFFER = text("""
UPDATE switch_lease SET offered_by = :name, offered_until = clock_timestamp() + make_interval(secs => :offer)
WHERE switch = :switch AND engine <> :name AND out_of_reach AND until > clock_timestamp()
    AND (offered_by = :name OR offered_until < clock_timestamp())
RETURNING switch
""")
HAND = text("""
UPDATE switch_lease SET until = '-infinity', since = clock_timestamp(), offered_by = :heir,
    offered_until = clock_timestamp() + make_interval(secs => :offer),
    handed = CASE WHEN since < clock_timestamp() - make_interval(secs => :calm) THEN 1
        ELSE least(handed + 1, :most) END
WHERE switch = :switch AND engine = :name AND token = :token
""")
GONE = text("UPDATE engine SET until = clock_timestamp() WHERE name = :name AND home = :home")
HELD = Prepared(
    "held",
    "text[], bigint[]",
    """
SELECT l.switch FROM unnest($1, $2) AS t (switch, token)
JOIN switch_lease l ON l.switch = t.switch AND l.token = t.token
FOR KEY SHARE OF l
""",
)
ENGINES = text("""
SELECT e.name, e.address, e.able, e.since, e.until, e.until > clock_timestamp() AS alive,
    ARRAY(SELECT l.switch FROM switch_lease l WHERE l.engine = e.name AND l.until > clock_timestamp() ORDER BY 1)
        AS switches
FROM engine e ORDER BY e.name
""")


class NameTaken(CampaignsError):
    """Another engine is at work under this name."""


@dataclass(frozen=True, slots=True)
class Known:
    """An engine on this database, with the switches that it can have, and has. `alive`: it was heard just now."""

    name: str
    address: str
    able: tuple[str, ...]
    since: datetime
    until: datetime  # it was heard a lease's length before
    alive: bool
    switches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn changed: switches that are ours now, each with the engine that had it before, and those lost.

    `offers`: ours that we do not reach, each with the engine that does. `asked`: others' that they do not reach.
    """

    taken: Mapping[str, str]
    lost: frozenset[str]
    engines: tuple[Known, ...]
    offers: Mapping[str, str]
    asked: tuple[str, ...]


def held(connection: Connection, tokens: Mapping[str, int], switches: Iterable[str]) -> set[str]:
    """Those of these switches that are still had by these tokens; they stay so until the transaction ends."""
    asked = {switch: tokens[switch] for switch in switches if switch in tokens}
    if not asked:
        return set()
    return {row[0] for row in HELD.run(connection, text_array(asked), array(asked.values()))}


def engines(connection: Connection) -> tuple[Known, ...]:
    """All engines that ever were on this database."""
    return tuple(
        Known(row.name, row.address, tuple(row.able), row.since, row.until, row.alive, tuple(row.switches))
        for row in connection.execute(ENGINES)
    )


class Ownership:
    """The leases of the engine `name`, whose data folder's mark is `home`. One thread at a time.

    Those of its `switches` that it only has as a `standby` are left to a living engine whose own they are.

    `tokens` are those of the switches that it has; who reads them from another thread sees each change as a whole.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        home: str,
        switches: Sequence[str],
        address: str = "",
        standby: Collection[str] = (),
    ) -> None:
        self._engine = engine
        self._who = {
            "name": name,
            "home": home,
            "address": address,
            "able": list(switches),
            "own": [switch for switch in switches if switch not in standby],
            "lease": LEASE_S,
        }
        self._standby = frozenset(standby)
        self._others = frozenset[str]()  # that others have had since we began
        self._free_since: dict[str, float] = {}
        # Who had a switch that was free, also while nobody knows whether we took it.
        self._before: dict[str, str] = {}
        self._name = name
        self._switches = tuple(switches)
        self._began = True
        self._answered_since: float | None = None
        self._unreached: Mapping[str, float] = {}
        self.tokens: Mapping[str, int] = {}

    def turn(self, unreached: Mapping[str, float] | None = None) -> Turn:
        """Say that we are here, renew what we have, and take what is free. Raises :class:`NameTaken`.

        `unreached`: for how long those of ours have had no link that have none. After a time in which the database did
        not answer, those who have a lease are given its length to renew it.
        """
        self._unreached = unreached or {}
        try:
            found = self._turn()
        except BaseException:
            self._answered_since = None
            raise
        return found

    def renew(self) -> frozenset[str]:
        """Renew what we have; returns what is lost."""
        with self._engine.begin() as connection:
            lost, _ = self._renew(connection)
        self.tokens = {switch: token for switch, token in self.tokens.items() if switch not in lost}
        return lost

    def offer(self, switch: str) -> bool:
        """Offer to take a switch that its engine does not reach. False: that is no longer wanted of us."""
        with self._engine.begin() as connection:
            values = {"switch": switch, "name": self._name, "offer": OFFER_S}
            return connection.execute(OFFER, values).first() is not None

    def hand(self, heirs: Mapping[str, str]) -> None:
        """Give these switches up, each to the engine that offered to take it."""
        with self._engine.begin() as connection:
            for switch, heir in sorted(heirs.items()):
                values = self._of(switch) | {
                    "heir": heir,
                    "offer": OFFER_S,
                    "calm": CALM_S,
                    "most": MOST_HANDED,
                }
                connection.execute(HAND, values)
        self.tokens = {switch: token for switch, token in self.tokens.items() if switch not in heirs}

    def seen(self) -> tuple[Known, ...]:
        """All engines, as they are this moment."""
        with self._engine.connect() as connection:
            return engines(connection)

    def release(self) -> None:
        """Give everything up at once: whoever looks next has it."""
        with self._engine.begin() as connection:
            for switch in sorted(self.tokens):
                connection.execute(RELEASE, self._of(switch))
            connection.execute(GONE, self._who)
        self.tokens = {}

    # --- within -----------------------------------------------------------------------------------------------

    def _turn(self) -> Turn:
        if self._answered_since is None:
            self._answered_since = monotonic()
        with self._engine.begin() as connection:
            if connection.execute(HERE, self._who | {"began": self._began}).first() is None:
                raise NameTaken(
                    f"an engine named {self._name} is at work on this database from another data folder; "
                    "give this one another name ([engine] name)"
                )
            lost, offers = self._renew(connection)
        self._began = False
        tokens = {switch: token for switch, token in self.tokens.items() if switch not in lost}
        wanted = [switch for switch in self._switches if switch not in self.tokens]
        taken: dict[str, str] = {}
        if wanted:
            for switch, token, before in self._take(wanted):
                tokens[switch], taken[switch] = token, before
        with self._engine.connect() as connection:
            asked = tuple(connection.execute(ASKED, self._who).scalars())
            seen = engines(connection)
        # Not before: what the database breaks off is told to nobody, and taken once more.
        self.tokens = tokens
        had = {switch for each in seen for switch in each.switches if each.name != self._name}
        self._others |= had
        self._free_since = {switch: at for switch, at in self._free_since.items() if switch not in had}
        return Turn(taken, lost, seen, offers, asked)

    def _renew(self, connection: Connection) -> tuple[frozenset[str], dict[str, str]]:
        """What is lost, and what others offer to take."""
        lost, offers = set(), {}
        for switch in sorted(self.tokens):
            unreached = self._unreached.get(switch, 0.0)
            values = {"lease": LEASE_S, "unreached": unreached, "patience": OUT_OF_REACH_S, "calm": CALM_S}
            heir = connection.execute(RENEW, self._of(switch) | values).scalar()
            if heir is None:
                lost.add(switch)
            elif heir:
                offers[switch] = heir
        return frozenset(lost), offers

    def _of(self, switch: str) -> dict[str, object]:
        """What tells the lease of one of ours."""
        return {"switch": switch, "token": self.tokens[switch], "name": self._name}

    def _take(self, wanted: Sequence[str]) -> list[tuple[str, int, str]]:
        """Those of these that are free: with the new token, and who had it before (nobody: our own name)."""
        patient = self._answered_since is not None and monotonic() - self._answered_since >= LEASE_S
        with self._engine.connect() as connection:
            values = {"switches": list(wanted), "name": self._name, "patient": patient}
            rows = [row for row in connection.execute(FREE, values) if not self._stands_back(row)]
        self._before |= {row.switch: row.engine for row in rows if row.engine not in (None, self._name)}
        free = {row.switch: self._before.get(row.switch, self._name) for row in rows}
        if not free:
            return []
        with self._engine.begin() as connection:
            for row in rows:
                if row.engine not in (None, self._name):
                    connection.execute(CUT_OFF, {"session": session_name(row.engine), "left_at": row.left_at})
        taken = []
        with self._engine.begin() as connection:
            for switch, before in free.items():
                values = {"switch": switch, "name": self._name, "lease": LEASE_S}
                connection.execute(LOCK, values)
                token = connection.execute(TAKE, values).scalar()
                if token is not None:
                    taken.append((switch, token, before))
        return taken

    def _stands_back(self, row: Row[Any]) -> bool:
        """Whether a switch that is free is left to the engine whose own it is, for now.

        It is ours at once where that engine died while we were there, or handed it to us.
        """
        if row.switch not in self._standby or row.handed:
            return False
        ran_out = row.engine is not None and not row.given_up
        if ran_out and not row.anothers and (row.engine == self._name or row.switch in self._others):
            return False
        since = self._free_since.setdefault(row.switch, monotonic())
        return row.anothers or monotonic() - since < STAND_BACK_S
