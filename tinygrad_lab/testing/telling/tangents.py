"""How every value of a graph moves, measured from the graphs of one ladder's evaluations.

What no gradient passes through is here too: a number or an array that an operation was given as a
constant, or a tensor that somebody made anew of a value, may move with the inputs all the same.

Not for: what follows for a gradient (``ledger.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.errors import name_of
from tinygrad_lab.core.graph import history
from tinygrad_lab.testing.judging.arrays import Array, in_parts
from tinygrad_lab.testing.judging.judgement import Evidence
from tinygrad_lab.testing.judging.numerical import BAND, Ladder
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.slope import Climb

#: First steps at which a function that takes other paths further away may take one path.
SHORTER = (2.0**-13, 2.0**-18, 2.0**-26)

_FLOW = "control flow depends on values"


class Operand(NamedTuple):
    """An operand of a call that came from no other call: by position, or by keyword."""

    call: int  # which node of the graph, from the oldest
    place: int | str


Values = list[Any]  # of each node of a graph, from the oldest


@dataclass(frozen=True)
class Graphs:
    """One function's graph at a point, and at the steps of a ladder around it; the oldest first."""

    nodes: Sequence[Node]
    around: Mapping[float, Sequence[Node]]
    steps: tuple[float, ...]
    inputs: Mapping[float, Mapping[Node, Any]]  # the values of the inputs, by step

    def values(self) -> dict[float, Values]:
        """Give every value as it was computed, by step."""
        return {h: [node.value for node in graph] for h, graph in self.around.items()}

    def replayed(
        self, inputs: Mapping[float, Mapping[Node, Any]], moved: Sequence[Operand] = ()
    ) -> dict[float, Values]:
        """Compute every value again, with some values of inputs, and constants that stay.

        But for those that are ``moved``: they take the values that they had at each step.
        """
        return {h: self._replay(inputs[h], moved, graph) for h, graph in self.around.items()}

    def _replay(
        self, inputs: Mapping[Node, Any], moved: Sequence[Operand], there: Sequence[Node]
    ) -> Values:
        values: dict[Node, Any] = dict(inputs)
        for k, node in enumerate(self.nodes):
            if node.op is None:
                continue
            pairs = zip(node.args, node.parents or (), strict=True)
            args = [arg if parent is None else values.get(parent, arg) for arg, parent in pairs]
            kwargs = dict(node.kwargs or {})
            for operand in moved:
                if operand.call == k:
                    into: Any = kwargs if isinstance(operand.place, str) else args
                    into[operand.place] = self.value_of(operand, there)
            values[node] = node.op(*args, **kwargs)
        return [values.get(node) for node in self.nodes]

    def tangent(self, k: int, values: Mapping[float, Values]) -> Any:
        """Measure how the value of a node moves along the ladder."""
        return _slope_of({h: row[k] for h, row in values.items()}, self.nodes[k].value, self.steps)[
            0
        ]

    def moving(self, inputs: Collection[Node]) -> list[list[Operand]]:
        """Find operands without a history that move; those that move alike are one constant."""
        alike: dict[bytes, list[Operand]] = {}
        for operand in self._loose(inputs):
            try:
                rows = [_row(self.value_of(operand, graph)) for graph in self.around.values()]
            except (TypeError, ValueError):  # not of floats everywhere
                continue
            if len({row.tobytes() for row in rows}) > 1 and self._certainly_moves(operand):
                alike.setdefault(b"".join(row.tobytes() for row in rows), []).append(operand)
        return list(alike.values())

    def _loose(self, inputs: Collection[Node]) -> Iterator[Operand]:
        """List operands that are floats, and have no history or end at no input."""
        for k, node in enumerate(self.nodes):
            pairs = zip(node.args or (), node.parents or (), strict=False)
            for i, (arg, parent) in enumerate(pairs):
                if _is_loose(parent, inputs) and _is_of_floats(arg):
                    yield Operand(k, i)
            for key, value in (node.kwargs or {}).items():
                if _is_of_floats(value):
                    yield Operand(k, key)

    def _certainly_moves(self, operand: Operand) -> bool:
        """Whether it moves smoothly: a step that was crossed has no slope to speak of."""
        values = {h: self.value_of(operand, graph) for h, graph in self.around.items()}
        centre = self.value_of(operand, self.nodes)
        if any(np.shape(v) != np.shape(centre) for v in values.values()):
            return False
        slope, error = _slope_of(values, centre, self.steps)
        error = np.where(np.isfinite(error), error, 0.0)  # of one step, which is exact then
        return bool(np.any(np.abs(slope) > BAND * np.reshape(error, np.shape(slope))))

    @staticmethod
    def value_of(operand: Operand, graph: Sequence[Node]) -> Any:
        """Give the value of an operand in one of the graphs."""
        node = graph[operand.call]
        by_keyword = isinstance(operand.place, str)
        return node.kwargs[operand.place] if by_keyword else node.args[operand.place]


def _is_loose(parent: Node | None, inputs: Collection[Node]) -> bool:
    """Whether no gradient gets from here to an input: no history, or a tensor made anew."""
    return parent is None or (parent.op is None and parent not in inputs)


def graphs_of(evidence: Evidence) -> tuple[Graphs, Climb] | str:
    """Give the graphs of a ladder, a shorter one if need be; or say where their paths part."""
    nodes = history(evidence.point.recorded.roots)[::-1]
    parted = ""
    for climbed in _climbs(evidence):
        around = {h: history(call.roots)[::-1] for h, call in climbed.calls.items() if h != 0}
        other = next((graph for graph in around.values() if _form(graph) != _form(nodes)), None)
        if other is None and climbed.ladder.finite:
            inputs = {h: _moved(evidence.point, climbed, h) for h in (0.0, *around)}
            return Graphs(nodes, around, climbed.ladder.steps, inputs), climbed
        parted = parted or ("" if other is None else parting(nodes, other))
    return parted


def _climbs(evidence: Evidence) -> Iterator[Climb]:
    yield evidence.climb
    for first in SHORTER:
        if first < evidence.climb.ladder.steps[0]:
            yield evidence.point.measurer.climb(evidence.climb.directions, first)


def _moved(point: Point, climbed: Climb, h: float) -> dict[Node, Any]:
    """Give the values of the inputs at a step."""
    triples = zip(point.recorded.inputs, point.arrays, climbed.directions, strict=True)
    return {node: x + h * u for node, x, u in triples if node is not None}


def _form(graph: Sequence[Node]) -> list[tuple[Any, Any]]:
    return [(node.op, getattr(node.value, "shape", None)) for node in graph]


def parting(here: Sequence[Node], there: Sequence[Node]) -> str:
    """Say where two graphs of one function part."""
    for number, (a, b) in enumerate(zip(here, there, strict=False)):
        if _form([a]) != _form([b]):
            names = [f"{name_of(n.op) if n.op else 'an input'}" for n in (a, b)]
            if names[0] == names[1]:
                shapes = [getattr(n.value, "shape", "") for n in (a, b)]
                names = [f"{names[0]} of shape {shape}" for shape in shapes]
            return f"{_FLOW}: #{number} is {names[0]} here, and {names[1]} beside it"
    return f"{_FLOW}: it computes {len(here)} values here, and {len(there)} beside it"


def _is_of_floats(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fc"
    return isinstance(value, (float, complex, np.inexact))


def _slope_of(values: dict[float, Any], centre: Any, steps: tuple[float, ...]) -> tuple[Any, Any]:
    """Give the slope of an array, or of each of several, and its estimated error."""
    if isinstance(centre, tuple):  # several results
        parts = [
            _slope_of({h: v[i] for h, v in values.items()}, part, steps)
            for i, part in enumerate(centre)
        ]
        return [slope for slope, _ in parts], [error for _, error in parts]
    above, below = (np.stack([_row(values[side * h]) for h in steps]) for side in (1, -1))
    slopes, errors = Ladder(steps, _row(centre), above, below).slopes()
    if np.iscomplexobj(centre):
        slopes, errors = slopes.view(np.complex128), errors.reshape(-1, 2).sum(axis=1)
    return slopes.reshape(np.shape(centre)), errors


def _row(value: Any) -> Array:
    """Put numbers in a row; complex ones as their real and imaginary parts, alternating."""
    parts = in_parts(value) if np.iscomplexobj(value) else value
    return np.asarray(parts, dtype=np.float64).ravel()


def inner(g: Any, t: Any) -> float:
    """Give the product of a cotangent and a tangent, which are arrays or parts of several."""
    if g is None or t is None:
        return 0.0
    if isinstance(g, dict):  # cotangents of some of several results
        return sum(inner(part, t[i]) for i, part in g.items())
    # A pass carries conjugate gradients of complex numbers, so none is conjugated here.
    t = np.asarray(t)
    g = np.asarray(g, dtype=t.dtype)
    return float(np.sum(np.where(g == 0, 0, g * t)).real)  # as in a pass, 0 meets NaN and stays 0
