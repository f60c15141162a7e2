"""The metrics keep to Prometheus' conventions, and no label can grow without limit."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from campaigns.config import Shadow
from campaigns.values import Outcome, RefusalReason
from cti.server import CannotListen
from dialer.core.call import Call, CallState
from dialer.core.seat import SeatState
from dialer.metrics import INVARIANTS, OUTSIDE_REFUSALS, Metrics, percentile
from tests.core.world import World, config, lead

# What each label may be: a name from the configuration, or a member of a set in the source.
BOUNDED = {
    "bound", "figure", "law", "wanted",
    "campaign", "switch", "file", "caller_id",  # as configured
    "arm", "outcome", "cause", "reason", "stage", "state", "invariant", "anomaly",  # enumerations; Q.850 causes
    "event", "fault", "fate", "how", "result", "le",
}  # fmt: skip
# https://prometheus.io/docs/practices/naming: base units, plural, at the end; and none of these
NOT_BASE = r"_(ms|milliseconds|minutes|hours|kb|kilobytes|mb|percent|percentage)(_|$)"


def families(metrics: Metrics) -> list[Metric]:
    return list(metrics.registry.collect())


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    metrics = Metrics()
    yield metrics
    metrics.close()


def test_names_are_of_one_application_in_base_units_and_counters_end_in_total(metrics: Metrics) -> None:
    for family in families(metrics):
        assert re.fullmatch(r"zhudong_[a-z]+(_[a-z]+)*", family.name), family.name
        assert not re.search(NOT_BASE, family.name), family.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        if family.type == "gauge":
            assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))
        if "ratio" in family.name:
            assert family.name.endswith("_ratio") and family.type == "gauge"
        assert family.documentation.endswith("."), family.name
    assert {family.type for family in families(metrics)} == {"counter", "gauge", "histogram"}


def test_every_invariant_stands_at_nought_from_the_start(metrics: Metrics) -> None:
    found = {
        sample.labels["invariant"]: sample.value
        for family in families(metrics)
        for sample in family.samples
        if sample.name == "zhudong_invariant_breaches_total"
    }
    assert found == dict.fromkeys(INVARIANTS, 0.0)


def lively() -> Metrics:
    """The metrics of a world in which things happened."""
    world, metrics = World(), Metrics()
    world.core.ended = metrics.ended
    world.seat(1)
    first, second, third = world.dial(3)
    world.ring(f"zdc-{first}")
    world.answer(f"zdc-{first}")
    world.join_all()
    world.hang_up(f"zdc-{second}", cause=17)
    world.ring(f"zdc-{third}")
    world.core.anomaly("unknown_channel", "zdc-x")
    world.core.campaigns["spring"].counts.refusals["dnc"] += 2
    metrics.refresh(world.core)
    metrics.stream("main", {"Newstate": 5}, {"garbled": 1})
    metrics.journal(3, 10, 1, True)
    metrics.dialogues({"played": 1})
    metrics.door({"pages_opened": 1})
    metrics.popped(0.001)
    metrics.connecting(0.002)
    return metrics


def test_labels_are_bounded() -> None:
    metrics = lively()
    allowed = {
        "outcome": set(Outcome), "stage": set(CallState), "state": set(SeatState), "invariant": set(INVARIANTS),
        "reason": {*RefusalReason, *OUTSIDE_REFUSALS, "database"}, "fate": {"applied", "rejected"},
        "law": {"live", "shadow"}, "wanted": {"more", "fewer"},
    }  # fmt: skip
    for family in families(metrics):
        for sample in family.samples:
            assert sample.labels.keys() <= BOUNDED, sample
            for label, value in sample.labels.items():
                assert label not in allowed or value in allowed[label], sample
            if "cause" in sample.labels:
                assert 0 <= int(sample.labels["cause"]) < 128
            assert not any(re.search(r"\d{6}|zd[cs]-", value) for value in sample.labels.values()), sample


def test_what_happened_is_what_is_scraped() -> None:
    metrics = lively()
    port = metrics.serve("127.0.0.1", 0)
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        scraped = list(text_string_to_metric_families(answer.read().decode()))
    metrics.close()
    found = {(s.name, *sorted(s.labels.items())): s.value for family in scraped for s in family.samples}
    campaign = ("campaign", "spring")
    assert found["zhudong_dials_total", campaign] == 3
    assert found["zhudong_answered_humans_total", campaign] == 1
    assert found["zhudong_calls_total", campaign, ("cause", "17"), ("outcome", "busy")] == 1
    assert found["zhudong_lines", campaign, ("stage", "connected")] == 1
    assert found["zhudong_lines", campaign, ("stage", "ringing")] == 1
    assert found["zhudong_seats", ("state", "talking")] == 1
    assert found["zhudong_refusals_total", campaign, ("reason", "dnc")] == 2
    assert found["zhudong_switch_up", ("switch", "main")] == 1
    assert found["zhudong_ami_faults_total", ("fault", "garbled"), ("switch", "main")] == 1
    assert found[("zhudong_journal_depth",)] == 3 and found[("zhudong_database_up",)] == 1
    assert found[("zhudong_answer_to_pop_seconds_count",)] == 1


def test_a_shadow_stands_beside_its_campaign_and_goes_with_it(metrics: Metrics) -> None:
    world = World(config(target=1.0, shadow=Shadow(mode="ratio", ratio=2.0)))
    world.seat(1)
    shadow = world.core.campaigns["spring"].part("main").shadow

    def value(name: str, **labels: str) -> float | None:
        metrics.refresh(world.core)
        return metrics.registry.get_sample_value(name, {"campaign": "spring"} | labels)

    for _ in range(5):
        world.at += 0.5
        world.core.decide("spring", world.at)
        shadow.follow()
    assert value("zhudong_shadow_line_seconds_total", law="live") == 2.0
    assert value("zhudong_shadow_line_seconds_total", law="shadow") == 4.0
    assert value("zhudong_shadow_apart_seconds_total", wanted="more") == 2.0
    assert value("zhudong_shadow_figure", figure="idle_seats") == 1
    assert value("zhudong_shadow_bound", bound="seats") == 1
    world.core.configure(1, config(target=1.0), world.at)
    assert value("zhudong_shadow_bound", bound="seats") is None
    assert value("zhudong_shadow_line_seconds_total", law="shadow") == 4.0


def test_a_count_that_is_copied_never_goes_down_on_the_page(metrics: Metrics) -> None:
    """Prometheus takes a smaller value for a restart; an adapter that began anew must not look like one."""
    for applied, shown in ((5, 5), (9, 9), (2, 11), (3, 12)):
        metrics.journal(0, applied, 0, True)
        assert (
            metrics.registry.get_sample_value("zhudong_journal_records_total", {"fate": "applied"}) == shown
        )


def test_a_call_that_never_rang_has_no_ring_time(metrics: Metrics) -> None:
    metrics.ended(Call(lead(1), "spring", "main", 0.0), Outcome.BUSY)
    assert metrics.registry.get_sample_value("zhudong_originate_to_ring_seconds_count") == 0


def test_a_port_that_is_taken_is_told_and_a_closed_one_is_free_again(metrics: Metrics) -> None:
    port = metrics.serve("127.0.0.1", 0)
    with pytest.raises(CannotListen, match=rf"metrics address 127\.0\.0\.1:{port} can't be used"):
        Metrics().serve("127.0.0.1", port)
    metrics.close()
    with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
        sock.connect(("127.0.0.1", port))


def test_percentiles_are_those_of_the_samples() -> None:
    assert percentile([], 0.5) is None
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(101)], 0.99) == 99.0


def test_what_a_decision_does_not_rest_on_any_more_is_not_told(metrics: Metrics) -> None:
    """Of a paused campaign the idle seats of the moment before are nothing to be alarmed about."""
    world = World()
    world.seat(1)
    labels = {"campaign": world.config.name, "figure": "idle_seats"}
    world.core.decide(world.config.name, world.at)
    metrics.refresh(world.core)
    assert metrics.registry.get_sample_value("zhudong_pacing_figure", labels) == 1.0
    world.core.configure(1, config(running=False), world.at)
    world.core.decide(world.config.name, world.at)
    metrics.refresh(world.core)
    assert metrics.registry.get_sample_value("zhudong_pacing_figure", labels) is None
