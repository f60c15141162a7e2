"""A call centre without telephones: a virtual switch that speaks AMI, and the people at its far ends."""

from __future__ import annotations

from simulator.scenario import Behaviour, Scenario, StatisticalScenario, TailsScenario
from simulator.switch.server import VirtualSwitch

__all__ = ["Behaviour", "Scenario", "StatisticalScenario", "TailsScenario", "VirtualSwitch"]
