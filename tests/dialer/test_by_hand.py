"""An agent dials a number by hand: through the engine, from a pause, and refused by name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

from cti.messages import DialNumber, Pause, ScreenPop, SeatStatus, Transfer
from dialer.core.seat import SeatEvent
from dialer.switch.port import Answered, Bridged, HungUp
from tests.dialer.test_engine import floor

MANUAL = '\n[manual]\nnumbers = ["+861*"]\n'
NUMBER = "139 1234 5678"


async def test_from_a_pause_and_back_into_it(tmp_path: Path) -> None:
    async with floor(tmp_path) as here:
        told: list[object] = []
        here.bus.on_seat(told.append)
        here.tables.open = 0
        here.configure("spring", more=MANUAL)
        await here.seat()
        assert (await here.bus.command(Pause(user_id=1, reason="training"))).ok
        here.tables.open = 1
        ask = DialNumber(user_id=1, campaign="spring", number=NUMBER)
        assert (await here.bus.command(ask)).ok
        await here.until(lambda: here.line.customers)
        assert here.line.customers == ["PJSIP/8613912345678@carrier"]
        [pop] = [m for m in told if isinstance(m, ScreenPop)]
        assert (pop.number, pop.preview, pop.dialing) == ("+8613912345678", True, True)
        assert (await here.bus.command(ask)).code == "wrong_state"  # one at a time
        here.engine.feed(HungUp(monotonic(), "main", f"zdc-{pop.call_id}", 17))
        await here.until(lambda: here.core.seats.by_user[1].state == "paused")
        status = [m for m in told if isinstance(m, SeatStatus)][-1]
        assert (status.reason, status.dials) == ("training", ("spring",))


async def test_what_may_not_be_dialed_is_refused_by_name(tmp_path: Path) -> None:
    async with floor(tmp_path) as here:
        here.tables.open = 0
        here.configure("spring", more=MANUAL)
        here.configure("autumn")
        await here.seat(("spring", "autumn"))

        async def ask(number: str, campaign: str = "spring") -> str:
            return (await here.bus.command(DialNumber(user_id=1, campaign=campaign, number=number))).code

        assert await ask("") == await ask("12") == await ask("call me") == "bad_number"
        assert await ask("+442079460123") == await ask("021 6216 8888") == "number_not_allowed"
        assert await ask(NUMBER, "autumn") == await ask(NUMBER, "winter") == "no_manual"
        reply = await here.bus.command(DialNumber(user_id=1, campaign="spring", number=NUMBER))
        assert (reply.code, float(reply.detail) > 0) == ("rule_window", True)
        here.tables.away = True
        assert await ask(NUMBER) == "not_saved"
        assert not here.line.customers


async def test_who_has_called_outside_as_often_as_they_may_is_told_and_calls_nobody(tmp_path: Path) -> None:
    async with floor(tmp_path) as here:
        more = 'transfer_numbers = ["+86106900????"]\n' + MANUAL + "[outside]\ncalls = 1\n"
        here.configure("spring", more="\n" + more)
        await here.seat()
        await here.until(lambda: here.line.customers)
        [call] = here.core.calls.by_id.values()
        for event in (
            Answered(monotonic(), "main", call.uid, "PJSIP/carrier-1"),
            Bridged(monotonic(), "main", call.uid, "b1"),
        ):
            here.engine.feed(event)
        assert call.state == "connected"
        outside = Transfer(user_id=1, call_id=call.id, to_number="+861069001234")

        def parties() -> list[str]:
            return [one.uid for one in here.line.dialed if one.uid.startswith("zdp-")]

        def counted(name: str, **labels: str) -> float:
            return (
                here.engine.metrics.registry.get_sample_value(name, {"campaign": "spring", **labels}) or 0.0
            )

        await here.until(lambda: "spring" in here.engine.metrics._campaigns)
        here.tables.away = True
        assert (await here.bus.command(outside)).code == "not_saved"
        here.tables.away = False
        assert (await here.bus.command(outside)).ok
        await here.until(parties)
        here.engine.feed(HungUp(monotonic(), "main", parties()[0], 17))
        reply = await here.bus.command(outside)
        assert (reply.code, float(reply.detail) > 0) == ("rule_outside_calls", True)
        assert counted("zhudong_outside_calls_total", how="sent") == 1
        assert counted("zhudong_outside_refused_total", reason="outside_calls") == 1
        # Whatever has asked for it: nothing is dialed that is not on record.
        here.core.commands._transfer(outside, here.core.seats.by_user[1], monotonic())
        here.engine.flush()
        await here.until(lambda: call.state == "held")
        assert len(parties()) == 1


async def test_who_has_left_meanwhile_calls_nobody(tmp_path: Path) -> None:
    async with floor(tmp_path) as here:
        here.tables.open = 0
        here.configure("spring", more=MANUAL)
        await here.seat()
        here.tables.open = 50
        here.tables.go.clear()  # the database takes its time
        asking = asyncio.ensure_future(
            here.bus.command(DialNumber(user_id=1, campaign="spring", number=NUMBER))
        )
        await here.until(lambda: here.tables.asked)
        here.core.command(Pause(user_id=1), monotonic())
        here.core.seats.step(here.core.seats.by_user[1], SeatEvent.LOG_OUT, monotonic())
        here.engine.flush()
        here.tables.go.set()
        assert (await asking).code == "not_at_seat"
        await here.until(lambda: not here.tables.leased)
        assert not here.line.customers
