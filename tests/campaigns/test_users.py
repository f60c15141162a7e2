"""People log in: the right password opens a session, nothing else does, and a closed one stays closed."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from campaigns.people import LoginTaken, People
from campaigns.users import UserStore

RIGHT = "correct horse"


@pytest.fixture
def users(db: Engine) -> UserStore:
    People(db).add("", "lina", "李娜", "agent", RIGHT, "seat001", ["spring"], "zh")
    return UserStore(db)


def test_only_the_right_password_is_taken(users: UserStore) -> None:
    user = users.verify("lina", RIGHT)
    assert user is not None and (user.name, user.phone, user.campaigns) == ("李娜", "seat001", ("spring",))
    assert users.verify("lina", "wrong") is None
    assert users.verify("nobody", RIGHT) is None


def test_a_user_without_a_password_can_not_log_in(users: UserStore, db: Engine) -> None:
    People(db).add("", "virtual", "V", "agent", "")
    assert users.verify("virtual", "") is None


def test_a_session_lives_until_it_is_closed_and_only_its_hash_is_kept(users: UserStore, db: Engine) -> None:
    user = users.verify("lina", RIGHT)
    assert user is not None
    token = users.open_session(user.user_id, "127.0.0.1")
    assert users.session(token) == user
    with db.connect() as connection:
        stored = connection.execute(text("SELECT encode(token_hash, 'escape') FROM session")).scalar_one()
    assert token not in stored
    users.close_session(token)
    assert users.session(token) is None and users.session("made up") is None


@pytest.mark.parametrize("column", ["seen_at", "opened_at"])
def test_a_session_runs_out(users: UserStore, db: Engine, column: str) -> None:
    token = users.open_session(1, "127.0.0.1")
    with db.begin() as connection:
        connection.execute(text(f"UPDATE session SET {column} = now() - interval '8 days'"))
    assert users.session(token) is None


def test_a_login_is_taken_once(users: UserStore, db: Engine) -> None:
    with pytest.raises(LoginTaken):
        People(db).add("", "lina", "Other", "agent", RIGHT)
