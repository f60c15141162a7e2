"""A report that goes out by itself: what it is of, when it is due and of which days. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from campaigns.config import CampaignsError
from campaigns.messages.writing import MAIL_ADDRESS
from campaigns.reports.asking import BadQuestion, Question, checked, zone_of
from campaigns.reports.catalogue import COMPLIANCE

DAY = timedelta(days=1)
MADE_UP = timedelta(days=7)  # so long one of a day is sent still, others until the next is due
EVERY = ("day", "week", "month")
FORMATS = ("xlsx", "csv")
NAMED = re.compile(r"\w[\w .()+-]{0,62}[\w)]|\w")  # it is part of a file's name
MOST_TO = 10
BETWEEN = re.compile(r"[\s,;，；、]+")  # what people put between addresses


class BadSchedule(CampaignsError):
    """A schedule that can't be kept. `code` says why, for the page."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Span:
    """The days of a report, both in it."""

    since: date
    until: date


@dataclass(frozen=True, slots=True)
class Schedule:
    """`at` and the days are in `zone`. `laid`: it is laid in a folder, of one in the configuration in `folder`.

    It shows what the user of this `login` may see. `schedule_id` 0: it is one of the configuration. What was due before
    `since` is not sent.
    """

    name: str
    report: str
    login: str
    every: str
    at: time
    zone: str
    by: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    format: str = "xlsx"
    language: str = "zh"
    to: tuple[str, ...] = ()
    laid: bool = False
    folder: str = ""
    schedule_id: int = 0
    paused: bool = False
    since: datetime | None = None

    @property
    def key(self) -> tuple[int, str]:
        """By what its runs are known."""
        return self.schedule_id, "" if self.schedule_id else self.name

    def due(self, now: datetime, first: date | None = None) -> Sequence[Span]:
        """The days that are over and were due since this is kept: the last ones, and before them those to be made up.

        Of one that does not say since when it is kept, none before the `first` that is on record are made up.
        """
        zone = zone_of(self.zone)
        spans = [span_of(self.every, self.at, zone, now)]
        while due_at(before := self._before(spans[0], zone), self.at, zone) > now - MADE_UP:
            spans.insert(0, before)
        if self.since is not None:
            return [span for span in spans if due_at(span, self.at, zone) >= self.since]
        return [span for span in spans if span is spans[-1] or (first is not None and span.until >= first)]

    def _before(self, span: Span, zone: ZoneInfo) -> Span:
        return span_of(self.every, self.at, zone, due_at(span, self.at, zone) - timedelta(seconds=1))

    def next_at(self, now: datetime) -> datetime:
        """When it goes out next."""
        zone = zone_of(self.zone)
        return due_at(span_after(self.every, span_of(self.every, self.at, zone, now)), self.at, zone)


def span_of(every: str, at: time, zone: ZoneInfo, now: datetime) -> Span:
    """The last days that are due: of a `day`, a `week` from Monday on, a `month`; from `at` on the day after."""
    local = now.astimezone(zone)
    today = local.date() if local.time() >= at else local.date() - DAY
    if every == "day":
        return Span(today - DAY, today - DAY)
    if every == "week":
        until = today - DAY * (today.weekday() + 1)
        return Span(until - 6 * DAY, until)
    until = today.replace(day=1) - DAY
    return Span(until.replace(day=1), until)


def span_after(every: str, span: Span) -> Span:
    """The days that come after these."""
    first = span.until + DAY
    if every == "day":
        return Span(first, first)
    if every == "week":
        return Span(first, first + 6 * DAY)
    return Span(first, (first + 31 * DAY).replace(day=1) - DAY)


def due_at(span: Span, at: time, zone: ZoneInfo) -> datetime:
    """From when on these days go out."""
    return datetime.combine(span.until + DAY, at, zone)


def schedule_in(form: Mapping[str, str], login: str, languages: Sequence[str]) -> Schedule:
    """A schedule as a form has it, kept for `login`. Raises :class:`BadSchedule`."""
    name = form.get("name", "").strip()
    if not NAMED.fullmatch(name):
        raise BadSchedule("name", "a name is of letters, digits, spaces and a few signs, at most 64")
    every, kind, language = form.get("every", ""), form.get("format", ""), form.get("language", "")
    if every not in EVERY or kind not in FORMATS or language not in languages:
        raise BadSchedule("form", "every, format or language is none of those on the page")
    try:
        at = time.fromisoformat(form.get("at", ""))
        if at.tzinfo is not None or at.second or at.microsecond:
            raise ValueError
    except ValueError as fault:
        raise BadSchedule("at", "the time is hours and minutes, as in 06:00") from fault
    to = tuple(dict.fromkeys(each for each in BETWEEN.split(form.get("to", "")) if each))
    if len(to) > MOST_TO or not all(MAIL_ADDRESS.fullmatch(each) for each in to):
        raise BadSchedule("to", f"to are at most {MOST_TO} mail addresses")
    laid = bool(form.get("laid"))
    if not to and not laid:
        raise BadSchedule("nowhere", "a report goes to a mail address or into a folder")
    by = tuple(each for each in (form.get("by", ""), form.get("then_by", "")) if each)
    campaigns = (campaign,) if (campaign := form.get("campaign", "")) else ()
    zone, report = form.get("zone", ""), form.get("report", "")
    try:
        zone_of(zone)
    except BadQuestion as fault:
        raise BadSchedule("zone", str(fault)) from fault
    try:
        if report != COMPLIANCE:
            checked(Question(report, date(2026, 1, 1), date(2026, 1, 1), zone, by, campaigns))
        elif by:
            raise BadQuestion("by: this report is of each campaign and day")
    except BadQuestion as fault:
        raise BadSchedule("report", str(fault)) from fault
    return Schedule(name, report, login, every, at, zone, by, campaigns, kind, language, to, laid)
