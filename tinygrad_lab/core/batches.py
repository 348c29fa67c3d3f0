"""Several cotangents in one backward pass, along a new first axis: what Jacobians are made with.

Where the rules of an operation take them all at once they get them so; elsewhere one by one.

Not for: anything else.  When a batched array flows through the rules by itself, this file goes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.core.operations import OPERATIONS, Array, Rule

__all__ = ["one_by_one"]


def one_by_one(op: Any, rule: Rule, g: Array, value: Array, args: Any, kwargs: Any) -> Array:
    """Run a rule on a batch of cotangents: on each in turn, unless it takes them together."""
    if _takes_batches(op):
        return rule(g, value, *args, **kwargs)
    each = g.one_by_one() if hasattr(g, "one_by_one") else g
    return np.stack([rule(one, value, *args, **kwargs) for one in each])


def _takes_batches(op: Any) -> bool:
    """Elementwise rules do: what has one more axis in front broadcasts against all the rest."""
    return (isinstance(op, np.ufunc) and op.signature is None) or OPERATIONS[op].batches
