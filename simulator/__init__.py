"""A call centre without telephones: a virtual switch that speaks AMI, with customers and phones that follow a scenario."""

from __future__ import annotations

from simulator.scenario import Behaviour, Scenario, StatisticalScenario, TailsScenario
from simulator.switch.server import VirtualSwitch

__all__ = ["Behaviour", "Scenario", "StatisticalScenario", "TailsScenario", "VirtualSwitch"]
