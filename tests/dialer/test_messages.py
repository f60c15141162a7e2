"""The sender over real servers: what the outbox permits is brought by mail, once, and what came of it is on record."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from campaigns.messages.announcing import Announcer
from campaigns.messages.bounces import bounce_of, return_address
from campaigns.messages.choices import ChoiceStore
from campaigns.messages.outbox import MOST_TRIES, Letter
from dialer.cli import main
from dialer.config import GatewaySection, MessageMailSection
from dialer.gateway import Gateway
from dialer.mail import Mail
from dialer.messages import LOOK_S, Messages
from tests.campaigns.messages.mails import report
from tests.campaigns.messages.test_announced import ANNOUNCED
from tests.campaigns.messages.world import CONFIRMED, MISSED, OFFER, TWO_DAYS_LATER, Writing
from tests.campaigns.world import NOON, later
from tests.cti.running import until
from tests.cti.test_webhooks import SECRET, receiver
from tests.post import Box, post_office

SENDER, HOME = "dialer@company.example", "bounces@company.example"


@pytest.fixture
def post() -> Iterator[tuple[Box, int]]:
    with post_office() as office:
        yield office


def sender(world: Writing, port: int, at: datetime = NOON) -> Messages:
    mail = Mail(MessageMailSection(host="127.0.0.1", port=port, security="none", sender=SENDER))
    return Messages(world.outbox, {"email": mail}, Announcer(world.db), lambda: at)


async def test_an_order_is_confirmed_by_a_mail_that_a_mail_server_takes(
    db: Engine, post: tuple[Box, int]
) -> None:
    box, port = post
    world = Writing(db, steps=CONFIRMED)
    for lead in world.calls("connected"):
        world.disposed(lead, "sold")
    messages = sender(world, port)
    assert await messages.look("email") == 0 and await messages.look("email") == LOOK_S
    assert world.states() == [("sent", "")] * 3
    assert sorted(to for to, _ in box.mails) == [[f"kunde{n}@example.com"] for n in range(3)]
    _, mail = next(each for each in box.mails if each[0] == ["kunde0@example.com"])
    [row] = [row for row in world.rows() if row.customer_id == "c0"]
    assert mail["Subject"] == "客户0，感谢您的订购" and mail["From"] == f"春天公司 <{SENDER}>"
    assert mail["Message-ID"] == f"<{row.key.hex}@company.example>"
    assert mail.get_content().strip() == "您订购了畅享199。"
    assert mail["List-Unsubscribe"] is None  # a service message
    assert messages.counters == {("email", "sent"): 3}


async def test_whom_a_mail_servers_certificate_is_held_against_is_read_once_and_not_for_each_mail(
    db: Engine, post: tuple[Box, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ssl.SSLContext] = []
    make = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda: made.append(make()) or made[-1])
    _, port = post
    world = Writing(db, steps=CONFIRMED)
    for lead in world.calls("connected"):
        world.disposed(lead, "sold")
    mail = Mail(MessageMailSection(host="127.0.0.1", port=port, security="starttls", sender=SENDER))
    assert len(made) == 1
    await Messages(world.outbox, {"email": mail}, Announcer(db), lambda: NOON).look("email")
    assert world.states() == [("waiting", "failed")] * 3  # this server has no certificate
    assert len(made) == 1


async def test_each_mail_has_an_address_of_its_own_to_come_back_to(db: Engine, post: tuple[Box, int]) -> None:
    box, port = post
    world = Writing(db, steps=OFFER, customers=1)
    world.calls()
    section = MessageMailSection(
        host="127.0.0.1", port=port, security="none", sender=SENDER, bounces=HOME, secret=SECRET
    )
    await Messages(world.outbox, {"email": Mail(section)}, Announcer(db), lambda: NOON).look("email")
    [back] = box.senders
    assert bounce_of(report(back), HOME, SECRET).key == world.rows()[0].key.hex
    assert box.mails[0][1]["From"] == SENDER


async def test_an_offer_can_be_answered_with_one_click(db: Engine, post: tuple[Box, int]) -> None:
    box, port = post
    world = Writing(db, steps=OFFER, customers=1)
    world.calls()
    await sender(world, port).look("email")
    [(_, mail)] = box.mails
    link = f"https://dialer.example/unsubscribe/{world.rows()[0].key.hex}"
    assert mail["List-Unsubscribe"].strip() == f"<{link}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link in mail.get_content()


@pytest.mark.parametrize(
    ("answer", "state", "result"),
    [("451 busy", ("waiting", "failed"), "failed"), ("554 spam", ("failed", "failed"), "given_up")],
)
async def test_what_a_mail_server_refuses_waits_or_is_given_up(
    db: Engine, post: tuple[Box, int], answer: str, state: tuple[str, str], result: str
) -> None:
    box, port = post
    world = Writing(db, steps=CONFIRMED, customers=1)
    [lead] = world.calls("connected")
    world.disposed(lead, "sold")
    box.answers = [answer]
    messages = sender(world, port)
    await messages.look("email")
    assert world.states() == [state] and answer in world.rows()[0].detail
    assert messages.counters == {("email", result): 1}
    await sender(world, port, later(minutes=1)).look("email")
    assert len(box.mails) == (state[0] == "waiting")


async def test_an_address_that_the_mail_server_knows_to_be_no_ones_is_written_to_no_more(
    db: Engine, post: tuple[Box, int]
) -> None:
    box, port = post
    world = Writing(db, steps=CONFIRMED, customers=2)
    for lead in world.calls("connected"):
        world.disposed(lead, "sold")
    box.nobody = {"kunde0@example.com"}
    await sender(world, port).look("email")
    assert sorted(world.states()) == [("failed", "failed"), ("sent", "")]
    [said] = ChoiceStore(db).of("kunde0@example.com")
    assert not said.agreed and said.source == "bounced: 550 5.1.1 nobody of that name"
    assert not ChoiceStore(db).of("kunde1@example.com")


async def test_what_a_mail_server_says_in_an_encoding_of_its_own_settles_the_message(
    db: Engine, post: tuple[Box, int]
) -> None:
    box, port = post
    world = Writing(db, steps=CONFIRMED, customers=1)
    [lead] = world.calls("connected")
    world.disposed(lead, "sold")
    box.nobody, box.unknown = {"kunde0@example.com"}, b"550 5.1.1 \xd3\xc3\0 1"  # GBK
    await sender(world, port).look("email")
    assert world.states() == [("failed", "failed")] and world.rows()[0].detail == "550 5.1.1 1"
    assert [said.source for said in ChoiceStore(db).of("kunde0@example.com")] == ["bounced: 550 5.1.1 1"]


async def test_a_mail_server_that_is_away_is_waited_for(db: Engine, post: tuple[Box, int]) -> None:
    box, port = post
    world = Writing(db, steps=CONFIRMED, customers=1)
    [lead] = world.calls("connected")
    world.disposed(lead, "sold")
    await sender(world, 1).look("email")
    assert world.states() == [("waiting", "failed")]
    await sender(world, port, world.rows()[0].next_at + timedelta(seconds=1)).look("email")
    assert world.states() == [("sent", "")] and len(box.mails) == 1


async def test_what_failed_for_the_last_time_counts_as_given_up(db: Engine) -> None:
    world = Writing(db, steps=CONFIRMED, customers=1)
    [lead] = world.calls("connected")
    world.disposed(lead, "sold")
    with db.begin() as connection:
        connection.execute(text("UPDATE message SET tries = :tries"), {"tries": MOST_TRIES - 1})
    messages = sender(world, 1)
    await messages.look("email")
    assert world.states() == [("failed", "failed")]
    assert messages.counters == {("email", "given_up"): 1}


class Away:
    """A channel that gives no answer before it is `back`."""

    def __init__(self) -> None:
        self.back = asyncio.Event()

    async def send(self, letter: Letter) -> tuple[str, ...]:
        await self.back.wait()
        return ()

    async def run(self) -> None:
        """Nothing is held."""

    async def close(self) -> None:
        """Nothing is held."""


async def test_a_channel_that_gives_no_answer_holds_up_no_other(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.messages.AT_ONCE", 1)
    world, away = Writing(db, steps=MISSED + OFFER, customers=2), Away()
    world.calls()  # both mails are due before the texts
    async with receiver() as there:
        gateway = Gateway(GatewaySection(url=there.url, secret=SECRET, networks=("127.0.0.0/8",)))
        channels = {"email": away, "sms": gateway}
        messages = Messages(world.outbox, channels, Announcer(db), lambda: TWO_DAYS_LATER)
        running = asyncio.create_task(messages.run())
        try:
            async with asyncio.timeout(30):
                while len(there.got) < 2:
                    await asyncio.sleep(0.02)
        finally:
            away.back.set()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert messages.counters["sms", "sent"] == 2


async def test_an_end_waits_a_moment_for_who_does_not_answer_and_the_message_is_sent_again_later(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.messages.END_LIMIT_S", 0.1)
    world, away = Writing(db, steps=CONFIRMED, customers=1), Away()
    [lead] = world.calls("connected")
    world.disposed(lead, "sold")
    running = asyncio.create_task(Messages(world.outbox, {"email": away}, Announcer(db), lambda: NOON).run())
    await until(lambda: world.states() == [("sending", "")])
    async with asyncio.timeout(20):
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert world.states() == [("sending", "")]  # nobody knows whether it was taken: the lease runs out
    [again] = world.outbox.claim(["email"], 10, later(minutes=6)).letters
    assert again.key == world.rows()[0].key.hex


def by_gateway(world: Writing, url: str, at: datetime = TWO_DAYS_LATER) -> Messages:
    gateway = Gateway(GatewaySection(url=url, secret=SECRET, networks=("127.0.0.0/8",)))
    return Messages(world.outbox, {"sms": gateway}, Announcer(world.db), lambda: at)


async def test_a_gateway_is_sent_a_text_that_it_can_tell_is_ours_and_knows_again(db: Engine) -> None:
    world = Writing(db, steps=MISSED + 'sender = "10690001"\n', customers=1)
    world.calls()
    async with receiver() as there:
        messages = by_gateway(world, there.url)
        await messages.look("sms")
    [(headers, body)] = there.got
    key = world.rows()[0].key.hex
    assert body == {
        "message": key, "channel": "sms", "to": "+8613800000000", "sender": "10690001", "campaign": "spring",
        "text": "客户0您好，我们曾致电给您。回复TD退订",
    }  # fmt: skip
    assert headers["idempotency-key"] == key
    at, _, made = headers["zhudong-signature"].removeprefix("t=").partition(",v1=")
    signed = f"{at}.{headers['zhudong-delivery']}.{headers[':raw']}".encode()
    assert made == hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert world.states() == [("sent", "")]


@pytest.mark.parametrize(
    ("status", "state"),
    [(503, "waiting"), (429, "waiting"), (302, "waiting"), (400, "failed"), (422, "failed")],
)
async def test_what_a_gateway_refuses_waits_or_is_given_up(db: Engine, status: int, state: str) -> None:
    world = Writing(db, steps=MISSED, customers=1)
    world.calls()
    async with receiver(lambda headers, body: status) as there:
        await by_gateway(world, there.url).look("sms")
    assert [row.state for row in world.rows()] == [state] and there.asked == 1


async def test_a_gateway_in_a_network_that_was_not_named_is_not_reached(db: Engine) -> None:
    world = Writing(db, steps=MISSED, customers=1)
    world.calls()
    async with receiver() as there:
        gateway = Gateway(GatewaySection(url=there.url, secret=SECRET))
        await Messages(world.outbox, {"sms": gateway}, Announcer(world.db), lambda: TWO_DAYS_LATER).look(
            "sms"
        )
    assert there.asked == 0 and "no network" in world.rows()[0].detail


async def test_an_engine_announces_calls_by_itself(db: Engine) -> None:
    world = Writing(db, steps=ANNOUNCED, customers=2)
    async with receiver() as there:
        running = asyncio.create_task(by_gateway(world, there.url, NOON).run())
        async with asyncio.timeout(30):
            while await asyncio.to_thread(world.states) != [("sent", "")] * 2:
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert sorted(body["to"] for _, body in there.got) == ["+8613800000000", "+8613800000001"]


def test_a_mail_server_hands_in_by_a_pipe_what_came_back(db: Engine, tmp_path: Path) -> None:
    world = Writing(db, steps=OFFER, customers=1)
    world.calls()
    assert all(world.outbox.sent(each, NOON) for each in world.claim(NOON))
    config = tmp_path / "dialer.toml"

    def piped(mail: bytes, url: str) -> Result:
        config.write_text(
            f'[database]\nurl = "{url}"\n[[switch]]\nname = "m"\nhost = "h"\nuser = "u"\nsecret = "s"\n'
            f'[messages.email]\nbounces = "{HOME}"\nsecret = "{SECRET}"\n'
        )
        return CliRunner().invoke(main, ["messages", "bounced", "--config", str(config)], input=mail)

    url = db.url.render_as_string(hide_password=False)
    mail = report(return_address(HOME, SECRET, world.rows()[0].key.hex))
    assert piped(mail, url).output == "nobody: 550 5.1.1 user unknown\n"
    assert "already" in piped(mail, url).output and world.rows()[0].bounced_at is not None
    refused = piped(b"To: someone\n\n", url)
    assert refused.exit_code == 2 and "no return address" in refused.stderr
    assert piped(mail, "postgresql://127.0.0.1:1/nothing").exit_code == 75  # it comes again
