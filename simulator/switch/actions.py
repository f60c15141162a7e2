"""The actions that change something: calls, bridges, variables, recording, keys, filters and faults."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from simulator.switch.channel import UP, Channel, Originate
from simulator.switch.console import console
from simulator.switch.faults import UnknownFault
from simulator.switch.filters import BadFilter, parse_criteria, parse_pattern
from simulator.switch.listing import LISTINGS, Listing
from simulator.switch.session import WRITE, Session
from simulator.switch.wire import Action

if TYPE_CHECKING:
    from simulator.switch.server import VirtualSwitch

DEFAULT_RING_S: Final = 30.0
LONGEST_ID_BYTES: Final = 149
_CALLER: Final = re.compile(r'\s*"?(?P<name>[^"<]*?)"?\s*<(?P<num>[^>]*)>\s*')


def parse_caller(text: str) -> tuple[str, str] | None:
    """`10086` or `"name" <10086>` as (number, name)."""
    if not text:
        return None
    found = _CALLER.fullmatch(text)
    if found is None:
        return text, "<unknown>"
    return found["num"], found["name"] or "<unknown>"


def parse_variables(headers: list[str]) -> dict[str, str]:
    """Variable headers as Asterisk reads them: split at commas out of quotes, unquoted, the first of a name counts."""
    variables: dict[str, str] = {}
    for header in headers:
        for part in _split(header):
            name, equals, value = part.partition("=")
            if equals:
                variables.setdefault(name, value)
    return variables


def _split(text: str) -> list[str]:
    parts, current, quoted, escaped = [], "", False, False
    for letter in text:
        if escaped:
            current, escaped = current + letter, False
        elif letter == "\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif letter == "," and not quoted:
            parts.append(current)
            current = ""
        else:
            current += letter
    return [*parts, current]


class Actions:
    """Carries out actions of logged-in sessions."""

    def __init__(self, switch: VirtualSwitch) -> None:
        self._switch = switch
        self._listing = Listing(switch)

    def carry_out(self, session: Session, name: str, action: Action) -> None:
        found = ACTIONS.get(name)
        if found is None:
            listed = LISTINGS.get(name)
            if listed is None:
                known = "Use Action: ListCommands to show available commands."
                session.refuse(action, f"Invalid/unknown command: {action.name}. {known}")
                return
            needs, show = listed
            if self._may(session, needs):
                show(self._listing, session, action)
            else:
                session.refuse(action, "Permission denied")
            return
        needs, do = found
        if self._may(session, needs):
            do(self, session, action)
        else:
            session.refuse(action, "Permission denied")

    @staticmethod
    def _may(session: Session, needs: frozenset[str]) -> bool:
        return not needs or (session.account is not None and bool(needs & session.account.write))

    def _channel(self, session: Session, action: Action, header: str = "Channel") -> Channel | None:
        """The channel an action names, or None after its refusal."""
        channel = self._switch.exchange.find(action.get(header))
        if channel is None:
            session.refuse(action, "No such channel" if action.get(header) else "No channel specified")
        return channel

    # --- calls ------------------------------------------------------------------------------------------------

    def originate(self, session: Session, action: Action) -> None:
        dial = action.get("channel")
        if not dial:
            return session.refuse(action, "Channel not specified")
        if not dial.partition("/")[2]:
            return session.refuse(action, "Invalid channel")
        app, context, exten = action.get("application"), action.get("context"), action.get("exten")
        priority = (
            int(action.get("priority") or 1)
            if action.get("priority").isdigit() or not action.get("priority")
            else 1
        )
        asked_id = action.get("channelid")
        if len(asked_id.encode("utf-8", "surrogateescape")) > LONGEST_ID_BYTES:
            return session.refuse(action, "Uniqueid length exceeds maximum of 149")
        timeout = action.get("timeout")
        if timeout and not timeout.lstrip("-").isdigit():
            return session.refuse(action, "Invalid timeout")
        if not app and exten and not self._switch.exchange.dialplan.exists(context, exten, priority):
            return session.refuse(action, "Extension does not exist.")
        silent = action.get("async").lower() not in ("true", "yes", "1", "on")
        asked = Originate(
            action.reply_id,
            asked_id,
            context,
            exten,
            priority,
            app,
            action.get("data"),
            silent,
            action.get("earlymedia").lower() in ("true", "yes", "1", "on"),
        )
        if silent:
            self._reply_when_decided(session, action, asked)
        else:
            session.accept(action, "Originate successfully queued")
        self._switch.exchange.place(
            dial,
            asked,
            max(0.0, int(timeout) / 1000) if timeout else DEFAULT_RING_S,
            parse_caller(action.get("callerid")),
            action.get("account"),
            parse_variables(action.every("variable")),
        )
        return None

    def _reply_when_decided(self, session: Session, action: Action, asked: Originate) -> None:
        release = session.hold()
        asked.answered = asyncio.get_running_loop().create_future()

        def decided(answered: asyncio.Future[bool]) -> None:
            ok = not answered.cancelled() and answered.result()
            head = "Response: Success" if ok else "Response: Error"
            said = "Originate successfully queued" if ok else "Originate failed"
            release(f"{head}\r\n{action.reply_id}Message: {said}\r\n\r\n")

        asked.answered.add_done_callback(decided)

    def hang_up(self, session: Session, action: Action) -> None:
        wanted = action.get("channel")
        cause = int(action.get("cause")) if action.get("cause").isdigit() else 0
        if len(wanted) > 2 and wanted.startswith("/") and wanted.endswith("/"):
            return self._hang_up_all(session, action, wanted[1:-1], cause)
        channel = self._channel(session, action)
        if channel is not None:
            session.accept(action, "Channel Hungup")
            self._switch.exchange.hang_up(channel, cause)
        return None

    def _hang_up_all(self, session: Session, action: Action, pattern: str, cause: int) -> None:
        try:
            found = re.compile(pattern)
        except re.error:
            return session.refuse(action, "Regex compile error")
        channels = [channel for name, channel in self._switch.exchange.by_name.items() if found.search(name)]
        session.reply(
            f"Response: Success\r\n{action.reply_id}EventList: start\r\n"
            "Message: Channels hung up will follow\r\n\r\n"
        )
        for channel in channels:
            session.reply(f"Event: ChannelHungup\r\nChannel: {channel.name}\r\n{action.reply_id}\r\n")
        session.reply(
            f"Event: ChannelsHungupListComplete\r\n{action.reply_id}EventList: Complete\r\n"
            f"ListItems: {len(channels)}\r\n\r\n"
        )
        for channel in channels:
            if not channel.gone:
                self._switch.exchange.hang_up(channel, cause)
        return None

    def redirect(self, session: Session, action: Action) -> None:
        name, exchange = action.get("channel"), self._switch.exchange
        if not name:
            return session.refuse(action, "Channel not specified")
        channel = exchange.find(name)
        if channel is None:
            return session.refuse(action, f"Channel does not exist: {name}")
        context, exten = action.get("context") or channel.context, action.get("exten")
        priority = int(action.get("priority")) if action.get("priority").isdigit() else 1
        if channel.state != UP or not exchange.dialplan.exists(context, exten, priority):
            return session.refuse(action, "Redirect failed")
        session.accept(action, "Redirect successful")
        exchange.redirect(channel, context, exten, priority)
        return None

    def bridge(self, session: Session, action: Action) -> None:
        channels: list[Channel] = []
        for header in ("Channel1", "Channel2"):
            name = action.get(header)
            if not name:
                return session.refuse(action, "Missing channel parameters in request")
            channel = self._switch.exchange.find(name)
            if channel is None or channel.state != UP:
                return session.refuse(action, f"{header} does not exist: {name}")
            channels.append(channel)
        if channels[0] is channels[1]:
            return session.refuse(action, "Unable to bridge a channel to itself")
        session.accept(action, "Channels have been bridged")
        self._switch.exchange.bridge(*channels)
        return None

    def play_dtmf(self, session: Session, action: Action) -> None:
        if (channel := self._channel(session, action)) is None:
            return None
        if not action.get("digit"):
            return session.refuse(action, "No digit specified")
        channel.record.sent_keys += action.get("digit")
        duration = action.get("duration")
        release = session.hold()
        reply = f"Response: Success\r\n{action.reply_id}Message: DTMF successfully queued\r\n\r\n"
        seconds = int(duration) / 1000 if duration.isdigit() else 0.1
        self._switch.loop.call_later(seconds, release, reply)
        return None

    # --- a channel's things -----------------------------------------------------------------------------------

    def set_variable(self, session: Session, action: Action) -> None:
        if not action.get("variable"):
            return session.refuse(action, "No variable specified")
        if not action.get("channel"):
            self._switch.variables[action.get("variable")] = action.get("value")
        elif (channel := self._channel(session, action)) is None:
            return None
        else:
            channel.variables[action.get("variable")] = action.get("value")
        session.accept(action, "Variable Set")
        return None

    def get_variable(self, session: Session, action: Action) -> None:
        name = action.get("variable")
        if not name:
            return session.refuse(action, "No variable specified")
        if not action.get("channel"):
            value = self._switch.variables.get(name, "")
        elif (channel := self._channel(session, action)) is None:
            return None
        else:
            value = self._listing.value_of(channel, name) or ""
        session.reply(f"Response: Success\r\n{action.reply_id}Variable: {name}\r\nValue: {value}\r\n\r\n")
        return None

    def record(self, session: Session, action: Action) -> None:
        if (channel := self._channel(session, action)) is not None:
            channel.recordings += 1
            channel.variables["MIXMONITOR_FILENAME"] = action.get("file")
            self._switch.exchange.bridges.recording_changed(channel)
            session.accept(action)
            self._switch.exchange.feed.channel("MixMonitorStart", channel)

    def mute_recording(self, session: Session, action: Action) -> None:
        if (channel := self._channel(session, action)) is not None:
            if not channel.recordings:
                return session.refuse(action, "Cannot set mute flag")
            session.accept(action)
            tail = f"Direction: {action.get('direction')}\r\nState: {action.get('state')}\r\n"
            self._switch.exchange.feed.channel("MixMonitorMute", channel, tail)
        return None

    def mute(self, session: Session, action: Action) -> None:
        if (channel := self._channel(session, action)) is None:
            return None
        if (state := action.get("state").lower()) not in ("on", "off"):
            return session.refuse(action, "Invalid state")
        channel.record.muted = state == "on"
        session.accept(action)
        return None

    def stop_recording(self, session: Session, action: Action) -> None:
        if (channel := self._channel(session, action)) is not None:
            if not channel.recordings:
                return session.refuse(action, "Could not stop monitoring channel")
            channel.recordings -= 1
            session.accept(action)
            self._switch.exchange.feed.channel("MixMonitorStop", channel)
        return None

    def user_event(self, session: Session, action: Action) -> None:
        session.accept(action, "Event Sent")
        feed = self._switch.exchange.feed
        if feed.wants("UserEvent", "user"):
            rest = "".join(
                f"{key}: {value}\r\n"
                for key, value in action.headers
                if key.lower() not in ("action", "userevent", "actionid")
            )
            feed.send("UserEvent", f"UserEvent: {action.get('userevent')}\r\n{action.reply_id}{rest}", "user")

    # --- the session ------------------------------------------------------------------------------------------

    def ping(self, session: Session, action: Action) -> None:
        session.reply(
            f"Response: Success\r\n{action.reply_id}Ping: Pong\r\nTimestamp: {self._switch.wall_clock():.6f}\r\n\r\n"
        )

    def events(self, session: Session, action: Action) -> None:
        hears = session.set_mask(action.get("eventmask"))
        session.reply(f"Response: Success\r\n{action.reply_id}Events: {'On' if hears else 'Off'}\r\n\r\n")

    def filter(self, session: Session, action: Action) -> None:
        if action.get("operation").lower() != "add":
            return session.refuse(action, "Unknown operation")
        criteria, value = action.get("matchcriteria"), action.get("filter")
        if not criteria and not value:
            return session.refuse(action, "Filter not specified")
        try:
            session.sieve.add(parse_criteria(criteria, value) if criteria else parse_pattern(value))
        except BadFilter as error:
            return session.refuse(action, str(error))
        self._switch.exchange.feed.changed()
        session.accept(action, "Success")
        return None

    def log_off(self, session: Session, action: Action) -> None:
        session.reply(f"Response: Goodbye\r\n{action.reply_id}Message: Thanks for all the fish.\r\n\r\n")
        session.close()

    def command(self, session: Session, action: Action) -> None:
        ok, lines = console(self._switch, action.get("command"))
        output = "".join(f"Output: {line}\r\n" for line in lines)
        session.reply(
            f"Response: {'Success' if ok else 'Error'}\r\n{action.reply_id}"
            f"Message: Command output follows\r\n{output}\r\n"
        )

    def fault(self, session: Session, action: Action) -> None:
        """Misbehave: `Fault` names it, `Value` says how much. The connection that asks is spared from then on."""
        session.control = True

        async def misbehave() -> None:
            try:
                await self._switch.faults.by_name(action.get("fault"), action.get("value"))
            except UnknownFault as error:
                session.refuse(action, str(error))
            else:
                session.accept(action, "Fault set")

        self._switch.spawn(misbehave())


Do = Callable[[Actions, Session, Action], None]
ACTIONS: Final[Mapping[str, tuple[frozenset[str], Do]]] = {
    "bridge": (frozenset({"call"}), Actions.bridge),
    "command": (frozenset({"command"}), Actions.command),
    "events": (frozenset(), Actions.events),
    "filter": (frozenset({"system"}), Actions.filter),
    "getvar": (frozenset({"call", "reporting"}), Actions.get_variable),
    "hangup": (frozenset({"system", "call"}), Actions.hang_up),
    "logoff": (frozenset(), Actions.log_off),
    "mixmonitor": (frozenset({"system", "call"}), Actions.record),
    "mixmonitormute": (frozenset({"system", "call"}), Actions.mute_recording),
    "muteaudio": (frozenset({"system"}), Actions.mute),
    "originate": (frozenset({"originate"}), Actions.originate),
    "ping": (frozenset(), Actions.ping),
    "playdtmf": (frozenset({"call"}), Actions.play_dtmf),
    "redirect": (frozenset({"call"}), Actions.redirect),
    "setvar": (frozenset({"call"}), Actions.set_variable),
    "stopmixmonitor": (frozenset({"system", "call"}), Actions.stop_recording),
    "userevent": (frozenset({"user"}), Actions.user_event),
    "zhudongfault": (WRITE, Actions.fault),
}
