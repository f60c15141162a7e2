"""Customers who call in: on a switch as it really is, they are on the agent's screen, in one bridge, and on record."""

from __future__ import annotations

import pytest

from dialer.switch.asterisk import log_in
from dialer.switch.protocol import open_link
from tests.contract.house import House, number
from tests.contract.switches import channels

pytestmark = pytest.mark.timeout(90)

CALLED = "02388880000"
INBOUND = f'inbound.numbers = ["{CALLED}"]'


async def call_in(house: House, tail: str) -> None:
    """The customer whose number ends so calls the company: their channel comes into the dialplan of those who do."""
    link = await open_link(house.switch.host, house.switch.port, lambda name, message, at: None)
    try:
        await log_in(link, house.switch.user, house.switch.secret)
        await link.ask(
            "Originate",
            (
                ("Channel", f"PJSIP/{number(1, tail).lstrip('+')}@carrier"),
                ("Context", "zhudong-inbound"),
                ("Exten", CALLED),
                ("Priority", "1"),
                ("CallerID", number(1, tail).removeprefix("+86")),
                ("Async", "true"),
            ),
        )
    finally:
        link.close()


async def test_a_customer_who_calls_in_is_on_the_screen_and_on_the_line(house: House) -> None:
    house.campaign(["08"], INBOUND)
    house.supervisor_changes("running = true", "running = false")  # it takes calls, and places none
    await house.start()
    lina = await house.working("lina", "seat001")
    await call_in(house, "08")
    pop = await lina.connected()
    assert (pop["inbound"], pop["number"], pop["customer"]) == (True, number(1, "08"), "客户1")
    live = await channels(house.switch)
    assert len(live) == 2
    assert len({channel.bridge_id for channel in live.values()}) == 1
    await lina.do("hold", call_id=pop["call_id"], on=True)
    await lina.until("on hold", lambda: lina.call is not None and lina.call["state"] == "held")
    await lina.do("hold", call_id=pop["call_id"], on=False)
    await lina.until("back", lambda: lina.call is not None and lina.call["state"] == "connected")
    await lina.do("hang_up", call_id=pop["call_id"])
    await lina.until("wrap-up", lambda: lina.state == "wrap_up")
    await lina.dispose("sold")
    (attempt,) = await house.recorded(1)
    assert (attempt.outcome, attempt.code, attempt.e164[-2:]) == ("connected", "sold", "08")
    await house.until("Prometheus sees it", lambda m: m['zhudong_called_in_total{campaign="spring"}'] == 1)
    metrics = await house.metrics()
    assert metrics['zhudong_answered_humans_total{campaign="spring"}'] == 0
    assert metrics["zhudong_caller_wait_seconds_count"] == 1
    await house.books_are_square()


async def test_a_caller_who_waits_outlives_the_daemon(house: House) -> None:
    house.campaign([], INBOUND)
    await house.start()
    await call_in(house, "08")
    await house.until_so("the call is on record", "SELECT count(*) FROM attempt")
    await house.kill()
    await house.start()
    lina = await house.working("lina", "seat001")
    pop = await lina.connected()
    assert (pop["inbound"], pop["number"]) == (True, number(1, "08"))
    await lina.do("hang_up", call_id=pop["call_id"])
    await lina.until("wrap-up", lambda: lina.state == "wrap_up")
    assert [row.outcome for row in await house.recorded(1)] == ["connected"]
    await house.books_are_square()


async def test_a_caller_who_leaves_before_a_seat_is_free_is_missed(house: House) -> None:
    house.campaign([], INBOUND)
    await house.start()
    await call_in(house, "06")
    (attempt,) = await house.recorded(1)
    assert attempt.outcome == "missed"
    assert (await house.metrics())['zhudong_abandoned_total{campaign="spring"}'] == 0
    await house.books_are_square()
