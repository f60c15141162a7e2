"""The daemon as a service: signals, the notes to systemd, and its end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from dialer.config import ConfigError, load
from dialer.daemon import Daemon

log = structlog.get_logger(__name__)

END_LIMIT_S = 20.0  # an embedded database with much to write is stopped in less


def notify(state: str) -> None:
    """Tell systemd, when it listens (sd_notify's datagram protocol). What goes wrong is logged."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.connect("\0" + address[1:] if address.startswith("@") else address)
            sock.sendall(state.encode())
    except OSError as fault:  # calls and their end do not depend on it
        log.warning("systemd could not be told", state=state, reason=str(fault))


async def watched() -> None:
    """Tell systemd's watchdog, as often as it wants to hear it, that the event loop runs (sd_watchdog_enabled(3)).

    Ends at once where there is no watchdog for this process.
    """
    every = os.environ.get("WATCHDOG_USEC", "")
    mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not mine or not every.isdecimal() or int(every) == 0:
        return
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(int(every) / 2e6)  # twice in the time it allows


def end_within(limit_s: float, code: int) -> None:
    """End the process by then, whatever its threads wait for: Python itself waits for them, and for a hung database."""

    def end() -> None:
        log.warning("the database does not answer; the process ends without what it was asked last")
        os._exit(code)

    timer = threading.Timer(limit_s, end)
    timer.daemon = True
    timer.start()


@contextmanager
def serve_signals(daemon: Daemon, config_file: Path | None) -> Iterator[None]:
    """SIGTERM and SIGINT drain, a second one cuts the drain short; SIGHUP reads the config again."""
    loop = asyncio.get_running_loop()
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        daemon.stop(0.0 if asked > 1 else None)
        notify("STOPPING=1")

    def reload() -> None:
        if config_file is None:
            return
        try:
            fixed = daemon.reload(load(config_file))
        except ConfigError as fault:
            log.error("the new config was refused; the last good one stays", reason=str(fault))
            return
        log.info("the config was read again", needs_restart=fixed)

    for number, action in ((signal.SIGTERM, stop), (signal.SIGINT, stop), (signal.SIGHUP, reload)):
        loop.add_signal_handler(number, action)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
