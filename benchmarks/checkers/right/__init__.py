"""Three hundred right functions that a checker might call wrong, and wrong ones beside them.

Each is NumPy's text with its gradient by hand, at 20 points of six kinds: ordinary, saturated,
huge, tiny, near ties, and near an end of the domain.  That the gradients are right is proved in
130 digits (``digits.py``) by ``tests/benchmarks/checkers/test_right.py``.

``python -m benchmarks.checkers.right`` asks this package's checker and those of PyTorch, JAX and
autograd about all of them.

Not for: faults from public reports (``benchmarks.checkers.second``).
"""

from __future__ import annotations

import importlib
import importlib.util

from benchmarks.checkers.right.right import Right

__all__ = ["FAMILIES", "POINTS", "Right", "functions"]

POINTS = 20
FAMILIES = (
    "elementwise", "cancelling", "rounded", "kinks", "reductions", "losses", "linear_algebra",
    "orders", "indexing", "special_functions", "densities", "dynamics", "nested", "signals",
    "layers",
)  # fmt: skip
NEED_SCIPY = ("special_functions", "densities")


def functions(*families: str) -> list[Right]:
    """All right functions, or those of some families; SciPy's where it is installed."""
    chosen = [name for name in families or FAMILIES if _is_available(name)]
    homes = (importlib.import_module(f"benchmarks.checkers.right.{name}") for name in chosen)
    return [right for home in homes for right in home.FUNCTIONS]


def _is_available(family: str) -> bool:
    return family not in NEED_SCIPY or importlib.util.find_spec("scipy") is not None
