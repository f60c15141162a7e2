"""What agents change of a customer is checked by the campaign's fields, and known with what it was before."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import Engine

from campaigns.contacts import Contacts
from campaigns.editing import CanNotEdit, Customer, Edit, edit
from tests.campaigns.test_called_in import importing
from tests.campaigns.world import NOON, Campaign, later

FIELDS = """
[[fields]]
name = "age"
type = "integer"
[[fields]]
name = "plan"
type = "choice"
choices = ["basic", "family"]
required = true
"""


def changed(db: Engine, campaign: Campaign, wanted: Edit, at: datetime = NOON) -> Customer:
    return edit(db, campaign.one("SELECT min(id) FROM lead")[0], 7, wanted, at)


def test_values_are_of_their_kind_and_the_old_ones_are_kept(db: Engine) -> None:
    campaign = Campaign(db, leads=2, more=FIELDS)
    now = changed(db, campaign, Edit(" 王小明 ", {"age": "41", "plan": "family", "n": "zero"}))
    assert (now.name, now.attributes) == ("王小明", {"n": "zero", "age": 41, "plan": "family"})
    changed(db, campaign, Edit(attributes={"age": ""}, number="+8613911112222"), at=later(hours=1))
    lead = campaign.one("SELECT min(id) FROM lead")[0]
    known = Contacts(db).of_customer(lead, "0" * 32, None)
    assert [(each.field, each.before, each.after) for each in known.edits] == [
        ("number", "", "+8613911112222"),
        ("attribute:age", "41", ""),
        ("attribute:n", "0", "zero"),
        ("attribute:plan", "", "family"),
        ("attribute:age", "", "41"),
        ("name", "客户0", "王小明"),
    ]
    assert [each.number for each in known.numbers] == ["+8613800000000", "+8613911112222"]
    assert campaign.one("SELECT attributes FROM lead ORDER BY id LIMIT 1")[0] == {
        "n": "zero",
        "plan": "family",
    }


def test_a_number_that_is_added_brings_its_zone(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    changed(db, campaign, Edit(number="+18085311111"))
    assert campaign.one("SELECT zones FROM lead").zones == ["Asia/Shanghai", "Pacific/Honolulu"]
    [lead] = campaign.lease()
    campaign.hopper.release([lead.call_id])
    assert campaign.lease(at=later(hours=3)) == []  # 15 o'clock in Shanghai, 21 o'clock in Honolulu


def test_a_number_that_an_import_is_bringing_in_is_another_customers(db: Engine) -> None:
    """Nobody waits for the import with the lead locked: what is recorded of its call would wait as well."""
    campaign = Campaign(db, leads=1)
    loading = importing(campaign, "+8613911112222")
    with pytest.raises(CanNotEdit) as refused:
        changed(db, campaign, Edit("new", number="+8613911112222"))
    assert (refused.value.field, refused.value.code) == ("number", "number_known")
    loading.finish(0, NOON)
    assert campaign.one("SELECT name FROM lead ORDER BY id LIMIT 1")[0] == "客户0"


def test_what_changes_nothing_leaves_no_trace(db: Engine) -> None:
    campaign = Campaign(db, leads=1, more=FIELDS)
    changed(db, campaign, Edit("客户0", {"age": ""}))
    assert campaign.one("SELECT count(*) FROM lead_edit")[0] == 0
    assert campaign.one("SELECT count(*) FROM audit WHERE action = 'customer edited'")[0] == 0


@pytest.mark.parametrize(
    ("wanted", "field", "code"),
    [
        (Edit(attributes={"age": "forty"}), "age", "wrong_type"),
        (Edit(attributes={"plan": "gold"}), "plan", "wrong_type"),
        (Edit(attributes={"plan": " "}), "plan", "needed"),
        (Edit(attributes={"shoe size": "41"}), "shoe size", "unknown_field"),
        (Edit(name="x" * 1_001), "name", "too_long"),
        (Edit(name="a\x00b"), "name", "wrong_type"),
        (Edit(name="new", number="+8613800000001"), "number", "number_known"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_changed(
    db: Engine, wanted: Edit, field: str, code: str
) -> None:
    campaign = Campaign(db, leads=2, more=FIELDS)
    with pytest.raises(CanNotEdit) as refused:
        changed(db, campaign, wanted)
    assert (refused.value.field, refused.value.code) == (field, code)
    assert campaign.one("SELECT name FROM lead ORDER BY id LIMIT 1")[0] == "客户0"
    assert campaign.one("SELECT count(*) FROM lead_edit")[0] == 0


def test_the_audit_log_says_what_was_changed_and_not_to_what(db: Engine) -> None:
    campaign = Campaign(db, leads=1, more=FIELDS)
    changed(db, campaign, Edit("王小明", {"plan": "family"}))
    lead, detail = campaign.one("SELECT subject, detail FROM audit WHERE action = 'customer edited'")
    assert (lead.partition(" ")[0], detail) == ("lead", "name, plan")
