"""Gets Prometheus's `promtool`: `python -m tests.prometheus.provision`. From Debian's or Ubuntu's package, unpacked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.rig.place import cache

LIMIT_S = 300


def unpacked() -> Path:
    """Where the package is unpacked: nothing is installed."""
    return cache() / "prometheus"


def find() -> str:
    """The program's path; empty when there is none."""
    ours = unpacked() / "usr/bin/promtool"
    return shutil.which("promtool") or (str(ours) if ours.exists() else "")


def run(command: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    """What came of a command in a folder."""
    return subprocess.run(command, cwd=folder, timeout=LIMIT_S, capture_output=True, text=True, check=False)


def main() -> int:
    """Unpack it where it is missing. 0 when it is there, or when this machine can't have it (said why)."""
    if find():
        print(f"prometheus: {find()} is there")
        return 0
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        print("prometheus: install promtool to test the alerts; they are only read without")
        return 0
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        download = ["apt-get", "download", "-qq", "prometheus"]
        done = run(download, folder)
        if done.returncode != 0 and os.geteuid() == 0:  # a new machine has no lists of packages
            run(["apt-get", "update", "-qq"], folder)
            done = run(download, folder)
        if done.returncode == 0:
            done = run(["sh", "-c", "dpkg-deb -x prometheus_*.deb unpacked"], folder)
        if done.returncode != 0:
            print(f"prometheus: {' '.join(done.args)} failed: {done.stderr}", file=sys.stderr)
            return 1
        shutil.rmtree(unpacked(), ignore_errors=True)
        Path(folder, "unpacked").rename(unpacked())
    print(f"prometheus: unpacked {find()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
