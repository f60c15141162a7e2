"""What tells nobody which names are known."""

from __future__ import annotations

from campaigns.passwords import HASHER, NOBODY, matches


def test_an_unknown_name_is_as_much_work_as_a_known_one_and_has_no_password() -> None:
    assert not HASHER.check_needs_rehash(NOBODY)  # the same costs
    assert not matches(None, "") and not matches(None, NOBODY)
