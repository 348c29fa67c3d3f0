"""Histories that were cut off: constants with the very numbers of something that is computed.

Not for: parameters that nothing is computed from (``parameters.py``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.viz.health.evidence import Evidence, is_float
from tinygrad_lab.viz.health.finding import Finding, Spot
from tinygrad_lab.viz.health.parameters import unused
from tinygrad_lab.viz.plan import operands
from tinygrad_lab.viz.style import plural

__all__ = ["detached"]

FEWEST = 4  # elements: so many are not equal by chance

_REMEDY = "If that is not meant, leave out detach(), .data, .numpy(), or no_grad()"


def detached(case: Evidence) -> Iterator[Finding]:
    """Find constants in the graph that are values of it, or parameters of the model."""
    constants = [
        (node, position, value)
        for node in case.nodes
        for position, value, parent in operands(node)
        if parent is None and _is_telling(value)
    ]
    if not constants:
        return
    sources = _sources(case, {(value.size, value.dtype) for _, _, value in constants})
    reported: set[str] = set()
    for node, position, value in constants:
        where, since = sources.get(_print_of(value), ("", 0))
        if not where or where in reported or since <= node.order:
            continue
        reported.add(where)
        yield Finding(
            "detached", case.where(node),
            f"operand {position + 1} is a constant with the numbers of {where}: no gradient goes "
            "there", _REMEDY, (Spot(node, f"detached: {where}"),),
            tuple(f for f in unused(case) if where in f.where.split(", ")),
        )  # fmt: skip
    if not reported:
        yield from _cut_off(case, constants)


def _sources(case: Evidence, sizes: Any) -> Mapping[Any, tuple[str, float]]:
    """Say of what parameters and operations hold where that is and how old, by the numbers."""
    sources: dict[Any, tuple[str, float]] = {}
    for node, value in case.values.items():
        is_computed = node.op is not None and node in case.behind
        if is_computed and _is_telling(value) and (value.size, value.dtype) in sizes:
            sources.setdefault(_print_of(value), (case.where(node), node.order))
    for order, parameter in case.naming.tensors.items():
        value = parameter.data
        if _is_telling(value) and (value.size, value.dtype) in sizes:
            source = case.naming.parameters[order], math.inf
            sources[_print_of(value)] = sources[_print_of(value.T)] = source
    return sources


def _cut_off(case: Evidence, constants: list[tuple[Node, int, Any]]) -> Iterator[Finding]:
    """Find a layer that is not in the graph, before one that a constant of its width enters."""
    used = {node.order for node in case.nodes}
    names = case.naming.parameters
    positions = {order: i for i, order in enumerate(names)}
    for node, position, value in constants:
        weights = case.weights.get(node)
        if weights is None or weights.order not in positions or np.ndim(value) < 2:
            continue
        before = [o for o in names if positions[o] < positions[weights.order] and o not in used]
        widths = {
            np.shape(case.naming.tensors[o].data)[0]: names[o].rpartition(".")[0]
            for o in before
            if np.ndim(case.naming.tensors[o].data) > 1
        }
        axis = 1 if np.ndim(value) == 4 else -1
        layer = widths.get(value.shape[axis])
        if layer is None:
            continue
        owners = {names[o].rpartition(".")[0] for o in before}
        yield Finding(
            "detached", case.where(node),
            f"operand {position + 1} is a constant of {plural(value.shape[axis], 'column')}, as "
            f"many as {layer} gives, and {layer} is not in the graph: if it comes from there, its "
            "history was cut off", _REMEDY, (Spot(node, f"detached: {layer}?"),),
            tuple(f for f in unused(case) if f.where.split(", ")[0].rpartition(".")[0] in owners),
        )  # fmt: skip
        return


def _is_telling(value: Any) -> bool:
    """Whether the numbers of an array can be told from those of others."""
    if not isinstance(value, np.ndarray) or not is_float(value) or value.size < FEWEST:
        return False
    return len(set(value.flat[:8].tolist())) > 1 or bool(np.any(value != value.flat[0]))


def _print_of(value: Any) -> Any:
    return value.size, value.dtype, blake2b(value.tobytes(), digest_size=16).digest()
