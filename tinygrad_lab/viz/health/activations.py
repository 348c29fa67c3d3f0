"""Activations that let no gradient through: dead units, and elements at flat ends.

Not for: what that does to the gradient (``flow.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.operations import vjps_of
from tinygrad_lab.viz import naming as words
from tinygrad_lab.viz.health.evidence import SQUASHING, Evidence, is_float
from tinygrad_lab.viz.health.finding import Finding, Spot
from tinygrad_lab.viz.plan import operands
from tinygrad_lab.viz.style import number, plural

__all__ = ["dead", "saturated"]

FLAT = 0.01  # of an activation's steepest slope

#: Share of units that are off for every sample.  Networks that had learned had up to 44 %.
DEAD = 0.5
#: Samples of a deep network come to look alike, so that of its units half are off for all, and half
#: are on for all.  So many standard deviations more have to be off; fresh networks had up to 1.6.
LOPSIDED = 3.0
#: Share of elements at flat ends.  Fresh networks had up to 16 %, and those that had learned, with
#: a high rate and to a loss of 1e-4, up to 62 %.
SATURATED = 0.7
#: Share of attention rows that look at one key alone.
LOOKS_AT_ONE = 0.9

#: Activations with one flat end at which they are not exactly 0.
_SMOOTH = ("gelu", "silu", "elu", "celu", "selu", "softplus", "mish", "hardswish")
_GATES = {"LSTM": 4, "GRU": 3}


# ---- dead units ---------------------------------------------------------------------------------


class _Units(NamedTuple):
    """Of one call of a rectifier, by sample and unit: where it is off, and its operand."""

    off: Any
    on: Any
    operand: Any


def dead(case: Evidence) -> Iterator[Finding]:
    """Find rectifiers most of whose units are off for every sample."""
    rectifiers = {n: units for n in case.nodes if (units := _units(case, n)) is not None}
    for nodes in case.groups(list(rectifiers)):
        each = [rectifiers[n] for n in nodes]
        if len({units.off.shape[1] for units in each}) > 1:
            continue
        off = np.concatenate([units.off for units in each])
        dead_units = int(off.all(axis=0).sum())
        living = int(np.concatenate([units.on for units in each]).all(axis=0).sum())
        units, samples = off.shape[1], off.shape[0]
        lopsided = dead_units - living >= LOPSIDED * (dead_units + living) ** 0.5
        is_all = dead_units == units and samples > 1
        if not is_all and not (lopsided and samples > 1 and dead_units >= DEAD * units):
            continue
        share = f"{dead_units / units:.0%}"
        alone = "the only unit is", "it"
        which, them = alone if units == 1 else (f"{share} of {units:,} units are", "them")
        highest = max(float(u.operand[:, off.all(axis=0)].max()) for u in each)
        yield Finding(
            "dead", case.where(nodes[0]),
            f"{which} off for all {plural(samples, 'sample')} (what enters {them} is at most "
            f"{number(highest)}), so no gradient passes through {them}",
            "Lower the learning rate; begin with biases of 0 and smaller weights "
            "(nn.init.kaiming_uniform_); or use leaky_relu, elu or gelu",
            tuple(Spot(n, f"dead {share.replace('%', ' %')}") for n in nodes),
        )  # fmt: skip


def _units(case: Evidence, node: Node) -> _Units | None:
    """Look at an operation as a rectifier: at what it does, not at what it is called."""
    if node.op is None or not is_float(node.value) or np.ndim(node.value) < 2:
        return None
    if words.title_of(node) == "recurrence":
        return _rectified_states(node)
    shape = np.shape(node.value)
    operand = next(
        (v for _, v, p in operands(node) if p and getattr(v, "shape", None) == shape), None
    )
    if operand is None or not operand.size or node.value.dtype.kind == "c":
        return None
    if words.title_of(node) in _SMOOTH:
        off = _is_flat(node)
    else:
        off = node.value == 0
        if not off.any() or not np.array_equal(off, operand <= 0) or not np.any(operand < 0):
            return None
    axis = _axis_of_units(case, node)
    return _Units(*(_by_unit(array, axis) for array in (off, operand > 0, operand)))


def _rectified_states(node: Node) -> _Units | None:
    if (node.kwargs or {}).get("cell") != "RNN_RELU":
        return None
    y = _by_unit(node.value, -1)
    return _Units(y == 0, y > 0, y)


def _is_flat(node: Node) -> Any:
    """Say of each element whether the slope there is next to 0: by the operation's own rule."""
    ones = np.ones_like(node.value)
    slope = vjps_of(node.op)[0](ones, node.value, *node.args, **(node.kwargs or {}))
    return np.abs(slope) < FLAT


def _axis_of_units(case: Evidence, node: Node) -> int:
    near = case.behind.get(node)
    if near is not None:
        return 1 if "conv" in words.title_of(near) else -1
    return 1 if np.ndim(node.value) > 3 else -1


def _by_unit(array: Any, axis: int) -> Any:
    return np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis])


# ---- flat ends ----------------------------------------------------------------------------------


def saturated(case: Evidence) -> Iterator[Finding]:
    """Find activations most of whose elements are where the slope is next to 0."""
    flat_ends = {n: ends for n in case.nodes if (ends := _flat_ends(n)) is not None}
    for nodes in case.groups(list(flat_ends)):
        ends = [flat_ends[n] for n in nodes]
        size = sum(array.size for array in ends)
        share = sum(int(array.sum()) for array in ends) / size if size else 0.0
        limit = LOOKS_AT_ONE if words.title_of(nodes[0]) == "softmax" else SATURATED
        if share < limit or size < 2 or _is_meant(case, nodes, ends):
            continue
        yield _finding(case, nodes, share, size)


def _flat_ends(node: Node) -> Any:
    """Say of each element of an activation whether it is at a flat end; None of what has none."""
    title = words.title_of(node)
    if node.op is None or not is_float(node.value):
        return None
    if title in SQUASHING:
        return SQUASHING[title](node.value) < FLAT
    if title == "hardtanh":
        low, high = node.value.min(initial=0.0), node.value.max(initial=0.0)
        return None if low == 0 else (node.value <= low) | (node.value >= high)
    if title == "softmax":
        return _looks_at_one(node)
    return _gates(node) if title == "recurrence" else None


def _looks_at_one(node: Node) -> Any:
    """Say of each row of a softmax whether it is all in one place, though it had a choice."""
    axis = (node.kwargs or {}).get("axis", (*node.args, -1)[1])
    axis = axis if isinstance(axis, int) else -1
    scores, y = np.moveaxis(node.args[0], axis, -1), np.moveaxis(node.value, axis, -1)
    had_a_choice = np.sum(np.isfinite(scores), axis=-1) > 1
    return np.max(y, axis=-1, initial=0.0)[had_a_choice] > 1 - FLAT / 4


def _gates(node: Node) -> Any:
    """Say of each gate of a recurrent layer whether it is fully open or closed."""
    gates, weight, bias, projection, *state = node.args
    cell = (node.kwargs or {})["cell"]
    if cell == "RNN_RELU" or projection is not None:
        return None
    if cell == "RNN_TANH":
        return SQUASHING["tanh"](node.value) < FLAT
    h = np.concatenate([state[0][None], node.value[:-1, :, : state[0].shape[-1]]])
    inner = gates + h @ np.swapaxes(weight, -1, -2) + (0.0 if bias is None else bias)
    width = inner.shape[-1] // _GATES[cell]
    candidate = np.zeros(inner.shape[-1], bool)
    candidate[2 * width : 3 * width] = True  # the one gate with a tanh
    slope = np.where(candidate, 1 - np.tanh(inner) ** 2, 1 / np.cosh(inner / 2) ** 2)
    return slope < FLAT


def _is_meant(case: Evidence, nodes: Sequence[Node], ends: Sequence[Any]) -> bool:
    """Whether it is a confident output: hardly any gradient pulls it back from its ends."""
    if not all(case.is_last(n) for n in nodes):
        return False
    if words.title_of(nodes[0]) not in SQUASHING:
        return True
    lost = total = 0.0
    for node, is_flat in zip(nodes, ends, strict=True):
        g, y = case.upstream.get(node, np.zeros(())), node.value
        upper = y > (0.0 if y.min() < 0 else 0.5)
        pulls_back = is_flat & (g * np.where(upper, 1.0, -1.0) > 0)
        total += float(np.abs(g).sum())
        lost += float(np.abs(np.where(pulls_back, g, 0.0)).sum())
    flat = sum(int(e.sum()) for e in ends) / sum(e.size for e in ends)
    return not total or lost / total < flat / 4


def _finding(case: Evidence, nodes: Sequence[Node], share: float, size: int) -> Finding:
    percent, title = f"{share:.0%}", words.title_of(nodes[0])
    spots = tuple(Spot(n, f"saturated {percent.replace('%', ' %')}") for n in nodes)
    if title == "softmax":
        return Finding(
            "saturated", case.where(nodes[0]),
            f"{percent} of {plural(size, 'row')} look at one place alone, where the slope of "
            "softmax is next to 0",
            "Scale the scores by 1/√d, begin with smaller weights, or normalise queries and keys",
            spots,
        )  # fmt: skip
    what = "gates" if title == "recurrence" else "elements"
    return Finding(
        "saturated", case.where(nodes[0]),
        f"{percent} of {size:,} {what} lie where the slope is below {FLAT:.0%} of the steepest",
        "Begin with smaller weights (nn.init.xavier_uniform_), scale the inputs to about 1, or "
        "normalise before the activation",
        spots,
    )  # fmt: skip
