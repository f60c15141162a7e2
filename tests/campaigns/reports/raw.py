"""Histories out of any order, and what a clerk with a pencil would count of their rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Engine, text

from campaigns.ids import as_uuid, leased_at, new_call_id
from campaigns.journal_store import JournalStore
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from campaigns.records import AttemptAnswered, AttemptConnected, AttemptEnded, Dispositioned, SeatChanged
from campaigns.reports.rolling import roll
from campaigns.store import CampaignStore
from campaigns.units import Units
from tests.campaigns.world import CONFIG, NOON

OUTCOMES = ("connected", "abandoned", "hung_up", "machine", "busy", "no_answer", "congestion", "lost")
CODES = ("sold", "not_now", "callback")
STATES = ("ready", "connecting", "talking", "wrap_up", "paused", "offline")
TABLES = ("rollup_call", "rollup_line", "rollup_agent", "rollup_caller", "rollup_seat", "rollup_callback")


@dataclass(frozen=True, slots=True)
class Call:
    """A call to be: `steps` are what is written of it, in turns."""

    dialed_s: float  # after NOON
    buffered_s: float  # before the dial
    campaign: int  # of the world's
    caller_id: str
    outcome: str
    cause: int
    user: int
    ring_s: float
    talk_s: float
    amd: str | None
    code: str | None
    turns: tuple[int, int, int]  # when it was dialed, over, judged


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the seat log to be, written in a turn."""

    at_s: float
    user: int
    state: str
    reason: str
    campaign: int  # of the world's, -1: none
    turn: int


TURNS = 4
_seconds = st.one_of(
    st.integers(-3_600_000, 2 * 3_600_000).map(lambda ms: ms / 1000), st.just(-91_800.0)
)  # a day and more before
_turns = st.tuples(*[st.integers(0, TURNS - 1)] * 3).map(lambda t: (min(t), sorted(t)[1], max(t)))
calls = st.builds(
    Call,
    dialed_s=_seconds,
    buffered_s=st.sampled_from((0.0, 3.0, 2_000.0, 80_000.0)),
    campaign=st.integers(0, 1),
    caller_id=st.sampled_from(("", "+864000000001", "+864000000002")),
    outcome=st.sampled_from(OUTCOMES),
    cause=st.sampled_from((0, 16, 17, 21)),
    user=st.integers(0, 2),
    ring_s=st.floats(0, 60, width=32),
    talk_s=st.floats(0, 3_000, width=32),
    amd=st.sampled_from((None, "MACHINE", "HUMAN", "HANGUP")),
    code=st.sampled_from((None, *CODES)),
    turns=_turns,
)
lines = st.builds(
    Line,
    at_s=_seconds,
    user=st.integers(0, 2),
    state=st.sampled_from(STATES),
    reason=st.sampled_from(("", "lunch")),
    campaign=st.integers(-1, 1),
    turn=st.integers(0, TURNS - 1),
)


class World:
    """Two campaigns of two branches, a list each, three agents, in one database."""

    def __init__(self, db: Engine) -> None:
        self.db = db
        units = Units(db)
        self.units = [units.add("east"), units.add("west")]
        self.campaigns, self.leads, self.lists = [], [], []
        for name in ("east", "west"):
            config = CONFIG.replace("spring", name) + f'unit = "{name}"\n'
            campaign = CampaignStore(db).apply(config, "test", "tester", NOON).campaign_id
            store_rows(
                db,
                campaign,
                f"list {name}",
                "test",
                NOON,
                [Row(2, ("+8613800000001",), "李", {}, ("Asia/Shanghai",))],
            )
            self.campaigns.append(campaign)
            row = self.rows(
                "SELECT l.id AS lead, l.list_id AS list, n.id AS number FROM lead l JOIN number n ON n.lead_id = l.id "
                "WHERE l.campaign_id = :campaign",
                campaign=campaign,
            )[0]
            self.leads.append((row.lead, row.number))
            self.lists.append(row.list)
        with db.begin() as connection:
            self.users = [
                connection.execute(
                    text(
                        "INSERT INTO app_user (unit_id, login, name, role, password_hash) "
                        "VALUES (:unit, :login, :login, 'agent', '') RETURNING id"
                    ),
                    {"unit": self.units[n % 2], "login": f"agent{n}"},
                ).scalar_one()
                for n in range(3)
            ]
        self.journal = JournalStore(db, "engine-1")
        self.serial = 0

    def rows(self, sql: str, **values: object) -> list[Any]:
        with self.db.connect() as connection:
            return list(connection.execute(text(sql), values).all())

    def clear(self) -> None:
        """As on the first day."""
        with self.db.begin() as connection:
            for table in ("attempt", "disposition", "seat_log", "callback", "rollup_due", *TABLES):
                connection.execute(text(f"DELETE FROM {table}"))
            connection.execute(text("UPDATE rollup_seen SET seats_until = :noon"), {"noon": NOON})

    def write(self, calls: list[Call], lines: list[Line], turn: int, ids: dict[int, str]) -> None:
        """What of a history is written in this turn, by the journal where that writes it."""
        records: list[Any] = []
        for place, call in enumerate(calls):
            at = NOON + timedelta(seconds=call.dialed_s)
            if call.turns[0] == turn:
                ids[place] = new_call_id(at - timedelta(seconds=call.buffered_s))
                self._dial(call, ids[place], at)
            user = self.users[call.user]
            if call.turns[1] == turn:
                if call.outcome in ("connected", "abandoned", "hung_up", "machine"):
                    records.append(AttemptAnswered(at=at, call_id=ids[place]))
                if call.outcome == "connected":
                    records.append(AttemptConnected(at=at, call_id=ids[place], user_id=user))
                connected = call.outcome == "connected"
                records.append(
                    AttemptEnded(
                        at=at + timedelta(seconds=60), call_id=ids[place], outcome=call.outcome, cause=call.cause,
                        ring_s=call.ring_s, wait_s=0.5 if connected else None, amd=call.amd,
                        talk_s=call.talk_s if connected else None,
                    )
                )  # fmt: skip
            if call.turns[2] == turn and call.code is not None and call.outcome == "connected":
                due = at + timedelta(hours=1) if call.code == "callback" else None
                records.append(
                    Dispositioned(
                        at=at,
                        call_id=ids[place],
                        user_id=user,
                        code=call.code,
                        callback_at=due,
                        personal=True,
                    )
                )
        records += [
            SeatChanged(
                at=NOON + timedelta(seconds=line.at_s), user_id=self.users[line.user], session_id="s", state=line.state,
                reason=line.reason, campaign_id=self.campaigns[line.campaign] if line.campaign >= 0 else 0,
            )
            for line in lines
            if line.turn == turn
        ]  # fmt: skip
        self.journal.apply([(self.serial + n, record) for n, record in enumerate(records, 1)])
        self.serial += len(records)

    def _dial(self, call: Call, call_id: str, at: datetime) -> None:
        lead, number = self.leads[call.campaign]
        with self.db.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO attempt (call_id, leased_at, campaign_id, lead_id, number_id, switch, owner, "
                    "dialed_at, caller_id) "
                    "VALUES (:id, :leased, :campaign, :lead, :number, :switch, 'engine-1', :at, :caller_id)"
                ),
                {
                    "id": as_uuid(call_id), "leased": leased_at(call_id), "campaign": self.campaigns[call.campaign],
                    "lead": lead, "number": number, "switch": f"sw{call.cause % 2}", "at": at,
                    "caller_id": call.caller_id,
                },
            )  # fmt: skip

    def roll(self, now: datetime) -> None:
        """All turns that there is work for."""
        while (turn := roll(self.db, now)) is None or turn.more:
            pass

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        return {table: sorted(map(tuple, self.rows(f"SELECT * FROM {table}"))) for table in TABLES}


def half_hour(at: datetime) -> datetime:
    return at - timedelta(minutes=at.minute % 30, seconds=at.second, microseconds=at.microsecond)


def counted_calls(world: World) -> Counter[tuple[Any, ...]]:
    """Attempts by half hour, campaign, list, outcome, cause and code, from the rows themselves."""
    found: Counter[tuple[Any, ...]] = Counter()
    codes = {row.call_id: row.code for row in world.rows("SELECT call_id, code FROM disposition")}
    lists = dict(zip(world.campaigns, world.lists, strict=True))
    for row in world.rows("SELECT * FROM attempt"):
        key = (
            half_hour(row.dialed_at),
            row.campaign_id,
            lists[row.campaign_id],
            row.outcome or "",
            row.cause or 0,
        )
        found[(*key, codes.get(row.call_id, ""))] += 1
    return found


def counted_seats(world: World, now: datetime) -> Counter[tuple[Any, ...]]:
    """Milliseconds by half hour, campaign, user, state and reason, walked through line by line."""
    found: Counter[tuple[Any, ...]] = Counter()
    by_user: dict[int, list[Any]] = {}
    for row in world.rows("SELECT * FROM seat_log ORDER BY at, id"):
        by_user.setdefault(row.user_id, []).append(row)
    for log in by_user.values():
        for line, after in zip(log, [*(each.at for each in log[1:]), now], strict=True):
            at, stop = line.at, min(after, line.at + timedelta(days=1), now)
            while at < stop and line.state != "offline":
                end = min(stop, half_hour(at) + timedelta(minutes=30))
                key = (half_hour(at), line.campaign_id or 0, line.user_id, line.state, line.reason)
                found[key] += round((end - at) / timedelta(milliseconds=1))
                at = end
    return found
