"""Sounds made by arithmetic: what a person, a machine and the safe harbour say on the rig."""

from __future__ import annotations

import math
import wave
from pathlib import Path

RATE = 8000
SILENCE = 0xFF  # of µ-law


def tone(seconds: float) -> list[int]:
    """A 400 Hz tone as 16-bit samples: loud enough to be a word for AMD."""
    return [round(8000 * math.sin(math.tau * 400 * n / RATE)) for n in range(round(seconds * RATE))]


def write_wav(path: Path, samples: list[int]) -> None:
    """A mono file that Asterisk plays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(b"".join(n.to_bytes(2, "little", signed=True) for n in samples))


def write_ulaw(path: Path, samples: list[int], silence_s: float) -> None:
    """A headerless µ-law file that SIPp streams: the samples, then silence."""
    path.write_bytes(bytes(map(to_ulaw, samples)) + bytes([SILENCE]) * round(silence_s * RATE))


def to_ulaw(sample: int) -> int:
    """ITU-T G.711: sign, three bits of exponent, four of mantissa, all inverted."""
    magnitude = min(abs(sample), 32635) + 132
    exponent = magnitude.bit_length() - 8
    mantissa = magnitude >> (exponent + 3) & 0x0F
    return ~((0x80 if sample < 0 else 0) | exponent << 4 | mantissa) & 0xFF
