"""API tokens: programs ask with them in somebody's name, for some of that person's rights, until they expire."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine, text

from campaigns.audit import write
from campaigns.config import CampaignsError
from campaigns.rights import RIGHTS, Right, Role
from campaigns.users import COLUMNS, SEEN_STEP, User, user_in

MARK = "zdt_"  # so that a token that leaked is known for one, by people and by scanners of secrets
TOKEN_BYTES = 32
LONGEST_NAME = 100
LONGEST_DAYS = 366
MOST = 20  # of one person at a time
# Accounts are kept by people on pages; how far a token reaches is how far its owner does.
NEVER = frozenset((Right.ACCOUNT, Right.PEOPLE, Right.UNIT_CAMPAIGNS))

MAKE = text("""
INSERT INTO api_token (user_id, name, hash, rights, made_at, expires_at)
VALUES (:user, :name, :hash, :rights, :now, :expires) RETURNING id
""")
LIVE = text("""
SELECT id, name, rights, made_at, expires_at, used_at, used_from FROM api_token
WHERE user_id = :user AND revoked_at IS NULL AND expires_at > :now ORDER BY id
""")
REVOKE = text("""
UPDATE api_token SET revoked_at = :now WHERE user_id = :user AND id = :id AND revoked_at IS NULL RETURNING name
""")
BY_HASH = text(f"""
SELECT {COLUMNS}, t.id AS token_id, t.rights, t.used_at, t.used_from
FROM api_token t JOIN app_user u ON u.id = t.user_id
WHERE t.hash = :hash AND u.enabled AND t.revoked_at IS NULL AND t.expires_at > :now
""")
USED = text("UPDATE api_token SET used_at = :now, used_from = :source WHERE id = :id")


class BadToken(CampaignsError):
    """A token that can't be made. `code` says why, for the pages: name, rights, days or many."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Token:
    """A token as its owner sees it: never the token itself."""

    token_id: int
    name: str
    rights: tuple[str, ...]
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None
    used_from: str


def grantable(user: User) -> list[Right]:
    """The rights that this user can give to a token."""
    return [right for right in Right if right in RIGHTS[Role(user.role)] and right not in NEVER]


class Tokens:
    """The tokens of one database. Every method blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def make(self, user: User, name: str, rights: Collection[str], days: int, now: datetime) -> str:
        """A new token, told this once; only its hash is kept. Raises :class:`BadToken`."""
        name = name.strip()
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise BadToken("name", f"a token has a name of at most {LONGEST_NAME} characters")
        if not rights or not set(rights) <= set(grantable(user)):
            raise BadToken("rights", "a token has some of its owner's rights, and no other")
        if not 1 <= days <= LONGEST_DAYS:
            raise BadToken("days", f"a token holds for 1 to {LONGEST_DAYS} days")
        token, expires = MARK + secrets.token_urlsafe(TOKEN_BYTES), now + timedelta(days=days)
        values = {"user": user.user_id, "name": name, "hash": _hash(token), "rights": sorted(rights)}
        with self._engine.begin() as connection:
            if len(connection.execute(LIVE, {"user": user.user_id, "now": now}).all()) >= MOST:
                raise BadToken("many", f"nobody has more than {MOST} tokens")
            made = connection.execute(MAKE, values | {"now": now, "expires": expires}).scalar_one()
            told = {"name": name, "rights": sorted(rights), "expires": expires}
            write(connection, "token made", f"token {made}", after=told)
        return token

    def of(self, user_id: int, now: datetime) -> Sequence[Token]:
        """A user's tokens that hold."""
        with self._engine.connect() as connection:
            rows = connection.execute(LIVE, {"user": user_id, "now": now})
            return [Token(row.id, row.name, tuple(row.rights), *row[3:]) for row in rows]

    def revoke(self, user_id: int, token_id: int, now: datetime) -> bool:
        """End one of a user's tokens; whether there was one."""
        with self._engine.begin() as connection:
            values = {"user": user_id, "id": token_id, "now": now}
            name = connection.execute(REVOKE, values).scalar_one_or_none()
            if name is not None:
                write(connection, "token revoked", f"token {token_id}", name)
            return name is not None

    def user(self, token: str, source: str, now: datetime) -> User | None:
        """Its owner, with the token's rights alone; the use is noted."""
        with self._engine.connect() as connection:
            row = connection.execute(BY_HASH, {"hash": _hash(token), "now": now}).one_or_none()
            if row is None:
                return None
            if row.used_at is None or row.used_at < now - SEEN_STEP or row.used_from != source:
                connection.execute(USED, {"id": row.token_id, "now": now, "source": source})
                connection.commit()
            return replace(user_in(row), only=frozenset(Right(right) for right in row.rights))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
