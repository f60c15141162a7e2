"""A little of `make fuzz` in each run: what strangers write is taken or refused, from seeds cut, joined and changed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS

CHANGES = st.tuples(st.floats(0, 1), st.integers(0, 20), st.binary(max_size=12))


def changed(seed: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    """A seed in which some bytes at some places are others, more or fewer."""
    for place, gone, put in changes:
        at = int(place * len(seed))
        seed = seed[:at] + put + seed[at + gone :]
    return seed


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_breaks_it(name: str) -> None:
    inputs = st.one_of(
        st.binary(max_size=200),
        st.builds(changed, st.sampled_from(SEEDS[name]), st.lists(CHANGES, max_size=6)),
    )
    tried = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])

    @tried
    @given(data=inputs)
    def taken_or_refused(data: bytes) -> None:
        TARGETS[name](data)

    for seed in (b"", *SEEDS[name]):
        TARGETS[name](seed)
    taken_or_refused()
