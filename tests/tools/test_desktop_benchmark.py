"""The benchmark of the agent's page, at a size of seconds: what it prints is measured, and what is no time holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser

from benchmarks import desktop, report
from benchmarks.engine import Load
from benchmarks.report import Result
from tests.browser.conftest import browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]
__all__ = ["browser"]


def by_name(results: list[Result]) -> dict[str, float]:
    return {result.what: result.value for result in results}


@pytest.mark.timeout(120)
def test_a_card_is_painted_after_its_customer_has_answered(browser: Browser, tmp_path: Path) -> None:
    painted = desktop.painted_after(Load(seats=2, calls_per_s=4, warm_up_s=1.0, measured_s=25.0), 1, tmp_path)
    assert painted
    assert 0.0 < painted[0] <= painted[-1] < 10_000.0


@pytest.mark.timeout(120)
def test_a_page_is_light_and_calls_leave_nothing_in_it(browser: Browser) -> None:
    found = report.run_async(lambda: desktop.by_itself(1, 30))
    slow = {"first load, slowest"}  # a time, on a machine that does other things
    assert [result.what for result in found if not result.ok and result.what not in slow] == []
    values = by_name(found)
    assert values["page weight, compressed, with its first state"] > 20.0
    assert values["first load, p50"] > 10.0


def test_pops_reach_every_one_of_many_pages() -> None:
    values = by_name(report.run_async(lambda: desktop.many(20)))
    assert values["their pops lost"] == 0
    assert values["their pop read, p50"] > 0
