"""Campaigns made and rewritten by who plans them: the texts, checked as they are written, within one's units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.config import CampaignConfig, ConfigError, parse
from campaigns.drafting import alike, blank
from campaigns.messages.figures import Figures, figures
from campaigns.ownership import engines
from campaigns.steering import Outdated
from campaigns.store import Applied, CampaignStore, NameTaken, Version
from campaigns.units import Units
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored
from cti.front import Front, home_of
from cti.steer import Why, seen, within_means

MOST_BYTES = 400_000  # of a text: a long script in two languages has 50,000
VERSIONS = 20  # shown
COUNTS = ("waiting", "sent", "delivered", "failed", "replied", "held_out", "not_sent")  # of messages


class Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A campaign's text, to be looked at."""

    text: str


class Made(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A campaign's text to go live: of a new one when `version` is 0, else in place of that live version; and why."""

    text: str
    version: int
    why: Why


@dataclass(frozen=True, slots=True)
class _Begun:
    """A text in the page's editor: of the live `version` of `name`, or 0 and none."""

    text: str
    name: str = ""
    version: int = 0
    versions: Sequence[Version] = ()


class CampaignDesk(Desk):
    """The endpoints and the page. A unit or a campaign out of the asker's reach is as if it were not there."""

    def __init__(self, front: Front, stored: Stored, switches: Sequence[str]) -> None:
        super().__init__(stored, "campaigns")
        self._front = front
        self._switches = switches

    async def show(self, request: Request, asker: User) -> Response:
        """GET /api/campaigns"""
        engine = self.within(request, asker)
        return JSONResponse(await self.run(lambda: [_row(each) for each in seen(engine, asker)]))

    async def check(self, request: Request, asker: User) -> Response:
        """POST /api/campaigns/check: what a text says in short; 400 with what is wrong in it."""
        written = await self.fields(request, Written, MOST_BYTES)
        engine = self.within(request, asker)
        config = await self.run(lambda: self.checked(engine, asker, written.text))
        return JSONResponse(
            {name: getattr(config, name) for name in ("name", "unit", "switch", "mode", "running")}
        )

    async def save(self, request: Request, asker: User) -> Response:
        """POST /api/campaigns: 409 when there is one of this name, or another version has become live since."""
        made = await self.fields(request, Made, MOST_BYTES)
        engine, now = self.within(request, asker), datetime.now(UTC)

        def making() -> Applied:
            if made.version == 0:
                return self.created(engine, asker, made.text, now, made.why)
            config = self.checked(engine, asker, made.text)
            self.mine(engine, asker, config.name)
            store = CampaignStore(engine)
            try:
                return store.change(config.name, made.version, made.text, asker.login, now, made.why)
            except Outdated as fault:
                raise Refusal(409, "outdated", fault.difference) from fault

        applied = await self.run(making)
        return JSONResponse({"name": applied.config.name, "version": applied.version})

    async def page(self, request: Request, user: User) -> Response:
        """GET /campaigns: those there are; with `name` that one to be rewritten, with `new` one to be made."""
        engine, asked = self.within(request, user), request.query_params

        def reading() -> dict[str, Any]:
            return {
                "campaigns": [_row(each) for each in seen(engine, user)],
                "units": [each.path for each in Units(engine).below(user.unit_id)],
                "begun": (begun := self._begun(engine, user, asked)),
                "messages": self._messages(engine, begun),
            }

        found = await self.run(reading)
        return self._front.page(
            request,
            "campaigns.html",
            user=user,
            home=home_of(user),
            asked=dict(asked),
            message_counts=COUNTS,
            **found,
        )

    def checked(self, engine: Engine, asker: User, text: str) -> CampaignConfig:
        """A text that may go live. Raises :class:`campaigns.config.ConfigError` and :class:`Refusal`."""
        config = parse(text, "campaign")
        self.unit(asker, config.unit)
        if self._switches and not set(config.switches) <= {*self._switches}:
            with self._stored.engine.connect() as connection:  # an engine of another file may have it
                known = {*self._switches, *(switch for each in engines(connection) for switch in each.able)}
            unknown = [name for name in config.switches if name not in known]
            if unknown:
                raise ConfigError(f"switch: must be one of {', '.join(sorted(known))}, is {unknown[0]!r}")
        within_means(engine, asker, config)
        return config

    def created(self, engine: Engine, asker: User, text: str, now: datetime, why: str) -> Applied:
        """A new campaign of this text. Raises what :meth:`checked` does."""
        self.checked(engine, asker, text)
        try:
            return CampaignStore(engine).create(text, asker.login, now, why)
        except NameTaken as fault:
            raise Refusal(409, "taken", str(fault)) from fault

    def mine(self, engine: Engine, asker: User, name: str) -> None:
        """Raises :class:`Refusal` for a campaign that is of none of the asker's units."""
        for each in seen(engine, asker):
            if each.config.name == name:
                self.unit(asker, each.config.unit)
                return
        raise Refusal(404, "not_found", f"there is no campaign {name!r}")

    # --- within -----------------------------------------------------------------------------------------------

    def _messages(self, engine: Engine, begun: _Begun | None) -> Figures | None:
        """What came of its messages; None where none was due yet."""
        found = figures(engine, begun.name) if begun is not None and begun.name else None
        return found if found is not None and found.steps else None

    def _begun(self, engine: Engine, user: User, asked: Mapping[str, str]) -> _Begun | None:
        name, new, like = asked.get("name"), asked.get("new"), asked.get("like")
        if name is not None:
            self.mine(engine, user, name)
            versions = CampaignStore(engine).versions(name, VERSIONS)
            return _Begun(versions[0].text, name, versions[0].version, versions)
        if new is None:
            return None
        unit = self.unit(user, asked.get("unit")).path
        if not like:
            return _Begun(blank(new, self._switches[0] if self._switches else "main", unit))
        self.mine(engine, user, like)
        return _Begun(alike(CampaignStore(engine).versions(like, 1)[0].text, new, unit))


def _row(each: Applied) -> dict[str, Any]:
    config = each.config
    return {
        "name": config.name,
        "unit": config.unit,
        "mode": config.mode,
        "running": config.running,
        "version": each.version,
    }
