"""`make package`: wheel and sdist into dist/, then installed where nothing else is, and a call centre run from them.

The wheel is built from the sdist, so that trying the one tries the other. What is installed is run in another folder,
without the source tree: its own database with all migrations, the virtual switch, a campaign, and the pages' files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import httpx2

ROOT: Final = Path(__file__).parents[1]
BIN: Final = Path(sys.executable).parent
DEMO: Final = ("demo", "--duration", "12", "--seats", "8", "--leads", "400", "--json", "out.json")


def build(into: Path) -> tuple[Path, Path]:
    """The wheel and the sdist of the tree as it is, built with what is installed here."""
    command = [BIN / "uv", "build", "--quiet", "--no-build-isolation", "--offline", "--out-dir", into, ROOT]
    subprocess.run(command, check=True)
    [wheel], [sdist] = into.glob("*.whl"), into.glob("*.tar.gz")
    return wheel, sdist


def beside(packages: Path, wheel: Path, folder: Path) -> Path:
    """An environment with this wheel, which finds what it depends on in `packages`; returns its folder of commands."""
    made = folder / "venv"
    subprocess.run([BIN / "uv", "venv", "--quiet", "--python", sys.executable, made], check=True)
    install = [
        BIN / "uv",
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-deps",
        "--python",
        made / "bin/python",
    ]
    subprocess.run([*install, wheel], check=True)
    [site] = made.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(
        f"{packages}\n"
    )  # whose own .pth files, an editable install's, are not read
    return made / "bin"


def alone(wheel: Path, folder: Path) -> Path:
    """A new environment with this wheel and the locked packages; returns its folder of commands."""
    made = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", made], check=True)
    pip = [made / "bin/python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "-r", ROOT / "requirements.lock"], check=True)
    subprocess.run([*pip, "--no-deps", wheel], check=True)
    return made / "bin"


def run(commands: Path, folder: Path, *words: str) -> str:
    """What an installed command says, run in this folder with nothing of ours in its environment."""
    return subprocess.run(
        [commands / words[0], *words[1:]],
        cwd=folder,
        env=_clean(folder),
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def demonstrate(commands: Path, folder: Path) -> dict[str, object]:
    """Run the demo, and fetch its log-in page with all its files meanwhile; returns its summary."""
    with subprocess.Popen(
        [commands / "dialer", *DEMO], cwd=folder, env=_clean(folder), stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if found := re.match(r"a seat's page: (\S+)/", line):
                _fetch(found[1])
        if code := demo.wait():
            raise SystemExit(f"the installed demo ended with {code}")
    summary = json.loads((folder / "out.json").read_text("utf-8"))
    if not summary["connected"]:
        raise SystemExit(f"the installed demo connected nobody: {summary}")
    return summary


def _fetch(address: str) -> None:
    page = httpx2.get(f"{address}/login").raise_for_status().text
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    if not files:
        raise SystemExit(f"the log-in page names no files: {page}")
    for file in files:
        httpx2.get(f"{address}{file}").raise_for_status()
    print(f"the log-in page and its {len(files)} files are served")


def _clean(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}


def main() -> None:
    """Raises what keeps it from its end."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    wheel, sdist = build(ROOT / "dist")
    with tempfile.TemporaryDirectory(prefix="zhudong-package-") as temporary:
        folder = Path(temporary)
        commands = alone(wheel, folder)
        print(run(commands, folder, "dialer", "--version").strip(), "is installed")
        summary = demonstrate(commands, folder)
    print(
        f"{summary['dials']} dialed, {summary['connected']} connected, unaccounted for: {summary['unaccounted']}"
    )
    print(f"{wheel.relative_to(ROOT)} and {sdist.relative_to(ROOT)} are good")


if __name__ == "__main__":
    main()
