"""A call centre without telephones: a virtual switch with people at its far ends, and a floor in virtual time."""

from __future__ import annotations

from simulator.scenario import Behaviour, Scenario, StatisticalScenario, TailsScenario
from simulator.switch.server import VirtualSwitch

__all__ = ["Behaviour", "Scenario", "StatisticalScenario", "TailsScenario", "VirtualSwitch"]
