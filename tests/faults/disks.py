"""A small disk of the suite's own, which may be filled to its last block and freed again. It needs root."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

LONGEST_S = 60
FILLER = "filler"
BLOCK = 4_096
# It stays mounted for as long as our end of the pipe is open: also a `kill -9` of ours is the end of it.
KEEP = """
trap '' INT TERM HUP
mount -t tmpfs -o "size=$1m,mode=755" zhudong-faults "$2" || exit 1
echo mounted
read -r _
umount -l "$2"
"""


class SmallDisk:
    """A file system in memory at a new folder. Every method blocks."""

    def __init__(self, at: Path, size_mb: int) -> None:
        at.mkdir()
        self._at = at
        self._keeper = subprocess.Popen(
            ["sh", "-c", KEEP, "keep", str(size_mb), str(at)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == b"mounted\n", f"nothing could be mounted at {at}"

    def fill(self) -> None:
        """Leave not a block of it, also of what was freed since it was filled last."""
        assert os.path.ismount(self._at)  # no other disk is ever filled
        with (self._at / FILLER).open("ab", buffering=0) as file:
            for size in (256 * BLOCK, BLOCK):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError as fault:
                    if fault.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Somebody has made room."""
        (self._at / FILLER).unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it; what still has files open in it keeps those until it ends."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait(LONGEST_S)
