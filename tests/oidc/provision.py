"""Gets the OpenID provider that the tests sign on with: `python -m tests.oidc.provision`. It needs Node 20 and npm.

It is kept outside the project, between runs, as the lock file beside this one has it, checksums and all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.rig.place import cache

HERE = Path(__file__).parent
NEEDED = ("package.json", "package-lock.json")
HOW = "python -m tests.oidc.provision (with Node 20 or newer, and npm)"
LIMIT_S = 600


def folder() -> Path:
    """Where it is, or would be: by what the lock file says."""
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:12]
    return cache() / f"oidc-provider-{lock}"


def find() -> Path | None:
    """Its folder, when it is there whole."""
    return folder() if folder().is_dir() and shutil.which("node") else None


def main() -> int:
    """Install what is missing. 0 when it is there in the end, or when this machine can't have it (said why)."""
    if find() is not None:
        print(f"oidc: the provider is in {folder()}")
        return 0
    if shutil.which("npm") is None or shutil.which("node") is None:
        print("oidc: install Node 20 and npm to run the tests of the sign-on; they are skipped without")
        return 0
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as made:
        at = Path(made) / "whole"
        at.mkdir()
        for name in NEEDED:
            shutil.copy(HERE / name, at)
        command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
        done = subprocess.run(
            command, cwd=at, timeout=LIMIT_S, capture_output=True, text=True, check=False, env=os.environ
        )
        if done.returncode != 0:
            print(f"oidc: {' '.join(command)} failed:\n{done.stdout}{done.stderr}", file=sys.stderr)
            return 1
        if not folder().exists():
            at.rename(folder())
    print(f"oidc: installed the provider in {folder()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
