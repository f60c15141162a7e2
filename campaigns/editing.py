"""What an agent changes of a customer's data: checked as a list's rows are, and kept with what it was before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, text

from campaigns.audit import write
from campaigns.by_hand import ZONES, Importing, impatient
from campaigns.config import CampaignsError, Field, parse
from campaigns.lists.fields import NotOfType, value_of
from campaigns.lists.normalising import NumberReader

NAME, NUMBER = "name", "number"  # what is changed beside attributes; these stand before a colon
LONGEST = 1_000  # characters of a value
MOST_NUMBERS = 20

# Locked, so that of two who change it at once the later one sees what the first has made of it.
LEAD = text("SELECT name, attributes, campaign_id FROM lead WHERE id = :lead FOR UPDATE")
CONFIG = text("""
SELECT v.text FROM campaign c JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version
WHERE c.id = :campaign
""")
CHANGED = text("UPDATE lead SET name = :name, attributes = CAST(:attributes AS jsonb) WHERE id = :lead")
NUMBERS = text("SELECT count(*) FROM number WHERE lead_id = :lead")
ADDED = text("""
INSERT INTO number (lead_id, campaign_id, e164, ordinal)
SELECT :lead, :campaign, :number, COALESCE(max(ordinal), 0) + 1 FROM number WHERE lead_id = :lead
ON CONFLICT (campaign_id, e164) DO NOTHING RETURNING id
""")
# Their zones too: a call must be lawful in all of them.
ZONED = text("""
UPDATE lead l SET zones = l.zones || ARRAY(
    SELECT zone FROM unnest(CAST(:zones AS text[])) zone WHERE zone <> ALL (l.zones)
) WHERE l.id = :lead
""")
KEPT = text("""
INSERT INTO lead_edit (lead_id, at, user_id, field, before, after)
VALUES (:lead, :at, :user, :field, :before, :after)
""")


class CanNotEdit(CampaignsError):
    """The change is refused: `field` says where, `code` is a key of the catalogue."""

    def __init__(self, field: str, code: str, detail: str = "") -> None:
        super().__init__(f"{field or 'it'}: {detail or code}")
        self.field, self.code, self.detail = field, code, detail


class Edit(msgspec.Struct, frozen=True):
    """What is to be: the name, attributes by name (an empty text takes one away), and one more number (E.164)."""

    name: str | None = None
    attributes: dict[str, str] = {}
    number: str = ""


class Customer(msgspec.Struct, frozen=True):
    """A customer's data as they are after a change."""

    name: str
    attributes: dict[str, Any]


def edit(engine: Engine, lead_id: int, user_id: int, wanted: Edit, at: datetime) -> Customer:
    """Change a lead's data. Raises :class:`CanNotEdit`; then nothing is changed. On record are who, when, old, new.

    The audit log, which nobody can erase from, says which values were changed and not what they are.
    """
    with engine.begin() as connection:
        found = connection.execute(LEAD, {"lead": lead_id}).first()
        if found is None:
            raise CanNotEdit("", "gone")
        config = parse(connection.execute(CONFIG, {"campaign": found.campaign_id}).scalar_one(), "campaign")
        name, changes = found.name, list[tuple[str, str, str]]()
        if wanted.name is not None and wanted.name.strip() != found.name:
            name = _text(NAME, wanted.name)
            changes.append((NAME, found.name, name))
        attributes = dict(found.attributes)
        fields = {field.name: field for field in config.fields}
        for key, given in wanted.attributes.items():
            if key not in fields and key not in attributes:
                raise CanNotEdit(key, "unknown_field")
            before = attributes.get(key)
            after = _value(key, fields.get(key, Field(key)), given)
            if after == before:
                continue
            changes.append((f"attribute:{key}", _shown(before), _shown(after)))
            if after is None:
                del attributes[key]
            else:
                attributes[key] = after
        if wanted.number:
            _add_number(connection, lead_id, found.campaign_id, wanted.number)
            changes.append((NUMBER, "", wanted.number))
        if changes:
            values = {"lead": lead_id, "name": name, "attributes": msgspec.json.encode(attributes).decode()}
            connection.execute(CHANGED, values)
            who = {"lead": lead_id, "at": at, "user": user_id}
            rows = [who | {"field": f, "before": before, "after": after} for f, before, after in changes]
            connection.execute(KEPT, rows)
            named = ", ".join(field.removeprefix("attribute:") for field, _, _ in changes)
            write(connection, "customer edited", f"lead {lead_id}", named)
    return Customer(name, attributes)


def _add_number(connection: Connection, lead_id: int, campaign_id: int, number: str) -> None:
    values: Mapping[str, Any] = {"lead": lead_id, "campaign": campaign_id, "number": number}
    if connection.execute(NUMBERS, values).scalar_one() >= MOST_NUMBERS:
        raise CanNotEdit(NUMBER, "too_many_numbers")
    try:
        with impatient(connection):  # what the journal has to record of this lead waits too
            added = connection.execute(ADDED, values).first()
    except Importing as fault:
        raise CanNotEdit(NUMBER, "number_known", number) from fault
    if added is None:
        raise CanNotEdit(NUMBER, "number_known", number)
    zones = list(NumberReader().zones(number))
    connection.execute(ZONED, {"lead": lead_id, "zones": zones})
    connection.execute(ZONES, {"campaign": campaign_id, "zones": zones})


def _value(key: str, field: Field, given: str) -> Any:
    """An attribute's value, None for none."""
    plain = _text(key, given)
    if not plain:
        if field.required:
            raise CanNotEdit(key, "needed")
        return None
    try:
        return value_of(field, plain)
    except NotOfType as fault:
        raise CanNotEdit(key, "wrong_type", str(fault)) from fault


def _text(key: str, given: str) -> str:
    plain = given.strip()
    if len(plain) > LONGEST:
        raise CanNotEdit(key, "too_long")
    if any(not char.isprintable() and char != "\n" for char in plain):
        raise CanNotEdit(key, "wrong_type", "holds a control character")
    return plain


def _shown(value: Any) -> str:
    """A value as text; of none there is none."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
