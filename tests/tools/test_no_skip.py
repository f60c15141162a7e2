"""Where CI is set a skipped test fails with its reason; elsewhere it is a skip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
IN_TEST = 'import pytest\n\ndef test_it():\n    pytest.skip("no switch here")\n'
WHOLE_FILE = 'import pytest\n\npytest.skip("no switch here", allow_module_level=True)\n'
EXPECTED = 'import pytest\n\n@pytest.mark.xfail(reason="known")\ndef test_it():\n    assert False\n'


def outcome(folder: Path, source: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    shutil.copy(CONFTEST, folder)
    (folder / "test_one.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    plain = {k: v for k, v in os.environ.items() if k not in ("CI", "ZHUDONG_NO_SKIP")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"],
        cwd=folder,
        env=plain | env | {"PYTHONPATH": str(CONFTEST.parents[1])},  # the conftest names a plugin of ours
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@pytest.mark.parametrize("source", [IN_TEST, WHOLE_FILE], ids=["in the test", "whole file"])
@pytest.mark.parametrize("name", ["CI", "ZHUDONG_NO_SKIP"])
def test_a_skip_fails_with_its_reason(tmp_path: Path, source: str, name: str) -> None:
    done = outcome(tmp_path, source, {name: "1"})
    assert done.returncode != 0
    assert "no switch here" in done.stdout


@pytest.mark.parametrize("env", [{}, {"CI": "0"}, {"CI": "false"}], ids=["unset", "0", "false"])
def test_elsewhere_it_is_a_skip_that_says_why(tmp_path: Path, env: dict[str, str]) -> None:
    done = outcome(tmp_path, IN_TEST, env)
    assert done.returncode == 0
    assert "no switch here" in done.stdout


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    assert outcome(tmp_path, EXPECTED, {"CI": "1"}).returncode == 0
