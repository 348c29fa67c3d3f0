"""Trouble in a network, found by looking at one forward and one backward pass; with its origin.

Each kind of trouble has one small function that gives findings: :mod:`finite`, :mod:`activations`,
:mod:`flow`, :mod:`parameters`, :mod:`detached` and :mod:`inputs`.  :mod:`examination` calls them,
and puts what one trouble explains under it.  Limits that are numbers come from measuring networks
that learn well; each says so where it stands.

Not for: whether derivatives are right (``viz/checked.py``), or how findings are drawn (``dot.py``).
"""

from __future__ import annotations

from tinygrad_lab.viz.health.examination import examine
from tinygrad_lab.viz.health.finding import SYMBOLS, Finding, Spot, flat, report

__all__ = ["SYMBOLS", "Finding", "Spot", "examine", "flat", "report"]
