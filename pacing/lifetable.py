"""What life tables share: who has reached which bin, and tables that come back from a store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def reached(places: NDArray[np.intp], bins: int) -> NDArray[np.intp]:
    """How many of those that stand at these places, in 0 .. bins - 1, have reached each bin.

    Each counts in its own bin, too: else of many of one age, when some have just ended, all would seem to end there.
    """
    return np.bincount(places, minlength=bins)[::-1].cumsum()[::-1]


def read(learned: Mapping[str, Any], names: tuple[str, ...], bins: int) -> list[Floats]:
    """The tables of these names. Raises ValueError, KeyError or TypeError for what is no such table."""
    tables = [np.asarray(learned[name], dtype=float) for name in names]
    if not all(t.shape == (bins,) and np.isfinite(t).all() and (t >= 0).all() for t in tables):
        raise ValueError(f"the tables {', '.join(names)} are not what was saved")
    return tables
