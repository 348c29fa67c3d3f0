"""The true gradients by the variables of a forward pass that somebody wrote.

It runs on Tensors, which gives the gradient by everything in it at once.  Where it cannot, as where
it fills buffers of zeros, one variable after the other is moved as it is assigned, and the slope
is measured.

Not for: reading the backward pass (``audit.py``).
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.engine import Node, propagate
from tinygrad_lab.core.modes import debug
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.testing.judging.arrays import Array, array_of, flat
from tinygrad_lab.testing.judging.gradient_names import holds_gradients, split, variable_of
from tinygrad_lab.testing.judging.subject import BackwardPass, outputs_of
from tinygrad_lab.testing.telling.watching import Assigned, watched

AGREEMENT = 1e-7
MEASURED = 1e-5  # agreement with a slope by plain differences
MOST_PARTS = 4  # of a gradient that several uses of a variable contribute to
MOST_COMPUTED = 24  # variables without a gradient of their name, where it takes none
MOST_MEASURED = 1500  # evaluations, where the forward pass takes no Tensors


@dataclass
class Variable:
    """A value that a variable had in the forward pass, and the gradient by it."""

    event: Assigned
    true: Array | None = None
    #: What each use of it contributes: a layer by itself knows of its own use alone.
    parts: list[Array] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name, an attribute's without ``self``."""
        return self.event.name.removeprefix("self.")

    @property
    def value(self) -> Array:
        """Its numbers."""
        return np.asarray(array_of(self.event.value))

    def sums(self) -> list[Array]:
        """Give what some of its uses contribute together."""
        if not 1 < len(self.parts) <= MOST_PARTS:
            return []
        numbers = range(1, len(self.parts))
        some = (c for n in numbers for c in itertools.combinations(self.parts, n))
        return [np.sum(each, axis=0) for each in some]


class Computed(NamedTuple):
    """A variable of a forward pass on arrays, as a node of a graph has it."""

    name: str
    site: str
    value: Any

    @classmethod
    def of(cls, variable: Variable) -> Computed:
        """Take all items of a container for results of the line that puts them there."""
        event = variable.event
        return cls(split(variable.name)[0] or variable.name, event.site, event.value)


def _is_of(variable: Variable, node: Node | Computed) -> bool:
    value = variable.event.value
    return getattr(value, "node", None) is node or value is node.value


class Truth:
    """The variables of the forward pass, by the object whose they are, and their gradients.

    ``inputs`` are the gradients by the inputs of the whole, ``nodes`` those by everything that was
    computed, with a name or without, in that order.
    """

    def __init__(
        self,
        variables: list[Variable],
        inputs: Sequence[Array | None],
        nodes: Sequence[tuple[Node, Array]] = (),
        measure: Callable[[Variable], None] | None = None,
        parts: Sequence[tuple[Node, Array]] = (),
    ) -> None:
        self.variables, self.inputs, self.measure = variables, inputs, measure
        self._nodes = nodes
        self.parts = parts  # what each use contributes to the gradient by what has several
        self.tolerance = AGREEMENT if measure is None else MEASURED
        self.by_scope: dict[Hashable, dict[str, list[Variable]]] = {}
        for variable in variables:
            names = self.by_scope.setdefault(variable.event.scope, {})
            names.setdefault(variable.name, []).append(variable)

    @functools.cached_property
    def nodes(self) -> Sequence[tuple[Node | Computed, Array]]:
        """What was computed, with or without a name, the oldest first, and the gradients by it."""
        if self.measure is None:
            return self._nodes
        computed = [v for v in self.variables if not v.event.is_argument and v.value.size > 1]
        known = self._known(computed[:MOST_COMPUTED])
        return [(Computed.of(v), v.true) for v in known if v.true is not None and np.any(v.true)]

    @property
    def values(self) -> dict[str, Array]:
        """The latest value of each variable that has a name; what was returned has none."""
        named = (v for v in self.variables if re.fullmatch(r"return\b.*", v.name) is None)
        return {v.name: v.value for v in named}

    def agree(self, a: Array, right: Array) -> bool:
        """Whether two arrays are the same, but for rounding."""
        if a.shape != right.shape:
            return False
        size, tolerance = float(np.max(np.abs(right), initial=0.0)), self.tolerance
        return bool(np.allclose(a, right, rtol=tolerance, atol=tolerance * size))

    # -- which variable an array is the gradient by -----------------------------------------------

    def of(self, gradient: Assigned) -> list[Variable]:
        """Give the variables that something is the gradient by, as far as that can be told."""
        ways = (self._by_name, self._by_upstream, self._by_return)
        return next(filter(None, (way(gradient) for way in ways)), [])

    def _by_name(self, gradient: Assigned) -> list[Variable]:
        for names in self._scopes(gradient.scope):
            for name in _candidates(gradient, names):
                if known := self._known(names[name]):
                    return known
        return []

    def _by_upstream(self, gradient: Assigned) -> list[Variable]:
        """What an object's backward pass is handed is the gradient by what its forward returned."""
        is_whole = gradient.is_argument and "[" not in gradient.name
        if not is_whole or gradient.scope is None or gradient.name.startswith("self."):
            return []
        results = self.by_scope.get(gradient.scope, {}).get("return", [])
        return self._known([v for v in results if v.value.shape == np.shape(gradient.value)])

    def _by_return(self, gradient: Assigned) -> list[Variable]:
        """What an object's backward pass returns is the gradient by what its forward was handed."""
        if not gradient.name.startswith("return") or gradient.scope is None:
            return []
        names = self.by_scope.get(gradient.scope, {})
        arguments = [
            variables for name, variables in names.items()
            if variables[0].event.is_argument and not variables[0].event.name.startswith("self.")
        ]  # fmt: skip
        k = int(split(gradient.name)[1]) if gradient.name.endswith("]") else 0
        return self._known(arguments[k]) if k < len(arguments) else []

    def by_value(self, gradient: Assigned) -> Variable | None:
        """Find what an array is the gradient by, or a multiple of it, from its numbers."""
        value = np.asarray(gradient.value)
        if value.size < 2 or np.ptp(value) == 0:
            return None
        every = (*self.nodes, *self.parts)
        alike = [(node, true) for node, true in every if true.shape == value.shape]
        same = [pair for pair in alike if self.agree(value, pair[1])]
        multiples = [pair for pair in alike if ratio_of(value, pair[1]) is not None]
        for node, true in same or multiples:
            names = [v.name for v in self.variables if _is_of(v, node)]
            named = next((n for n in names if n != "return"), f"the result of {node.name}")
            event = replace(gradient, name=named, value=node.value, is_argument=False)
            return Variable(event, true)
        return None

    def _known(self, variables: Sequence[Variable]) -> list[Variable]:
        for variable in variables:
            if variable.true is None and self.measure is not None:
                self.measure(variable)
        return [variable for variable in variables if variable.true is not None]

    def _scopes(self, scope: Hashable) -> Iterable[dict[str, list[Variable]]]:
        """Look in the same object first, then in all, for a name that there is once."""
        if scope in self.by_scope:
            yield self.by_scope[scope]
        every: dict[str, list[list[Variable]]] = {}
        for names in self.by_scope.values():
            for name, variables in names.items():
                every.setdefault(name, []).append(variables)
        yield {name: each[0] for name, each in every.items() if len(each) == 1}

    # -- what else an array may have to be ---------------------------------------------------------

    def values_for(self, event: Assigned) -> list[Array]:
        """Give the values of the forward pass that something is meant to be, but is not."""
        shape = np.shape(event.value)
        alike = [v for v in self.variables if v.value.shape == shape and self._matters(v)]
        name = event.name.removeprefix("self.")
        own = [v.value for v in alike if v.name == name and v.event.scope == event.scope]
        here = np.asarray(event.value)
        return own or [v.value for v in alike if ratio_of(here, v.value) is not None]

    def _matters(self, variable: Variable) -> bool:
        """Whether the result moves with a variable; a pass of both ways has gradients as well."""
        return all(np.any(v.true) for v in self._known([variable]))

    def groups(self, shape: tuple[int, ...], number: int) -> Iterator[list[Array]]:
        """Give the gradients by what one call in the source computed each time that it ran."""
        sites: dict[tuple[bool, str, str | None], list[Array]] = {}
        for is_part, pairs in ((False, self.nodes), (True, self.parts)):
            for node, true in pairs:
                if true.shape == shape:
                    sites.setdefault((is_part, node.name, node.site), []).append(true)
        different: list[list[Array]] = []
        for group in sites.values():
            every, rest = divmod(len(group), number)  # so many calls of it in one line
            for each in (group[k::every] for k in range(0 if rest else every)):
                if not any(all(map(self.agree, each, other)) for other in different):
                    different.append(each)
        yield from different


def ratio_of(a: Array, right: Array) -> float | None:
    """Give the factor between two arrays, if it is one number."""
    square = float(np.vdot(right, right)) if a.shape == right.shape else 0.0
    if square == 0 or not np.isfinite(square):
        return None
    ratio = float(np.vdot(right, a)) / square
    size = float(np.max(np.abs(a), initial=0.0))
    close = size > 0 and np.allclose(a, ratio * right, rtol=1e-6, atol=1e-6 * size)
    return ratio if close else None


def _candidates(gradient: Assigned, names: dict[str, list[Variable]]) -> list[str]:
    """List the variables whose gradient something is by its name."""
    name = gradient.name.removeprefix("self.")
    if name.startswith("return"):
        return []
    values = [n for n in names if not holds_gradients(split(n)[0])]
    keys = {n: n for n in values if "[" not in n} | {split(n)[1]: n for n in values if "[" in n}
    holder, last = split(name)
    if holder and last.lstrip("-").isdigit():
        return []  # the place in a list of gradients says nothing
    if holder and last in ("grad", "gradient", "g", "d"):  # of a parameter that is an object
        inside = [n for n in names if split(n)[0] == holder and split(n)[1] != last]
        if inside:
            return inside
    derived = variable_of(last, keys)
    plain = [keys[last]] if holder and last in keys else []
    return ([keys[derived]] if derived is not None else []) + plain


# ---------------------------------------------------------------------------------------------


def truth_of(passes: BackwardPass) -> Truth:
    """Find the true gradients, by running the forward pass on Tensors or by measuring."""
    for context in (debug, contextlib.nullcontext):  # it keeps the place of each call, if it can
        with contextlib.suppress(Exception), context():
            return _by_tensors(passes)
    try:
        return _Measured(passes).truth()
    except Exception:  # noqa: BLE001 - so nothing can be said
        return Truth([], [])


def _by_tensors(passes: BackwardPass) -> Truth:
    tensors = [Tensor(np.array(x), requires_grad=True) for x in passes.arrays]
    result, events = watched(lambda: passes.forward(tensors), passes.path)
    ys = outputs_of(result)
    if not all(isinstance(y, Tensor) and y.requires_grad for y in ys):
        raise TypeError("what comes out has lost its history")
    total: dict[Node, Array] = {}
    parts: dict[Node, list[Array]] = {}

    def visit(node: Node, g: Any, contributions: tuple[Any, ...]) -> None:
        total[node] = np.asarray(g)
        for parent, c in zip(node.parents or (), contributions, strict=False):
            if parent is not None and c is not None:
                parts.setdefault(parent, []).append(np.asarray(c))

    propagate([y.node for y in ys], list(passes.upstreams), retain_graph=True, visit=visit)
    variables = []
    for event in events:
        x = event.value
        if isinstance(x, Tensor) and x.node in total:  # what comes out depends on it
            true = total[x.node]
            contributions = [c for c in parts.get(x.node, []) if c.shape == x.shape]
            variables.append(Variable(event, true, contributions))
    inputs = [total[x.node] if x.node in total else np.zeros(x.shape) for x in tensors]
    several = [
        (node, c) for node, each in parts.items() if len(each) > 1 and node in total
        for c in each if c.shape == total[node].shape
    ]  # fmt: skip
    return Truth(variables, inputs, list(total.items())[::-1], parts=several)


class _Measured:
    """A forward pass on arrays, in which variables are moved to see how the result moves."""

    def __init__(self, passes: BackwardPass) -> None:
        self.passes, self.arrays = passes, [np.array(x) for x in passes.arrays]
        self.weights, self.left = flat(passes.upstreams), MOST_MEASURED
        result, self.events = watched(lambda: passes.forward(self._copies()), passes.path)
        self.here = self._value(result)

    def truth(self) -> Truth:
        """Measure by the inputs now, and by variables when they are asked for."""
        arrays = (e for e in self.events if isinstance(e.value, np.ndarray) and e.value.size)
        inputs = [self._slopes(x, functools.partial(self._at_input, k))
                  for k, x in enumerate(self.arrays)]  # fmt: skip
        self.left = MOST_MEASURED
        return Truth([Variable(event) for event in arrays], inputs, measure=self._measure)

    def _copies(self) -> list[Array]:
        return [x.copy() for x in self.arrays]

    def _measure(self, variable: Variable) -> None:
        number = next(k for k, event in enumerate(self.events) if event is variable.event)
        at = functools.partial(self._at_variable, number)
        x = variable.value
        variable.true = self._slopes(x, at) if self._moves(x, at) else np.zeros(x.shape)

    def _moves(self, x: Array, at: Callable[[Any, Any], float]) -> bool:
        """Whether the result moves with a variable at all; other gradients are zero."""
        with contextlib.suppress(Exception):
            return at(..., 1e-5 * (1 + np.arange(x.size).reshape(x.shape) / x.size)) != self.here
        return True

    def _slopes(self, x: Array, at: Callable[[tuple[int, ...], float], float]) -> Array | None:
        self.left -= 2 * x.size
        if self.left < 0:
            return None
        slopes = np.zeros(x.shape)
        try:
            for index in np.ndindex(*x.shape):
                h = 1e-5 * max(abs(float(x[index])), 1.0)
                slopes[index] = (at(index, h) - at(index, -h)) / (2 * h)
        except Exception:  # noqa: BLE001 - it is read-only, or not defined there
            return None
        return slopes

    def _at_input(self, k: int, index: tuple[int, ...], h: float) -> float:
        arrays = self._copies()
        arrays[k][index] += h
        return self._value(self.passes.forward(arrays))

    def _at_variable(self, number: int, index: Any, h: Any) -> float:
        counter = itertools.count()

        def hook(_: Assigned, value: Any) -> bool:
            is_it = next(counter) == number
            if is_it:
                value[index] += h
            return is_it

        call = functools.partial(self.passes.forward, self._copies())
        return self._value(watched(call, self.passes.path, hook)[0])

    def _value(self, result: Any) -> float:
        return float(flat([np.asarray(y) for y in outputs_of(result)]) @ self.weights)
