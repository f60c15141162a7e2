"""The alerts are about metrics that there are, each has its runbook, and Prometheus's own tool tries them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.prometheus.provision import find

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/zhudong.rules.yml"
RUNBOOKS = ROOT / "docs/runbooks.md"
METRICS = ROOT / "docs/reference/metrics.md"
OF_HISTOGRAMS = re.compile(r"_(bucket|sum|count)$")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_metric_in_an_expression_is_one_of_ours() -> None:
    known = set(re.findall(r"`(zhudong_[a-z_]+)`", METRICS.read_text("utf-8")))
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        assert set(re.findall(r"zhudong:[a-z_:0-9]+", rule["expr"])) <= recorded
        for name in re.findall(r"\bzhudong_[a-z_]+", re.sub(r"zhudong:[a-z_:0-9]+", "", rule["expr"])):
            assert OF_HISTOGRAMS.sub("", name) in known, (name, rule)


def test_every_alert_says_how_grave_it_is_and_has_its_runbook() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    for rule in alerts:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{rule['alert'].lower()}"
    headings = re.findall(r"^## (.+)$", RUNBOOKS.read_text("utf-8"), re.MULTILINE)
    assert headings == [*dict.fromkeys(headings)]
    assert set(headings) == {rule["alert"] for rule in alerts}


@pytest.mark.skipif(not find(), reason="there is no promtool here")
def test_prometheus_takes_them_and_they_do_what_they_say(tmp_path: Path) -> None:
    tests = sorted(Path(__file__).parent.glob("*.test.yml"))
    for file in (RULES, *tests):
        shutil.copy(file, tmp_path)
    for command in (["check", "rules", RULES.name], ["test", "rules", *(file.name for file in tests)]):
        done = subprocess.run(
            [find(), *command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
