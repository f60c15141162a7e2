"""What holds for every test: in CI nothing is skipped in silence, and no test runs for ever (see `timeout`)."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

pytest_plugins = ["tests.rig.plugin", "tests.database"]

# CI runs on a machine that has everything; there a skip means that something has gone missing unnoticed.
NO_SKIP = os.environ.get("CI", "") not in ("", "0", "false") or bool(os.environ.get("ZHUDONG_NO_SKIP"))


# How long an example takes tells what else the machine does.
settings.register_profile("untimed", settings.default, deadline=None)
settings.load_profile("untimed")


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure that keeps its reason. An expected failure is no skip."""
    if not NO_SKIP or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"no test may be skipped here (CI or ZHUDONG_NO_SKIP is set): {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_skip(report)
    return report
