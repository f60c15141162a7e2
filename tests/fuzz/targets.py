"""What strangers write to us, each as a function of bytes: it takes them or refuses them in its own words."""

from __future__ import annotations

import asyncio
import io
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

from asterisk.agi import AGIException

from campaigns import config as campaign_config
from campaigns.config import CampaignsError
from campaigns.lists.reading import read
from campaigns.lists.sources import opened
from campaigns.messages.bounces import NotABounce, bounce_of, return_address
from campaigns.users import User
from cti import wire
from dialer import config as daemon_config
from dialer.fastagi import BadPeer, Dialogue, safe_harbour
from dialer.switch.clock import SwitchClock
from dialer.switch.port import LinkUp, Snapshot, SwitchEvent
from dialer.switch.translation import Translation
from dialer.switch.wire import END, MAX_LINE, Parser
from tests.campaigns.messages.mails import QMAIL, report

USER = User(1, "lina", "李娜", "agent", "seat001", ("spring",))
LOOP = asyncio.new_event_loop()
CALL = b"zdc-" + b"1" * 32
HOME, SECRET, KEY = "bounces@company.example", "sixteen characters", "1" * 32
BACK = return_address(HOME, SECRET, KEY)
SLICES = 7  # of a stream, by its own first byte: parsers are cut at odd places


async def _heard(data: bytes) -> None:
    parser, events = Parser(), list[SwitchEvent]()
    translation = Translation("fuzzed", events.append, lambda: None, SwitchClock())
    translation.begin(LinkUp(0.0, "fuzzed", "22", Snapshot({}, {})))
    step = data[0] % SLICES * 5 + 1 if data else 1
    for at in range(0, len(data), step):
        for message in parser.feed(data[at : at + step]):
            if (name := message.get("Event")) is not None:
                translation.hear(name, message, 0.0)
    translation.end()
    assert len(parser._rest) <= max(MAX_LINE, len(END)) + step  # what is kept is bounded


def ami(data: bytes) -> None:
    """The switch's stream, cut anywhere, up to the events that the engine hears."""
    LOOP.run_until_complete(_heard(data))


class _Peer:
    """A socket whose other side said this, and takes whatever it is told."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._said)

    def sendall(self, data: bytes) -> None:
        assert (
            data.endswith(b"\n") and data.count(b"\n") == 1
        )  # one command at a time: none was hidden in a value


def agi(data: bytes) -> None:
    """A FastAGI greeting, and the answers to our commands."""
    try:
        dialogue = Dialogue(cast(socket.socket, _Peer(data)))
        if dialogue.script == "safe-harbour":
            safe_harbour(dialogue)
    except (OSError, EOFError, ValueError, OverflowError, BadPeer, AGIException):
        pass  # as the service: this dialogue ends


def list_(data: bytes) -> None:
    """A list in a text file; workbooks are read in a process of their own."""
    with tempfile.TemporaryDirectory(prefix="zhudong-fuzz-") as folder:
        file = Path(folder, "list")
        file.write_bytes(data)
        try:
            with opened(str(file)) as source:
                if source.kind != "workbook":
                    for row, cells, fault in read(source, {}).records:
                        assert row > 0 and (fault is not None or cells is not None)
        except CampaignsError:
            pass


def toml(data: bytes) -> None:
    """A daemon's file, and a campaign's."""
    told = data.decode("utf-8", "replace")
    for parse, refusal in (
        (daemon_config.parse, daemon_config.ConfigError),
        (campaign_config.parse, campaign_config.ConfigError),
    ):
        try:
            parse(told, "fuzzed")
        except refusal as fault:
            assert str(fault).startswith("fuzzed")


def socket_(data: bytes) -> None:
    """What a page sends."""
    try:
        frame = wire.read_frame(data.decode("utf-8", "surrogateescape"))
        if isinstance(frame, wire.Request):
            command = wire.read_command(frame.command, USER)
            assert command.user_id == USER.user_id  # whatever the page wrote
    except wire.BadFrame:
        pass


def bounce(data: bytes) -> None:
    """A mail to an address of ours to come back to."""
    with suppress(NotABounce):
        assert bounce_of(data, HOME, SECRET).key == KEY


TARGETS: dict[str, Callable[[bytes], None]] = {
    "ami": ami,
    "agi": agi,
    "list": list_,
    "config": toml,
    "socket": socket_,
    "bounce": bounce,
}
# Where each begins: what is right, so that chance comes past the first check.
SEEDS: dict[str, tuple[bytes, ...]] = {
    "ami": (
        b"Asterisk Call Manager/11.0.0\r\nEvent: Newstate\r\nUniqueid: zdc-1\r\nChannelState: 6\r\n\r\n",
        b"Event: OriginateResponse\r\nResponse: Failure\r\nReason: 3\r\nUniqueid: " + CALL + b"\r\n\r\n"
        b"Event: Hangup\r\nUniqueid: " + CALL + b"\r\nCause: 17\r\n\r\n",
        b"Response: Success\r\nActionID: z1\r\nOutput: [ Context 'x' ]\r\nOutput: \r\n\r\n",
    ),
    "agi": (
        b"agi_network_script: safe-harbour\nagi_uniqueid: zdc-1\n\n200 result=0\n200 result=50 (timeout)\nHANGUP\n",
        b"agi_network_script: x\n\n520-Invalid command syntax.\n520 End\n",
    ),
    "list": (
        '姓名,手机号,套餐\n王小明,13800138000,"a\nb"\n'.encode(),
        "名字;电话\n李娜;010 6216 8888\n".encode("gb18030"),
        b'{"phone": "+8613800138000", "name": "x"}\n{"phone": ["1", 2], "name": null}\n',
    ),
    "config": (
        Path(__file__).parents[2].joinpath("deploy/dialer.toml").read_bytes(),
        b'name = "spring"\nswitch = "main"\nmode = "predictive"\n[rules]\nattempts = 3\ndestinations = ["+86*"]\n'
        b'[rules.retry_s]\nbusy = 60.0\n[[caller_id_pools]]\nnumbers = ["+862868880000"]\n',
    ),
    "socket": (
        b'{"type": "request", "id": 1, "command": {"type": "dispose", "call_id": "0", "code": "sold", "notes": "x"}}',
        b'{"type": "hello", "window": "w", "last": 0}',
        b'{"type": "request", "id": 2, "command": {"type": "log_in", "phone": "100", "mode": "nailed"}}',
    ),
    "bounce": (report(BACK), QMAIL.format(to=BACK, said="(#5.1.1)").encode()),
}
