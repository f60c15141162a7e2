"""Pages over bad lines: commands done once, windows told apart, drafts that outlive everything, silent pages."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from campaigns.drafts import DraftStore, StoredDraft
from campaigns.people import People
from cti.messages import Command, DialNumber, HangUp, LogIn, Mute, PageLost, Ready, Reply
from cti.settings import WebSettings
from cti.wire import Health
from tests.cti.client import SeatClient, cookie, drop, page
from tests.cti.running import AGENT, Door, open_door, stored_in, until
from tests.loopback import http_client

CALL = "c0ffee00" * 4


@pytest.fixture
async def door():
    async with open_door() as opened:
        yield opened


async def talking(client: SeatClient, door: Door) -> str:
    await client.command(type="log_in")
    call = door.engine.pop(AGENT.user_id)
    door.engine.connect(AGENT.user_id)
    return call


# --- done once ----------------------------------------------------------------------------------------------


async def test_a_command_sent_again_is_done_once_and_gets_the_first_answer(door: Door) -> None:
    headers = await cookie(door, AGENT)
    async with page(door, AGENT, headers) as client:
        await client.hello()
        call = await talking(client, door)
        held_up = asyncio.Event()
        done = []

        async def slowly(command: Command) -> Reply:
            done.append(command)
            answer = f"answer {len(done)}"
            await held_up.wait()
            return Reply(ok=False, code="wrong_state", detail=answer)

        door.bus.serve(slowly)
        request = {"type": "request", "id": 9, "key": "k1", "command": {"type": "hang_up", "call_id": call}}
        await client.send(**request)
        await until(lambda: done)
        await drop(client)
    async with page(door, AGENT, headers) as client:
        await client.hello()
        await client.send(**request)
        await client.send(**request | {"id": 10})
        await asyncio.sleep(0)
        held_up.set()
        for number in (9, 10):
            reply = await client.next_of("reply")
            assert (reply["id"], reply["code"], reply["detail"]) == (number, "wrong_state", "answer 1")
    assert [command for command in done if isinstance(command, HangUp)] == [HangUp(user_id=7, call_id=call)]


async def test_a_key_is_of_one_command_and_of_one_user(door: Door) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        call = await talking(client, door)
        for number, on in enumerate((True, True, False)):
            command = {"type": "mute", "call_id": call, "on": on}
            await client.send(type="request", id=number, key="same", command=command)
        replies = [await client.next_of("reply") for _ in range(3)]
        codes = {reply["id"]: reply["code"] for reply in replies}
        assert codes == {0: "ok", 1: "ok", 2: "key_reused"}
    assert len(door.engine.of(Mute)) == 1


async def test_what_no_engine_heard_may_be_sent_again_under_its_key(door: Door) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        engine, door.bus._engine = door.bus._engine, None
        request = {"type": "request", "id": 1, "key": "k", "command": {"type": "log_in"}}
        await client.send(**request)
        assert (await client.next_of("reply"))["code"] == "no_engine"
        door.bus._engine = engine
        await client.send(**request)
        assert (await client.next_of("reply"))["ok"]
    assert len(door.engine.of(LogIn)) == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"type": "log_in"}, "draining"),
        ({"type": "redial_phone"}, "switch_down"),
        ({"type": "save_notes", "call_id": CALL, "notes": "wants more"}, "not_saved"),
        ({"type": "dispose", "call_id": CALL, "code": "sold"}, "not_saved"),
    ],
)
async def test_what_was_not_done_or_not_saved_may_be_sent_again_under_its_key(
    door: Door, command: dict[str, object], code: str
) -> None:
    replies = [Reply(ok=False, code=code), Reply(ok=True)]
    given: list[Command] = []

    async def answers(command: Command) -> Reply:
        given.append(command)
        return replies.pop(0)

    async with page(door, AGENT) as client:
        await client.hello()
        door.bus.serve(answers)
        request = {"type": "request", "id": 1, "key": "k", "command": command}
        said = []
        for _ in range(3):
            await client.send(**request)
            said.append((await client.next_of("reply"))["code"])
    assert said == [code, "ok", "ok"] and len([each for each in given if not isinstance(each, PageLost)]) == 2


async def test_of_what_nobody_knows_whether_it_was_done_the_key_keeps_the_answer(door: Door) -> None:
    """A number that may be leased, and a command that may be carried out yet, are not asked for once more."""
    given: list[Command] = []

    async def answers(command: Command) -> Reply:
        given.append(command)
        return Reply(ok=False, code="not_saved" if isinstance(command, DialNumber) else "engine_slow")

    async with page(door, AGENT) as client:
        await client.hello()
        door.bus.serve(answers)
        for key, command in (
            ("a", {"type": "dial_number", "campaign": "spring", "number": "13800138000"}),
            ("b", {"type": "ready"}),
        ):
            for _ in range(2):
                await client.send(type="request", id=1, key=key, command=command)
                await client.next_of("reply")
    assert [type(each) for each in given if not isinstance(each, PageLost)] == [DialNumber, Ready]


async def test_keys_cost_a_bounded_memory(door: Door) -> None:
    async with open_door(WebSettings(message_rate=10_000, message_burst=10_000)) as door:
        async with page(door, AGENT) as client:
            await client.hello()
            call = await talking(client, door)
            for number in range(300):
                command = {"type": "hold", "call_id": call, "on": bool(number % 2)}
                await client.send(type="request", id=number, key=f"k{number}", command=command)
                await client.next_of("reply")
        assert len(door.gateway._once._kept[AGENT.user_id]) <= 65


# --- windows ------------------------------------------------------------------------------------------------


async def test_another_window_is_told_where_the_seat_is_and_has_it_when_it_asks(door: Door) -> None:
    headers = await cookie(door, AGENT)
    async with page(door, AGENT, headers) as first:
        await first.send(type="hello", window="first")
        await first.next()
        await first.command(type="log_in")
        async with page(door, AGENT, headers) as second:
            await second.send(type="hello", window="second")
            assert (await second.next())["code"] == "elsewhere"
            assert await second.closed() == 4002
        assert (await first.command(type="ready"))["ok"]
        async with page(door, AGENT, headers) as second:
            await second.send(type="hello", window="second", take=True)
            assert (await second.next())["seat"]["state"] == "ready"
            assert (await first.next_of("notice"))["code"] == "taken_over"
            assert await first.closed() == 4001


async def test_the_same_window_and_one_that_has_gone_quiet_need_not_be_asked(door: Door) -> None:
    headers = await cookie(door, AGENT)
    async with page(door, AGENT, headers) as lost, page(door, AGENT, headers) as same:
        await lost.send(type="hello", window="mine")
        await lost.next()
        await same.send(type="hello", window="mine")
        assert (await same.next())["type"] == "state"
        assert await lost.closed() == 4001
    async with open_door(WebSettings(quiet_s=0.1)) as door:
        headers = await cookie(door, AGENT)
        async with page(door, AGENT, headers) as quiet, page(door, AGENT, headers) as other:
            await quiet.send(type="hello", window="quiet")
            await quiet.send(type="ping", at=1)
            await quiet.next_of("pong")
            await asyncio.sleep(0.15)
            await other.send(type="hello", window="other")
            assert (await other.next())["type"] == "state"


async def test_a_page_that_pinged_and_fell_silent_is_offered_nothing_more() -> None:
    """A tab put to sleep, or a line that takes our bytes and brings none: both keep the socket open."""
    async with open_door(WebSettings(silence_limit_s=0.3)) as door, page(door, AGENT) as client:
        await client.hello()
        await client.command(type="log_in")
        await client.command(type="ready")
        await client.send(type="ping", at=1)
        began = time.monotonic()
        await until(lambda: door.engine.of(PageLost))
        assert 0.2 < time.monotonic() - began < 2.0
        assert door.engine.state[AGENT.user_id] == "paused"
        assert await client.closed() == 4009
        assert door.gateway.counters["pages_silent"] == 1


# --- drafts -------------------------------------------------------------------------------------------------


async def test_a_draft_is_there_for_another_window_and_gone_with_the_result(door: Door) -> None:
    headers = await cookie(door, AGENT)
    async with page(door, AGENT, headers) as client:
        await client.hello()
        call = await talking(client, door)
        await client.send(type="draft", call_id=call, at=2.0, fields={"notes": "half\0", "chosen": "sold"})
        await client.send(type="draft", call_id=call, at=1.0, fields={"notes": "older"})
        await client.command(type="hold", call_id=call, on=True)
    async with page(door, AGENT, headers) as client:
        state = await client.hello()
        assert state["draft"]["fields"] == {"notes": "half\0", "chosen": "sold"}
        await client.command(type="dispose", call_id=call, code="sold", and_ready=False)
    async with page(door, AGENT, headers) as client:
        assert (await client.hello())["draft"] is None


async def test_a_draft_of_another_call_is_not_shown_and_goes_with_the_next_customer(door: Door) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        await talking(client, door)
        await client.send(type="draft", call_id=CALL, at=2.0, fields={"notes": "of another"})
        await client.command(type="ready")
    async with page(door, AGENT) as client:
        assert (await client.hello())["draft"] is None
        door.engine.pop(AGENT.user_id)
        assert door.gateway.drafts.of(AGENT.user_id) is None


@pytest.mark.parametrize(
    "draft",
    [
        {"call_id": "not-an-id", "at": 1, "fields": {}},
        {"call_id": CALL, "at": 1, "fields": []},
        {"call_id": CALL, "at": 1, "fields": {"notes": "x" * 25_000}},
        {"call_id": CALL, "at": "now", "fields": {}},
    ],
)
async def test_a_draft_that_makes_no_sense_is_an_error(door: Door, draft: dict[str, object]) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        await client.send(type="draft", **draft)
        assert (await client.next())["type"] == "error"
    assert door.gateway.drafts.of(AGENT.user_id) is None


async def test_a_pages_last_word_comes_by_http(door: Door) -> None:
    headers = await cookie(door, AGENT)
    async with http_client(base_url=door.url) as browser:
        draft = {"type": "draft", "call_id": CALL, "at": 1.0, "fields": {"notes": "last"}}
        assert (await browser.post("/api/seat/draft", json=draft)).status_code == 401
        assert (await browser.post("/api/seat/draft", json=draft, headers=headers)).status_code == 204
        assert (
            await browser.post("/api/seat/draft", json={"type": "hello"}, headers=headers)
        ).status_code == 400
        assert (await browser.post("/api/seat/draft", content=b"\xff", headers=headers)).status_code == 400
        long = {"fields": {"notes": "x" * 40_000}}
        assert (await browser.post("/api/seat/draft", json=draft | long, headers=headers)).status_code == 413
    kept = door.gateway.drafts.of(AGENT.user_id)
    assert kept is not None
    assert kept.fields == {"notes": "last"}


async def test_a_draft_outlives_the_process(db: Engine, tmp_path: Path) -> None:
    user_id = People(db).add("", "lina", "李娜", "agent", "")
    stored = stored_in(db, tmp_path)
    draft = {
        "type": "draft",
        "call_id": CALL,
        "at": time.time(),
        "fields": {"notes": "半句\0话", "answers": {"q1": [1]}},
    }
    user = type(AGENT)(user_id, "lina", "李娜", "agent", "seat007", ("demo",))
    async with open_door(stored=stored) as door, page(door, user) as client:
        await client.hello()
        await client.send(**draft)
        await client.send(type="ping", at=1)
        await client.next_of("pong")
    async with open_door(stored=stored) as door:
        kept = door.gateway.drafts.of(user_id)
        assert kept is not None
        assert (kept.call_id, kept.fields) == (CALL, draft["fields"])
        door.gateway.drafts.drop(user_id)
    async with open_door(stored=stored) as door:
        assert door.gateway.drafts.of(user_id) is None


def test_a_draft_lives_a_day_and_a_user_who_is_gone_has_none(db: Engine) -> None:
    user_id = People(db).add("", "lina", "李娜", "agent", "")
    store, now = DraftStore(db), datetime.now(UTC)
    store.write([StoredDraft(user_id, CALL, now.timestamp(), "{}"), StoredDraft(10**9, CALL, 1.0, "{}")], [])
    assert [draft.user_id for draft in store.all(now)] == [user_id]
    assert not store.all(now + timedelta(days=1, seconds=1))
    with db.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM draft")).scalar_one() == 0


# --- health -------------------------------------------------------------------------------------------------


async def test_how_a_page_fares_is_heard_and_bounded(door: Door) -> None:
    heard: list[Health] = []
    door.gateway.on_health = heard.append
    async with page(door, AGENT) as client:
        await client.hello()
        await client.send(type="health", trips=[0.01], painted=[0.02], stalls=[30.0], drops={"silent": 2})
        for wrong in (
            {"trips": [-1.0]},
            {"trips": [0.1] * 65},
            {"stalls": [1e9]},
            {"drops": {"by magic": 1}},
            {"drops": {"silent": -1}},
        ):
            await client.send(type="health", **wrong)
            assert (await client.next())["type"] == "error"
    assert heard == [Health(trips=(0.01,), painted=(0.02,), stalls=(30.0,), drops={"silent": 2})]
