"""Who somebody is whom the company's own sign-on (OpenID Connect) vouches for: the bond of a subject to a user.

A subject (`sub`) is the one thing about a person that a provider never gives to anybody else (OpenID Connect Core,
5.7). A name or an address may be given up and given to a colleague. So the configured claim finds a user once; from
then on it is the subject alone that counts, and whoever comes by that name as another subject is not let in.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from campaigns.audit import By, acting, write
from campaigns.people import BadUser, LoginTaken, People
from campaigns.units import NoSuchUnit
from campaigns.users import COLUMNS, User, user_in

LONGEST = 255  # characters of a subject (OpenID Connect Core, 2), and of a login that is taken from a claim

BOUND = text(f"""
SELECT {COLUMNS}, u.enabled FROM sign_on s JOIN app_user u ON u.id = s.user_id
WHERE s.issuer = :issuer AND s.subject = :subject
""")
NAMED = text(f"""
SELECT {COLUMNS}, u.enabled, EXISTS (SELECT FROM sign_on s WHERE s.user_id = u.id AND s.issuer = :issuer) AS bound
FROM app_user u WHERE u.login = :login FOR UPDATE OF u
""")
BIND = text("""
INSERT INTO sign_on (issuer, subject, user_id, bound_at) VALUES (:issuer, :subject, :user, now())
ON CONFLICT DO NOTHING
""")
FORGET = text("""
DELETE FROM sign_on s USING app_user u WHERE u.id = s.user_id AND u.login = :login RETURNING s.issuer
""")
SIGN_OUT = text("DELETE FROM session s USING app_user u WHERE u.id = s.user_id AND u.login = :login")


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whom the provider `issuer` vouches for: `subject`, the configured claim as `login`, and how they are called."""

    issuer: str
    subject: str
    login: str
    name: str


@dataclass(frozen=True, slots=True)
class NewPeople:
    """What those become whom nobody added here."""

    role: str
    unit: str


class SignOns:
    """The bonds of one database. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def user(self, vouched: Vouched, source: str, new: NewPeople | None = None) -> User | None:
        """The user whom this is, bound from now on; None, on record, where there is none or they are shut out."""
        engine = acting(self._engine, By(vouched.login, source))
        with engine.begin() as connection:
            found, why = _found(connection, vouched)
        if found is None and not why and new is not None:
            found, why = _added(engine, vouched, new)
        if found is None:
            self.refused(vouched.login, source, why or "nobody here has this login")
        return found

    def refused(self, login: str, source: str, why: str) -> None:
        """Put on record that somebody was not let in."""
        with acting(self._engine, By(login, source)).begin() as connection:
            write(connection, "sign-on refused", login, why)

    def forget(self, login: str) -> bool:
        """Undo somebody's bond, as when their account at the provider was made anew; they are signed out."""
        with self._engine.begin() as connection:
            gone = connection.execute(FORGET, {"login": login}).scalars().all()
            if gone:
                connection.execute(SIGN_OUT, {"login": login})
                write(connection, "sign-on forgotten", login, before={"issuer": list(gone)})
            return bool(gone)


def _found(connection: Connection, vouched: Vouched) -> tuple[User | None, str]:
    """The user, or why there will be none; neither: nobody has this login."""
    of = {"issuer": vouched.issuer, "subject": vouched.subject}
    row = connection.execute(BOUND, of).one_or_none()
    if row is None:
        row = connection.execute(NAMED, {"issuer": vouched.issuer, "login": vouched.login}).one_or_none()
        if row is None:
            return None, ""
        if row.bound:
            return None, "the login belongs to another subject of the provider"
        if row.enabled:
            _bind(connection, vouched, row.id)
    return (user_in(row), "") if row.enabled else (None, "shut out")


def _added(engine: Engine, vouched: Vouched, new: NewPeople) -> tuple[User | None, str]:
    try:
        People(engine).add(new.unit, vouched.login, vouched.name, new.role, "")
    except (BadUser, NoSuchUnit) as fault:
        return None, str(fault)
    except LoginTaken:  # in this moment, by a second window of theirs
        pass
    with engine.begin() as connection:
        return _found(connection, vouched)


def _bind(connection: Connection, vouched: Vouched, user_id: int) -> None:
    connection.execute(BIND, {"issuer": vouched.issuer, "subject": vouched.subject, "user": user_id})
    write(
        connection,
        "sign-on bound",
        vouched.login,
        after={"issuer": vouched.issuer, "subject": vouched.subject},
    )
