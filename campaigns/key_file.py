"""A file of keys, a key a line: the first one seals, all of them open. What it is for says who uses it."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from campaigns.config import CampaignsError
from campaigns.disk import sync

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32  # of AES-256


class VaultError(CampaignsError):
    """The keys can't be used, or something can't be opened with them. The text says why, and never a key."""


class KeyFile:
    """The keys of one file. Safe in threads. Its methods raise :class:`VaultError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._keys: tuple[bytes, ...] = ()

    def make(self) -> None:
        """Make it with one key, where it is not there yet."""
        _make(self.path)

    def add(self) -> None:
        """A new key, which seals from now on; what the older ones sealed is opened as before."""
        _write(self.path, (secrets.token_bytes(KEY_BYTES), *self.read()))

    def drop_old(self) -> None:
        """Only the key that seals stays: call it when all is sealed with that."""
        _write(self.path, self.read()[:1])

    def read(self) -> tuple[bytes, ...]:
        """The keys; read again when the file is another, as after a rotation by a command."""
        try:
            with self.path.open("rb") as file:
                about = os.fstat(file.fileno())
                seen = about.st_ino, about.st_mtime_ns
                if seen == self._seen:
                    return self._keys
                text = file.read()
        except OSError as fault:
            raise VaultError(f"{self.path} can't be read: {fault.strerror}") from fault
        if stat.S_IMODE(about.st_mode) & 0o077:
            raise VaultError(f"{self.path} is open to others on this machine; chmod 600 it")
        try:
            keys = tuple(base64.b64decode(line, b"-_", validate=True) for line in text.split())
        except (ValueError, binascii.Error):
            keys = ()
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise VaultError(f"{self.path} holds no keys; put its backup back")
        self._keys, self._seen = keys, seen  # in this order: another thread looks at what was seen first
        return keys


def cipher_of(key: bytes) -> AESGCM:
    """AES-GCM by this key; imported only where something is sealed."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _make(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise VaultError(f"{path.parent} can't be made: {fault.strerror}") from fault
    with contextlib.suppress(FileExistsError):  # another process was first
        _write(path, (secrets.token_bytes(KEY_BYTES),), first=True)


def _write(path: Path, keys: tuple[bytes, ...], first: bool = False) -> None:
    """The whole file or the old one, on the disk before anything is sealed with it; whose it was it stays."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(b"".join(base64.urlsafe_b64encode(key) + b"\n" for key in keys))
            file.flush()
            os.fsync(file.fileno())
        if first:
            os.link(beside, path)  # never over another's
        else:
            had = path.stat()
            os.chown(beside, had.st_uid, had.st_gid)
            os.replace(beside, path)
        sync(path.parent)
    except FileExistsError:
        raise
    except OSError as fault:
        raise VaultError(f"{path} can't be written: {fault.strerror}") from fault
    finally:
        beside.unlink(missing_ok=True)
