"""The actions that only look: channels, bridges and the switch itself, as Asterisk 22 lists them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from simulator.switch.agi import VERSION
from simulator.switch.bridges import Bridge
from simulator.switch.channel import Channel
from simulator.switch.session import Session
from simulator.switch.wire import Action

if TYPE_CHECKING:
    from simulator.switch.server import VirtualSwitch

_LOOKERS: Final = frozenset({"system", "reporting"})


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}"


class Listing:
    """Answers with what is alive now."""

    def __init__(self, switch: VirtualSwitch) -> None:
        self._switch = switch

    def value_of(self, channel: Channel, name: str) -> str | None:
        """A variable, or one of the functions that read the channel itself."""
        known = {
            "CALLERID(num)": channel.caller_num,
            "CALLERID(name)": channel.caller_name,
            "CHANNEL(accountcode)": channel.account,
            "CHANNEL(name)": channel.name,
            "CHANNEL(state)": "Up" if channel.state else "Down",
            "UNIQUEID": channel.uid,
        }
        return known.get(name, channel.variables.get(name))

    def _list(
        self, session: Session, action: Action, what: str, items: list[str], complete: str, tail: str = ""
    ) -> None:
        start = (
            f"Response: Success\r\n{action.reply_id}EventList: start\r\nMessage: {what} will follow\r\n\r\n"
        )
        end = f"Event: {complete}\r\n{action.reply_id}EventList: Complete\r\nListItems: {len(items)}\r\n{tail}\r\n"
        session.reply("".join((start, *items, end)))

    def core_show_channels(self, session: Session, action: Action) -> None:
        now = self._switch.exchange.now()
        items = [
            f"Event: CoreShowChannel\r\n{action.reply_id}{channel.headers()}Application: {channel.app}\r\n"
            f"ApplicationData: {channel.app_data}\r\nDuration: {_clock(now - channel.since)}\r\n"
            f"BridgeId: {channel.bridge.uid if channel.bridge else ''}\r\n\r\n"
            for channel in self._switch.exchange.by_uid.values()
        ]
        self._list(session, action, "Channels", items, "CoreShowChannelsComplete")

    def status(self, session: Session, action: Action) -> None:
        exchange = self._switch.exchange
        channels = list(exchange.by_uid.values())
        if wanted := action.get("channel"):
            channel = exchange.find(wanted)
            if channel is None:
                return session.refuse(action, "No such channel")
            channels = [channel]
        names = [name for name in action.get("variables").split(",") if name]
        items = [self._status(channel, names, action) for channel in channels]
        return self._list(
            session, action, "Channel status", items, "StatusComplete", f"Items: {len(items)}\r\n"
        )

    def _status(self, channel: Channel, names: list[str], action: Action) -> str:
        def shown(name: str) -> str:
            value = self.value_of(channel, name)
            return "(null)" if value is None else value

        variables = "".join(f"Variable: {name}={shown(name)}\r\n" for name in names)
        bridged = channel.bridge is not None
        return (
            f"Event: Status\r\nPrivilege: Call\r\n{channel.headers()}Type: PJSIP\r\nDNID: \r\n"
            f"EffectiveConnectedLineNum: {channel.connected_num}\r\n"
            f"EffectiveConnectedLineName: {channel.connected_name}\r\nTimeToHangup: 0\r\n"
            f"BridgeID: {channel.bridge.uid if channel.bridge else ''}\r\n"
            f"Application: {'(null)' if bridged else channel.app}\r\n"
            f"Data: {'(null)' if bridged else channel.app_data}\r\n"
            "Nativeformats: (ulaw)\r\nReadformat: ulaw\r\nReadtrans: \r\nWriteformat: ulaw\r\nWritetrans: \r\n"
            f"Callgroup: 0\r\nPickupgroup: 0\r\nSeconds: {int(self._switch.exchange.now() - channel.since)}\r\n"
            f"{variables}{action.reply_id}\r\n"
        )

    def bridge_list(self, session: Session, action: Action) -> None:
        items = [
            f"Event: BridgeListItem\r\n{action.reply_id}{bridge.headers()}\r\n"
            for bridge in self._switch.exchange.bridges.live.values()
        ]
        self._list(session, action, "Bridge listing", items, "BridgeListComplete")

    def bridge_info(self, session: Session, action: Action) -> None:
        bridge: Bridge | None = self._switch.exchange.bridges.live.get(action.get("bridgeuniqueid"))
        if bridge is None:
            return session.refuse(
                action,
                "Bridge not found" if action.get("bridgeuniqueid") else "BridgeUniqueid must be provided",
            )
        items = [
            f"Event: BridgeInfoChannel\r\n{action.reply_id}{channel.headers()}\r\n"
            for channel in bridge.members
        ]
        return self._list(
            session, action, "Bridge channel listing", items, "BridgeInfoComplete", bridge.headers()
        )

    def core_status(self, session: Session, action: Action) -> None:
        begun = time.gmtime(self._switch.started)
        date, clock = time.strftime("%Y-%m-%d", begun), time.strftime("%H:%M:%S", begun)
        session.reply(
            f"Response: Success\r\n{action.reply_id}CoreStartupDate: {date}\r\nCoreStartupTime: {clock}\r\n"
            f"CoreReloadDate: {date}\r\nCoreReloadTime: {clock}\r\n"
            f"CoreCurrentCalls: {len(self._switch.exchange.by_uid)}\r\n"
            f"CoreProcessedCalls: {self._switch.exchange.processed}\r\n\r\n"
        )

    def core_settings(self, session: Session, action: Action) -> None:
        session.reply(
            f"Response: Success\r\n{action.reply_id}AMIversion: 11.0.0\r\nAsteriskVersion: {VERSION}\r\n"
            "SystemName: \r\nCoreMaxCalls: 0\r\nCoreMaxLoadAvg: 0.000000\r\nCoreRunUser: \r\nCoreRunGroup: \r\n"
            "CoreMaxFilehandles: 0\r\nCoreRealTimeEnabled: No\r\nCoreCDRenabled: Yes\r\nCoreHTTPenabled: No\r\n"
            "SoundsSearchCustomDir: No\r\n\r\n"
        )

    def list_commands(self, session: Session, action: Action) -> None:
        names = "".join(f"{name}: {name}\r\n" for name in self._switch.action_names())
        session.reply(f"Response: Success\r\n{action.reply_id}{names}\r\n")


Show = Callable[[Listing, Session, Action], None]
LISTINGS: Final[Mapping[str, tuple[frozenset[str], Show]]] = {
    "bridgeinfo": (frozenset(), Listing.bridge_info),
    "bridgelist": (frozenset(), Listing.bridge_list),
    "coresettings": (_LOOKERS, Listing.core_settings),
    "coreshowchannels": (_LOOKERS, Listing.core_show_channels),
    "corestatus": (_LOOKERS, Listing.core_status),
    "listcommands": (frozenset(), Listing.list_commands),
    "status": (frozenset({"system", "call", "reporting"}), Listing.status),
}
