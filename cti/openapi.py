"""The HTTP API's description, OpenAPI 3.1, at `/api/openapi.json`: each route, and what stands here of it.

Paths, methods and rights come from the routes themselves, the schemas of bodies and answers from the structs that are
decoded and encoded; here stands only what neither knows. A route without an entry fails when the app is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from campaigns import contacts, editing
from campaigns.evaluation.evaluating import SPLITS, Evaluation
from campaigns.evaluation.purchases import BroughtIn, Purchase
from campaigns.messages.choices import Said as Choice
from campaigns.messages.figures import Figures
from campaigns.segments.taking import Wish
from campaigns.webhooks import DeadDelivery
from cti import (
    answers,
    campaigns,
    compliance,
    console,
    lists,
    message_desk,
    oversight,
    own,
    plans,
    report_desk,
    requeue,
    schedule_api,
    segments,
    steer,
    webhook_desk,
    wire,
)
from cti.entry import Way
from cti.messages import Reply, SeatCommand

VERSION = "1"
SCHEMAS = "#/components/schemas/{name}"
LIST = {"type": "array"}
OBJECT = {"type": "object"}
TEXT = {"type": "string"}
INSTANT = {"type": "string", "description": "ISO 8601; UTC without an offset"}
NUMBER = {"type": "string", "description": "E.164, or as it is dialed in the country"}
COUNTRY = {"type": "string", "default": "CN", "description": "ISO 3166"}
DAY = {"type": "string", "description": "a day, as 2026-11-24"}
MANY = {"type": "array", "items": TEXT}
COUNTED = {"type": "integer", "minimum": 0}  # in a path
NAMED = {"type": "string", "pattern": "^[a-z_]+$"}
FLAG = {"type": "string", "enum": ["1"]}
# What a command's sender need not say: it is the session's own.
OWN = {"user_id", "name", "campaigns", "ranks"}


class Fault(msgspec.Struct):
    """Why a request was not done: a code for programs, a sentence for people."""

    error: str
    detail: str


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a route beside itself. `body` and `answer` are structs, or schemas; `kind` the answer's type."""

    summary: str
    query: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    must: tuple[str, ...] = ()  # of the query
    body: Any = None
    body_kinds: tuple[str, ...] = ("application/json",)
    answer: Any = None
    kind: str = "application/json"
    files: tuple[str, ...] = ()  # other types of the answer
    status: int = 200
    faults: tuple[int, ...] = ()
    also: Mapping[int, Any] = field(default_factory=dict)  # other answers, by status
    headers: tuple[str, ...] = ()


CAMPAIGN = {"campaign": TEXT}
EVENTS = Told(
    "", {"last": TEXT}, answer=TEXT, kind="text/event-stream", faults=(503,), headers=("Last-Event-ID",)
)
IMPORT = dict.fromkeys(sorted(lists.OPTIONS), TEXT) | {"dry_run": FLAG}

ROUTES: dict[tuple[str, str], Told] = {
    ("GET", "/api/openapi.json"): Told("This description", answer=OBJECT),
    ("GET", "/api/seat"): Told("My seat: its state, its customer, its call", answer=wire.FullState),
    ("POST", "/api/seat/commands"): Told(
        "Give my seat a command; under the same Idempotency-Key it is done once, with the first answer",
        body=SeatCommand,
        answer=Reply,
        faults=(400, 413),
        also={409: Reply, 422: Reply, 503: Reply},
        headers=("Idempotency-Key",),
    ),
    ("POST", "/api/seat/draft"): Told(
        "Keep what is typed and not on record yet", body=wire.Draft, status=204, faults=(400, 413)
    ),
    ("GET", "/api/seat/events"): replace(
        EVENTS, summary="Follow my seat: the whole state first, then each event; Last-Event-ID goes on where one was"
    ),
    ("GET", "/api/events"): replace(EVENTS, summary="The same of all calls of the campaigns that I see"),
    ("GET", "/api/contacts"): Told(
        "The numbers and earlier contacts of the customer at my seat", {"call_id": TEXT}, ("call_id",),
        answer=contacts.Known, faults=(404, 503),
    ),
    ("POST", "/api/customer"): Told(
        "Change the data of the customer at my seat: by the campaign's fields, what they were is kept",
        body=own.Asked, answer=editing.Customer, faults=(400, 404, 408, 413, 422, 503),
    ),
    ("GET", "/api/day"): Told(
        "My day since then, in POSIX seconds: time by state, results, and the callbacks that wait for me",
        {"since": {"type": "number"}}, ("since",), answer=contacts.Day, faults=(400, 503),
    ),
    ("GET", "/api/audit"): Told(
        "The audit log, the newest lines first",
        {
            "from": INSTANT, "to": INSTANT, "who": TEXT, "action": TEXT,
            "limit": {"type": "integer", "minimum": 1, "maximum": 1_000, "default": 100},
        },
        answer=LIST, faults=(400, 503),
    ),
    ("GET", "/api/webhooks/dead"): Told(
        "What no webhook took", answer=list[DeadDelivery], faults=(503,)
    ),
    ("POST", "/api/webhooks/resend"): Told(
        "Have it sent again", body=webhook_desk.Resent, answer=OBJECT, faults=(400, 408, 413, 503)
    ),
    ("GET", "/api/messages"): Told(
        "What came of a campaign's messages", CAMPAIGN, ("campaign",), answer=Figures, faults=(400, 404, 503)
    ),
    ("GET", "/api/messages/said"): Told(
        "What was said of being written to", {"channel": TEXT, "address": TEXT, "country": COUNTRY},
        ("channel", "address"), answer=list[Choice], faults=(400, 503),
    ),
    ("POST", "/api/messages/said"): Told(
        "Put a yes or a no on record", body=message_desk.Said, answer=OBJECT, faults=(400, 408, 413, 503)
    ),
    ("POST", "/api/messages/bounced"): Told(
        "A mail that came back", body=TEXT, body_kinds=("message/rfc822",), answer=OBJECT,
        faults=(400, 404, 408, 413, 503),
    ),
    ("POST", "/api/messages/{channel}/told"): Told(
        "What a gateway tells of messages, signed with its secret",
        body=answers.Told, answer=OBJECT, faults=(400, 401, 404, 408, 413, 503),
    ),
    ("GET", "/api/why"): Told(
        "Why somebody is, or is not, called now",
        {"number": NUMBER, "country": COUNTRY, "lead": TEXT, "campaign": TEXT, "at": INSTANT},
        answer={}, faults=(400, 404, 503),
    ),
    ("GET", "/api/caller-ids"): Told("How each number is answered", CAMPAIGN, answer=LIST, faults=(404, 503)),
    ("GET", "/api/best-time"): Told("When people answer", CAMPAIGN, answer=LIST, faults=(404, 503)),
    ("POST", "/api/requeue"): Told(
        "Have leads called again", body=requeue.Asked, answer=OBJECT, faults=(400, 404, 408, 413, 503)
    ),
    ("POST", "/api/alarms/acknowledge"): Told(
        "An alarm of the console has been seen", body=console.Seen, answer=OBJECT, faults=(400, 404, 408, 413, 503)
    ),
    ("GET", "/api/campaigns"): Told("The campaigns that one sees", answer=LIST, faults=(503,)),
    ("POST", "/api/campaigns"): Told(
        "Make a campaign, or write another version of one", body=campaigns.Made, answer=OBJECT,
        faults=(400, 404, 408, 413, 503), also={409: OBJECT},
    ),
    ("POST", "/api/campaigns/check"): Told(
        "What a campaign's text says, or what is wrong in it", body=campaigns.Written, answer=OBJECT,
        faults=(400, 404, 408, 413, 503),
    ),
    ("GET", "/api/plans"): Told(
        "The plans made, beside what happened; of a campaign what is proposed next",
        {"campaign": TEXT, "days": TEXT, "segment": TEXT, "customers": TEXT, "until": DAY, "arm": TEXT, "hours": TEXT,
         "reckon": TEXT},
        answer={}, faults=(400, 404, 503),
    ),
    ("POST", "/api/plans"): Told(
        "Make a plan a campaign, and have it take its customers", body=plans.PlanWanted, answer=OBJECT,
        faults=(400, 404, 408, 413, 422, 503), also={409: OBJECT},
    ),
    ("GET", "/api/segments"): Told("The segments; with a name the versions of one", {"name": TEXT}, answer=LIST,
        faults=(404, 503)),
    ("POST", "/api/segments"): Told(
        "Save a segment: a new version, or a new one", body=segments.Saved, answer=OBJECT,
        faults=(400, 404, 408, 413, 503),
    ),
    ("POST", "/api/segments/count"): Told(
        "How many customers a text fits, and its lines where a form can show it", body=segments.Asked, answer=OBJECT,
        faults=(400, 404, 408, 413, 503),
    ),
    ("POST", "/api/segments/take"): Told(
        "A campaign takes customers of a segment", body=Wish, answer=OBJECT, faults=(400, 404, 408, 413, 422, 503)
    ),
    ("POST", "/api/seats/listen"): Told(
        "Listen to a seat's call, whisper, barge in, or take it over", body=oversight.ListenWanted, answer=OBJECT,
        faults=(400, 404, 408, 413, 503), also={409: OBJECT},
    ),
    ("POST", "/api/seats/state"): Told(
        "Pause a seat, have it ready, or log it out", body=oversight.StateWanted, answer=OBJECT,
        faults=(400, 404, 408, 413, 503), also={409: OBJECT},
    ),
    ("POST", "/api/seats/assign"): Told(
        "Have a seat serve other campaigns, at once", body=oversight.AssignWanted, answer=OBJECT,
        faults=(400, 404, 408, 413, 503), also={409: OBJECT},
    ),
    ("POST", "/api/campaign/hang-up"): Told(
        "End what still rings of a paused campaign", body=oversight.HangUpWanted, answer=OBJECT,
        faults=(400, 404, 408, 413, 503), also={409: OBJECT},
    ),
    ("POST", "/api/notes"): Told(
        "A note to a seat, to those of a campaign, or to all", body=oversight.NoteWanted, answer=OBJECT,
        faults=(400, 404, 408, 413, 503),
    ),
    ("GET", "/api/campaign"): Told(
        "How a campaign dials, and its versions: who made them, why, and what each changed",
        CAMPAIGN, ("campaign",), answer=OBJECT, faults=(400, 404, 503), also={422: OBJECT},
    ),
    ("POST", "/api/campaign/change"): Told(
        "Change how it dials: a new version, if `version` is still the live one", body=steer.ChangeWanted,
        answer=OBJECT, faults=(400, 404, 408, 413, 503), also={409: OBJECT},
    ),
    ("POST", "/api/campaign/back"): Told(
        "An earlier version is live again, as a new one", body=steer.BackWanted, answer=OBJECT,
        faults=(400, 404, 408, 413, 503), also={409: OBJECT},
    ),
    ("POST", "/api/campaign/preview"): Told(
        "What the last hours would have come to with other settings", body=steer.PreviewWanted, answer=OBJECT,
        faults=(400, 404, 408, 413, 503), also={422: OBJECT},
    ),
    ("GET", "/api/evaluation"): Told(
        "What a campaign's calls were worth, and what was gained over those held out",
        {"campaign": TEXT, "by": {"type": "string", "enum": [*SPLITS], "default": "list"},
         "days": {"type": "integer", "minimum": 1, "maximum": 400, "default": 30}},
        ("campaign",), answer=Evaluation, faults=(400, 404, 503),
    ),
    ("POST", "/api/results"): Told(
        "What customers bought comes in", {"unit": TEXT, "zone": TEXT}, body=list[Purchase],
        body_kinds=("application/json", "text/csv"), answer=BroughtIn, faults=(400, 404, 408, 413, 503),
    ),
    ("GET", "/api/lists"): Told(
        "The imports on record, the last ones",
        CAMPAIGN | {
            "before": {"type": "integer", "minimum": 1, "maximum": lists.MOST_ID},
            "limit": {"type": "integer", "minimum": 1, "maximum": 1_000, "default": 1_000},
        },
        answer=LIST, faults=(400, 404, 503),
    ),
    ("POST", "/api/lists"): Told(
        "A list comes in", IMPORT, ("list", "campaign"), body=LIST | {"items": OBJECT},
        body_kinds=("application/json", "application/octet-stream"), answer=OBJECT,
        faults=(400, 403, 404, 408, 413, 503), also={422: OBJECT},
    ),
    ("POST", "/api/lists/undo"): Told(
        "Take a list back", body=lists.UndoWanted, answer=OBJECT, faults=(400, 404, 408, 413, 422, 503)
    ),
    ("GET", "/api/lists/{list_id}/report"): Told("What came of each row", answer=OBJECT, faults=(404, 503)),
    ("GET", "/api/lists/{list_id}/rejects"): Told(
        "The rejected rows", answer=TEXT, kind="text/csv", faults=(404, 503)
    ),
    ("GET", "/api/dnc"): Told(
        "Every do-not-call entry that a number falls under", {"number": NUMBER, "country": COUNTRY}, ("number",),
        answer=LIST, faults=(400, 503),
    ),
    ("POST", "/api/dnc"): Told(
        "Add to a do-not-call layer", body=compliance.Barred, answer=OBJECT, faults=(400, 404, 408, 413, 503)
    ),
    ("DELETE", "/api/dnc"): Told(
        "Take off a do-not-call layer", body=compliance.Unbarred, answer=OBJECT, faults=(400, 404, 408, 413, 503)
    ),
    ("GET", "/api/consents"): Told(
        "A number's consents", {"number": NUMBER, "country": COUNTRY}, ("number",), answer=LIST, faults=(400, 503)
    ),
    ("POST", "/api/consents"): Told(
        "Put a consent on record", body=compliance.Given, answer=OBJECT, faults=(400, 408, 413, 503)
    ),
    ("POST", "/api/consents/withdraw"): Told(
        "End a number's consents", body=compliance.Withdrawn, answer=OBJECT, faults=(400, 408, 413, 503)
    ),
    ("GET", "/api/reports"): Told("Which reports there are, and how their figures are made", answer=LIST),
    ("GET", "/api/reports/{report}"): Told(
        "A report",
        {"from": DAY, "to": DAY, "zone": TEXT, "by": MANY, "campaign": MANY,
         "format": {"type": "string", "enum": list(report_desk.KINDS)},
         "language": {"type": "string", "enum": ["en", "zh"]}},
        answer=OBJECT, files=tuple(report_desk.KINDS.values())[1:], faults=(400, 404, 503),
    ),
    ("GET", "/api/schedules"): Told(
        "The reports that go out by themselves, as far as one reaches, with what came of their last runs",
        answer=list[schedule_api.Kept], faults=(503,),
    ),
    ("POST", "/api/schedules"): Told(
        "Have a report go out; said again as it is, it is the one that there is",
        body=schedule_api.Wanted, answer=OBJECT, faults=(400, 408, 409, 413, 503),
    ),
    ("PUT", "/api/schedules/{schedule}"): Told(
        "What it is from now on, and in the asker's name", body=schedule_api.Wanted, answer=OBJECT,
        faults=(400, 404, 408, 409, 413, 503),
    ),
    ("DELETE", "/api/schedules/{schedule}"): Told("Let it go, and its runs", answer=OBJECT, faults=(404, 503)),
    ("POST", "/api/schedules/{schedule}/{do}"): Told(
        "`pause` it, have it go on (`resume`), or `send` it now; of the last, once a minute",
        answer=OBJECT, faults=(404, 409, 503),
    ),
    ("GET", "/api/abandonment"): Told(
        "Each campaign's abandon rate over its legal window", answer=LIST, faults=(400, 503)
    ),
    ("GET", "/api/evidence"): Told(
        "What allowed the calls, as CSV",
        {"campaign": TEXT, "number": NUMBER, "country": COUNTRY, "from": INSTANT, "to": INSTANT}, ("from", "to"),
        answer=TEXT, kind="text/csv", faults=(400, 404, 422, 503),
    ),
    ("GET", "/api/person"): Told(
        "All that is known of a person", {"number": NUMBER, "country": COUNTRY, "customer": TEXT},
        answer=OBJECT, faults=(400, 404, 422, 503),
    ),
}  # fmt: skip


class NotDescribed(Exception):
    """A route of the API, or an entry of its description, is without the other. The text names them."""


def described(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """The document for these routes. Raises :class:`NotDescribed`."""
    ways = {
        (method, _path(way)): way
        for way in routes
        if isinstance(way, Way) and way.path.startswith("/api/")
        for method in way.methods or ()
        if method != "HEAD"
    }
    missing = sorted(set(ways) - set(ROUTES))
    if missing:
        raise NotDescribed(f"cti/openapi.py says nothing of {missing}")
    kinds = [Fault]
    for told in ROUTES.values():
        kinds += [kind for kind in (told.body, told.answer, *told.also.values()) if not _plain(kind)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=SCHEMAS)
    by_kind = dict(zip(map(repr, kinds), schemas, strict=True))
    _strip(components)
    paths: dict[str, Any] = {}
    for (method, path), way in sorted(ways.items()):
        paths.setdefault(path, {})[method.lower()] = _operation(way, ROUTES[method, path], by_kind)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Zhudong", "version": VERSION},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "zd_session"},
            },
        },
    }


def _path(way: Way) -> str:
    return re.sub(r":\w+}", "}", way.path)


def _plain(kind: Any) -> bool:
    return kind is None or isinstance(kind, Mapping)


def _strip(components: dict[str, Any]) -> None:
    """Take out of the commands what the session says in their place."""
    commands = {kind.__name__ for kind in SeatCommand.__args__}  # type: ignore[attr-defined]
    for name in commands & set(components):
        command = components[name]
        own = OWN if name == "LogIn" else {"user_id"}
        own = own | ({"phone"} if name == "OpenPhone" else set())
        command["properties"] = {k: v for k, v in command["properties"].items() if k not in own}
        optional = own | ({"phone"} if name == "LogIn" else set())
        command["required"] = [key for key in command.get("required", ()) if key not in optional]


def _operation(way: Way, told: Told, by_kind: Mapping[str, Any]) -> dict[str, Any]:
    def schema(kind: Any) -> Any:
        return kind if _plain(kind) else by_kind[repr(kind)]

    def content(kind: Any, media: str = "application/json") -> dict[str, Any]:
        return {media: {"schema": schema(kind)}}

    fault = {"description": "not done", "content": content(Fault)}
    answers: dict[str, Any] = {str(told.status): {"description": "done"}}
    if told.answer is not None:
        answers[str(told.status)]["content"] = content(told.answer, told.kind)
        for media in told.files:
            answers[str(told.status)]["content"] |= content({}, media)
    for status, kind in told.also.items():
        answers[str(status)] = {"description": "not done", "content": content(kind)}
    for status in (*((401, 403) if way.needs is not None else ()), *told.faults):
        answers[str(status)] = fault
    parameters = [
        {"name": name, "in": "query", "required": name in told.must, "schema": dict(of)}
        for name, of in told.query.items()
    ]
    parameters += [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string", "maxLength": 64}}
        for name in told.headers
    ]
    parameters += [
        {"name": name, "in": "path", "required": True, "schema": COUNTED if kind == ":int" else NAMED}
        for name, kind in re.findall(r"{(\w+)(:\w+)?}", way.path)
    ]
    operation: dict[str, Any] = {"summary": told.summary, "parameters": parameters, "responses": answers}
    if told.body is not None:
        kinds = {}
        for media in told.body_kinds:
            kinds |= content(told.body if media == "application/json" else {}, media)
        operation["requestBody"] = {"required": True, "content": kinds}
    if way.needs is not None:
        operation["security"] = [{"token": []}, {"session": []}]
        operation["description"] = f"Needs the right `{way.needs.value}`."
    return operation


class Description:
    """The document, made once."""

    def __init__(self) -> None:
        self._text = b""

    def make(self, routes: Iterable[BaseRoute]) -> None:
        """Describe these routes. Raises :class:`NotDescribed`."""
        self._text = msgspec.json.encode(described(routes))

    async def show(self, request: Request) -> Response:
        """GET /api/openapi.json"""
        return Response(self._text, media_type="application/json")
