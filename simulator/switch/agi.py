"""The switch's end of FastAGI: connects to the service, tells who calls, and carries out what the service asks."""

from __future__ import annotations

import asyncio
import logging
import re
import shlex
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from simulator.switch.channel import HANG_UP_MARK, Channel

if TYPE_CHECKING:
    from simulator.switch.exchange import Exchange

log = logging.getLogger(__name__)

OPTION_MS: Final = 5000.0  # GET OPTION without a time-out waits for as long as the dialplan waits for a digit
VERSION: Final = "22.10.1+dfsg+~cs6.17.60671434-1"
DEFAULT_PORT: Final = 4573
CONNECT_S: Final = 2.0
SAMPLES_PER_S: Final = 8000
DEAD: Final = "511 Command Not Permitted on a dead channel or intercept routine"
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


class AgiDialogue:
    """One AGI() of one channel. :meth:`run` returns AGISTATUS: SUCCESS, FAILURE or HANGUP."""

    def __init__(self, exchange: Exchange, channel: Channel, url: str) -> None:
        self._exchange = exchange
        self._channel = channel
        self._url = url
        self._told = False  # that the caller hung up
        self._commands = 0

    async def run(self) -> str:
        found = urlsplit(self._url)
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(found.hostname, found.port or DEFAULT_PORT)
        except (OSError, TimeoutError, ValueError) as error:
            log.info("FastAGI service %s is not there: %s", self._url, error)
            return "FAILURE"
        try:
            writer.write(self._greeting(found.path.lstrip("/")).encode("utf-8", "surrogateescape"))
            while line := await reader.readline():
                command = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
                if command:
                    reply = await self._reported(command)
                    writer.write(f"{reply}\n".encode("utf-8", "surrogateescape"))
                    await writer.drain()
        except (OSError, ValueError) as error:
            log.info("FastAGI service %s broke off: %s", self._url, error)
            return "HANGUP" if self._channel.gone else "FAILURE"
        finally:
            writer.close()
        if self._channel.gone:
            return "HANGUP"
        return "SUCCESS" if self._commands else "FAILURE"

    def _greeting(self, script: str) -> str:
        channel = self._channel
        name = "unknown" if channel.caller_name.startswith("<") else channel.caller_name
        number = "unknown" if channel.caller_num.startswith("<") else channel.caller_num
        headers = {
            "network": "yes",
            "network_script": script,
            "request": self._url,
            "channel": channel.name,
            "language": "en",
            "type": "PJSIP",
            "uniqueid": channel.uid,
            "version": VERSION,
            "callerid": number,
            "calleridname": name,
            "callingpres": "0",
            "callingani2": "0",
            "callington": "0",
            "callingtns": "0",
            "dnid": "unknown",
            "rdnis": "unknown",
            "context": channel.context,
            "extension": channel.exten,
            "priority": str(channel.priority),
            "enhanced": "0.0",
            "accountcode": channel.account,
            "threadid": "1",
        }
        return "".join(f"agi_{key}: {value}\n" for key, value in headers.items()) + "\n"

    async def _reported(self, command: str) -> str:
        """Carry the command out, with the two AMI events that frame it."""
        self._commands += 1
        feed, channel = self._exchange.feed, self._channel
        about = f"Command: {command}\r\nCommandId: {self._commands}\r\n"
        feed.channel("AGIExecStart", channel, about, "agi")
        reply = await self._carry_out(command)
        status, _, rest = reply.rpartition("\n")[2].partition(" ")
        result = rest.partition("result=")[2].split(" ")[0] if status == "200" else status
        outcome = ("Failure" if result == "-1" else "Success") if status == "200" else rest
        feed.channel("AGIExecEnd", channel, f"{about}ResultCode: {result}\r\nResult: {outcome}\r\n", "agi")
        return reply

    async def _carry_out(self, command: str) -> str:
        words = _words(command)
        for length in (3, 2, 1):
            play = COMMANDS.get(" ".join(words[:length]).upper())
            if play is not None:
                break
        else:
            return "510 Invalid or unknown command"
        if self._channel.gone:
            told, self._told = self._told, True
            return DEAD if told else f"HANGUP\n{DEAD}"
        return await play(self, words[length:])

    async def _key(self, seconds: float, stops_at: str) -> str:
        """Wait for a key of `stops_at` and return it; a space when time is up, HANG_UP_MARK when the caller left."""
        keys = self._channel.keys
        if keys is None:
            return HANG_UP_MARK
        try:
            async with asyncio.timeout(seconds):
                while True:
                    key = await keys.get()
                    if key == HANG_UP_MARK or key in stops_at:
                        return key
        except TimeoutError:
            return " "

    async def _play(self, escape: str) -> tuple[str, float]:
        """Play a sound: the key that stopped it (or a space), and how many seconds of it were heard."""
        channel = self._channel
        if channel.behaviour.harbour_keys:
            self._exchange.begin_harbour(channel)
        begin, whole_s = self._exchange.now(), self._exchange.scenario.sound_s
        key = await self._key(whole_s, escape)
        return key, whole_s if key == " " else self._exchange.now() - begin

    async def stream_file(self, words: list[str]) -> str:
        key, heard_s = await self._play(words[1] if len(words) > 1 else "")
        result = -1 if key == HANG_UP_MARK else 0 if key == " " else ord(key)
        return f"200 result={result} endpos={int(heard_s * SAMPLES_PER_S)}"

    async def get_option(self, words: list[str]) -> str:
        """The sound, then some time in which a key still counts."""
        escape = words[1] if len(words) > 1 else ""
        key, heard_s = await self._play(escape)
        if key == " ":
            key = await self._key(float(words[2] if len(words) > 2 else OPTION_MS) / 1000, escape)
        result = -1 if key == HANG_UP_MARK else 0 if key == " " else ord(key)
        return f"200 result={result} endpos={int(heard_s * SAMPLES_PER_S)}"

    async def get_data(self, words: list[str]) -> str:
        seconds = float(words[1]) / 1000 if len(words) > 1 else 5.0
        most = int(words[2]) if len(words) > 2 else 1024
        key, _ = await self._play("0123456789*#")
        keys = ""
        while key != HANG_UP_MARK and key != "#":
            if key == " " and keys:
                return f"200 result={keys} (timeout)"
            if key != " ":
                keys += key
                if len(keys) == most:
                    return f"200 result={keys}"
            key = await self._key(seconds, "0123456789*#")
            if key == " ":
                return f"200 result={keys} (timeout)"
        return "200 result=-1" if key == HANG_UP_MARK else f"200 result={keys}"

    async def wait_for_digit(self, words: list[str]) -> str:
        milliseconds = float(words[0])
        key = await self._key(milliseconds / 1000 if milliseconds >= 0 else 86400.0, "0123456789*#ABCD")
        return f"200 result={-1 if key == HANG_UP_MARK else 0 if key == ' ' else ord(key)}"

    async def say(self, words: list[str]) -> str:
        key, _ = await self._play(words[1] if len(words) > 1 else "")
        return f"200 result={-1 if key == HANG_UP_MARK else 0 if key == ' ' else ord(key)}"

    async def execute(self, words: list[str]) -> str:
        app = words[0].lower() if words else ""
        if app in ("playback", "background", "wait"):
            seconds = float(words[1]) if app == "wait" and len(words) > 1 else self._exchange.scenario.sound_s
            if app != "wait" and self._channel.behaviour.harbour_keys:
                self._exchange.begin_harbour(self._channel)
            key = await self._key(seconds, "")
            return f"200 result={-1 if key == HANG_UP_MARK else 0}"
        return "200 result=0" if app in ("noop", "answer", "set", "userevent") else "200 result=-2"

    async def set_variable(self, words: list[str]) -> str:
        if len(words) < 2:
            return "520 Invalid command syntax.  Proper usage not available."
        self._channel.variables[words[0]] = words[1]
        return "200 result=1"

    async def get_variable(self, words: list[str]) -> str:
        value = self._channel.variables.get(words[0]) if words else None
        return "200 result=0" if value is None else f"200 result=1 ({value})"

    async def get_full_variable(self, words: list[str]) -> str:
        value = _VARIABLE.sub(
            lambda found: self._channel.variables.get(found[1], ""), words[0] if words else ""
        )
        return f"200 result=1 ({value})" if value else "200 result=0"

    async def status(self, words: list[str]) -> str:
        return f"200 result={self._channel.state}"

    async def hang_up(self, words: list[str]) -> str:
        self._exchange.end_by_dialplan(self._channel)
        return "200 result=1"

    async def nothing(self, words: list[str]) -> str:
        return "200 result=0"

    async def said(self, words: list[str]) -> str:
        return "200 result=1"


Command = Callable[[AgiDialogue, list[str]], Awaitable[str]]
COMMANDS: Final[Mapping[str, Command]] = {
    "ANSWER": AgiDialogue.nothing,
    "CHANNEL STATUS": AgiDialogue.status,
    "EXEC": AgiDialogue.execute,
    "GET DATA": AgiDialogue.get_data,
    "GET FULL VARIABLE": AgiDialogue.get_full_variable,
    "GET OPTION": AgiDialogue.get_option,
    "GET VARIABLE": AgiDialogue.get_variable,
    "HANGUP": AgiDialogue.hang_up,
    "NOOP": AgiDialogue.nothing,
    "SAY ALPHA": AgiDialogue.say,
    "SAY DIGITS": AgiDialogue.say,
    "SAY NUMBER": AgiDialogue.say,
    "SAY PHONETIC": AgiDialogue.say,
    "SET AUTOHANGUP": AgiDialogue.nothing,
    "SET CALLERID": AgiDialogue.said,
    "SET CONTEXT": AgiDialogue.nothing,
    "SET EXTENSION": AgiDialogue.nothing,
    "SET MUSIC": AgiDialogue.nothing,
    "SET PRIORITY": AgiDialogue.nothing,
    "SET VARIABLE": AgiDialogue.set_variable,
    "STREAM FILE": AgiDialogue.stream_file,
    "VERBOSE": AgiDialogue.said,
    "WAIT FOR DIGIT": AgiDialogue.wait_for_digit,
}
