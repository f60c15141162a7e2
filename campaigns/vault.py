"""Secrets that the database keeps sealed: the file of the keys, outside of it, and what is sealed with them.

AES-256 in GCM (NIST SP 800-38D), a fresh nonce each time; what a secret is about is sealed with it, so that one
person's can't be put in another's place. The file has a key a line: the first seals, all of them open. Who reads the
tables, or a backup of them, has nothing without the file: keep that apart from both, and keep it.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from pathlib import Path

from campaigns.key_file import KeyFile, VaultError, cipher_of

KEYS = "keys"  # the file in the data folder
NONCE_BYTES = 12  # SP 800-38D, 8.2.2: random ones of 96 bits are good for 2^32 seals by one key
MARK = "v1:"  # nothing that is not sealed begins so: it is no letter of base32


class Vault:
    """The keys of one file, which is made with one key where there is none. Safe in threads.

    Raises :class:`VaultError`, as all its methods do.
    """

    def __init__(self, path: Path) -> None:
        self._file = KeyFile(path)
        if not path.exists():
            self._file.make()
        self._file.read()

    def seal(self, secret: str, about: str) -> str:
        """A secret as the database may have it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + cipher_of(self._file.read()[0]).encrypt(nonce, secret.encode(), about.encode())
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
        for key in self._file.read():
            try:
                return cipher_of(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], about.encode()).decode()
            except InvalidTag:
                continue
        raise VaultError(f"no key of {self._file.path} opens what is kept of {about}")

    def add_key(self) -> None:
        """A new key, which seals from now on; what the older ones sealed is opened as before."""
        self._file.add()

    def drop_old_keys(self) -> None:
        """Only the key that seals stays: call it when all is sealed with that."""
        self._file.drop_old()
