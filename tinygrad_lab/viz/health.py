"""Trouble in a network, found by looking at one forward and one backward pass; with its origin.

Each kind of trouble is one small function that gives findings; what one of them explains, the
others do not repeat.  Where limits are numbers, they come from measuring networks that learn well
(``tests/viz/test_health.py`` has both kinds).

Not for: whether derivatives are right (``testing``), or how findings are drawn (``dot.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node, propagate
from tinygrad_lab.core.scopes import trace_of
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.viz import naming as words
from tinygrad_lab.viz.measures import measure
from tinygrad_lab.viz.naming import Naming
from tinygrad_lab.viz.outline import Call, nodes_of, outline
from tinygrad_lab.viz.plan import operands
from tinygrad_lab.viz.style import number, plural

__all__ = ["SYMBOLS", "Finding", "examine", "layer_titles"]

#: By kind: what marks a box, for eyes that tell colours apart and for those that do not.
SYMBOLS = {
    "not finite": "✗", "dead": "◌", "saturated": "≈", "vanishing": "▽", "exploding": "△",
    "detached": "⊘", "unused": "∅", "no gradient": "∅", "symmetric": "=",
}  # fmt: skip

DEAD = 0.4  # share of units that are zero for every sample
SATURATED = 0.5  # share of elements at the flat ends
FLAT = 0.01  # of an activation's steepest slope
FEWEST_SAMPLES = 8  # of fewer, a unit may be zero for all by chance
VANISHED = 1e-3  # gradient of the first layer by that of the last, both as norms
EXPLODED = 1e3
FALLS = 0.4  # from layer to layer, where it begins

#: Activations whose slope vanishes at both ends, and the slope by the result.
_SLOPES: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda y: 4 * y * (1 - y),
    "logistic": lambda y: 4 * y * (1 - y),
    "tanh": lambda y: 1 - y * y,
    "hardtanh": lambda y: np.abs(y) < 1,
    "hardsigmoid": lambda y: (y > 0) & (y < 1),
    "softsign": lambda y: (1 - np.abs(y)) ** 2,
}
_ZEROING = ("relu", "relu6", "maximum", "threshold")


@dataclass(frozen=True)
class Finding:
    """One trouble.

    Attributes
    ----------
    kind
        One of :data:`SYMBOLS`.
    mark
        What stands in the box: ``dead 75 %``.
    where
        The layer, the operation or the parameter, in words.
    text, remedy
        What was measured, and what helps.
    box
        The id of its box in the picture, None of a parameter that is not in the graph.
    """

    kind: str
    mark: str
    where: str
    text: str
    remedy: str
    node: Any = None
    box: str | None = None

    def __str__(self) -> str:
        return f"{SYMBOLS[self.kind]} {self.where}: {self.text}. {self.remedy}"


def examine(loss: Tensor, nodes: Sequence[Node], naming: Naming) -> list[Finding]:
    """Look for every kind of trouble, the cause before its effects.

    Parameters
    ----------
    loss
        What the backward pass starts from.
    nodes
        Every node of its graph, the oldest first.
    naming
        What parameters and layers are called.
    """
    case = _Case(loss, nodes, naming)
    findings = [*_not_finite(case)]
    if not findings:
        findings += [*_not_finite_backwards(case)]
    if not findings:
        for look in (_dead, _saturated):
            findings += look(case)
        findings += [*_flow(case)]
        findings += [*_symmetric(case), *_no_gradient(case, bool(findings))]
    return [*findings, *_detached(case), *_unused(case)]


def layer_titles(nodes: Sequence[Node], naming: Naming) -> dict[Node, str]:
    """Say of each operation in which layer it was computed, the innermost one."""
    titles: dict[Node, str] = {}
    waiting: list[Any] = [outline(nodes, naming.paths)]
    while waiting:
        call = waiting.pop()
        if call.is_layer and call.path != "":
            title = words.layer_title(call.path, call.called)
            titles |= dict.fromkeys(nodes_of(call), title)
        waiting += [part for part in call.parts if isinstance(part, Call)]
    return titles


class _Case:
    """One network: its values, its gradients, and what its parts are called."""

    def __init__(self, loss: Tensor, nodes: Sequence[Node], naming: Naming) -> None:
        self.loss, self.nodes, self.naming = loss, nodes, naming
        self.layers = layer_titles(nodes, naming)
        self.values: dict[Node, Any] = {loss.node: loss.data} if loss.node else {}
        for node in nodes:
            if node.op is not None:
                self.values.setdefault(node, node.value)
                self.values |= {p: v for _, v, p in operands(node) if p is not None}
        self.norms: dict[Node, float] = {}
        #: Of activations with flat ends, the share of the upstream that arrives at those.
        self.wasted: dict[Node, float] = {}
        #: Where a finite gradient became one that is not.
        self.broken: list[tuple[Node, int]] = []
        if loss.node is not None:
            propagate(
                [loss.node], [np.ones_like(loss.data)], retain_graph=True, wanted=nodes,
                visit=self._visit,
            )  # fmt: skip

    def _visit(self, node: Node, g: Any, contributions: tuple[Any, ...]) -> None:
        if isinstance(g, dict):
            return
        with np.errstate(all="ignore"):
            self.norms[node] = float(np.linalg.norm(np.ravel(g)))
        slope = _SLOPES.get(words.title_of(node)) if node.op is not None else None
        if slope is not None:
            flat = slope(np.asarray(node.value)) < FLAT
            total = float(np.sum(np.abs(g)))
            self.wasted[node] = float(np.sum(np.abs(g)[flat])) / total if total else 0.0
        if _is_finite(g):
            for position, c in enumerate(contributions):
                if c is not None and not isinstance(c, dict) and not _is_finite(c):
                    self.broken.append((node, position))

    def where(self, node: Node) -> str:
        """Say in words where something is."""
        name = self.naming.names.get(node.order, "")
        if node.op is None:
            return name or "an input"
        layer = self.layers.get(node, "")
        title = words.title_of(node)
        place = f"{title} in {layer}" if layer else title
        return f"{place} ({name})" if name else place

    def parameters(self) -> Iterator[tuple[str, Node]]:
        """Give the parameters in the graph by name."""
        for node in self.nodes:
            if node.op is None and node.order in self.naming.parameters:
                yield self.naming.parameters[node.order], node


def _is_finite(value: Any) -> bool:
    array = np.asarray(value)
    return array.dtype.kind not in "fc" or bool(np.all(np.isfinite(array)))


# ---- what is not finite -------------------------------------------------------------------------


def _not_finite(case: _Case) -> Iterator[Finding]:
    for node in case.nodes:
        value = case.values.get(node)
        if value is None or isinstance(value, (tuple, list)) or _is_finite(value):
            continue
        m = measure(value)
        bad = m.nan or m.inf
        verb = "is" if bad == 1 else "are"
        what = f"{bad} of {plural(m.size, 'element')} {verb} {m.trouble}"
        if node.op is None:
            yield Finding(
                "not finite", f"{m.trouble} starts here", case.where(node),
                f"it holds them: {what}",
                "Look at where it comes from: the data, or the step that made it", node,
            )  # fmt: skip
            return
        given = [(k, v) for k, v, _ in operands(node) if isinstance(v, np.ndarray)]
        if any(not _is_finite(v) for _, v in given):
            continue
        yield Finding(
            "not finite", f"{m.trouble} starts here", case.where(node),
            f"{what}, of finite operands: {_ranges(given)}", _remedy(node), node,
        )  # fmt: skip
        return
    for node in case.nodes:  # in data that nothing tracks
        for _, value, parent in operands(node):
            if parent is None and not _is_finite(value):
                m = measure(value)
                yield Finding(
                    "not finite", f"{m.trouble} starts here", case.where(node),
                    f"an array that it is given holds {m.nan + m.inf} of them",
                    "Look at where the data come from", node,
                )  # fmt: skip
                return


def _ranges(given: Sequence[tuple[int, Any]]) -> str:
    parts = []
    for k, v in given:
        m = measure(v)
        zeros = int(np.sum(np.asarray(v) == 0))
        text = f"operand {k + 1} from {number(m.low)} to {number(m.high)}"
        parts.append(text + (f", {plural(zeros, 'zero')}" if zeros else ""))
    return "; ".join(parts)


def _remedy(node: Node) -> str:
    title = words.title_of(node)
    if title in ("log", "log2", "log10", "log1p"):
        return (
            "Keep its operand above 0: add a small number, or compute the logarithm together with "
            "what is under it (log_softmax, logsigmoid, logsumexp)"
        )
    if title in ("exp", "exp2", "expm1", "power", "square", "matmul", "linear", "convolution"):
        return (
            "It overflows: lower the learning rate, clip gradients, scale the inputs; of an "
            "exponential, subtract the largest exponent first, as softmax and logsumexp do"
        )
    if title in ("divide", "true_divide", "reciprocal"):
        return "Keep the divisor away from 0: add a small number to it"
    if title in ("sqrt", "arcsin", "arccos", "arctanh", "arccosh"):
        return "Keep its operand inside of where it is defined"
    return "Look at its operands"


def _not_finite_backwards(case: _Case) -> Iterator[Finding]:
    if not case.broken:
        return
    node, position = case.broken[0]
    value = {k: v for k, v, _ in operands(node)}.get(position)
    text = f"its derivative by operand {position + 1} is not finite, though value and upstream are"
    if isinstance(value, np.ndarray):
        text += f": {_ranges([(position, value)])}"
    yield Finding(
        "not finite", "∇ not finite from here", case.where(node), text,
        "The slope is infinite there: keep the operand away from that point (sqrt, norm and std "
        "at 0: add a small number under the root)", node,
    )  # fmt: skip


# ---- activations --------------------------------------------------------------------------------


def _dead(case: _Case) -> Iterator[Finding]:
    for node in case.nodes:
        value = node.value if node.op is not None else None
        if words.title_of(node) not in _ZEROING or not isinstance(value, np.ndarray):
            continue
        if value.ndim < 2 or not value.size:
            continue
        axis = 1 if value.ndim == 4 else -1
        rows = np.moveaxis(value, axis, -1).reshape(-1, value.shape[axis])
        silent = float(np.mean(np.all(rows == 0, axis=0)))
        if silent < DEAD or (len(rows) < FEWEST_SAMPLES and silent < 1):
            continue
        yield Finding(
            "dead", f"dead {silent:.0%}", case.where(node),
            f"{silent:.0%} of {plural(rows.shape[1], 'unit')} are 0 for all "
            f"{plural(len(rows), 'sample')}, so no gradient passes through them",
            "Lower the learning rate, begin with smaller weights and biases of 0 "
            "(nn.init.kaiming_uniform_), or use leaky_relu, elu or gelu", node,
        )  # fmt: skip


def _saturated(case: _Case) -> Iterator[Finding]:
    for node in case.nodes:
        if node not in case.wasted or node.value.size < FEWEST_SAMPLES:
            continue
        flat = float(np.mean(_SLOPES[words.title_of(node)](node.value) < FLAT))
        # At a confident output the ends are where it should be: what arrives there is small.
        if flat < SATURATED or (_is_last(case, node) and case.wasted[node] < flat / 2):
            continue
        yield Finding(
            "saturated", f"saturated {flat:.0%}", case.where(node),
            f"{flat:.0%} of {plural(node.value.size, 'element')} lie where the slope is below "
            f"{FLAT:.0%} of the steepest",
            "Begin with smaller weights (nn.init.xavier_uniform_), scale the inputs to about 1, or "
            "normalise before the activation", node,
        )  # fmt: skip


def _is_last(case: _Case, node: Node) -> bool:
    """Whether no parameter enters after an operation."""
    behind = {node}
    for other in case.nodes:
        if any(p in behind for _, _, p in operands(other)):
            behind.add(other)
            parents = [p for _, _, p in operands(other) if p is not None]
            if any(p.op is None and p.order in case.naming.parameters for p in parents):
                return False
    return True


# ---- how gradients flow -------------------------------------------------------------------------


def _flow(case: _Case) -> Iterator[Finding]:
    """Follow the norm of the gradient from the layers at the end to those at the beginning."""
    layers = [n for n in case.nodes if n.op is not None and _has_weights(case, n)]
    norms = [(n, case.norms[n]) for n in layers if n in case.norms]
    if len(norms) < 3 or not norms[-1][1]:
        return
    ratio = norms[0][1] / norms[-1][1]
    if VANISHED <= ratio <= EXPLODED:
        return
    kind = "vanishing" if ratio < VANISHED else "exploding"
    steps = [(b[0], b[1] / a[1] if a[1] else 1.0) for a, b in pairwise(norms[::-1])]
    falls = (a for a, s in steps if (s < FALLS if ratio < 1 else s > 1 / FALLS))
    begins = next(falls, norms[-1][0])
    node = norms[0][0]
    text = (
        f"from the last layer to the first the gradient goes from {number(norms[-1][1])} to "
        f"{number(norms[0][1])}; it begins at {case.where(begins)}"
    )
    remedy = (
        "Begin with weights of the size that fits the activation (nn.init), normalise between "
        "layers, or add residual connections"
        if kind == "vanishing"
        else "Begin with smaller weights, normalise between layers, or clip gradients"
    )
    yield Finding(kind, f"{kind} {number(ratio)}", case.where(node), text, remedy, node)


def _has_weights(case: _Case, node: Node) -> bool:
    own = [p for _, _, p in operands(node) if p is not None and p.op is None]
    return any(
        p.order in case.naming.parameters and getattr(case.values.get(p), "ndim", 0) > 1
        for p in own
    )


def _symmetric(case: _Case) -> Iterator[Finding]:
    for name, node in case.parameters():
        value = case.values.get(node)
        if value is None or value.ndim < 2 or value.shape[0] < 2 or "embed" in name:
            continue
        if np.all(value == value[:1]):
            yield Finding(
                "symmetric", "all rows equal", name,
                f"all {value.shape[0]} rows are equal, so they get equal gradients and stay equal",
                "Begin with random weights (nn.init)", node,
            )  # fmt: skip


def _no_gradient(case: _Case, explained: bool) -> Iterator[Finding]:
    if explained:
        return
    for name, node in case.parameters():
        if case.norms.get(node) == 0.0 and case.values[node].size:
            yield Finding(
                "no gradient", "∇ 0", name, "its gradient is 0 everywhere",
                "What follows passes nothing on: look at the operations behind it", node,
            )  # fmt: skip


def _detached(case: _Case) -> Iterator[Finding]:
    """Find constants that hold the very numbers of something computed."""
    traces = {}
    for node, value in case.values.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and _is_telling(value):
            traces[trace_of(value)] = node
    reported = set()
    for node in case.nodes:
        for position, value, parent in operands(node):
            if parent is not None or not isinstance(value, np.ndarray) or not _is_telling(value):
                continue
            source = traces.get(trace_of(value))
            if source is None or source in reported or source.order <= node.order:
                continue
            reported.add(source)
            yield Finding(
                "detached", "detached", case.where(node),
                f"operand {position + 1} is a constant with the numbers of {case.where(source)}: "
                "no gradient goes there",
                "If that is not meant, leave out detach(), .data, .numpy() or no_grad()", node,
            )  # fmt: skip


def _is_telling(value: Any) -> bool:
    """Whether the numbers of an array can be told from those of others."""
    return value.size > 1 and bool(np.any(value != value.flat[0]))


def _unused(case: _Case) -> Iterator[Finding]:
    used = {node.order for node in case.nodes}
    for order, name in case.naming.parameters.items():
        if order not in used:
            yield Finding(
                "unused", "not in this graph", name, "it is a parameter that the loss does not use",
                "Use it, freeze it with requires_grad=False, or take it out of the model",
            )  # fmt: skip
