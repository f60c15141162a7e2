"""Lists over HTTP as supervisors' programs send them: files and batches, retried, refused, corrected and taken back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
from sqlalchemy import Engine, text

from campaigns.users import User
from cti import desk, lists
from tests.campaigns.lists import workbooks
from tests.campaigns.world import Campaign
from tests.cti.client import cookie, page
from tests.cti.running import ADMIN, AGENT, DEADLINE_S, SUPERVISOR, Door, open_door, stored_in, until
from tests.loopback import http_client

FILE = "电话,姓名\n13800138000,李娜\n12,=王\n13900139001,王小明\n".encode("gb18030")
ROWS = [{"phone": "13800138000", "name": "李娜"}, {"phone": "13900139001", "vip": True}]
OPTIONS = {"list": "autumn", "campaign": "demo"}


@pytest.fixture
async def door(db: Engine, tmp_path: Path) -> AsyncIterator[Door]:
    Campaign(db, leads=0, name="demo")
    Campaign(db, leads=0, name="summer")
    async with open_door(
        stored=replace(stored_in(db, tmp_path), imports=tmp_path / "imports", archive=tmp_path / "archive")
    ) as opened:
        yield opened


async def client(door: Door, user: User | None = SUPERVISOR) -> httpx2.AsyncClient:
    headers = await cookie(door, user) if user is not None else {}
    return http_client(base_url=door.url, headers=headers, timeout=50)


def count(db: Engine) -> int:
    with db.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM lead")).scalar_one()


async def test_a_file_comes_in_is_looked_up_corrected_and_taken_back(door: Door, db: Engine) -> None:
    async with await client(door) as http:
        tried = await http.post("/api/lists", params=OPTIONS | {"dry_run": "1"}, content=FILE)
        assert tried.json()["accepted"] == 2 and count(db) == 0
        came = await http.post("/api/lists", params=OPTIONS | {"file": "../客户.csv"}, content=FILE)
        report = came.json()
        assert came.status_code == 200 and (report["accepted"], report["rejected"]) == (2, 1)
        assert report["format"] == "GB18030, commas" and report["rejects"][0]["row"] == 3
        *_, row = (await http.get("/api/lists", params={"campaign": "demo"})).json()
        assert (row["id"], row["name"], row["source"]) == (report["list_id"], "autumn", "客户.csv")
        kept = await http.get(f"/api/lists/{row['id']}/report")
        rejects = await http.get(f"/api/lists/{row['id']}/rejects")
        assert kept.json() == report and "'=王" in rejects.content.decode("utf-8-sig")
        assert (await http.get(f"/api/lists/{row['id'] + 1}/rejects")).status_code == 404
        corrected = rejects.content.replace(b",12,'=", b",18612345678,")
        again = (await http.post("/api/lists", params=OPTIONS, content=corrected)).json()
        assert (again["accepted"], again["rejected"]) == (1, 0)
        undone = await http.post("/api/lists/undo", json={"campaign": "demo", "list": "autumn"})
        assert undone.json() == {"imports": 2, "removed": 3, "closed": 0, "restored": 0}
        assert count(db) == 0
        twice = await http.post("/api/lists/undo", json={"campaign": "demo", "list": "autumn"})
        assert twice.status_code == 422


async def test_of_the_imports_on_record_the_last_come_and_earlier_ones_are_asked_for(door: Door) -> None:
    async with await client(door) as http:

        async def shown(**asked: str | int) -> list[int]:
            return [row["id"] for row in (await http.get("/api/lists", params=asked)).json()]

        sent = [await http.post("/api/lists", params=OPTIONS | {"list": name}, json=ROWS) for name in "ab"]
        *earlier, first, last = await shown(campaign="demo")
        assert [first, last] == [each.json()["list_id"] for each in sent]
        assert await shown(campaign="demo", limit=2) == [first, last]
        assert await shown(campaign="demo", limit=1, before=last) == [first]
        assert await shown(campaign="demo", before=first) == earlier
        for malformed in ({"limit": 1_001}, {"limit": "all"}, {"before": 0}, {"before": "9" * 30}):
            assert (await http.get("/api/lists", params=malformed)).status_code == 400


async def test_what_a_kill_left_behind_and_what_is_a_month_old_is_let_go_without_another_import(
    db: Engine, tmp_path: Path
) -> None:
    imports, now = tmp_path / "imports", time.time()
    for name, age_s in (("0a" * 8, lists.LEFT_S + 60.0), ("0b" * 8, lists.LEFT_S - 60.0)):
        (imports / name).mkdir(parents=True)
        (imports / name / "list").write_bytes(FILE)
        os.utime(imports / name, (now - age_s, now - age_s))
    for name, age_s in (("7.report.json", lists.KEPT_S + 60.0), ("8.report.json", lists.KEPT_S - 60.0)):
        (imports / name).touch()
        os.utime(imports / name, (now - age_s, now - age_s))
    async with open_door(stored=replace(stored_in(db, tmp_path), imports=imports)):
        await until(lambda: {path.name for path in imports.iterdir()} == {"0b" * 8, "8.report.json"})


async def test_a_batch_that_is_sent_again_adds_nothing(door: Door, db: Engine) -> None:
    async with await client(door) as http:
        asked = OPTIONS | {"batch": "crm-2026-11-25:1"}
        sent = await asyncio.gather(*(http.post("/api/lists", params=asked, json=ROWS) for _ in range(3)))
        assert sorted(each.json().get("repeated", False) for each in sent) == [False, True, True]
        assert {each.json()["accepted"] for each in sent} == {2} and count(db) == 2
        changed = await http.post("/api/lists", params=asked, json=[*ROWS, {"phone": "18612345678"}])
        assert changed.json()["repeated"] and count(db) == 2
        other = await http.post("/api/lists", params=asked | {"batch": "2"}, json=ROWS)
        assert (other.json()["accepted"], other.json()["duplicates"]) == (0, 2)


async def test_a_file_that_is_called_as_a_program_is_a_list(door: Door, db: Engine) -> None:
    async with await client(door) as http:
        for name, data in (
            ("json.py", FILE),
            ("campaigns.py", workbooks.one_sheet([["手机"], [13812345678]])),
        ):
            came = await http.post("/api/lists", params=OPTIONS | {"file": name}, content=data)
            assert came.status_code == 200, came.text


async def test_a_list_that_is_refused_says_why_and_nothing_went_in(door: Door, db: Engine) -> None:
    async with await client(door) as http:
        refused = await http.post("/api/lists", params=OPTIONS, content=b"%PDF-1.7")
        assert refused.status_code == 422 and "PDF" in refused.json()["refused"]
        for body in (b"{", b"[1]", b"[]", b'{"phone": 1}', b"[" * 100_000, b"\xff"):
            headers = {"Content-Type": "application/json"}
            refused = await http.post("/api/lists", params=OPTIONS, content=body, headers=headers)
            assert refused.status_code == 422, body[:20]
        assert count(db) == 0


@pytest.mark.parametrize(
    ("user", "asked", "status"),
    [
        (None, OPTIONS, 401),
        (AGENT, OPTIONS, 403),
        (SUPERVISOR, {"list": "autumn"}, 404),
        (SUPERVISOR, OPTIONS | {"campaign": "summer"}, 404),
        (ADMIN, OPTIONS | {"campaign": "winter"}, 404),
        (SUPERVISOR, {"campaign": "demo"}, 400),
        (SUPERVISOR, OPTIONS | {"list": "x" * 201}, 400),
        (SUPERVISOR, OPTIONS | {"list": "a\x00"}, 400),
        (SUPERVISOR, OPTIONS | {"duplicates": "all"}, 400),
        (SUPERVISOR, OPTIONS | {"dry_run": "yes"}, 400),
        (SUPERVISOR, OPTIONS | {"map": "mobile"}, 400),
        (SUPERVISOR, OPTIONS | {"batch": "a b"}, 400),
        (SUPERVISOR, OPTIONS | {"contry": "CN"}, 400),
        (SUPERVISOR, OPTIONS | {"within": "system"}, 403),
        (SUPERVISOR, OPTIONS | {"country": "XX"}, 422),
        (SUPERVISOR, OPTIONS | {"map": "a=telephone"}, 422),
        (SUPERVISOR, OPTIONS | {"source": "unheard-of"}, 422),
    ],
)
async def test_what_may_not_or_can_not_come_in(
    door: Door, db: Engine, user: User | None, asked: dict[str, str], status: int
) -> None:
    async with await client(door, user) as http:
        response = await http.post("/api/lists", params=asked, content=FILE)
    assert response.status_code == status and "json" in response.headers["content-type"], response.text
    assert count(db) == 0


async def test_a_body_is_neither_too_large_nor_too_slow(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_FILE", 1_000_000)
    monkeypatch.setattr(desk, "SILENCE_S", 0.2)
    async with await client(door) as http:
        large = await http.post("/api/lists", params=OPTIONS, content=b"1" * 1_000_001)
        assert large.status_code == 413 and large.json()["error"] == "too_large"
    head = [
        f"POST /api/lists?{urlencode(OPTIONS)} HTTP/1.1",
        "Host: here",
        "Content-Length: 1000",
        "Connection: close",
    ]
    head += [f"{name}: {value}" for name, value in (await cookie(door, SUPERVISOR)).items()]
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write("\r\n".join([*head, "", "phone\n"]).encode())
    async with asyncio.timeout(DEADLINE_S):
        assert b" 408 " in await reader.readline()
    writer.close()


async def test_an_agents_page_is_served_while_a_long_list_comes_in(door: Door) -> None:
    rows = "".join(f"138{n:08d},李\n" for n in range(30_000))
    async with await client(door) as http, page(door, AGENT) as seat:
        await seat.hello()
        long = asyncio.create_task(
            http.post("/api/lists", params=OPTIONS, content=("电话,姓名\n" + rows).encode())
        )
        waits = []
        while not long.done():
            began = time.monotonic()
            await seat.send(type="ping", at=1)
            await seat.next_of("pong")
            waits.append(time.monotonic() - began)
            await asyncio.wait({long}, timeout=0.07)  # no page asks more often
        assert (await long).json()["accepted"] == 30_000
    waits.sort()
    assert len(waits) > 10 and waits[len(waits) // 2] < 0.1 and waits[-1] < 1.0


async def test_who_sees_one_campaign_sees_no_others_lists(door: Door) -> None:
    async with await client(door, ADMIN) as http:
        asked = {"list": "other", "campaign": "summer"}
        other = (await http.post("/api/lists", params=asked, json=ROWS)).json()["list_id"]
        assert {row["campaign"] for row in (await http.get("/api/lists")).json()} == {"demo", "summer"}
    async with await client(door) as http:
        assert {row["campaign"] for row in (await http.get("/api/lists")).json()} == {"demo"}
        for path in (
            f"/api/lists/{other}/report",
            f"/api/lists/{other}/rejects",
            "/api/lists?campaign=summer",
        ):
            assert (await http.get(path)).status_code == 404
        assert (
            await http.post("/api/lists/undo", json={"campaign": "summer", "list": "other"})
        ).status_code == 404


async def test_a_malformed_request_is_told_so(door: Door) -> None:
    bodies = (b"", b"{", b"[]", b"1", b'{"campaign": 1, "list": "a"}', b"\xff", b"[" * 9_999, b" " * 70_000)
    paths = ("/api/lists/undo", "/api/dnc", "/api/consents", "/api/consents/withdraw")
    async with await client(door) as http:
        for body, path in product(bodies, paths):
            refused = await http.post(path, content=body)
            assert refused.status_code in (400, 413) and refused.json()["error"]
