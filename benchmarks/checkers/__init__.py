"""Measure checkers: which planted faults each of them notices, and when it cries wolf.

    python -m benchmarks.checkers [--only PART ...] [--workers N] [--markdown PATH]

Not for: checking your own gradients (``check_op``, ``gradcheck``), or timing.
"""

from __future__ import annotations

from benchmarks.checkers.measuring import PARTS, measure
from benchmarks.checkers.planted import Row
from benchmarks.checkers.table import Table
from benchmarks.checkers.tools import TOOLS, Ours, Tool

__all__ = ["PARTS", "TOOLS", "Ours", "Row", "Table", "Tool", "measure"]
