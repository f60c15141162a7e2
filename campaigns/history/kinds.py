"""What is archived: each kind's columns, and one fingerprint of its rows that PostgreSQL and DuckDB compute alike.

A row's fingerprint is the first 48 bits of the SHA-256 of its columns as text; that of a set of rows is their sum, so
the order does not matter, and what was taken out can be subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

SCHEMA = 1  # of the files; a manifest names the one it was written with

BETWEEN, NOTHING = 31, 30  # ASCII's own unit and record separators: between columns, and for NULL
STEPS = 1 << 20  # of a second, as which a float is compared: both sides take it as a double, exactly


@dataclass(frozen=True, slots=True)
class Type:
    """A column's type in both databases, and how each writes it into a fingerprint."""

    live: str
    filed: str
    live_text: str
    filed_text: str


TEXT = Type("text", "VARCHAR", "{}", "{}")
UUID = Type("uuid", "UUID", "{}::text", "{}::VARCHAR")
INT = Type("bigint", "BIGINT", "{}::text", "{}::VARCHAR")
SMALL = Type("smallint", "SMALLINT", "{}::text", "{}::VARCHAR")
BOOL = Type("boolean", "BOOLEAN", "{}::text", "{}::VARCHAR")
REAL = Type(
    "real",
    "FLOAT",
    f"floor({{}}::float8 * {STEPS})::bigint::text",
    f"floor({{}}::DOUBLE * {STEPS})::BIGINT::VARCHAR",
)
TIME = Type(
    "timestamptz",
    "TIMESTAMPTZ",
    "(extract(epoch FROM {}) * 1000000)::bigint::text",
    "epoch_us({})::VARCHAR",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One table by months. `source` selects its columns, in order, from `{table}`; `order` is that of the file."""

    table: str
    keep: str  # the key of its retention class
    time: str
    columns: dict[str, Type]
    source: str
    order: str

    @property
    def names(self) -> str:
        """The columns, quoted: `at` is a word of DuckDB's."""
        return ", ".join(f'"{name}"' for name in self.columns)

    def of(self, columns: Sequence[str]) -> Kind:
        """This kind as a file has it that was written when there were fewer columns."""
        return replace(self, columns={name: self.columns[name] for name in columns})

    def print_live(self) -> str:
        """A row's fingerprint, for PostgreSQL."""
        row = _joined("||", [t.live_text.format(f'"{name}"') for name, t in self.columns.items()])
        first = f"substr(sha256(convert_to({row}, 'UTF8')), 1, 6)"
        return f"('x' || encode({first}, 'hex'))::bit(48)::bigint"

    def print_filed(self) -> str:
        """The same for DuckDB."""
        row = _joined("||", [t.filed_text.format(f'"{name}"') for name, t in self.columns.items()])
        return f"('0x' || substr(sha256({row}), 1, 12))::BIGINT"


def _joined(operator: str, texts: list[str]) -> str:
    return f" {operator} chr({BETWEEN}) {operator} ".join(
        f"COALESCE({text}, chr({NOTHING}))" for text in texts
    )


# The number and the customer go with the attempt: a file can be asked about a person when the lead is long gone. An
# erased person's number is no number.
ATTEMPT = Kind(
    table="attempt",
    keep="calls",
    time="leased_at",
    columns={
        "call_id": UUID,
        "leased_at": TIME,
        "campaign_id": INT,
        "lead_id": INT,
        "number_id": INT,
        "switch": TEXT,
        "owner": TEXT,
        "dialed_at": TIME,
        "answered_at": TIME,
        "connected_at": TIME,
        "ended_at": TIME,
        "outcome": TEXT,
        "cause": SMALL,
        "tech_cause": SMALL,
        "ring_s": REAL,
        "wait_s": REAL,
        "talk_s": REAL,
        "user_id": INT,
        "amd": TEXT,
        "harbour_played": BOOL,
        "notes": TEXT,
        "answers": TEXT,
        "basis_id": INT,
        "consent_id": INT,
        "caller_id": TEXT,
        "called_in": TEXT,
        "arm": TEXT,
        "e164": TEXT,
        "customer_id": TEXT,
    },
    source="""
SELECT a.call_id, a.leased_at, a.campaign_id, a.lead_id, a.number_id, a.switch, a.owner, a.dialed_at, a.answered_at,
    a.connected_at, a.ended_at, a.outcome, a.cause, a.tech_cause, a.ring_s, a.wait_s, a.talk_s, a.user_id, a.amd,
    a.harbour_played, a.notes, a.answers, a.basis_id, a.consent_id, a.caller_id, a.called_in, a.arm,
    COALESCE(a.e164, CASE WHEN n.e164 LIKE '+%' THEN n.e164 END) AS e164,
    COALESCE(a.customer_id, l.customer_id) AS customer_id
FROM {table} a LEFT JOIN number n ON n.id = a.number_id LEFT JOIN lead l ON l.id = a.lead_id
""",
    order='"e164", "leased_at", "call_id"',
)
DISPOSITION = Kind(
    table="disposition",
    keep="calls",
    time="leased_at",
    columns={
        "call_id": UUID,
        "leased_at": TIME,
        "user_id": INT,
        "code": TEXT,
        "notes": TEXT,
        "do_not_call": BOOL,
        "retry_at": TIME,
        "final": BOOL,
        "at": TIME,
    },
    source="SELECT call_id, leased_at, user_id, code, notes, do_not_call, retry_at, final, at FROM {table}",
    order='"leased_at", "call_id"',
)
SEAT_LOG = Kind(
    table="seat_log",
    keep="seats",
    time="at",
    columns={
        "id": INT,
        "at": TIME,
        "user_id": INT,
        "session_id": TEXT,
        "state": TEXT,
        "reason": TEXT,
        "call_id": TEXT,
        "campaign_id": INT,
    },
    source="SELECT id, at, user_id, session_id, state, reason, call_id, campaign_id FROM {table}",
    order='"at", "id"',
)
KINDS = {
    kind.table: kind for kind in (ATTEMPT, DISPOSITION, SEAT_LOG)
}  # the order in which they are archived
