"""No seat was free: what the customer hears, which key stops all further calls, and what goes on record of it."""

from __future__ import annotations

import pytest

from tests.fastagi.line import GONE, HEARD_OUT, KEY, KEY_9, MESSAGE, NO_KEY, UID, serving


async def test_a_key_after_the_message_opts_out_and_is_thanked() -> None:
    async with serving() as service:
        line = await service.line()
        line.greet()
        await line.answers(MESSAGE, KEY, HEARD_OUT, KEY_9, HEARD_OUT)
        await line.closed()
        await service.ended(opted_out=1)
    assert service.told == [(UID, True, True)]
    assert line.asked == [
        'GET VARIABLE "ZD_MESSAGE"', 'GET VARIABLE "ZD_OPTOUT"', 'STREAM FILE zhudong/safe-harbour "9" 0',
        "WAIT FOR DIGIT 4000", 'STREAM FILE auth-thankyou "" 0',
    ]  # fmt: skip


async def test_the_key_is_on_record_before_the_thanks_so_no_hang_up_can_overtake_it() -> None:
    async with serving() as service:
        line = await service.line()
        line.greet()
        await line.answers(MESSAGE, KEY, KEY_9)
        assert (await line.asks()).startswith("STREAM FILE auth-thankyou")
        assert service.told == [(UID, True, True)]


async def test_a_key_in_the_middle_of_the_message_opts_out_at_once() -> None:
    async with serving() as service:
        line = await service.line()
        line.greet()
        await line.answers(MESSAGE, KEY, KEY_9, HEARD_OUT)
        await line.closed()
        await service.ended(opted_out=1)
    assert service.told == [(UID, True, True)]
    assert not any(command.startswith("WAIT") for command in line.asked)


async def test_a_customer_who_presses_and_hangs_up_has_opted_out_all_the_same() -> None:
    async with serving() as service:
        line = await service.line()
        line.greet()
        await line.answers(MESSAGE, KEY, KEY_9)
        await line.asks()
        line.cut()
        await service.ended(opted_out=1)
    assert service.told == [(UID, True, True)]


async def test_the_message_heard_out_without_a_key_is_on_record_as_played() -> None:
    async with serving() as service:
        line = await service.line()
        line.greet()
        await line.answers(MESSAGE, KEY, HEARD_OUT, NO_KEY)
        await line.closed()
        await service.ended(played=1)
    assert service.told == [(UID, True, False)]


async def test_another_key_opts_nobody_out() -> None:
    async with serving() as service:
        line = await service.line()
        line.greet()
        await line.answers(MESSAGE, KEY, HEARD_OUT, "200 result=53")
        await line.closed()
        await service.ended(played=1)
    assert service.told == [(UID, True, False)]


@pytest.mark.parametrize("said", [GONE, "HANGUP\n" + GONE, "511 Command Not Permitted on a dead channel"])
async def test_a_customer_who_hangs_up_in_the_middle_of_the_message_has_not_heard_it(said: str) -> None:
    async with serving() as service:
        line = await service.line()
        line.greet()
        await line.answers(MESSAGE, KEY, said)
        await line.closed()
        await service.ended(left=1)
    assert service.told == [(UID, False, False)]


@pytest.mark.parametrize("how", ["hangs up", "is cut"])
async def test_a_line_lost_in_the_middle_of_the_message_is_a_message_not_heard(how: str) -> None:
    async with serving() as service:
        line = await service.line()
        line.greet()
        await line.answers(MESSAGE, KEY)
        assert (await line.asks()).startswith("STREAM FILE")
        line.hang_up() if how == "hangs up" else line.cut()
        await service.ended(left=1)
    assert service.told == [(UID, False, False)]


@pytest.mark.parametrize("how", ["hangs up", "is cut", "is told of"])
async def test_a_line_lost_while_the_key_is_waited_for_leaves_the_message_heard(how: str) -> None:
    """The regulator asks whether the message was played: it was."""
    async with serving() as service:
        line = await service.line()
        line.greet()
        await line.answers(MESSAGE, KEY, HEARD_OUT)
        assert (await line.asks()).startswith("WAIT FOR DIGIT")
        if how == "is told of":
            line.say("HANGUP\n200 result=-1\n")
        else:
            line.hang_up() if how == "hangs up" else line.cut()
        await service.ended(played=1)
    assert service.told == [(UID, True, False)]


async def test_a_campaign_without_an_opt_out_key_waits_for_none() -> None:
    async with serving() as service:
        line = await service.line()
        line.greet()
        await line.answers(MESSAGE, "200 result=0", HEARD_OUT)
        await line.closed()
        await service.ended(played=1)
    assert line.asked[-1] == 'STREAM FILE zhudong/safe-harbour "" 0'


@pytest.mark.parametrize("sound", ["", "a b", 'x" 0\nEXEC System rm', "x" * 300])
async def test_a_message_that_is_no_name_of_a_sound_is_not_asked_for(sound: str) -> None:
    async with serving() as service:
        line = await service.line()
        line.greet()
        await line.answers(f"200 result=1 ({sound})", KEY)
        await line.closed()
        await service.ended(faulty=1)
    assert service.told == []
    assert {command.split(" ")[0] for command in line.asked} == {"GET"}
