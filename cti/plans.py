"""The next plan over HTTP and on a page: proposed from a campaign's calls, made a campaign at once, compared later."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import msgspec
from sqlalchemy import Engine
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.config import CampaignsError, ConfigError
from campaigns.jobs import TakeJob
from campaigns.plans.proposing import text_of
from campaigns.plans.store import PlanStore, Proposal
from campaigns.segments.compiling import farthest, must_reach
from campaigns.segments.store import Segment, SegmentStore
from campaigns.segments.taking import MOST_HELD_OUT, MOST_TAKEN, Wish
from campaigns.store import Applied, CampaignStore
from campaigns.units import Units
from campaigns.users import User
from cti.campaigns import CampaignDesk
from cti.desk import Desk, Refusal, Stored, by
from cti.front import Front, home_of
from cti.steer import Why

READERS = 1  # plans come one at a time, so that calls go on beside them
FORTNIGHT = timedelta(days=14)
Hour = Annotated[int, msgspec.Meta(ge=0, le=23)]


class PlanWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan from the last `days` of a campaign's calls, to be made a campaign of this `name` and unit, and why.

    So many `customers` of the segment are to be called in these `hours` of their day (none: as before) `until` a day,
    with the script of the `arm`; a share is held out, and nobody taken whom an agent talked to in the last `rest_days`.
    """

    campaign: str
    name: str
    segment: str
    customers: Annotated[int, msgspec.Meta(ge=1, le=MOST_TAKEN)]
    until: date
    why: Why
    unit: str = ""
    hours: Annotated[tuple[Hour, ...], msgspec.Meta(max_length=24)] = ()
    arm: str = ""
    days: Annotated[int, msgspec.Meta(ge=1, le=400)] = 30
    hold_out: Annotated[float, msgspec.Meta(ge=0, le=MOST_HELD_OUT)] = 0.1
    rest_days: Annotated[int, msgspec.Meta(ge=0, le=3660)] = 30


class PlanDesk(Desk):
    """The endpoints and the page, as far as the asker reaches."""

    def __init__(self, front: Front, stored: Stored, campaigns: CampaignDesk) -> None:
        super().__init__(stored, "plans", READERS)
        self._front = front
        self._campaigns = campaigns

    async def show(self, request: Request, asker: User) -> Response:
        """GET /api/plans: those made, beside what happened; with a `campaign` what is proposed from its calls."""
        engine, asked = self.within(request, asker), request.query_params
        if "campaign" not in asked:
            return JSONResponse(msgspec.to_builtins(await self.run(lambda: PlanStore(engine).made(_now()))))
        await self.campaign_id(asker, asked["campaign"])
        found = await self.run(lambda: self._proposed(engine, asker, asked["campaign"], asked))
        return JSONResponse(msgspec.to_builtins(found))

    async def make(self, request: Request, asker: User) -> Response:
        """POST /api/plans: the campaign is made, the plan put on record, and the customers taken."""
        wanted = await self.fields(request, PlanWanted)
        await self.campaign_id(asker, wanted.campaign)
        engine = self.within(request, asker)
        made = await self.run(lambda: self._made(engine, asker, wanted))
        self._stored.imports.mkdir(parents=True, exist_ok=True)
        wish = Wish(
            wanted.segment,
            made.config.name,
            wanted.segment,
            wanted.customers,
            wanted.hold_out,
            wanted.rest_days,
        )
        taken = await self.job(by(request, asker), TakeJob(wish), self._stored.imports)
        return JSONResponse({"name": made.config.name, "version": made.version, **taken})

    async def page(self, request: Request, user: User) -> Response:
        """GET /plans: what is proposed from a `campaign`, as a form; and the plans made."""
        engine, asked = self.within(request, user), request.query_params

        def reading() -> dict[str, Any]:
            units = [each.path for each in Units(engine).below(user.unit_id)]
            known = CampaignStore(engine).readable()
            mine = {each.config.name: each for each in known if each.config.unit in units}
            chosen = asked.get("campaign") or next(iter(mine), "")
            proposed, problem = None, ""
            if chosen:
                if chosen not in mine:
                    raise Refusal(404, "not_found", f"there is no campaign {chosen!r}")
                try:
                    proposed = self._proposed(engine, user, chosen, asked)
                except CampaignsError as fault:
                    problem = str(fault)
            return {
                "campaigns": list(mine),
                "campaign": chosen,
                "units": units,
                "arms": [arm.code for arm in mine[chosen].config.trial.arms] if chosen else [],
                "segments": _segments(engine, user),
                "proposed": proposed,
                "problem": problem,
                "farthest": farthest(SegmentStore(engine).calls_since(), _now()),
                "made": PlanStore(engine).made(_now()),
            }

        found = await self.run(reading)
        return self._front.page(
            request, "plans.html", user=user, home=home_of(user), days=asked.get("days", "30"), **found
        )

    # --- within -----------------------------------------------------------------------------------------------

    def _proposed(self, engine: Engine, asker: User, campaign: str, asked: QueryParams) -> Proposal:
        now = _now()
        days = _whole(asked.get("days"), 30, 400)
        customers = _whole(asked.get("customers"), 0, MOST_TAKEN)
        hours = [_whole(each, 0, 23, 0) for each in asked.getlist("hours")] if "reckon" in asked else None
        try:
            until = date.fromisoformat(asked["until"]) if asked.get("until") else (now + FORTNIGHT).date()
        except ValueError as fault:
            raise ConfigError(f"{asked['until'][:20]!r} is no day") from fault
        return PlanStore(engine).propose(
            campaign, _segments(engine, asker), now - timedelta(days=days), now, until, customers or None,
            asked.get("segment") or None, hours, asked.get("arm"),
        )  # fmt: skip

    def _made(self, engine: Engine, asker: User, wanted: PlanWanted) -> Applied:
        now = _now()
        self._campaigns.mine(engine, asker, wanted.campaign)
        must_reach(wanted.rest_days, SegmentStore(engine).calls_since(), now)
        plan = PlanStore(engine).propose(
            wanted.campaign, _segments(engine, asker), now - timedelta(days=wanted.days), now, wanted.until,
            wanted.customers, wanted.segment, wanted.hours, wanted.arm,
        )  # fmt: skip
        base = CampaignStore(engine).versions(wanted.campaign, 1)[0].text
        source = text_of(base, wanted.name, wanted.unit, wanted.hours, wanted.arm)
        made = self._campaigns.created(engine, asker, source, now, wanted.why)
        PlanStore(engine).keep(made, plan, asker.login, now)
        return made


def _segments(engine: Engine, user: User) -> list[Segment]:
    return list(SegmentStore(engine).all(None if user.sees_all else user.unit_id))


def _whole(written: str | None, usual: int, most: int, least: int = 1) -> int:
    """A number that a query says. Raises :class:`campaigns.config.ConfigError`."""
    if not written:
        return usual
    if (
        not written.isascii()
        or not written.isdigit()
        or len(written) > 9
        or not least <= int(written) <= most
    ):
        raise ConfigError(f"{written[:20]!r} is no number from {least} to {most:,}")
    return int(written)


def _now() -> datetime:
    return datetime.now(UTC)
