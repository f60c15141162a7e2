"""What is learned of finished calls reaches people: the status page's snapshots, metrics, the command line."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from campaigns import database
from dialer.learning import Learning
from dialer.metrics import Metrics
from tests.campaigns.world import Campaign
from tests.dialer.test_cli import Installation

NUMBERS = ["+864000000001", "+864000000002"]
MORE = f"caller_ids = {NUMBERS}\n"


async def test_a_dead_number_is_told_to_everyone_who_looks(db: Engine) -> None:
    Campaign(db, leads=1, more=MORE)
    with db.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO caller_id_answers (campaign_id, caller_id, fresh_calls, fresh_answers, calls, answers)
                VALUES (1, :good, 0, 0, 200, 60), (1, :dead, 250, 5, 0, 0)
            """),
            {"good": NUMBERS[0], "dead": NUMBERS[1]},
        )
    engine, metrics = SimpleNamespace(flagged={}), Metrics()
    learning = Learning(db, engine, metrics)  # type: ignore[arg-type]
    try:
        with capture_logs() as said:
            await learning.look()
    finally:
        learning.close()
    [flagged] = engine.flagged["spring"]
    assert (flagged.number, flagged.out) == (NUMBERS[1], False)
    assert (flagged.rate, flagged.pool_rate) == (pytest.approx(0.02), pytest.approx(0.3))
    value = metrics.registry.get_sample_value
    labels = [{"campaign": "spring", "caller_id": number} for number in NUMBERS]
    assert [value("zhudong_caller_id_flagged", each) for each in labels] == [0, 1]
    assert [value("zhudong_caller_id_answer_ratio", each) for each in labels] == [
        pytest.approx(0.3),
        pytest.approx(0.02),
    ]
    assert any("answered far less than the others" in each["event"] for each in said)


async def test_what_the_best_time_gained_is_measured_against_chance(db: Engine) -> None:
    Campaign(db, leads=1, more="[best_time]\norder = true\n")
    with db.begin() as connection:
        connection.execute(
            text("INSERT INTO best_time_arm VALUES (1, false, 9000, 2700), (1, true, 1000, 250)")
        )
    metrics = Metrics()
    learning = Learning(db, SimpleNamespace(flagged={}), metrics)  # type: ignore[arg-type]
    try:
        await learning.look_at_times()
    finally:
        learning.close()

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"campaign": "spring", **labels})

    assert value("zhudong_best_time_calls_total", arm="ordered") == 9000
    assert value("zhudong_best_time_answers_total", arm="random") == 250
    low, uplift, high = (value("zhudong_best_time_uplift_ratio", figure=f) for f in ("low", "uplift", "high"))
    assert uplift == pytest.approx(0.2) and low is not None and high is not None
    assert 0.0 < low < 0.2 < high < 0.4  # by Katz's interval: proven


def test_the_numbers_in_use_on_the_command_line(tmp_path: Path) -> None:
    here = Installation(tmp_path)
    assert here.do("caller-ids").stdout == "no campaign names a caller-ID\n"
    config = f'name = "spring"\nswitch = "main"\n{MORE}[[caller_id_pools]]\nregions = ["CN-SH"]\n'
    here.do("apply", here.file("c.toml", config + 'numbers = ["+862100000001"]\n'))
    told = here.do("caller-ids", "--campaign", "spring").stdout
    assert "+862100000001" in told and "CN-SH" in told and "all others" in told
    found = json.loads(here.do("caller-ids", "--json").stdout)
    assert [(each["pool"], each["number"]) for each in found] == [
        ("CN-SH", "+862100000001"),
        *(("", number) for number in NUMBERS),
    ]
    assert {each["evidence"] for each in found} == {0.0}
    refused = here.do("caller-ids", "--put-back", NUMBERS[0])
    assert refused.exit_code == 2 and "neither flagged nor taken out" in refused.stderr
    assert here.do("caller-ids", "--campaign", "winter").exit_code == 2


def test_best_times_and_their_uplift_on_the_command_line(tmp_path: Path) -> None:
    here = Installation(tmp_path)
    here.do("apply", here.file("c.toml", 'name = "spring"\nswitch = "main"\n'))
    told = here.do("best-time", "spring").stdout
    assert "answers in % of calls" in told and "the campaign does not call by it" in told
    engine = database.connect(here.url, pool_size=1)
    with engine.begin() as connection:
        for hour, answers in ((10, 100), (18, 400)):
            connection.execute(
                text(
                    "INSERT INTO best_time_cell VALUES (1, 'mobile', 1, 'CN-SH', 'a', :hour, 1000, :n, now())"
                ),
                {"hour": hour, "n": answers},
            )
        connection.execute(
            text("INSERT INTO best_time_arm VALUES (1, false, 1000, 300), (1, true, 500, 100)")
        )
    engine.dispose()
    told = here.do("best-time", "spring").stdout
    assert "CN-SH" in told and "tue" in told and "ordered: 1000 calls, 30.0% answered" in told
    assert "uplift: +50.0% (+22." in told
    found = json.loads(here.do("best-time", "spring", "--json").stdout)
    assert found["random"] == {"calls": 500, "answers": 100}
    assert [each["hour"] for each in found["segments"][0]["hours"]] == [10, 18]
    assert here.do("best-time", "winter").exit_code == 2
