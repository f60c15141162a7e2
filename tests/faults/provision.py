"""Gets what sets a daemon's clock on: `python -m tests.faults.provision`. Root on Debian or Ubuntu only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.faults.installation import FAKETIME

LIMIT_S = 600


def main() -> int:
    """Install it if it is missing. 0 when it is there in the end, or when this machine can't have it (said why)."""
    if FAKETIME.exists():
        print(f"faults: {FAKETIME} is there")
        return 0
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        print("faults: install libfaketime to set the daemon's clock; what needs it is skipped without")
        return 0
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "libfaketime"]):
        done = subprocess.run(command, env=env, timeout=LIMIT_S, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"faults: {' '.join(command)} failed:\n{done.stdout}{done.stderr}", file=sys.stderr)
            return 1
    print(f"faults: installed {FAKETIME}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
