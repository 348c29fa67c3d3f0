"""Read a hand-written backward pass line by line, and find the first line that is wrong.

What it assigns to ``dZ3``, ``self.dW`` or ``grads["W1"]``, or returns, is compared with the true
gradient by the variable of its name.  Where one differs, the pass runs again with the right one in
its place.  If everything comes out right then, that line is the one at fault, and no other.

Not for: deciding that a gradient is wrong; it looks on after that is known.  Nor for the true
gradients (``truth.py``), or what was assigned (``watching.py``).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.subject import BackwardPass
from tinygrad_lab.testing.telling.diagnosis import diagnose, wrong_factor
from tinygrad_lab.testing.telling.ratios import Size
from tinygrad_lab.testing.telling.truth import Truth, Variable, ratio_of, truth_of
from tinygrad_lab.testing.telling.watching import Assigned, is_a_copy, names_in, watched

MOST_RUNS = 80  # of the backward pass, with something else in the place of what it assigned
FEWEST_RUNS = 8
MOST_EVENTS = 20_000  # in all of more runs than these


class Audit(NamedTuple):
    """Lines for a message, and file and line of the first that is wrong, where one is certain."""

    lines: list[str]
    site: str = ""


def audit(
    backward_pass: BackwardPass, input: int | None = None, memo: dict[Any, Any] | None = None
) -> Audit:
    """Say which line of a backward pass is the first to be wrong, and by what factor.

    ``input`` is the one whose gradient is known to be wrong: where no line is certain, it says
    where that one was assigned.  It has no lines to say where nothing has a name to go by.
    ``memo`` keeps what was found out, for the next input.
    """
    memo = {} if memo is None else memo
    at = (*backward_pass.arrays, *backward_pass.upstreams)
    key = "audit", *(np.asarray(x).tobytes() for x in at)
    with np.errstate(all="ignore"):
        if key not in memo:
            try:
                gradients, assigned = watched(backward_pass.run, backward_pass.path)
            except Exception:  # noqa: BLE001 - it is judged elsewhere
                return Audit([])
            memo[key] = _Story(backward_pass, gradients, assigned)
        story: _Story = memo[key]
        return story.first_wrong(input) or story.where_assigned(input)


def _path(event: Assigned) -> str:
    """Name an attribute from outside, as parameters are called."""
    if not event.name.startswith("self."):
        return ""
    name = event.name.removeprefix("self.")
    return f"{event.scope}.{name}" if event.scope else name


def _same_numbers(a: Any, b: Array) -> bool:
    is_array = isinstance(a, (np.ndarray, np.generic))
    return is_array and a.shape == b.shape and bool(np.array_equal(a, b))


class _Reading:
    """A gradient that was assigned, beside the true ones by the variable that it belongs to."""

    def __init__(
        self, chain: Sequence[Assigned], variables: Sequence[Variable], truth: Truth
    ) -> None:
        self.chain, self.assigned, self.truth = chain, chain[-1], truth
        self.by, self.shape = variables[-1].name, variables[-1].value.shape
        self.gradient = np.asarray(self.assigned.value)
        pairs = [(v, v.true) for v in variables if v.true is not None]
        self.variables = [v for v, true in pairs if true.shape == self.gradient.shape]
        rights = [true for _, true in pairs if true.shape == self.gradient.shape]
        self.right = _nearest(self.gradient, rights)
        self.is_right = any(truth.agree(self.gradient, t) for t in rights)
        self.pattern = None
        if self.right is not None and not self.is_right:
            lengths = enumerate(self.right.shape)
            sizes = [Size(n, f"elements along axis {k} of {self.by}", False) for k, n in lengths]
            sizes.append(Size(self.right.size, f"elements of {self.by}", is_likely=False))
            self.pattern = diagnose(self.gradient, self.right, sizes)
        self.ratio = None if self.pattern is None else self.pattern.ratio

    def step(self) -> Assigned:
        """Choose the step that went wrong, where the gradient was made in several."""
        if self.right is None or len(self.chain) == 1:
            return self.assigned
        values = [np.asarray(event.value) for event in self.chain]
        ratios = [ratio_of(value, self.right) for value in values]
        if self.ratio is not None:  # the first from which on it is off by this factor
            off = [r is None or abs(r - self.ratio) > 1e-6 * abs(self.ratio) for r in ratios]
            first = max((k + 1 for k, is_off in enumerate(off) if is_off), default=0)
            return self.chain[min(first, len(self.chain) - 1)]
        parts = [p for v in self.variables for p in (*v.parts, *v.sums())]
        good = [
            k for k, x in enumerate(values[:-1])
            if ratios[k] is not None or any(self.truth.agree(x, p) for p in parts)
        ]  # fmt: skip
        if good:
            return self.chain[good[-1] + 1]
        if (step := self._step_at_wrong_places(values)) is not None:
            return self.chain[step]
        for k, x in enumerate(values[:-1]):
            if any(x.shape == p.shape and self.truth.agree(values[-1] - x, p) for p in parts):
                return self.chain[k]  # what was added since is right
        starts_with_a_copy = is_a_copy(self.chain[0].file, self.chain[0].line)
        return self.chain[1 if starts_with_a_copy else 0]

    def _step_at_wrong_places(self, values: Sequence[Array]) -> int | None:
        """Find the step that changed the places that are wrong, and few others."""
        assert self.right is not None
        size = self.truth.tolerance * float(np.max(np.abs(self.right), initial=0.0))
        wrong = ~(np.abs(values[-1] - self.right) <= size)
        if np.all(wrong) or any(value.shape != wrong.shape for value in values):
            return None
        changed = [before != after for before, after in itertools.pairwise(values)]
        fitting = [k for k, mask in enumerate(changed, 1) if np.all(mask[wrong])]
        narrow = [k for k in fitting if not np.all(changed[k - 1])]
        return min(narrow, key=lambda k: int(np.sum(changed[k - 1])), default=None)

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


class _Place(NamedTuple):
    """A line, and what it assigns."""

    file: str
    line: int
    name: str
    is_argument: bool

    @classmethod
    def of(cls, event: Assigned) -> _Place:
        return cls(event.file, event.line, event.name, event.is_argument)


#: Says what would be right, for an assignment, its value and how many came before in that place.
_Rights = Callable[[Assigned, Array, int], Array | None]


class _Suspect(NamedTuple):
    """Something that may be wrong, and what would be right there."""

    event: Assigned
    rights: _Rights
    reading: _Reading | None = None
    text: str = ""  # what is wrong, where there is no reading


class _Story:
    """What the backward pass assigned, in turn, and what comes out."""

    def __init__(
        self, passes: BackwardPass, gradients: Sequence[Any], assigned: Sequence[Assigned]
    ) -> None:
        self.passes, self.gradients, self.assigned = passes, gradients, assigned
        self.truth = truth_of(passes)
        self.wrong = self._wrong(gradients)
        self.readings: dict[int, _Reading] = {}
        self.inside: set[int] = set()  # steps that are not the last
        for chain in _chains(assigned):
            self.inside |= {id(event) for event in chain[:-1]}
            if variables := self.truth.of(chain[-1]):
                self.readings[id(chain[-1])] = _Reading(chain, variables, self.truth)

    def _wrong(self, gradients: Sequence[Any]) -> set[int]:
        """Say the gradients by which inputs are wrong."""
        pairs = enumerate(zip(gradients, self.truth.inputs, strict=False))
        return {
            i for i, (g, true) in pairs
            if true is not None and not self.truth.agree(np.asarray(g), true)
        }  # fmt: skip

    def first_wrong(self, input: int | None) -> Audit | None:
        """Find the first wrong gradient that mends what comes out, if the right one is put there.

        Where no one does, several lines are wrong, or one without the name of a gradient; then the
        first that mends the gradient by ``input``.

        So a constant factor on the way that is a convention, such as dividing by n at the end, is
        not called wrong: with the right gradient there, something else would be wrong.
        """
        right = {id(event) for event in self.assigned if self._is_right(event)}
        for suspect, mended in self._tries:
            if mended and mended == self.wrong:
                return self._told(suspect, right)
        for suspect, mended in self._tries:
            if input in mended or (input is None and mended):
                return self._told(suspect, right, is_certain=False)
        return None

    @functools.cached_property
    def _tries(self) -> list[tuple[_Suspect, set[int]]]:
        """Put right what may be wrong, one after the other, until everything is right."""
        tries: list[tuple[_Suspect, set[int]]] = []
        most = max(FEWEST_RUNS, min(MOST_RUNS, MOST_EVENTS // max(len(self.assigned), 1)))
        for suspect in islice(self._suspects(), most):
            tries.append((suspect, self._mended(suspect)))
            if tries[-1][1] == self.wrong:
                break
        return tries

    def where_assigned(self, i: int | None) -> Audit:
        """Say where the wrong gradient was assigned, as the least that is certain."""
        gradients, names = self.gradients, self.passes.names
        if i is None or i >= len(gradients) or not isinstance(gradients[i], np.ndarray):
            return Audit([])
        events = [e for e in self.assigned if not e.is_argument]
        same = [e for e in events if _same_numbers(e.value, gradients[i])]
        moved = [e for e in events if _path(e) == names[i]]  # by a step
        for event in (*same[:1], *moved[-1:]):
            return Audit([f"the gradient by {names[i]} is from {event.site}: {event.source}"])
        return Audit([])

    def _is_right(self, event: Assigned) -> bool:
        variables = self.truth.of(event)
        rights = [v.true for v in variables if v.true is not None]
        rights += [part for v in variables for part in v.parts]  # of one use, to be added to others
        return any(self.truth.agree(np.asarray(event.value), right) for right in rights)

    def _told(self, suspect: _Suspect, right: Collection[int], is_certain: bool = True) -> Audit:
        """Say what is wrong in which line, and what it reads that nothing says is right."""
        reading = suspect.reading
        event = suspect.event if reading is None else reading.step()
        named = self._named_later(suspect.event)
        lines = [f"  {suspect.text}"] if reading is None else reading.lines()
        lines = lines if named is None else named.lines()
        doubtful = self._doubtful(event, right)
        earlier = [] if reading is not None else self._steps_before(event)
        is_certain = is_certain and all(is_a_copy(e.file, e.line) for e in earlier)
        if doubtful:
            lines.append(f"  it reads {', '.join(doubtful)}: right or wrong, that cannot be told")
        is_certain = is_certain and not doubtful and not is_a_copy(event.file, event.line)
        what = "first wrong line" if is_certain else "wrong in this line at the latest"
        text = f"{what}: {event.site}: {event.source}"
        return Audit([text, *lines], event.site if is_certain else "")

    def _steps_before(self, event: Assigned) -> list[Assigned]:
        """Give what the same variable was on the way to what it came to be."""
        chain = next((c for c in _chains(self.assigned) if c[-1] is event), [event])
        return chain[:-1]

    def _doubtful(self, event: Assigned, right: Collection[int]) -> list[str]:
        """Name what a line reads of what was assigned before, and is not known to be right."""
        number = next(k for k, other in enumerate(self.assigned) if other is event)
        names = names_in(event.file, event.line)
        latest = {
            other.name: other for other in self.assigned[:number]
            if other.frame == event.frame and other.name in names
        }  # fmt: skip
        # what a right gradient is made of is right, if only by a convention
        good = [e for e in self.assigned if id(e) in right and e.frame == event.frame]
        serving = {name for e in good if not e.is_argument for name in names_in(e.file, e.line)}
        return [
            f"{name} of line {other.line}" for name, other in sorted(latest.items())
            if not other.is_argument and other.file and name != event.name
            and id(other) not in right and name not in serving and not self._is_known(other)
        ]  # fmt: skip

    def _is_known(self, event: Assigned) -> bool:
        """Whether something is a value of the forward pass, or a gradient by something in it."""
        if id(event) in self.readings:  # by its name it is the gradient by something else
            return False
        value = np.asarray(event.value)
        values = (v.value for v in self.truth.variables)
        gradients = (true for _, true in (*self.truth.nodes, *self.truth.parts))
        known = (*values, *gradients, *self.passes.arrays)
        return any(self.truth.agree(value, np.asarray(x)) for x in known)

    def _named_later(self, event: Assigned) -> _Reading | None:
        """Find the gradient with a name that has the same numbers: it has the more to tell."""
        if id(event) in self.readings or not isinstance(event.value, np.ndarray):
            return None
        wrong = (r for r in self.readings.values() if not r.is_right)
        return next((r for r in wrong if _same_numbers(r.assigned.value, event.value)), None)

    def _suspects(self) -> Iterator[_Suspect]:
        """Give what may be wrong, in turn: each line once, for each thing it may have to be."""
        if not self.wrong:
            return
        tried: set[_Place] = set()
        plausible: list[Assigned] = []  # it may be another gradient than it has to be
        for event in self.assigned:
            place = _Place.of(event)
            is_handed_over = event.is_argument and not event.file  # by the checker
            if place in tried or is_handed_over or id(event) in self.inside:
                continue
            reading = self.readings.get(id(event))
            if reading is None:
                tried.add(place)
                if self._looks_right(event):
                    plausible.append(event)
                else:
                    yield from self._unnamed(event)
            elif not reading.is_right:
                tried.add(place)
                for sign in (1.0, -1.0) if reading.ratio is not None else (1.0,):
                    yield _Suspect(event, functools.partial(self._by_variable, sign), reading)
                yield from self._of_one_use(event)
        for event in plausible:
            yield from self._unnamed(event)

    def _looks_right(self, event: Assigned) -> bool:
        """Whether an array without a name is a gradient, and of what nothing says otherwise."""
        is_array = isinstance(event.value, np.ndarray) and event.value.size > 1
        once = is_array and self._runs_of(event) == 1
        return once and self._is_known(event) and self._named_later(event) is None

    def _runs_of(self, event: Assigned) -> int:
        """Count how often a line assigned the same."""
        place = _Place.of(event)
        return sum(_Place.of(other) == place for other in self.assigned)

    def _of_one_use(self, event: Assigned) -> Iterator[_Suspect]:
        """Give what it may have to be, where it is to be added to what other uses contribute."""
        alike = [p for v in self.truth.of(event) for p in v.parts if p.shape == event.value.shape]
        if any(self.truth.agree(event.value, part) for part in alike):
            return
        for part in alike:
            text = f"{event.name} is not what one use contributes to that gradient"
            yield _Suspect(event, functools.partial(_in_turn, [part]), text=text)

    def _by_variable(self, sign: float, event: Assigned, value: Array, _: int) -> Array | None:
        """Give the gradient by the variable that an assignment belongs to."""
        rights = [v.true for v in self.truth.of(event) if v.true is not None]
        right = _nearest(value, [r for r in rights if r.shape == value.shape])
        return None if right is None else sign * right

    def _unnamed(self, event: Assigned) -> Iterator[_Suspect]:
        """Give what something without the name of a gradient may have to be."""
        if event.is_argument or not isinstance(event.value, np.ndarray) or event.value.size < 2:
            return
        values = self.truth.values_for(event)
        if any(self.truth.agree(event.value, x) for x in values):
            return  # a value of the forward pass, and right
        if values:
            text = f"{event.name} is not what it is in the forward pass"
            yield _Suspect(event, self._by_value_of_forward, text=text)
        multiple = self.truth.by_value(event)
        if multiple is not None and not self.truth.agree(event.value, np.asarray(multiple.true)):
            reading = _Reading([event], [multiple], self.truth)
            yield _Suspect(event, self._by_multiple, reading)
        number = self._runs_of(event)
        for group in self.truth.groups(event.value.shape, number):
            if self.truth.agree(event.value, group[-1]):
                continue  # right where it first runs
            text = f"{event.name} is not the gradient that is passed on here"
            yield _Suspect(event, functools.partial(_in_turn, group[::-1]), text=text)

    def _by_value_of_forward(self, event: Assigned, value: Array, _: int) -> Array | None:
        return _nearest(value, self.truth.values_for(event))

    def _by_multiple(self, event: Assigned, _value: Array, _: int) -> Array | None:
        variable = self.truth.by_value(event)
        return None if variable is None else variable.true

    def _mended(self, suspect: _Suspect) -> set[int]:
        """Run the pass with what is right in that place; say what comes out right by that."""
        place, number = _Place.of(suspect.event), 0

        def hook(event: Assigned, value: Any) -> bool:
            nonlocal number
            if _Place.of(event) != place:
                return False
            right = suspect.rights(event, np.asarray(value), number)
            number += 1
            if right is None:
                return False
            value[...] = right
            return True

        try:
            gradients, _ = watched(self.passes.run, self.passes.path, hook)
        except Exception:  # noqa: BLE001 - it cannot be written into
            return set()
        left = self._wrong(gradients)
        return self.wrong - left if left < self.wrong else set()


def _in_turn(rights: Sequence[Array], _event: Assigned, _value: Array, number: int) -> Array:
    """Give what is right each time that a line runs: the last call of the forward pass first."""
    return rights[number % len(rights)]


def _chains(assigned: Sequence[Assigned]) -> list[list[Assigned]]:
    """Put together what one variable came to be in several steps."""
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
    return chains
