"""The model compiled: the very source of simulator/floor/model.py, loaded once more and handed to numba.

numba is an extra (`pip install zhudong[fast]`); without it the model runs as it is.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from types import FunctionType, ModuleType
from typing import cast

import numpy as np

from simulator.floor import model
from simulator.floor.building import Building
from simulator.floor.model import Real, Whole

NAME = "simulator.floor.compiled_model"


def available() -> bool:
    """Whether numba is installed."""
    return find_spec("numba") is not None


@cache
def compiled_model() -> ModuleType:
    """The model's source as a second module, its functions compiled when they are first called, and kept on disk."""
    import numba

    spec = spec_from_file_location(NAME, model.__file__)
    assert spec is not None and spec.loader is not None
    found = module_from_spec(spec)
    sys.modules[NAME] = found  # where numba looks for it when it reads what it kept
    spec.loader.exec_module(found)
    for name, value in list(vars(found).items()):
        if isinstance(value, FunctionType) and value.__module__ == NAME:
            setattr(found, name, numba.njit(value, cache=True))
    return found


def run_plainly(building: Building, ratio: float) -> None:
    """A day under a plain law, over arrays in place of the building's lists."""
    fast = compiled_model()
    building.n, building.x = cast(Whole, np.asarray(building.n)), cast(Real, np.asarray(building.x))
    rows = np.array(building.agenda)
    while True:
        campaign, rows = fast.resume(building.n, building.x, rows, ratio)
        if campaign == model.NONE:
            return
        building.draw(campaign)
