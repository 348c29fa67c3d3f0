"""``Batched``: many arrays of one shape, which a function takes for one of them.

The axis that counts them, the batch axis, lies in front and is not shown: ``shape``, ``ndim`` and
``len`` are those of one example.  What all examples share needs no such axis.

Not for: what becomes of a call (``level.py``), or how arrays get here (``vmap.py``).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.core.arguments import without_out
from tinygrad_lab.core.dispatch import apply
from tinygrad_lab.core.engine import NO_KWARGS
from tinygrad_lab.core.errors import BatchedValueError, describe, qualified_name
from tinygrad_lab.core.levels import settled
from tinygrad_lab.core.operations import TAKES, Op
from tinygrad_lab.core.rules.creation import astype, copied
from tinygrad_lab.core.rules.indexing import getitem, setitem
from tinygrad_lab.core.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_lab.transforms.level import Level

__all__ = ["Batched", "array_of"]

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
        return array_of(op(self.data), level, self.shared) if level.is_open else level.check()

    return method


def _binary(op: Op) -> Any:
    def method(self: Batched, other: Any) -> Any:
        kind, level = type(other), self.level
        if not self.shared and level.is_open:
            if kind is float or kind is int or (kind is np.ndarray and other.ndim < self.data.ndim):
                return array_of(op(self.data, other), level, False)
            if kind is Batched and other.level is level and not other.shared:
                data, by = self.data, other.data
                if data.ndim == by.ndim:
                    return array_of(op(data, by), level, False)
        return op(self, other)

    return method


def _reflected(op: Op) -> Any:
    return lambda self, other: op(other, self)


def array_of(data: Any, level: Level, shared: bool) -> Batched:
    """Wrap an array of a level."""
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

    def sort(self, axis: int = -1, **options: Any) -> None:
        """Sort this array along an axis, as NumPy's method does."""
        ordered: Any = _call(np.sort, (self, axis), options)
        self.data, self.shared = ordered.data, ordered.shared

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        """Take the functions that are methods of tensors for methods: ``x.relu()``."""
        function = getattr(Tensor, name, None)
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


for _name in vars(Tensor):
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


def _call(op: Op, args: Any, kwargs: Mapping[str, Any] = NO_KWARGS, body: Op | None = None) -> Any:
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


TAKES[Batched] = _call
