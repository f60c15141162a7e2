"""`GET /api/why`: whether a customer would be called and why not, about the campaigns that the asker sees."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from campaigns.users import User
from campaigns.why import Explainer, NoSuchLead
from cti.desk import Desk, Refusal, Stored, instant_in, number_in
from cti.front import Front

READERS = 1  # a campaign's sample takes a core for a second: one at a time, so that calls go on beside it
LONGEST_LEAD = 18  # digits of the largest id


class WhyDesk(Desk):
    """The endpoint over what explains the rules' decisions."""

    def __init__(self, front: Front, stored: Stored) -> None:
        super().__init__(stored, "why", READERS)
        self._front = front

    async def why(self, request: Request, asker: User) -> Response:
        """Of a `number` (read in `country`, CN when not given) or a `lead`; of all leads of a `campaign` without those.

        `at` is an instant in ISO 8601, now when not given; without an offset it is UTC. 400 for what makes no sense,
        404 for what there is not, or not for this asker.
        """
        ask = self._asked(request, asker)

        def asking() -> Any:
            try:
                return ask()
            except NoSuchLead as fault:
                raise Refusal(404, "not_found", str(fault)) from fault

        answer = msgspec.to_builtins(await self.run(asking))
        texts = self._front.texts(request, asker)
        answers = answer if isinstance(answer, list) else [answer]
        for each in answers:
            for reason in each.get("reasons", ()):
                reason["label"] = texts(f"refusal.{reason['reason']}")
            for name, held in each.get("held", {}).items():
                held["label"] = texts(f"refusal.{name}")
        return JSONResponse(answer)

    def _asked(self, request: Request, asker: User) -> Callable[[], Any]:
        asked = request.query_params
        at = instant_in(asked.get("at")) or datetime.now(UTC)
        campaign = asked.get("campaign")
        seen, explainer = asker.seen, Explainer(self.within(request, asker))
        if campaign is not None:
            seen = [campaign] if asker.sees(campaign) else []
        if "number" in asked:
            number = number_in(asked["number"], asked.get("country", "CN"))
            return lambda: explainer.number(number, at, seen)
        if "lead" in asked:
            lead = asked["lead"]
            if not lead.isascii() or not lead.isdigit() or len(lead) > LONGEST_LEAD:
                raise Refusal(400, "malformed", f"{lead!r} is no lead's id")
            return lambda: explainer.lead(int(lead), at, seen)
        if campaign is None:
            raise Refusal(400, "malformed", "name a number, a lead or a campaign")
        if not asker.sees(campaign):
            raise Refusal(404, "not_found", f"there is no campaign {campaign!r}")
        return lambda: explainer.campaign(campaign, at)
