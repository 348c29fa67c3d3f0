"""``Batched``: many arrays of one shape, which a function takes for one of them.

The axis that counts them, the batch axis, lies in front and is not shown: ``shape``, ``ndim`` and
``len`` are those of one example.  What all examples share needs no such axis.

Not for: what becomes of a call (``batching.py``), or how arrays get here (``vmap.py``).
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple, Self

import numpy as np

from tinygrad_lab.core.arguments import admitted, without_out
from tinygrad_lab.core.cotangents import fitted, from_scalar
from tinygrad_lab.core.dispatch import apply, from_node
from tinygrad_lab.core.engine import NO_KWARGS, record
from tinygrad_lab.core.errors import BatchedValueError, describe, name_of, qualified_name
from tinygrad_lab.core.levels import RUNNING, in_turn, innermost, is_tracked, level_of, settled
from tinygrad_lab.core.modes import WATCH, current_mode
from tinygrad_lab.core.operations import (
    OPERATIONS,
    TAKES,
    TENSORS,
    Op,
    defvjp,
    defvjp_joint,
    primitive,
)
from tinygrad_lab.core.rules.arguments import untracked
from tinygrad_lab.core.rules.creation import astype, copied
from tinygrad_lab.core.rules.indexing import getitem, setitem
from tinygrad_lab.core.several import as_array
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.warnings import SlowBatchWarning, warn

__all__ = ["FORMS", "OF_SHAPES", "Batched", "BatchedValueError", "Level"]

#: What an operation is for a batch, by the operation: ``form(level, op, *args, **kwargs)`` gets
#: batched arrays and returns plain ones with the batch axis in front (see ``batching.py``).
FORMS: dict[Op, Op] = {}

_new = object.__new__


def _of_one(convert: Callable[..., Any], what: str, remedy: str) -> Any:
    """Define what needs one value: what all examples share has it."""

    def method(self: Batched, *args: Any, **kwargs: Any) -> Any:
        self.level.check()
        if self.shared:
            return convert(self.data, *args, **kwargs)
        raise BatchedValueError(
            f"{what} inside vmap: a batch of {self.level.size} examples has no one value. {remedy}",
            self.level,
        )

    return method


_COMPUTE = "Compute with the array as it is, and take the number of what vmap returns"


def _unary(op: Op) -> Any:
    def method(self: Batched) -> Any:
        level = self.level
        return _made(op(self.data), level, self.shared) if level.is_open else level.check()

    return method


def _binary(op: Op) -> Any:
    def method(self: Batched, other: Any) -> Any:
        kind, level = type(other), self.level
        if not self.shared and level.is_open:
            if kind is float or kind is int or (kind is np.ndarray and other.ndim < self.data.ndim):
                return _made(op(self.data, other), level, False)
            if kind is Batched and other.level is level and not other.shared:
                data, by = self.data, other.data
                if data.ndim == by.ndim:
                    return _made(op(data, by), level, False)
        return op(self, other)

    return method


def _reflected(op: Op) -> Any:
    return lambda self, other: op(other, self)


def _made(data: Any, level: Level, shared: bool) -> Batched:
    batched = _new(Batched)
    batched.data = data
    batched.level = level
    batched.shared = shared
    return batched


class Batched:
    """The arrays of a batch, which show the shape of one; or one that all examples share."""

    __slots__ = ("__weakref__", "data", "level", "shared")

    data: Any  # an array, a tensor, or an array of a batch around this one
    level: Level
    shared: bool  # by all examples: ``data`` has no batch axis

    __array_priority__ = 10.0

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        shape: tuple[int, ...] = self.data.shape
        return shape if self.shared else shape[1:]

    @property
    def ndim(self) -> int:
        """The number of axes of one example."""
        return int(self.data.ndim) - (not self.shared)

    size = property(lambda self: math.prod(self.shape), doc="The elements of one example.")
    dtype = property(lambda self: self.data.dtype, doc="The type of an element.")
    itemsize = property(lambda self: self.data.dtype.itemsize, doc="The bytes of an element.")
    nbytes = property(lambda self: self.size * self.itemsize, doc="The bytes of one example.")

    # -- NumPy's protocols --------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        is_elementwise = not kwargs and method == "__call__" and ufunc.signature is None
        if is_elementwise and (plain := self._aligned(inputs)):
            return self.level.wrapped(ufunc(*plain))
        _refuse_out(ufunc, kwargs)
        inputs, kwargs, level = settled(inputs, dict(without_out(ufunc, kwargs)))
        if level is None:  # a tensor takes it
            return NotImplemented
        op, kwargs = _method_of(ufunc, method, kwargs)
        return level.call(op, inputs, kwargs)

    def _aligned(self, inputs: Any) -> list[Any] | None:
        """What an elementwise function of these gets, where nothing is to be moved."""
        level, ndim = self.level, self.data.ndim
        plain = []
        for x in inputs:
            kind = type(x)
            if kind is Batched and x.level is level and not x.shared and x.data.ndim == ndim:
                x = x.data
            elif not (kind is float or kind is int or (kind is np.ndarray and x.ndim < ndim)):
                return None
            plain.append(x)
        return plain if level.is_open else None

    def __array_function__(self, function: Op, types: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs, level = settled(args, dict(without_out(function, kwargs, args)))
        return NotImplemented if level is None else level.call(function, args, kwargs)

    __array__ = _of_one(
        np.asarray,
        "np.asarray, np.array or another conversion to a plain array",
        "NumPy's functions take the array as it is; np.stack makes one of several, and "
        "np.take(x, i) is x[i] of a plain array x",
    )

    # -- operators ----------------------------------------------------------------------------

    __add__, __radd__ = _binary(np.add), _reflected(np.add)
    __sub__, __rsub__ = _binary(np.subtract), _reflected(np.subtract)
    __mul__, __rmul__ = _binary(np.multiply), _reflected(np.multiply)
    __truediv__, __rtruediv__ = _binary(np.divide), _reflected(np.divide)
    __floordiv__, __rfloordiv__ = _binary(np.floor_divide), _reflected(np.floor_divide)
    __mod__, __rmod__ = _binary(np.remainder), _reflected(np.remainder)
    __pow__, __rpow__ = _binary(np.power), _reflected(np.power)
    __divmod__, __rdivmod__ = (
        lambda self, other: np.divmod(self, other),
        lambda self, other: np.divmod(other, self),
    )
    __and__, __rand__ = _binary(np.bitwise_and), _reflected(np.bitwise_and)
    __or__, __ror__ = _binary(np.bitwise_or), _reflected(np.bitwise_or)
    __xor__, __rxor__ = _binary(np.bitwise_xor), _reflected(np.bitwise_xor)
    __lshift__, __rlshift__ = _binary(np.left_shift), _reflected(np.left_shift)
    __rshift__, __rrshift__ = _binary(np.right_shift), _reflected(np.right_shift)
    __lt__, __le__ = _binary(np.less), _binary(np.less_equal)
    __gt__, __ge__ = _binary(np.greater), _binary(np.greater_equal)
    __eq__, __ne__ = _binary(np.equal), _binary(np.not_equal)
    __hash__ = object.__hash__
    __neg__, __pos__, __abs__ = _unary(np.negative), _unary(np.positive), _unary(np.absolute)
    __invert__ = _unary(np.invert)

    def __matmul__(self, other: Any) -> Any:
        return np.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return np.matmul(other, self)

    # -- what every array has -----------------------------------------------------------------

    T = property(lambda self: np.transpose(self), doc="All axes in reverse order.")
    mT = property(lambda self: np.swapaxes(self, -1, -2), doc="The last two exchanged.")  # noqa: N815
    real = property(lambda self: np.real(self), doc="The real part.")
    imag = property(lambda self: np.imag(self), doc="The imaginary part.")

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        """Give the same elements of each example a new shape."""
        wanted = shape[0] if len(shape) == 1 and np.ndim(shape[0]) else shape
        return _call(np.reshape, (self, wanted), {"order": order})

    def transpose(self, *axes: Any) -> Any:
        """Permute the axes of each example."""
        wanted = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return np.transpose(self, wanted or None)

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """Convert the elements."""
        if not copy and self.dtype == dtype:
            return self
        return _call(astype, (self, np.dtype(dtype)))

    def copy(self) -> Any:
        """The same values in memory of their own."""
        return _call(copied, (self,))

    def flatten(self, order: str = "C") -> Any:
        """All elements of each example along one axis."""
        return _call(np.ravel, (self, order))

    def __getitem__(self, index: Any) -> Any:
        return _call(getitem, (self, index))

    def __setitem__(self, index: Any, value: Any) -> None:
        """Give this array new values at ``index``; what others hold keeps its own."""
        changed = _call(setitem, (self, value), {"places": [index]})
        if type(changed) is not Batched or changed.level is not self.level:
            raise BatchedValueError(
                f"x[i] = v inside vmap: {describe(value)} belongs to a derivative or a vmap inside "
                "the one of x; say x = np.where(...), or x = np.concatenate([...])"
            )
        self.data, self.shared = changed.data, changed.shared

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        """Take the functions that are methods of tensors for methods: ``x.relu()``."""
        function = vars(Tensor).get(name)
        if isinstance(function, FunctionType) and function.__module__.startswith(_NETWORKS):
            return partial(function, self)
        raise AttributeError(_no_such(name))

    # -- what has no one value ----------------------------------------------------------------

    __bool__ = _of_one(
        bool,
        "`if`, `and`, bool() or a comparison of an array",
        "For a choice in each example say np.where(condition, a, b), & and | for and and or",
    )
    __float__ = _of_one(float, "float()", _COMPUTE)
    __int__ = _of_one(int, "int()", _COMPUTE)
    __complex__ = _of_one(complex, "complex()", _COMPUTE)
    __index__ = _of_one(
        operator.index,
        "an index, a shape, or range()",
        "x[i] takes an array of integers; a shape must be the same for all examples",
    )
    __round__ = _of_one(round, "round()", "Say np.round(x)")
    __contains__ = _of_one(operator.contains, "`in`", "Say np.any(x == value), and np.where")
    item = _of_one(operator.methodcaller("item"), "item()", _COMPUTE)
    tolist = _of_one(operator.methodcaller("tolist"), "tolist()", _COMPUTE)
    numpy = _of_one(np.asarray, "numpy()", _COMPUTE)

    def __format__(self, spec: str) -> str:
        return repr(self) if not spec else format(float(self), spec)

    def __reduce__(self) -> Any:
        raise TypeError("an array inside vmap cannot be pickled or deep-copied: return it")

    def __repr__(self) -> str:
        which = "shared by" if self.shared else "one of"
        return f"<{self.dtype}{self.shape}, {which} {self.level.size} inside {self.level.name}>"


def _method(function: Op) -> Any:
    return lambda self, *args, **kwargs: function(self, *args, **kwargs)


for _name in (*vars(Tensor), "sort"):
    if callable(getattr(np, _name, None)) and _name not in vars(Batched):
        setattr(Batched, _name, _method(getattr(np, _name)))

_NETWORKS = f"{__name__.partition('.')[0]}.nn"


def _no_such(name: str) -> str:
    if name in ("backward", "requires_grad_", "retain_grad", "register_hook"):
        return (
            f"{name}() inside vmap: gradients of each example are those of a function, so say "
            "tl.vmap(tl.grad(f)); gradients of them all, .backward() of what vmap returns"
        )
    return f"an array inside vmap has no attribute {name!r}"


def _call(
    op: Op, args: Any, kwargs: Mapping[str, Any] = NO_KWARGS, body: Op | None = None
) -> Any:
    """Call one of our operations, whose arguments hold batched arrays."""
    args, kwargs, level = settled(args, kwargs)
    if level is None:  # a tensor takes it
        return apply(op, args, kwargs, body)
    return level.call(op, args, kwargs, body)


def _refuse_out(ufunc: np.ufunc, kwargs: Mapping[str, Any]) -> None:
    if any(out is not None for out in kwargs.get("out") or ()):
        raise BatchedValueError(
            f"{qualified_name(ufunc)} in place (+=, out= ...) inside vmap: an array that all "
            "examples share cannot take the values of each. Say a = a + b for a new one"
        )


_REDUCED = {
    np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min,
    np.logical_and: np.all, np.logical_or: np.any,
}  # fmt: skip


def _method_of(ufunc: np.ufunc, method: str, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Name what ``ufunc.method`` does: itself, a reduction, or the method as it is."""
    if method == "__call__":
        return ufunc, kwargs
    if method == "reduce" and ufunc in _REDUCED:
        return _REDUCED[ufunc], {"axis": 0, **kwargs}
    if method == "at":
        _refuse_out(ufunc, {"out": (0,)})
    return getattr(ufunc, method), kwargs


class Level:
    """One vmap while it runs: how many examples there are, and what calls inside it do."""

    array = Batched

    def __init__(self, name: str, size: int, randomness: Any = "different") -> None:
        self.name, self.size, self.randomness = name, size, randomness
        self.around: Level | None = innermost.get()
        self.depth = 1 if self.around is None else self.around.depth + 1
        self.is_open = True
        self._token: Any = None
        self._composing: set[Op] = set()
        self._generators: dict[int, Any] = {}

    def __enter__(self) -> Self:
        RUNNING.append(self)
        self._token = innermost.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        innermost.reset(self._token)
        RUNNING.remove(self)
        self.is_open = False

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
        return _made(data, self, False)

    def share(self, data: Any) -> Batched:
        """Wrap an array that all examples share."""
        return _made(data, self, True)

    def is_batched(self, x: Any) -> bool:
        """Whether a value is another in each example."""
        return type(x) is Batched and x.level is self and not x.shared

    def holds(self, value: Any) -> bool:
        """Whether something in a value is another in each example."""
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
        if not (self.holds(args) or self.holds(kwargs)) and op not in OF_SHAPES:
            return self.wrapped(op(*self.inner(args), **self.inner(dict(kwargs))), shared=True)
        form = FORMS.get(op)
        if form is not None and op in OF_SHAPES:
            return form(self, op, *args, **kwargs)
        if form is not None:
            result = form(self, op, *args, **kwargs)
            if result is not NotImplemented:
                return self.wrapped(result)
        if isinstance(op, np.ufunc) and op.signature is None:
            return self.wrapped(FORMS[np.add](self, op, *args, **kwargs))
        operation = OPERATIONS.get(op)
        if operation is not None and operation.in_place:
            raise BatchedValueError(f"{qualified_name(op)} {operation.refusal}")
        if body is not None and operation is not None and any(map(is_tracked, args)):
            return self._recorded(op, args, kwargs)
        composition = body if operation is None else operation.composition or body
        if composition is not None and op not in self._composing:
            self._composing.add(op)
            try:
                if operation is not None and operation.composition is not None:
                    args, kwargs = admitted(op, operation, args, kwargs)
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
        return _made(from_scalar(value), self, shared) if is_array else value

    def in_turn(self, op: Op, *args: Any, **kwargs: Any) -> Any:
        """Call an operation with each example, one after the other, and stack what it gives."""
        if current_mode() is WATCH and type(op) is not _Drawn:
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
        with Level(f"vmap({name_of(self.op)})", self.size) as level:
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


def _ragged(name: str, found: list[Any], what: str) -> str:
    return (
        f"{name} inside vmap gives results of different {what} for different examples, "
        f"{', '.join(map(str, found[:4]))}: what vmap returns must be one array. Say "
        "np.where(condition, x, 0) for a choice, or call the function for each example yourself"
    )


class BatchedGenerator(np.random.Generator):
    """A generator that draws for each example, in their order; or once for all of them."""

    level: Level

    def __init__(self, generator: np.random.Generator, level: Level) -> None:
        super().__init__(generator.bit_generator)
        self._draws_from, self.level = generator, level

    def __getattribute__(self, name: str) -> Any:
        attribute = super().__getattribute__(name)
        if name.startswith("_") or name in ("bit_generator", "level", "spawn"):
            return attribute
        level = innermost.get() or self.level  # a vmap inside its own, perhaps
        if level.depth > self.level.depth:
            return getattr(level.generator(self), name)
        return self._drawn_by(name)

    def _drawn_by(self, name: str) -> Any:
        return partial(_draw, self.level, self._draws_from, name)

    def __deepcopy__(self, memo: Any) -> BatchedGenerator:
        return BatchedGenerator(copy.deepcopy(self._draws_from, memo), self.level)


def _draw(level: Level, generator: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    level.check()
    if level.randomness == "error":
        raise BatchedValueError(
            f"a draw (Generator.{name}) inside vmap(randomness='error'): say 'different' for a "
            "draw for each example, or 'same' for one that all share"
        )
    is_ours = isinstance(generator, BatchedGenerator)
    method = generator._drawn_by(name) if is_ours else getattr(generator, name)  # noqa: SLF001
    if level.randomness == "different":
        return level.in_turn(_Drawn(method, name), *args, **kwargs)
    before = generator.bit_generator.state
    draws = []
    for i in range(level.size):
        generator.bit_generator.state = before
        draws.append(method(*level.example(args, i), **level.example(kwargs, i)))
        if not (level.holds(args) or level.holds(kwargs)):
            return draws[0]
    return level.stacked(draws, f"Generator.{name}") if draws else method(*args, **kwargs)


class _Drawn:
    """A method of a generator, by its name."""

    __module__ = "numpy"

    def __init__(self, method: Op, name: str) -> None:
        self.method, self.__name__ = method, f"random.Generator.{name}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.method(*args, **kwargs)


#: Functions of shapes and dtypes alone, whose results are plain.
OF_SHAPES: set[Op] = set()

TAKES[Batched] = _call
