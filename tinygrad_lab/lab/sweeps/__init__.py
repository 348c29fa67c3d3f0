"""Sweeps: many settings of the lab's networks, run by many processes into one SQLite file.

What is to be run is a plan (``plan.py``), what has been run is a store (``store.py``), and
``running.py`` brings the one into the other; whatever happens to it, it goes on from there.  Not
for single runs (``training.py``) nor for the studies of the reports (``reports``).
"""

from __future__ import annotations

from tinygrad_lab.lab.sweeps.errors import PlanError, StoreError, SweepError
from tinygrad_lab.lab.sweeps.plan import Plan, parse_plan, read_plan
from tinygrad_lab.lab.sweeps.running import run_sweep
from tinygrad_lab.lab.sweeps.status import Status, status_of
from tinygrad_lab.lab.sweeps.store import Store

__all__ = [
    "Plan",
    "PlanError",
    "Status",
    "Store",
    "StoreError",
    "SweepError",
    "parse_plan",
    "read_plan",
    "run_sweep",
    "status_of",
]
