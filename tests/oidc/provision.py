"""Gets the OpenID provider that the tests sign on with: `python -m tests.oidc.provision`. It needs Node 20 and npm."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.node import Modules

HERE = Path(__file__).parent
HOW = "python -m tests.oidc.provision (with Node 20 or newer, and npm)"
PROVIDER = Modules(HERE, "oidc-provider", "the OpenID provider")
find = PROVIDER.find

if __name__ == "__main__":
    sys.exit(PROVIDER.provision())
