"""The fixture `asterisk_rig`: one real Asterisk for all tests of a run. A failed test shows the end of its log."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.rig.asterisk import AsteriskRig
from tests.rig.place import HOW, find


@pytest.fixture(scope="session")
def asterisk_rig() -> Iterator[AsteriskRig]:
    """A running switch with its carrier and the seats' phones; see :class:`AsteriskRig`."""
    installed = find()
    if installed is None:
        pytest.skip(f"no Asterisk 22 with SIPp on this machine; {HOW}")
    with AsteriskRig(installed) as rig:
        yield rig


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, AsteriskRig):
                report.sections.append(("Asterisk's log", value.log_tail()))
                break
    return report
