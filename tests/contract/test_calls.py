"""What a switch does with a call, and what of it reaches the agent, the books and the metrics."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.contract.house import House, number
from tests.contract.switches import calls_over, channels

pytestmark = pytest.mark.timeout(90)


async def test_an_answered_customer_is_on_the_screen_and_then_on_the_line(house: House) -> None:
    house.campaign(["08"])
    await house.start()
    lina = await house.working("lina", "seat001")
    pop = await lina.connected()
    assert (pop["number"], pop["customer"], pop["attributes"]) == (
        number(1, "08"),
        "客户1",
        {"plan": "plan 1"},
    )
    assert lina.order.index("pop") < lina.order.index("connected")
    live = await channels(house.switch)
    assert len(live) == 2
    assert len({channel.bridge_id for channel in live.values()}) == 1  # the two are in one bridge
    await lina.do("hang_up", call_id=pop["call_id"])
    await lina.until("wrap-up", lambda: lina.state == "wrap_up")
    await lina.dispose("sold", "wants the family plan")
    await lina.until("ready again", lambda: lina.state == "ready")
    (attempt,) = await house.recorded(1)
    assert (attempt.outcome, attempt.code, attempt.user_id) == ("connected", "sold", 1)
    assert attempt.answered_at <= attempt.connected_at <= attempt.ended_at
    await house.until(
        "Prometheus sees it", lambda m: m['zhudong_answered_humans_total{campaign="spring"}'] == 1
    )
    metrics = await house.metrics()
    assert metrics["zhudong_answer_to_pop_seconds_count"] == 1
    assert metrics["zhudong_answer_to_connect_seconds_count"] == 1
    await calls_over(house.switch)
    assert len(await channels(house.switch)) == 1  # the seat's leg stays up
    await house.books_are_square()


async def test_a_customer_who_hangs_up_leaves_the_seat_in_wrap_up(house: House) -> None:
    house.campaign(["01"])
    await house.start()
    lina = await house.working("lina", "seat001")
    await lina.connected()
    await lina.until("the customer hung up", lambda: lina.state == "wrap_up")
    assert lina.call is not None
    assert (lina.call["state"], lina.call["cause"]) == ("ended", "customer")
    await lina.dispose("not_interested")
    (attempt,) = await house.recorded(1)
    assert (attempt.outcome, attempt.code) == ("connected", "not_interested")
    assert 4.0 < attempt.talk_s < 6.0
    await house.books_are_square()


async def test_each_way_not_to_answer_has_its_outcome_and_cause(house: House) -> None:
    house.campaign(["02", "12", "04", "05", "10", "11"])
    await house.start()
    lina = await house.working("lina", "seat001")
    await house.recorded(6)
    assert house.outcomes() == {
        "02": "busy", "12": "busy", "04": "congestion", "05": "invalid", "10": "no_answer", "11": "rejected",
    }  # fmt: skip
    causes = {row.e164[-2:]: row.cause for row in house.attempts()}
    assert causes == {"02": 17, "12": 17, "04": 34, "05": 1, "10": 19, "11": 21}
    assert lina.pops == []
    await house.books_are_square()


async def test_a_phone_that_rings_out_is_no_answer(house: House) -> None:
    house.campaign(["03"])
    await house.start()
    lina = await house.working("lina", "seat001")
    (attempt,) = await house.recorded(1, limit_s=25.0)
    assert attempt.outcome == "no_answer"
    assert attempt.answered_at is None
    assert (attempt.ended_at - house.began).total_seconds() > 15.0  # nobody hangs up before the legal minimum
    assert lina.state == "ready"
    await house.books_are_square()


async def test_a_customer_who_leaves_while_waiting_is_no_abandoned_call(house: House) -> None:
    """Two are dialed for one seat; the second answers, finds no seat, and hangs up within the connect limit."""
    house.campaign(["08", "06"], 'mode = "ratio"\nratio = 2.0')
    await house.start()
    lina = await house.working("lina", "seat001")
    pop = await lina.connected()
    await house.recorded(1)
    assert house.outcomes()["06"] == "hung_up"
    assert house.scalar("SELECT count(*) FROM lock_out") == 0
    assert lina.state == "talking"
    assert len(lina.pops) == 1
    await lina.do("hang_up", call_id=pop["call_id"])
    await house.recorded(2)
    await house.books_are_square()


async def test_without_a_seat_in_time_the_message_plays_and_its_key_opts_out(house: House) -> None:
    house.campaign(["07", "07"], 'mode = "ratio"\nratio = 2.0')
    await house.start()
    lina = await house.working("lina", "seat001")
    pop = await lina.connected()
    await house.recorded(1, limit_s=30.0)
    (abandoned,) = [row for row in house.attempts() if row.outcome is not None]
    assert abandoned.outcome == "abandoned"
    assert abandoned.harbour_played
    assert abandoned.e164 != pop["number"]
    await house.until("the metric", lambda m: m['zhudong_abandoned_total{campaign="spring"}'] == 1)
    assert house.scalar("SELECT string_agg(e164, ' ') FROM dnc") == abandoned.e164
    assert house.scalar("SELECT string_agg(e164, ' ') FROM lock_out") == abandoned.e164
    await lina.do("hang_up", call_id=pop["call_id"])
    await house.recorded(2)
    await house.books_are_square()


async def test_a_machine_is_hung_up_and_a_person_is_not(house: House) -> None:
    house.campaign(["09", "13"], "amd = true")
    await house.start()
    lina = await house.working("lina", "seat001")
    pop = await lina.connected(limit_s=25.0)
    assert pop["number"] == number(2, "13")
    assert len(lina.pops) == 1
    machine = next(row for row in house.attempts() if row.e164[-2:] == "09")
    assert (machine.outcome, machine.amd) == ("machine", "MACHINE")
    await lina.do("hang_up", call_id=pop["call_id"])
    await house.recorded(2)
    await house.books_are_square()


async def test_whom_the_detection_has_not_judged_is_on_the_line_all_the_same(house: House) -> None:
    """It listens for five seconds; the law gives a customer two."""
    house.campaign(["08"], "amd = true")
    await house.start()
    lina = await house.working("lina", "seat001")
    pop = await lina.connected()
    await lina.do("hang_up", call_id=pop["call_id"])
    (attempt,) = await house.recorded(1)
    assert (attempt.outcome, attempt.amd) == ("connected", None)
    await house.books_are_square()


async def test_who_leaves_while_the_detection_listens_is_on_record_as_nobody_known(house: House) -> None:
    house.campaign(["06"], "amd = true")
    await house.start()
    lina = await house.working("lina", "seat001")
    (attempt,) = await house.recorded(1)
    assert (attempt.outcome, attempt.amd, lina.pops) == ("hung_up", "HANGUP", [])
    await house.books_are_square()


async def test_a_customer_is_put_on_hold_and_taken_back(house: House) -> None:
    house.campaign(["08"])
    await house.start()
    lina = await house.working("lina", "seat001")
    pop = await lina.connected()
    await lina.do("hold", call_id=pop["call_id"], on=True)
    await lina.until("held", lambda: lina.call is not None and lina.call["state"] == "held")
    await house.until_all_channels("nobody is joined", lambda channel: not channel.bridge_id)
    await lina.do("hold", call_id=pop["call_id"], on=False)
    await lina.until("back", lambda: lina.call is not None and lina.call["state"] == "connected")
    await house.until_all_channels("all are joined again", lambda channel: bool(channel.bridge_id))
    await lina.do("hang_up", call_id=pop["call_id"])
    (attempt,) = await house.recorded(1)
    assert attempt.outcome == "connected"
    await house.books_are_square()


async def test_a_call_is_recorded_muted_and_ended_as_the_wrong_person(house: House) -> None:
    """The second number of the same customer is called next, and the first one no more."""
    house.campaign(["08"], "record = true")
    house.further_number(1, "13")
    await house.start()
    lina = await house.working("lina", "seat001")
    pop = await lina.connected()
    assert lina.call is not None and lina.call["recording"] == "on"
    await lina.do("record", call_id=pop["call_id"], on=False)
    await lina.until("paused", lambda: lina.call is not None and lina.call["recording"] == "paused")
    await lina.do("mute", call_id=pop["call_id"], on=True)
    await lina.until("muted", lambda: lina.call is not None and lina.call["muted"])
    await lina.do("send_keys", call_id=pop["call_id"], keys="12#")
    await lina.do("dispose", call_id=pop["call_id"], code="wrong_person", hang_up=True)
    following = await lina.connected()
    assert following["number"] == number(2, "13") != pop["number"]
    assert lina.call is not None and not lina.call["muted"]
    if house.switch.recordings is not None:
        assert (house.switch.recordings / f"{pop['call_id']}.wav").exists()
    await lina.do("dispose", call_id=following["call_id"], code="wrong_person", hang_up=True)
    await house.recorded(2)
    await lina.until("ready, with nobody left to call", lambda: lina.state == "ready")
    paused = "SELECT string_agg(action || ' ' || actor, ', ') FROM audit WHERE action LIKE 'recording%'"
    assert house.scalar(paused) == "recording_paused Lina"
    await house.until_so("the lead is done", "SELECT count(*) = 0 FROM lead WHERE open")
    await house.books_are_square()


async def test_a_colleague_is_asked_all_three_speak_and_the_customer_is_handed_over(house: House) -> None:
    house.campaign(["08"], 'mode = "progressive"\nrecord = true')
    await house.start()
    lina = await house.working("lina", "seat001")
    pop = await lina.connected()
    zhang = await house.working("zhang", "seat002")
    await zhang.until("ready", lambda: zhang.state == "ready")
    call = pop["call_id"]
    zhang_id = zhang.seat["user_id"]
    await lina.do("transfer", call_id=call, to_user=zhang_id)
    await lina.until("they speak", lambda: lina.call is not None and lina.call["state"] == "consulting")
    await zhang.until("asked", lambda: zhang.state == "asked")
    assert zhang.pop is not None and zhang.pop["number"] == pop["number"]
    await house.together(2, "the two seats, the customer on hold")
    await lina.do("confer", call_id=call)
    await house.together(3, "all three")
    await lina.do("complete", call_id=call)
    await lina.until("free", lambda: lina.state == "wrap_up")
    await zhang.connected()
    await house.together(2, "the customer and the colleague")
    await lina.do("dispose", call_id=call, code="interested")
    await lina.until("ready", lambda: lina.state == "ready")
    await zhang.do("hang_up", call_id=call)
    await zhang.dispose("sold")
    (attempt,) = await house.recorded(1)
    assert (attempt.outcome, attempt.code, attempt.user_id) == ("connected", "sold", zhang_id)
    await house.books_are_square()


async def test_when_the_colleague_hangs_up_in_the_conference_the_two_speak_on(house: House) -> None:
    house.campaign(["08"])
    await house.start()
    lina = await house.working("lina", "seat001")
    pop = await lina.connected()
    zhang = await house.working("zhang", "seat002")
    call = pop["call_id"]
    await lina.do("transfer", call_id=call, to_user=zhang.seat["user_id"])
    await lina.until("they speak", lambda: lina.call is not None and lina.call["state"] == "consulting")
    await lina.do("confer", call_id=call)
    await house.together(3, "all three")
    (leg,) = [uid for uid, c in (await channels(house.switch)).items() if c.name.startswith("PJSIP/seat002-")]
    await house.hang_up(leg)
    await lina.until("back", lambda: lina.call is not None and lina.call["state"] == "connected")
    await zhang.until("phone lost", lambda: zhang.state == "no_phone")
    await house.together(2, "the customer and the seat")
    await lina.do("hang_up", call_id=call)
    await house.recorded(1)
    await house.books_are_square()


async def test_a_customer_is_sent_outside_and_back_where_nobody_answers(house: House) -> None:
    desk, busy = number(900, "08"), number(901, "02")
    house.campaign(["08"], 'transfer_numbers = ["+8613800090*"]')
    await house.start()
    lina = await house.working("lina", "seat001")
    pop = await lina.connected()
    call = pop["call_id"]
    refused = await lina.ask("transfer", call_id=call, to_number=number(1, "08"))
    assert refused["code"] == "number_not_allowed"
    await lina.do("transfer", call_id=call, to_number=busy, ask_first=False)
    await lina.until("gone", lambda: lina.state == "wrap_up")
    await lina.until("back", lambda: lina.state == "talking")
    await house.together(2, "the customer and the seat")
    await lina.do("transfer", call_id=call, to_number=desk)
    await lina.until("they speak", lambda: lina.call is not None and lina.call["state"] == "consulting")
    await lina.do("complete", call_id=call)
    await lina.until("free", lambda: lina.state == "wrap_up")
    await lina.dispose("sold")
    await lina.until("ready", lambda: lina.state == "ready")
    await house.together(2, "the customer and the desk outside")
    live = await channels(house.switch)
    (outside,) = [uid for uid in live if uid.startswith("zdp-")]
    await house.hang_up(outside)
    (attempt,) = await house.recorded(1)
    assert attempt.outcome == "connected"
    await house.books_are_square()
    with house.db.connect() as connection:
        calls = connection.execute(
            text("SELECT number, ended_at > at AS over FROM outside_call ORDER BY at")
        ).all()
    assert calls == [(busy, True), (desk, True)]


async def test_a_phone_that_is_rung_for_each_call(house: House) -> None:
    house.campaign(["08"])
    await house.start()
    lina = await house.working("lina", "seat001", mode="ring")
    legs = [uid for uid in await channels(house.switch) if uid.startswith("zds-")]
    assert legs == [] or lina.pops  # no phone rings before there is a customer for it
    pop = await lina.connected()
    await lina.do("hang_up", call_id=pop["call_id"])
    await lina.dispose()
    await calls_over(house.switch)
    (attempt,) = await house.recorded(1)
    assert attempt.outcome == "connected"
    await house.books_are_square()


async def test_a_previewed_customer_is_dialed_when_the_agent_says_so(house: House) -> None:
    house.campaign(["08"], 'mode = "preview"')
    await house.start()
    lina = await house.working("lina", "seat001")
    await lina.until("a customer to look at", lambda: lina.state == "preview" and bool(lina.pops))
    assert lina.pops[0]["preview"]
    assert house.attempts() == []
    await lina.do("dial_previewed", call_id=lina.pops[0]["call_id"])
    pop = await lina.connected()
    assert pop["call_id"] == lina.pops[0]["call_id"]
    await lina.do("hang_up", call_id=pop["call_id"])
    await house.recorded(1)
    await house.books_are_square()


async def test_a_predictive_campaign_says_why_and_takes_a_new_target_within_two_seconds(house: House) -> None:
    house.campaign(["08", "03"], 'mode = "predictive"\ntarget = 0.03')
    await house.start()
    lina = await house.working("lina", "seat001")
    pop = await lina.connected()
    target = 'zhudong_abandon_target_ratio{campaign="spring"}'
    await house.until(
        "a reason is shown", lambda m: m.get('zhudong_pacing_bound{bound="risk",campaign="spring"}') == 1
    )
    assert (await house.metrics())[target] == 0.03
    house.supervisor_changes("target = 0.03", "target = 0.01")
    await house.until("the new target", lambda m: m[target] == 0.01, limit_s=2.5)
    await lina.do("hang_up", call_id=pop["call_id"])
    await lina.dispose()
    await lina.until("ready again", lambda: lina.state == "ready")
    await house.recorded(2, limit_s=25.0)
    assert house.outcomes() == {"08": "connected", "03": "no_answer"}
    await house.books_are_square()
