"""What the examination goes by: values, gradients, and which operation belongs to which layer.

Everything is gathered in one walk along the graph and one backward pass that leaves no trace.

Not for: judging any of it (the files named after kinds of trouble).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node, propagate
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.viz import naming as words
from tinygrad_lab.viz.measures import measure
from tinygrad_lab.viz.naming import Naming
from tinygrad_lab.viz.outline import Call, nodes_of, outline
from tinygrad_lab.viz.plan import operands

__all__ = ["SQUASHING", "Again", "Evidence", "is_finite", "is_float"]

#: Besides NumPy's elementwise functions: what takes an array of weights, and multiplies none.
_NO_PRODUCTS = ("getitem", "where", "concatenate", "stack", "take", "standardized")


#: Computes the loss anew.
Again = Callable[[], Any]

MOVED = 1e-3  # of a parameter's size, or of 1: a step that shows in the loss


class Evidence:
    """One network: its values, its gradients, and what its parts are called."""

    def __init__(
        self, loss: Tensor, nodes: Sequence[Node], naming: Naming, again: Again | None = None
    ) -> None:
        self.loss, self.nodes, self.naming, self.again = loss, nodes, naming, again
        self.layers = _layer_titles(nodes, naming)
        self.values: dict[Node, Any] = {}
        for node in nodes:
            if node.op is not None:
                self.values[node] = node.value
                self.values |= {p: v for _, v, p in operands(node) if p is not None}
        self.values[nodes[-1]] = loss.data
        #: The norm of the gradient, and of parameters itself.
        self.norms: dict[Node, float] = {}
        self.gradients: dict[Node, Any] = {}
        #: Where a finite gradient became one that is not, and where a gradient became 0, the
        #: youngest operation first; by which operand.
        self.broken: list[tuple[Node, int]] = []
        self.blocked: list[tuple[Node, int]] = []
        #: Where something arrived that is not 0, though it may cancel.
        self.reached: set[Node] = set()
        #: What arrives at activations with flat ends.
        self.upstream: dict[Node, Any] = {}
        #: Of whole sequences in one operation: the norm at each step, the first step first.
        self.by_step: dict[Node, list[float]] = {}
        self.main: dict[Node, Node] = {}
        self.weights: dict[Node, Node] = {}
        self.behind: dict[Node, Node] = {}
        self._follow()
        propagate(
            [nodes[-1]], [np.ones_like(loss.data)], retain_graph=True, wanted=nodes,
            visit=self._visit,
        )  # fmt: skip

    # -- the backward pass ------------------------------------------------------------------------

    def _visit(self, node: Node, g: Any, contributions: tuple[Any, ...]) -> None:
        if isinstance(g, dict):  # of some of several results
            return
        self.norms[node] = float(np.linalg.norm(np.ravel(g)))
        if self.is_parameter(node):
            self.gradients[node] = g
        title = words.title_of(node)
        if title in SQUASHING:
            self.upstream[node] = g
        parents: Any = node.parents
        is_there, is_sound = bool(np.any(g)), is_finite(g)
        for position, c in enumerate(contributions):
            if c is None or isinstance(c, (dict, tuple, list)) or not c.size:
                continue
            if is_sound and not is_finite(c):
                self.broken.append((node, position))
            if np.any(c):
                self.reached.add(parents[position])
            elif is_there:
                self.blocked.append((node, position))
        if title == "recurrence" and contributions and contributions[0] is not None:
            self.by_step[node] = [float(np.linalg.norm(g)) for g in contributions[0]]

    # -- which operation belongs to which weights -------------------------------------------------

    def _follow(self) -> None:
        """Say of each operation by which operand the data arrive, and through which weights.

        ``main`` is the operand, ``weights`` are those of a product with a parameter, and ``behind``
        says of any operation which such product is the nearest before it.
        """
        bare: dict[Node, Node] = {}  # what only a parameter went into
        for node in self.nodes:
            if node.op is None:
                if self.is_parameter(node):
                    bare[node] = node
                continue
            parents = [p for _, _, p in operands(node) if p is not None]
            constants = any(p is None and is_float(v) for _, v, p in operands(node))
            if parents and not constants and all(p in bare for p in parents):
                bare[node] = bare[parents[0]]
                continue
            own = [p for p in parents if p in bare and getattr(self.values.get(p), "ndim", 0) > 1]
            others = [p for p in parents if p not in bare]
            if others:
                self.main[node] = others[0]
            if own and _is_product(node):
                self.weights[node], self.behind[node] = bare[own[0]], node
                continue
            near = [self.behind[p] for p in others if p in self.behind]
            if near:
                self.behind[node] = min(near, key=lambda n: n.order)  # the youngest

    def is_parameter(self, node: Node) -> bool:
        """Whether a leaf is to be trained: without a model, whatever wants a gradient is."""
        return node.op is None and not self.naming.is_fed_in(node)

    @cached_property
    def moving(self) -> set[int]:
        """The parameters that are not in the graph, and that the loss moves with all the same.

        Known where the loss can be computed anew, and is the same then.
        """
        if self.again is None or _number(self.again()) != _number(self.again()):
            return set()
        before, used = _number(self.again()), {node.order for node in self.nodes}
        moving: set[int] = set()
        for order, parameter in self.naming.tensors.items():
            if order in used:
                continue
            data = parameter.data
            steps = np.random.default_rng(0).uniform(0.5, 1.0, np.shape(data))
            try:
                parameter.data = (data + MOVED * steps * (1 + np.abs(data))).astype(data.dtype)
                if _number(self.again()) != before:
                    moving.add(order)
            finally:
                parameter.data = data
        return moving

    @cached_property
    def is_empty(self) -> bool:
        """Whether an array of no elements is among the values: there is no sample."""
        return any(np.size(v) == 0 for v in self.values.values() if isinstance(v, np.ndarray))

    @cached_property
    def is_fed(self) -> set[Node]:
        """The operations that data have gone into."""
        fed: set[Node] = set()
        for node in self.nodes:
            if node.op is None:
                if self.naming.is_fed_in(node):
                    fed.add(node)
            elif _takes_data(node) or any(p in fed for p in node.parents or ()):
                fed.add(node)
        return fed

    def groups(self, nodes: Sequence[Node]) -> Iterator[list[Node]]:
        """Gather operations that are behind the same weights: the steps of a loop, say."""
        by: dict[Any, list[Node]] = defaultdict(list)
        for node in nodes:
            near = self.behind.get(node)
            key = node if near is None else (self.weights[near], words.title_of(node))
            by[key].append(node)
        yield from by.values()

    def is_last(self, node: Node) -> bool:
        """Whether no product with parameters comes after an operation."""
        after = {node}
        for other in self.nodes:
            if other.order < node.order and any(p in after for _, _, p in operands(other)):
                after.add(other)
        return not any(n in self.weights for n in after if n is not node)

    def steepness(self, weights: Node) -> float:
        """How large the gradient is by the weights: beyond 10, a usual step throws them over."""
        g, w = self.gradients.get(weights), self.values.get(weights)
        size = 0.0 if w is None else measure(w).rms
        return measure(g).rms / size if g is not None and size else 0.0

    # -- words ------------------------------------------------------------------------------------

    def layer_of(self, node: Node) -> str:
        """Name the layer that an operation belongs to, or else its weights."""
        if node in self.layers:
            return self.layers[node]
        weights = self.weights.get(node)
        if weights is None:
            return words.title_of(node)
        owner = self.naming.owner(weights)
        if owner is not None:
            return words.layer_title(owner, self.naming.modules[owner])
        name = self.naming.names.get(weights.order, "")
        return f"{words.title_of(node)} with {name}" if name else words.title_of(node)

    def where(self, node: Node) -> str:
        """Say in words where something is."""
        if node.op is None:
            name = self.naming.names.get(node.order, "")
            return name or ("a parameter" if self.is_parameter(node) else "an input")
        title, layer = words.title_of(node), self.layers.get(node, "")
        kind = layer.rpartition(": ")[2].partition("(")[0].lower()
        place = layer if kind == title else f"{title} in {layer}" if layer else ""
        if not place:
            return self.layer_of(node) if node in self.weights else self._after(title, node)
        return place if node in self.weights else self._after(place, node)

    def _after(self, place: str, node: Node) -> str:
        near = self.behind.get(node)
        if near is None or near is node or self.layers.get(near) == self.layers.get(node):
            return place
        return f"{place}, after {self.layer_of(near)}"


#: Activations whose slope vanishes at both ends, and the slope by the result, 1 at its steepest.
SQUASHING: dict[str, Any] = {
    "sigmoid": lambda y: 4 * y * (1 - y),
    "logistic": lambda y: 4 * y * (1 - y),
    "tanh": lambda y: 1 - y * y,
    "softsign": lambda y: (1 - np.abs(y)) ** 2,
}


def _is_product(node: Node) -> bool:
    is_elementwise = isinstance(node.op, np.ufunc) and node.op.signature is None
    return not is_elementwise and words.title_of(node) not in _NO_PRODUCTS


def _takes_data(node: Node) -> bool:
    """Whether an operation was given an array that nothing was computed for, an index too."""
    parents = node.parents or ()
    for position, value in enumerate(node.args or ()):
        if position < len(parents) and parents[position] is not None:
            continue
        parts = value if isinstance(value, (tuple, list)) else [value]
        if any(isinstance(part, np.ndarray) for part in parts):
            return True
    return False


def _number(loss: Any) -> float:
    return float(np.sum(np.real(loss.data if isinstance(loss, Tensor) else loss)))


def is_float(value: Any) -> bool:
    """Whether something is an array of floats; several results are none."""
    if isinstance(value, (tuple, list)):
        return False
    return getattr(getattr(value, "dtype", None), "kind", "") in ("f", "c")


def is_finite(value: Any) -> bool:
    """Whether an array, or each of several, has neither NaN nor infinities."""
    if isinstance(value, (tuple, list)):
        return all(map(is_finite, value))
    return not is_float(value) or bool(np.all(np.isfinite(value)))


def _layer_titles(nodes: Sequence[Node], naming: Naming) -> dict[Node, str]:
    """Say of each operation in which layer it was computed, the innermost one."""
    titles: dict[Node, str] = {}
    known: dict[int, str] = {}  # by layer, which may be called often
    waiting: list[Any] = [outline(nodes, naming.paths)]
    while waiting:
        call = waiting.pop()
        if call.is_layer and call.path != "":
            key = id(call.called)
            if key not in known:
                known[key] = words.layer_title(call.path, call.called)
            titles |= dict.fromkeys(nodes_of(call), known[key])
        waiting += [part for part in call.parts if isinstance(part, Call)]
    return titles
