"""Grafana's dashboards: as drawn, of Grafana's own schema, and about series that there are."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from dialer.metrics import Metrics
from scripts.draw_dashboards import CALLS, FOLDER, HEALTH, dashboards
from tests.prometheus.provision import find
from tests.prometheus.test_rules import rules

TARGETS_OWN = {"instance", "job", "le"}
OF_HISTOGRAMS = re.compile(r"_(bucket|sum|count)$")
SERIES = re.compile(r"\bzhudong_[a-z_]+")


def expressions() -> list[str]:
    shown = [each for rows in (CALLS, HEALTH) for panels in rows.values() for each in panels]
    return [expression for each in shown for expression, _ in each.series]


def labels_of() -> dict[str, set[str]]:
    """Every series that the daemon can tell, with its labels."""
    metrics = Metrics()
    told = {}
    for collector, names in metrics.registry._collector_to_names.items():
        own = set(getattr(collector, "_labelnames", ()))
        told |= dict.fromkeys(names, own)
    return told


def test_the_files_are_as_they_are_drawn() -> None:
    assert {path: path.read_text("utf-8") for path in FOLDER.glob("*.json")} == dashboards(), (
        "run `make docs`"
    )


def test_nothing_in_them_is_unknown_to_grafanas_own_classes() -> None:
    """What the schema does not know is lost on the way through them."""
    register_default_plugins()
    for path in FOLDER.glob("*.json"):
        told = json.loads(path.read_text("utf-8"))
        again = json.dumps(Dashboard.from_json(told), cls=JSONEncoder, sort_keys=True)
        assert json.loads(again) == told
        ids = [panel["id"] for panel in told["panels"]]
        assert len(ids) == len({*ids})


def test_every_series_and_label_is_one_of_ours() -> None:
    known = labels_of()
    for expression in expressions():
        names = {OF_HISTOGRAMS.sub("", name) for name in SERIES.findall(expression)}
        assert names and names <= set(known), expression
        labels = {label for name in names for label in known[name]} | TARGETS_OWN
        asked = set(re.findall(r"(\w+)\s*=~?\s*\"", expression))
        for by in re.findall(r"\bby \(([^)]*)\)", expression):
            asked |= {label.strip() for label in by.split(",")}
        assert asked <= labels, expression


def test_what_an_alert_is_about_is_on_a_dashboard() -> None:
    shown = {name for expression in expressions() for name in SERIES.findall(expression)}
    asked = {name for rule in rules() for name in SERIES.findall(rule["expr"])}
    assert asked <= shown


@pytest.mark.skipif(not find(), reason="there is no promtool here")
def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    group = [
        {"record": f"shown:{at}", "expr": expression.replace("$__rate_interval", "5m")}
        for at, expression in enumerate(expressions())
    ]
    written = tmp_path / "shown.yml"
    written.write_text(yaml.safe_dump({"groups": [{"name": "shown", "rules": group}]}), "utf-8")
    done = subprocess.run(
        [find(), "check", "rules", str(written)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and f"{len(group)} rules found" in done.stdout, done.stdout + done.stderr
