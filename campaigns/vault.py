"""Secrets that the database keeps sealed: the file of the keys, outside of it, and what is sealed with them.

AES-256 in GCM (NIST SP 800-38D), a fresh nonce each time; what a secret is about is sealed with it, so that one
person's can't be put in another's place. The file has a key a line: the first seals, all of them open. Who reads the
tables, or a backup of them, has nothing without the file: keep that apart from both, and keep it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import stat
from pathlib import Path

from campaigns.config import CampaignsError

KEYS = "keys"  # the file in the data folder
KEY_BYTES = 32
NONCE_BYTES = 12  # SP 800-38D, 8.2.2: random ones of 96 bits are good for 2^32 seals by one key
MARK = "v1:"  # nothing that is not sealed begins so: it is no letter of base32


class VaultError(CampaignsError):
    """The keys can't be used, or a secret can't be opened with them. The text says why, and never a key."""


class Vault:
    """The keys of one file, which is made with one key where there is none. Safe in threads.

    Raises :class:`VaultError`, as all its methods do.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._keys: tuple[bytes, ...] = ()
        if not path.exists():
            _make(path)
        self._read()

    def seal(self, secret: str, about: str) -> str:
        """A secret as the database may have it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + _cipher(self._read()[0]).encrypt(nonce, secret.encode(), about.encode())
        return MARK + base64.urlsafe_b64encode(sealed).decode()

    def open(self, sealed: str, about: str) -> str:
        """The secret again; one that was never sealed is not taken."""
        from cryptography.exceptions import InvalidTag

        try:
            raw = base64.b64decode(sealed.removeprefix(MARK), b"-_", validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        if not sealed.startswith(MARK) or len(raw) <= NONCE_BYTES:
            raise VaultError(f"what is kept of {about} is not sealed")
        for key in self._read():
            try:
                return _cipher(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], about.encode()).decode()
            except InvalidTag:
                continue
        raise VaultError(f"no key of {self._path} opens what is kept of {about}")

    def add_key(self) -> None:
        """A new key, which seals from now on; what the older ones sealed is opened as before."""
        _write(self._path, (secrets.token_bytes(KEY_BYTES), *self._read()))

    def drop_old_keys(self) -> None:
        """Only the key that seals stays: call it when all is sealed with that."""
        _write(self._path, self._read()[:1])

    def _read(self) -> tuple[bytes, ...]:
        """The keys; read again when the file is another, as after a rotation by a command."""
        try:
            with self._path.open("rb") as file:
                about = os.fstat(file.fileno())
                seen = about.st_ino, about.st_mtime_ns
                if seen == self._seen:
                    return self._keys
                text = file.read()
        except OSError as fault:
            raise VaultError(f"{self._path} can't be read: {fault.strerror}") from fault
        if stat.S_IMODE(about.st_mode) & 0o077:
            raise VaultError(f"{self._path} is open to others on this machine; chmod 600 it")
        try:
            keys = tuple(base64.b64decode(line, b"-_", validate=True) for line in text.split())
        except (ValueError, binascii.Error):
            keys = ()
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise VaultError(f"{self._path} holds no keys; put its backup back")
        self._keys, self._seen = keys, seen  # in this order: another thread looks at what was seen first
        return keys


def _cipher(key: bytes):  # type: ignore[no-untyped-def]
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # only who has a second factor needs it

    return AESGCM(key)


def _make(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise VaultError(f"{path.parent} can't be made: {fault.strerror}") from fault
    with contextlib.suppress(FileExistsError):  # another process was first
        _write(path, (secrets.token_bytes(KEY_BYTES),), first=True)


def _write(path: Path, keys: tuple[bytes, ...], first: bool = False) -> None:
    """The whole file or the old one, on the disk before anything is sealed with it."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(b"".join(base64.urlsafe_b64encode(key) + b"\n" for key in keys))
            file.flush()
            os.fsync(file.fileno())
        if first:
            os.link(beside, path)  # never over another's
        else:
            os.replace(beside, path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except FileExistsError:
        raise
    except OSError as fault:
        raise VaultError(f"{path} can't be written: {fault.strerror}") from fault
    finally:
        beside.unlink(missing_ok=True)
