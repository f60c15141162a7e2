"""A campaign changed live: its text keeps what its author wrote, each version says who and why, no file undoes it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from campaigns import database
from campaigns.audit import lines
from campaigns.config import ConfigError, parse
from campaigns.steering import Outdated, changed, followed, settings_of, to_file
from campaigns.store import CampaignStore
from tests.campaigns.test_called_in import importing
from tests.campaigns.world import CONFIG, Campaign

AT = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
TEXT = """# The spring offer. Ask Chen before you change the windows.
name = "spring"
switch = "main"
running = true  # since Monday
target = 0.03

[abandon]
profile = "us"  # 30 days
"""


def test_a_setting_is_changed_where_it_stands_and_all_else_stays() -> None:
    text = changed(TEXT, {"target": 0.02}, "spring")
    assert text == TEXT.replace("target = 0.03", "target = 0.02")
    assert changed(TEXT, {"running": False}, "spring") == TEXT.replace("= true  #", "= false  #")


def test_a_setting_that_does_not_stand_there_yet_comes_before_the_tables() -> None:
    text = changed(TEXT, {"mode": "ratio", "ratio": 2.5}, "spring")
    assert "profile" in text and "# 30 days" in text
    config = parse(text, "spring")
    assert (config.mode, config.ratio, config.abandon.profile) == ("ratio", 2.5, "us")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"target": 2.0}, "target: must be a share"),
        ({"mode": "wild"}, "mode: must be one of"),
        ({"max_lines": "many"}, "max_lines"),
        ({"ring_limit_s": 3.0}, "ring_limit_s: must be between 15"),
        ({"name": "autumn"}, "name: is not changed here"),
        ({"rules": 1}, "rules: is not changed here"),
    ],
)
def test_what_can_not_be_is_refused_with_its_reason(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        changed(TEXT, changes, "spring")  # type: ignore[arg-type]


def test_a_file_says_which_version_it_follows() -> None:
    assert followed(to_file("spring", 7, TEXT)) == (7, TEXT)
    assert followed(TEXT) == (None, TEXT)


def test_a_campaign_is_changed_while_a_list_is_imported_into_it(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    loading = importing(campaign, "+8613911112222")
    hasty = database.connect(db.url.render_as_string(hide_password=False), 2, "-c lock_timeout=100")
    stopped = changed(CONFIG, {"running": False}, "spring")
    assert CampaignStore(hasty).change("spring", 1, stopped, "chen", AT, "to be looked at").version == 2
    assert CampaignStore(hasty).apply(to_file("spring", 2, CONFIG), "spring.toml", "folder", AT).version == 3
    hasty.dispose()
    loading.finish(0, AT)


def test_a_version_is_made_says_who_and_why_and_can_be_taken_back(db: Engine) -> None:
    store = CampaignStore(db)
    store.apply(TEXT, "spring.toml", "folder", AT)
    text = changed(TEXT, {"target": 0.01, "mode": "predictive"}, "spring")
    assert store.change("spring", 1, text, "chen", AT, "too many complaints").version == 2
    assert store.change("spring", 2, TEXT, "meng", AT, "they were of another campaign").version == 3
    told = [(each.version, each.who, each.made_in, each.why) for each in store.versions("spring")]
    assert told == [
        (3, "meng", "console", "they were of another campaign"),
        (2, "chen", "console", "too many complaints"),
        (1, "folder", "file", ""),
    ]
    found = store.find("spring")
    assert found is not None and settings_of(found.config)["target"] == 0.03  # type: ignore[union-attr]
    line = lines(db, who="chen")[0]
    assert (line.action, line.detail) == ("campaign applied", "too many complaints")
    assert line.before is not None and '"target":0.03' in line.before.replace(" ", "")
    assert line.after is not None and '"mode":"predictive"' in line.after.replace(" ", "")


def test_of_two_who_change_the_same_version_the_second_is_told(db: Engine) -> None:
    store = CampaignStore(db)
    store.apply(TEXT, "spring.toml", "folder", AT)
    store.change("spring", 1, changed(TEXT, {"target": 0.01}, "spring"), "chen", AT, "first")
    with pytest.raises(Outdated) as refused:
        store.change("spring", 1, changed(TEXT, {"priority": 3}, "spring"), "meng", AT, "second")
    assert "-target = 0.01" in refused.value.difference and "+target = 0.03" in refused.value.difference
    assert len(store.versions("spring")) == 2


def test_a_file_older_than_what_is_live_is_refused_with_the_difference_until_it_follows(db: Engine) -> None:
    store = CampaignStore(db)
    store.apply(TEXT, "spring.toml", "folder", AT)
    live = changed(TEXT, {"target": 0.01}, "spring")
    store.change("spring", 1, live, "chen", AT, "first")
    newer = TEXT.replace("30 days", "a month")
    for text in (TEXT, newer):
        with pytest.raises(
            Outdated, match=r"older than the live version 2 of spring, which chen made"
        ) as refused:
            store.apply(text, "spring.toml", "folder", AT)
        assert "+target = 0.03" in refused.value.difference
    assert store.apply(live, "spring.toml", "folder", AT).version == 2  # brought over by hand: the same
    with pytest.raises(Outdated):
        store.apply(to_file("spring", 1, newer), "spring.toml", "folder", AT)
    assert store.apply(to_file("spring", 2, newer), "spring.toml", "folder", AT).version == 3
    assert "follows" not in store.versions("spring")[0].text
    assert store.apply(TEXT, "spring.toml", "folder", AT).version == 4  # the files' own again


def test_what_a_file_would_change_is_told_before(db: Engine) -> None:
    store = CampaignStore(db)
    assert "+target = 0.03" in store.differs(TEXT, "spring.toml")
    store.apply(TEXT, "spring.toml", "folder", AT)
    assert store.differs(TEXT, "spring.toml") == ""
    assert "+priority = 3" in store.differs("priority = 3\n" + TEXT, "spring.toml")
    assert len(store.versions("spring")) == 1
