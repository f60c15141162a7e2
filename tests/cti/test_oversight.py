"""Supervisors and seats over HTTP: whose seats, what reaches the engine, what is on record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from campaigns.audit import lines
from campaigns.users import User
from cti.figures import FloorChange, SeatRow
from cti.messages import Assign, Listen, LogIn, LogOut, Pause, Transfer
from cti.wire import NO_SESSION
from tests.campaigns.world import Campaign
from tests.cti.client import cookie, page
from tests.cti.fakes import identity
from tests.cti.running import AGENT, SUPERVISOR, Door, open_door, stored_in, until
from tests.loopback import http_client

NORTH = 21  # a seat of another branch


@pytest.fixture
async def door(db: Engine, tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(stored=stored_in(db, tmp_path)) as opened:
        rows = (
            SeatRow(AGENT.user_id, AGENT.name, "talking", 1_000.0, "demo", ("demo",)),
            SeatRow(8, "both", "talking", 1_000.0, "demo", ("demo", "north")),
            SeatRow(NORTH, "north", "talking", 1_000.0, "north", ("north",)),
        )
        opened.bus.floor(FloorChange(at=1_000.0, seats=rows))
        yield opened


async def ask(door: Door, path: str, user: User = SUPERVISOR, **body: Any) -> tuple[int, dict[str, Any]]:
    async with http_client(base_url=door.url, headers=await cookie(door, user)) as client:
        response = await client.post(path, json=body)
        return response.status_code, response.json()


async def test_a_call_is_listened_to_at_ones_own_phone_or_another(door: Door, db: Engine) -> None:
    call = door.engine.pop(AGENT.user_id)
    assert (await ask(door, "/api/seats/listen", seat=AGENT.user_id, how="listen"))[0] == 200
    assert (await ask(door, "/api/seats/listen", seat=AGENT.user_id, how="whisper", phone="desk7"))[0] == 200
    assert door.engine.of(Listen) == [
        Listen(user_id=AGENT.user_id, call_id=call, phone=SUPERVISOR.phone, how="listen"),
        Listen(user_id=AGENT.user_id, call_id=call, phone="desk7", how="whisper"),
    ]
    told = [(line.action, line.subject, line.detail) for line in lines(db, who=SUPERVISOR.login)]
    assert told == [("call: whisper", AGENT.name, "desk7"), ("call: listen", AGENT.name, SUPERVISOR.phone)]


@pytest.mark.parametrize("how", ["listen", "whisper", "barge", "take"])
async def test_a_seat_is_not_heard_in_a_call_of_a_campaign_that_one_does_not_see(
    door: Door, how: str
) -> None:
    """What the console shows of the seat is up to a second old: its call is another branch's by now."""
    door.engine.pop(8, campaign="north")
    assert (await ask(door, "/api/seats/listen", seat=8, how=how))[0] == 404
    door.engine.pop(AGENT.user_id, campaign="north")
    assert (await ask(door, "/api/seats/listen", seat=AGENT.user_id, how=how))[0] == 404
    assert not door.engine.commands


async def test_whisper_outlasts_the_call_and_is_for_who_sees_all_its_campaigns(door: Door) -> None:
    assert (await ask(door, "/api/seats/listen", seat=8, how="barge"))[0] == 200
    assert (await ask(door, "/api/seats/listen", seat=8, how="whisper"))[0] == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/seats/listen", {"how": "listen"}),
        ("/api/seats/listen", {"how": "take"}),
        ("/api/seats/state", {"state": "log_out"}),
        ("/api/notes", {"text": "hello"}),
    ],
)
async def test_a_seat_of_another_branch_is_none(door: Door, path: str, body: dict[str, Any]) -> None:
    for seat in (NORTH, 99):
        assert (await ask(door, path, seat=seat, **body))[0] == 404
    assert (await ask(door, path, AGENT, seat=AGENT.user_id, **body))[0] == 403
    assert not door.engine.commands


async def test_a_seat_is_paused_and_logged_out_and_its_customer_taken(door: Door, db: Engine) -> None:
    call = door.engine.pop(AGENT.user_id)
    assert (await ask(door, "/api/seats/listen", seat=AGENT.user_id, how="take"))[0] == 200
    [taken] = door.engine.of(Transfer)
    assert isinstance(taken, Transfer)
    assert (taken.call_id, taken.to_user, taken.ask_first) == (call, SUPERVISOR.user_id, False)
    assert (await ask(door, "/api/seats/state", seat=AGENT.user_id, state="pause"))[0] == 200
    assert (await ask(door, "/api/seats/state", seat=AGENT.user_id, state="log_out"))[0] == 200
    assert door.engine.of(Pause) and door.engine.of(LogOut)
    assert (await ask(door, "/api/seats/state", seat=AGENT.user_id, state="dance"))[0] == 400
    assert [line.action for line in lines(db, who=SUPERVISOR.login)] == [
        "seat: log_out",
        "seat: pause",
        "call: take",
    ]


async def test_a_note_stays_until_it_has_been_read(door: Door, db: Engine) -> None:
    status, answer = await ask(door, "/api/notes", text="Well done, 李娜")
    assert (status, answer["seats"]) == (200, 2)  # of three seats, one is another branch's
    async with page(door, AGENT) as client:
        await client.send(type="hello", window="the one")
        [note] = (await client.next_of("state"))["unread"]
        assert (note["text"], note["by"]) == ("Well done, 李娜", SUPERVISOR.name)
        assert (await ask(door, "/api/notes", text="And again", seat=AGENT.user_id))[1]["seats"] == 1
        assert (await client.next_of("event"))["event"]["text"] == "And again"
        await client.send(type="read", note=note["id"])
        await until(lambda: lines(db, action="note read"))
    async with page(door, AGENT) as client:
        await client.send(type="hello", window="the one")
        assert [each["text"] for each in (await client.next_of("state"))["unread"]] == ["And again"]
    [line] = lines(db, action="note read")
    assert (line.who, line.subject) == (AGENT.login, SUPERVISOR.name)
    assert (await ask(door, "/api/notes", text="x\x07"))[0] == 400
    assert (await ask(door, "/api/notes", text=""))[0] == 400
    assert (await ask(door, "/api/notes", text="x", campaign="north"))[0] == 404


async def test_a_seat_is_given_other_campaigns_and_keeps_those_the_asker_does_not_see(
    door: Door, db: Engine
) -> None:
    Campaign(db, leads=1, name="demo")
    with db.begin() as connection:  # the person behind the seat
        connection.execute(text("UPDATE app_user SET campaigns = ARRAY['demo', 'north'] WHERE id = 8"))
    assert (await ask(door, "/api/seats/assign", seat=8, campaigns=["north"]))[0] == 404
    assert (await ask(door, "/api/seats/assign", seat=8, campaigns=[]))[0] == 200
    assert (await ask(door, "/api/seats/assign", seat=8, campaigns=["demo"]))[0] == 200
    told = [each.campaigns for each in door.engine.of(Assign) if isinstance(each, Assign)]
    assert told == [("north",), ("north", "demo")]
    with db.connect() as connection:
        kept = connection.execute(text("SELECT campaigns FROM app_user WHERE id = 8")).scalar_one()
        assert kept == ["north", "demo"]
    assert lines(db, action="seat assigned")[0].who == SUPERVISOR.login
    assert (await ask(door, "/api/seats/assign", seat=AGENT.user_id, campaigns=[]))[0] == 409


async def test_who_was_assigned_to_other_campaigns_serves_them_from_their_next_log_in_on(door: Door) -> None:
    """At the same page, which stays open from one shift to the next."""
    async with page(door, AGENT) as client:
        await client.hello()
        await client.command(type="log_in")
        await client.command(type="log_out")
        for token, user in door.accounts.sessions.items():
            if user.user_id == AGENT.user_id:
                door.accounts.sessions[token] = identity(campaigns=("north", "south"), ranks={"south": 2})
        await client.command(type="log_in")
        first, second = door.engine.of(LogIn)
        assert isinstance(first, LogIn) and isinstance(second, LogIn)
        assert (first.campaigns, first.ranks) == (("demo",), {})
        assert (second.campaigns, second.ranks) == (("north", "south"), {"south": 2})
        await client.command(type="log_out")
        door.accounts.sessions.clear()
        assert not (await client.command(type="log_in"))["ok"]
        assert await client.closed() == NO_SESSION
    assert len(door.engine.of(LogIn)) == 2


async def test_what_rings_of_a_campaign_is_hung_up_and_on_record(door: Door, db: Engine) -> None:
    Campaign(db, leads=1, name="demo")
    assert await ask(door, "/api/campaign/hang-up", campaign="demo") == (200, {"calls": 2})
    [line] = lines(db, action="ringing hung up")
    assert (line.who, line.subject, line.after) == (SUPERVISOR.login, "demo", '{"calls": 2}')
