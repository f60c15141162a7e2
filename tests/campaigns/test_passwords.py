"""What tells nobody which names are known."""

from __future__ import annotations

from typing import Literal

import pytest
from argon2 import PasswordHasher, extract_parameters

from campaigns import passwords
from campaigns.passwords import HASHER, NOBODY, matches


class Watched(PasswordHasher):
    """Notes what its work was to cost."""

    def __init__(self) -> None:
        super().__init__()
        self.costs: list[object] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.costs.append(extract_parameters(str(hash)))
        return super().verify(hash, password)


@pytest.mark.parametrize("kept", [None, ""], ids=["nobody has the name", "who has it has no password"])
def test_a_name_without_a_password_is_as_much_work_as_one_with_it(
    monkeypatch: pytest.MonkeyPatch, kept: str | None
) -> None:
    monkeypatch.setattr(passwords, "HASHER", watched := Watched())
    assert not matches(kept, "") and not matches(kept, NOBODY)
    assert watched.costs == [extract_parameters(HASHER.hash("correct horse"))] * 2
