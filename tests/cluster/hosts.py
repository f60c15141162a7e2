"""Separate hosts on one machine: network namespaces on a bridge, and the ways between them that can be cut."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from campaigns import database
from tests.contract.house import House
from tests.contract.switches import VirtualSwitchProcess
from tests.faults.postgres import Postgres

NOWHERE = "02:00:00:00:00:01"  # a hardware address that nobody has
HERE, DATABASE, SWITCH, FIRST = 1, 11, 12, 21  # last parts of addresses


class Host:
    """A network namespace with one interface. Processes run on it by the command `within`."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address
        self.within = ("ip", "netns", "exec", name)

    def lose(self, address: str) -> None:
        """What this host sends there goes nowhere, and nobody says so; what is sent from there still arrives."""
        self._ip("neigh", "replace", address, "lladdr", NOWHERE, "dev", "eth0", "nud", "permanent")

    def find(self, address: str) -> None:
        """The way is there again."""
        self._ip("neigh", "del", address, "dev", "eth0")

    def unplug(self) -> None:
        """Its cable is out."""
        self._ip("link", "set", "eth0", "down")

    def plug(self) -> None:
        self._ip("link", "set", "eth0", "up")

    def _ip(self, *words: str) -> None:
        ip("-n", self.name, *words)


class Network:
    """A bridge with this process on it, the database and the switch at addresses of their own, and hosts."""

    def __init__(self) -> None:
        self._tag = f"zd{os.getpid()}"
        self._net = f"10.77.{os.getpid() % 256}"
        self.hosts: list[Host] = []
        ip("link", "add", self._tag, "type", "bridge")
        for part in (HERE, DATABASE, SWITCH):
            ip("address", "add", f"{self.address(part)}/24", "dev", self._tag)
        ip("link", "set", self._tag, "up")

    def address(self, part: int) -> str:
        return f"{self._net}.{part}"

    def host(self) -> Host:
        """One more."""
        number = len(self.hosts)
        name, cable = f"{self._tag}h{number}", f"{self._tag}c{number}"
        host = Host(name, self.address(FIRST + number))
        ip("netns", "add", name)
        self.hosts.append(host)
        ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", cable, "master", self._tag, "up")
        ip("-n", name, "address", "add", f"{host.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", name, "link", "set", device, "up")
        return host

    def remove(self) -> None:
        for host in self.hosts:
            ip("netns", "del", host.name)
        ip("link", "del", self._tag)


@contextmanager
def network() -> Iterator[Network]:
    found = Network()
    try:
        yield found
    finally:
        found.remove()


@contextmanager
def server_at(address: str, network_of: str) -> Iterator[str]:
    """The URL of a PostgreSQL server that hosts reach at this address, migrated."""
    place = tempfile.mkdtemp(prefix="zhudong-pg-")
    server = Postgres(folder := Path(place) / "pg")
    try:
        with (folder / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {network_of} trust\n")
        server.control("stop", "-m", "fast")
        words = f'-h "{address}" -k {server.socket}'
        server.control("start", "-w", "-l", str(folder / "log"), "-o", words)
        url = f"postgresql://postgres@{address}:5432/postgres"
        stored = database.connect(url, pool_size=2)
        database.migrate(stored)
        stored.dispose()
        yield url
    finally:
        server.end()
        shutil.rmtree(place, ignore_errors=True)


def engine_on(host: Host, switch: VirtualSwitchProcess, folder: Path, url: str, name: str) -> House:
    """An installation whose daemon runs there."""
    (folder / name).mkdir()
    return House(switch, folder / name, url, name, host.address, host.within)


def ip(*words: str) -> None:
    """The command of iproute2. Raises RuntimeError with what it said."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
