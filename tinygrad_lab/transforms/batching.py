"""What each function is for a whole batch, under the headings of NumPy's documentation.

A form gets batched arrays and gives plain ones, with the batch axis in front.  There is one for
each kind of function: those of each element, of the last axes, along an axis, of places.  What is
composed of others (``core/rules``) needs none, and what is not here either is called for each
example in turn (``Level.in_turn``): right, but slow.

Not for: the array itself (``batched.py``), or images (``nn/kernels/batching.py``).
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import string
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_lab.core.arguments import beside
from tinygrad_lab.core.errors import BatchedValueError
from tinygrad_lab.core.levels import innermost_array
from tinygrad_lab.core.operations import Op
from tinygrad_lab.core.rules import creation, indexing, manipulation
from tinygrad_lab.core.rules.linalg import decompositions, norms, products
from tinygrad_lab.core.rules.linalg.matrices import mT
from tinygrad_lab.core.rules.mathematical import elementwise, lengths, sequences, sums
from tinygrad_lab.core.several import as_array
from tinygrad_lab.transforms.level import FORMS, OF_SHAPES, Level

__all__ = ["along", "as_it_is", "elementwise_form", "form_of"]

Array = Any


def form_of(*ops: Op) -> Callable[[Op], Op]:
    """Decorate the form that operations have for a batch: ``form(level, op, *args, **kwargs)``."""

    def declare(form: Op) -> Op:
        FORMS.update(dict.fromkeys(ops, form))
        return form

    return declare


def _in_turn(level: Level, op: Op, *args: Any, **kwargs: Any) -> Any:
    return level.inner(level.in_turn(op, *args, **kwargs))


# ---------------------------------------------------------------------------------------------
# Of each element: the axes of each array are aligned with those of the widest, behind the batch


def elementwise_form(level: Level, op: Op, *args: Any, **kwargs: Any) -> Any:
    """Broadcast all arrays."""
    ndim = max(map(_ndim, [*args, *kwargs.values()]))
    align = functools.partial(level.aligned, ndim=ndim)
    return op(*map(align, args), **{key: align(value) for key, value in kwargs.items()})


def _ndim(x: Any) -> int:
    return int(x.ndim if hasattr(x, "ndim") else np.ndim(x))


form_of(
    np.add, np.sinc, np.i0, np.isclose, np.nan_to_num, np.isneginf, np.isposinf, np.fix,
    indexing.where, elementwise.clip, elementwise.sigmoid, lengths.vanishing,
)(elementwise_form)  # fmt: skip


def as_it_is(level: Level, op: Op, x: Any, *args: Any, **kwargs: Any) -> Any:
    """One array, of each element or of the last axes: nothing to be done."""
    if level.holds(args) or level.holds(kwargs):
        return _in_turn(level, op, x, *args, **kwargs)
    return op(level.front(x), *level.inner(args), **level.inner(kwargs))


form_of(
    np.real, np.imag, np.round, np.around, np.isreal, np.iscomplex,
    creation.copied, creation.astype, elementwise.angle, elementwise.sech,
    elementwise.sinc_derivative, elementwise.logistic_density, elementwise.bessel_i,
)(as_it_is)  # fmt: skip


# ---------------------------------------------------------------------------------------------
# Along an axis: it lies one further behind.  What axis=None means differs


@functools.cache
def _parameters(op: Op) -> Mapping[str, Any]:
    return {name: p.default for name, p in inspect.signature(op).parameters.items()}


def _by_name(op: Op, args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """Give the first argument of a call, and the others by their names."""
    first, *names = _parameters(op)
    if not args:
        kwargs = dict(kwargs)
        args = (kwargs.pop(first),)
    return args[0], {**dict(zip(names, args[1:], strict=False)), **kwargs}


def _behind(axis: Any, ndim: int) -> Any:
    """The same axis, or axes, where the batch axis lies in front."""
    if isinstance(axis, (tuple, list)):
        return tuple(normalize_axis_index(a, ndim) + 1 for a in axis)
    return normalize_axis_index(axis, ndim) + 1


def along(none: str, *besides: str) -> Op:
    """Make the form of functions along ``axis``, where None stands for all axes, as ``none`` says.

    "each": several axes, "one": as if they were one, "restored": likewise, and the result has the
    shape of the array.  ``besides`` are arguments that broadcast with the array: ``where=``.
    """

    def form(level: Level, op: Op, *args: Any, **kwargs: Any) -> Any:
        x, named = _by_name(op, args, kwargs)
        axis = named.pop("axis", _parameters(op)["axis"])
        masks = {name: named.pop(name) for name in besides if name in named}
        if level.holds(named):
            return _in_turn(level, op, *args, **kwargs)
        data, ndim = level.front(x), _ndim(x)
        named = level.inner(named) | {
            name: level.aligned(mask, ndim) for name, mask in masks.items()
        }
        if axis is not None and ndim:
            return op(data, axis=_behind(axis, ndim), **named)
        if none == "each":
            return op(data, axis=tuple(range(1, ndim + 1)), **named)
        result = op(data.reshape((level.size, math.prod(data.shape[1:]))), axis=1, **named)
        if named.get("keepdims"):
            return result.reshape((level.size, *(1,) * ndim))
        return result.reshape(data.shape) if none == "restored" else result

    return form


form_of(
    np.sum, np.prod, np.max, np.min, np.mean, np.var, np.std, np.all, np.any, np.nansum, np.nanprod,
    np.nanmax, np.nanmin, np.nanmean, np.nanvar, np.nanstd, np.ptp, np.count_nonzero, np.flip,
    norms.vector_norm,
)(along("each", "where", "mean"))  # fmt: skip
form_of(
    np.cumsum, np.cumprod, np.nancumsum, np.nancumprod, np.argmax, np.argmin, np.nanargmax,
    np.nanargmin, np.repeat, np.sort, np.argsort, np.argpartition, np.unwrap,
    np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.irfft,
)(along("one"))  # fmt: skip
form_of(np.roll)(along("restored"))


form_of(sums.recurrence)(lambda level, op, a, b: op(level.front(a), level.front(b)))


@form_of(np.take_along_axis)
def _take_along_axis(level: Level, op: Op, arr: Any, indices: Any, axis: Any = -1) -> Any:
    data, places = level.front(arr), level.front(indices)
    if axis is None:
        return op(data.reshape((level.size, -1)), places.reshape((level.size, -1)), 1)
    return op(data, places, _behind(axis, arr.ndim))


# ---------------------------------------------------------------------------------------------
# Shapes and the order of axes


def _naming_axes(**defaults: Any) -> Op:
    """Make the form of functions that name axes by these parameters."""

    def form(level: Level, op: Op, *args: Any, **kwargs: Any) -> Any:
        x, named = _by_name(op, args, kwargs)
        axes = {name: _behind(named.pop(name, axis), x.ndim) for name, axis in defaults.items()}
        if level.holds(named):
            return _in_turn(level, op, *args, **kwargs)
        return op(x.data, **level.inner(named), **axes)

    return form


form_of(np.swapaxes, np.diagonal, np.trace)(_naming_axes(axis1=0, axis2=1))
form_of(np.moveaxis)(_naming_axes(source=0, destination=0))
form_of(np.rot90)(_naming_axes(axes=(0, 1)))


@form_of(np.transpose)
def _transpose(level: Level, op: Op, a: Any, axes: Any = None) -> Any:
    axes = range(a.ndim)[::-1] if axes is None else axes
    return op(a.data, (0, *_behind(tuple(axes), a.ndim)))


@form_of(np.squeeze)
def _squeeze(level: Level, op: Op, a: Any, axis: Any = None) -> Any:
    if axis is None:
        axis = tuple(i for i, n in enumerate(a.shape) if n == 1)
    return op(a.data, _behind(axis, a.ndim) if a.ndim else ())


@form_of(np.expand_dims)
def _expand_dims(level: Level, op: Op, a: Any, axis: Any) -> Any:
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    return op(a.data, _behind(tuple(axes), a.ndim + len(axes)))


@form_of(manipulation.reshape)
def _reshape(level: Level, op: Op, x: Any, shape: Any, order: str = "C") -> Any:
    lengths = tuple(map(operator.index, shape if isinstance(shape, (tuple, list)) else (shape,)))
    if -1 in lengths:  # NumPy cannot tell it of an empty batch
        lengths = np.broadcast_to(0, x.shape).reshape(lengths).shape
    if order == "C":
        return op(x.data, (level.size, *lengths))
    turned = np.transpose(x.data, (0, *range(1, x.ndim + 1)[::-1]))
    turned = op(turned, (level.size, *lengths[::-1]))
    return np.transpose(turned, (0, *range(1, len(lengths) + 1)[::-1]))


@form_of(np.broadcast_to)
def _broadcast_to(level: Level, op: Op, array: Any, shape: Any, subok: bool = False) -> Any:
    shape = shape if isinstance(shape, (tuple, list)) else (shape,)
    return op(level.aligned(array, len(shape)), (level.size, *shape))


@form_of(manipulation.concatenate)
def _concatenate(level: Level, op: Op, *arrays: Any, axis: int = 0) -> Any:
    return op(*map(level.front, arrays), axis=_behind(axis, arrays[0].ndim))


@form_of(manipulation.stack)
def _stack(level: Level, op: Op, *arrays: Any, axis: int = 0) -> Any:
    return op(*map(level.front, arrays), axis=_behind(axis, arrays[0].ndim + 1))


@form_of(creation.diagonal_matrix)
def _diagonal_matrix(level: Level, op: Op, v: Any, k: int = 0) -> Any:
    n = v.shape[0] + abs(k)
    return indexing.onto_diagonal(v.data, np.broadcast_to(v.data[:, :1, None], (level.size, n, n)),
                                  k, -2, -1)  # fmt: skip


@form_of(indexing.windows)
def _windows(level: Level, op: Op, x: Any, window_shape: Any, axis: Any) -> Any:
    axis = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    return op(x.data, window_shape, _behind(tuple(axis), x.ndim))


# ---------------------------------------------------------------------------------------------
# Places.  An index into one example becomes one into the batch, with the numbers of the examples in
# front where it has arrays of integers


class _OtherInEachError(Exception):
    """How many places there are is known for each example alone, because a mask says so."""


def _spelled_out(level: Level, index: Any, ndim: int) -> list[Any]:
    """An index as a list, without Ellipsis and masks: places for each axis."""
    parts = [(as_array(p) if p else np.empty(0, int)) if isinstance(p, list) else p
             for p in (index if isinstance(index, tuple) else (index,))]  # fmt: skip
    spelled: list[Any] = []
    for part in parts:
        if isinstance(part, (bool, np.bool_)) or getattr(part, "dtype", None) == np.dtype(bool):
            if level.holds(part) or not _ndim(part):
                raise _OtherInEachError
            spelled += np.nonzero(part)
        else:
            spelled.append(part)
    rest = [slice(None)] * (ndim - sum(p is not None and p is not Ellipsis for p in spelled))
    dots = [i for i, p in enumerate(spelled) if p is Ellipsis] or [len(spelled)]
    return spelled[: dots[0]] + rest + spelled[dots[0] + 1 :]


def _in_batch(level: Level, index: Any, ndim: int) -> tuple[Any, Callable[..., Array]]:
    """An index into a batch, and how its result (or ``back``) becomes that of each example.

    The axes that arrays of integers give lie in front in the one, and perhaps not in the other.
    """
    parts = _spelled_out(level, index, ndim)
    if not any(_ndim(p) or level.is_batched(p) for p in parts):
        return (slice(None), *parts), lambda result, back=False: result
    places = [i for i, p in enumerate(parts) if p is not None and not isinstance(p, slice)]
    wide = max(_ndim(parts[i]) for i in places)
    begin = places[0] if places[-1] - places[0] == len(places) - 1 else 0
    for i in places:
        parts[i] = level.aligned(parts[i], wide)
    in_front, at_home = (tuple(range(1 + i, 1 + i + wide)) for i in (0, begin))

    def moved(result: Array, back: bool = False) -> Array:
        if not (begin and wide):
            return result
        return np.moveaxis(result, *((at_home, in_front) if back else (in_front, at_home)))

    return (np.arange(level.size).reshape((-1, *(1,) * wide)), *parts), moved


_BASIC = frozenset({int, slice, type(None), type(Ellipsis)})


def _if_places_are_as_many(form: Op) -> Op:
    def tried(level: Level, op: Op, *args: Any, **kwargs: Any) -> Any:
        try:
            return form(level, op, *args, **kwargs)
        except _OtherInEachError:
            return _in_turn(level, op, *args, **kwargs)

    return tried


@form_of(indexing.getitem)
@_if_places_are_as_many
def _getitem(level: Level, op: Op, x: Any, index: Any) -> Any:
    parts = index if isinstance(index, tuple) else (index,)
    if _BASIC.issuperset(map(type, parts)):
        return op(x.data, (slice(None), *parts))
    places, moved = _in_batch(level, index, x.ndim)
    if not level.is_batched(x) and level.is_batched(index):  # rows of a table: no copies of it
        return op(level.inner(x), index.data)
    return moved(op(level.front(x), places))


def _assigned(
    level: Level, shape: tuple[int, ...], values: Any, indices: Any
) -> tuple[list[Array], list[Any]]:
    """Values for places in an array of a shape, and those places in the batch."""
    arranged, places = [], []
    for value, index in zip(values, indices, strict=True):
        parts = index if isinstance(index, tuple) else (index,)
        if _BASIC.issuperset(map(type, parts)) and _ndim(value) == _ndim_at(parts, len(shape)):
            arranged.append(level.front(value))
            places.append((slice(None), *parts))
            continue
        place, moved = _in_batch(level, index, len(shape))
        target = indexing.getitem(np.broadcast_to(0, shape), _stand_in(index)).shape
        value = level.aligned(as_array(value), len(target))
        if value.ndim > len(target) + 1:  # NumPy takes more axes, of length one
            value = value.reshape((level.size, *value.shape[value.ndim - len(target) :]))
        arranged.append(moved(np.broadcast_to(value, (level.size, *target)), back=True))
        places.append(place)
    return arranged, places


def _ndim_at(parts: tuple[Any, ...], ndim: int) -> int:
    """How many axes an array has at an index of integers, slices and None."""
    return ndim + sum((part is None) - (type(part) is int) for part in parts)


def _stand_in(index: Any) -> Any:
    """An index of the same shape, of which nothing is batched."""
    if isinstance(index, (tuple, list)):
        return type(index)(map(_stand_in, index))
    return np.zeros(index.shape, int) if hasattr(index, "level") else index


@form_of(indexing.scatter_add)
@_if_places_are_as_many
def _scatter_add(level: Level, op: Op, values: Any, shape: Any, index: Any) -> Any:
    (values,), (places,) = _assigned(level, shape, [values], [index])
    return op(values, (level.size, *shape), places)


@form_of(indexing.assembled)
@_if_places_are_as_many
def _assembled(level: Level, op: Op, *values: Any, shape: Any, places: Any) -> Any:
    arranged, placed = _assigned(level, shape, values, places)
    return op(*arranged, shape=(level.size, *shape), places=placed)


@form_of(indexing.setitem)
@_if_places_are_as_many
def _setitem(level: Level, op: Op, x: Any, *values: Any, places: Any) -> Any:
    arranged, placed = _assigned(level, x.shape, values, places)
    return op(level.front(x), *arranged, places=placed)


@form_of(np.take)
def _take(level: Level, op: Op, a: Any, indices: Any, axis: Any = None, mode: str = "raise") -> Any:
    if axis is None:
        a, axis = a.reshape(-1), 0
    axis = normalize_axis_index(axis, a.ndim)
    if not level.holds(indices):
        return op(a.data, level.inner(indices), axis + 1, mode=mode)
    n = a.shape[axis]
    if mode != "raise":
        indices = np.clip(indices, 0, n - 1) if mode == "clip" else indices % n
    return level.inner(indexing.getitem(a, (*(slice(None),) * axis, indices)))


def _looking_up(which: str, *tables: str) -> Op:
    """Make the form of functions that look each element of an array up in tables."""

    def form(level: Level, op: Op, *args: Any, **kwargs: Any) -> Any:
        first, named = _by_name(op, args, kwargs)
        named = {next(iter(_parameters(op))): first, **named}
        if any(level.holds(named.get(table)) for table in tables):
            return _in_turn(level, op, *args, **kwargs)
        return op(**level.inner(named))

    form.__doc__ = which
    return form


form_of(np.searchsorted)(_looking_up("v", "a", "sorter"))
form_of(np.isin)(_looking_up("element", "test_elements"))
form_of(np.digitize)(_looking_up("x", "bins"))
form_of(sequences.interp)(_looking_up("x", "xp", "fp", "left", "right"))

# ---------------------------------------------------------------------------------------------
# Linear algebra: stacks of matrices are what NumPy takes anyway


@form_of(
    np.tril, np.triu, np.linalg.inv, np.linalg.pinv, np.linalg.det, np.linalg.slogdet,
    np.linalg.cholesky, np.linalg.eigh, np.linalg.eig, np.linalg.matrix_rank,
    np.linalg.matrix_power, decompositions.qr, decompositions.svd, norms.cofactors,
)  # fmt: skip
def _of_stacks(level: Level, op: Op, x: Any, *args: Any, **kwargs: Any) -> Any:
    return (as_it_is if x.ndim > 1 else _in_turn)(level, op, x, *args, **kwargs)


@form_of(np.matmul)
def _matmul(level: Level, op: Op, a: Any, b: Any) -> Any:
    a, b = as_array(a), as_array(b)
    x, y = level.inner(a), level.inner(b)
    if not level.is_batched(b) and y.ndim <= 2 and a.ndim:  # one product, not one for each example
        rows = x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))
        return op(rows, y).reshape((*x.shape[:-1], *y.shape[1:]))
    if not level.is_batched(a) and x.ndim <= 2 and b.ndim:
        return op(y, x.T) if b.ndim == 1 else op(x, y)
    left, right = a.ndim == 1, b.ndim == 1
    x = x[..., None, :] if left else x
    y = y[..., None] if right else y
    wide = max(x.ndim - level.is_batched(a), y.ndim - level.is_batched(b))
    x, y = (level.aligned(level.batch(v) if level.is_batched(of) else v, wide)
            for v, of in ((x, a), (y, b)))  # fmt: skip
    result = products.matrix_product(x, y)
    result = result[..., 0, :] if left else result
    return result[..., 0] if right else result


@form_of(np.linalg.solve)
def _solve(level: Level, op: Op, a: Any, b: Any) -> Any:
    if b.ndim > 1:
        return elementwise_form(level, op, a, b)
    if not level.is_batched(a) and a.ndim == 2:  # one matrix, with the batch for its columns
        return mT(op(level.inner(a), mT(b.data)))
    return op(*(level.aligned(x, max(a.ndim, 2)) for x in (a, np.expand_dims(b, -1))))[..., 0]


@form_of(products.einsum)
def _einsum(level: Level, op: Op, subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    *terms, result = products.explicit_terms(subscripts, operands)
    letter = next(iter(set(string.ascii_letters) - set("".join(terms) + result)))
    terms = [letter + t if level.is_batched(o) else t for t, o in zip(terms, operands, strict=True)]
    return op(f"{','.join(terms)}->{letter}{result}", *map(level.inner, operands), **kwargs)


@form_of(np.tensordot)
def _tensordot(level: Level, op: Op, a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = as_array(a), as_array(b)
    of_a, of_b = products.tensordot_axes(a, b, axes)
    x, y = level.inner(a), level.inner(b)
    if not level.is_batched(b):
        return op(x, y, ([i + 1 for i in of_a], of_b))
    if not level.is_batched(a):
        return np.moveaxis(op(x, y, (of_a, [i + 1 for i in of_b])), a.ndim - len(of_a), 0)
    free_a, free_b = ([i for i in range(x.ndim) if i not in of] for x, of in ((a, of_a), (b, of_b)))
    shape = (*(a.shape[i] for i in free_a), *(b.shape[i] for i in free_b))
    rows, inner, columns = (math.prod(v.shape[i] for i in axes) for v, axes in (
        (a, free_a), (a, of_a), (b, free_b)))  # fmt: skip
    x, y = (np.transpose(v, (0, *(i + 1 for i in axes))) for v, axes in (
        (x, (*free_a, *of_a)), (y, (*of_b, *free_b))))  # fmt: skip
    x, y = x.reshape((level.size, rows, inner)), y.reshape((level.size, inner, columns))
    return np.matmul(x, y).reshape((level.size, *shape))


@form_of(np.dot)
def _dot(level: Level, op: Op, a: Any, b: Any) -> Any:
    a, b = as_array(a), as_array(b)
    if _ndim(a) == 0 or _ndim(b) == 0:
        return level.inner(a * b)
    if a.ndim <= 2 and b.ndim <= 2:
        return _matmul(level, np.matmul, a, b)
    return _tensordot(level, np.tensordot, a, b, products.dot_axes(a, b))


def _overlaps(level: Level, op: Op, a: Any, v: Any) -> Any:
    """Convolutions, as products of all windows of one sequence with the other."""
    margin = 0 if op is sequences.convolve_valid else v.shape[0] - 1
    a = np.pad(a, (margin, margin)) if margin else a
    return level.inner(indexing.windows(a, (v.shape[0],), (0,)) @ np.flip(v))


form_of(sequences.convolve_full, sequences.convolve_valid)(_overlaps)

# ---------------------------------------------------------------------------------------------
# Of shapes and dtypes alone: the same for all, and no batch


def _of_shapes(level: Level, op: Op, *args: Any, **kwargs: Any) -> Any:
    zero = lambda x: beside(np.zeros((), x.dtype), innermost_array(x))
    example = lambda x: np.broadcast_to(zero(x), x.shape)
    return op(*level.mapped(example, args), **level.mapped(example, kwargs))


OF_SHAPES.update({
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj, np.isrealobj,
    np.common_type, np.min_scalar_type, np.zeros_like, np.ones_like, np.empty_like,
    np.diag_indices_from, np.tril_indices_from, np.triu_indices_from,
})  # fmt: skip
form_of(*OF_SHAPES)(_of_shapes)


@form_of(
    np.save, np.savez, np.savez_compressed, np.savetxt, np.array2string, np.array_repr,
    np.array_str, np.shares_memory, np.may_share_memory,
)  # fmt: skip
def refuse(level: Level, op: Op, *args: Any, **kwargs: Any) -> NoReturn:
    raise BatchedValueError(
        f"np.{op.__name__} inside vmap: a batch of {level.size} examples has no one value. Do it "
        "with what vmap returns"
    )
