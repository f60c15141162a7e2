"""Gets the SMSC that texts are sent to in the tests: `python -m tests.smpp.provision`. It needs Node 20 and npm."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.node import Modules

HERE = Path(__file__).parent
HOW = "python -m tests.smpp.provision (with Node 20 or newer, and npm)"
SMSC = Modules(HERE, "node-smpp", "the SMSC")

if __name__ == "__main__":
    sys.exit(SMSC.provision())
