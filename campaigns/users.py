"""Users and their log-ins: passwords by argon2, sessions that can be listed and revoked, kept as hashes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, text

from campaigns.config import CampaignsError

TOKEN_BYTES = 32
IDLE_LIMIT = timedelta(hours=12)
TOTAL_LIMIT = timedelta(days=7)
SEEN_STEP = timedelta(minutes=1)  # how finely use is noted: a page asks often

HASHER = PasswordHasher()
# What a log-in with an unknown name is checked against, so that it takes as long as a known one.
NOBODY = HASHER.hash(secrets.token_hex(16))

COLUMNS = "u.id, u.login, u.name, u.role, u.phone, u.language, u.campaigns, u.password_hash"
BY_LOGIN = text(f"SELECT {COLUMNS} FROM app_user u WHERE u.login = :login AND u.enabled")
ALL = text(f"SELECT {COLUMNS} FROM app_user u WHERE u.enabled ORDER BY u.id")
BY_TOKEN = text(f"""
SELECT {COLUMNS}, s.seen_at FROM session s JOIN app_user u ON u.id = s.user_id
WHERE s.token_hash = :hash AND u.enabled AND s.seen_at > :idle AND s.opened_at > :total
""")
OPEN = text("""
INSERT INTO session (token_hash, user_id, source, opened_at, seen_at) VALUES (:hash, :user, :source, :now, :now)
""")
SEEN = text("UPDATE session SET seen_at = :now WHERE token_hash = :hash")
CLOSE = text("DELETE FROM session WHERE token_hash = :hash")
EXPIRED = text("DELETE FROM session WHERE seen_at <= :idle OR opened_at <= :total")
REHASH = text("UPDATE app_user SET password_hash = :hash WHERE id = :user")
CREATE = text("""
INSERT INTO app_user (branch_id, login, name, role, password_hash, phone, language, campaigns)
VALUES (:branch, :login, :name, :role, :hash, :phone, :language, :campaigns) RETURNING id
""")
BRANCH = text("""
WITH o AS (INSERT INTO organisation (name) VALUES (:organisation)
    ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id)
INSERT INTO branch (organisation_id, name) SELECT o.id, :branch FROM o
ON CONFLICT (organisation_id, name) DO UPDATE SET name = excluded.name RETURNING id
""")


class LoginTaken(CampaignsError):
    """There is a user with this login already."""


@dataclass(frozen=True, slots=True)
class User:
    """A user's record."""

    user_id: int
    login: str
    name: str
    role: str
    phone: str
    campaigns: tuple[str, ...]
    language: str


class UserStore:
    """The users of one database. Every method blocks; :meth:`verify` takes about 0.1 s of a core."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def verify(self, login: str, password: str) -> User | None:
        """The user with this login and password, or None. A known and an unknown login take as long."""
        with self._engine.connect() as connection:
            row = connection.execute(BY_LOGIN, {"login": login}).one_or_none()
        try:
            HASHER.verify(row.password_hash if row is not None else NOBODY, password)
        except (VerificationError, InvalidHashError):
            return None
        if row is None:
            return None
        if HASHER.check_needs_rehash(row.password_hash):
            with self._engine.begin() as connection:
                connection.execute(REHASH, {"hash": HASHER.hash(password), "user": row.id})
        return _user(row)

    def open_session(self, user_id: int, source: str) -> str:
        """A new session's token, of which only the hash is kept. Sessions that have run out are swept."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now = datetime.now(UTC)
        with self._engine.begin() as connection:
            connection.execute(EXPIRED, {"idle": now - IDLE_LIMIT, "total": now - TOTAL_LIMIT})
            connection.execute(OPEN, {"hash": _hash(token), "user": user_id, "source": source, "now": now})
        return token

    def session(self, token: str) -> User | None:
        """The user of a live session; looking it up counts as use."""
        now = datetime.now(UTC)
        values = {"hash": _hash(token), "idle": now - IDLE_LIMIT, "total": now - TOTAL_LIMIT}
        with self._engine.connect() as connection:
            row = connection.execute(BY_TOKEN, values).one_or_none()
            if row is not None and row.seen_at < now - SEEN_STEP:
                connection.execute(SEEN, {"hash": _hash(token), "now": now})
                connection.commit()
        return _user(row) if row is not None else None

    def close_session(self, token: str) -> None:
        """End a session; an unknown one is no error."""
        with self._engine.begin() as connection:
            connection.execute(CLOSE, {"hash": _hash(token)})

    def all(self) -> Sequence[User]:
        """Every enabled user."""
        with self._engine.connect() as connection:
            return [_user(row) for row in connection.execute(ALL)]

    def branch(self, organisation: str, branch: str) -> int:
        """The id of a branch, made if need be."""
        with self._engine.begin() as connection:
            return connection.execute(BRANCH, {"organisation": organisation, "branch": branch}).scalar_one()

    def create(
        self,
        branch_id: int,
        login: str,
        name: str,
        role: str,
        password: str,
        phone: str = "",
        campaigns: Sequence[str] = (),
        language: str = "",
    ) -> int:
        """Add a user and return their id. Raises :class:`LoginTaken`. An empty password admits nobody."""
        values = {
            "branch": branch_id,
            "login": login,
            "name": name,
            "role": role,
            "hash": HASHER.hash(password) if password else "",
            "phone": phone,
            "language": language,
            "campaigns": list(campaigns),
        }
        with self._engine.begin() as connection:
            if connection.execute(BY_LOGIN, {"login": login}).one_or_none() is not None:
                raise LoginTaken(f"there is a user with the login {login!r} already")
            return connection.execute(CREATE, values).scalar_one()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _user(row) -> User:  # type: ignore[no-untyped-def]
    return User(row.id, row.login, row.name, row.role, row.phone, tuple(row.campaigns), row.language)
