"""A database that fails over: two PostgreSQL servers, of which one follows, and is promoted when the other is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.faults.postgres import LONGEST_S, PROGRAMS, Postgres

OWN = (".handle_pids.json", ".s.PGSQL.5432.lock", "log")  # of the one that was copied


class Pair:
    """Both, by the address of both: nothing is confirmed that the standby has not on its disk. Every method blocks."""

    def __init__(self, folder: Path, other: Path) -> None:
        self.primary = Postgres(folder)
        self._copy_to(other)
        self._standby = Postgres(other)
        self._followed()

    def url(self, primary: str = "") -> str:
        """The address of both, where the primary is reached at this host or else by its socket."""
        hosts = f"host={primary or self.primary.socket}&host={self._standby.socket}"
        return f"postgresql://postgres:@/postgres?{hosts}&target_session_attrs=read-write"

    def kill_primary(self) -> None:
        """It is gone for good; only a new copy will ever run where it was."""
        self._make_standby()
        self.primary.kill()

    def kill_standby(self) -> None:
        """Nothing is confirmed any more."""
        self._make_standby()
        self._standby.kill()

    def start_standby(self) -> None:
        """It goes on where it was."""
        self._standby.start()

    def promote(self) -> None:
        """The standby is the primary from now on."""
        self._standby.control("promote", "-w", "-t", str(LONGEST_S))
        self.primary, self._standby = self._standby, self.primary

    def end(self) -> None:
        """At the end of all."""
        self._standby.end()
        self.primary.end()

    def _make_standby(self) -> None:
        """Where there is none since the last one was promoted."""
        if not self._standby.runs():
            shutil.rmtree(self._standby.folder)
            self._copy_to(self._standby.folder)
            self._standby.start()
            self._followed()

    def _copy_to(self, folder: Path) -> None:
        copy = [
            str(PROGRAMS / "pg_basebackup"),
            "-h",
            self.primary.socket,
            "-U",
            "postgres",
            "-D",
            str(folder),
        ]
        subprocess.run([*copy, "-R", "-c", "fast"], check=True, timeout=LONGEST_S)
        owner = os.stat(self.primary.folder)  # as root, the servers run as somebody else
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
        for name in OWN:
            (folder / name).unlink(missing_ok=True)

    def _followed(self) -> None:
        """From now on the primary confirms nothing before the standby has it."""
        self.primary.say("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.say("SELECT pg_reload_conf()")
        deadline = time.monotonic() + LONGEST_S
        while not self.primary.say("SELECT FROM pg_stat_replication WHERE sync_state = 'sync'"):
            assert time.monotonic() < deadline, "the standby does not follow"
            time.sleep(0.05)
        self.primary.say("CHECKPOINT")  # by the process that tells the others whether commits wait
        self.primary.say("SELECT pg_logical_emit_message(true, 'faults', '')")  # waits for all before it
