"""A campaign's file: what is wrong is said with file, key and reason, and nothing half good is taken."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from campaigns.config import ConfigError, load, parse
from campaigns.demo_data import CONFIG as DEMO
from campaigns.recycle import after_outcome
from campaigns.values import Outcome
from tests.campaigns.world import CONFIG, NOON

DISPOSITION = '[[dispositions]]\ncode = "a"\nlabel = { en = "A", zh = "甲" }\nkey = "1"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "required field `name`"),
        ("name =\nx", "line 1"),
        ('name = "x"', "required field `switch`"),
        (CONFIG + "abandons = 3", "unknown field `abandons`"),
        (CONFIG + 'ratio = "2"', "`ratio`"),
        (CONFIG + "ratio = 99.0", "ratio: must be between 1 and 15"),
        (CONFIG + 'mode = "power"', "mode: must be one of"),
        (CONFIG + "ring_limit_s = 5.0", "ring_limit_s: must be between 15"),
        (CONFIG + "connect_limit_s = 4.0", "connect_limit_s: must be above 0 and at most 2"),
        (CONFIG + 'caller_ids = ["86216888", "abc"]', "caller_ids[1]"),
        (CONFIG + 'trunk = "PJSIP/x@y"', "trunk: must hold {number}"),
        (
            CONFIG + 'trunk = "PJSIP/{number}@{carrier}"',
            "trunk: must hold {number}, and nothing else in braces",
        ),
        (CONFIG + 'trunk = "PJSIP/{number}}@carrier"', "trunk: must hold {number}"),
        (CONFIG + '[safe_harbour]\nopt_out_key = "99"', "safe_harbour.opt_out_key"),
        (CONFIG + '[safe_harbour]\nmessage = "a,b"', "safe_harbour.message"),
        (CONFIG + DISPOSITION + DISPOSITION, "dispositions[1].code: 'a' stands twice"),
        (
            CONFIG + DISPOSITION.replace(', zh = "甲"', ""),
            "dispositions[0].label: needs a text in en and in zh",
        ),
        (CONFIG + "[rules.windows.monday]", "rules.windows.monday: is no weekday"),
        (CONFIG + "[rules.windows.mon]\nfrom = 20:00:00\nto = 09:00:00", "rules.windows.mon: must end after"),
        (CONFIG + "[rules.retry_s]\nconnected = 1.0", "rules.retry_s.connected"),
        (CONFIG + "[rules.retry_s]\nbusy = inf", "rules.retry_s.busy: must be a finite number, is inf"),
        (CONFIG + "[rules.retry_s]\nbusy = 1e300", "rules.retry_s.busy: must be between 0 and 3153600000"),
        (CONFIG + "[rules]\nlock_out_s = nan", "rules.lock_out_s: must be a finite number, is nan"),
        (CONFIG + "[rules]\nlock_out_s = -1.0", "rules.lock_out_s: must be between 0 and"),
        (CONFIG + '[shadow]\nmode = "preview"', "shadow.mode: must be one of progressive, ratio, predictive"),
        (CONFIG + "[shadow]\nratio = 0.5", "shadow.ratio: must be between 1 and 15, is 0.5"),
        (CONFIG + "[shadow]\ntarget = 3.0", "shadow.target: must be a share between 0 and 1, is 3.0"),
        (CONFIG + "target = nan", "target: must be a finite number, is nan"),
        (CONFIG + "wrap_up_s = -inf", "wrap_up_s: must be a finite number, is -inf"),
        (
            CONFIG + DISPOSITION + "retry_after_s = inf",
            "dispositions[0].retry_after_s: must be a finite number, is inf",
        ),
        (CONFIG + DISPOSITION + "retry_after_s = 1e15", "dispositions[0].retry_after_s: must be between 0"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_the_key_and_the_reason(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, "spring.toml")
    assert str(raised.value).startswith("spring.toml: ") and says in str(raised.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path / "none.toml")
    (tmp_path / "odd.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 0"):
        load(tmp_path / "odd.toml")


def test_the_demos_campaign_is_a_good_one() -> None:
    assert parse(DEMO, "demo").mode == "predictive"


def test_an_outcome_decides_what_follows() -> None:
    config = parse(CONFIG, "x")
    assert after_outcome(config, Outcome.CONNECTED, 1, NOON).final
    assert after_outcome(config, Outcome.INVALID, 1, NOON).number_done
    assert after_outcome(config, Outcome.BUSY, 1, NOON).retry_at == NOON + timedelta(minutes=15)
    assert after_outcome(config, Outcome.BUSY, 3, NOON).number_done
    abandoned = after_outcome(config, Outcome.ABANDONED, 1, NOON)
    assert abandoned.locked_until == NOON + timedelta(days=3) and not abandoned.final
