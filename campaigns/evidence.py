"""What allowed each call, as a CSV for whoever asks later."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TextIO

from sqlalchemy import Engine, text

from campaigns.history.query import PastCall
from campaigns.spreadsheet import plain

BASES = text("""
SELECT b.*, c.name AS campaign, v.version, v.applied_by, v.applied_at FROM permit_basis b
JOIN campaign_version v ON v.change = b.change JOIN campaign c ON c.id = v.campaign_id WHERE b.id = ANY(:ids)
""")
CONSENTS = text("SELECT * FROM consent WHERE id = ANY(:ids)")
USERS = text("SELECT id, login FROM app_user WHERE id = ANY(:ids)")

COLUMNS = (
    "call_id", "number", "caller_id", "dialed_at", "answered_at", "connected_at", "ended_at", "outcome", "talk_s",
    "agent", "disposition", "campaign", "campaign_version", "applied_by", "applied_at", "profile", "profile_version",
    "zones", "region", "hours", "data", "consent_id", "consent_source", "consent_given_at", "archived",
)  # fmt: skip
CHUNK = 10_000


def write_evidence(engine: Engine, calls: Iterable[PastCall], out: TextIO) -> int:
    """Write what allowed each of these calls as a CSV; returns how many they are."""
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    written, chunk = 0, list[PastCall]()
    for call in calls:
        if call.called_in is not None:  # the customer called: nothing had to allow it
            continue
        chunk.append(call)
        if len(chunk) == CHUNK:
            writer.writerows(_rows(engine, chunk))
            written, chunk = written + len(chunk), []
    writer.writerows(_rows(engine, chunk))
    return written + len(chunk)


def _rows(engine: Engine, calls: list[PastCall]) -> Iterator[list[str]]:
    with engine.connect() as connection:

        def named(query: Any, ids: Iterable[int | None]) -> Mapping[int, Any]:
            found = connection.execute(query, {"ids": list({each for each in ids if each is not None})})
            return {row.id: row for row in found}

        bases = named(BASES, (call.basis_id for call in calls))
        consents = named(CONSENTS, (call.consent_id for call in calls))
        users = named(USERS, (call.user_id for call in calls))
    for call in calls:
        basis, consent = bases.get(call.basis_id or 0), consents.get(call.consent_id or 0)
        user = users.get(call.user_id or 0)
        cells = (
            call.call_id, call.e164, call.caller_id, call.dialed_at, call.answered_at, call.connected_at,
            call.ended_at, call.outcome, call.talk_s, user and user.login, call.code,
            *((basis.campaign, basis.version, basis.applied_by, basis.applied_at, basis.profile,
               basis.profile_version, basis.zones, basis.region, basis.hours, basis.data) if basis else [None] * 10),
            call.consent_id, consent and consent.source, consent and consent.given_at, call.archived,
        )  # fmt: skip
        yield [_cell(each) for each in cells]


def _cell(value: object) -> str:
    if value is None:
        return ""
    return plain(value.isoformat() if isinstance(value, datetime) else str(value))
