"""Call ids: 32 hex digits of a UUID of version 7, whose first 48 bits are the time (RFC 9562, section 5.7)."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from uuid import UUID

RANDOM = 10  # bytes that are random, but for the variant
# Of a random digit, the one with the two bits of the variant.
VARIANT: dict[str, str] = dict(zip("0123456789abcdef", 4 * "89ab", strict=True))
# SQL: when the last call of a lead `l` was leased, when the one that it is leased for, and when the one in which a
# callback `c` was promised, by their ids.
LAST_LEASED_AT, LEASED_AT, PROMISED_AT = (
    f"to_timestamp(('x' || substr(replace({call}::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)"
    for call in ("l.last_call", "l.lease", "c.call_id")
)


def new_call_id(at: datetime) -> str:
    """A new id that carries `at`, to the millisecond."""
    return new_call_ids(at, 1)[0]


def new_call_ids(at: datetime, count: int) -> list[str]:
    """As many new ids, all of one instant."""
    begins = f"{int(at.timestamp() * 1000) & ((1 << 48) - 1):012x}7"
    digits = secrets.token_hex(RANDOM * count)
    return [
        f"{begins}{digits[i : i + 3]}{VARIANT[digits[i + 3]]}{digits[i + 4 : i + 19]}"
        for i in range(0, 2 * RANDOM * count, 2 * RANDOM)
    ]


def leased_at(call_id: str) -> datetime:
    """The time in an id. Raises ValueError for what is no id."""
    return datetime.fromtimestamp(int(call_id[:12], 16) / 1000, UTC)


def as_uuid(call_id: str) -> str:
    """The id as PostgreSQL writes it. Raises ValueError for what is no id."""
    return str(UUID(hex=call_id))
