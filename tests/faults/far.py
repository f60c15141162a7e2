"""A machine of its own for a server: a network namespace that may vanish without a word. It needs root, and `ip`.

Run in there (`python -m tests.faults.far SOCKET ADDRESS`) it hands what comes by TCP to the server's socket.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from tests.faults.disks import LONGEST_S

PORT = 5_432
MAC = "02:00:00:00:00:02"
# As with the disks: the end of our process is the end of it.
KEEP = """
trap '' INT TERM HUP
ip netns add "$1" &&
ip link add "$1" type veth peer name far address "$2" netns "$1" &&
ip addr add "$3/30" dev "$1" && ip link set "$1" up &&
ip -n "$1" addr add "$4/30" dev far && ip -n "$1" link set far up &&
ip neigh replace "$4" lladdr "$2" nud permanent dev "$1" &&
echo there && read -r _
ip link del "$1"
ip netns del "$1"
"""


class FarMachine:
    """The machine, reached at `address`. Every method blocks."""

    def __init__(self, socket: str) -> None:
        self._name = f"zf{os.getpid()}"
        net = os.getpid() % 0x8000 * 4  # of 198.18.0.0/15, which RFC 2544 keeps for tests of networks
        prefix, last = f"198.{18 + (net >> 16)}.{net >> 8 & 255}", net & 255
        self.address = f"{prefix}.{last + 2}"
        first = f"{prefix}.{last + 1}"
        self._keeper = _told("sh", "-c", KEEP, "keep", self._name, MAC, first, self.address)
        module = (sys.executable, "-m", "tests.faults.far", socket, self.address)
        self._door = _told("ip", "netns", "exec", self._name, *module)

    def vanish(self) -> None:
        """Nothing comes of it any more, and what is sent to it is not refused either."""
        subprocess.run(["ip", "-n", self._name, "link", "set", "far", "down"], check=True, timeout=LONGEST_S)

    def close(self) -> None:
        for each in (self._door, self._keeper):
            assert each.stdin is not None
            each.stdin.close()
            each.wait(LONGEST_S)


def _told(*command: str) -> subprocess.Popen[bytes]:
    """Start it, until it says that it is there."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"there\n", f"{command} did not start"
    return process


async def hand_on(socket: str, address: str) -> None:
    """Until our input ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(f"{socket}/.s.PGSQL.{PORT}")
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass(reader, back))
                both.create_task(_pass(there, writer))
        except* (OSError, EOFError):
            pass  # one of the two is gone: so is the other
        finally:
            writer.close()
            back.close()

    server = await asyncio.start_server(serve, address, PORT)
    print("there", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        writer.write(piece)
        await writer.drain()
    raise EOFError


if __name__ == "__main__":
    asyncio.run(hand_on(*sys.argv[1:]))
