"""Kinks: which branch an evaluation took, and what a slope may be where two meet.

Our own operations say which branch they took (the sign under an absolute value, which element was
the largest), so that no kink between two points is a certainty.  For everything else the gap
between the one-sided slopes tells (``Ladder.gap_ratio``).

Not for: the numerical derivative (``numerical.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.operations import OPERATIONS
from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.numerical import BAND, Ladder


def branches(roots: Sequence[Node | None]) -> list[Any]:
    """List which branches the calls behind some nodes took, constants that were chosen included.

    A mask, an index or a permutation that the function computed from its inputs is an argument
    with no history: where it differs between two evaluations, they took different branches.
    """
    taken: list[Any] = []
    for node in history(roots):
        if has_kinks(node):
            branch: Any = OPERATIONS[node.op].branch
            taken.append(branch(node.value, *node.args, **(node.kwargs or {})))
        pairs = zip(node.parents or (), node.args or ())  # noqa: B905 - aligned
        chosen = (x for parent, x in pairs if parent is None and isinstance(x, np.ndarray))
        taken += [x for x in chosen if x.dtype.kind in "biu"]
    return taken


def same_branches(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two evaluations took the same branches everywhere."""
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same_branches, a, b))
    return bool(np.array_equal(a, b))


def has_kinks(node: Node) -> bool:
    """Whether the derivative of an operation jumps somewhere, as far as is known."""
    return node.op in OPERATIONS and OPERATIONS[node.op].branch is not None


def subgradient_interval(ladders: Sequence[Ladder], weights: Array) -> tuple[float, float, float]:
    """Give the least and the largest slope between those that were measured, and a tolerance.

    Every element of the result has a kink of its own, so each may take any of its slopes.  The
    first ladder starts at the kink, so both of its sides count; the others start around it.
    """
    left, right, error = ladders[0].sides()
    slopes = [left, right, *(ladder.slopes()[0] for ladder in ladders[1:])]
    terms = weights * np.stack(slopes)
    low, high = float(np.sum(terms.min(axis=0))), float(np.sum(terms.max(axis=0)))
    band = BAND * float(np.sum(np.abs(weights) * error)) + 1e-6 * max(abs(low), abs(high))
    return low, high, band
