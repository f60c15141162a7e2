"""`dialer top` shows what the metrics of a daemon say, and says when there are none."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from prometheus_client import generate_latest
from rich.console import Console

from dialer.cli import main
from dialer.metrics import Metrics
from dialer.top import NotThere, Scrape, Top, read, scrape


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    """A daemon's metrics, of a floor at work."""
    made = Metrics()
    made.database_up.set(1)
    made.switch_up.labels("main").set(1)
    made.switch_up.labels("reserve").set(0)
    made.seats.labels("talking").set(7)
    made.lines.labels("spring", "ringing").set(4)
    made.leads_left.labels("spring").set(4321)
    made.abandon_rate.labels("spring").set(0.041)
    made.abandon_target.labels("spring").set(0.03)
    made._dials.set(100, "spring")
    made.loop_lag.observe(0.004)
    yield made


def told(metrics: Metrics, at: float) -> Scrape:
    return read(generate_latest(metrics.registry).decode(), at)


def drawn(view: Top, width: int = 140) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(view)
    return out.getvalue()


def test_what_an_operator_looks_at_first_is_there(metrics: Metrics) -> None:
    view = Top("http://here/metrics")
    assert "waiting for http://here/metrics" in drawn(view)
    view.take(told(metrics, 10.0))
    metrics._dials.set(130, "spring")
    metrics.loop_lag.observe(0.2)
    view.take(told(metrics, 20.0))
    text = drawn(view)
    for said in ("● database ", "● main ", "reserve is away", "0 promises broken", "talking 7", "ringing 4", "4,321",
                 "4.10%", "3.00%", "3.0", "loop late by < 250 ms"):  # fmt: skip
        assert said in text, said
    view.take(NotThere("it does not answer"))
    assert "it does not answer" in drawn(view) and "talking 7" in drawn(view)
    for width in (20, 60, 300):
        assert drawn(view, width)


def test_it_asks_a_daemon_and_says_when_there_is_none(metrics: Metrics) -> None:
    port = metrics.serve("127.0.0.1", 0)
    url = f"http://127.0.0.1:{port}/metrics"
    done = CliRunner().invoke(main, ["top", "--url", url, "--once", "--every", "0.2"])
    assert (done.exit_code, "spring" in done.output) == (0, True)
    metrics.close()
    done = CliRunner().invoke(main, ["top", "--url", url, "--once"])
    assert done.exit_code == 1 and "is the daemon running?" in done.output
    for nonsense in ("nowhere", "http://[", "ftp://127.0.0.1/"):
        with pytest.raises(NotThere):
            scrape(nonsense)


@pytest.mark.parametrize(
    "said", ["", "<html>", "up 1\n", 'zhudong_database_up{a="', "zhudong_database_up x\n"]
)
def test_what_is_no_daemon_is_told_so(said: str) -> None:
    with pytest.raises(ValueError):
        read(said, 0.0)
