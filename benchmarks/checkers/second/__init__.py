"""A second list of faults, that nobody tuned the checker to: each with its right twin.

Written from public bug reports, before the checker's second edition, and measured as a user would
meet them: one call of ``gradcheck`` with ordinary inputs, and 20 more.  What is here was rebuilt
small, from the description of each report; the code is our own.

``python -m benchmarks.checkers.second`` prints the figures.

Not for: the first list (``faults.py``), whose faults the checker has been made with.
"""

from __future__ import annotations

from benchmarks.checkers.second.pairs import Pair, is_noticed, pairs

__all__ = ["Pair", "is_noticed", "pairs"]
