"""A company's own desktop over HTTP: commands over the same bus, done once; events that can be gone on from."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from campaigns.rights import Right
from cti import events, wire
from cti.app import create_app
from cti.bus import Bus
from cti.entry import Entry
from cti.feed import CALLS, Feed
from cti.front import Front
from cti.messages import LogIn, Mute
from cti.openapi import NotDescribed, described
from cti.settings import WebSettings
from tests.cti.client import cookie
from tests.cti.fakes import MemoryAccounts, ScriptedEngine, identity
from tests.cti.running import ADMIN, AGENT, DEADLINE_S, OTHER, SUPERVISOR, Door, open_door
from tests.loopback import http_client


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_door() as opened:
        yield opened


@asynccontextmanager
async def desktop(door: Door, user: Any = AGENT) -> AsyncIterator[httpx2.AsyncClient]:
    async with http_client(base_url=door.url, headers=await cookie(door, user)) as client:
        yield client


class Followed:
    """A stream of server-sent events, read line by line."""

    def __init__(self, response: httpx2.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str, str, dict[str, Any]]:
        """Kind, id and data of the next event."""
        found: dict[str, str] = {}
        async with asyncio.timeout(DEADLINE_S):
            async for line in self._lines:
                if not line and "data" in found:
                    return found["event"], found["id"], json.loads(found["data"])
                name, _, value = line.partition(": ")
                found[name] = value
        raise AssertionError("the stream has ended")


@asynccontextmanager
async def following(
    client: httpx2.AsyncClient, path: str = "/api/events", last: str = ""
) -> AsyncIterator[Followed]:
    headers = {"Last-Event-ID": last} if last else {}
    async with client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Followed(response)


# --- commands -----------------------------------------------------------------------------------------------


async def test_a_whole_call_without_our_page(door: Door) -> None:
    async with desktop(door) as client:
        commands = "/api/seat/commands"
        assert (await client.post(commands, json={"type": "log_in"})).json()["ok"]
        assert (await client.post(commands, json={"type": "ready"})).json()["ok"]
        call = door.engine.pop(AGENT.user_id)
        door.engine.connect(AGENT.user_id)
        seat = (await client.get("/api/seat")).json()
        assert (seat["seat"]["state"], seat["pop"]["call_id"]) == ("talking", call)
        assert (await client.post(commands, json={"type": "hang_up", "call_id": call})).json()["ok"]
        sold = {"type": "dispose", "call_id": call, "code": "sold", "notes": "500M"}
        assert (await client.post(commands, json=sold)).json()["ok"]
        assert (await client.get("/api/seat")).json()["seat"]["state"] == "ready"
    assert door.engine.of(LogIn)[0] == LogIn(user_id=7, name=AGENT.name, phone="seat007", campaigns=("demo",))


async def test_what_a_command_came_to_is_in_the_status(door: Door) -> None:
    async with desktop(door) as client:

        async def status(command: object, **headers: str) -> tuple[int, str]:
            answer = await client.post("/api/seat/commands", json=command, headers=headers)
            return answer.status_code, answer.json().get("code") or answer.json().get("error")

        assert await status({"type": "ready"}) == (409, "wrong_state")
        assert await status({"type": "page_lost"}) == (400, "malformed")
        assert await status([]) == (400, "malformed")
        assert await status({"type": "pause", "reason": "\0"}) == (400, "unsavable_text")
        assert await status({"type": "ready"}, **{"Idempotency-Key": "x" * 65}) == (400, "malformed")
        assert (await client.post("/api/seat/commands", content=b"x" * 40_000)).status_code == 413
        door.bus._engine = None
        assert await status({"type": "ready"}) == (503, "no_engine")


async def test_a_key_makes_a_repeated_command_harmless(door: Door) -> None:
    async with desktop(door) as client:
        await client.post("/api/seat/commands", json={"type": "log_in"})
        call = door.engine.pop(AGENT.user_id)
        door.engine.connect(AGENT.user_id)
        mute = {"type": "mute", "call_id": call, "on": True}
        key = {"Idempotency-Key": "a-1"}
        answers = [await client.post("/api/seat/commands", json=mute, headers=key) for _ in range(3)]
        assert [(a.status_code, a.json()["ok"]) for a in answers] == [(200, True)] * 3
        other = await client.post("/api/seat/commands", json=mute | {"on": False}, headers=key)
        assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert len(door.engine.of(Mute)) == 1


async def test_another_site_can_not_command_with_the_agents_cookie(door: Door) -> None:
    async with desktop(door) as client:
        foreign = {"Origin": "https://evil.example"}
        answer = await client.post("/api/seat/commands", json={"type": "log_in"}, headers=foreign)
        assert answer.status_code == 403
    assert not door.engine.commands


# --- events -------------------------------------------------------------------------------------------------


async def test_a_crm_follows_the_calls_and_goes_on_where_it_was(door: Door) -> None:
    async with desktop(door, SUPERVISOR) as crm, desktop(door) as agent:
        await agent.post("/api/seat/commands", json={"type": "log_in"})
        async with following(crm) as events:
            kind, place, state = await events.next()
            assert (kind, state) == ("state", {"seats": []})  # nobody has a customer
            call = door.engine.pop(AGENT.user_id, "赵敏")
            door.engine.connect(AGENT.user_id)
            kinds = []
            for _ in range(3):
                kind, place, told = await events.next()
                kinds.append(kind)
                assert (told["campaign"], told["id"], told["event"]["call_id"]) == ("demo", place, call)
            assert kinds == ["screen_pop", "seat_status", "call_status"]
        door.engine.end(AGENT.user_id)  # while nobody follows
        await agent.post("/api/seat/commands", json={"type": "dispose", "call_id": call, "code": "sold"})
        async with following(crm, last=place) as events:
            missed = [await events.next() for _ in range(3)]
        assert [kind for kind, _, _ in missed] == ["call_status", "seat_status", "disposed"]
        assert missed[-1][2]["event"]["code"] == "sold"
        numbers = [int(told["id"].partition("-")[2]) for _, _, told in missed]
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("last", ["", "nonsense", "0123456789abcdef-5", "-1", "²", "x" * 5_000])
async def test_a_place_nobody_knows_gives_the_whole_state(door: Door, last: str) -> None:
    async with desktop(door, ADMIN) as crm:
        door.engine.pop(AGENT.user_id)
        async with crm.stream("GET", "/api/events", params={"last": last}) as response:
            kind, _, state = await Followed(response).next()
        assert kind == "state"
        assert [seat["pop"]["customer"] for seat in state["seats"]] == ["王小明"]


async def test_who_follows_sees_their_own_campaigns_or_their_own_seat_only(door: Door) -> None:
    foreign = type(SUPERVISOR)(12, "far", "Far", "supervisor", "", ("other",))
    async with desktop(door, foreign) as crm, desktop(door, OTHER) as colleague, desktop(door) as agent:
        async with (
            following(crm) as events,
            following(colleague, "/api/seat/events") as theirs,
            following(agent, "/api/seat/events") as own,
        ):
            assert (await events.next())[2] == {"seats": []}
            assert (await theirs.next())[2] == {"seats": []}
            await own.next()
            door.engine.pop(AGENT.user_id)
            door.engine.pop(AGENT.user_id, campaign="other")
            assert (await events.next())[2]["campaign"] == "other"
            assert [(await own.next())[0] for _ in range(4)].count("screen_pop") == 2
            door.engine.seat(OTHER.user_id, "ready")
            assert (await theirs.next())[2]["event"]["user_id"] == OTHER.user_id
        assert (await agent.get("/api/events")).status_code == 403


async def test_who_follows_a_campaign_hears_a_result_that_comes_when_the_next_customer_is_there(
    door: Door,
) -> None:
    async with desktop(door, SUPERVISOR) as crm, desktop(door) as agent:
        await agent.post("/api/seat/commands", json={"type": "log_in"})
        call = door.engine.pop(AGENT.user_id)
        door.engine.end(AGENT.user_id)
        for _ in range(CALLS - 1):
            door.engine.pop(AGENT.user_id, campaign="other", preview=True)
        async with following(crm) as events:
            assert (await events.next())[0] == "state"
            sold = {"type": "dispose", "call_id": call, "code": "sold", "and_ready": False}
            await agent.post("/api/seat/commands", json=sold)
            kind, _, told = await events.next()
            assert (kind, told["campaign"], told["event"]["call_id"]) == ("disposed", "demo", call)


async def test_the_same_comes_over_a_socket(door: Door) -> None:
    headers = await cookie(door, ADMIN)
    url = f"ws://127.0.0.1:{door.port}/ws/events"
    async with connect(url, additional_headers=headers) as socket:
        assert json.loads(await socket.recv()) == {"seats": []}
        door.engine.pop(AGENT.user_id)
        first = json.loads(await socket.recv())
        await socket.recv()
    door.engine.connect(AGENT.user_id)
    async with connect(f"{url}?last={first['id']}", additional_headers=headers) as socket:
        kinds = [json.loads(await socket.recv())["event"]["type"] for _ in range(3)]
        assert kinds == ["screen_pop", "seat_status", "call_status"]


async def test_a_program_follows_by_its_token_for_as_long_as_that_holds() -> None:
    token = "zdt_" + "x" * 43
    headers = {"Authorization": f"Bearer {token}", "Origin": "https://crm.example"}
    async with open_door(WebSettings(session_check_s=0.0)) as door:
        url = f"ws://127.0.0.1:{door.port}/ws"
        door.accounts.tokens[token] = replace(ADMIN, only=frozenset((Right.EVENTS, Right.SEAT)))
        async with connect(f"{url}/events", additional_headers=headers) as socket:
            assert json.loads(await socket.recv()) == {"seats": []}
            door.engine.seat(AGENT.user_id, "ready")
            assert json.loads(await socket.recv())["event"]["type"] == "seat_status"
            door.accounts.tokens.clear()
            door.engine.seat(AGENT.user_id, "paused")
            with pytest.raises(ConnectionClosed):
                for _ in range(3):
                    await socket.recv()
        assert await closed_with(f"{url}/events", headers) == wire.NO_SESSION
        door.accounts.tokens[token] = replace(ADMIN, only=frozenset((Right.SEAT,)))
        assert await closed_with(f"{url}/events", headers) == wire.NOT_ALLOWED
        assert await closed_with(url, headers) == wire.NO_SESSION  # a page's


async def closed_with(url: str, headers: dict[str, str]) -> int:
    """The code by which a socket is refused."""
    async with connect(url, additional_headers=headers) as socket:
        with pytest.raises(ConnectionClosed) as fault:
            await socket.recv()
    assert fault.value.rcvd is not None
    return fault.value.rcvd.code


async def test_a_stream_ends_with_its_session() -> None:
    async with (
        open_door(WebSettings(session_check_s=0.0)) as door,
        desktop(door, ADMIN) as crm,
        crm.stream("GET", "/api/events") as response,
    ):
        events = Followed(response)
        await events.next()
        door.accounts.sessions.clear()
        door.engine.seat(AGENT.user_id, "ready")
        with pytest.raises(AssertionError, match="has ended"):
            for _ in range(3):
                await events.next()


async def test_a_stream_follows_what_its_reader_may_see_by_now() -> None:
    async with (
        open_door(WebSettings(session_check_s=0.0)) as door,
        desktop(door, SUPERVISOR) as crm,
        crm.stream("GET", "/api/events") as response,
    ):
        events = Followed(response)
        await events.next()

        def become(**changes: object) -> None:
            for token, user in door.accounts.sessions.items():
                if user.user_id == SUPERVISOR.user_id:
                    door.accounts.sessions[token] = identity(9, "chen", **({"role": "supervisor"} | changes))  # type: ignore[arg-type]

        become(campaigns=("other",))
        door.engine.pop(AGENT.user_id)
        theirs = door.engine.pop(AGENT.user_id, campaign="other")
        kind, _, told = await events.next()
        assert (kind, told["campaign"], told["event"]["call_id"]) == ("screen_pop", "other", theirs)
        become(role="agent", campaigns=("other",))
        door.engine.connect(AGENT.user_id)
        with pytest.raises(AssertionError, match="has ended"):
            await events.next()


async def test_who_falls_behind_gets_the_state_and_nobody_waits_for_them() -> None:
    bus = Bus()
    feed = Feed(bus, kept=8)
    engine = ScriptedEngine(bus)
    bundles = feed.after(0)
    for _ in range(9):
        engine.seat(AGENT.user_id, "ready")
    assert await anext(bundles) is None
    assert feed.place(feed.id(0)) is None
    assert feed.place(feed.id(1)) == 1
    assert feed.place(feed.id(10)) is None


async def test_who_follows_one_seat_sleeps_through_what_happens_at_the_others() -> None:
    bus = Bus()
    feed = Feed(bus, kept=8)
    engine = ScriptedEngine(bus)
    first, second = feed.after(0, AGENT.user_id), feed.after(0, AGENT.user_id)
    waiting = [asyncio.ensure_future(anext(each)) for each in (first, second)]
    await asyncio.sleep(0)
    waiting[1].cancel()  # who leaves takes nobody along
    for _ in range(20):  # more than are kept
        engine.seat(OTHER.user_id, "ready")
    await asyncio.sleep(0)
    assert not waiting[0].done()
    engine.seat(AGENT.user_id, "ready")
    told = await waiting[0]
    assert told is not None and [each.user_id for each in told] == [AGENT.user_id]


async def test_agents_who_follow_their_own_seats_leave_room_for_who_follows_all(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST", 1)
    monkeypatch.setattr(events, "MOST_OWN", 3)
    monkeypatch.setattr(events, "MOST_EACH", 2)
    async with desktop(door, ADMIN) as crm, desktop(door) as agent, desktop(door, OTHER) as colleague:
        own = "/api/seat/events"

        async def refused(client: httpx2.AsyncClient, path: str) -> bool:
            answer = await client.get(path)
            return (answer.status_code, answer.json()["error"]) == (503, "busy")

        async with following(agent, own), following(agent, own), following(crm) as all_calls:
            assert await refused(agent, own)  # a third one of the same user
            assert await refused(crm, "/api/events")
            async with following(colleague, own):
                assert await refused(crm, own)
            assert (await all_calls.next())[0] == "state"


# --- the description ----------------------------------------------------------------------------------------


async def test_the_description_is_served_and_names_each_command(door: Door) -> None:
    async with http_client(base_url=door.url) as anybody:
        document = (await anybody.get("/api/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    assert "user_id" not in schemas["Dispose"]["properties"]
    assert schemas["LogIn"].get("required") == ["type"]
    body = document["paths"]["/api/seat/commands"]["post"]["requestBody"]["content"]["application/json"]
    assert {"hang_up", "dispose", "pause", "ready"} <= set(body["schema"]["discriminator"]["mapping"])


def test_a_route_that_nobody_described_fails_at_the_start() -> None:
    accounts, settings = MemoryAccounts(), WebSettings()
    app = create_app(Bus(), accounts, settings)

    async def nothing(request: Any, user: Any) -> Any: ...

    forgotten = Entry(Front(accounts, settings)).api("/api/forgotten", Right.SEAT, nothing)
    described(app.routes)
    with pytest.raises(NotDescribed, match="/api/forgotten"):
        described([*app.routes, forgotten])
