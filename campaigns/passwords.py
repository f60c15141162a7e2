"""Passwords: which are taken, and how they are kept, by NIST SP 800-63B (4, 3.1.1): long, and not easily guessed.

No letters of certain kinds are asked for, and no change after some time: both make people choose worse ones.
"""

from __future__ import annotations

import secrets
from base64 import b64encode

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from campaigns.config import CampaignsError

SHORTEST = 12
LONGEST = 256  # hashing a longer one is only work
LOOKED_AT = 72  # characters whose guessing is worked out, as its cost grows with the square
# What a thief of the hashes tries in a day on one machine, at 0.1 s of a core and 64 MiB for each: ten times 10^7.
FEWEST_GUESSES = 1e8

HASHER = PasswordHasher()


def _nobodys() -> str:
    """What a log-in with an unknown name is checked against, so that it takes as long as a known one: no password's
    hash, but random bytes in the form of one, as hashing takes a sixth of a second of every start."""
    salt, tag = (
        b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (HASHER.salt_len, HASHER.hash_len)
    )
    costs = f"m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}"
    return f"$argon2{HASHER.type.name.lower()}$v={ARGON2_VERSION}${costs}${salt}${tag}"


NOBODY = _nobodys()


class WeakPassword(CampaignsError):
    """A password that is not taken. `code` says why, for the pages: too_short, too_long or guessable."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def hashed(password: str, *known: str) -> str:
    """The hash of a password that is good enough. `known` is what anyone knows of its owner: login, name.

    Raises :class:`WeakPassword`.
    """
    if len(password) < SHORTEST:
        raise WeakPassword("too_short", f"the password has fewer than {SHORTEST} characters")
    if len(password) > LONGEST:
        raise WeakPassword("too_long", f"the password has more than {LONGEST} characters")
    from zxcvbn import zxcvbn  # its dictionaries take 10 MB, and only who sets a password needs them

    words = [word for each in known for word in (each, *each.split()) if word]
    if zxcvbn(password[:LOOKED_AT], words)["guesses"] < FEWEST_GUESSES:
        raise WeakPassword(
            "guessable", "the password is one that is easily guessed; several unusual words are not"
        )
    return HASHER.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Whether this is the password of a hash; with None or an empty one it takes as long, and is not."""
    try:
        return HASHER.verify(kept or NOBODY, password) and bool(kept)
    except (VerificationError, InvalidHashError):
        return False
