"""What tests need of npm: kept outside the project, between runs, as a lock file beside the tests has it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.rig.place import cache

NEEDED = ("package.json", "package-lock.json")
LIMIT_S = 600


@dataclass(frozen=True, slots=True)
class Modules:
    """The packages that the lock file in `here` names; `what` they are for people."""

    here: Path
    name: str
    what: str

    def folder(self) -> Path:
        """Where they are, or would be: by what the lock file says."""
        lock = hashlib.sha256((self.here / "package-lock.json").read_bytes()).hexdigest()[:12]
        return cache() / f"{self.name}-{lock}"

    def find(self) -> Path | None:
        """Their folder, when they are there whole."""
        return self.folder() if self.folder().is_dir() and shutil.which("node") else None

    def provision(self) -> int:
        """Install what is missing. 0 when it is there in the end, or when this machine can't have it (said why)."""
        if self.find() is not None:
            print(f"{self.what} is in {self.folder()}")
            return 0
        if shutil.which("npm") is None or shutil.which("node") is None:
            print(f"install Node 20 and npm for {self.what}; its tests are skipped without")
            return 0
        cache().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache()) as made:
            at = Path(made) / "whole"
            at.mkdir()
            for name in NEEDED:
                shutil.copy(self.here / name, at)
            command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
            done = subprocess.run(
                command, cwd=at, timeout=LIMIT_S, capture_output=True, text=True, check=False, env=os.environ
            )
            if done.returncode != 0:
                print(
                    f"{self.what}: {' '.join(command)} failed:\n{done.stdout}{done.stderr}", file=sys.stderr
                )
                return 1
            if not self.folder().exists():
                at.rename(self.folder())
        print(f"{self.what} is installed in {self.folder()}")
        return 0
