"""Measure checkers: which planted faults each of them notices, and when it cries wolf.

    python -m tinygrad_lab.testing.benchmark [--only PART ...] [--workers N] [--markdown PATH]

Not for: checking your own gradients (``check_op``, ``gradcheck``), or timing.
"""

from __future__ import annotations

from tinygrad_lab.testing.benchmark.measuring import PARTS, measure
from tinygrad_lab.testing.benchmark.planted import Row
from tinygrad_lab.testing.benchmark.table import Table
from tinygrad_lab.testing.benchmark.tools import TOOLS, Ours, Tool

__all__ = ["PARTS", "TOOLS", "Ours", "Row", "Table", "Tool", "measure"]
