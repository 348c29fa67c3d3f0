"""What enters a network: data of a scale that makes trouble, and data that come to nothing.

Not for: what the trouble is (``activations.py``, ``flow.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.viz import naming as words
from tinygrad_lab.viz.health.evidence import Evidence, is_float
from tinygrad_lab.viz.health.finding import Finding, Spot
from tinygrad_lab.viz.measures import measure
from tinygrad_lab.viz.plan import operands
from tinygrad_lab.viz.style import number

__all__ = ["independent", "unnormalised"]

LARGE = 50.0
#: Gradient by weight.  Fresh networks with inputs of scale 1 had up to 10, in the last layer.
STEEP = 10.0


def unnormalised(case: Evidence, is_trouble: bool) -> Iterator[Finding]:
    """Find inputs of a large scale, if something is wrong that they explain."""
    for node, weights in case.weights.items():
        for position, value, parent in operands(node):
            is_data = parent is None or case.naming.is_fed_in(parent)
            if not is_data or not is_float(value) or not value.size:
                continue
            scale = measure(value).rms
            steepness = case.steepness(weights)
            if scale < LARGE or not (is_trouble or steepness > STEEP):
                continue
            text = f"operand {position + 1}, the data, is of the size {number(scale)}"
            if steepness > STEEP:
                text += f", so the gradient of its weights is {number(steepness)} times as large "
                text += "as these"
            yield Finding(
                "unnormalised", case.layer_of(node), text,
                "Normalise the inputs to mean 0 and standard deviation 1, or begin with a "
                "normalising layer", (Spot(node, f"inputs of size {number(scale)}"),),
            )  # fmt: skip
            return


def independent(case: Evidence) -> Iterator[Finding]:
    """Find a network that answers the same whatever the data are, or that none enter."""
    if not case.naming.has_model:
        return
    if not case.is_fed:
        yield Finding(
            "independent", words.title_of(case.nodes[-1]),
            "the loss is made of parameters alone: no data enter it",
            "Compute it from what the model gives for some data",
        )  # fmt: skip
        return
    fed = [n for n in case.weights if _data_of(case, n) is not None]
    if not fed or not _differs(_data_of(case, fed[0])) or _differs(fed[-1].value):
        return
    node = fed[-1]
    origin = next((n for n in case.nodes if _levels(case, n)), node)
    if origin in case.weights and _begins_at_zero(case, case.weights[origin]):
        return
    yield Finding(
        "independent", case.where(node),
        f"it gives the same for all {len(node.value)} rows of different data; they become the same "
        f"at {case.where(origin)}",
        "Look at the operation where they become the same, and at what enters it",
        (Spot(origin, "same for all data"),),
    )  # fmt: skip


def _begins_at_zero(case: Evidence, weights: Node) -> bool:
    """Whether weights are 0, as those of a last layer may be at the beginning, and will move."""
    return not np.any(case.values[weights]) and bool(np.any(case.gradients.get(weights, 0.0)))


def _data_of(case: Evidence, node: Node) -> Any:
    """Give the operand of a product that data have gone into, if it has rows."""
    for _, value, parent in operands(node):
        comes_from_data = parent is None or parent in case.is_fed
        if comes_from_data and is_float(value) and np.ndim(value) > 1 and len(value) > 1:
            return value
    return None


def _levels(case: Evidence, node: Node) -> bool:
    """Whether an operation makes rows the same that were not."""
    value = node.value
    if node.op is None or not is_float(value) or np.ndim(value) < 2 or _differs(value):
        return False
    return any(
        is_float(v) and np.ndim(v) > 1 and len(v) == len(value) and _differs(v)
        for _, v, p in operands(node)
        if p is None or p in case.is_fed
    )


def _differs(value: Any) -> bool:
    """Whether an array has rows that differ, by more than rounding."""
    if not is_float(value) or np.ndim(value) < 2 or len(value) < 2:
        return True
    gap = np.abs(value - value[:1]).max(initial=0.0)
    return bool(gap > 16 * np.finfo(value.dtype).eps * np.abs(value).max(initial=0.0))
