"""The chances of the arms of a bandit: each as likely as it is the best one. Pure.

Thompson sampling (W. R. Thompson, "On the likelihood that one unknown probability exceeds another in view of the
evidence of two samples", Biometrika 25, 1933): an arm's share of converts is beta-distributed given the talks so far,
and an arm is chosen with the chance that its share is the greatest. No arm has less than :data:`LEAST`, so that each
can be compared at the end, and one that was unlucky at first comes back.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

LEAST = 0.05
DRAWS = 2_000  # a chance is then right within 0.02, which changes nothing
SEED = 1  # the same counts give the same chances


def chances_of_best(counts: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """The chance of each arm, of `(customers talked to, those of them who converted)` by arm."""
    random = np.random.default_rng(SEED)
    drawn = np.array([random.beta(1 + hits, 1 + count - hits, DRAWS) for count, hits in counts.values()])
    best = np.bincount(drawn.argmax(axis=0), minlength=len(counts)) / DRAWS
    spare = 1.0 - LEAST * len(counts)
    return {arm: LEAST + spare * float(share) for arm, share in zip(counts, best, strict=True)}
