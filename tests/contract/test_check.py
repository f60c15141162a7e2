"""`dialer check` on a switch that is fit, and on what only looks like one."""

from __future__ import annotations

import asyncio

import pytest

from dialer.check import check_switch
from dialer.config import SwitchSection
from tests.contract.switches import SwitchUnderTest, channels


def section(switch: SwitchUnderTest, **changes: object) -> SwitchSection:
    fields = {
        "name": switch.name,
        "host": switch.host,
        "port": switch.port,
        "user": switch.user,
        "secret": switch.secret,
    }
    return SwitchSection(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("dial", [None, "PJSIP/seat009", "PJSIP/8613800000108@carrier"])
async def test_a_fit_switch_passes_every_step_up_to_a_test_call(
    switch: SwitchUnderTest, dial: str | None
) -> None:
    steps = await check_switch(section(switch), dial)
    assert [step.what for step in steps if not step.ok] == [], steps
    assert [step.what for step in steps] == ["connection", "log-in", "rights", "dialplan", "test call"]
    assert await channels(switch) == {}


async def test_a_phone_that_is_not_there_fails_the_test_call_alone(switch: SwitchUnderTest) -> None:
    steps = await check_switch(section(switch), "PJSIP/nobody")
    assert [step.what for step in steps if not step.ok] == ["test call"]


async def test_a_wrong_secret_is_told_as_such(switch: SwitchUnderTest) -> None:
    steps = await check_switch(section(switch, secret="wrong"))
    assert [(step.what, step.ok) for step in steps] == [("connection", True), ("log-in", False)]
    assert "secret" in steps[-1].detail


async def test_a_port_that_is_no_asterisk_is_told_as_such() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        steps = await check_switch(SwitchSection(name="m", host="127.0.0.1", port=port, user="u", secret="s"))
    assert [step.ok for step in steps] == [False]
    assert "Asterisk" in steps[0].detail
