"""Reports go out by themselves when their days are over: once, with what one user may see, by mail and to a folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from campaigns.reports.schedule import Span, span_of
from dialer.config import Config, MailSection, ReportSection, SwitchSection
from dialer.sending import Sending
from tests.campaigns.reports.raw import Call, World
from tests.campaigns.world import later
from tests.post import Box, post_office

SHANGHAI = ZoneInfo("Asia/Shanghai")
SWITCH = SwitchSection(name="main", host="127.0.0.1", user="u", secret="s")
NEXT_DAY = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)  # seven in the morning of the 25th in Shanghai


@pytest.fixture
def post() -> Iterator[tuple[Box, int]]:
    with post_office() as office:
        yield office


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
    mail = MailSection(host="127.0.0.1", port=1, security="none", sender="dialer@company.example")
    away = Sending(db, Config(switch=(SWITCH,), mail=mail, report=(section,)))
    here = Sending(
        db,
        Config(
            switch=(SWITCH,),
            mail=MailSection(host="127.0.0.1", port=port, security="none", sender=mail.sender),
            report=(section,),
        ),
    )
    try:
        assert not await away.look(section, NEXT_DAY)
        assert await here.look(section, NEXT_DAY)
        assert await here.look(section, NEXT_DAY)
    finally:
        for each in (away, here):
            await each.close()
    [(to, message)] = box.mails
    assert to == ["boss@company.example"] and "2026-11-24" in message["Subject"]
    [attached] = message.iter_attachments()
    body = attached.get_payload(decode=True)
    told = body.decode("utf-8-sig")
    assert told.splitlines()[1].startswith("east,3,") and "west" not in told
    [file] = (tmp_path / "out").iterdir()
    assert file.name == "daily-2026-11-24-2026-11-24.csv" and file.read_bytes() == body


async def test_who_may_not_see_reports_is_sent_none(db: Engine, tmp_path: Path) -> None:
    World(db)
    section = ReportSection(name="daily", report="campaigns", login="agent0", folder=str(tmp_path / "out"))
    sending = Sending(db, Config(switch=(SWITCH,), report=(section,)))
    assert not await sending.look(section, NEXT_DAY)
    assert not (tmp_path / "out").exists()


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
