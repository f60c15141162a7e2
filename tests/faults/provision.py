"""Gets what sets a daemon's clock on: `python -m tests.faults.provision`. Root on Debian or Ubuntu only."""

from __future__ import annotations

import os
import shutil
import sys

from tests.faults.installation import FAKETIME
from tests.rig.provision import Failed, install


def main() -> int:
    """Install it if it is missing. 0 when it is there in the end, or when this machine can't have it (said why)."""
    if FAKETIME.exists():
        print(f"faults: {FAKETIME} is there")
        return 0
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        print("faults: install libfaketime to set the daemon's clock; what needs it is skipped without")
        return 0
    try:
        install("libfaketime")
    except Failed as fault:
        print(f"faults: {fault}", file=sys.stderr)
        return 1
    print(f"faults: installed {FAKETIME}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
