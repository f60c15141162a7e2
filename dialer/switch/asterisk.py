"""A real Asterisk (or what speaks as one) as the engine's switch: link, log-in, resynchronisation, commands, events.

Theory of operation. A link counts as up only when it has logged in, set its event filters and taken a snapshot of all
channels; the listener hears of them in one LinkUp before any later event. Events that come in while the snapshot is
taken are kept and handed on after it. When the link is lost, commands that wait fail, nothing is sent again, and the
adapter connects anew with back-off.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic
from weakref import WeakValueDictionary

import structlog

from dialer.switch.clock import SwitchClock, stamp
from dialer.switch.port import (
    CALL_PREFIX,
    LEG_PREFIX,
    OURS,
    UP,
    ActionRefused,
    Channel,
    LinkDown,
    LinkUp,
    NotConnected,
    Origination,
    ReplyLost,
    Snapshot,
    SwitchError,
    SwitchEvent,
    TakesNoCalls,
)
from dialer.switch.protocol import AmiLink, OnEvent, open_link
from dialer.switch.translation import HELD, Translation
from dialer.switch.wire import Message, variables

log = structlog.get_logger(__name__)

Listener = Callable[[SwitchEvent], None]

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
REFUSED_WAIT_S = 15.0  # a wrong secret does not get right by trying often, and fail2ban watches
PING_EVERY_S = 2.0
BOOT_LIMIT_S = 30.0  # for a switch that is starting to load all its modules
SILENCE_S = 5.0  # a link that answers no ping for so long is half open
OLDEST_VERSION = 18
KEY_MS = "100"  # how long a key sounds; ITU-T Q.24 asks for 40 and as much between two
BETWEEN_KEYS_S = 0.06
PHONE_PASSWORDS = "zhudong/auth"  # sorcery.conf: auth = astdb,zhudong
SHUTTING_DOWN = "Asterisk is shutting down"
ANSWERED = "ZD_ANSWERED"  # in which the dialplan notes when a customer has answered
RECORDED = "MIXMONITOR_FILENAME"  # in which MixMonitor notes what it writes to

# 31 events of a bridged call become 12. Replies and list items always pass.
WANTED = (
    "FullyBooted",
    "Shutdown",
    "Newchannel",
    "Newstate",
    "OriginateResponse",
    "Hangup",
    "BridgeEnter",
    "BridgeLeave",
    "UserEvent",
    "DTMFEnd",
)
# Where in our dialplan a customer who called in may be; whoever they talk to, it is there that they go on.
CALLERS_CONTEXTS = frozenset(
    f"zhudong-{name}" for name in ("inbound", "busy", "hold", "customer", "confer", "play")
)
# Counted under their own names, which become a metric's labels; a peer may invent any others.
COUNTED = frozenset({*WANTED, "CoreShowChannel", "CoreShowChannelsComplete"})


class LoginRefused(SwitchError):
    """The switch does not take this user and secret."""


class NoRight(SwitchError):
    """The AMI user lacks a right; the text says which line of manager.conf to change."""


class StillStarting(SwitchError):
    """The switch answers already, and its endpoints may not be there yet."""


class TooOld(SwitchError):
    """This version of Asterisk is not supported."""


@dataclass(slots=True)
class SwitchStats:
    """Plain numbers for an exporter, over all links since the start."""

    events: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    links: int = 0


class AsteriskSwitch:
    """One switch; see :class:`dialer.switch.port.Switch`."""

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        user: str,
        secret: str,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.stats = SwitchStats()
        self.version = ""
        self._host, self._port = host, port
        self._user, self._secret, self._trust = user, secret, trust
        self._link: AmiLink | None = None
        self._up = False
        self._keys: WeakValueDictionary[str, asyncio.Lock] = (
            WeakValueDictionary()
        )  # whose turn it is to sound
        self._clock = SwitchClock()
        self._heard: float | None = None  # when the last link that was up said something last
        self._hurry = asyncio.Event()
        self.failed = float("-inf")  # when the last try began that came to no link, or whose link is gone
        self._listener: Listener = lambda event: None

    @property
    def connected(self) -> bool:
        """Logged in and resynchronised."""
        return self._up

    async def run(self, listener: Listener) -> None:
        """Connect, and reconnect with back-off, until cancelled. The listener is called on the loop, in order."""
        self._listener = listener
        wait_s, told = FIRST_WAIT_S, ""
        while True:
            translation = Translation(self.name, listener, self._give_up, self._clock)
            self._hurry.clear()
            began = monotonic()
            try:
                self._link = await self._open(translation.hear)
                await self._log_in(self._link)
                await until_booted(self._link, translation.booted)
                await self._announce(self._link, translation)
                wait_s, told = FIRST_WAIT_S, ""
                reason = await self._keep_alive(self._link)
            except (OSError, SwitchError) as fault:
                reason = explain(fault, self._host, self._port)
                if isinstance(fault, (LoginRefused, NoRight, TooOld)):
                    wait_s = REFUSED_WAIT_S
            finally:
                if self._link is not None and self._up:
                    self._heard = self._link.last_heard
                self._close(translation)
            self._down(reason)
            if reason != told:
                log.warning(
                    "the switch can't be used", switch=self.name, reason=reason, next_try_s=round(wait_s, 1)
                )
                told = reason
            self.failed = began
            await until_hurried(self._hurry, wait_s * random.uniform(0.8, 1.2))
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)

    def hurry(self) -> None:
        """Try anew as soon as the try that is going on has failed; without any, at once."""
        self._hurry.set()

    async def try_out(self) -> None:
        """Do all that makes a link count as up, and let it go again. Raises OSError or SwitchError."""
        booted = asyncio.Event()

        def hear(name: str, message: Message, at: float) -> None:
            if name == "FullyBooted":
                booted.set()

        link = await self._open(hear)
        try:
            await self._log_in(link)
            await until_booted(link, booted)
            await take_snapshot(link, self._clock)
        finally:
            link.close()

    # --- commands -------------------------------------------------------------------------------------------------

    async def originate(self, call: Origination) -> None:
        """Return once the switch has queued the call. Its fate comes as events."""
        headers = [
            ("Channel", call.dial),
            ("ChannelId", call.uid),
            ("Async", "true"),
            ("Timeout", str(int(call.ring_limit_s * 1000))),
            ("Context", call.context),
            ("Exten", call.exten),
            ("Priority", "1"),
        ]
        if call.caller_id:
            headers.append(("CallerID", call.caller_id))
        headers += variables(call.variables)
        link = self._ready()
        try:
            await link.ask("Originate", headers)
        except ActionRefused as fault:
            if is_denied(fault):
                # The next log-in finds the right missing, says so, and waits.
                link.close(f"Originate: {fault}")
            elif is_shutting_down(fault):
                self._shut_down()
            else:
                raise
            raise TakesNoCalls(str(fault)) from fault

    async def bridge(self, uid: str, other: str) -> None:
        """Put two channels into one bridge, out of whatever they were in."""
        await self._ready().ask("Bridge", (("Channel1", uid), ("Channel2", other), ("Tone", "no")))

    async def hang_up(self, uid: str, cause: int = 16) -> None:
        """End a channel with this Q.850 cause. ActionRefused: there is none."""
        try:
            await self._ready().ask("Hangup", (("Channel", uid), ("Cause", str(cause))))
        except ActionRefused as fault:
            if not is_shutting_down(fault):
                raise
            self._shut_down()
            raise NotConnected(str(fault)) from fault

    async def redirect(self, uid: str, context: str, exten: str = "s", priority: int = 1) -> None:
        """Send a channel elsewhere in the dialplan."""
        headers = (("Channel", uid), ("Context", context), ("Exten", exten), ("Priority", str(priority)))
        await self._ready().ask("Redirect", headers)

    async def set_variable(self, uid: str, name: str, value: str) -> None:
        """Set a channel variable."""
        await self._ready().ask("Setvar", (("Channel", uid), ("Variable", name), ("Value", value)))

    async def play(self, uid: str, sound: str) -> None:
        """Take a channel out of what it is in and play it a sound; then it waits to be bridged, as after a hold."""
        await self.set_variable(uid, "ZD_SOUND", sound)
        await self.redirect(uid, "zhudong-play")

    async def confer(self, uid: str, other: str) -> None:
        """Bring a channel into the bridge that another one is in, as the third."""
        await self.set_variable(uid, "ZD_WITH", other)
        await self.redirect(uid, "zhudong-confer")

    async def mute(self, uid: str, on: bool) -> None:
        """Let nothing through that is said at this channel, in whatever bridge it will be, or again all of it."""
        headers = (("Channel", uid), ("Direction", "in"), ("State", "on" if on else "off"))
        await self._ready().ask("MuteAudio", headers)

    async def press(self, uid: str, keys: str) -> None:
        """Send telephone keys to a channel's far end; returns once the last one has sounded.

        Asterisk does nothing else on a connection while a key sounds, so keys get one of their own.
        """
        self._ready()
        turn = self._keys.setdefault(uid, asyncio.Lock())
        async with turn:
            try:
                link = await self._open(lambda name, message, at: None)
            except OSError as fault:
                raise NotConnected(explain(fault, self._host, self._port)) from fault
            try:
                await link.ask(
                    "Login", (("Username", self._user), ("Secret", self._secret), ("Events", "off"))
                )
                for key in keys:
                    await link.ask("PlayDTMF", (("Channel", uid), ("Digit", key), ("Duration", KEY_MS)))
                    await asyncio.sleep(BETWEEN_KEYS_S)
            finally:
                link.close()

    async def start_recording(self, uid: str, path: str, again: bool = False) -> None:
        """Record both directions of a channel into a file on the switch; `again`: unless that is done already.

        A second MixMonitor would write into the file of the first.
        """
        link = self._ready()
        if again:
            recorded = await link.ask("Getvar", (("Channel", uid), ("Variable", RECORDED)))
            if recorded.get("Value"):
                return
        await link.ask("MixMonitor", (("Channel", uid), ("File", path)))

    async def pause_recording(self, uid: str, on: bool) -> None:
        """Have silence written into a channel's recording, or what is said."""
        headers = (("Channel", uid), ("Direction", "both"), ("State", "1" if on else "0"))
        await self._ready().ask("MixMonitorMute", headers)

    async def listen(self, listener_dial: str, target_uid: str, options: str = "q") -> None:
        """Ring `listener_dial` and let it hear this target until one of them hangs up (ChanSpy).

        ChanSpy takes the id where a channel's name would stand; without it, it goes to any channel there is. E and S
        end it with its target, or at once when that is gone: else it waits for ever.
        """
        headers = (
            ("Channel", listener_dial),
            ("Async", "true"),
            ("Application", "ChanSpy"),
            ("Data", f"{target_uid},uES{options}"),
        )
        await self._ready().ask("Originate", headers)

    async def admit(self, endpoint: str, password: str) -> None:
        """Let a phone in a page register as this endpoint, with this password and no other.

        PJSIP reads it from Asterisk's own database, where sorcery.conf says so.
        """
        auth = {"auth_type": "userpass", "username": endpoint, "password": password}
        headers = (("Family", PHONE_PASSWORDS), ("Key", endpoint), ("Val", json.dumps(auth)))
        await self._ready().ask("DBPut", headers)

    async def bar(self, endpoint: str) -> None:
        """Let nobody register as this endpoint any more."""
        await self._ready().ask("DBDel", (("Family", PHONE_PASSWORDS), ("Key", endpoint)))

    async def snapshot(self) -> Snapshot:
        """All channels of ours and the bridges they are in."""
        return await take_snapshot(self._ready(), self._clock)

    async def command(self, text: str) -> Sequence[str]:
        """Run a console command and return its lines (checks only)."""
        message = await self._ready().ask("Command", (("Command", text),))
        return message.each("Output")

    # --- within ---------------------------------------------------------------------------------------------------

    def _ready(self) -> AmiLink:
        if not self._up or self._link is None:
            raise NotConnected(f"there is no link to the switch {self.name}")
        return self._link

    async def _open(self, hear: OnEvent) -> AmiLink:
        return await open_link(self._host, self._port, hear, trust=self._trust)

    async def _log_in(self, link: AmiLink) -> None:
        self.version = await log_in(link, self._user, self._secret)
        await prove_rights(link)
        await set_filters(link)

    async def _announce(self, link: AmiLink, translation: Translation) -> None:
        snapshot = await take_snapshot(link, self._clock)
        self._up = True
        self.stats.links += 1
        log.info("the switch is up", switch=self.name, version=self.version, channels=len(snapshot.channels))
        translation.begin(LinkUp(monotonic(), self.name, self.version, snapshot, self._heard))

    async def _keep_alive(self, link: AmiLink) -> str:
        """Ping until the link is gone; why it is."""
        wait_s = 0.0  # the first ping tells the switch's time
        while True:
            done, _ = await asyncio.wait({link.closed_why}, timeout=wait_s)
            wait_s, asked = PING_EVERY_S, monotonic()
            self._count(link)
            if done:
                return link.closed_why.result()
            try:
                pong = await link.ask("Ping", limit_s=SILENCE_S)
                self._clock.told(pong.get("Timestamp", ""), asked)
                if not self._up:
                    return "its shutdown was called off"
            except ReplyLost:
                if monotonic() - link.last_heard > SILENCE_S:
                    return f"it said nothing for {SILENCE_S:g} s"
            except ActionRefused as fault:
                if is_shutting_down(fault):
                    self._shut_down()
                else:
                    log.info("a ping was refused", switch=self.name, reason=str(fault))
            except NotConnected as fault:
                return str(fault)

    def _shut_down(self) -> None:
        """The switch refuses every action until its calls are over and it closes; of those it goes on to tell."""
        if self._up:
            log.warning("the switch is shutting down", switch=self.name)
            self._down(SHUTTING_DOWN)

    def _down(self, reason: str) -> None:
        if self._up:
            self._up = False
            self._listener(LinkDown(monotonic(), self.name, reason))

    def _give_up(self) -> None:
        """More came before the snapshot than can be held: nobody would know any more how the calls stand."""
        self.stats.faults["held_too_many"] += 1
        if self._link is not None:
            self._link.close(f"it told {HELD} events before it had listed its channels")

    def _close(self, translation: Translation) -> None:
        translation.end()
        link, self._link = self._link, None
        if link is not None:
            self._count(link)
            link.close()

    def _count(self, link: AmiLink) -> None:
        for name, count in link.events.items():
            self.stats.events[name if name in COUNTED else "other"] += count
        self.stats.faults.update(link.faults)
        self.stats.faults.update(link.parser.faults)
        link.events.clear()
        link.faults.clear()
        link.parser.faults.clear()


async def log_in(link: AmiLink, user: str, secret: str) -> str:
    """Log in and return Asterisk's version. Raises LoginRefused, NoRight, TooOld."""
    try:
        await link.ask("Login", (("Username", user), ("Secret", secret), ("Events", "on")))
    except ActionRefused as fault:
        if is_shutting_down(fault):
            raise
        raise LoginRefused(str(fault)) from fault
    try:
        settings = await link.ask("CoreSettings")
    except ActionRefused as fault:
        raise NoRight(
            f"CoreSettings: {fault}; `read` and `write` of the AMI user must name system and reporting"
        ) from fault
    version = settings.get("AsteriskVersion", "")
    major = version.split(".")[0]
    if major.isdecimal() and int(major) < OLDEST_VERSION:
        raise TooOld(f"it runs Asterisk {version}; {OLDEST_VERSION} or newer is needed")
    return version


async def set_filters(link: AmiLink) -> None:
    """Let only the events through that are used. Asterisk before 20.10 knows only the older, slower form."""
    for name in WANTED:
        try:
            await link.ask(
                "Filter",
                (("Operation", "Add"), ("MatchCriteria", f"action(include),name({name}),method(none)")),
            )
        except ActionRefused as fault:
            if is_denied(fault):
                raise NoRight(f"Filter: {fault}; `write` of the AMI user must name system") from fault
            await link.ask("Filter", (("Operation", "Add"), ("Filter", f"Event: {name}$")))


async def until_hurried(hurry: asyncio.Event, seconds: float) -> None:
    """Wait so long before the next try, or until somebody wants it at once."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await hurry.wait()


async def until_booted(link: AmiLink, booted: asyncio.Event) -> None:
    """Wait until the switch has said FullyBooted, which it does at once when it has been up for long.

    A starting Asterisk opens AMI before its endpoints are loaded: what is originated then fails on the spot. Raises
    StillStarting after `BOOT_LIMIT_S`, NotConnected when the link goes meanwhile.
    """
    waiting = asyncio.ensure_future(booted.wait())
    try:
        await asyncio.wait(
            {waiting, link.closed_why}, timeout=BOOT_LIMIT_S, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        waiting.cancel()
    if booted.is_set():
        return
    if link.closed_why.done():
        raise NotConnected(link.closed_why.result())
    raise StillStarting(
        f"it has not said in {BOOT_LIMIT_S:g} s that it has started; if it has, `read` of the AMI user must name system"
    )


async def prove_rights(link: AmiLink) -> None:
    """Raise NoRight where calls could not be placed, joined or ended. What is tried names no channel that there is."""
    for right, action, headers in (
        ("originate", "Originate", ()),
        ("call", "Hangup", (("Channel", f"{LEG_PREFIX}none"),)),
    ):
        try:
            await link.ask(action, headers)
        except ActionRefused as fault:
            if is_denied(fault):
                raise NoRight(f"{action}: {fault}; `write` of the AMI user must name {right}") from fault


def is_denied(fault: ActionRefused) -> bool:
    """Whether the AMI user lacks the right for this action."""
    return "ermission denied" in str(fault)


def is_shutting_down(fault: ActionRefused) -> bool:
    """Whether the switch takes no action any more: it ends as soon as its calls are over."""
    return SHUTTING_DOWN in str(fault)


async def take_snapshot(link: AmiLink, clock: SwitchClock) -> Snapshot:
    """All live channels with ids of ours, those of customers who called in, and all bridges with their members."""
    channels: dict[str, Channel] = {}
    bridges: dict[str, list[str]] = {}
    for item in await link.listing("CoreShowChannels"):
        uid, bridge = item.get("Uniqueid", ""), item.get("BridgeId", "")
        if bridge:
            bridges.setdefault(bridge, []).append(uid)
        if uid.startswith(OURS) or item.get("Context", "") in CALLERS_CONTEXTS:
            channels[uid] = Channel(
                uid=uid,
                name=item.get("Channel", ""),
                state=_number(item, "ChannelState"),
                bridge_id=bridge,
                context=item.get("Context", ""),
                connected_s=_seconds(item.get("Duration", "")),
            )
    alone = [
        c for c in channels.values() if c.state == UP and not c.bridge_id and c.uid.startswith(CALL_PREFIX)
    ]
    for channel, since in zip(
        alone, await asyncio.gather(*(answered(link, c.uid) for c in alone)), strict=True
    ):
        channels[channel.uid] = replace(channel, stamp=since, answered=clock.ours(since))
    return Snapshot(channels, {name: tuple(members) for name, members in bridges.items()})


async def answered(link: AmiLink, uid: str) -> float | None:
    """When this customer answered, by the switch's clock; None where it can't say, or the channel is gone meanwhile."""
    try:
        reply = await link.ask("Getvar", (("Channel", uid), ("Variable", ANSWERED)))
    except (ActionRefused, ReplyLost):
        return None
    return stamp(reply.get("Value"))


def explain(fault: Exception, host: str, port: int) -> str:
    """One clear line for a person."""
    at = f"{host}:{port}"
    if isinstance(fault, LoginRefused):
        return f"{at} refuses the log-in ({fault}): compare user, secret and `permit` with its manager.conf"
    if isinstance(fault, ssl.SSLCertVerificationError):
        return (
            f"{at} shows a certificate that is not believed ({fault.verify_message}): compare `host` and `ca`"
        )
    if isinstance(fault, ssl.SSLError):
        return (
            f"{at} does not speak TLS ({fault.reason}): is it the port of `tlsbindaddr` in its manager.conf?"
        )
    if isinstance(fault, ConnectionRefusedError):
        return f"nothing listens on {at}: is Asterisk running, and manager.conf's `enabled = yes` and port right?"
    if isinstance(fault, OSError):
        return f"{at} can't be reached: {fault.strerror or fault}"
    return f"{at}: {fault}"


def _number(message: Message, key: str) -> int:
    value = message.get(key, "")
    return int(value) if value.isdecimal() and len(value) < 10 else 0


def _seconds(clock: str) -> float:
    """Seconds of an HH:MM:SS, 0 for anything else."""
    parts = clock.split(":")
    if len(parts) != 3 or not all(part.isdecimal() and len(part) < 7 for part in parts):
        return 0.0
    hours, minutes, seconds = (int(part) for part in parts)
    return hours * 3600.0 + minutes * 60.0 + seconds
