"""Equal values: where a rule asks how its cotangents would change with its results.

The vectors of equal eigenvalues are not unique.  A function of the matrix does not depend on which
of them it was given: its cotangents mix no two of them, and what a rule divides by the gap between
their values is 0 / 0.  The limit is a derivative of the cotangents by the values, a second
derivative of all that comes after the decomposition.  So a pass that meets near values runs on
tracked arrays, as with ``create_graph``, and the rule differentiates what has arrived.  Lengths of
0 ask likewise, for second derivatives.

Not for: the rules that ask, and what they make of the answer (``rules/linalg/spectra.py``,
``rules/mathematical/lengths.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextvars import ContextVar
from functools import reduce
from typing import Any
from weakref import ref

import numpy as np

from tinygrad_lab.core import dispatch, engine
from tinygrad_lab.core.arguments import plain
from tinygrad_lab.core.engine import OPEN, Node, propagate
from tinygrad_lab.core.graph import between, history
from tinygrad_lab.core.levels import detached, is_of_tensors, one_at_a_time
from tinygrad_lab.core.modes import enable_grad
from tinygrad_lab.core.operations import Array
from tinygrad_lab.core.several import Outputs, Parts, pick

# Whether what the rules of this pass return is going to be differentiated.
_to_differentiate: ContextVar[bool] = ContextVar("tinygrad_lab.to_differentiate", default=True)
# How many passes inside one another ask how cotangents change: one for each decomposition of the
# result of another.  Each is several times as long as the one around it.
_depth: ContextVar[int] = ContextVar("tinygrad_lab.asking", default=0)
_DEEPEST = 1


def tracked_pass(
    outputs: Sequence[Node], cotangents: Sequence[Array], retain_graph: bool, visit: Any,
    **options: Any,
) -> dict[Node, Array] | None:  # fmt: skip
    """Run a pass on tracked arrays if it meets near values, and return plain gradients."""
    nodes = history(outputs)
    if not any(map(_are_open_vectors, nodes)):
        return None
    spent: list[Node] = []

    def look(node: Node, g: Array, contributions: tuple[Array | None, ...]) -> None:
        spent.append(node)
        if visit is not None:
            visit(node, _plain(g), tuple(map(_plain, contributions)))

    token = _to_differentiate.set(False)
    try:
        with enable_grad():
            gradients = propagate(
                outputs, cotangents, retain_graph=True, lift=dispatch.from_node, visit=look,
                **options,
            )  # fmt: skip
    finally:
        _to_differentiate.reset(token)
    if not retain_graph:
        for node in spent:
            node.parents = node.args = node.kwargs = node.value = node.prints = node.scope = None
    return {node: _plain(g) for node, g in gradients.items()}


engine.tracked_pass = tracked_pass


def _are_open_vectors(node: Node, of_others_than: Node | None = None) -> bool:
    parent = node.parents[0] if node.op is pick and node.parents else None
    if parent is None or parent is of_others_than or ref(parent) not in OPEN:
        return False
    return bool(node.value.ndim == parent.args[0].ndim)


def _plain(g: Any) -> Any:
    return Parts((i, detached(c)) for i, c in g.items()) if isinstance(g, Parts) else detached(g)


def changes(g: Parts, y: Outputs, position: int, direction: Array) -> list[Parts] | None:
    """Differentiate the cotangents ``g`` of ``y``, as ``y[position]`` moves in a direction.

    The derivative, and the second where the result is going to be differentiated itself; None
    where the pass runs on plain arrays, and nothing is known.
    """
    if not hasattr(y[position], "node"):
        return None
    one_at_a_time(*g.values())
    if _depth.get() > _DEEPEST:
        raise np.linalg.LinAlgError(
            "three decompositions, each of the result of the one before and with equal values: "
            "their derivative takes too long. Say the same with fewer, or move the values apart"
        )
    answers = []
    again = _to_differentiate.get()
    for _ in range(1 + again):
        g = change(g, y, position, direction, keep_graph=again or is_asking())
        answers.append(g)
    return answers


def change(g: Parts, y: Outputs, position: int, direction: Array, keep_graph: bool = True) -> Parts:
    """The first of the :func:`changes`.

    Second derivatives commute: it is the gradient of ``sum(direction * g[position])`` by ``y``.
    """
    return by_results([(g.of(position, y), direction)], y, keep_graph)[0]


def by_results(
    terms: Sequence[tuple[Array, Array]], y: Outputs, keep_graph: bool = False
) -> tuple[Parts, Any]:
    """Differentiate as :func:`gradient` does, by the several results of one call."""
    slopes, other = gradient(terms, y[0].node.parents[0], keep_graph)
    return Parts() if slopes is None else slopes, other


def gradient(
    terms: Sequence[tuple[Array, Array]], origin: Node, keep_graph: bool = False
) -> tuple[Array | None, Any]:
    """Differentiate ``sum(weights * x)`` over the ``terms`` (x, weights) by a node; None for 0.

    And say how much it depends on anything else: the largest product of a leaf and its slope, if
    not ``keep_graph``.
    """
    live = [(x.node, w.astype(x.dtype)) for x, w in terms if getattr(x, "node", None) is not None]
    starts = [node for node, _ in live]
    nodes: Collection[Node]
    nodes = between(starts, {origin}) if keep_graph else history(starts, until={origin})
    others = any(_are_open_vectors(node, origin) for node in nodes)
    leaves = {} if keep_graph else _leaves(nodes, origin)
    token = _depth.set(_depth.get() + 1)
    try:
        slopes = propagate(
            starts, [w for _, w in live], wanted={origin, *leaves}, ends=True, retain_graph=True,
            lift=dispatch.from_node if keep_graph or others else None,
        )  # fmt: skip
    finally:
        _depth.reset(token)
    answer = slopes.pop(origin, None)
    other = [np.maximum(_largest(leaves[n]), 1) * _largest(slopes.get(n, 0.0)) for n in leaves]
    return answer, reduce(np.maximum, other, 0.0)


def _leaves(nodes: Collection[Node], origin: Node) -> dict[Node, Array]:
    """The leaves that nodes were computed from, and their values."""
    calls = [node for node in nodes if node is not origin and node.parents]
    pairs = [pair for node in calls for pair in zip(node.parents or (), node.args)]
    return {parent: arg for parent, arg in pairs if parent is not None and parent.op is None}


def is_recorded(g: Array) -> bool:
    """Whether what a rule makes of a cotangent is going to be differentiated."""
    return is_of_tensors(g) and _to_differentiate.get()


def bend(g: Array, y: Array) -> Array:
    """Differentiate the cotangent ``g`` of lengths ``y``, each by its own length where that is 0.

    Infinite where it depends on anything else too: then it is not even in this length.
    """
    one_at_a_time(g)
    if y.node is None:
        return 0 * y
    zero = plain(y) == 0
    uneven = zero * (1 + np.cos(np.arange(y.size)).reshape(y.shape) / 2)
    slopes = (gradient([(g, weights)], y.node, True)[0] for weights in (1 * zero, uneven))
    own, mixed = (0 * y if slope is None else slope for slope in slopes)
    other = np.abs(plain(mixed - own * uneven)) + gradient([(g, uneven)], y.node)[1]
    return np.where(other > 1e-4 * _largest(own * zero), np.inf, own)


def refuse_second_call(cotangents: Sequence[Array], y: Outputs) -> None:
    """Refuse cotangents that depend on the same matrix, decomposed once more.

    They are a function of the matrix with that alone, which no derivative by ``y`` sees.
    """
    own = y[0].node.parents[0]
    nodes = [x.node for x in cotangents if getattr(x, "node", None) is not None]
    for node in history(nodes):
        other = node.parents[0] if node.op is pick and node.parents else None
        if other is None or other is own or ref(other) not in OPEN:
            continue
        if np.array_equal(plain(other.args[0]), plain(own.args[0])):
            raise np.linalg.LinAlgError(
                "a matrix with equal eigenvalues or singular values is decomposed twice, and the "
                "derivative by one needs the other: decompose once, w, v = np.linalg.eigh(x), and "
                "use these in both places"
            )


def is_asking() -> bool:
    """Whether this pass is one of those that :func:`gradient` makes inside another."""
    return _depth.get() > 0


def largest(sizes: Array, axis: Any = None) -> Any:
    """The largest of some sizes, along axes that stay; 0 where there are none.

    Without ``initial=``, which not every library's ``max`` has.
    """
    reduction: Any = np.max if sizes.size else np.sum
    return reduction(sizes, axis=axis, keepdims=axis is not None)


def _largest(x: Any) -> Any:
    members = x.values() if isinstance(x, Parts) else x if isinstance(x, Outputs) else [x]
    return reduce(np.maximum, (largest(np.abs(plain(m))) for m in members), 0.0)
