"""A script's steps and answers, dispositions as a tree, and the address of the company's own system."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.config import ConfigError, crm_url, parse
from campaigns.dispositions import given as choices
from campaigns.script import as_text, fault_of_answers
from tests.campaigns.world import CONFIG
from tests.core.world import lead

SCRIPT = """
[[script]]
code = "greeting"
text = { en = "Good day, {customer}.", zh = "{customer}您好。" }

[[script]]
code = "broadband"
text = { en = "Do you have broadband?", zh = "您家装了宽带吗？" }
ask = "choice"
[[script.choices]]
code = "ours"
label = { en = "Ours", zh = "本网" }
then = "end"
[[script.choices]]
code = "none"
label = { en = "None", zh = "没有" }

[[script]]
code = "bill"
text = { en = "What do you pay a month?", zh = "每月话费多少？" }
ask = "number"
[[script]]
code = "until"
text = { en = "Until when?", zh = "合约到什么时候？" }
ask = "date"
"""
TREE = """
[[dispositions]]
code = "no"
label = { en = "No", zh = "不要" }
[[dispositions]]
code = "dear"
label = { en = "Too dear", zh = "太贵" }
within = "no"
required = ["notes", "broadband"]
[[dispositions]]
code = "sold"
label = { en = "Sold", zh = "成交" }
"""


def test_a_heading_is_no_verdict() -> None:
    config = parse(CONFIG + SCRIPT + TREE, "x")
    assert list(choices(config.dispositions)) == ["dear", "sold"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SCRIPT.replace('then = "end"', 'then = "bye"'), r"script\[1\].choices\[0\].then: there is no step"),
        (SCRIPT.replace('"until"', '"bill"'), r"script\[3\].code: 'bill' stands twice"),
        (SCRIPT.replace('"until"', '"end"'), r"script\[3\].code"),
        (SCRIPT.replace("{customer}.", "{customer."), r"script\[0\].text.en: has a brace"),
        (SCRIPT.replace('ask = "choice"', 'ask = "text"'), r"script\[1\].choices: belong to"),
        (SCRIPT.replace('ask = "date"', 'ask = "day"'), r"script\[3\].ask: must be one of"),
        (SCRIPT + TREE.replace('"broadband"', '"bandwidth"'), r"dispositions\[1\].required: 'bandwidth' is"),
        (SCRIPT + TREE.replace('within = "no"', 'within = "yes"'), r"dispositions\[1\].within: there is no"),
        (SCRIPT + TREE.replace('within = "no"', 'within = "dear"'), "is within itself"),
        (
            TREE.replace(', zh = "不要" }', ', zh = "不要" }\nfinal = true'),
            r"dispositions\[0\]: 'no' is a head",
        ),
        ('[crm]\nurl = "javascript:{number}"', "crm.url: must be an address"),
        ('[crm]\nurl = "https://{number}.example/"', "crm.url: must be an address"),
        ('[crm]\nurl = "https://crm.example/{}"', "crm.url: has a brace"),
        ("[crm]\nframe = true", "crm.frame: needs an address"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse(CONFIG + text, "x")


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ({}, ""),
        ({"broadband": "ours", "bill": "129.50", "until": "2026-12-31"}, ""),
        ({"broadband": "theirs"}, "broadband"),
        ({"bill": "much"}, "bill"),
        ({"bill": "NaN"}, "bill"),
        ({"until": "2026-02-30"}, "until"),
        ({"until": "20261231"}, "until"),
        ({"greeting": "yes"}, "greeting"),
        ({"other": "yes"}, "other"),
        ({"bill": ""}, "bill"),
    ],
)
def test_an_answer_is_one_to_its_question(answers: dict[str, str], fault: str) -> None:
    assert fault_of_answers(parse(CONFIG + SCRIPT, "x").script, answers) == fault


def test_answers_are_kept_the_same_whatever_their_order() -> None:
    assert as_text({"b": "2", "a": "一"}) == as_text({"a": "一", "b": "2"}) == '{"a":"一","b":"2"}'
    assert as_text({}) == ""


@given(st.text())
def test_nothing_of_a_customer_gets_out_of_its_place_in_the_address(name: str) -> None:
    config = parse(CONFIG + '[crm]\nurl = "https://crm.example/c/{customer_id}?n={number}&p={plan}"', "x")
    customer = lead(7)
    customer = msgspec.structs.replace(customer, customer_id=name, attributes={"plan": name})
    url = crm_url(config, customer)
    assert url.isascii()
    assert url.startswith("https://crm.example/c/")
    assert url.count("?") == 1 and url.count("&") == 1 and url.count("/") == 4 and url.count("#") == 0
