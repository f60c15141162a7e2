"""The web app: routes with the right each needs, the guard around them, and what runs in the background meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount

from campaigns.drafts import DraftStore
from campaigns.rights import Right
from cti.account import AccountDesk
from cti.answers import AnswerDesk
from cti.assets import Assets
from cti.audit import AuditDesk
from cti.bus import Bus
from cti.campaigns import CampaignDesk
from cti.compliance import ComplianceDesk
from cti.console import ConsoleDesk
from cti.desk import Desk, Refusal, Stored
from cti.drafts import Drafts
from cti.entry import DELETE, POST, PUT, Entry
from cti.events import EventDesk
from cti.feed import Feed
from cti.front import Front
from cti.gateway import Gateway
from cti.guard import Guard
from cti.identity import Accounts
from cti.lists import ListDesk
from cti.log_in import LogIn
from cti.message_desk import MessageDesk
from cti.openapi import Description
from cti.oversight import OversightDesk
from cti.own import OwnDesk
from cti.pages import Pages
from cti.people import PeopleDesk
from cti.plans import PlanDesk
from cti.recordings import RecordingDesk
from cti.report_desk import ReportsDesk
from cti.reports import ReportDesk
from cti.requeue import RequeueDesk
from cti.schedule_api import ScheduleApi
from cti.schedules import ScheduleDesk
from cti.seat_api import SeatApi
from cti.second_factor import SecondFactorDesk
from cti.segments import SegmentDesk
from cti.settings import WebSettings
from cti.status import StatusBoard
from cti.steer import Preview, SteerDesk
from cti.tokens import TokenDesk
from cti.webhook_desk import WebhookDesk
from cti.why import WhyDesk
from cti.worth import WorthDesk

if TYPE_CHECKING:
    from cti.provider import Provider

STATIC = Path(__file__).parent / "static"


def create_app(
    bus: Bus,
    accounts: Accounts,
    settings: WebSettings | None = None,
    stored: Stored | None = None,
    preview: Preview | None = None,
) -> Starlette:
    """The app over a bus and accounts; with `stored`, the HTTP API over what is kept there.

    `preview` says what other settings would have come to.

    `app.state.gateway` and `app.state.board` carry counters and the `on_delivered` hook for an exporter.
    """
    settings = settings or WebSettings()
    drafts = Drafts(DraftStore(stored.engine) if stored is not None else None)
    gateway = Gateway(bus, accounts, settings, drafts)
    feed = Feed(bus)
    board = StatusBoard(bus, accounts, settings)
    front = Front(accounts, settings)
    pages = Pages(front, bus, settings, gateway, board)
    entry = Entry(front)
    provider = _provider(settings)
    log_in = LogIn(front, accounts, settings, gateway, board, provider)
    routes = _log_in_routes(entry, log_in) + _page_routes(entry, pages)
    routes += _seat_routes(
        entry, SeatApi(front, gateway, settings), EventDesk(front, feed, gateway, settings)
    )
    desks: list[Desk] = []
    work = [gateway.run, board.run]
    if stored is not None:
        account, factor = AccountDesk(front, stored), SecondFactorDesk(front, stored)
        tokens, people = TokenDesk(front, stored), PeopleDesk(front, stored)
        desks += [account, factor, tokens, people]
        routes += _account_routes(entry, account, tokens) + _factor_routes(entry, factor)
        routes += _people_routes(entry, people)
        answers = AnswerDesk(front, stored, settings)
        desks.append(answers)
        routes += [
            entry.anybody("/unsubscribe/{key}", answers.ask),
            entry.anybody("/unsubscribe/{key}", answers.no_more, POST),
            entry.anybody("/api/messages/{channel}/told", answers.told, POST),
        ]
        segments, worth = SegmentDesk(front, stored), WorthDesk(front, stored)
        campaigns = CampaignDesk(front, stored, settings.switches)
        plans = PlanDesk(front, stored, campaigns)
        desks += [segments, worth, campaigns, plans]
        routes += _campaign_routes(entry, campaigns, plans)
        routes += _plan_routes(entry, segments, worth)
        if provider is not None and settings.oidc is not None:
            from cti.sign_on import SignOnDesk

            sign_on = SignOnDesk(front, stored, log_in, provider, settings.oidc)
            desks.append(sign_on)
            routes += [
                entry.anybody("/login/oidc", sign_on.begin),
                entry.anybody("/login/oidc/back", sign_on.back),
            ]
        lists = ListDesk(stored, "lists")
        routes += _api_routes(entry, front, stored, settings, gateway, lists, desks)
        console, steer = ConsoleDesk(stored, board), SteerDesk(stored, preview)
        oversight = OversightDesk(stored, bus, gateway, board)
        desks += [console, steer, oversight]
        work += [console.run_looks, lists.run_retention]
        recordings = RecordingDesk(front, stored)
        desks.append(recordings)
        work.append(recordings.run_retention)
        routes += [
            entry.page("/recordings", Right.RECORDINGS, recordings.page),
            entry.page("/recordings/{call_id}", Right.RECORDINGS, recordings.play),
        ]
        asked, schedules = (
            ReportsDesk(front, stored, settings.pauses),
            ScheduleDesk(front, stored, settings.pauses),
        )
        api = ScheduleApi(stored)
        desks += [asked, schedules, api]
        work.append(asked.run_readers)
        routes += _report_routes(entry, asked, schedules) + _schedule_routes(entry, api)
        routes += _console_routes(entry, console, steer, oversight)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await drafts.load()
        # Who serves the app ends when one of these fails: a door whose rounds nobody makes looks well and is not.
        app.state.background = background = [
            asyncio.create_task(run(), name=run.__qualname__) for run in work
        ]
        try:
            yield
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            for desk in desks:
                desk.close()

    description = Description()
    routes.append(entry.anybody("/api/openapi.json", description.show))
    description.make(routes)
    app = Starlette(
        routes=[*routes, Mount("/static", Assets(STATIC))],
        middleware=[
            Middleware(
                Guard,
                allowed_origins=settings.allowed_origins,
                softphones=settings.softphones,
                frames=settings.frames,
                others=settings.others,
            ),
            Middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5),
        ],
        exception_handlers={404: pages.not_found, 405: pages.not_found, Refusal: _refused},
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.gateway = gateway
    app.state.feed = feed
    app.state.board = board
    return app


def _provider(settings: WebSettings) -> Provider | None:
    """The company's own sign-on, where it is configured."""
    if settings.oidc is None:
        return None
    from cti.provider import Provider  # its libraries take a third of a second and 20 MB

    return Provider(settings.oidc)


def _log_in_routes(entry: Entry, log_in: LogIn) -> list[BaseRoute]:
    return [
        entry.anybody("/login", log_in.form),
        entry.anybody("/login", log_in.log_in, POST),
        entry.page("/logout", Right.ACCOUNT, log_in.log_out, POST),
    ]


def _account_routes(entry: Entry, account: AccountDesk, tokens: TokenDesk) -> list[BaseRoute]:
    return [
        entry.page("/account", Right.ACCOUNT, account.page),
        entry.page("/account/password", Right.ACCOUNT, account.password, POST),
        entry.page("/account/sessions", Right.ACCOUNT, account.end_session, POST),
        entry.page("/account/tokens", Right.ACCOUNT, tokens.page),
        entry.page("/account/tokens", Right.ACCOUNT, tokens.make, POST),
        entry.page("/account/tokens/revoke", Right.ACCOUNT, tokens.revoke, POST),
    ]


def _people_routes(entry: Entry, people: PeopleDesk) -> list[BaseRoute]:
    return [
        entry.page("/people", Right.PEOPLE, people.page),
        entry.page("/people", Right.PEOPLE, people.add, POST),
        entry.page("/people/change", Right.PEOPLE, people.change, POST),
        entry.page("/people/reset", Right.PEOPLE, people.reset, POST),
    ]


def _campaign_routes(entry: Entry, campaigns: CampaignDesk, plans: PlanDesk) -> list[BaseRoute]:
    return [
        entry.page("/campaigns", Right.PLAN, campaigns.page),
        entry.api("/api/campaigns", Right.PLAN, campaigns.show),
        entry.api("/api/campaigns", Right.PLAN, campaigns.save, POST),
        entry.api("/api/campaigns/check", Right.PLAN, campaigns.check, POST),
        entry.page("/plans", Right.PLAN, plans.page),
        entry.api("/api/plans", Right.PLAN, plans.show),
        entry.api("/api/plans", Right.PLAN, plans.make, POST),
    ]


def _plan_routes(entry: Entry, segments: SegmentDesk, worth: WorthDesk) -> list[BaseRoute]:
    return [
        entry.page("/segments", Right.PLAN, segments.page),
        entry.api("/api/segments", Right.PLAN, segments.show),
        entry.api("/api/segments", Right.PLAN, segments.save, POST),
        entry.api("/api/segments/count", Right.PLAN, segments.count, POST),
        entry.api("/api/segments/take", Right.PLAN, segments.take, POST),
        entry.page("/evaluation", Right.REPORTS, worth.page),
        entry.page("/best-time", Right.REPORTS, worth.best_time),
        entry.api("/api/evaluation", Right.REPORTS, worth.evaluation),
        entry.api("/api/results", Right.PLAN, worth.bring_in, POST),
    ]


def _report_routes(entry: Entry, reports: ReportsDesk, schedules: ScheduleDesk) -> list[BaseRoute]:
    return [
        entry.page("/reports", Right.REPORTS, reports.page),
        entry.page("/reports/schedules", Right.REPORTS, schedules.page),
        entry.page("/reports/schedules", Right.SCHEDULES, schedules.save, POST),
        entry.page("/reports/schedules/do", Right.SCHEDULES, schedules.do, POST),
        entry.api("/api/reports", Right.REPORTS, reports.describe),
        entry.api("/api/reports/{report}", Right.REPORTS, reports.ask),
        entry.api("/api/abandonment", Right.REPORTS, reports.abandonment),
    ]


def _schedule_routes(entry: Entry, schedules: ScheduleApi) -> list[BaseRoute]:
    return [
        entry.api("/api/schedules", Right.SCHEDULES, schedules.show),
        entry.api("/api/schedules", Right.SCHEDULES, schedules.make, POST),
        entry.api("/api/schedules/{schedule:int}", Right.SCHEDULES, schedules.change, PUT),
        entry.api("/api/schedules/{schedule:int}", Right.SCHEDULES, schedules.delete, DELETE),
        entry.api("/api/schedules/{schedule:int}/{do}", Right.SCHEDULES, schedules.do, POST),
    ]


def _console_routes(
    entry: Entry, console: ConsoleDesk, steer: SteerDesk, oversight: OversightDesk
) -> list[BaseRoute]:
    return [
        entry.api("/api/alarms/acknowledge", Right.ALARMS, console.acknowledge, POST),
        entry.api("/api/campaign", Right.STEER, steer.show),
        entry.api("/api/campaign/change", Right.STEER, steer.change, POST),
        entry.api("/api/campaign/back", Right.STEER, steer.back, POST),
        entry.api("/api/campaign/preview", Right.STEER, steer.preview, POST),
        entry.api("/api/campaign/hang-up", Right.STEER, oversight.hang_up, POST),
        entry.api("/api/seats/listen", Right.LISTEN, oversight.listen, POST),
        entry.api("/api/seats/state", Right.LEAD, oversight.state, POST),
        entry.api("/api/seats/assign", Right.STEER, oversight.assign, POST),
        entry.api("/api/notes", Right.LEAD, oversight.note, POST),
    ]


def _factor_routes(entry: Entry, factor: SecondFactorDesk) -> list[BaseRoute]:
    return [
        # The first four know a session that waits for nothing else: who has none is sent to the log-in.
        entry.anybody("/login/code", factor.ask),
        entry.anybody("/login/code", factor.answer, POST),
        entry.anybody("/login/enrol", factor.enrol),
        entry.anybody("/login/enrol", factor.enrolled, POST),
        entry.page("/account/factor", Right.ACCOUNT, factor.page),
        entry.page("/account/factor", Right.ACCOUNT, factor.take_up, POST),
        entry.page("/account/factor/off", Right.ACCOUNT, factor.turn_off, POST),
    ]


def _page_routes(entry: Entry, pages: Pages) -> list[BaseRoute]:
    return [
        entry.anybody("/language", pages.choose_language, POST),
        entry.anybody("/healthz", pages.health),
        entry.anybody("/readyz", pages.ready),
        entry.page("/", Right.SEAT, pages.agent),
        entry.page("/status", Right.WATCH, pages.status),
        entry.socket("/ws", Right.SEAT, pages.seat_socket),
        entry.socket("/ws/status", Right.WATCH, pages.status_socket),
    ]


def _seat_routes(entry: Entry, seat: SeatApi, events: EventDesk) -> list[BaseRoute]:
    return [
        entry.api("/api/seat", Right.SEAT, seat.state),
        entry.api("/api/seat/commands", Right.SEAT, seat.command, POST),
        entry.api("/api/seat/draft", Right.SEAT, seat.draft, POST),
        entry.api("/api/seat/events", Right.SEAT, events.own),
        entry.api("/api/events", Right.EVENTS, events.all),
        entry.socket("/ws/events", Right.EVENTS, events.socket, programs=True),
    ]


def _api_routes(
    entry: Entry,
    front: Front,
    stored: Stored,
    settings: WebSettings,
    gateway: Gateway,
    lists: ListDesk,
    desks: list[Desk],
) -> list[BaseRoute]:
    own = OwnDesk(stored, gateway)
    why, reports, requeue = WhyDesk(front, stored), ReportDesk(stored), RequeueDesk(stored)
    compliance, audit = ComplianceDesk(stored, "compliance"), AuditDesk(stored)
    hooks, messages = WebhookDesk(stored), MessageDesk(stored, settings)
    desks += [hooks, messages, own, audit, why, reports, requeue, lists, compliance]
    return [
        entry.api("/api/contacts", Right.SEAT, own.contacts),
        entry.api("/api/customer", Right.SEAT, own.edit, POST),
        entry.api("/api/day", Right.SEAT, own.day),
        entry.api("/api/messages", Right.REPORTS, messages.show),
        entry.api("/api/messages/said", Right.CONSENTS, messages.said),
        entry.api("/api/messages/said", Right.CONSENT, messages.say, POST),
        entry.api("/api/messages/bounced", Right.CONSENT, messages.bounced, POST),
        entry.api("/api/webhooks/dead", Right.WEBHOOKS, hooks.dead),
        entry.api("/api/webhooks/resend", Right.WEBHOOKS, hooks.resend, POST),
        entry.api("/api/audit", Right.AUDIT, audit.lines),
        entry.api("/api/why", Right.WHY, why.why),
        entry.api("/api/caller-ids", Right.REPORTS, reports.caller_ids),
        entry.api("/api/best-time", Right.REPORTS, reports.best_time),
        entry.api("/api/requeue", Right.REQUEUE, requeue.requeue, POST),
        entry.api("/api/lists", Right.LISTS, lists.show),
        entry.api("/api/lists", Right.IMPORT, lists.take, POST),
        entry.api("/api/lists/undo", Right.IMPORT, lists.undo, POST),
        entry.api("/api/lists/{list_id:int}/report", Right.IMPORT, lists.report),
        entry.api("/api/lists/{list_id:int}/rejects", Right.IMPORT, lists.rejects),
        entry.api("/api/dnc", Right.DNC, compliance.check),
        entry.api("/api/dnc", Right.BAR, compliance.bar, POST),
        entry.api("/api/dnc", Right.BAR, compliance.unbar, DELETE),
        entry.api("/api/consents", Right.CONSENTS, compliance.consents),
        entry.api("/api/consents", Right.CONSENT, compliance.give, POST),
        entry.api("/api/consents/withdraw", Right.CONSENT, compliance.withdraw, POST),
        entry.api("/api/evidence", Right.EVIDENCE, compliance.evidence),
        entry.api("/api/person", Right.PERSON, compliance.person),
    ]


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return refusal.response()
