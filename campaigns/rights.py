"""Who may what: the rights there are, and the roles that have them. This table is the only place that says so."""

from __future__ import annotations

from enum import StrEnum


class Right(StrEnum):
    """What somebody may do. All but `UNIT_CAMPAIGNS` are asked for where a route is declared (cti/app.py)."""

    ACCOUNT = "account"  # be signed in, and keep one's own account
    SEAT = "seat"  # take calls on the agents' page
    WATCH = "watch"  # the console
    ALARMS = "alarms"  # acknowledge its alarms
    STEER = "steer"  # start and pause campaigns, change how they dial
    LEAD = "lead"  # write to seats, pause them, log them out
    LISTEN = "listen"  # listen to calls, whisper, barge in, take over
    RECORDINGS = "recordings"  # find recordings and play them
    EVENTS = "events"  # follow every call as it happens, with its customer
    WHY = "why"  # ask why a customer is or is not called
    REPORTS = "reports"  # what was learned of calls
    SCHEDULES = "schedules"  # have reports sent by themselves
    LISTS = "lists"  # which imports there were
    IMPORT = "import"  # bring lists in, see their rows, take them back
    DNC = "dnc"  # look up who must not be called
    BAR = "bar"  # put somebody on, or off, a do-not-call list
    CONSENTS = "consents"  # look up who consented
    CONSENT = "consent"  # put a consent on record, or its end
    REQUEUE = "requeue"  # have leads called again
    EVIDENCE = "evidence"  # what allowed the calls
    PERSON = "person"  # all that is known of one person
    PEOPLE = "people"  # keep the people of one's unit
    AUDIT = "audit"  # read who did what
    PLAN = "plan"  # make campaigns, choose customers by segments, have them taken, bring in what they bought
    WEBHOOKS = "webhooks"  # see what no webhook took, and have it sent again
    UNIT_CAMPAIGNS = "unit_campaigns"  # see all campaigns of one's unit, beside those one serves


class Role(StrEnum):
    """What somebody is."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    BRANCH_MANAGER = "branch_manager"
    ANALYST = "analyst"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


_R = Right
_SUPERVISOR = frozenset(
    (_R.ACCOUNT, _R.SEAT, _R.WATCH, _R.ALARMS, _R.STEER, _R.LEAD, _R.LISTEN, _R.RECORDINGS, _R.EVENTS,
     _R.WHY, _R.REPORTS, _R.SCHEDULES, _R.LISTS, _R.IMPORT, _R.DNC, _R.BAR, _R.CONSENTS, _R.CONSENT, _R.REQUEUE,
     _R.EVIDENCE)
)  # fmt: skip

RIGHTS: dict[Role, frozenset[Right]] = {
    Role.AGENT: frozenset((_R.ACCOUNT, _R.SEAT)),
    Role.SUPERVISOR: _SUPERVISOR,
    Role.BRANCH_MANAGER: _SUPERVISOR | {_R.PEOPLE, _R.PLAN, _R.UNIT_CAMPAIGNS},
    # Figures, and nothing that names a customer.
    Role.ANALYST: frozenset((_R.ACCOUNT, _R.WATCH, _R.REPORTS, _R.SCHEDULES, _R.LISTS, _R.UNIT_CAMPAIGNS)),
    Role.ADMINISTRATOR: frozenset(Right),
    # Everything that a law asks for, and nothing that changes anything.
    Role.AUDITOR: frozenset(
        (_R.ACCOUNT, _R.WATCH, _R.WHY, _R.REPORTS, _R.LISTS, _R.DNC, _R.CONSENTS, _R.EVIDENCE, _R.AUDIT, _R.RECORDINGS,
         _R.UNIT_CAMPAIGNS)
    ),
}  # fmt: skip

REACHING = tuple(role for role in Role if Right.UNIT_CAMPAIGNS in RIGHTS[role])
