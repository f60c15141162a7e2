"""What comes back of messages, over a real door: one click and no more mail, STOP and no more anything, receipts."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy import Engine

from campaigns.dnc import DncStore
from campaigns.messages.answers import refuses
from campaigns.messages.bounces import MOST_MAIL, return_address
from campaigns.messages.choices import ChoiceStore
from campaigns.people import People
from campaigns.tokens import Tokens
from campaigns.users import UserStore
from cti.settings import WebSettings
from tests.campaigns.messages.mails import report
from tests.campaigns.messages.world import MISSED, OFFER, TWO_DAYS_LATER, Writing
from tests.campaigns.world import NOON, later
from tests.cti.running import DEADLINE_S, open_stored

SECRET = "a secret of the gateway's"
HOME = "bounces@company.example"
SETTINGS = WebSettings(gateways=(("sms", SECRET),), bounces=(HOME, SECRET))


@pytest.fixture
async def door(db: Engine, tmp_path: Path) -> AsyncIterator[AsyncClient]:
    async with (
        open_stored(db, tmp_path, SETTINGS) as (url, _),
        AsyncClient(base_url=url, timeout=DEADLINE_S * 6) as client,
    ):
        yield client


async def tell(
    door: AsyncClient,
    *events: dict[str, str],
    secret: str = SECRET,
    at: float | None = None,
    channel: str = "sms",
) -> Response:
    body = json.dumps({"events": events}).encode()
    when = int(time.time() if at is None else at)
    made = hmac.new(secret.encode(), f"{when}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Zhudong-Signature": f"t={when},v1={made}"}
    return await door.post(f"/api/messages/{channel}/told", content=body, headers=headers)


async def test_one_click_of_a_mail_program_ends_the_offers(db: Engine, door: AsyncClient) -> None:
    world = Writing(db, steps=OFFER, customers=2)
    world.calls()
    sent = world.claim(NOON)
    assert all(world.outbox.sent(each, NOON) for each in sent)
    link = f"/unsubscribe/{next(each.key for each in sent if each.address == 'kunde0@example.com')}"
    shown = await door.get(link, headers={"Accept-Language": "en"})
    assert shown.status_code == 200 and "kunde0@example.com" in shown.text and "<button" in shown.text
    assert not ChoiceStore(db).of("kunde0@example.com")  # to look changes nothing
    # RFC 8058: as a mail provider posts it, without cookies, from anywhere
    for _ in range(4):
        clicked = await door.post(link, data={"List-Unsubscribe": "One-Click"})
        assert clicked.status_code == 200 and "<button" not in clicked.text
    first, newest = ChoiceStore(db).of("kunde0@example.com")
    assert not (first.agreed or newest.agreed) and first.source == newest.source
    assert first.source.startswith("link of message ")
    entry = world.campaign.one("SELECT actor, subject FROM audit WHERE action = 'messages refused'")
    assert entry.actor == "a customer" and "kunde0@example.com" not in entry.subject


@pytest.mark.parametrize("key", ["0" * 32, "x", "%2e%2e", "0" * 5_000])
async def test_a_link_that_is_none_says_so(door: AsyncClient, key: str) -> None:
    for method in ("GET", "POST"):
        assert (await door.request(method, f"/unsubscribe/{key}")).status_code == 404


async def test_stop_puts_the_number_on_the_list_for_calls_as_well(db: Engine, door: AsyncClient) -> None:
    world = Writing(db, steps=MISSED, customers=2)
    world.calls()
    [first, _] = world.claim(TWO_DAYS_LATER)
    assert world.outbox.sent(first, TWO_DAYS_LATER)
    answer = await tell(door, {"kind": "reply", "from": first.address, "text": "退订。"})
    assert answer.json() == {"messages": 0, "replies": 1, "no_more": 1, "unknown": 0}
    [entry] = DncStore(db).check(first.address)
    assert (entry.layer, entry.source) == ("company", "reply by sms")
    [row] = [row for row in world.rows() if row.id == first.message_id]
    assert row.reply == "退订。" and row.replied_at is not None
    leads = {lead.number for lead in world.campaign.lease(10, later(days=3))}
    assert first.address not in leads and len(leads) == 1


async def test_a_reply_with_a_nul_holds_nothing_up(db: Engine, door: AsyncClient) -> None:
    world = Writing(db, steps=MISSED, customers=2)
    world.calls()
    first, second = world.claim(TWO_DAYS_LATER)
    assert world.outbox.sent(first, TWO_DAYS_LATER)
    odd = {"kind": "reply", "from": first.address, "text": "ST\0OP"}
    failed = {"kind": "failed", "message": second.key, "text": "un\0known"}
    answer = await tell(door, odd, failed)
    assert answer.json() == {"messages": 1, "replies": 1, "no_more": 1, "unknown": 0}
    rows = {row.id: row for row in world.rows()}
    assert rows[first.message_id].reply == "STOP" and rows[second.message_id].detail == "unknown"


async def test_a_receipt_is_on_record_and_settles_what_a_dead_engine_sent(
    db: Engine, door: AsyncClient
) -> None:
    world = Writing(db, steps=MISSED, customers=2)
    world.calls()
    first, second = world.claim(TWO_DAYS_LATER)  # and the engine dies
    told = [
        {"kind": "delivered", "message": first.key},
        {"kind": "failed", "message": second.key, "text": "unknown"},
    ]
    assert (await tell(door, *told)).json()["messages"] == 2
    assert (await tell(door, *told, {"kind": "delivered", "message": "f" * 32})).json()["unknown"] == 1
    rows = {row.id: row for row in world.rows()}
    assert rows[first.message_id].state == "sent" and rows[first.message_id].delivered_at is not None
    assert rows[second.message_id].bounced_at is not None and rows[second.message_id].detail == "unknown"
    assert [each.message_id for each in world.claim(later(days=3))] == [second.message_id]


async def test_only_the_gateway_is_believed_and_only_now(db: Engine, door: AsyncClient) -> None:
    stop = {"kind": "reply", "from": "+8613800000000", "text": "STOP"}
    assert (await tell(door, stop, secret="another secret, of nobody")).status_code == 401
    assert (await tell(door, stop, at=time.time() - 3_600)).status_code == 401
    assert (await tell(door, stop, channel="email")).status_code == 404
    bare = await door.post("/api/messages/sms/told", content=b"{}")
    huge = await door.post("/api/messages/sms/told", content=b"x" * 100_000)
    assert (bare.status_code, huge.status_code) == (401, 413)
    assert not DncStore(db).check("+8613800000000")
    assert (await tell(door, stop | {"more": "x"})).status_code == 400
    assert (await tell(door, stop | {"from": "nobody"})).json()["unknown"] == 1


@pytest.mark.parametrize(
    ("reply", "no_more"),
    [("STOP", True), (" stop! ", True), ("Opt-Out", True), ("TD", True), ("退订", True), ("【退订】", True),
     ("don't stop", False), ("请问套餐多少钱", False), ("", False)],
)  # fmt: skip
def test_what_asks_for_no_more(reply: str, no_more: bool) -> None:
    assert refuses(reply) is no_more


async def test_a_mail_that_came_back_is_handed_in_by_the_mail_server(db: Engine, door: AsyncClient) -> None:
    world = Writing(db, steps=OFFER, customers=1)
    world.calls()
    assert all(world.outbox.sent(each, NOON) for each in world.claim(NOON))
    People(db).add("", "chen", "陈静", "supervisor", "", campaigns=["spring"], language="en")
    token = Tokens(db).make(UserStore(db).all()[0], "mail", ["consent"], 30, datetime.now(UTC))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "message/rfc822"}

    async def hand_in(mail: bytes) -> Response:
        return await door.post("/api/messages/bounced", content=mail, headers=headers)

    mail = report(return_address(HOME, SECRET, world.rows()[0].key.hex))
    assert (await hand_in(mail)).json() == {
        "fate": "nobody", "why": "550 5.1.1 user unknown", "new": True
    }  # fmt: skip
    assert (await hand_in(mail)).json()["new"] is False
    [said] = ChoiceStore(db).of("kunde0@example.com")
    assert not said.agreed and "5.1.1" in said.source
    line = world.campaign.one("SELECT actor FROM audit WHERE action = 'messages refused'")
    assert line.actor == "chen"
    forged = await hand_in(report(return_address(HOME, "not that secret", "0" * 32)))
    assert forged.status_code == 400 and "none that we made" in forged.json()["detail"]
    assert (await hand_in(b"x" * (MOST_MAIL + 1))).status_code == 413
    assert (await door.post("/api/messages/bounced", content=mail)).status_code == 401
