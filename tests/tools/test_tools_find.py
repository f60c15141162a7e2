"""A tool that finds nothing may be checking nothing: each is given something wrong, and must say so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CANARIES = Path(__file__).parent / "canaries"
BIN = Path(sys.executable).parent
ROOMS = ("campaigns", "cti", "dialer", "pacing", "simulator")


def run(*command: str | Path, cwd: Path = ROOT, text: str = "") -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"NO_COLOR": "1"}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
        env=env,
    )


def test_the_type_checker_finds_each_planted_fault() -> None:
    found = run(BIN / "pyrefly", "check", "--output-format=min-text", CANARIES / "wrong_types.py")
    assert found.returncode == 1
    for fault in ("bad-return", "bad-argument-type", "unexpected-keyword", "read-only"):
        assert fault in found.stdout + found.stderr, fault


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("import httpx", "TID251"),
        ("from asterisk.manager import Manager", "TID251"),
        ("from . import bus", "TID252"),
        ("try:\n    pass\nexcept Exception:\n    pass", "BLE001"),
    ],
)
def test_the_linter_finds_each_planted_fault(line: str, rule: str) -> None:
    source = f'"""Planted."""\n\n{line}\n'
    found = run(BIN / "ruff", "check", "--stdin-filename", "cti/planted.py", "-", text=source)
    assert found.returncode == 1
    assert rule in found.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rooms' sources and the contracts, in a place where one may plant something."""
    copied = tmp_path_factory.mktemp("rooms")
    shutil.copy(ROOT / "pyproject.toml", copied)
    for room in ROOMS:
        shutil.copytree(ROOT / room, copied / room, ignore=shutil.ignore_patterns("__pycache__", "static"))
    return copied


def test_the_contracts_hold_and_are_not_empty(copy: Path) -> None:
    found = run(BIN / "lint-imports", "--no-cache", cwd=copy)
    assert found.returncode == 0, found.stdout
    assert "0 broken" in found.stdout
    assert " 0 kept" not in found.stdout


@pytest.mark.parametrize(
    ("room", "line", "contract"),
    [
        ("pacing", "import campaigns", "pacing imports nothing of ours"),
        ("pacing", "import socket", "pacing does no I/O"),
        ("campaigns", "import pacing", "campaigns imports nothing of ours"),
        ("cti", "import dialer", "never the engine"),
        ("simulator", "import dialer", "simulator knows pacing only"),
        ("dialer/core", "import time", "core does no I/O"),
        ("dialer/core", "import simulator", "starts the simulator"),
    ],
)
def test_an_import_across_a_wall_is_found(copy: Path, room: str, line: str, contract: str) -> None:
    planted = copy / room / "planted.py"
    planted.write_text(f'"""Planted."""\n\n{line}\n')
    try:
        found = run(BIN / "lint-imports", "--no-cache", cwd=copy)
    finally:
        planted.unlink()
    assert found.returncode == 1, found.stdout
    broken = [row for row in found.stdout.splitlines() if row.endswith("BROKEN")]
    assert any(contract in row for row in broken), found.stdout
