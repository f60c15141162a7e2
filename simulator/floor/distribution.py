"""How long things take: families of distributions as a scenario file names them, drawn in blocks."""

from __future__ import annotations

from math import inf, log, sqrt

import msgspec
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Times = NDArray[np.float64]


class Constant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="family", tag="constant"):
    """Always the same, in seconds."""

    mean_s: float

    def faults(self) -> list[str]:
        return [] if 0 <= self.mean_s < inf else [f"mean_s must not be negative, is {self.mean_s:g}"]

    def mean(self) -> float:
        return self.mean_s

    def draw(self, chance: Generator, count: int) -> Times:
        return np.full(count, self.mean_s)


class Uniform(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="family", tag="uniform"):
    """Anything between two times alike."""

    from_s: float
    to_s: float

    def faults(self) -> list[str]:
        if 0 <= self.from_s <= self.to_s < inf:
            return []
        return [f"from_s and to_s must be 0 or more and in order, are {self.from_s:g} and {self.to_s:g}"]

    def mean(self) -> float:
        return (self.from_s + self.to_s) / 2

    def draw(self, chance: Generator, count: int) -> Times:
        return chance.uniform(self.from_s, self.to_s, count)


class Exponential(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="family", tag="exponential"
):
    """Without memory: however long it lasted, the rest is as long as ever."""

    mean_s: float

    def faults(self) -> list[str]:
        return _positive(mean_s=self.mean_s)

    def mean(self) -> float:
        return self.mean_s

    def draw(self, chance: Generator, count: int) -> Times:
        return chance.exponential(self.mean_s, count)


class Lognormal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="family", tag="lognormal"):
    """Talk times as they are measured (Brown et al. 2005): by mean and coefficient of variation."""

    mean_s: float
    cv: float

    def faults(self) -> list[str]:
        return _positive(mean_s=self.mean_s, cv=self.cv)

    def mean(self) -> float:
        return self.mean_s

    def draw(self, chance: Generator, count: int) -> Times:
        variance = log(1 + self.cv**2)
        return chance.lognormal(log(self.mean_s) - variance / 2, sqrt(variance), count)


class Gamma(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="family", tag="gamma"):
    """Ring times: by mean and coefficient of variation."""

    mean_s: float
    cv: float

    def faults(self) -> list[str]:
        return _positive(mean_s=self.mean_s, cv=self.cv)

    def mean(self) -> float:
        return self.mean_s

    def draw(self, chance: Generator, count: int) -> Times:
        return chance.gamma(1 / self.cv**2, self.mean_s * self.cv**2, count)


class Empirical(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="family", tag="empirical"):
    """Measured times, drawn again with equal weight."""

    values_s: tuple[float, ...]

    def faults(self) -> list[str]:
        if not self.values_s or not all(0 <= value < inf for value in self.values_s):
            return ["values_s must hold at least one time, and none below 0"]
        return []

    def mean(self) -> float:
        return sum(self.values_s) / len(self.values_s)

    def draw(self, chance: Generator, count: int) -> Times:
        return np.asarray(self.values_s)[chance.integers(len(self.values_s), size=count)]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind within a mixture, and how often it comes."""

    weight: float
    of: Constant | Uniform | Exponential | Lognormal | Gamma | Empirical


class Mixture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="family", tag="mixture"):
    """Several kinds of call under one name, such as a quick no and a long sale."""

    parts: tuple[Part, ...]

    def faults(self) -> list[str]:
        if not self.parts or not all(0 < part.weight < inf for part in self.parts):
            return ["parts must hold at least one part, each with a weight above 0"]
        return [fault for part in self.parts for fault in part.of.faults()]

    def mean(self) -> float:
        whole = sum(part.weight for part in self.parts)
        return sum(part.weight * part.of.mean() for part in self.parts) / whole

    def draw(self, chance: Generator, count: int) -> Times:
        bounds = np.cumsum([part.weight for part in self.parts])
        which = np.searchsorted(bounds / bounds[-1], chance.random(count), side="right")
        drawn = np.stack([part.of.draw(chance, count) for part in self.parts])
        return drawn[np.minimum(which, len(self.parts) - 1), np.arange(count)]


Distribution = Constant | Uniform | Exponential | Lognormal | Gamma | Empirical | Mixture


def _positive(**figures: float) -> list[str]:
    return [f"{name} must be above 0, is {value:g}" for name, value in figures.items() if not 0 < value < inf]


def sample(of: Distribution | None, chance: Generator, count: int, otherwise: float = 0.0) -> Times:
    """Draw `count` times; without a distribution it is always `otherwise`."""
    return np.full(count, otherwise) if of is None else of.draw(chance, count)
