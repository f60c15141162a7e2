"""The people who may log in, as those who keep them see them: added, looked up, changed, given a password, shut out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from campaigns.audit import write
from campaigns.config import CampaignsError
from campaigns.passwords import hashed
from campaigns.rights import Role
from campaigns.units import BELOW, PATHS, unit_of
from campaigns.users import COLUMNS, LAST_RANK, User, user_in

LIST = text(f"""
{PATHS}
SELECT {COLUMNS}, u.enabled, p.path FROM app_user u JOIN path p ON p.id = u.unit_id
WHERE CAST(:within AS bigint) IS NULL
    OR u.unit_id IN ({BELOW.format(unit="CAST(:within AS bigint)")} SELECT id FROM below)
ORDER BY string_to_array(p.path, '/'), u.login
""")
ONE = text(f"""
{PATHS}
SELECT {COLUMNS}, u.enabled, p.path FROM app_user u JOIN path p ON p.id = u.unit_id WHERE u.login = :login
FOR UPDATE OF u
""")
TAKEN = text("SELECT 1 FROM app_user WHERE login = :login")
ADD = text("""
INSERT INTO app_user (unit_id, login, name, role, password_hash, phone, language, campaigns, ranks)
VALUES (:unit, :login, :name, :role, :hash, :phone, :language, :campaigns, CAST(:ranks AS jsonb)) RETURNING id
""")
CHANGE = text("""
UPDATE app_user SET unit_id = :unit, name = :name, role = :role, phone = :phone, language = :language,
    campaigns = :campaigns, ranks = CAST(:ranks AS jsonb), enabled = :enabled WHERE id = :user
""")
SERVES = text("SELECT login, campaigns FROM app_user WHERE id = :user FOR UPDATE")
ASSIGN = text("UPDATE app_user SET campaigns = :campaigns WHERE id = :user")
PASSWORD = text("UPDATE app_user SET password_hash = :hash WHERE id = :user")
SIGN_OUT = text("DELETE FROM session WHERE user_id = :user")
RANKS = tuple(map(str, range(1, LAST_RANK + 1)))
RIGHTS_GIVEN = ("role", "unit", "campaigns", "enabled")  # a change of these ends whoever is signed in by them


class LoginTaken(CampaignsError):
    """There is a user with this login already."""


class NoSuchUser(CampaignsError):
    """There is no user of this login."""


class BadUser(CampaignsError):
    """Something about a user that can't be. The text says what."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, their unit's path, and whether they may log in at all."""

    user: User
    unit: str
    enabled: bool


class People:
    """The people of one database. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self, within: int | None = None) -> Sequence[Person]:
        """Everybody by unit and login, shut out or not; of a unit and all below it, or of the company."""
        with self._engine.connect() as connection:
            return [_person(row) for row in connection.execute(LIST, {"within": within})]

    def add(
        self,
        unit: str,
        login: str,
        name: str,
        role: str,
        password: str,
        phone: str = "",
        campaigns: Sequence[str] = (),
        language: str = "",
    ) -> int:
        """Add somebody to the unit of this path, and return their id. An empty password admits nobody.

        `campaigns` are those they serve, as in :func:`served`.

        Raises :class:`LoginTaken`, :class:`BadUser`, :class:`campaigns.passwords.WeakPassword`,
        :class:`campaigns.units.NoSuchUnit`.
        """
        if not login or login != login.strip() or not login.isprintable():
            raise BadUser(f"{login!r} is no login")
        values = {
            "login": login,
            "name": name,
            "role": _role(role),
            "hash": hashed(password, login, name) if password else "",
            "phone": phone,
            "language": language,
        }
        names, ranks = served(campaigns)
        values |= {"campaigns": names, "ranks": json.dumps(ranks)}
        with self._engine.begin() as connection:
            if connection.execute(TAKEN, {"login": login}).one_or_none() is not None:
                raise LoginTaken(f"there is a user with the login {login!r} already")
            user_id = connection.execute(ADD, values | {"unit": unit_of(connection, unit)}).scalar_one()
            write(connection, "user added", login, after=_as_told(_one(connection, login)))
            return user_id

    def change(self, login: str, **changes: object) -> Person:
        """Change `name`, `role`, `unit`, `phone`, `language`, `campaigns` or `enabled`; who they were.

        With another role, unit, campaigns, or shut out, they are signed out everywhere. Raises :class:`NoSuchUser`,
        :class:`BadUser` and :class:`campaigns.units.NoSuchUnit`.
        """
        with self._engine.begin() as connection:
            was = _one(connection, login)
            now = _as_told(was) | changes
            names, ranks = served(now["campaigns"])  # type: ignore[arg-type]
            values = now | {
                "campaigns": names,
                "ranks": json.dumps(ranks),
                "user": was.user.user_id,
                "role": _role(str(now["role"])),
                "unit": unit_of(connection, str(now["unit"])),
            }
            connection.execute(CHANGE, values)
            old = _as_told(was)
            changed = [key for key in old if now[key] != old[key]]
            if any(key in RIGHTS_GIVEN for key in changed) and not (
                changed == ["campaigns"]
                and names == list(was.user.campaigns)  # only where they stand in them
            ):
                connection.execute(SIGN_OUT, {"user": was.user.user_id})
            before, after = ({key: each[key] for key in changed} for each in (old, now))
            write(connection, "user changed", login, before=before, after=after)
        return was

    def assign(self, user_id: int, campaigns: Sequence[str]) -> None:
        """Have somebody serve these campaigns from now on, without a break: they stay signed in.

        Raises :class:`NoSuchUser`.
        """
        with self._engine.begin() as connection:
            row = connection.execute(SERVES, {"user": user_id}).one_or_none()
            if row is None:
                raise NoSuchUser(f"there is no user {user_id}")
            connection.execute(ASSIGN, {"user": user_id, "campaigns": list(campaigns)})
            before, after = {"campaigns": list(row.campaigns)}, {"campaigns": list(campaigns)}
            write(connection, "seat assigned", row.login, before=before, after=after)

    def set_password(self, login: str, password: str) -> None:
        """Give somebody a new password, and sign them out everywhere.

        Raises :class:`NoSuchUser` and :class:`campaigns.passwords.WeakPassword`.
        """
        with self._engine.begin() as connection:
            was = _one(connection, login)
            kept = hashed(password, login, was.user.name)
            connection.execute(PASSWORD, {"hash": kept, "user": was.user.user_id})
            connection.execute(SIGN_OUT, {"user": was.user.user_id})
            write(connection, "password set", login)


def _one(connection: Connection, login: str) -> Person:
    row = connection.execute(ONE, {"login": login}).one_or_none()
    if row is None:
        raise NoSuchUser(f"there is no user {login!r}; `dialer user list` shows those there are")
    return _person(row)


def _person(row) -> Person:  # type: ignore[no-untyped-def]
    return Person(user_in(row), row.path, row.enabled)


def _as_told(person: Person) -> dict[str, object]:
    user = person.user
    return {
        "name": user.name,
        "role": user.role,
        "unit": person.unit,
        "phone": user.phone,
        "language": user.language,
        "campaigns": list(user.served),
        "enabled": person.enabled,
    }


def served(campaigns: Iterable[str]) -> tuple[list[str], dict[str, int]]:
    """Campaigns as people write them: the names, and where somebody does not stand first, `summer:2`.

    Raises :class:`BadUser`.
    """
    names, ranks = list[str](), dict[str, int]()
    for each in campaigns:
        name, colon, rank = (part.strip() for part in each.partition(":"))
        if colon and rank not in RANKS:
            raise BadUser(f"{each!r}: behind a campaign's name stands a rank of 1 to {LAST_RANK}")
        if name and name not in names:
            names.append(name)
            ranks |= {name: int(rank)} if colon and rank != "1" else {}
    return names, ranks


def _role(role: str) -> str:
    if role not in set(Role):
        raise BadUser(f"{role!r} is no role; use {', '.join(Role)}")
    return role
