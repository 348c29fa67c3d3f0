"""Read a hand-written backward pass line by line, and find the first line that is wrong.

The forward pass runs on Tensors, which gives the true gradient by every variable that it assigns;
where it cannot, by moving a variable as it is assigned, and measuring.  What the backward pass
assigns to ``dZ3``, ``self.dW`` or ``grads["W1"]``, or returns, is compared with that by the
variable of its name.  What is right on the way is left behind; the first wrong one is named.

Not for: deciding that a gradient is wrong; it looks on after that is known.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.engine import propagate
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.testing.judging.arrays import Array, flat
from tinygrad_lab.testing.judging.gradient_names import split, variable_of
from tinygrad_lab.testing.judging.subject import BackwardPass, outputs_of
from tinygrad_lab.testing.telling.diagnosis import diagnose, wrong_factor
from tinygrad_lab.testing.telling.watching import Assigned, names_in, watched

AGREEMENT = 1e-7
MEASURED = 1e-5  # agreement with a slope by plain differences
MOST_PARTS = 4  # of a gradient that several uses of a variable contribute to
MOST_MEASURED = 1500  # evaluations, where the forward pass takes no Tensors


class Audit(NamedTuple):
    """Lines for a message, and file and line of the first that is wrong."""

    lines: list[str]
    site: str = ""


def audit(backward_pass: BackwardPass, input: int | None = None) -> Audit:  # noqa: A002
    """Say which line of a backward pass is the first to be wrong, and by what factor.

    ``input`` is the one whose gradient is known to be wrong: where no line is certain, it says
    where that one was assigned.  It has no lines to say where nothing has a name to go by.
    """
    with np.errstate(all="ignore"):
        try:
            gradients, assigned = watched(backward_pass.run, backward_pass.path)
        except Exception:  # noqa: BLE001 - it is judged elsewhere
            return Audit([])
        truth = _truth_of(backward_pass)
        story = _Story(assigned, truth)
        return story.first_wrong() or _where_assigned(gradients, input, assigned, backward_pass)


def _where_assigned(
    gradients: Sequence[Any], i: int | None, assigned: Sequence[Assigned], passes: BackwardPass
) -> Audit:
    """Say where the wrong gradient was assigned, as the least that is certain."""
    if i is None or i >= len(gradients) or not isinstance(gradients[i], np.ndarray):
        return Audit([])
    wrong = gradients[i]
    for event in assigned:
        if not event.is_argument and _same_numbers(event.value, wrong):
            text = f"the gradient by {passes.names[i]} is from {event.site}: {event.source}"
            return Audit([text], event.site)
    return Audit([])


def _same_numbers(a: Any, b: Array) -> bool:
    return isinstance(a, np.ndarray) and a.shape == b.shape and bool(np.array_equal(a, b))


# ---------------------------------------------------------------------------------------------
# The truth: the gradients by the variables of the forward pass


@dataclass
class _Variable:
    """A value that a variable had in the forward pass, and the gradient by it."""

    event: Assigned
    true: Array | None = None
    #: What each use of it contributes: a layer by itself knows of its own use alone.
    parts: list[Array] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.event.name.removeprefix("self.")

    def sums(self) -> list[Array]:
        """Give what some of its uses contribute together."""
        if not 1 < len(self.parts) <= MOST_PARTS:
            return []
        numbers = range(1, len(self.parts))
        return [sum(some) for n in numbers for some in itertools.combinations(self.parts, n)]


class _Truth:
    """The variables of the forward pass, by the object whose they are, and their gradients."""

    def __init__(
        self,
        variables: list[_Variable],
        values: dict[str, Array],
        measure: Callable[[_Variable], None] | None = None,
    ) -> None:
        self.variables, self.values, self.measure = variables, values, measure
        self.tolerance = AGREEMENT if measure is None else MEASURED
        self.by_scope: dict[Hashable, dict[str, list[_Variable]]] = {}
        for variable in variables:
            names = self.by_scope.setdefault(variable.event.scope, {})
            names.setdefault(variable.name, []).append(variable)

    def by_name(self, gradient: Assigned) -> list[_Variable]:
        """Give the variables that a gradient may be the one by, from its name and its object."""
        for names in self._scopes(gradient.scope):
            for variable in _candidates(gradient, names):
                chosen = names[variable]
                for one in chosen:
                    if one.true is None and self.measure is not None:
                        self.measure(one)
                if chosen := [one for one in chosen if one.true is not None]:
                    return chosen
        return []

    def _scopes(self, scope: Hashable) -> Iterable[dict[str, list[_Variable]]]:
        """Look in the same object first, then in all, for a name that there is once."""
        if scope in self.by_scope:
            yield self.by_scope[scope]
        every: dict[str, list[dict[str, list[_Variable]]]] = {}
        for names in self.by_scope.values():
            for name in names:
                every.setdefault(name, []).append(names)
        yield {name: holders[0][name] for name, holders in every.items() if len(holders) == 1}


def _candidates(gradient: Assigned, names: dict[str, list[_Variable]]) -> list[str]:
    """List the variables whose gradient something is by its name, or by what returns it."""
    name = gradient.name.removeprefix("self.")
    if name.startswith("return"):
        return []
    keys = {n: n for n in names if "[" not in n} | {split(n)[1]: n for n in names if "[" in n}
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


def _truth_of(passes: BackwardPass) -> _Truth:
    try:
        return _by_tensors(passes)
    except Exception:  # noqa: BLE001 - the forward pass does not run on Tensors
        return _by_measuring(passes)


def _by_tensors(passes: BackwardPass) -> _Truth:
    tensors = [Tensor(np.array(x), requires_grad=True) for x in passes.arrays]
    result, events = watched(lambda: passes.forward(tensors), passes.path)
    ys = outputs_of(result)
    if not all(isinstance(y, Tensor) and y.requires_grad for y in ys):
        raise TypeError("what comes out has lost its history")
    total: dict[Any, Array] = {}
    parts: dict[Any, list[Array]] = {}

    def visit(node: Any, g: Any, contributions: tuple[Any, ...]) -> None:
        total[node] = np.asarray(g)
        for parent, c in zip(node.parents or (), contributions, strict=False):
            if parent is not None and c is not None:
                parts.setdefault(parent, []).append(np.asarray(c))

    propagate([y.node for y in ys], list(passes.upstreams), retain_graph=True, visit=visit)
    variables, values = [], {}
    for event in events:
        x = event.value
        if isinstance(x, Tensor) and x.requires_grad and x.node is not None:
            true = total.get(x.node, np.zeros(x.shape))
            contributions = [c for c in parts.get(x.node, []) if c.shape == x.shape]
            variables.append(_Variable(event, true, contributions))
            values[event.name.removeprefix("self.")] = x.data
    return _Truth(variables, values)


def _by_measuring(passes: BackwardPass) -> _Truth:
    """Give variables whose gradients are measured when they are asked for."""
    arrays = [np.array(x) for x in passes.arrays]
    try:
        _, events = watched(lambda: passes.forward([x.copy() for x in arrays]), passes.path)
    except Exception:  # noqa: BLE001 - so nothing can be said
        return _Truth([], {})
    variables = [_Variable(e) for e in events if isinstance(e.value, np.ndarray) and e.value.size]
    numbers = {id(e): k for k, e in enumerate(events)}
    values = {v.name: v.event.value for v in variables}
    budget = [MOST_MEASURED]
    ups = flat(passes.upstreams)

    def moved(number: int, index: tuple[int, ...], h: float) -> float:
        """Run the forward pass, and move one element of a variable as it is assigned."""

        def hook(k: int, value: Any) -> None:
            if k == number:
                value[index] += h

        result, _ = watched(
            lambda: passes.forward([x.copy() for x in arrays]), passes.path, hook
        )
        return float(flat([np.asarray(y) for y in outputs_of(result)]) @ ups)

    def measure(variable: _Variable) -> None:
        x = variable.event.value
        budget[0] -= 2 * x.size
        if budget[0] < 0:
            return
        true = np.zeros(x.shape)
        try:
            for index in np.ndindex(*x.shape):
                h = 1e-5 * max(abs(float(x[index])), 1.0)
                ends = [moved(numbers[id(variable.event)], index, s * h) for s in (1, -1)]
                true[index] = (ends[0] - ends[1]) / (2 * h)
        except Exception:  # noqa: BLE001 - it is read-only, or not defined there
            return
        variable.true = true

    return _Truth(variables, values, measure)


# ---------------------------------------------------------------------------------------------
# What the backward pass assigned, and the first of it that is wrong


class _Reading:
    """A gradient that was assigned, beside the true ones by the variable that its name says."""

    def __init__(
        self, chain: Sequence[Assigned], variables: Sequence[_Variable], truth: _Truth
    ) -> None:
        self.chain, self.assigned, self.truth = chain, chain[-1], truth
        self.by = variables[-1].name
        self.gradient = np.asarray(self.assigned.value)
        shape = self.gradient.shape
        self.shape = variables[-1].event.value.shape
        comparable = [v for v in variables if v.true is not None and v.true.shape == shape]
        rights = [v.true for v in comparable if v.true is not None]
        self.right = self._nearest(rights)
        self.is_right = any(self._agrees(t) for t in rights)
        sums = [s for v in comparable for s in v.sums()]
        self.is_part = not self.is_right and any(self._agrees(s) for s in sums)
        self.is_parameter = any(v.event.is_argument for v in variables)
        self.pattern = None
        if self.right is not None and not self.is_right:
            lengths = enumerate(self.right.shape)
            sizes = [(n, f"elements along axis {k} of {self.by}") for k, n in lengths]
            sizes.append((self.right.size, f"elements of {self.by}"))
            self.pattern = diagnose(self.gradient, self.right, sizes)
        self.ratio = None if self.pattern is None else self.pattern.ratio

    def _agrees(self, right: Array) -> bool:
        size, tolerance = float(np.max(np.abs(right), initial=0.0)), self.truth.tolerance
        return bool(np.allclose(self.gradient, right, rtol=tolerance, atol=tolerance * size))

    def _nearest(self, rights: Sequence[Array]) -> Array | None:
        off = [float(np.linalg.norm(self.gradient - right)) for right in rights]
        return rights[int(np.argmin(off))] if rights else None

    def lines(self) -> list[str]:
        """Say what is wrong with it."""
        name = self.assigned.name
        if self.right is None:
            return [f"  {name} has shape {self.gradient.shape}, {self.by} has {self.shape}"]
        values = self.truth.values
        factor = "" if self.ratio is not None else wrong_factor(self.gradient, self.right, values)
        why = factor or (self.pattern.text if self.pattern else "")
        ratio = (self.gradient / self.right).ravel()
        first = ", ".join(f"{r:.4g}" for r in ratio[:4])
        return [
            f"  {name} is not the gradient by {self.by}{f': {why}' if why else ''}",
            f"  ratio to the right one: {first}{', ...' * (ratio.size > 4)}",
        ]


class _Story:
    """What the backward pass assigned, in turn."""

    def __init__(self, assigned: Sequence[Assigned], truth: _Truth) -> None:
        self.assigned, self.truth = assigned, truth
        self.readings: list[_Reading] = []
        for chain in _chains(assigned):
            variables = truth.by_name(chain[-1])
            if variables:
                self.readings.append(_Reading(chain, variables, truth))

    def first_wrong(self) -> Audit | None:
        """Find the first gradient that is wrong.

        A constant factor on the way may be a convention, such as dividing by n at the end.  It is
        one if the gradient by some parameter comes out right all the same.
        """
        right = [reading for reading in self.readings if reading.is_right]
        is_convention = any(reading.is_parameter for reading in right)
        convention = None
        part = None  # the last that was right as far as it goes
        for reading in self.readings:
            if reading.is_right:
                part = None
                continue
            if reading.is_part:
                part = reading
                continue
            if is_convention and not reading.is_parameter and reading.ratio is not None:
                if convention is None:
                    convention = reading.ratio
                if abs(reading.ratio - convention) <= 1e-6 * abs(convention):
                    continue
            return self._told(part or reading)
        return None

    def _told(self, reading: _Reading) -> Audit:
        event = _guilty_of(reading, self.assigned)
        first = f"first wrong line: {event.site}: {event.source}"
        return Audit([first, *reading.lines()], event.site)


def _chains(assigned: Sequence[Assigned]) -> list[list[Assigned]]:
    """Put together what one variable came to be in several steps; order them by the last one."""
    open_ones: dict[tuple[Any, str], list[Assigned]] = {}
    chains: list[list[Assigned]] = []
    for event in assigned:
        if event.is_argument:
            continue
        own = event.name.startswith("self.")
        key = (event.scope if own else event.frame, event.name)
        before = open_ones.get(key)
        if before is not None and event.goes_on:
            before.append(event)
        else:
            open_ones[key] = [event]
            chains.append(open_ones[key])
    order = {id(event): k for k, event in enumerate(assigned)}
    return sorted(chains, key=lambda chain: order[id(chain[-1])])


def _guilty_of(reading: _Reading, assigned: Sequence[Assigned]) -> Assigned:
    """Choose the line of those that made a gradient."""
    return reading.assigned
