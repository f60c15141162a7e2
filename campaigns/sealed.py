"""A sealed recording: the form of its file, made from a plain one, read from anywhere in it, and wrapped by a new key.

Envelope encryption. Each recording has a data key of its own; that is wrapped by one of the keys of a file
(campaigns/key_file.py), both times by AES-256 in GCM (NIST SP 800-38D). The file is

    head    512 bytes: what it is, how long the sound is, and two places for the wrapped data key
    chunks  64 KiB of sound each, the last one shorter, each followed by its tag

A chunk's nonce is its number: no data key seals two recordings, and a chunk in another's place is not opened. The
length is bound to the wrapped key, so that a file that was cut short, or made longer, is known at once. The data key is
wrapped anew into the place that is not in use, and only then taken out of the other: one of them always opens it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from campaigns.config import CampaignsError
from campaigns.disk import sync
from campaigns.key_file import KEY_BYTES, KeyFile, VaultError, cipher_of

MAGIC = b"zhudong1"
CHUNK = 1 << 16
TAG = 16
NONCE = 12
KEY_ID = 8
FRONT = struct.Struct(">8sIQ")  # the magic, the chunk's size, the length of the sound
PLACE = KEY_ID + NONCE + KEY_BYTES + TAG
PLACES = (128, 256)  # where a wrapped key may be: each within one sector of a disk
HEAD = 512


class Damaged(CampaignsError):
    """A sealed recording that is not as it was sealed. The text says which, and what is wrong."""


def key_id(key: bytes) -> bytes:
    """By what a key is known; it tells nothing of the key."""
    return hashlib.sha256(b"zhudong recording key" + key).digest()[:KEY_ID]


class Sealed:
    """A sealed recording that is open for reading. Close it; :meth:`read` blocks.

    Raises :class:`Damaged`, and :class:`~campaigns.key_file.VaultError` where no key opens it.
    """

    def __init__(self, path: Path, call_id: str, keys: KeyFile) -> None:
        self._call_id = call_id
        self._file = opened(path)
        try:
            head = self._file.read(HEAD)
            self.length = _length(head, call_id)
            if os.fstat(self._file.fileno()).st_size != _size(self.length):
                raise Damaged(f"the recording of call {call_id} was cut short, or made longer")
            key, _ = _unwrapped(head, call_id, keys.path, _by_id(keys))
        except BaseException:
            self._file.close()
            raise
        self._cipher, self._about = cipher_of(key), _about(head, call_id)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The sound from `start` up to `stop`, in parts of a chunk at most, each once it is known to be genuine."""
        from cryptography.exceptions import InvalidTag

        for number in range(start // CHUNK, -(-stop // CHUNK)):
            self._file.seek(HEAD + number * (CHUNK + TAG))
            try:
                sound = self._cipher.decrypt(_nonce(number), self._file.read(CHUNK + TAG), self._about)
            except InvalidTag as fault:
                raise Damaged(
                    f"part {number} of the recording of call {self._call_id} was changed"
                ) from fault
            yield sound[max(0, start - number * CHUNK) : stop - number * CHUNK]

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def seal(plain: Path, sealed: Path, call_id: str, keys: KeyFile) -> None:
    """Put a sealed recording in place of a plain one. Whenever it ends, one of them is there, whole.

    The plain one goes when the other is on the disk and was read back from there. Raises OSError and VaultError; the
    plain one is there then.
    """
    first = keys.read()[0]
    beside = sealed.with_name(f".{sealed.name}.{secrets.token_hex(4)}")
    try:
        with opened(plain) as sound:
            about = os.fstat(sound.fileno())
            with os.fdopen(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as out:
                data_key = secrets.token_bytes(KEY_BYTES)
                front = FRONT.pack(MAGIC, CHUNK, about.st_size)
                place = _wrapped(data_key, first, front, call_id)
                out.write((front.ljust(PLACES[0], b"\0") + place).ljust(HEAD, b"\0"))
                cipher, bound = cipher_of(data_key), _about(front, call_id)
                for number in range(-(-about.st_size // CHUNK)):
                    part = _exactly(sound, min(CHUNK, about.st_size - number * CHUNK), call_id)
                    out.write(cipher.encrypt(_nonce(number), part, bound))
                out.flush()
                os.fsync(out.fileno())
            _compared(sound, Sealed(beside, call_id, keys), call_id)
            now = os.fstat(sound.fileno())
            if (now.st_size, now.st_mtime_ns) != (about.st_size, about.st_mtime_ns):
                raise Damaged(f"the recording of call {call_id} is still being written")
        os.utime(beside, ns=(about.st_atime_ns, about.st_mtime_ns))  # how long it is kept goes by it
        os.replace(beside, sealed)
    finally:
        beside.unlink(missing_ok=True)
    sync(sealed.parent)
    plain.unlink()


def rewrap(path: Path, call_id: str, keys: KeyFile) -> bool:
    """Wrap the data key by the file's first key, and by no other; False: it was so. The sound stays as it is."""
    known, first = _by_id(keys), keys.read()[0]
    with opened(path, os.O_RDWR) as file:
        about = os.fstat(file.fileno())
        head = file.read(HEAD)
        _length(head, call_id)
        data_key, place = _unwrapped(head, call_id, keys.path, known)
        other = next(each for each in PLACES if each != place)
        if head[place : place + KEY_ID] == key_id(first):
            if not any(head[other : other + PLACE]):
                return False
            _put(file, other, bytes(PLACE))  # a rewrapping that was cut off
        else:
            _put(file, other, _wrapped(data_key, first, head[: FRONT.size], call_id))
            _put(file, place, bytes(PLACE))
        os.utime(file.fileno(), ns=(about.st_atime_ns, about.st_mtime_ns))
    return True


def wipe(path: Path) -> None:
    """Delete a sealed recording, its key first: what the disk still has of the rest opens to nobody."""
    with (
        suppress(OSError),
        opened(path, os.O_RDWR) as file,
    ):  # what is none of ours is deleted, and not written to
        if file.read(len(MAGIC)) == MAGIC:
            _put(file, 0, bytes(HEAD))
    path.unlink()


def wrapped_by(path: Path) -> Sequence[bytes]:
    """The ids of the keys that open it."""
    with opened(path) as file:
        head = file.read(HEAD)
    return [head[at : at + KEY_ID] for at in PLACES if any(head[at : at + PLACE])]


def opened(path: Path, how: int = os.O_RDONLY) -> BinaryIO:
    """A file of the folder. Who else writes there may not have us open another one, or wait for a pipe."""
    file = os.open(path, how | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(f"{path} is no plain file")
    return os.fdopen(file, "rb" if how == os.O_RDONLY else "r+b")


# --- within -------------------------------------------------------------------------------------------------------


def _length(head: bytes, call_id: str) -> int:
    if len(head) == HEAD:
        magic, chunk, length = FRONT.unpack_from(head)
        if magic == MAGIC and chunk == CHUNK:
            return length
    raise Damaged(f"the file of the recording of call {call_id} is no sealed recording of this form")


def _size(length: int) -> int:
    return HEAD + length + -(-length // CHUNK) * TAG


def _by_id(keys: KeyFile) -> Mapping[bytes, bytes]:
    return {key_id(key): key for key in keys.read()}


def _about(head: bytes, call_id: str) -> bytes:
    """What is bound to all that is sealed: whose recording it is, and how long."""
    return head[: FRONT.size] + call_id.encode()


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE, "big")


def _wrapped(data_key: bytes, key: bytes, front: bytes, call_id: str) -> bytes:
    nonce, name = secrets.token_bytes(NONCE), key_id(key)
    return name + nonce + cipher_of(key).encrypt(nonce, data_key, _about(front, call_id) + name)


def _unwrapped(head: bytes, call_id: str, path: Path, known: Mapping[bytes, bytes]) -> tuple[bytes, int]:
    """The data key, and its place; the one of two that was written whole."""
    from cryptography.exceptions import InvalidTag

    names, changed = [], False
    for at in PLACES:
        place = head[at : at + PLACE]
        name, nonce, wrapped = place[:KEY_ID], place[KEY_ID : KEY_ID + NONCE], place[KEY_ID + NONCE :]
        if not any(place):
            continue
        if name not in known:
            names.append(name.hex())
            continue
        try:
            return cipher_of(known[name]).decrypt(nonce, wrapped, _about(head, call_id) + name), at
        except InvalidTag:
            changed = True
    if changed or not names:
        raise Damaged(f"the head of the recording of call {call_id} was changed")
    raise VaultError(f"the recording of call {call_id} needs the key {names[0]}, which is not in {path}")


def _exactly(sound: BinaryIO, size: int, call_id: str) -> bytes:
    part = sound.read(size)
    if len(part) != size:
        raise Damaged(f"the recording of call {call_id} became shorter while it was sealed")
    return part


def _compared(sound: BinaryIO, sealed: Sealed, call_id: str) -> None:
    """What was sealed is what was said."""
    try:
        sound.seek(0)
        for part in sealed.read(0, sealed.length):
            if part != sound.read(len(part)):
                raise Damaged(f"the recording of call {call_id} was changed while it was sealed")
    finally:
        sealed.close()


def _put(file: BinaryIO, at: int, what: bytes) -> None:
    """Write it, and have it on the disk before anything else is done."""
    file.seek(at)
    file.write(what)
    file.flush()
    os.fsync(file.fileno())
