"""People and units: a tree of any depth, who sees which campaigns in it, and the tables of before moved into it."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from campaigns import database
from campaigns.config import ConfigError
from campaigns.people import BadUser, NoSuchUser, People
from campaigns.rights import Right, Role
from campaigns.units import BadUnit, NoSuchUnit, Units
from campaigns.users import User, UserStore
from tests.campaigns.world import Campaign
from tests.database import as_of


def signed_in(db: Engine, login: str) -> User:
    user = UserStore(db).verify(login, "correct horse")
    assert user is not None
    return user


def test_a_unit_is_added_with_all_above_it_and_once(db: Engine) -> None:
    units = Units(db)
    team = units.add("兰州分公司/城关/一组")
    assert units.add(" 兰州分公司 / 城关 / 一组 ") == team
    assert [each.path for each in units.all()] == [
        "",
        "兰州分公司",
        "兰州分公司/城关",
        "兰州分公司/城关/一组",
    ]
    for path in ("a//b", "/a", "a\nb", "x" * 101):
        with pytest.raises(BadUnit):
            units.add(path)


def test_the_company_is_one(db: Engine) -> None:
    with pytest.raises(Exception, match="unit_root"), db.begin() as connection:
        connection.execute(text("INSERT INTO unit (name) VALUES ('')"))


@pytest.mark.parametrize(
    ("role", "unit", "sees"),
    [
        ("agent", "兰州", {"shared"}),
        ("supervisor", "兰州", {"shared"}),
        ("branch_manager", "兰州", {"shared", "branch", "team"}),
        ("analyst", "兰州/一组", {"shared", "team"}),
        ("auditor", "天水", {"shared", "other"}),
        ("administrator", "兰州", {"shared", "branch", "team"}),
        ("administrator", "", None),
    ],
)
def test_who_sees_which_campaigns(db: Engine, role: str, unit: str, sees: set[str] | None) -> None:
    units = Units(db)
    for campaign, of in (
        ("company", ""),
        ("branch", "兰州"),
        ("team", "兰州/一组"),
        ("other", "天水"),
        ("shared", ""),
    ):
        units.add(of)
        Campaign(db, leads=1, name=campaign, more=f'unit = "{of}"\n')
    People(db).add(unit, "lina", "李娜", role, "correct horse", campaigns=["shared"])
    user = signed_in(db, "lina")
    assert (None if user.seen is None else set(user.seen)) == sees
    assert user.sees("company") == (sees is None)
    assert user.may(Right.UNIT_CAMPAIGNS) == (role not in ("agent", "supervisor"))


def test_a_campaign_of_a_unit_that_is_not_there_is_refused(db: Engine) -> None:
    with pytest.raises(ConfigError, match="unit: there is no unit '兰州'"):
        Campaign(db, leads=1, more='unit = "兰州"\n')


def test_what_changes_somebodys_rights_signs_them_out(db: Engine) -> None:
    people, users = People(db), UserStore(db)
    Units(db).add("兰州")
    user_id = people.add("", "lina", "李娜", "agent", "correct horse")
    for change, ends in (
        ({"name": "李娜娜"}, False),
        ({"role": "supervisor"}, True),
        ({"unit": "兰州"}, True),
        ({"campaigns": ["spring"]}, True),
        ({"campaigns": ["spring:2"]}, False),
        ({"campaigns": ["spring:2", "summer"]}, True),
        ({"enabled": False}, True),
    ):
        token = users.open_session(user_id, "test")
        people.change("lina", **change)
        assert (users.session(token) is None) == ends, change
    [person] = people.list()
    assert (person.user.campaigns, dict(person.user.ranks)) == (("spring", "summer"), {"spring": 2})
    assert person.user.served == ["spring:2", "summer"]
    assert (person.user.name, person.user.role, person.unit, person.enabled) == (
        "李娜娜",
        "supervisor",
        "兰州",
        False,
    )
    assert users.verify("lina", "correct horse") is None
    people.change("lina", enabled=True)
    token = users.open_session(user_id, "test")
    people.set_password("lina", "battery staple")
    assert users.session(token) is None and users.verify("lina", "battery staple") is not None


def test_what_can_not_be_is_refused(db: Engine) -> None:
    people = People(db)
    with pytest.raises(BadUser, match="role"):
        people.add("", "lina", "李娜", "admin", "")
    with pytest.raises(BadUser, match="login"):
        people.add("", " lina", "李娜", "agent", "")
    for rank in ("0", "10", "", "first", "1:1"):
        with pytest.raises(BadUser, match="rank"):
            people.add("", "lina", "李娜", "agent", "", campaigns=[f"spring:{rank}"])
    with pytest.raises(NoSuchUnit):
        people.add("兰州", "lina", "李娜", "agent", "")
    with pytest.raises(NoSuchUser):
        people.change("lina", name="x")
    with pytest.raises(NoSuchUser):
        people.set_password("lina", "x")


def test_a_unit_lists_its_own_people_and_those_below(db: Engine) -> None:
    people, units = People(db), Units(db)
    branch, _ = units.add("兰州"), units.add("兰州/一组")
    for unit, login in (("", "root"), ("兰州", "chen"), ("兰州/一组", "lina")):
        people.add(unit, login, login, "agent", "")
    assert [each.user.login for each in people.list(branch)] == ["chen", "lina"]
    assert [each.user.login for each in people.list()] == ["root", "chen", "lina"]


def test_organisations_and_branches_become_units_and_admins_keep_seeing_everything() -> None:
    engine = as_of("0013")
    with engine.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO organisation (name) VALUES ('main'), ('西部/电信');
            INSERT INTO branch (organisation_id, name) VALUES (1, 'main'), (2, '兰州');
            INSERT INTO app_user (branch_id, login, name, role, password_hash)
            VALUES (1, 'root', 'Root', 'admin', ''), (2, 'chen', '陈静', 'supervisor', ''),
                (1, 'tom', 'Tom', 'agent', '');
            INSERT INTO campaign (name, version) VALUES ('spring', 1);
        """)
        )
    database.migrate(engine)
    people = {each.user.login: each for each in People(engine).list()}
    assert {login: (each.unit, each.user.role) for login, each in people.items()} == {
        "root": ("", str(Role.ADMINISTRATOR)),
        "chen": ("西部／电信/兰州", "supervisor"),
        "tom": ("main/main", "agent"),
    }
    assert people["root"].user.sees("spring") and not people["chen"].user.sees("spring")
    engine.dispose()
