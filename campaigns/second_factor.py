"""The second factor: codes by time from a phone (TOTP, RFC 6238), and codes of last resort that are good once each."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

import pyotp
import structlog
from sqlalchemy import Engine, text

from campaigns.audit import write
from campaigns.users import User, UserStore
from campaigns.vault import MARK, Vault, VaultError

log = structlog.get_logger(__name__)

ISSUER = "Zhudong"
STEP_S = 30  # RFC 6238, 5.2
AROUND = 1  # steps before and after now that are taken, for clocks that are apart (RFC 6238, 6)
RECOVERY_CODES = 10
RECOVERY_BYTES = 10  # 80 bits: nobody guesses one, so a plain hash keeps it

OFFERED = text("""
UPDATE app_user SET totp_offered = COALESCE(totp_offered, :secret) WHERE id = :user AND totp_secret IS NULL
RETURNING totp_offered
""")
PENDING = text("SELECT login, totp_offered FROM app_user WHERE id = :user AND totp_secret IS NULL FOR UPDATE")
TAKEN_UP = text("""
UPDATE app_user SET totp_secret = totp_offered, totp_offered = NULL, totp_step = :step WHERE id = :user
""")
SECRET = text("SELECT login, totp_secret, totp_step FROM app_user WHERE id = :user FOR UPDATE")
USED = text("UPDATE app_user SET totp_step = :step WHERE id = :user")
OFF = text("""
UPDATE app_user SET totp_secret = NULL, totp_offered = NULL WHERE login = :login AND totp_secret IS NOT NULL
RETURNING id
""")
KEPT = text("""
SELECT id, totp_secret, totp_offered FROM app_user WHERE totp_secret IS NOT NULL OR totp_offered IS NOT NULL
ORDER BY id FOR UPDATE
""")
RESEALED = text("UPDATE app_user SET totp_secret = :secret, totp_offered = :offered WHERE id = :user")
NO_CODES = text("DELETE FROM recovery_code WHERE user_id = :user")
NEW_CODE = text("INSERT INTO recovery_code (user_id, hash) VALUES (:user, :hash)")
SPENT = text("DELETE FROM recovery_code WHERE user_id = :user AND hash = :hash")
LEFT = text("SELECT count(*) FROM recovery_code WHERE user_id = :user")
SIGN_OUT = text("DELETE FROM session WHERE user_id = :user")


class SecondFactor:
    """The second factors of one database, kept sealed. Every method blocks. `now` is an aware instant."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault

    def offer(self, user_id: int) -> str | None:
        """The secret that a phone is to be given, the same until it is taken up; None: there is a second factor."""
        with self._engine.begin() as connection:
            sealed = self._vault.seal(pyotp.random_base32(), _about(user_id))
            offered = connection.execute(OFFERED, {"user": user_id, "secret": sealed}).scalar_one_or_none()
            return self._vault.open(offered, _about(user_id)) if offered is not None else None

    def take_up(self, user_id: int, code: str, now: datetime) -> Sequence[str] | None:
        """Turn it on with a code that shows that the secret has arrived; the codes of last resort, or None."""
        with self._engine.begin() as connection:
            row = connection.execute(PENDING, {"user": user_id}).one_or_none()
            if row is None or row.totp_offered is None:
                return None
            step = _step(self._vault.open(row.totp_offered, _about(user_id)), code, now)
            if step is None:
                return None
            connection.execute(TAKEN_UP, {"user": user_id, "step": step})
            connection.execute(NO_CODES, {"user": user_id})
            codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
            connection.execute(NEW_CODE, [{"user": user_id, "hash": _hash(each)} for each in codes])
            write(connection, "second factor on", row.login, who=row.login)
            return codes

    def check(self, user_id: int, code: str, now: datetime) -> bool:
        """Whether this code is good: one by time that was not used, nor one after it, or one of last resort."""
        with self._engine.begin() as connection:
            row = connection.execute(SECRET, {"user": user_id}).one_or_none()
            if row is None or row.totp_secret is None:
                return False
            try:
                step = _step(self._vault.open(row.totp_secret, _about(user_id)), code, now)
            except VaultError as fault:  # the codes of last resort are good without a key
                log.error("a second factor can't be checked", login=row.login, reason=str(fault))
                step = None
            if step is not None and step > row.totp_step:
                connection.execute(USED, {"user": user_id, "step": step})
                return True
            if connection.execute(SPENT, {"user": user_id, "hash": _hash(code)}).rowcount:
                left = connection.execute(LEFT, {"user": user_id}).scalar_one()
                write(connection, "recovery code used", row.login, after={"left": left}, who=row.login)
                return True
            write(connection, "code refused", row.login, who=row.login)
            return False

    def let_in(self, token: str, user: User, source: str, browser: str) -> str:
        """End the session that waited, and open one that is good."""
        users = UserStore(self._engine)
        id_token = users.close_session(token, source)
        return users.open_session(user.user_id, source, browser, id_token=id_token)


def turn_off(engine: Engine, login: str) -> bool:
    """Forget a phone and its recovery codes, and sign out everywhere; whether there was a second factor."""
    with engine.begin() as connection:
        user_id = connection.execute(OFF, {"login": login}).scalar_one_or_none()
        if user_id is None:
            return False
        connection.execute(NO_CODES, {"user": user_id})
        connection.execute(SIGN_OUT, {"user": user_id})
        write(connection, "second factor off", login)
        return True


def reseal(engine: Engine, vault: Vault) -> int:
    """Seal all secrets by the key that seals now, those of before there were keys, too; how many no key opens."""
    lost = 0
    with engine.begin() as connection:
        for row in connection.execute(KEPT).all():
            try:
                values = {
                    name: _resealed(vault, kept, row.id)
                    for name, kept in (("secret", row.totp_secret), ("offered", row.totp_offered))
                }
            except VaultError:
                lost += 1
            else:
                connection.execute(RESEALED, values | {"user": row.id})
    return lost


def seal_plain(engine: Engine, vault: Vault) -> int:
    """Seal what was kept before there were keys; how many secrets no key opens."""
    with engine.connect() as connection:
        kept = connection.execute(KEPT).all()
    if any(
        each and not each.startswith(MARK) for row in kept for each in (row.totp_secret, row.totp_offered)
    ):
        return reseal(engine, vault)
    return sum(not _opens(vault, row.totp_secret, row.id) for row in kept if row.totp_secret)


def _resealed(vault: Vault, kept: str | None, user_id: int) -> str | None:
    if kept is None:
        return None
    plain = vault.open(kept, _about(user_id)) if kept.startswith(MARK) else kept
    return vault.seal(plain, _about(user_id))


def _opens(vault: Vault, kept: str, user_id: int) -> bool:
    try:
        return bool(vault.open(kept, _about(user_id)))
    except VaultError:
        return False


def _about(user_id: int) -> str:
    """What a secret is sealed with, so that it is nobody else's."""
    return f"the second factor of user {user_id}"


def uri(secret: str, login: str) -> str:
    """What a phone reads from the picture."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def _step(secret: str, code: str, now: datetime) -> int | None:
    """The time step of which this is the code, if it is one around now."""
    code = code.replace(" ", "")
    if len(code) != 6 or not code.isascii() or not code.isdigit():
        return None
    totp, current = pyotp.HOTP(secret), int(now.timestamp()) // STEP_S
    for step in range(current - AROUND, current + AROUND + 1):
        if hmac.compare_digest(totp.at(step), code):
            return step
    return None


def _recovery_code() -> str:
    plain = secrets.token_hex(RECOVERY_BYTES)
    return "-".join(plain[at : at + 5] for at in range(0, len(plain), 5))


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.replace("-", "").replace(" ", "").lower().encode()).digest()
