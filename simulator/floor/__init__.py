"""A call centre in virtual time: a scenario, a law of dialing, a seed, and what the day came to."""

from __future__ import annotations

from simulator.floor.result import Figures, Result
from simulator.floor.run import FloorLaw, OneEach, simulate, simulate_floor, simulate_plainly
from simulator.floor.scenario import Scenario, ScenarioError, load, names

__all__ = [
    "Figures",
    "FloorLaw",
    "OneEach",
    "Result",
    "Scenario",
    "ScenarioError",
    "load",
    "names",
    "simulate",
    "simulate_floor",
    "simulate_plainly",
]
