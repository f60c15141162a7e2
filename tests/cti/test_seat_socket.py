"""A seat's socket: what a page gets, what it may say, how it goes and comes back without losing anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from cti.messages import Command, Dispose, HangUp, LogIn, LogOut, PageBack, PageLost, Reply, SaveNotes
from cti.page import AT_ONCE
from cti.settings import WebSettings
from tests.cti.client import cookie, drop, page
from tests.cti.running import AGENT, OTHER, SUPERVISOR, Door, open_door, until
from tests.loopback import http_client


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_door() as opened:
        yield opened


async def take_seat(client, **more: object) -> None:  # type: ignore[no-untyped-def]
    assert (await client.command(type="log_in", **more))["ok"]


# --- who may come in ----------------------------------------------------------------------------------------


async def test_without_a_session_the_socket_says_so_and_closes(door: Door) -> None:
    async with connect(f"ws://127.0.0.1:{door.port}/ws") as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4401


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
@pytest.mark.parametrize("path", ["/ws", "/ws/status"])
async def test_a_foreign_site_can_not_open_a_socket_with_the_users_cookie(
    door: Door, path: str, headers: dict[str, str]
) -> None:
    mine = await cookie(door, SUPERVISOR)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://127.0.0.1:{door.port}{path}", additional_headers=mine | headers):
            pass
    assert refused.value.response.status_code == 403


async def test_a_page_of_ours_can(door: Door) -> None:
    mine = await cookie(door, AGENT) | {"Origin": door.url}
    async with page(door, AGENT, mine) as client:
        assert (await client.hello())["type"] == "state"


# --- commands -----------------------------------------------------------------------------------------------


async def test_logging_in_takes_name_phone_and_campaigns_from_the_account(door: Door) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        await take_seat(client)
    (command,) = door.engine.of(LogIn)
    assert command == LogIn(user_id=7, name=AGENT.name, phone="seat007", campaigns=("demo",))


async def test_nobody_acts_for_another_seat(door: Door) -> None:
    """Whatever user a page names, the command is for the session's own."""
    async with page(door, AGENT) as client:
        await client.hello()
        await take_seat(
            client, user_id=OTHER.user_id, name="someone else", campaigns=["secret"], phone="desk-1"
        )
        call = door.engine.pop(AGENT.user_id)
        await client.command(type="hang_up", call_id=call, user_id=OTHER.user_id)
        await client.command(type="log_out", user_id=OTHER.user_id)
    assert {command.user_id for command in door.engine.commands} == {AGENT.user_id}
    assert door.engine.of(LogIn)[0].campaigns == AGENT.campaigns  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["page_lost", "page_back", "shutdown", "screen_pop", ""])
async def test_what_is_not_a_seats_command_is_refused(door: Door, kind: str) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        reply = await client.command(type=kind)
        assert (reply["ok"], reply["code"]) == (False, "malformed")
    assert not door.engine.commands


@pytest.mark.parametrize("phone", ["a b", "PJSIP/x", "a\r\nAction: Logoff", "x&y", 7])
async def test_a_phone_that_is_no_endpoints_name_never_reaches_the_engine(door: Door, phone: object) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        assert (await client.command(type="log_in", phone=phone))["code"] == "malformed"
    assert not door.engine.commands


async def test_the_engines_refusal_comes_back_with_its_reason(door: Door) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        reply = await client.command(type="ready")
        assert (reply["ok"], reply["code"], reply["detail"]) == (False, "wrong_state", "offline")


async def test_an_engine_that_does_not_answer_costs_an_error_not_the_socket() -> None:
    async with open_door(WebSettings(command_limit_s=0.05)) as door, page(door, AGENT) as client:
        await client.hello()

        async def never(command: object) -> None:
            await asyncio.Event().wait()

        door.bus.serve(never)  # type: ignore[arg-type]
        assert (await client.command(type="ready"))["code"] == "engine_slow"

        async def broken(command: object) -> None:
            raise ValueError("a fault of the engine")

        door.bus.serve(broken)  # type: ignore[arg-type]
        assert (await client.command(type="ready"))["code"] == "failed"
        door.bus.serve(door.engine.answer)
        await take_seat(client)


async def test_a_save_that_waits_holds_up_neither_a_hang_up_nor_pings(door: Door) -> None:
    durable = asyncio.Event()

    async def engine(command: Command) -> Reply:
        reply = await door.engine.answer(command)
        if isinstance(command, SaveNotes):
            await durable.wait()
        return reply

    async with page(door, AGENT) as client:
        await client.hello()
        await take_seat(client)
        call = door.engine.pop(AGENT.user_id)
        door.engine.connect(AGENT.user_id)
        door.bus.serve(engine)
        save = {"type": "save_notes", "call_id": call, "notes": "half"}
        await client.send(type="request", id=101, key="a", command=save)
        await client.send(type="request", id=102, key="b", command={"type": "hang_up", "call_id": call})
        await client.send(type="ping", at=1.0)
        found: dict[str, dict[str, object]] = {}
        while not {"reply", "pong"} <= found.keys():
            frame = await client.next()
            found[frame["type"]] = frame
        assert (found["reply"]["id"], found["reply"]["ok"]) == (102, True)
        durable.set()
        assert (await client.next_of("reply"))["id"] == 101
    assert [type(command) for command in door.engine.commands[1:3]] == [SaveNotes, HangUp]


async def test_commands_are_carried_out_in_the_order_in_which_they_came(door: Door) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        await take_seat(client)
        call = door.engine.pop(AGENT.user_id)
        notes = [str(number) for number in range(2 * AT_ONCE)]
        for number, text in enumerate(notes):
            command = {"type": "save_notes", "call_id": call, "notes": text}
            await client.send(type="request", id=number, key=text, command=command)
        assert [(await client.next_of("reply"))["id"] for _ in notes] == list(range(len(notes)))
    assert [command.notes for command in door.engine.of(SaveNotes)] == notes  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["", "a"])
async def test_what_a_page_asked_for_is_done_though_it_goes_meanwhile(door: Door, key: str) -> None:
    begun, may = asyncio.Event(), asyncio.Event()

    async def engine(command: Command) -> Reply:
        if isinstance(command, SaveNotes):
            begun.set()
            await may.wait()
        return await door.engine.answer(command)

    async with page(door, AGENT) as client:
        await client.hello()
        await take_seat(client)
        call = door.engine.pop(AGENT.user_id)
        door.bus.serve(engine)
        save = {"type": "save_notes", "call_id": call, "notes": "half"}
        await client.send(type="request", id=9, key=key, command=save)
        await begun.wait()
        await drop(client)
    await until(lambda: not door.gateway.pages)
    may.set()
    await until(lambda: door.engine.of(SaveNotes))


# --- malformed and too much ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "null",
        "[]",
        "{",
        '"ready"',
        '{"type":"request"}',
        '{"type":"request","id":-1,"command":{"type":"ready"}}',
        '{"type":"request","id":"1","command":{"type":"ready"}}',
        '{"type":"hello"}',
        '{"type":"ping","at":"now"}',
        '{"type":"ping","at":1e999}',
        "[" * 10_000,
        b"\x00\x01binary",
    ],
)
async def test_a_malformed_frame_costs_an_error_and_nothing_else(door: Door, frame: str | bytes) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        await client.socket.send(frame)
        assert (await client.next())["type"] == "error"
        await take_seat(client)
    assert door.gateway.counters["malformed"] == 1


@pytest.mark.parametrize("command", ["5", '"ready"', "[]", "null", '{"type":5}', '{"type":"dispose"}', "{}"])
async def test_a_malformed_command_is_answered_under_its_number(door: Door, command: str) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        await client.socket.send(f'{{"type":"request","id":9,"command":{command}}}')
        reply = await client.next_of("reply")
        assert (reply["id"], reply["code"]) == (9, "malformed")


@pytest.mark.parametrize("character", ["\0", "\x0b", "\x1b", "\x7f", "\x85"])
async def test_notes_that_no_database_or_page_would_take_are_refused_before_an_ok(
    door: Door, character: str
) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        await take_seat(client)
        call = door.engine.pop(AGENT.user_id)
        notes = f"要两台{character}"
        for command in (
            {"type": "save_notes", "call_id": call, "notes": notes},
            {"type": "dispose", "call_id": call, "code": "sold", "notes": notes},
            {"type": "pause", "reason": notes},
        ):
            reply = await client.command(**command)
            assert (reply["ok"], reply["code"]) == (False, "unsavable_text")
            assert reply["detail"] == f"U+{ord(character):04X}"
        assert [type(command) for command in door.engine.commands] == [LogIn]


async def test_notes_of_several_lines_are_kept_as_they_are(door: Door) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        await take_seat(client)
        call = door.engine.pop(AGENT.user_id)
        notes = "要两台\r\n\t周五送 🙂"
        assert (await client.command(type="save_notes", call_id=call, notes=notes))["ok"]
    assert door.engine.of(SaveNotes)[0].notes == notes  # type: ignore[attr-defined]


@pytest.mark.parametrize("instant", ["-1", "1e300"])
async def test_a_callback_at_no_date_is_refused(door: Door, instant: str) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        command = f'{{"type":"dispose","call_id":"x","code":"sold","callback_at":{instant}}}'
        await client.socket.send(f'{{"type":"request","id":9,"command":{command}}}')
        assert (await client.next_of("reply"))["code"] == "malformed"


async def test_a_page_that_never_makes_sense_is_closed() -> None:
    async with open_door(WebSettings(fault_limit=3)) as door, page(door, AGENT) as client:
        await client.hello()
        for _ in range(4):
            await client.socket.send("nonsense")
        assert await client.closed() == 1008


async def test_a_page_that_never_says_hello_is_closed() -> None:
    async with open_door(WebSettings(hello_limit_s=0.05)) as door, page(door, AGENT) as client:
        assert await client.closed() == 1008


async def test_a_message_too_long_closes_the_socket(door: Door) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        await client.socket.send(json.dumps({"type": "ping", "at": 1, "more": "x" * 40_000}))
        assert await client.closed() == 1009


async def test_commands_too_many_at_once_are_not_taken() -> None:
    settings = WebSettings(message_rate=0.001, message_burst=5)
    async with open_door(settings) as door, page(door, AGENT) as client:
        await client.hello()
        for number in range(10):
            await client.send(type="request", id=number, command={"type": "ready"})
        frames = [await client.next() for _ in range(10)]
        assert sum(frame["type"] == "error" and frame["code"] == "too_frequent" for frame in frames) == 5
    assert len(door.engine.of(type(door.engine.commands[0]))) == 5


# --- going and coming back ----------------------------------------------------------------------------------


async def test_nothing_is_lost_while_the_connection_is_away(door: Door) -> None:
    headers = await cookie(door, AGENT)
    async with page(door, AGENT, headers) as client:
        state = await client.hello()
        await take_seat(client)
        seen = max(frame.get("seq", 0) for frame in client.frames)
        await drop(client)
    call = door.engine.pop(AGENT.user_id)
    door.engine.connect(AGENT.user_id)
    door.engine.end(AGENT.user_id)
    async with page(door, AGENT, headers) as client:
        welcome = await client.hello(state["epoch"], seen)
        assert welcome["type"] == "welcome"
        events = [await client.next() for _ in range(welcome["missed"])]
    assert [event["seq"] for event in events] == list(range(seen + 1, seen + 1 + len(events)))
    kinds = [(e["event"]["type"], e["event"].get("state")) for e in events]
    assert ("screen_pop", None) in kinds
    assert kinds[-1] == ("seat_status", "wrap_up")
    assert all(e["event"]["call_id"] == call for e in events if e["event"]["type"] == "call_status")


async def test_a_fresh_page_gets_the_whole_state_in_the_middle_of_a_call(door: Door) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        await take_seat(client)
        call = door.engine.pop(AGENT.user_id, "赵敏")
        door.engine.connect(AGENT.user_id)
        await client.command(type="save_notes", call_id=call, notes="wants a call on Mon")
    async with page(door, AGENT) as client:
        state = await client.hello()
    assert state["type"] == "state"
    assert state["seat"]["state"] == "talking"
    assert (state["pop"]["call_id"], state["pop"]["customer"]) == (call, "赵敏")
    assert state["call"]["state"] == "connected"
    assert state["notes"] == "wants a call on Mon"


async def test_too_long_away_to_replay_gives_the_whole_state() -> None:
    async with open_door(WebSettings(ring_size=4)) as door:
        async with page(door, AGENT) as client:
            first = await client.hello()
            await take_seat(client)
        for _ in range(10):
            door.engine.seat(AGENT.user_id, "talking")
        async with page(door, AGENT) as client:
            state = await client.hello(first["epoch"], 1)
        assert (state["type"], state["seat"]["state"]) == ("state", "talking")


async def test_the_numbering_of_an_earlier_daemon_gives_the_whole_state(door: Door) -> None:
    async with page(door, AGENT) as client:
        assert (await client.hello("0123456789abcdef", 5))["type"] == "state"


async def test_a_second_window_takes_the_seat_over_and_the_first_is_told(door: Door) -> None:
    headers = await cookie(door, AGENT)
    async with page(door, AGENT, headers) as first, page(door, AGENT, headers) as second:
        await first.hello()
        await take_seat(first)
        await second.send(type="hello", window="second", take=True)
        await second.next()
        assert (await first.next_of("notice"))["code"] == "taken_over"
        assert await first.closed() == 4001
        door.engine.pop(AGENT.user_id)
        assert (await second.next_of("event"))["event"]["state"] == "connecting"
    assert not door.engine.of(LogOut)
    await until(lambda: door.engine.of(PageLost))  # of the second window only
    assert len(door.engine.of(PageLost)) == 1


async def test_a_page_away_is_offered_nothing_and_back_in_time_is_ready_again(door: Door) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        await take_seat(client)
        await client.command(type="ready")
        await drop(client)
    await until(lambda: door.engine.of(PageLost))
    assert door.engine.state[AGENT.user_id] == "paused"
    async with page(door, AGENT) as client:
        await client.hello()
        await until(lambda: door.engine.of(PageBack))
        assert door.engine.state[AGENT.user_id] == "ready"
    assert not door.engine.of(LogOut)


async def test_a_page_away_too_long_is_logged_out() -> None:
    async with open_door(WebSettings(grace_s=0.1)) as door:
        async with page(door, AGENT) as client:
            await client.hello()
            await take_seat(client)
        await until(lambda: door.engine.of(LogOut))
        assert [type(command) for command in door.engine.commands] == [LogIn, PageLost, LogOut]


async def test_a_page_away_in_a_call_does_not_cut_the_customer_off() -> None:
    async with open_door(WebSettings(grace_s=0.1)) as door:
        async with page(door, AGENT) as client:
            await client.hello()
            await take_seat(client)
            door.engine.pop(AGENT.user_id)
            door.engine.connect(AGENT.user_id)
        await until(lambda: door.engine.of(PageLost))
        await asyncio.sleep(0.6)  # longer than the grace and a sweep: nothing may have happened
        assert not door.engine.of(LogOut)
        door.engine.end(AGENT.user_id)
        await until(lambda: door.engine.of(LogOut))
    assert not door.engine.of(HangUp)


async def test_seats_that_never_had_a_page_are_left_alone() -> None:
    async with open_door(WebSettings(grace_s=0.05)) as door:
        await door.bus.command(LogIn(user_id=500, name="virtual", phone="v500", campaigns=("demo",)))
        async with page(door, AGENT) as client:  # one that had, to know that a sweep has been
            await client.hello()
            await take_seat(client)
        await until(lambda: door.engine.of(LogOut))
        assert {c.user_id for c in door.engine.of(PageLost) + door.engine.of(LogOut)} == {AGENT.user_id}


async def test_logging_out_frees_the_seat_at_once_and_closes_the_page(door: Door) -> None:
    headers = await cookie(door, AGENT)
    async with page(door, AGENT, headers) as client, http_client(base_url=door.url) as browser:
        await client.hello()
        await take_seat(client)
        await browser.post("/logout", headers=headers)
        assert await client.closed() == 4401
    assert door.engine.of(LogOut)
    assert not door.engine.of(PageLost)


async def test_a_revoked_session_closes_its_page() -> None:
    async with open_door(WebSettings(session_check_s=0.05)) as door, page(door, AGENT) as client:
        await client.hello()
        door.accounts.sessions.clear()
        assert await client.closed() == 4401


# --- what is kept -------------------------------------------------------------------------------------------


async def test_disposition_and_notes_reach_the_engine(door: Door) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        await take_seat(client)
        call = door.engine.pop(AGENT.user_id)
        door.engine.connect(AGENT.user_id)
        await client.command(type="save_notes", call_id=call, notes="半")
        door.engine.end(AGENT.user_id)
        await client.command(type="dispose", call_id=call, code="sold", notes="办理了 500M", do_not_call=True)
    assert door.engine.of(SaveNotes) == [SaveNotes(user_id=7, call_id=call, notes="半")]
    assert door.engine.of(Dispose) == [
        Dispose(user_id=7, call_id=call, code="sold", notes="办理了 500M", do_not_call=True, and_ready=True)
    ]


async def test_an_attribute_that_json_does_not_know_is_shown_as_text(door: Door) -> None:
    async with page(door, AGENT) as client:
        await client.hello()
        door.engine.pop(AGENT.user_id, attributes={"odd": 1 + 2j, "list": [1, "二"]})
        await client.next_of("event")
        pop = (await client.next_of("event"))["event"]
        assert pop["attributes"] == {"odd": "(1+2j)", "list": [1, "二"]}


async def test_delivery_is_reported_with_its_delay(door: Door) -> None:
    heard: list[tuple[str, float]] = []
    door.gateway.on_delivered = lambda message, delay_s: heard.append((type(message).__name__, delay_s))
    async with page(door, AGENT) as client:
        await client.hello()
        door.engine.pop(AGENT.user_id)
        await client.next_of("event")
        await client.next_of("event")
    assert [name for name, _ in heard] == ["SeatStatus", "ScreenPop"]
    assert all(0 <= delay_s < 1 for _, delay_s in heard)
