"""A machine without a fitting Python is told what helps, or has one from uv; nothing else of this machine is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "venv.sh"
TOO_NEW = '#!/bin/sh\n[ "$1" = --version ] || exit 1; echo Python 3.14.0\n'
UV = '#!/bin/sh\necho "uv $*"\n'


def set_up(folder: Path, programs: dict[str, str], python: str = "") -> subprocess.CompletedProcess[str]:
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    environment = {"PATH": str(folder), "HOME": str(folder)} | ({"PYTHON": python} if python else {})
    command = [shutil.which("sh") or os.defpath, SCRIPT, "there"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("programs", "python", "told"),
    [
        ({"python3": TOO_NEW}, "", "python3 is Python 3.14.0. Install uv"),
        ({}, "", "apt-get install python3 python3-venv"),
        ({"uv": UV}, "/usr/bin/false", "PYTHON=/usr/bin/false is none"),
    ],
)
def test_what_is_missing_is_one_line(
    programs: dict[str, str], python: str, told: str, tmp_path: Path
) -> None:
    said = set_up(tmp_path, programs, python)
    assert said.returncode == 1
    [line] = said.stderr.splitlines()
    assert line.startswith("setup: no Python 3.11, 3.12 or 3.13 here: ") and told in line


def test_uv_brings_a_python_where_none_fits(tmp_path: Path) -> None:
    said = set_up(tmp_path, {"python3": TOO_NEW, "uv": UV})
    assert said.returncode == 0
    assert said.stdout.splitlines()[-1] == "uv venv --quiet --seed --python 3.13 there"
