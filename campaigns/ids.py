"""Call ids: 32 hex digits of a UUID of version 7, whose first 48 bits are the time (RFC 9562, section 5.7)."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from uuid import UUID


def new_call_id(at: datetime) -> str:
    """A new id that carries `at`, to the millisecond."""
    millis = int(at.timestamp() * 1000)
    value = (millis & ((1 << 48) - 1)) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | (0x7 << 76)  # version
    value = value & ~(0x3 << 62) | (0x2 << 62)  # variant
    return f"{value:032x}"


def leased_at(call_id: str) -> datetime:
    """The time in an id. Raises ValueError for what is no id."""
    return datetime.fromtimestamp(int(call_id[:12], 16) / 1000, UTC)


def as_uuid(call_id: str) -> str:
    """The id as PostgreSQL writes it. Raises ValueError for what is no id."""
    return str(UUID(hex=call_id))
