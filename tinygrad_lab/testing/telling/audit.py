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
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.engine import propagate
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.testing.judging.arrays import Array, flat
from tinygrad_lab.testing.judging.gradient_names import split, variable_of
from tinygrad_lab.testing.judging.subject import BackwardPass, outputs_of
from tinygrad_lab.testing.telling.diagnosis import diagnose, wrong_factor
from tinygrad_lab.testing.telling.watching import Assigned, is_a_copy, names_in, watched

AGREEMENT = 1e-7
MEASURED = 1e-5  # agreement with a slope by plain differences
MOST_PARTS = 4  # of a gradient that several uses of a variable contribute to
MOST_MEASURED = 1500  # evaluations, where the forward pass takes no Tensors


class Audit(NamedTuple):
    """Lines for a message, and file and line of the first that is wrong."""

    lines: list[str]
    site: str = ""


def audit(backward_pass: BackwardPass, input: int | None = None) -> Audit:
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
    events = [e for e in assigned if not e.is_argument]
    same = [e for e in events if _same_numbers(e.value, gradients[i])]
    moved = [e for e in events if _path(e) == passes.names[i]]  # by a step
    for event in (*same[:1], *moved[-1:]):
        text = f"the gradient by {passes.names[i]} is from {event.site}: {event.source}"
        return Audit([text], event.site)
    return Audit([])


def _path(event: Assigned) -> str:
    """Name an attribute from outside, as parameters are called."""
    if not event.name.startswith("self."):
        return ""
    name = event.name.removeprefix("self.")
    return f"{event.scope}.{name}" if event.scope else name


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
        return [
            np.sum(some, axis=0) for n in numbers for some in itertools.combinations(self.parts, n)
        ]


class _Truth:
    """The variables of the forward pass, by the object whose they are, and their gradients."""

    def __init__(
        self,
        variables: list[_Variable],
        values: dict[str, Array],
        measure: Callable[[_Variable], None] | None = None,
        nodes: Sequence[tuple[Any, Array]] = (),
    ) -> None:
        self.variables, self.values, self.measure = variables, values, measure
        self.nodes = nodes  # of the whole forward pass, named or not, with the gradient by each
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

    def by_result(self, gradient: Assigned) -> list[_Variable]:
        """Give what the forward pass of an object returned, for what is handed to its backward."""
        if not gradient.is_argument or gradient.scope is None or "[" in gradient.name:
            return []
        results = self.by_scope.get(gradient.scope, {}).get("return", [])
        shape = np.shape(gradient.value)
        return [v for v in results if v.true is not None and v.true.shape == shape]

    def by_value(self, gradient: Assigned) -> list[_Variable]:
        """Give what an array is the gradient by, or a multiple of it, from its numbers."""
        value = np.asarray(gradient.value)
        if value.size < 3 or np.ptp(value) == 0 or "[" in gradient.name:
            return []
        alike = [(node, true) for node, true in self.nodes if true.shape == value.shape]
        for node, true in alike:
            if self.agree(value, true):
                return [self._unnamed(gradient, node, true)]
        for node, true in alike:
            if _ratio(value, true) is not None:
                return [self._unnamed(gradient, node, true)]
        return []

    def _unnamed(self, gradient: Assigned, node: Any, true: Array) -> _Variable:
        names = [v.name for v in self.variables if v.event.value.node is node]
        named = [name for name in names if name != "return"] or [f"the result of {node.name}"]
        event = replace(gradient, name=named[0], value=Tensor(node.value), is_argument=False)
        return _Variable(event, true)

    def named(self, name: str, scope: Hashable) -> list[_Variable]:
        """Give the values that a variable had, by its own name."""
        return self.by_scope.get(scope, {}).get(name.removeprefix("self."), [])

    def agree(self, gradient: Array, right: Array) -> bool:
        """Whether two arrays are the same, but for rounding."""
        size = float(np.max(np.abs(right), initial=0.0))
        tolerance = self.tolerance
        return gradient.shape == right.shape and bool(
            np.allclose(gradient, right, rtol=tolerance, atol=tolerance * size)
        )

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
    return _Truth(variables, values, nodes=list(total.items()))


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

        result, _ = watched(lambda: passes.forward([x.copy() for x in arrays]), passes.path, hook)
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
    """A gradient that was assigned, beside the true ones by the variable that it belongs to."""

    def __init__(
        self, chain: Sequence[Assigned], variables: Sequence[_Variable], truth: _Truth
    ) -> None:
        self.chain, self.assigned, self.truth = chain, chain[-1], truth
        self.by = variables[-1].name
        self.gradient = np.asarray(self.assigned.value)
        shape = self.gradient.shape
        self.shape = variables[-1].event.value.shape
        self.variables = [v for v in variables if v.true is not None and v.true.shape == shape]
        rights = [v.true for v in self.variables if v.true is not None]
        self.right = _nearest(self.gradient, rights)
        self.is_right = any(truth.agree(self.gradient, t) for t in rights)
        sums = [s for v in self.variables for s in v.sums()]
        self.is_part = not self.is_right and any(truth.agree(self.gradient, s) for s in sums)
        self.is_parameter = any(v.event.is_argument for v in variables)
        self.pattern = None
        if self.right is not None and not self.is_right:
            lengths = enumerate(self.right.shape)
            sizes = [(n, f"elements along axis {k} of {self.by}") for k, n in lengths]
            sizes.append((self.right.size, f"elements of {self.by}"))
            self.pattern = diagnose(self.gradient, self.right, sizes)
        self.ratio = None if self.pattern is None else self.pattern.ratio

    def guilty(self) -> Assigned:
        """Choose the step that went wrong, where the gradient was made in several."""
        if self.right is None or len(self.chain) == 1:
            return self.chain[-1]
        lines = {event.line for event in self.chain}
        values = [np.asarray(event.value) for event in self.chain]
        ratios = [_ratio(value, self.right) for value in values]
        if self.ratio is not None:
            # the first from which on it is off by this factor
            same = [r is not None and abs(r - self.ratio) <= 1e-6 * abs(self.ratio) for r in ratios]
            first = len(same)
            while first and same[first - 1]:
                first -= 1
            return self.chain[min(first, len(self.chain) - 1)]
        good = [k for k, ratio in enumerate(ratios) if ratio is not None]
        if good:
            return self.chain[good[-1] + 1]
        parts = [p for v in self.variables for p in (*v.parts, *v.sums())]
        as_far = [k for k, x in enumerate(values) if any(self.truth.agree(x, p) for p in parts)]
        if as_far and as_far[-1] + 1 < len(self.chain):
            return self.chain[as_far[-1] + 1]
        if len(lines) > 1 and is_a_copy(self.chain[0].file, self.chain[0].line):
            return self.chain[1]
        return self.chain[0]

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


def _nearest(gradient: Array, rights: Sequence[Array]) -> Array | None:
    off = [float(np.linalg.norm(gradient - right)) for right in rights]
    return rights[int(np.argmin(off))] if rights else None


def _ratio(a: Array, right: Array) -> float | None:
    """Give the factor between two arrays, if it is one number."""
    square = float(np.vdot(right, right)) if a.shape == right.shape else 0.0
    if square == 0:
        return None
    ratio = float(np.vdot(right, a)) / square
    size = float(np.max(np.abs(a), initial=0.0))
    return ratio if np.allclose(a, ratio * right, rtol=1e-6, atol=1e-6 * size) else None


class _Story:
    """What the backward pass assigned, in turn."""

    def __init__(self, assigned: Sequence[Assigned], truth: _Truth) -> None:
        self.assigned, self.truth = assigned, truth
        self.readings: list[_Reading] = []
        for chain in _chains(assigned):
            event = chain[-1]
            if event.is_argument and not event.file:
                continue  # handed over by the checker
            variables = truth.by_name(event) or truth.by_result(event) or truth.by_value(event)
            if variables:
                self.readings.append(_Reading(chain, variables, truth))

    def first_wrong(self) -> Audit | None:
        """Find the first gradient that is wrong.

        A constant factor on the way may be a convention, such as dividing by n at the end.  It is
        one if the gradient by some parameter comes out right all the same, later on.
        """
        part = None  # the last that was right as far as it goes
        for k, reading in enumerate(self.readings):
            if reading.is_right:
                part = None
            elif reading.is_part:
                part = reading
            elif not self._is_convention(reading, self.readings[k + 1 :]):
                return self._blamed(part or reading)
        return None

    @staticmethod
    def _is_convention(reading: _Reading, later: Sequence[_Reading]) -> bool:
        if reading.is_parameter or reading.ratio is None:
            return False
        return any(other.is_parameter and other.is_right for other in later)

    def _blamed(self, reading: _Reading) -> Audit:
        event = reading.guilty()
        event = self._before(event)
        first = f"first wrong line: {event.site}: {event.source}"
        return Audit([first, *reading.lines()], event.site)

    def _before(self, event: Assigned) -> Assigned:
        """Go back from where a wrong gradient shows to where it comes from."""
        number = next(k for k, other in enumerate(self.assigned) if other is event)
        earlier = self.assigned[:number]
        # the same numbers under another name
        if isinstance(event.value, np.ndarray):
            for other in reversed(earlier):
                if not other.is_argument and _same_numbers(other.value, event.value):
                    event = other
        if not event.file:
            return event
        wrong = [r for r in self.readings if not r.is_right and not r.is_part]
        return self._forward_value(event) or self._common_cause(event, wrong) or event

    def _forward_value(self, event: Assigned) -> Assigned | None:
        """Find a value of the forward pass that was computed again, otherwise, and is read here."""
        for name in names_in(event.file, event.line):
            value = self._latest(name, event)
            same = self.truth.named(name, event.scope)
            if value is None or not same or value.is_argument:
                continue
            others = [np.asarray(getattr(v.event.value, "data", v.event.value)) for v in same]
            here = np.asarray(value.value)
            if any(o.shape == here.shape for o in others) and not any(
                o.shape == here.shape and self.truth.agree(here, o) for o in others
            ):
                return value
        return None

    def _common_cause(self, event: Assigned, wrong: Sequence[_Reading]) -> Assigned | None:
        """Find what all wrong lines of a call read, and nothing says is right."""
        here = [r.guilty() for r in wrong if r.assigned.frame == event.frame]
        lines = {(e.file, e.line) for e in here if e.file}
        if len(lines) < 2:
            return None
        common = set.intersection(*(names_in(file, line) for file, line in lines))
        judged = {r.assigned.name for r in self.readings}
        values = [self._latest(name, event) for name in sorted(common - judged)]
        causes = [v for v in values if v is not None and not v.is_argument]
        causes = [v for v in causes if not self.truth.named(v.name, v.scope)]
        return causes[-1] if causes else None

    def _latest(self, name: str, before: Assigned) -> Assigned | None:
        """Give the latest assignment to a variable of a call, before another one."""
        number = next(k for k, other in enumerate(self.assigned) if other is before)
        earlier = [e for e in self.assigned[:number] if e.name == name and e.frame == before.frame]
        return earlier[-1] if earlier else None


def _chains(assigned: Sequence[Assigned]) -> list[list[Assigned]]:
    """Put together what one variable came to be in several steps; order them by the last one."""
    open_ones: dict[tuple[Any, str], list[Assigned]] = {}
    chains: list[list[Assigned]] = []
    for event in assigned:
        own = event.name.startswith("self.")
        if event.is_argument and own:
            continue  # an attribute that was there before
        key = (event.scope if own else event.frame, event.name)
        before = open_ones.get(key)
        if before is not None and event.goes_on and not before[-1].is_argument:
            before.append(event)
        else:
            open_ones[key] = [event]
            chains.append(open_ones[key])
    order = {id(event): k for k, event in enumerate(assigned)}
    return sorted(chains, key=lambda chain: order[id(chain[-1])])
