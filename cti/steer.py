"""Campaigns steered from the console: what may be changed, each version with who and why, and the way back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.config import CampaignConfig, CampaignsError, ConfigError, parse
from campaigns.drafting import beyond
from campaigns.rights import REACHING
from campaigns.steering import Outdated, Value, changed, difference, settings_of
from campaigns.store import Applied, CampaignStore, Version
from campaigns.units import Units
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored

MOST_VERSIONS = 50  # shown
Why = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Preview = Callable[[str, str], Awaitable[dict[str, Any]]]  # of a campaign with another text


class ChangeWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings to be changed, of the live `version`, and why."""

    campaign: str
    version: int
    settings: dict[str, Value]
    why: Why


class BackWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version `to` be live again, in place of the live `version`, and why."""

    campaign: str
    version: int
    to: int
    why: Why


class PreviewWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings whose effect is asked for."""

    campaign: str
    settings: dict[str, Value]


class SteerDesk(Desk):
    """The endpoints."""

    def __init__(self, stored: Stored, preview: Preview | None = None) -> None:
        super().__init__(stored, "steer")
        self._preview = preview
        self._previewing = False

    async def show(self, request: Request, asker: User) -> Response:
        """A `campaign`'s settings, and its versions with what each changed, the newest first."""
        name = request.query_params.get("campaign", "")
        await self.campaign_id(asker, name)
        store = CampaignStore(self.within(request, asker))
        versions = await self.run(lambda: store.versions(name, MOST_VERSIONS + 1))
        live = await self.run(lambda: _parsed(versions[0], name))
        told = [
            {
                "version": each.version,
                "who": each.who,
                "at": each.at.timestamp(),
                "made_in": each.made_in,
                "why": each.why,
                "difference": difference(
                    before.text, each.text, f"version {before.version}", f"version {each.version}"
                )
                if before is not None
                else "",
            }
            for each, before in zip(versions, [*versions[1:], None], strict=True)
        ][:MOST_VERSIONS]
        return JSONResponse({"version": versions[0].version, "settings": settings_of(live), "versions": told})

    async def change(self, request: Request, asker: User) -> Response:
        """Make a new version with these settings; 409 when another version has become live since."""
        wanted = await self.fields(request, ChangeWanted)
        await self.campaign_id(asker, wanted.campaign)
        store, now = CampaignStore(self.within(request, asker)), datetime.now(UTC)

        def made() -> Applied:
            text = changed(_text(store, wanted.campaign), wanted.settings, wanted.campaign)
            return store.change(wanted.campaign, wanted.version, text, asker.login, now, wanted.why)

        return await self._made(made)

    async def back(self, request: Request, asker: User) -> Response:
        """Make an earlier version the newest one, if it has nothing that the asker may not put there themselves."""
        wanted = await self.fields(request, BackWanted)
        await self.campaign_id(asker, wanted.campaign)
        engine, now = self.within(request, asker), datetime.now(UTC)
        store = CampaignStore(engine)

        def made() -> Applied:
            text = _text(store, wanted.campaign, wanted.to)
            within_means(engine, asker, parse(text, wanted.campaign))
            return store.change(wanted.campaign, wanted.version, text, asker.login, now, wanted.why)

        return await self._made(made)

    async def preview(self, request: Request, asker: User) -> Response:
        """What the last hours would have come to with these settings, beside what they came to with the live ones."""
        wanted = await self.fields(request, PreviewWanted)
        await self.campaign_id(asker, wanted.campaign)
        if self._preview is None:
            raise Refusal(422, "no_preview", "no simulator is at hand")
        if self._previewing:  # each takes a core for seconds
            raise Refusal(503, "busy")

        store = CampaignStore(self.within(request, asker))

        def text_of() -> str:
            return changed(_text(store, wanted.campaign), wanted.settings, wanted.campaign)

        self._previewing = True
        try:
            return JSONResponse(await self._preview(wanted.campaign, await self.run(text_of)))
        except CampaignsError as fault:
            raise Refusal(422, "no_preview", str(fault)) from fault
        finally:
            self._previewing = False

    async def _made(self, work: Callable[[], Applied]) -> Response:
        def tried() -> Applied:
            try:
                return work()
            except Outdated as fault:
                raise Refusal(409, "outdated", fault.difference) from fault

        applied = await self.run(tried)
        return JSONResponse({"version": applied.version, "settings": settings_of(applied.config)})


def seen(engine: Engine, user: User) -> list[Applied]:
    """The campaigns that the user may be told of and whose live version can be read. Blocks."""
    return [each for each in CampaignStore(engine).readable() if user.sees(each.config.name)]


def within_means(engine: Engine, asker: User, config: CampaignConfig) -> None:
    """Raises :class:`ConfigError` for what a text has that somebody of the whole company has to put there. Blocks.

    What the campaign has as it is live, or another one of the asker's units, is there already.
    """
    if asker.sees_all:
        return
    units = {each.path for each in Units(engine).below(asker.unit_id)}
    known = [each.config for each in seen(engine, asker)]
    known = [each for each in known if each.unit in units or each.name == config.name]
    reached = units if asker.role in REACHING else set[str]()
    if config.unit not in reached | {each.unit for each in known if each.name == config.name}:
        raise ConfigError(
            f"unit: {config.unit!r} is not where it is: who plans campaigns there has to move it"
        )
    for key, value in beyond(config, known):
        raise ConfigError(
            f"{key}: {value!r} is in none of your campaigns: somebody of the whole company has to put it there"
        )


def _text(store: CampaignStore, name: str, version: int | None = None) -> str:
    """The text of a version, or of the live one. Raises :class:`Refusal`."""
    for each in store.versions(name, 1_000_000 if version is not None else 1):
        if version in (None, each.version):
            return each.text
    raise Refusal(404, "not_found", f"{name} has no version {version}")


def _parsed(version: Version, name: str) -> CampaignConfig:
    try:
        return parse(version.text, name)
    except ConfigError as fault:
        raise Refusal(422, "unreadable", str(fault)) from fault
