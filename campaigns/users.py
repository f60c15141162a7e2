"""Users and their log-ins: sessions that can be listed and revoked, kept as hashes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, text

from campaigns.audit import By, acting, write
from campaigns.passwords import HASHER, hashed, matches
from campaigns.rights import REACHING, RIGHTS, Right, Role
from campaigns.units import BELOW

TOKEN_BYTES = 32
IDLE_LIMIT = timedelta(hours=12)
TOTAL_LIMIT = timedelta(days=7)
BROWSER = 200  # characters of what a browser says of itself
WAITING_LIMIT = timedelta(minutes=10)  # to find the phone, or set it up
LAST_RANK = 9
SEEN_STEP = timedelta(minutes=1)  # how finely use is noted: a page asks often

# `of_unit`: the campaigns of their unit and all below it, for the roles that see them; NULL at the root, for all.
COLUMNS = f"""
u.id, u.login, u.name, u.role, u.phone, u.language, u.campaigns, u.ranks, u.password_hash, u.unit_id,
u.totp_secret IS NOT NULL AS second_factor,
CASE WHEN u.role NOT IN ({", ".join(f"'{role}'" for role in REACHING)}) THEN '{{}}'::text[]
    WHEN (SELECT parent_id FROM unit WHERE id = u.unit_id) IS NULL THEN NULL
    ELSE ARRAY({BELOW.format(unit="u.unit_id")}
        SELECT c.name FROM campaign c JOIN below b ON c.unit_id = b.id) END AS of_unit
"""
BY_LOGIN = text(f"SELECT {COLUMNS} FROM app_user u WHERE u.login = :login AND u.enabled")
ALL = text(f"SELECT {COLUMNS} FROM app_user u WHERE u.enabled ORDER BY u.id")
BY_TOKEN = text(f"""
SELECT {COLUMNS}, s.seen_at FROM session s JOIN app_user u ON u.id = s.user_id
WHERE s.token_hash = :hash AND u.enabled AND s.seen_at > :idle AND s.opened_at > :total AND s.waits_for = ''
""")
WAITING = text(f"""
SELECT {COLUMNS} FROM session s JOIN app_user u ON u.id = s.user_id
WHERE s.token_hash = :hash AND u.enabled AND s.opened_at > :since AND s.waits_for = :waits_for
""")
OPEN = text("""
INSERT INTO session (token_hash, user_id, source, browser, opened_at, seen_at, waits_for, id_token)
VALUES (:hash, :user, :source, :browser, :now, :now, :waits_for, :id_token)
""")
OF_USER = text("""
SELECT id, source, browser, opened_at, seen_at, token_hash = :hash AS this FROM session
WHERE user_id = :user AND seen_at > :idle AND opened_at > :total AND waits_for = '' ORDER BY seen_at DESC
""")
REVOKE = text("DELETE FROM session WHERE user_id = :user AND id = :id")
CLOSE_ALL = text("DELETE FROM session WHERE user_id = :user")
SEEN = text("UPDATE session SET seen_at = :now WHERE token_hash = :hash")
LOGIN = text("SELECT login FROM app_user WHERE id = :user")
CLOSE = text("""
DELETE FROM session s USING app_user u WHERE s.token_hash = :hash AND u.id = s.user_id
RETURNING u.login, s.id_token
""")
EXPIRED = text("DELETE FROM session WHERE seen_at <= :idle OR opened_at <= :total")
SECRET = text("SELECT login, name, password_hash FROM app_user WHERE id = :user FOR UPDATE")
REHASH = text("UPDATE app_user SET password_hash = :hash WHERE id = :user")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in. `phone` is their usual SIP endpoint, `language` `en`, `zh` or empty.

    `campaigns` are those they serve; `of_unit` those they see besides because their unit has them, None: all.
    `ranks` has the campaigns in which they do not stand first, at 1, but further back, up to :data:`LAST_RANK`.
    `only` are the rights of the token that they ask with; None: they are signed in themselves.
    """

    user_id: int
    login: str
    name: str
    role: str
    phone: str
    campaigns: tuple[str, ...]
    language: str = ""
    unit_id: int = 0
    of_unit: tuple[str, ...] | None = ()
    second_factor: bool = False
    only: frozenset[Right] | None = None
    ranks: Mapping[str, int] = field(default_factory=dict, hash=False)

    def may(self, right: Right) -> bool:
        """Whether their role has this right, and what they ask with is good for it."""
        return right in RIGHTS[Role(self.role)] and (self.only is None or right in self.only)

    @property
    def sees_all(self) -> bool:
        """Whether they see whatever campaign there is: what concerns all of them is theirs to decide."""
        return self.of_unit is None

    @property
    def served(self) -> Sequence[str]:
        """The campaigns they serve as people write them, `summer:2` where they stand second."""
        return [f"{name}:{self.ranks[name]}" if name in self.ranks else name for name in self.campaigns]

    @property
    def seen(self) -> Collection[str] | None:
        """The campaigns they may be told of; None: all."""
        return None if self.of_unit is None else {*self.campaigns, *self.of_unit}

    def sees(self, campaign: str) -> bool:
        """Whether they may be told of this campaign."""
        return self.of_unit is None or campaign in self.campaigns or campaign in self.of_unit


@dataclass(frozen=True, slots=True)
class Session:
    """One of a user's sessions; `this` is the one that asks."""

    session_id: int
    source: str
    browser: str
    opened_at: datetime
    seen_at: datetime
    this: bool


class UserStore:
    """The users of one database. Every method blocks; :meth:`verify` takes about 0.1 s of a core."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def verify(self, login: str, password: str, source: str = "") -> User | None:
        """The user with this login and password, or None. A login that is unknown or has no password takes as long."""
        with self.engine.connect() as connection:
            row = connection.execute(BY_LOGIN, {"login": login}).one_or_none()
        if not matches(row.password_hash if row is not None else None, password) or row is None:
            with acting(self.engine, By(login, source)).begin() as connection:
                write(connection, "sign-in refused", login)
            return None
        if HASHER.check_needs_rehash(row.password_hash):
            with self.engine.begin() as connection:
                connection.execute(REHASH, {"hash": HASHER.hash(password), "user": row.id})
        return user_in(row)

    def open_session(
        self, user_id: int, source: str, browser: str = "", waits_for: str = "", id_token: str = ""
    ) -> str:
        """A new session's token, of which only the hash is kept. Sessions that have run out are swept.

        `source` is the address it is opened from, `browser` what the browser says it is. One that
        `waits_for` a code or an enrolment is good for that alone, and for ten minutes. `id_token` is
        what the company's own sign-on gave for it.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with acting(self.engine, By("", source)).begin() as connection:
            _open(connection, token, user_id, source, browser, waits_for, id_token)
            login = connection.execute(LOGIN, {"user": user_id}).scalar_one()
            action = "signed in" if not waits_for else "password right"
            after = {"browser": browser[:BROWSER]} | ({"by": "sign-on"} if id_token else {})
            write(connection, action, login, after=after, who=login)
        return token

    def session(self, token: str) -> User | None:
        """The user of a live session; looking it up counts as use."""
        now = datetime.now(UTC)
        values = {"hash": _hash(token), "idle": now - IDLE_LIMIT, "total": now - TOTAL_LIMIT}
        with self.engine.connect() as connection:
            row = connection.execute(BY_TOKEN, values).one_or_none()
            if row is not None and row.seen_at < now - SEEN_STEP:
                connection.execute(SEEN, {"hash": _hash(token), "now": now})
                connection.commit()
        return user_in(row) if row is not None else None

    def waiting(self, token: str, waits_for: str) -> User | None:
        """The user of a session that waits for this, for ten minutes after the password."""
        values = {"hash": _hash(token), "since": datetime.now(UTC) - WAITING_LIMIT, "waits_for": waits_for}
        with self.engine.connect() as connection:
            row = connection.execute(WAITING, values).one_or_none()
        return user_in(row) if row is not None else None

    def close_session(self, token: str, source: str = "") -> str:
        """End a session, an unknown one is no error; the ID token that it was opened with, or an empty text."""
        with acting(self.engine, By("", source)).begin() as connection:
            closed = connection.execute(CLOSE, {"hash": _hash(token)}).one_or_none()
            if closed is None:
                return ""
            write(connection, "signed out", closed.login, who=closed.login)
            return closed.id_token

    def sessions(self, user_id: int, token: str) -> Sequence[Session]:
        """A user's live sessions, the last used first; `token` says which one is asking."""
        now = datetime.now(UTC)
        values = {"user": user_id, "hash": _hash(token), "idle": now - IDLE_LIMIT, "total": now - TOTAL_LIMIT}
        with self.engine.connect() as connection:
            return [Session(*row) for row in connection.execute(OF_USER, values)]

    def revoke(self, user_id: int, session_id: int) -> bool:
        """End one of a user's sessions; whether there was one."""
        with self.engine.begin() as connection:
            ended = bool(connection.execute(REVOKE, {"user": user_id, "id": session_id}).rowcount)
            if ended:
                write(connection, "session ended", f"session {session_id}")
            return ended

    def change_password(self, user_id: int, old: str, new: str, source: str, browser: str = "") -> str | None:
        """Change a user's own password: all their sessions end, the new one's token is returned; None: `old` is wrong.

        Raises :class:`campaigns.passwords.WeakPassword`.
        """
        with self.engine.begin() as connection:
            row = connection.execute(SECRET, {"user": user_id}).one()
            if not matches(row.password_hash, old):
                return None
            connection.execute(REHASH, {"hash": hashed(new, row.login, row.name), "user": user_id})
            connection.execute(CLOSE_ALL, {"user": user_id})
            token = secrets.token_urlsafe(TOKEN_BYTES)
            _open(connection, token, user_id, source, browser)
            write(connection, "password changed", row.login)
        return token

    def all(self) -> Sequence[User]:
        """Every enabled user."""
        with self.engine.connect() as connection:
            return [user_in(row) for row in connection.execute(ALL)]


def _open(
    connection: Connection,
    token: str,
    user_id: int,
    source: str,
    browser: str,
    waits_for: str = "",
    id_token: str = "",
) -> None:
    now = datetime.now(UTC)
    connection.execute(EXPIRED, {"idle": now - IDLE_LIMIT, "total": now - TOTAL_LIMIT})
    values = {
        "hash": _hash(token),
        "user": user_id,
        "source": source,
        "waits_for": waits_for,
        "id_token": id_token,
        "browser": browser[:BROWSER],
        "now": now,
    }
    connection.execute(OPEN, values)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def user_in(row) -> User:  # type: ignore[no-untyped-def]
    """The user in a row of :data:`COLUMNS`."""
    return User(
        row.id,
        row.login,
        row.name,
        row.role,
        row.phone,
        tuple(row.campaigns),
        row.language,
        row.unit_id,
        None if row.of_unit is None else tuple(row.of_unit),
        row.second_factor,
        ranks=row.ranks,
    )
