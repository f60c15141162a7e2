"""Gets Prometheus's `promtool`: `python -m tests.prometheus.provision`. From Debian's or Ubuntu's package, unpacked."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.rig.place import cache
from tests.rig.provision import Failed, run


def unpacked() -> Path:
    """Where the package is unpacked: nothing is installed."""
    return cache() / "prometheus"


def find() -> str:
    """The program's path; empty when there is none."""
    ours = unpacked() / "usr/bin/promtool"
    return shutil.which("promtool") or (str(ours) if ours.exists() else "")


def main() -> int:
    """Unpack it where it is missing. 0 when it is there, or when this machine can't have it (said why)."""
    if find():
        print(f"prometheus: {find()} is there")
        return 0
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        print("prometheus: install promtool to test the alerts; they are only read without")
        return 0
    cache().mkdir(parents=True, exist_ok=True)
    download = ["apt-get", "download", "-qq", "prometheus"]
    try:
        with tempfile.TemporaryDirectory(dir=cache()) as folder:
            try:
                run(download, cwd=folder)
            except Failed:
                if os.geteuid() != 0:
                    raise
                run(["apt-get", "update", "-qq"])  # a new machine has no lists of packages
                run(download, cwd=folder)
            run(["sh", "-c", "dpkg-deb -x prometheus_*.deb unpacked"], cwd=folder)
            shutil.rmtree(unpacked(), ignore_errors=True)
            Path(folder, "unpacked").rename(unpacked())
    except Failed as fault:
        print(f"prometheus: {fault}", file=sys.stderr)
        return 1
    print(f"prometheus: unpacked {find()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
