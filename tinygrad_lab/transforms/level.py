"""``Level``: one vmap while it runs, and what becomes of the calls inside it.

A call is made in its own form (``batching.py``), as the functions that it consists of, or for each
example in turn.  A primitive called with batches that are made of tensors is one call of these, so
that its gradient is that of its own rule.

Not for: the array (``batched.py``), random numbers (``draws.py``).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np

from tinygrad_lab.core.arguments import admitted
from tinygrad_lab.core.cotangents import fitted, from_scalar
from tinygrad_lab.core.dispatch import from_node
from tinygrad_lab.core.engine import NO_KWARGS, record
from tinygrad_lab.core.errors import BatchedValueError, name_of, qualified_name
from tinygrad_lab.core.levels import RUNNING, in_turn, innermost, is_tracked, level_of
from tinygrad_lab.core.modes import WATCH, current_mode
from tinygrad_lab.core.operations import (
    OPERATIONS,
    TENSORS,
    Op,
    Operation,
    defvjp,
    defvjp_joint,
    primitive,
)
from tinygrad_lab.core.rules.arguments import untracked
from tinygrad_lab.core.several import as_array
from tinygrad_lab.transforms.batched import Batched, array_of
from tinygrad_lab.transforms.draws import BatchedGenerator, Drawn
from tinygrad_lab.warnings import SlowBatchWarning, warn

__all__ = ["FORMS", "OF_SHAPES", "Level"]

#: What an operation is for a batch, by the operation: ``form(level, op, *args, **kwargs)`` gets
#: batched arrays and returns plain ones with the batch axis in front (see ``batching.py``).
FORMS: dict[Op, Op] = {}
#: Those of them that are of shapes and dtypes alone, so that their results are plain.
OF_SHAPES: set[Op] = set()

_ALONE = frozenset({np.ndarray, int, float, bool, str, type(None)})  # nothing is in these
_UNKNOWN = Operation()


class Level:
    """One vmap while it runs: how many examples there are, and what calls inside it do."""

    def __init__(self, name: str, size: int, randomness: Any = "different") -> None:
        self.name, self.size, self.randomness = name, size, randomness
        self.around: Level | None = innermost.get()
        self.depth = 1 if self.around is None else self.around.depth + 1
        self.is_open = True
        self._composing: set[Op] = set()
        self._generators: dict[int, Any] = {}

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Be the innermost vmap inside this block, and none afterwards."""
        try:  # around setting it too, so that no interrupt leaves it set
            innermost.set(self)
            RUNNING.append(self)
            yield self
        finally:
            innermost.set(self.around)
            self.is_open = False
            RUNNING[:] = [level for level in RUNNING if level is not self]

    def check(self) -> None:
        """Refuse a call with what was kept beyond the vmap that it belongs to."""
        if not self.is_open:
            raise BatchedValueError(
                f"an array of {self.name} was used after that call: it stood for one example, and "
                "there is none any more. Return it, and use what vmap returns"
            )

    # -- wrapping -----------------------------------------------------------------------------

    def batch(self, data: Any) -> Batched:
        """Wrap an array that has the batch axis in front."""
        return array_of(data, self, False)

    def share(self, data: Any) -> Batched:
        """Wrap an array that all examples share."""
        return array_of(data, self, True)

    def is_batched(self, x: Any) -> bool:
        """Whether a value is another in each example."""
        return type(x) is Batched and x.level is self and not x.shared

    def holds(self, value: Any) -> bool:
        """Whether something in a value is another in each example."""
        if type(value) in _ALONE:
            return False
        if isinstance(value, (tuple, list)):
            return any(map(self.holds, value))
        if isinstance(value, dict):
            return any(map(self.holds, value.values()))
        if type(value) is slice:
            return any(map(self.holds, (value.start, value.stop, value.step)))
        return self.is_batched(value)

    def mapped(
        self, function: Op, value: Any, of_tensors: Callable[[Any], Any] = lambda t: t
    ) -> Any:
        """Replace the arrays of this level inside a value, and the tensors that hold one."""
        if type(value) is Batched and value.level is self:
            return function(value)
        if type(value) in TENSORS:
            return of_tensors(value) if level_of(value) is self else value
        if isinstance(value, (tuple, list)):
            members = [self.mapped(function, item, of_tensors) for item in value]
            if hasattr(value, "_make"):
                return value._make(members)
            return type(value)(members)
        if isinstance(value, dict):
            items = value.items()
            return type(value)((key, self.mapped(function, v, of_tensors)) for key, v in items)
        if type(value) is slice:
            ends = (value.start, value.stop, value.step)
            return slice(*(self.mapped(function, end, of_tensors) for end in ends))
        return value

    def inner(self, value: Any) -> Any:
        """What the arrays of this level inside a value hold."""
        return self.mapped(operator.attrgetter("data"), value)

    def front(self, x: Any) -> Any:
        """The array with the batch axis in front, whether or not all examples share it."""
        x = as_array(x)
        if type(x) in TENSORS and level_of(x) is self:
            x = x.data  # what it was computed from is inside, and nobody outside can ask for it
        if self.is_batched(x):
            return x.data
        x = from_scalar(self.inner(x))
        return np.broadcast_to(x, (self.size, *x.shape))

    def aligned(self, x: Any, ndim: int) -> Any:
        """What broadcasts with others of up to ``ndim`` axes beside the batch axis."""
        if not self.is_batched(x):
            return self.inner(x)
        data, missing = x.data, ndim + 1 - x.data.ndim
        if missing <= 0:
            return data
        return data.reshape((data.shape[0], *(1,) * missing, *data.shape[1:]))

    def example(self, value: Any, i: int) -> Any:
        """The arguments of one example."""
        return self.mapped(
            lambda x: x.data if x.shared else from_scalar(x.data[i]), value, lambda t: _one_of(t, i)
        )

    # -- calls --------------------------------------------------------------------------------

    def call(
        self, op: Op, args: Any, kwargs: Mapping[str, Any] = NO_KWARGS, body: Op | None = None
    ) -> Any:
        """Call an operation for all examples: in its form, by what it consists of, or in turn."""
        self.check()
        is_elementwise = isinstance(op, np.ufunc) and op.signature is None
        form = FORMS[np.add] if is_elementwise else FORMS.get(op)
        if form is not None and op in OF_SHAPES:
            return form(self, op, *args, **kwargs)
        if not (self.holds(args) or self.holds(kwargs)):
            return self.wrapped(op(*self.inner(args), **self.inner(dict(kwargs))), shared=True)
        if form is not None:
            return self.wrapped(form(self, op, *args, **kwargs))
        operation = OPERATIONS.get(op, _UNKNOWN)
        if operation.in_place:
            raise BatchedValueError(f"{qualified_name(op)} {operation.refusal}")
        if body is not None and operation.vjps and any(map(is_tracked, args)):
            return self._recorded(op, args, kwargs)
        if op in self._composing:
            return self.in_turn(op, *args, **kwargs)
        return self._composed(op, operation, args, kwargs, body)

    def _composed(
        self, op: Op, operation: Operation, args: Any, kwargs: Any, body: Op | None
    ) -> Any:
        """Call what an operation consists of, and call it in turn where that asks for one value."""
        composition = operation.composition or body
        if composition is None:
            return self.in_turn(op, *args, **kwargs)
        if composition is not body:
            args, kwargs = admitted(op, operation, args, kwargs)
        self._composing.add(op)  # NumPy's own function may be part of it, which is then in turn
        try:
            return self.wrapped(composition(*args, **kwargs), shared=True)
        except BatchedValueError:
            self.check()
        finally:
            self._composing.discard(op)
        return self.in_turn(op, *args, **kwargs)

    def _recorded(self, op: Op, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Call a primitive on batches made of tensors: their gradient is that of its own rule."""
        is_plain = not any(isinstance(arg, (tuple, list)) and self.holds(arg) for arg in args)
        if not is_plain or self.holds(dict(kwargs)) or not self.size:
            return self.in_turn(op, *args, **kwargs)
        axes = tuple(0 if self.is_batched(arg) else None for arg in args)
        call = _Call(op, axes, dict(kwargs), self.size)
        return self.wrapped(_over_batch(*self.inner(args), call=call))

    def wrapped(self, value: Any, shared: bool = False) -> Any:
        """Wrap each array of a result."""
        if isinstance(value, (tuple, list)):
            parts = [self.wrapped(part, shared) for part in value]
            return value._make(parts) if hasattr(value, "_make") else type(value)(parts)
        is_array = hasattr(value, "dtype") and level_of(value) is not self
        return array_of(from_scalar(value), self, shared) if is_array else value

    def in_turn(self, op: Op, *args: Any, **kwargs: Any) -> Any:
        """Call an operation with each example, one after the other, and stack what it gives."""
        if current_mode() is WATCH and type(op) is not Drawn:
            warn(
                f"{qualified_name(op)} has no form of its own for a batch, so {self.name} calls it "
                f"{self.size} times",
                SlowBatchWarning,
            )
        if self.size:
            numbers = range(self.size)
            results = [op(*self.example(args, i), **self.example(kwargs, i)) for i in numbers]
            return self.stacked(results, qualified_name(op))
        ones = lambda x: x.data if x.shared else np.ones(x.shape, x.dtype)
        with np.errstate(all="ignore"):
            result = op(*self.mapped(ones, args), **self.mapped(ones, kwargs))
        return self.stacked([result], qualified_name(op), slice(0))

    def stacked(self, results: list[Any], name: str, some: slice = slice(None)) -> Any:
        """Make a batch of the results of each example."""
        first = results[0]
        if isinstance(first, (tuple, list)):
            if len({len(result) for result in results}) > 1:
                raise BatchedValueError(_ragged(name, [len(r) for r in results], "lengths"))
            parts = [self.stacked(list(part), name, some) for part in zip(*results, strict=True)]
            return first._make(parts) if hasattr(first, "_make") else type(first)(parts)
        if isinstance(first, dict):
            columns = {key: [result[key] for result in results] for key in first}
            return type(first)((k, self.stacked(c, name, some)) for k, c in columns.items())
        if first is None or isinstance(first, str):
            return first
        if any(type(result) in TENSORS and level_of(result) is self for result in results):
            return _all_of(results, self)
        arrays = [from_scalar(as_array(result)) for result in results]
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            raise BatchedValueError(_ragged(name, sorted(shapes), "shapes"))
        return self.batch(np.stack(arrays)[some])

    # -- random numbers -----------------------------------------------------------------------

    def generator(self, generator: np.random.Generator) -> np.random.Generator:
        """The generator that draws for each example of this level, and of those around it."""
        if isinstance(generator, BatchedGenerator) and generator.level.depth >= self.depth:
            return generator
        if self.around is not None:
            generator = self.around.generator(generator)
        known = self._generators.get(id(generator))
        if known is None:
            known = self._generators[id(generator)] = generator, BatchedGenerator(generator, self)
        return known[1]


# Calls in turn with tensors of a level: one example of each, and all of them again.  What is one's
# is held as if all shared it, so that it has one value and stays in the level.


def _one_of(t: Any, i: int) -> Any:
    """The tensor of one example of a tensor."""
    level, x = t.data.level, t.data
    if x.shared:
        return t
    value = level.share(from_scalar(x.data[i]))
    return from_node(value, t.node and record(_one_of, (x, i), NO_KWARGS, value, (t.node, None)))


def _all_of(results: Sequence[Any], level: Level) -> Any:
    """The tensor of all examples, from one of each."""
    values = [r.data if type(r) in TENSORS else r for r in results]
    nodes = tuple(r.node if type(r) in TENSORS else None for r in results)
    whole = level.batch(np.stack([from_scalar(as_array(level.inner(value))) for value in values]))
    values = [level.share(level.inner(value)) for value in values]
    if not any(nodes):
        return from_node(whole, None)
    return from_node(whole, record(_all_of, tuple(values), NO_KWARGS, whole, nodes))


def _only(g: Any, x: Any, i: int) -> Any:
    """What comes back to the batch from one of its examples."""
    level = untracked(x).level
    return np.where(level.batch(np.arange(level.size)) == i, g, 0)


def _back_to(level: Level, g: Any, i: int) -> Any:
    if type(g) in TENSORS and level_of(g) is level:
        return _one_of(g, i)
    return level.share(from_scalar(g.data[i])) if level.is_batched(g) else g


defvjp(_one_of, lambda g, y, x, i: _only(g, x, i))
defvjp_joint(
    _all_of, lambda argnums, g, y, *xs: [_back_to(untracked(y).level, g, i) for i in argnums]
)


# A primitive for a whole batch, as one call of the tensors that the batch is made of


class _Call(NamedTuple):
    """What is called for a batch, and which of its arguments are other in each example."""

    op: Op
    axes: tuple[int | None, ...]
    kwargs: dict[str, Any]
    size: int

    def __call__(self, f: Op, *args: Any) -> Any:
        """Call a function that takes such arguments, and maybe others before them, which are."""
        axes = (0,) * (len(args) - len(self.axes)) + self.axes
        with Level(f"vmap({name_of(self.op)})", self.size).running() as level:
            pairs = zip(args, axes, strict=True)
            result = f(*[level.batch(x) if axis == 0 else x for x, axis in pairs])
            fronts = [level.front(y) for y in (result if type(result) is list else [result])]
        return fronts if type(result) is list else fronts[0]


@primitive
def _over_batch(*args: Any, call: _Call) -> Any:
    return call(partial(call.op, **call.kwargs), *args)


def _over_batch_back(argnums: Any, g: Any, y: Any, *args: Any, call: _Call) -> list[Any]:
    operation = OPERATIONS[call.op]

    def rules(g: Any, y: Any, *args: Any) -> list[Any]:
        if operation.joint is not None:
            answers = _answered(partial(operation.joint, argnums), g, y, *args, **call.kwargs)
        else:
            answers = [_answered(operation.vjps[i], g, y, *args, **call.kwargs) for i in argnums]
        return [fitted(answer, args[i]) for i, answer in zip(argnums, answers, strict=True)]

    answers = call(rules, g, y, *args)
    return [
        answer if call.axes[i] == 0 else answer.sum(axis=0)
        for i, answer in zip(argnums, answers, strict=True)
    ]


def _answered(rule: Op, *args: Any, **kwargs: Any) -> Any:
    try:
        return rule(*args, **kwargs)
    except BatchedValueError as error:
        return in_turn(error, rule, *args, **kwargs)


defvjp_joint(_over_batch, _over_batch_back)
_over_batch.__name__ = "vmap"


def _ragged(name: str, sizes: list[Any], what: str) -> str:
    return (
        f"{name} inside vmap gives results of different {what} for different examples, "
        f"{', '.join(map(str, sizes[:4]))}: what vmap returns must be one array. Say "
        "np.where(condition, x, 0) for a choice, or call the function for each example yourself"
    )
