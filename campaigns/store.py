"""Campaigns as applied: their versions, who applied them and when, and the figures that outlive an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from campaigns.abandon_window import window
from campaigns.audit import write
from campaigns.caller_ids.choosing import pools_of
from campaigns.config import CampaignConfig, CampaignsError, ConfigError, parse
from campaigns.messages.steps import keep_steps
from campaigns.rules.held import let_campaign_go
from campaigns.steering import Outdated, difference, followed, settings_of
from campaigns.units import BadUnit, NoSuchUnit, unit_of

CURRENT = """
SELECT c.id, c.name, v.version, v.change, v.text FROM campaign c
JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version
"""
NEWER = text(f"{CURRENT} WHERE v.change > :change ORDER BY v.change")
NAMED = text(f"{CURRENT} WHERE c.name = :name")
# What the pages' role has put there it sees with the next statement: no RETURNING.
ADD = text("INSERT INTO campaign (name, unit_id, version) VALUES (:name, :unit, 1) ON CONFLICT DO NOTHING")
ADDED = text("SELECT id, version FROM campaign WHERE name = :name")
RAISE = text(
    "UPDATE campaign SET unit_id = :unit, version = version + 1 WHERE name = :name RETURNING id, version"
)
# For no key: an import holds its campaign's for as long as it takes.
LIVE = text("""
SELECT c.id, v.version, v.change, v.text, v.applied_by, v.applied_at, v.made_in FROM campaign c
JOIN campaign_version v ON v.campaign_id = c.id AND v.version = c.version WHERE c.name = :name
FOR NO KEY UPDATE OF c
""")
VERSION = text("""
INSERT INTO campaign_version (campaign_id, version, text, applied_by, applied_at, made_in, why)
VALUES (:campaign, :version, :text, :who, :at, :made_in, :why) RETURNING change
""")
VERSIONS = text("""
SELECT v.version, v.text, v.applied_by, v.applied_at, v.made_in, v.why FROM campaign_version v
JOIN campaign c ON c.id = v.campaign_id WHERE c.name = :name ORDER BY v.version DESC LIMIT :most
""")
NAMES = text("SELECT name FROM campaign ORDER BY name")
ID = text("SELECT id FROM campaign WHERE name = :name")
LEARNED = text("SELECT learned FROM campaign WHERE id = :campaign")
KEEP_LEARNED = text("UPDATE campaign SET learned = :learned WHERE id = :campaign")


FILE, CONSOLE = "file", "console"  # where a version was made


class NoSuchCampaign(CampaignsError):
    """No campaign of this name was applied."""


class NameTaken(ConfigError):
    """There is a campaign of this name already, perhaps one that is not seen."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A campaign's newest version. `change` counts over all campaigns, for asking what is newer."""

    campaign_id: int
    version: int
    change: int
    config: CampaignConfig


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A campaign's newest version that this program can't read, as when a newer one applied it."""

    name: str
    change: int
    reason: str  # names campaign and version


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a campaign. `made_in` is `file` or `console`."""

    version: int
    text: str
    who: str
    at: datetime
    made_in: str
    why: str


@dataclass(frozen=True, slots=True)
class _Made:
    who: str
    at: datetime
    made_in: str
    why: str


class CampaignStore:
    """The campaigns of one database. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def apply(self, source: str, where: str, who: str, at: datetime) -> Applied:
        """Make a file's text the campaign's newest version. The same text again changes nothing.

        A version that was made in the console is replaced only by a file that says it follows it. Raises
        :class:`campaigns.config.ConfigError`, then nothing has changed; :class:`campaigns.steering.Outdated` is one.
        """
        follows, source = followed(source)
        config = parse(source, where)
        with self._engine.begin() as connection:
            live = connection.execute(LIVE, {"name": config.name}).one_or_none()
            if live is not None and live.text == source:
                return Applied(live.id, live.version, live.change, config)
            if live is not None and live.made_in == CONSOLE and follows != live.version:
                raise _outdated(live, config.name, source, where)
            made = _Made(who, at, FILE, "")
            applied = self._add(connection, config, source, where, made, live is not None)
        if live is not None:
            self._let_go(applied, live.text)
        return applied

    def differs(self, source: str, where: str) -> str:
        """What a file would change of the live version, as a difference; empty: nothing.

        Raises what :meth:`apply` would.
        """
        follows, source = followed(source)
        config = parse(source, where)
        with self._engine.connect() as connection:
            live = connection.execute(LIVE, {"name": config.name}).one_or_none()
        if live is None:
            return difference("", source, "nothing", where)
        if live.text != source and live.made_in == CONSOLE and follows != live.version:
            raise _outdated(live, config.name, source, where)
        return difference(live.text, source, f"version {live.version}", where)

    def change(self, name: str, base: int, source: str, who: str, at: datetime, why: str) -> Applied:
        """Make a text that was made from version `base` in the console the campaign's newest version.

        Raises :class:`NoSuchCampaign`, :class:`campaigns.config.ConfigError`, and
        :class:`campaigns.steering.Outdated` when another version has become live since.
        """
        where = f"campaign {name}"
        config = parse(source, where)
        if config.name != name:
            raise ConfigError(f"{where}: name: a campaign is not renamed")
        with self._engine.begin() as connection:
            live = connection.execute(LIVE, {"name": name}).one_or_none()
            if live is None:
                raise NoSuchCampaign(f"there is no campaign {name!r}")
            if live.version != base:
                raise _outdated(live, name, source, f"a change of version {base}")
            if live.text == source:
                return Applied(live.id, live.version, live.change, config)
            applied = self._add(
                connection, config, source, "console", _Made(who, at, CONSOLE, why), True, live.text
            )
        self._let_go(applied, live.text)
        return applied

    def create(self, source: str, who: str, at: datetime, why: str) -> Applied:
        """Make a text that was written in the console a new campaign's first version.

        Raises :class:`NameTaken` and :class:`campaigns.config.ConfigError`.
        """
        config = parse(source, "campaign")
        with self._engine.begin() as connection:
            made = _Made(who, at, CONSOLE, why)
            return self._add(connection, config, source, "console", made, False)

    def versions(self, name: str, most: int = 50) -> Sequence[Version]:
        """A campaign's versions, the newest first."""
        with self._engine.connect() as connection:
            return [Version(*row) for row in connection.execute(VERSIONS, {"name": name, "most": most})]

    def _add(
        self,
        connection: Connection,
        config: CampaignConfig,
        source: str,
        where: str,
        made: _Made,
        there: bool,
        was: str = "",
    ) -> Applied:
        try:
            unit = unit_of(connection, config.unit)
        except (NoSuchUnit, BadUnit) as fault:
            raise ConfigError(f"{where}: unit: {fault}") from fault
        named = {"name": config.name, "unit": unit}
        new = not there and connection.execute(ADD, named).rowcount > 0
        if not there and not new and made.made_in == CONSOLE:  # of a file it is another version
            raise NameTaken(f"{where}: name: there is a campaign {config.name} already")
        row = connection.execute(ADDED if new else RAISE, named).one()
        values = {
            "campaign": row.id,
            "version": row.version,
            "text": source,
            "who": made.who,
            "at": made.at,
            "made_in": made.made_in,
            "why": made.why,
        }
        change = connection.execute(VERSION, values).scalar_one()
        keep_steps(connection, row.id, config)
        before: dict[str, object] | None = {"version": row.version - 1} if row.version > 1 else None
        after: dict[str, object] = {"version": row.version, "running": config.running, "from": where}
        if was and before is not None:
            old, new = settings_of(parse(was, where)), settings_of(config)
            before |= {key: old[key] for key in old if old[key] != new[key]}
            after |= {key: new[key] for key in old if old[key] != new[key]}
        write(
            connection,
            "campaign applied",
            config.name,
            made.why,
            before=before,
            after=after,
            at=made.at,
            who=made.who,
        )
        return Applied(row.id, row.version, change, config)

    def _let_go(self, applied: Applied, was: str) -> None:
        """Have asked anew about what the last version held back, if this one might answer otherwise."""
        try:
            same = _what_refuses(parse(was, "")) == _what_refuses(applied.config)
        except ConfigError:  # of an older program
            same = False
        if not same:
            let_campaign_go(self._engine, applied.campaign_id)

    def newer_than(self, change: int) -> Sequence[Applied | Unreadable]:
        """The campaigns whose newest version is newer than `change`, in the order of change; 0 gives all."""
        with self._engine.connect() as connection:
            return [_read(row) for row in connection.execute(NEWER, {"change": change}).all()]

    def readable(self) -> list[Applied]:
        """All campaigns whose newest version can be read, in the order of their names."""
        found = [each for each in self.newer_than(0) if isinstance(each, Applied)]
        return sorted(found, key=lambda each: each.config.name)

    def find(self, name: str) -> Applied | Unreadable | None:
        """A campaign's newest version; None when there is no such campaign."""
        with self._engine.connect() as connection:
            row = connection.execute(NAMED, {"name": name}).one_or_none()
        return None if row is None else _read(row)

    def id_of(self, name: str) -> int | None:
        """A campaign's id; None when there is no such campaign."""
        with self._engine.connect() as connection:
            return connection.execute(ID, {"name": name}).scalar_one_or_none()

    def names(self) -> list[str]:
        """All campaigns, in the order of their names."""
        with self._engine.connect() as connection:
            return list(connection.execute(NAMES).scalars())

    def window(
        self, campaign_id: int, length: timedelta, now: datetime, machine_codes: Sequence[str] = ()
    ) -> tuple[int, int, int, int]:
        """Of the last `length`: connected, hung up while waiting, abandoned; and those connected that were machines."""
        with self._engine.connect() as connection:
            return window(connection, campaign_id, length, now, machine_codes)

    def learned(self, campaign_id: int) -> str:
        """What pacing kept with the campaign, empty when nothing."""
        with self._engine.connect() as connection:
            return connection.execute(LEARNED, {"campaign": campaign_id}).scalar_one_or_none() or ""

    def keep_learned(self, campaign_id: int, learned: str) -> None:
        """Keep what pacing has learned with the campaign."""
        with self._engine.begin() as connection:
            connection.execute(KEEP_LEARNED, {"campaign": campaign_id, "learned": learned})


def _what_refuses(config: CampaignConfig) -> object:
    """All of a version that a lead can be held back by."""
    return config.rules, pools_of(config)


def _outdated(live: Any, name: str, source: str, where: str) -> Outdated:
    made = "in the console" if live.made_in == CONSOLE else "from a file"
    return Outdated(
        f"{where}: is older than the live version {live.version} of {name}, which {live.applied_by} made {made} at "
        f"{live.applied_at:%Y-%m-%d %H:%M}; `dialer export {name}` writes that one as a file to go on with",
        difference(live.text, source, f"version {live.version}", where),
    )


def _read(row: Row[Any]) -> Applied | Unreadable:
    """The campaign in a row of :data:`CURRENT`."""
    try:
        config = parse(row.text, f"campaign {row.name}, version {row.version}")
    except ConfigError as fault:
        return Unreadable(row.name, row.change, str(fault))
    return Applied(row.id, row.version, row.change, config)
