"""NaN and infinities: where they start, of which operand, forwards and backwards.

An infinity that comes to nothing is no trouble: a mask of minus infinities before a softmax.  So
the way is followed back from what came out wrong, the loss or a gradient, and not from the first
infinity there is.

Not for: other trouble; after a NaN every other measure means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.viz import naming as words
from tinygrad_lab.viz.health.evidence import Evidence, is_finite, is_float
from tinygrad_lab.viz.health.finding import Finding, Spot
from tinygrad_lab.viz.measures import measure
from tinygrad_lab.viz.plan import operands
from tinygrad_lab.viz.style import number, plural

__all__ = ["not_finite"]


def not_finite(case: Evidence) -> Iterator[Finding]:
    """Find where the first NaN or infinity comes from, if one gets anywhere."""
    if not is_finite(case.loss.data):
        yield _origin(case)
    elif case.broken and not all(map(is_finite, case.gradients.values())):
        yield _backwards(case, *case.broken[0])


# ---- forwards -----------------------------------------------------------------------------------


def _origin(case: Evidence) -> Finding:
    """Follow what is not finite back from the loss, to where it was made of finite numbers."""
    node = case.nodes[-1]
    while True:
        ill = list(_ill_operands(case, node))
        constant = [(k, v) for k, v, p in ill if p is None]
        if constant and len(constant) == len(ill):
            return _handed_in(case, node, *constant[0])
        behind = [p for _, _, p in ill if p is not None]
        if not behind:
            return (_of_leaf if node.op is None else _of_operation)(case, node)
        node = behind[0]


def _ill_operands(case: Evidence, node: Node) -> Iterator[tuple[int, Any, Node | None]]:
    """Give the operands that hold what is not finite; where NaN is followed, those with NaN first.

    Where a NaN was made of infinities that are meant, as those of a mask, they are not followed.
    """
    ill = [(k, v, p) for k, v, p in operands(node) if not is_finite(v)]
    with_nan = [each for each in ill if np.isnan(np.sum(each[1]))]
    if with_nan or not _has_nan(case.values.get(node)):
        yield from with_nan or ill
    else:
        yield from (each for each in ill if not _is_masked(each[2]))


def _has_nan(value: Any) -> bool:
    return is_float(value) and bool(np.any(np.isnan(value)))


def _is_masked(node: Node | None) -> bool:
    """Whether infinities were put into a value by a constant: those of a mask are negative."""
    while node is not None and node.op is not None:
        pairs = zip(node.args or (), node.parents or (), strict=False)
        constants = [np.asarray(v) for v, parent in pairs if parent is None and _is_plain(v)]
        if any(np.any(np.isneginf(v)) and not np.any(np.isposinf(v)) for v in constants):
            return True
        node = next((p for _, v, p in operands(node) if p is not None and not is_finite(v)), None)
    return False


def _is_plain(value: Any) -> bool:
    return isinstance(value, (int, float)) or is_float(value)


def _handed_in(case: Evidence, node: Node, position: int, value: Any) -> Finding:
    m = measure(value)
    return Finding(
        "not finite", case.where(node),
        f"operand {position + 1}, which nothing was computed for, holds {m.trouble}: "
        f"{m.nan + m.inf} of {plural(m.size, 'element')}",
        "Look at where the data come from, and fill in or leave out what is missing",
        (Spot(node, f"{m.trouble} starts here"),),
    )  # fmt: skip


def _of_leaf(case: Evidence, node: Node) -> Finding:
    m = measure(case.values[node])
    remedy = "Look at where the data come from, and fill in or leave out what is missing"
    if case.is_parameter(node):
        remedy = (
            "Look at the step before: a learning rate that is too large, or a gradient that was "
            "not finite"
        )
    return Finding(
        "not finite", case.where(node),
        f"it holds {m.trouble}: {m.nan + m.inf} of {plural(m.size, 'element')}",
        remedy, (Spot(node, f"{m.trouble} starts here"),),
    )  # fmt: skip


def _of_operation(case: Evidence, node: Node) -> Finding:
    value = case.values[node]
    parts = value if isinstance(value, (tuple, list)) else [value]
    bad = np.asarray(next(part for part in parts if not is_finite(part)))
    m, title = measure(bad), words.title_of(node)
    what = f"{m.nan + m.inf} of {plural(m.size, 'element')}"
    return Finding(
        "not finite", case.where(node), f"{title} {_of_what(node, bad)}: {what} became {m.trouble}",
        _remedy(title), (Spot(node, f"{m.trouble} starts here"),),
    )  # fmt: skip


def _of_what(node: Node, value: Any) -> str:
    """Say which operand did it, by its numbers where the result went wrong."""
    bad = ~np.isfinite(value)
    phrases = []
    for position, operand in enumerate(node.args or ()):
        if not _is_plain(operand) or not np.size(operand):
            continue
        try:
            there = np.broadcast_to(operand, value.shape)[bad]
        except ValueError:  # not elementwise
            there = np.ravel(operand)
        phrases.append(f"{_numbers(there)} in operand {position + 1}")
    return "of " + ", ".join(phrases) if phrases else "of its operands"


def _numbers(values: Any) -> str:
    if np.iscomplexobj(values):
        values = np.abs(values)
    low, high = float(np.min(values)), float(np.max(values))
    if low == high or (np.isnan(low) and np.isnan(high)):
        return number(low)
    return f"{number(low)} to {number(high)}"


def _remedy(title: str) -> str:
    if title in ("log", "log2", "log10", "log1p"):
        return (
            "Keep its operand above 0: add a small number, or take the logarithm together with "
            "what is under it (log_softmax, logsigmoid, logsumexp, losses with logits)"
        )
    if title in ("exp", "exp2", "expm1", "sinh", "cosh"):
        return (
            "It overflows: subtract the largest exponent first, as softmax and logsumexp do, and "
            "look at why its operand is so large (learning rate, scale of weights and inputs)"
        )
    if title in ("divide", "true_divide", "reciprocal"):
        return "Keep the divisor away from 0: add a small number to it, eps=1e-8"
    if title in ("sqrt", "arcsin", "arccos", "arctanh", "arccosh", "cbrt"):
        return "Keep its operand inside of where it is defined: clip it, or add a small number"
    if title in ("softmax", "log_softmax"):
        return "A row of scores that are all −∞ has no softmax: let every query look at something"
    if title in ("power", "float_power"):
        return (
            "Neither a negative base to a broken power nor 0 to a negative one: clip the base; if "
            "it overflows, scale it"
        )
    return "It overflows: lower the learning rate, clip gradients, scale weights and inputs"


# ---- backwards ----------------------------------------------------------------------------------


def _backwards(case: Evidence, node: Node, position: int) -> Finding:
    value = node.args[position]
    text = "the value and what arrives are finite, the derivative is not"
    if _is_plain(value) and np.size(value):
        special = np.asarray(value)
        zeros = int(np.sum(special == 0))
        of_zeros = f"0 at {zeros} of {plural(special.size, 'element')}"
        text = (
            f"{words.title_of(node)} of {of_zeros if zeros else _numbers(special)} in operand "
            f"{position + 1} is finite, its derivative is not"
        )
    return Finding(
        "not finite", f"the gradient of {case.where(node)}", text,
        "The slope is infinite there: keep the operand away from that point (sqrt, norm, std and "
        "powers at 0: add a small number under the root, eps=1e-8)",
        (Spot(node, "∇ not finite from here"),),
    )  # fmt: skip
