"""Reports go out by themselves when their days are over: once, with what one user may see, by mail and to a folder."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from email.message import EmailMessage
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from campaigns.reports.runs import AGAIN, LEASE, LONGEST_PAUSE, Runs
from campaigns.reports.schedule import BadSchedule, Schedule, Span, due_at, span_after, span_of
from campaigns.reports.schedules import Schedules
from cti.readers import Readers
from cti.report_reader import Order
from dialer.config import Config, MailSection, ReportSection, ReportsSection, SwitchSection
from dialer.mail import MailServer
from dialer.sending import PATIENCE, Sending, scheduled
from tests.campaigns.reports.raw import Call, World
from tests.campaigns.world import NOON, later
from tests.post import Box, post_office

SHANGHAI = ZoneInfo("Asia/Shanghai")
SWITCH = SwitchSection(name="main", host="127.0.0.1", user="u", secret="s")
NEXT_DAY = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)  # seven in the morning of the 25th in Shanghai


class Timed(Sending):
    """Looks when it is told to. All days are counted."""

    def __init__(self, stored: Engine, config: Config) -> None:
        super().__init__(stored, config, lambda: self.now)
        self.now = NEXT_DAY
        counted(stored, NEXT_DAY + timedelta(days=30))

    async def at(self, now: datetime) -> int:
        self.now = now
        return await self.look()


def counted(db: Engine, until: datetime) -> None:
    with db.begin() as connection:
        connection.execute(text("UPDATE rollup_seen SET seats_until = :until"), {"until": until})


@pytest.fixture
def post() -> Iterator[tuple[Box, int]]:
    with post_office() as office:
        yield office


def supervisor(db: Engine) -> int:
    """Make the first agent a supervisor, who may see reports; the user's id."""
    with db.begin() as connection:
        promote = "UPDATE app_user SET role = 'supervisor' WHERE login = 'agent0' RETURNING id"
        return connection.execute(text(promote)).scalar_one()


async def test_a_report_goes_out_once_and_again_when_it_could_not(
    db: Engine, tmp_path: Path, post: tuple[Box, int]
) -> None:
    box, port = post
    world = World(db)
    calls = [
        Call(n * 60.0, 1, n % 2, "", "connected", 16, 0, 5, 60, None, "sold", (0, 0, 0)) for n in range(5)
    ]
    world.write(calls, [], 0, {})
    world.roll(later(hours=2))
    with db.begin() as connection:
        connection.execute(
            text("UPDATE app_user SET role = 'supervisor', campaigns = '{east}' WHERE login = 'agent0'")
        )
    section = ReportSection(
        name="daily", report="campaigns", login="agent0", format="csv", language="en",
        to=("boss@company.example",), folder=str(tmp_path / "out"),
    )  # fmt: skip
    law = ReportSection(
        name="law", report="compliance", login="agent0", every="month", format="csv", language="en",
        folder=str(tmp_path / "law"),
    )  # fmt: skip
    mail = MailSection(host="127.0.0.1", port=1, security="none", sender="dialer@company.example")
    away = Timed(db, Config(switch=(SWITCH,), mail=mail, report=(section,)))
    here = Timed(
        db,
        Config(
            switch=(SWITCH,),
            mail=MailSection(host="127.0.0.1", port=port, security="none", sender=mail.sender),
            report=(section, law),
        ),
    )
    try:
        assert await away.at(NEXT_DAY) == 0
        # Not at once: a mail server that is away is given some minutes. What a regulator asks for goes to its folder.
        assert await here.at(NEXT_DAY) == 1
        assert await here.at(NEXT_DAY + AGAIN) == 1
        assert await here.at(NEXT_DAY + 2 * AGAIN) == 0
        # Nobody was there for eight days: of those of each day a week is made up for.
        assert await here.at(NEXT_DAY + timedelta(days=8)) == 7 + 1
    finally:
        for each in (away, here):
            await each.close()
    (to, message), *missed = box.mails
    assert to == ["boss@company.example"] and "2026-11-24" in message["Subject"]
    days = [f"2026-11-{n}" for n in range(26, 31)] + ["2026-12-01", "2026-12-02"]
    assert sorted(mail["Subject"].rpartition(" ")[2] for _, mail in missed) == days
    [attached] = message.iter_attachments()
    body = attached.get_payload(decode=True)
    told = body.decode("utf-8-sig")
    assert told.splitlines()[1].startswith("east,3,") and "west" not in told
    assert (tmp_path / "out" / "daily-2026-11-24-2026-11-24.csv").read_bytes() == body
    before, month = sorted((tmp_path / "law").iterdir())
    assert (before.name, month.name) == ("law-2026-10-01-2026-10-31.csv", "law-2026-11-01-2026-11-30.csv")
    days = month.read_text("utf-8-sig").splitlines()[1:]
    assert [day.split(",")[:2] for day in days] == [["east", f"2026-11-{n}"] for n in range(24, 31)]
    assert {tuple(day.split(",")[4:8]) for day in days} == {
        ("3", "0", "0", "0")
    }  # the law's 30 days have them all


async def test_a_report_went_out_also_where_one_is_refused_in_an_encoding_of_the_servers_own(
    db: Engine, post: tuple[Box, int]
) -> None:
    box, port = post
    World(db)
    supervisor(db)
    box.nobody, box.unknown = {"gone@company.example"}, b"550 \xd3\xc3\0 1"  # GBK
    to = ("boss@company.example", "gone@company.example")
    section = ReportSection(name="daily", report="campaigns", login="agent0", to=to)
    mail = MailSection(host="127.0.0.1", port=port, security="none", sender="dialer@company.example")
    config = Config(switch=(SWITCH,), mail=mail, report=(section,))
    sending = Timed(db, config)
    try:
        assert await sending.at(NEXT_DAY) == 1
    finally:
        await sending.close()
    [run] = Runs(db).last(scheduled(config))[0, "daily"]
    assert run.sent_at is not None and run.detail == "gone@company.example: 550 1"
    assert [to for to, _ in box.mails] == [["boss@company.example"]]


async def test_who_may_not_see_reports_is_sent_none(db: Engine, tmp_path: Path) -> None:
    World(db)
    section = ReportSection(name="daily", report="campaigns", login="agent0", folder=str(tmp_path / "out"))
    config = Config(switch=(SWITCH,), report=(section,))
    sending = Timed(db, config)
    assert await sending.at(NEXT_DAY) == 0
    [run] = Runs(db).last(scheduled(config))[0, "daily"]
    assert (run.fault, run.detail, run.sent_at) == ("nobody", "agent0", None)
    assert not (tmp_path / "out").exists()


async def test_a_report_of_somebody_who_is_shut_out_or_unknown_is_on_record_and_not_tried_at_once_again(
    db: Engine, tmp_path: Path
) -> None:
    World(db)
    with db.begin() as connection:
        shut_out = (
            "UPDATE app_user SET role = 'supervisor', enabled = false WHERE login = 'agent0' RETURNING id"
        )
        user = connection.execute(text(shut_out)).scalar_one()
    made = Schedule("daily", "campaigns", "agent0", "day", time(6), "Asia/Shanghai", laid=True)
    Schedules(db).save(made, user, NEXT_DAY - timedelta(days=1))
    section = ReportSection(name="daily", report="campaigns", login="nobody", folder=str(tmp_path / "out"))
    config = Config(switch=(SWITCH,), report=(section,), reports=ReportsSection(folder=str(tmp_path / "out")))
    sending, runs = Timed(db, config), Runs(db)
    for tries, now in ((1, NEXT_DAY), (1, NEXT_DAY), (2, NEXT_DAY + AGAIN)):
        assert await sending.at(now) == 0
        for each in (*Schedules(db).all(), *scheduled(config)):
            [run] = runs.last([each])[each.key]
            assert (run.fault, run.detail, run.tries) == ("nobody", each.login, tries)
    assert not (tmp_path / "out").exists()


async def test_a_report_that_can_not_be_sent_is_tried_less_and_less_often_and_goes_out_soon_when_it_can(
    db: Engine, tmp_path: Path
) -> None:
    World(db)
    section = ReportSection(name="daily", report="campaigns", login="agent0", folder=str(tmp_path / "out"))
    config = Config(switch=(SWITCH,), report=(section,))
    sending, minute = Timed(db, config), timedelta(minutes=1)
    try:
        for n in range(0, 12 * 60, 5):
            assert await sending.at(NEXT_DAY + n * minute) == 0
        [run] = Runs(db).last(scheduled(config))[0, "daily"]
        assert 24 <= run.tries <= 32  # each half hour of the twelve, and some at first
        supervisor(db)
        assert await sending.at(sending.now + LONGEST_PAUSE) == 1
    finally:
        await sending.close()


@pytest.mark.parametrize(
    "fails", ["cti.readers.asyncio.create_subprocess_exec", "dialer.mail.MailServer.post"]
)
async def test_what_nobody_foresaw_of_one_report_is_on_record_and_ends_nothing(
    db: Engine, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    async def no_room(*args: object, **options: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    World(db)
    supervisor(db)
    monkeypatch.setattr(fails, no_room)
    section = ReportSection(name="daily", report="campaigns", login="agent0", to=("boss@company.example",))
    mail = MailSection(host="127.0.0.1", security="none", sender="dialer@company.example")
    config = Config(switch=(SWITCH,), mail=mail, report=(section,))
    sending = Timed(db, config)
    try:
        assert await sending.at(NEXT_DAY) == 0
    finally:
        await sending.close()
    [run] = Runs(db).last(scheduled(config))[0, "daily"]
    assert (run.fault, run.sent_at) == ("made", None)


async def test_what_people_schedule_goes_out_when_it_is_due_or_wanted_and_says_what_came_of_it(
    db: Engine, tmp_path: Path, post: tuple[Box, int]
) -> None:
    box, port = post
    World(db)
    user = supervisor(db)
    box.nobody.add("gone@company.example")
    made = Schedule(
        "每日", "campaigns", "agent0", "day", time(6), "Asia/Shanghai", format="csv", language="zh",
        to=("gone@company.example", "boss@company.example"), laid=True,
    )  # fmt: skip
    number = Schedules(db).save(made, user, NEXT_DAY)
    [kept] = Schedules(db).all()
    mail = MailSection(host="127.0.0.1", port=port, security="none", sender="dialer@company.example")
    reports = ReportsSection(folder=str(tmp_path / "out"))
    sending, bare = (
        Timed(db, Config(switch=(SWITCH,), mail=mail, reports=each)) for each in (reports, ReportsSection())
    )
    runs, day = Runs(db), timedelta(days=1)
    try:
        assert await sending.at(NEXT_DAY) == 0  # it was due before it was made
        span = span_of("day", time(6), SHANGHAI, NEXT_DAY)
        runs.ask(kept, "chen", span, NEXT_DAY)
        with pytest.raises(BadSchedule, match="a moment ago"):
            runs.ask(kept, "chen", span, NEXT_DAY)
        assert await bare.at(NEXT_DAY) == 0 and await bare.at(NEXT_DAY + AGAIN) == 0  # nobody presses twice
        assert await sending.at(NEXT_DAY + day) == 1
        Schedules(db).pause(number)
        assert await sending.at(NEXT_DAY + 2 * day) == 0
    finally:
        for each in (sending, bare):
            await each.close()
    due, wanted = runs.last([kept])[number, ""]
    assert (wanted.asked_by, wanted.fault, wanted.until) == ("chen", "folder", date(2026, 11, 24))
    assert (due.asked_by, due.fault, due.until) == ("", "", date(2026, 11, 25))
    assert due.sent_at is not None and due.detail.startswith("gone@company.example: 550")
    [(to, message)] = box.mails
    assert to == ["boss@company.example"] and "每日" in message.get_body().get_content()
    [file] = (tmp_path / "out" / "agent0").iterdir()
    assert file.name == "每日-2026-11-25-2026-11-25.csv"


def test_a_run_is_one_engines_at_a_time_and_the_next_ones_when_that_died(db: Engine) -> None:
    World(db)
    schedule = Schedule("daily", "campaigns", "agent0", "day", time(6), "Asia/Shanghai")
    span, runs = Span(date(2026, 11, 24), date(2026, 11, 24)), Runs(db)
    first = runs.claim(schedule, span, NEXT_DAY)
    assert first is not None and runs.claim(schedule, span, NEXT_DAY) is None
    second = runs.claim(schedule, span, NEXT_DAY + LEASE)
    assert second is not None and second.run_id == first.run_id
    runs.failed(first, NEXT_DAY, "mail", "it came back, and is nobody's now")
    runs.sent(second, NEXT_DAY + LEASE)
    [run] = runs.last([schedule])[schedule.key]
    assert run.sent_at is not None and run.fault == "" and run.tries == 2
    assert runs.claim(schedule, span, NEXT_DAY + 3 * LEASE) is None


@pytest.mark.parametrize("went_out", [True, False])
async def test_a_schedule_that_becomes_one_of_weeks_sends_the_week_that_ends_with_its_last_day(
    db: Engine, post: tuple[Box, int], went_out: bool
) -> None:
    box, port = post
    World(db)
    user = supervisor(db)
    sunday, monday = datetime(2026, 11, 29, 2, 0, tzinfo=UTC), datetime(2026, 11, 29, 23, 0, tzinfo=UTC)
    daily = Schedule(
        "spring", "campaigns", "agent0", "day", time(6), "Asia/Shanghai", to=("boss@company.example",)
    )
    number = Schedules(db).save(daily, user, sunday)
    mail = MailSection(host="127.0.0.1", port=port, security="none", sender="dialer@company.example")
    sending, away = (
        Timed(db, Config(switch=(SWITCH,), mail=each))
        for each in (mail, msgspec.structs.replace(mail, host=""))
    )
    try:
        assert await (sending if went_out else away).at(monday) == went_out
        with db.begin() as connection:
            connection.execute(text("UPDATE report_schedule SET every = 'week', at = '08:00'"))
        assert await sending.at(monday + timedelta(hours=2)) == 1
    finally:
        for each in (sending, away):
            await each.close()
    newest = Runs(db).last(Schedules(db).all())[number, ""][0]
    assert (newest.since, newest.until) == (date(2026, 11, 23), date(2026, 11, 29))
    assert len(box.mails) == 1 + went_out


async def test_a_report_waits_until_its_days_are_counted_and_after_hours_says_that_they_are_not(
    db: Engine, tmp_path: Path, post: tuple[Box, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(readers: Readers, order: Order, gone: Callable[[], Awaitable[bool]]) -> tuple[bytes, bool]:
        asked.append(order)
        return await to_reader(readers, order, gone)

    asked, to_reader = [], Readers.ask
    monkeypatch.setattr(Readers, "ask", ask)
    box, port = post
    World(db)
    supervisor(db)
    folder = tmp_path / "out"
    section = ReportSection(
        name="daily", report="campaigns", login="agent0", language="en", to=("boss@company.example",),
        folder=str(folder),
    )  # fmt: skip
    mail = MailSection(host="127.0.0.1", port=port, security="none", sender="dialer@company.example")
    config = Config(switch=(SWITCH,), mail=mail, report=(section,))
    sending = Timed(db, config)
    try:
        counted(db, NEXT_DAY - timedelta(hours=8))  # an hour of the day is missing
        assert await sending.at(NEXT_DAY) == 0
        counted(db, NEXT_DAY + timedelta(days=30))
        with db.begin() as connection:  # what came in late
            connection.execute(text("INSERT INTO rollup_due VALUES ('calls', :noon)"), {"noon": NOON})
        with capture_logs() as said:
            assert await sending.at(NEXT_DAY + AGAIN) == 0
        assert {each["log_level"] for each in said} == {"info"}  # nobody is called for it
        [run] = Runs(db).last(scheduled(config))[0, "daily"]
        assert run.waits and (run.fault, box.mails, folder.exists()) == ("counting", [], False)
        assert await sending.at(NEXT_DAY + PATIENCE) == 1
        with db.begin() as connection:
            connection.execute(text("DELETE FROM rollup_due"))
        assert await sending.at(NEXT_DAY + timedelta(days=1)) == 1
    finally:
        await sending.close()
    unsure, sure = (message.get_body().get_content() for _, message in box.mails)
    assert "these figures will change" in unsure and "will change" not in sure
    assert len(asked) == 4  # none is made twice over


async def test_a_run_that_waited_for_its_turn_is_no_other_engines_when_it_has_come(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    World(db)
    supervisor(db)
    sections = tuple(
        ReportSection(name=f"r{n}", report="campaigns", login="agent0", to=("boss@company.example",))
        for n in range(4)
    )
    mail = MailSection(host="127.0.0.1", security="none", sender="dialer@company.example")
    config = Config(switch=(SWITCH,), mail=mail, report=sections)
    schedules = {each.name: each for each in scheduled(config)}
    taken = []

    async def slow(server: MailServer, mail: EmailMessage) -> str:
        """Meanwhile another engine would have this report."""
        [attached] = mail.iter_attachments()
        schedule = schedules[(attached.get_filename() or "").partition("-")[0]]
        [span] = schedule.due(NEXT_DAY)
        taken.append(other.claim(schedule, span, sending.now))
        sending.now += LEASE * 0.6
        return ""

    monkeypatch.setattr("dialer.sending.AT_ONCE", 1)
    monkeypatch.setattr(MailServer, "post", slow)
    sending, other = Timed(db, config), Runs(db)
    try:
        assert await sending.at(NEXT_DAY) == 4
    finally:
        await sending.close()
    assert taken == [None] * 4


def test_days_are_made_up_for_a_week_long_and_none_from_before_it_was_kept() -> None:
    daily = Schedule("daily", "campaigns", "agent0", "day", time(6), "Asia/Shanghai")

    def days(schedule: Schedule, first: date | None = None) -> list[int]:
        return [span.until.day for span in schedule.due(NEXT_DAY, first)]

    assert days(daily) == [24]
    assert days(daily, date(2026, 11, 22)) == [22, 23, 24]
    assert days(daily, date(2026, 9, 1)) == [18, 19, 20, 21, 22, 23, 24]
    assert days(replace(daily, since=NEXT_DAY - timedelta(days=2))) == [23, 24]
    assert days(replace(daily, since=NEXT_DAY)) == []
    assert days(replace(daily, every="week", since=NEXT_DAY - timedelta(days=60))) == [22]
    assert days(replace(daily, every="month", since=NEXT_DAY - timedelta(days=60))) == [31]


@pytest.mark.parametrize("every", ["day", "week", "month"])
def test_the_next_days_are_due_when_these_are_over(every: str) -> None:
    span = span_of(every, time(6), SHANGHAI, datetime.fromisoformat("2026-01-31T12:00+08:00"))
    for _ in range(15):
        due = due_at(after := span_after(every, span), time(6), SHANGHAI)
        assert span_of(every, time(6), SHANGHAI, due) == after
        assert span_of(every, time(6), SHANGHAI, due - timedelta(seconds=1)) == span
        span = after


@pytest.mark.parametrize(
    ("every", "now", "since", "until"),
    [
        ("day", "2026-11-25T06:00+08:00", date(2026, 11, 24), date(2026, 11, 24)),
        ("day", "2026-11-25T05:59+08:00", date(2026, 11, 23), date(2026, 11, 23)),
        ("week", "2026-11-25T12:00+08:00", date(2026, 11, 16), date(2026, 11, 22)),
        ("week", "2026-11-23T05:00+08:00", date(2026, 11, 9), date(2026, 11, 15)),
        ("month", "2026-12-01T06:00+08:00", date(2026, 11, 1), date(2026, 11, 30)),
        ("month", "2026-12-01T05:00+08:00", date(2026, 10, 1), date(2026, 10, 31)),
    ],
)
def test_the_last_whole_days_are_due(every: str, now: str, since: date, until: date) -> None:
    assert span_of(every, time(6), SHANGHAI, datetime.fromisoformat(now)) == Span(since, until)
