"""What is lost on the way: a seat's phone, the switch, the engine. No customer is forgotten, none is called twice."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.house import House, number
from tests.contract.switches import channels

pytestmark = pytest.mark.timeout(120)


async def test_a_customer_whose_seat_lost_its_phone_is_handed_to_another(house: House) -> None:
    house.campaign(["08"])
    await house.start()
    lina = await house.working("lina", "seat001x")  # this phone hangs up 3 s after it was picked up
    pop = await lina.connected()
    tom = await house.working("tom", "seat002")
    await lina.until("the phone is known to be lost", lambda: lina.state == "no_phone")
    assert lina.seat["reason"] == "phone_lost"
    again = await tom.connected()
    assert again["call_id"] == pop["call_id"]
    await tom.do("hang_up", call_id=pop["call_id"])
    await tom.dispose()
    (attempt,) = await house.recorded(1)
    assert (attempt.outcome, attempt.user_id, attempt.code) == ("connected", 2, "sold")
    await lina.do("redial_phone")
    await lina.until("the phone is up again", lambda: lina.state == "paused")
    await house.books_are_square()


async def test_a_seat_without_a_phone_is_offered_no_customer(house: House) -> None:
    house.campaign(["08"])
    await house.start()
    house.person("lina", "seat001n")  # this phone is never picked up
    lina = await house.agent("lina")
    await lina.do("log_in")
    await lina.until("the phone rings", lambda: lina.state == "phone")
    assert not (await lina.ask("ready"))["ok"]
    await lina.until("it was not picked up", lambda: lina.state == "no_phone", limit_s=30.0)
    assert lina.seat["reason"] == "phone_no_answer"
    assert house.attempts() == []


async def test_the_switch_restarts_in_mid_campaign(house: House) -> None:
    house.campaign(["08", "03", "08", "08"], 'mode = "ratio"\nratio = 2.0')
    await house.start()
    lina = await house.working("lina", "seat001")
    first = await lina.connected()
    await asyncio.to_thread(house.switch.restart)
    await lina.until("the call is over", lambda: lina.state not in ("talking", "connecting"))
    if lina.state == "wrap_up":
        await lina.dispose()
    await lina.until("the phone is up again", lambda: lina.state in ("paused", "ready"), limit_s=30.0)
    if lina.state == "paused":
        await lina.do("ready")
    second = await lina.connected(limit_s=30.0)
    assert second["call_id"] != first["call_id"]
    await lina.do("hang_up", call_id=second["call_id"])
    await lina.dispose()
    third = await lina.connected()
    await lina.do("hang_up", call_id=third["call_id"])
    await house.recorded(4)
    rang = next(row for row in house.attempts() if row.e164.endswith("03"))
    assert rang.outcome == "lost"
    assert [row.outcome for row in house.attempts() if row.e164.endswith("08")] == ["connected"] * 3
    await house.books_are_square()


async def test_the_engine_is_killed_in_mid_campaign_and_comes_back(house: House) -> None:
    house.campaign(["08", "03", "08"], 'mode = "ratio"\nratio = 2.0')
    await house.start()
    lina = await house.working("lina", "seat001")
    pop = await lina.connected()
    await lina.do("save_notes", call_id=pop["call_id"], notes="half typed")
    await house.kill()
    alive = await channels(house.switch)
    assert (
        len(alive) == 3
    )  # the customer, the seat's leg, and the phone that rings: the voice goes on without us
    await house.start()
    await lina.open()
    await lina.until("the same customer", lambda: lina.state == "talking" and lina.pop is not None)
    assert lina.pop is not None
    assert (lina.pop["call_id"], lina.pop["customer"]) == (pop["call_id"], pop["customer"])
    await house.recorded(1)
    assert house.outcomes()["03"] in ("cancelled", "lost")  # what rang for a dead engine was hung up
    after = await channels(house.switch)
    assert set(after) == {uid for uid in alive if alive[uid].bridge_id}
    await lina.do("hang_up", call_id=pop["call_id"])
    await lina.dispose("sold", "and signed")
    await lina.until("paused or ready", lambda: lina.state in ("ready", "paused", "talking", "connecting"))
    if lina.state == "paused":
        await lina.do("ready")
    following = await lina.connected()
    assert following["call_id"] != pop["call_id"]
    await lina.do("hang_up", call_id=following["call_id"])
    await house.recorded(3)
    first = next(row for row in house.attempts() if row.e164 == pop["number"])
    assert (first.outcome, first.code, first.notes) == ("connected", "sold", "and signed")
    await house.books_are_square()


async def test_an_engine_that_is_killed_in_a_conference_leaves_the_customer_with_the_seat(
    house: House,
) -> None:
    """And the recording as paused as it was."""
    house.campaign(["08"], 'transfer_numbers = ["+8613800090*"]\nrecord = true')
    await house.start()
    lina = await house.working("lina", "seat001")
    call = (await lina.connected())["call_id"]
    await lina.do("record", call_id=call, on=False)
    await lina.do("transfer", call_id=call, to_number=number(900, "08"))
    await lina.until("they speak", lambda: lina.call is not None and lina.call["state"] == "consulting")
    await lina.do("confer", call_id=call)
    await house.together(3, "all three")
    await house.kill()
    await house.start()
    await lina.open()
    await lina.until("the same customer", lambda: lina.state == "talking" and lina.call is not None)
    assert lina.call is not None
    assert (lina.call["call_id"], lina.call["recording"]) == (call, "paused")
    await house.together(2, "the customer and the seat")
    await lina.do("hang_up", call_id=call)
    await lina.dispose()
    (attempt,) = await house.recorded(1)
    assert attempt.outcome == "connected"
    await house.books_are_square()


async def test_a_drained_engine_lets_the_call_finish_and_dials_no_more(house: House) -> None:
    house.campaign(["01", "08"])
    await house.start()
    lina = await house.working("lina", "seat001")
    await lina.connected()
    await house.terminate()
    await lina.until(
        "the customer's own end", lambda: lina.call is not None and lina.call["state"] == "ended"
    )
    assert lina.call is not None
    assert lina.call["cause"] == "customer"
    assert await house.ended() == 0
    (attempt,) = house.attempts()
    assert attempt.outcome == "connected"
    assert house.scalar("SELECT count(*) FROM lead WHERE lease IS NOT NULL") == 0
    assert await channels(house.switch) == {}
