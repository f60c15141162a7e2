"""Segments over HTTP and on a page: saved, counted as they are written, and taken by campaigns, within one's units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.jobs import TakeJob
from campaigns.segments.compiling import Compiler, TooFarBack, farthest, must_reach
from campaigns.segments.language import COUNTED, OWN, lines, parse
from campaigns.segments.store import Segment, SegmentStore
from campaigns.segments.taking import Wish
from campaigns.units import Units
from campaigns.users import User
from cti.desk import Desk, Refusal, Stored, T, by
from cti.front import Front, home_of

HAPPENED = (*COUNTED, "result", "answer")  # what a condition may be about, beside attributes and lists


class Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A segment to save: a new version of one that is there, or a new one in the unit of this path."""

    name: str
    text: str
    unit: str = ""


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text whose customers are to be counted, in the unit of this path."""

    text: str
    unit: str = ""


class SegmentDesk(Desk):
    """The endpoints and the page. A segment of a unit that is not the asker's is as if it were not there."""

    def __init__(self, front: Front, stored: Stored) -> None:
        super().__init__(stored, "segments")
        self._front = front

    async def show(self, request: Request, asker: User) -> Response:
        """GET /api/segments: all of them; with `name` the versions of one."""
        name, store = request.query_params.get("name"), SegmentStore(self.within(request, asker))
        if name is None:
            found: Sequence[object] = await self.run(lambda: store.all(_within(asker)))
        else:
            found = await self.run(lambda: (_mine(store, asker, name), store.versions(name))[1])
        return JSONResponse(msgspec.to_builtins(found))

    async def save(self, request: Request, asker: User) -> Response:
        """POST /api/segments"""
        wanted = await self.fields(request, Saved)
        store = SegmentStore(self.within(request, asker))

        def saving() -> Segment:
            there = {each.name for each in store.all()}
            unit = (
                _mine(store, asker, wanted.name).unit
                if wanted.name in there
                else self.unit(asker, wanted.unit or None).path
            )
            return store.save(wanted.name, wanted.text, unit, asker.login, datetime.now(UTC))

        return JSONResponse(msgspec.to_builtins(await self.run(saving)))

    async def count(self, request: Request, asker: User) -> Response:
        """POST /api/segments/count: how many customers a text fits; 400 with what is wrong in it."""
        asked = await self.fields(request, Asked)

        def counting() -> dict[str, object]:
            unit = self.unit(asker, asked.unit or None)
            counted = SegmentStore(self._stored.engine).count(asked.text, unit.unit_id, datetime.now(UTC))
            word, shown = lines(parse(asked.text)) or ("", None)
            return {**asdict(counted), "word": word, "lines": shown}

        return JSONResponse(msgspec.to_builtins(await self.run(counting)))

    async def take(self, request: Request, asker: User) -> Response:
        """POST /api/segments/take: a campaign takes customers of a segment onto a new list."""
        wish = await self.fields(request, Wish)
        await self.campaign_id(asker, wish.campaign)
        store = SegmentStore(self.within(request, asker))

        def checking() -> None:
            now, calls_since = datetime.now(UTC), store.calls_since()
            Compiler(now, calls_since).sql(parse(_mine(store, asker, wish.segment).text))
            must_reach(wish.rest_days, calls_since, now)

        await self.run(checking)
        self._stored.imports.mkdir(parents=True, exist_ok=True)
        return JSONResponse(await self.job(by(request, asker), TakeJob(wish), self._stored.imports))

    async def run(self, work: Callable[[], T]) -> T:
        """As of all desks; that one looks too far back is told by a code of its own, for which the page has words."""

        def looking() -> T:
            try:
                return work()
            except TooFarBack as fault:
                raise Refusal(400, "too_far_back", str(fault)) from fault

        return await super().run(looking)

    async def page(self, request: Request, user: User) -> Response:
        """GET /segments: the builder; with `name` that segment is in it."""
        name, store = request.query_params.get("name"), SegmentStore(self.within(request, user))

        def reading() -> dict[str, Any]:
            chosen = _mine(store, user, name) if name is not None else None
            own = user.unit_id if chosen is None else chosen.unit_id
            calls_since = store.calls_since()
            return {
                "segments": store.all(_within(user)),
                "units": [each.path for each in Units(self._stored.engine).below(user.unit_id)],
                "chosen": chosen,
                "versions": store.versions(name) if chosen is not None and name is not None else (),
                "attributes": store.attributes(own),
                "campaigns": [each for each in store.campaigns(_within(user)) if user.sees(each)],
                "calls_since": calls_since,
                "farthest": farthest(calls_since, datetime.now(UTC)),
            }

        found = await self.run(reading)
        return self._front.page(
            request, "segments.html", user=user, home=home_of(user), own=OWN, happened=HAPPENED, **found
        )


def _mine(store: SegmentStore, user: User, name: str) -> Segment:
    for each in store.all(_within(user)):
        if each.name == name:
            return each
    raise Refusal(404, "not_found", f"there is no segment {name!r}")


def _within(user: User) -> int | None:
    return None if user.sees_all else user.unit_id
