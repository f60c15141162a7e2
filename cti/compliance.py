"""`/api/dnc`, `/api/consents`, `/api/evidence`, `/api/person`: what a supervisor has to answer for.

The do-not-call layers but a campaign's own hold for all campaigns: every supervisor may add a number to them, since who
asks not to be called must be heard at once. Many numbers in one entry, of which nobody asked, are for who sees all
campaigns, as is taking entries off, and a person's data.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from campaigns.consents import ConsentStore
from campaigns.dnc import DncStore, Layer
from campaigns.jobs import EvidenceJob, Job, PersonJob
from campaigns.numbers import patterns_of
from campaigns.users import User
from cti.desk import Desk, Refusal, by, instant_in, number_in

LONGEST = 366  # days of evidence at a time


class Barred(msgspec.Struct, forbid_unknown_fields=True):
    """An entry to be: a number, a prefix or a range."""

    pattern: str
    layer: str = "company"
    campaign: str = ""
    source: str = ""
    reason: str = ""
    expires: str | None = None
    country: str = "CN"


class Unbarred(msgspec.Struct, forbid_unknown_fields=True):
    """An entry that is to go, off one layer or off all."""

    pattern: str
    layer: str = ""
    campaign: str = ""
    country: str = "CN"


class Given(msgspec.Struct, forbid_unknown_fields=True):
    """A consent."""

    number: str
    source: str
    given: str | None = None
    expires: str | None = None
    country: str = "CN"


class Withdrawn(msgspec.Struct, forbid_unknown_fields=True):
    """A number whose consents end."""

    number: str
    at: str | None = None
    country: str = "CN"


class ComplianceDesk(Desk):
    """The endpoints about who may be called, and what was done."""

    async def check(self, request: Request, asker: User) -> Response:
        """GET /api/dnc: every entry that a `number` falls under."""
        number = _number(request)
        dnc = DncStore(self.within(request, asker))
        return _told([asdict(each) for each in await self.run(lambda: dnc.check(number))])

    async def bar(self, request: Request, asker: User) -> Response:
        """POST /api/dnc: add a number, a prefix or a range to a layer."""
        wanted = await self.fields(request, Barred)
        campaign = await self._of(asker, wanted.campaign)
        expires = instant_in(wanted.expires)

        def add() -> Any:
            where = Layer(wanted.layer, wanted.source or wanted.layer, campaign)
            _, many = patterns_of(wanted.pattern, wanted.country)
            if many and not campaign and not asker.sees_all:
                raise Refusal(
                    403, "not_allowed", "a prefix or a range for all campaigns is for who sees them all"
                )
            at = datetime.now(UTC)
            return DncStore(self.within(request, asker)).add(
                wanted.pattern, where, at, wanted.reason, expires, wanted.country
            )

        return _told({"added": await self.run(add)})

    async def unbar(self, request: Request, asker: User) -> Response:
        """DELETE /api/dnc: take a number, a prefix or a range off, as it was added."""
        wanted = await self.fields(request, Unbarred)
        campaign = await self._of(asker, wanted.campaign)
        if not campaign and not asker.sees_all:
            raise Refusal(403, "not_allowed", "a layer for all campaigns is for who sees them all")
        dnc = DncStore(self.within(request, asker))
        gone = await self.run(lambda: dnc.remove(wanted.pattern, wanted.layer, campaign, wanted.country))
        if not gone:
            raise Refusal(404, "not_found", f"{wanted.pattern} is not there as such")
        return _told({"removed": gone})

    async def consents(self, request: Request, asker: User) -> Response:
        """GET /api/consents: those of a `number`, ended ones too."""
        number = _number(request)
        consents = ConsentStore(self.within(request, asker))
        return _told([asdict(each) for each in await self.run(lambda: consents.of(number))])

    async def give(self, request: Request, asker: User) -> Response:
        """POST /api/consents: put one on record; the same one again changes nothing."""
        wanted = await self.fields(request, Given)
        number = number_in(wanted.number, wanted.country)
        given, expires = instant_in(wanted.given) or datetime.now(UTC), instant_in(wanted.expires)
        if not wanted.source.strip():
            raise Refusal(400, "malformed", "source: says how the consent was given")
        consents = ConsentStore(self.acting(request, asker))
        return _told({"ids": await self.run(lambda: consents.give(number, wanted.source, given, expires))})

    async def withdraw(self, request: Request, asker: User) -> Response:
        """POST /api/consents/withdraw: end all of a number's consents."""
        wanted = await self.fields(request, Withdrawn)
        number = number_in(wanted.number, wanted.country)
        at = instant_in(wanted.at) or datetime.now(UTC)
        consents = ConsentStore(self.acting(request, asker))
        return _told({"withdrawn": await self.run(lambda: consents.withdraw(number, at))})

    async def evidence(self, request: Request, asker: User) -> Response:
        """GET /api/evidence: a CSV of what allowed the calls of a `campaign` or to a `number`, `from` … `to`."""
        asked = request.query_params
        since, until = instant_in(asked.get("from")), instant_in(asked.get("to"))
        if since is None or until is None or not since < until or (until - since).days > LONGEST:
            raise Refusal(400, "malformed", f"from and to: are two instants, at most {LONGEST} days apart")
        name = asked.get("campaign", "")
        if not name and ("number" not in asked or not asker.sees_all):
            raise Refusal(400, "malformed", "name a campaign")
        campaign = await self._of(asker, name) or None
        number = _number(request) if "number" in asked else None
        job = EvidenceJob(
            str(self._stored.archive.absolute()), campaign, number, since, until, "evidence.csv"
        )
        return await self._file(request, asker, job, job.file, "text/csv")

    async def person(self, request: Request, asker: User) -> Response:
        """GET /api/person: all that is known of a person by `number` or `customer`, in all campaigns."""
        if not asker.sees_all:
            raise Refusal(403, "not_allowed", "a person's data is for who sees all campaigns")
        customer = request.query_params.get("customer", "")
        if bool(customer) == ("number" in request.query_params):
            raise Refusal(400, "malformed", "name a number or a customer")
        number = "" if customer else _number(request)
        job = PersonJob(str(self._stored.archive.absolute()), number, customer, "person.json")
        return await self._file(request, asker, job, job.file, "application/json")

    # --- within -----------------------------------------------------------------------------------------------

    async def _of(self, asker: User, campaign: str) -> int:
        return await self.campaign_id(asker, campaign) if campaign else 0

    async def _file(self, request: Request, asker: User, job: Job, name: str, kind: str) -> Response:
        """The file that a job makes, gone when it is sent."""
        folder = Path(tempfile.mkdtemp(prefix="zhudong-api-"))

        def gone() -> None:
            shutil.rmtree(folder, ignore_errors=True)

        try:
            await self.job(by(request, asker), job, folder)
        except BaseException:
            gone()
            raise
        return FileResponse(folder / name, media_type=kind, filename=name, background=BackgroundTask(gone))


def _number(request: Request) -> str:
    return number_in(request.query_params.get("number", ""), request.query_params.get("country", "CN"))


def _told(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
