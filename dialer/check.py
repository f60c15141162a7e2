"""`dialer check`: is this switch fit to be used? From the TCP connection to a test call, a line for each step."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from secrets import token_hex
from time import monotonic

from campaigns.rules import calendar
from dialer.certificates import believed
from dialer.config import SwitchSection
from dialer.switch.asterisk import explain, log_in, set_filters, take_snapshot
from dialer.switch.clock import SwitchClock
from dialer.switch.port import LEG_PREFIX, ActionRefused, SwitchError
from dialer.switch.protocol import AmiLink, open_link
from dialer.switch.wire import Message

CONTEXTS = (
    "zhudong-seat",
    "zhudong-ring",
    "zhudong-customer",
    "zhudong-amd",
    "zhudong-safe-harbour",
    "zhudong-hold",
    "zhudong-confer",
    "zhudong-play",
    "zhudong-busy",
    "zhudong-test",
)
CALL_LIMIT_S = 20.0
INSIDE = "Local/s@zhudong-test/n"


@dataclass(frozen=True, slots=True)
class Step:
    """What was tried, what came of it, and what to do when it failed."""

    what: str
    ok: bool
    detail: str
    hint: str = ""


class _Failed(Exception):
    def __init__(self, step: Step) -> None:
        super().__init__(step.what)
        self.step = step


def check_calendar(year: int) -> Step:
    """How new the zones and calendars are that decide when somebody may be called. An old one breaks no switch."""
    return Step(
        "calendar",
        calendar.decreed(year),
        f"{calendar.versions_spoken()}; China's days off are known up to {calendar.last_decreed()}",
        f"those of {year} are not: days that may be off are not called where a campaign keeps China's holidays; "
        "take a newer version of the program",
    )


async def check_switch(section: SwitchSection, dial: str | None = None) -> list[Step]:
    """Try everything the engine will need, up to the first step that fails. `dial` is the test call's dial string."""
    steps: list[Step] = []
    heard: asyncio.Queue[tuple[str, Message]] = asyncio.Queue(10_000)
    link: AmiLink | None = None
    try:
        link = await _open(section, heard, steps)
        steps.append(Step("log-in", True, f"Asterisk {await _log_in(link, section)}"))
        await _rights(link, steps)
        await _dialplan(link, steps)
        await _test_call(link, heard, dial or INSIDE, steps)
    except _Failed as failed:
        steps.append(failed.step)
    except (SwitchError, OSError) as fault:
        steps.append(Step("link", False, explain(fault, section.host, section.port)))
    finally:
        if link is not None:
            link.close()
    return steps


async def _open(
    section: SwitchSection, heard: asyncio.Queue[tuple[str, Message]], steps: list[Step]
) -> AmiLink:
    def hear(name: str, message: Message, at: float) -> None:
        if not heard.full():
            heard.put_nowait((name, message))

    try:
        link = await open_link(section.host, section.port, hear, trust=believed(section))
    except (SwitchError, OSError) as fault:
        raise _Failed(
            Step(
                "connection",
                False,
                explain(fault, section.host, section.port),
                "see deploy/asterisk/manager.conf",
            )
        ) from fault
    by = "TLS" if section.tls else "not encrypted"
    steps.append(Step("connection", True, f"AMI {link.parser.banner.partition('/')[2]}, {by}"))
    return link


async def _log_in(link: AmiLink, section: SwitchSection) -> str:
    try:
        return await log_in(link, section.user, section.secret)
    except SwitchError as fault:
        raise _Failed(
            Step(
                "log-in",
                False,
                explain(fault, section.host, section.port),
                "see deploy/asterisk/manager.conf",
            )
        ) from fault


async def _rights(link: AmiLink, steps: list[Step]) -> None:
    """Each right is tried by an action that needs it and changes nothing."""
    tries = (
        ("system", "Filter", None),
        ("reporting", "CoreShowChannels", None),
        ("call", "Hangup", ("No such channel",)),
        ("originate", "Originate", ("Channel not specified",)),
        ("command", "Command", None),
    )
    for right, action, expected in tries:
        try:
            if action == "Filter":
                await set_filters(link)
            elif action == "CoreShowChannels":
                await take_snapshot(link, SwitchClock())
            elif action == "Command":
                await link.ask("Command", (("Command", "core show version"),))
            elif action == "Hangup":
                await link.ask(action, (("Channel", f"{LEG_PREFIX}none"),))
            else:
                await link.ask(action)
        except SwitchError as fault:
            if expected is None or not any(word in str(fault) for word in expected):
                raise _Failed(
                    Step("rights", False, f"{action}: {fault}", f"`write` of the AMI user must name {right}")
                ) from fault
    steps.append(Step("rights", True, "system, call, originate, command, reporting"))


async def _dialplan(link: AmiLink, steps: list[Step]) -> None:
    missing = []
    for context in CONTEXTS:
        try:
            told = await link.ask("Command", (("Command", f"dialplan show s@{context}"),))
            shown = "\n".join(told.each("Output"))
        except ActionRefused as fault:
            shown = str(fault)
        if f"'{context}'" not in shown:
            missing.append(context)
    if missing:
        raise _Failed(
            Step(
                "dialplan",
                False,
                f"missing: {', '.join(missing)}",
                "include deploy/asterisk/extensions.conf, then `asterisk -rx 'dialplan reload'`",
            )
        )
    steps.append(Step("dialplan", True, f"{len(CONTEXTS)} contexts"))


async def _test_call(
    link: AmiLink, heard: asyncio.Queue[tuple[str, Message]], dial: str, steps: list[Step]
) -> None:
    uid, began = f"{LEG_PREFIX}{token_hex(16)}", monotonic()
    headers = [
        ("Channel", dial),
        ("ChannelId", uid),
        ("Async", "true"),
        ("Timeout", str(int(CALL_LIMIT_S * 1000))),
        ("Context", "zhudong-test"),
        ("Exten", "s"),
        ("Priority", "1"),
    ]
    if dial.startswith("Local/"):
        headers.insert(2, ("OtherChannelId", f"{LEG_PREFIX}{token_hex(16)}"))
    try:
        await link.ask("Originate", headers)
        async with asyncio.timeout(CALL_LIMIT_S + 2):
            await _until(heard, "OriginateResponse", uid, ("Response", "Success"))
            answered = monotonic() - began
            await link.ask("Hangup", (("Channel", uid), ("Cause", "16")))
            await _until(heard, "Hangup", uid)
    except (SwitchError, TimeoutError) as fault:
        hint = "is the endpoint registered? `asterisk -rx 'pjsip show endpoints'`" if dial != INSIDE else ""
        raise _Failed(Step("test call", False, f"{dial}: {fault or 'no answer'}", hint)) from fault
    steps.append(Step("test call", True, f"{dial} answered after {answered * 1000:.0f} ms and was hung up"))


async def _until(
    heard: asyncio.Queue[tuple[str, Message]], name: str, uid: str, wanted: tuple[str, str] | None = None
) -> None:
    """Wait for this event of this channel."""
    while True:
        event, message = await heard.get()
        if event == name and message.get("Uniqueid") == uid:
            if wanted is not None and message.get(wanted[0]) != wanted[1]:
                raise ActionRefused(f"the call failed, reason {message.get('Reason', '?')}")
            return
