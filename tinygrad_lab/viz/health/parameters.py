"""Parameters that cannot learn: equal units, gradients of 0, and those that the loss does not use.

Not for: parameters whose history was cut off (``detached.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.viz.health.evidence import Evidence
from tinygrad_lab.viz.health.finding import Finding, Spot
from tinygrad_lab.viz.plan import operands

__all__ = ["no_gradient", "symmetric", "unused"]


def symmetric(case: Evidence) -> Iterator[Finding]:
    """Find layers whose units are all equal.

    Weights of 0 that get different gradients are meant: those of a last layer, say, or the second
    factor of a low-rank update.
    """
    products = set(case.weights.values())
    for node in products & set(case.gradients):
        value, g = np.asarray(case.values[node]), np.asarray(case.gradients[node])
        if value.ndim < 2 or not value.size:
            continue
        axes = [axis for axis in _axes_of_units(case, node) if _is_equal(value, axis)]
        stays = any(_is_equal(g, axis) for axis in axes)
        if not axes or (not stays and not np.any(value)):
            continue
        units = value.shape[axes[0]]
        name = case.naming.names.get(node.order, "a parameter")
        text = f"all {units} units have equal weights"
        text += (
            " and get equal gradients, so they stay equal" if stays
            else ", and only the layers around tell them apart"
        )  # fmt: skip
        yield Finding(
            "symmetric", name, text, "Begin with random weights (nn.init.kaiming_uniform_)",
            (Spot(node, "all units equal"),),
        )  # fmt: skip


def _axes_of_units(case: Evidence, node: Node) -> list[int]:
    """Give the axis along which units lie: of a matrix that is multiplied from the right, last."""
    uses = [n for n, weights in case.weights.items() if weights is node]
    bare = any(n.op is np.matmul and (n.parents or ())[1] is node for n in uses)
    return [1 if bare else 0]


def _is_equal(array: Any, axis: int) -> bool:
    rows = np.moveaxis(array, axis, 0)
    return len(rows) > 1 and bool(np.all(np.abs(rows - rows[:1]) <= 1e-12 * np.abs(rows[:1])))


def no_gradient(case: Evidence) -> Iterator[Finding]:
    """Find parameters whose gradient is 0 everywhere, and what blocks it."""
    still = {
        n: case.naming.names.get(n.order, "a parameter")
        for n, g in case.gradients.items()
        if np.size(g) and not np.any(g) and n not in case.reached
    }
    if not still:
        return
    blocks = [(n, k) for n, k in case.blocked if not _will_move(case, n, k)]
    if case.blocked and not blocks:
        return
    names = _listed(list(still.values()))
    spots = tuple(Spot(n, "∇ 0") for n in still)
    text = f"the gradient is 0 everywhere in {names}"
    if blocks:
        node, position = blocks[0]
        spots = (Spot(node, "∇ ends here"), *spots)
        text += f"; it ends at {case.where(node)}, operand {position + 1}{_why(node, position)}"
    yield Finding(
        "no gradient", names, text, "Look at the operation where it ends: a mask, a comparison, a "
        "rounding, a product with 0", spots,
    )  # fmt: skip


def _will_move(case: Evidence, node: Node, position: int) -> bool:
    """Whether a product with 0 blocks the gradient until the 0 has moved, as it is meant to."""
    for other, value, parent in operands(node):
        if parent is None or other == position or np.any(value):
            continue
        if case.norms.get(parent, 0.0) > 0:
            return True
    return False


def _why(node: Node, position: int) -> str:
    for other, value in enumerate(node.args or ()):
        if other != position and isinstance(value, (float, int, np.ndarray)) and not np.any(value):
            return f", where operand {other + 1} is 0"
    return ""


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 4 else ""
    return ", ".join(names[:3] if more else names) + more


def unused(case: Evidence) -> Iterator[Finding]:
    """Find parameters of the model that are not in the graph, by layer.

    Where the loss was computed anew, it is known which of these it depends on: they were cut off.
    """
    used = {node.order for node in case.nodes}
    by_owner: dict[tuple[str, bool], list[str]] = {}
    for order, name in case.naming.parameters.items():
        if order not in used:
            key = name.rpartition(".")[0], order in case.moving
            by_owner.setdefault(key, []).append(name)
    for (_, moves), names in by_owner.items():
        one = len(names) == 1
        if moves:
            yield Finding(
                "detached", _listed(names),
                f"the loss moves with {'it' if one else 'them'}, but no gradient gets there: the "
                "history was cut off on the way",
                "If that is not meant, leave out detach(), .data, .numpy(), or no_grad()",
            )  # fmt: skip
            continue
        yield Finding(
            "unused", _listed(names),
            "in the model, but not in the graph of this loss, so no step changes "
            f"{'it' if one else 'them'}",
            "Use it in forward(), freeze it with requires_grad=False, or take it out of the model",
        )  # fmt: skip
