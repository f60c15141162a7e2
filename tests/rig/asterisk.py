"""A real Asterisk 22 on loopback, with SIPp as its carrier and as the seats' phones.

It is private: own configuration, own ports, own folder below the root it lives in. Everything it starts ends with it,
and with the process that made it.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import tempfile
from pathlib import Path
from time import monotonic, sleep
from typing import Self

from tests.rig import configuration
from tests.rig.configuration import Addresses
from tests.rig.place import Installed
from tests.rig.processes import Process
from tests.rig.sipp import CUSTOMERS, PHONES, scenario
from tests.rig.sound import tone, write_ulaw

HOST = "127.0.0.1"
START_LIMIT_S = 30.0
PREFIX = "zhudong-rig-"
LOGIN = "Action: Login\r\nUsername: {user}\r\nSecret: {secret}\r\n\r\n"
# the mounts are in a namespace of the process's own: they go with it
WITHIN = 'mount -t proc proc "$1/proc"; root=$1; shift; exec chroot "$root" "$@"'
SIPP_RTP = range(20_000, 30_000, 4)  # below the ephemeral ones; SIPp counts up to 10,000 on from there
GREETING_S = 0.8  # a person's "hello?"; AMD calls it HUMAN
ANNOUNCEMENT_S = 8.0  # a machine's


class NotUp(Exception):
    """The switch or a far end did not start; the text ends with its log."""


class AsteriskRig:
    """Use it as a context manager, or call :meth:`start` and :meth:`stop`. `extra_dialplan` adds contexts."""

    name = "rig"
    host = HOST
    user = "zhudong"
    secret = configuration.SECRET
    trunk = "PJSIP/{number}@carrier"
    phone = "PJSIP/{endpoint}"

    def __init__(self, installed: Installed, extra_dialplan: str = "") -> None:
        self._installed = installed
        self._extra_dialplan = extra_dialplan
        self._folder = Path()
        self._asterisk: Process | None = None
        self._far_ends: list[Process] = []
        self.port = 0
        self.softphone = ""  # where the phone in a page registers
        self.tls_port = 0  # of the AMI

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait until calls can be placed. Raises :class:`NotUp`."""
        tmp = self._installed.root / "tmp"
        remove_leftovers(tmp)
        self._folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=tmp))
        addresses = Addresses(free_tcp(), *free_udp(3), http=free_tcp(), wss=free_tcp(), ami_tls=free_tcp())
        self.port = addresses.ami
        self.softphone = f"wss://{HOST}:{addresses.wss}/ws"
        self.tls_port = addresses.ami_tls
        modules = inner(self._installed.modules, self._installed.root)
        configuration.write(self._folder, self.inside(self._folder), modules, addresses, self._extra_dialplan)
        try:
            self._start_far_ends(addresses)
            self._start_asterisk()
        except BaseException:
            self.stop()
            raise

    def restart(self) -> None:
        """End Asterisk at once, with all its channels, and start it again at the same addresses."""
        self._stop_asterisk()
        self._start_asterisk()

    def stop(self) -> None:
        """End everything and leave nothing behind."""
        self._stop_asterisk()
        for process in self._far_ends:
            process.kill()
        self._far_ends.clear()
        if self._folder.name:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Of Asterisk itself."""
        assert self._asterisk is not None
        return self._asterisk.pid

    @property
    def far_end_pids(self) -> dict[str, int]:
        """Of the far ends, by name."""
        return {process.said.stem: process.pid for process in self._far_ends}

    @property
    def log(self) -> Path:
        """What Asterisk writes: notices, warnings, errors, and each step of the dialplan."""
        return self._folder / "log/full"

    @property
    def certificate(self) -> Path:
        """What it shows over TLS, signed by itself."""
        return self._folder / "keys/fullchain.pem"

    @property
    def recordings(self) -> Path:
        """Where Asterisk puts what it records."""
        return self._folder / "spool/monitor"

    def log_tail(self, lines: int = 60) -> str:
        """The end of Asterisk's log."""
        try:
            return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def inside(self, path: Path) -> str:
        """A path of the host as Asterisk sees it."""
        return inner(path, self._installed.root)

    # --- within -----------------------------------------------------------------------------------------------

    def _start_asterisk(self) -> None:
        etc = self.inside(self._folder / "etc")
        command = ["/usr/sbin/asterisk", "-f", "-C", f"{etc}/asterisk.conf"]
        root = self._installed.root
        if root != Path("/"):
            command = ["unshare", "--mount", "sh", "-c", WITHIN, "sh", str(root), *command]
        said = self._folder / "asterisk.out"
        self._asterisk = Process(command, self._folder, said)
        until = monotonic() + START_LIMIT_S
        while not booted(self.port, self.user, self.secret, until):
            if self._asterisk.ended or monotonic() > until:
                raise NotUp(
                    f"Asterisk {'ended' if self._asterisk.ended else f'was not up in {START_LIMIT_S:g} s'}: "
                    f"{said.read_text('utf-8', 'replace')[-2000:]}\n{self.log_tail()}"
                )
            sleep(0.05)

    def _stop_asterisk(self) -> None:
        if self._asterisk is not None:
            self._asterisk.kill()
            self._asterisk = None

    def _start_far_ends(self, addresses: Addresses) -> None:
        write_ulaw(self._folder / "person.ulaw", tone(GREETING_S), silence_s=60.0)
        write_ulaw(self._folder / "machine.ulaw", tone(ANNOUNCEMENT_S), silence_s=0.0)
        for name, port, ends in (
            ("carrier", addresses.carrier, CUSTOMERS),
            ("phones", addresses.phones, PHONES),
        ):
            file = self._folder / f"{name}.xml"
            file.write_text(scenario(name, ends), "utf-8")
            command = [
                str(self._installed.sipp), "-sf", file.name, "-i", HOST, "-bind_local", "-p", str(port), "-mi", HOST,
                "-mp", str(free_media()), "-aa", "-nostdin", "-watchdog_interval", "0", "-trace_err", "-error_file",
                f"{name}.err",
            ]  # fmt: skip
            said = self._folder / f"{name}.out"
            process = Process(command, self._folder, said)
            self._far_ends.append(process)
            until = monotonic() + START_LIMIT_S
            while free(port):
                if process.ended or monotonic() > until:
                    raise NotUp(f"SIPp as {name} is not up: {said.read_text('utf-8', 'replace')[-2000:]}")
                sleep(0.02)


def inner(path: Path, root: Path) -> str:
    """A path below a root as it is seen from within it."""
    return f"/{path.relative_to(root)}"


def booted(port: int, user: str, secret: str, until: float) -> bool:
    """Whether Asterisk takes the log-in and says that it is fully booted."""
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as link:
            link.sendall(LOGIN.format(user=user, secret=secret).encode())
            heard = b""
            while monotonic() < until:
                piece = link.recv(4096)
                heard += piece
                if b"Event: FullyBooted" in heard:
                    return True
                if not piece:
                    return False
    except OSError:
        pass
    return False


def free_tcp() -> int:
    """A port nobody listens on."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        return one.getsockname()[1]


def free_udp(count: int) -> list[int]:
    """So many different ports."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def free_media() -> int:
    """A port for SIPp's voice. It wants the second next one too, for pictures, and does not look for others."""
    while True:
        port = random.choice(SIPP_RTP)  # not the first free one: another rig may be starting
        if free(port) and free(port + 2):
            return port


def free(port: int) -> bool:
    """Whether nobody has this UDP port yet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.bind((HOST, port))
        except OSError:
            return False
        return True


def remove_leftovers(tmp: Path) -> None:
    """Folders of test runs that were killed."""
    for folder in tmp.glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)
