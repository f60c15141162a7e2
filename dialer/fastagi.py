"""Dialogues on the line: a FastAGI service whose dialogues run in worker threads, in the words of pyst2's AGI class.

The only dialogue so far is the safe harbour: the message for a customer whom no seat could take, and the key that
stops all further calls. What a peer sends is bounded in lines, length and time; when all threads are taken a
connection is closed at once, and the dialplan plays the message by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog
from asterisk.agi import AGI, AGIException

from cti.server import CannotListen

log = structlog.get_logger(__name__)

MAX_DIALOGUES = 128
SILENCE_S = 60.0  # nothing in a dialogue lasts longer; a message is some ten seconds
DIALOGUE_S = 120.0  # for all of it: a peer that sends a byte now and then breaks no silence
ACCEPT_RETRY_S = 0.2
LINE_BYTES = 4_096
GREETING_LINES = 100
KEY_WAIT_MS = 4_000  # after the message, as long as the FTC's safe harbour leaves for an opt-out
TELL_LIMIT_S = 10.0  # far longer than the loop is ever late
THANKS = "auth-thankyou"  # in Asterisk's core sounds
SOUND = re.compile(r"[A-Za-z0-9_./-]{1,200}")

# uid, whether the message was heard to its end or to the key, whether the key was pressed
OnHarbour = Callable[[str, bool, bool], None]


class BadPeer(Exception):
    """What came is not FastAGI."""


class _Lines(io.RawIOBase):
    """The peer's lines, bounded. The HANGUP note that Asterisk puts between them is left out."""

    def __init__(self, sock: socket.socket) -> None:
        self._file = sock.makefile("rb")

    def readline(self, size: int | None = -1, /) -> bytes:
        while True:
            line = self._file.readline(LINE_BYTES)
            if not line:
                raise EOFError("the switch closed the connection")
            if not line.endswith(b"\n"):
                raise BadPeer(f"a line is longer than {LINE_BYTES} bytes")
            if line.strip() != b"HANGUP":
                return line.decode("utf-8", "replace").encode()


class _Words:
    """Where AGI writes its commands."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._said = ""

    def write(self, text: str) -> None:
        self._said += text

    def flush(self) -> None:
        said, self._said = self._said, ""
        self._sock.sendall(said.encode())


class Dialogue(AGI):
    """pyst2's AGI over one connection. Its own constructor takes over SIGHUP and works in the main thread only."""

    def __init__(self, sock: socket.socket) -> None:
        self.stdin = _Lines(sock)
        self.stdout = _Words(sock)
        self.stderr = _Nowhere()
        self._got_sighup = False
        self.env: dict[str, str] = {}
        for _ in range(GREETING_LINES):
            key, _found, value = self.stdin.readline().decode().strip().partition(":")
            if not key:
                return
            self.env[key.strip()] = value.strip()
        raise BadPeer(f"the greeting has more than {GREETING_LINES} lines")

    @property
    def script(self) -> str:
        """The dialogue that is asked for."""
        return self.env.get("agi_network_script", "").strip("/")

    @property
    def uid(self) -> str:
        """The channel."""
        return self.env.get("agi_uniqueid", "")


class _Nowhere:
    """pyst2 writes a protocol of everything to stderr."""

    def write(self, text: str) -> None:
        """Forget it."""


class FastAgi:
    """The service. `results` counts dialogues by how they ended: played, opted_out, left, faulty, unknown.

    Those that did not begin count too: refused when all threads are taken, not_taken when the system gave no socket.
    """

    def __init__(
        self, host: str, port: int, on_harbour: OnHarbour, max_dialogues: int = MAX_DIALOGUES
    ) -> None:
        self.results: Counter[str] = Counter()
        self._host, self.port = host, port
        self._on_harbour = on_harbour
        self._limit = max_dialogues
        self._threads = ThreadPoolExecutor(max_dialogues, "dialogue")
        self._open: dict[socket.socket, asyncio.TimerHandle] = {}
        self._listening: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises CannotListen."""
        try:
            self._listening = socket.create_server((self._host, self.port), backlog=256)
        except OSError as fault:
            raise CannotListen(
                f"the FastAGI address {self._host}:{self.port} can't be used: {fault.strerror or fault}; "
                "choose another port in [agi], or stop what holds it"
            ) from fault
        self._listening.setblocking(False)
        self.port = self._listening.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept(self._listening), name="FastAGI")

    async def stop(self) -> None:
        """Take no more dialogues and cut those that go on: the dialplan plays the message for them."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        if self._listening is not None:
            self._listening.close()
        for sock in list(self._open):
            _cut(sock)
        await asyncio.to_thread(self._threads.shutdown, True, cancel_futures=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listening)
            except (
                OSError
            ) as fault:  # out of file descriptors, most likely: the next one shall be taken again
                self.results["not_taken"] += 1
                log.warning("a dialogue could not be taken", reason=str(fault))
                await asyncio.sleep(ACCEPT_RETRY_S)
                continue
            if len(self._open) >= self._limit:
                self.results["refused"] += 1
                sock.close()
                continue
            self._open[sock] = loop.call_later(DIALOGUE_S, _cut, sock)
            loop.run_in_executor(self._threads, self._serve, sock, loop)

    # --- in a worker thread ---------------------------------------------------------------------------------------

    def _serve(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        result = "faulty"
        try:
            sock.setblocking(True)
            sock.settimeout(SILENCE_S)
            dialogue = Dialogue(sock)
            if dialogue.script == "safe-harbour":
                played, opted_out = safe_harbour(dialogue)
                self._tell(loop, dialogue.uid, played, opted_out)
                result = "opted_out" if opted_out else "played" if played else "left"
                if opted_out:
                    thank(dialogue)
            else:
                result = "unknown"
                log.warning("an unknown dialogue was asked for", script=dialogue.script[:80])
        except (OSError, EOFError, ValueError, OverflowError, BadPeer, AGIException) as fault:
            log.info("a dialogue was cut", reason=str(fault)[:200])
        finally:
            sock.close()
            loop.call_soon_threadsafe(self._done, sock, result)

    def _tell(self, loop: asyncio.AbstractEventLoop, uid: str, played: bool, opted_out: bool) -> None:
        """Go on once the engine knows it: the switch says that the channel is gone as soon as the dialogue is over,
        and a busy loop may read that first. Of a call that has ended nothing would be on record."""
        known = threading.Event()

        def tell() -> None:
            try:
                self._on_harbour(uid, played, opted_out)
            finally:
                known.set()

        loop.call_soon_threadsafe(tell)
        if not known.wait(TELL_LIMIT_S):
            log.error("the engine did not take a dialogue's end in time", uid=uid, opted_out=opted_out)

    def _done(self, sock: socket.socket, result: str) -> None:
        self._open.pop(sock).cancel()
        self.results[result] += 1


def _cut(sock: socket.socket) -> None:
    """End a dialogue from outside: its thread reads the end of the connection."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def safe_harbour(dialogue: Dialogue) -> tuple[bool, bool]:
    """Play the message, wait for the key. Whether it was heard out, and whether the key was pressed.

    The caller's identity is in the message; ZD_MESSAGE names the sound, ZD_OPTOUT the key.
    """
    message, key = dialogue.get_variable("ZD_MESSAGE"), dialogue.get_variable("ZD_OPTOUT")
    if not SOUND.fullmatch(message):
        raise BadPeer(f"ZD_MESSAGE is no name of a sound: {message[:80]!r}")
    played = False
    try:
        pressed = dialogue.stream_file(message, key)
        played = True
        if not pressed and key:
            pressed = dialogue.wait_for_digit(KEY_WAIT_MS)
        return played, bool(key) and pressed == key
    except (AGIException, EOFError, OSError) as fault:  # gone in the middle of it, or no such sound
        log.info("a customer left the safe harbour", uid=dialogue.uid, reason=str(fault)[:100])
    return played, False


def thank(dialogue: Dialogue) -> None:
    """The opt-out is on record, thanked or not."""
    with contextlib.suppress(AGIException, EOFError, OSError):
        dialogue.stream_file(THANKS)
