"""Who else holds this array, and has anybody written to it.

The first is asked where writing in place is tempting.  The engine hands a gradient to a leaf
without copying it, and an optimizer writes a parameter in place, only when nobody else can see the
array.  Python counts references anyway, so asking costs nothing on the forward pass and needs no
version counters: whoever recorded an array in a graph holds a reference to it, and keeps the values
it saw.
"""

from collections.abc import Iterable
from sys import getrefcount
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds


def _references(array: Any) -> int:
    return getrefcount(array)


_variable, _owner = np.empty(0), SimpleNamespace(data=np.empty(0))
#: What one owner looks like on this interpreter: a variable, or an attribute.
_UNSHARED = min(_references(_variable), _references(_owner.data))


def is_shared(array: Any, owners: int = 1) -> bool:
    """Tell whether anybody but its owners (variables or attributes) can see ``array``.

    Views count as shared, because their memory belongs to another array, and so does whatever is
    not a NumPy array.  Call it on an owner's own expression: ``is_shared(parameter.data)``.
    """
    holders = getrefcount(array) - owners
    return type(array) is not np.ndarray or holders >= _UNSHARED or array.base is not None


def is_held_elsewhere(value: Any) -> bool:
    """Tell whether anybody but one owner holds a value: call it on the owner's own expression."""
    return getrefcount(value) > _UNSHARED


class _Probe:
    """Tells how often an object is referred to while `x[i] = v` runs, if nobody holds it or one."""

    def __setitem__(self, index: Any, counts: list[int]) -> None:
        counts.append(getrefcount(self))

    def method(self, *_args: Any, **_kwargs: Any) -> int:
        return getrefcount(self)


_counts: list[int] = []
_held = _Probe()
_Probe()[0] = _counts
_held[0] = _counts
_TEMPORARY, _HELD = _counts


def _called() -> tuple[int, int]:
    held = _Probe()  # a local variable, which an interpreter lends if it lends anything
    return _Probe().method(), held.method()


_CALLED, _HELD_CALLED = _called()


def is_temporary(owner: Any) -> bool:
    """Tell, in its ``__setitem__``'s caller, whether nobody holds an object any longer than that.

    Interpreters that lend references (CPython 3.14) do not let it be told, and it is False.
    """
    return _TEMPORARY < _HELD and getrefcount(owner) <= _TEMPORARY + 1


def is_for_the_call(references: int) -> bool:
    """Tell from ``getrefcount(self)``, in a method, whether nobody holds an object any longer."""
    return _CALLED < _HELD_CALLED and references <= _CALLED


# An array of the user's that a call recorded may be written to before the backward pass: `x[:] = 2`
# after `y = t * x`.  A small one is copied at the call, so the gradient is that of the values the
# call saw.  Of a large one some elements are remembered, and the pass refuses if they are others by
# then; `debug()` remembers all of them, and those of tensors too.

COPIED = 4096  # elements: copying these costs less than the call that uses them
_REMEMBERED = 64  # elements of a larger array
_HOLDS = frozenset({np.ndarray, tuple, list})

#: What was remembered of an array: itself, every which element, and their bytes.
Print = tuple[Any, int, bytes]


def preserved(value: Any, is_result: bool, prints: list[Print], whole: bool = False) -> Any:
    """Give what a call keeps of an argument, and note in ``prints`` what a large array looked like.

    Of an array that is somebody's result something is remembered only where ``whole`` arrays are.
    """
    if type(value) is not np.ndarray:
        return value if is_result else copied(value)
    if not whole and (is_result or value.size <= COPIED):
        return value if is_result else value.copy("K")
    step = 1 if whole else value.size // _REMEMBERED
    prints.append((value, step, value.flat[::step].tobytes()))
    return value


def copied(value: Any) -> Any:
    """Copy an array, and those inside an index or a list; return what else there is as it is."""
    if type(value) is np.ndarray:
        return value.copy("K")
    if type(value) in (tuple, list) and any(type(part) in _HOLDS for part in value):
        return type(value)(map(copied, value))
    return value


def as_it_lies(array: Any) -> Any:
    """Copy an array into memory of the same strides; one that nobody can write to is itself."""
    can_change = array.flags.writeable or _is_writeable(array.base)
    if not can_change or array.dtype.hasobject or not array.size:
        return array
    low, high = byte_bounds(array)
    memory = np.empty(high - low, np.uint8)
    start = array.__array_interface__["data"][0] - low
    copy = np.ndarray(array.shape, array.dtype, memory, start, array.strides)
    once = without_repeats(array.strides)
    copy[once] = array[once]
    return copy


def _is_writeable(base: Any) -> bool:
    return base is not None and (not isinstance(base, np.ndarray) or base.flags.writeable)


def without_repeats(strides: Iterable[int]) -> tuple[slice, ...]:
    """Index the part of a broadcast array, of these strides, that has each of its numbers once."""
    return tuple(slice(None if stride else 1) for stride in strides)


def is_same(a: Any, b: Any) -> bool:
    """Whether two arrays are alike in all, to the bits of their numbers."""
    if a is b:
        return True
    is_alike = (a.shape, a.dtype, a.strides) == (b.shape, b.dtype, b.strides)
    once = without_repeats(b.strides)
    return is_alike and bool(a[once].tobytes() == b[once].tobytes())


def refuse_changed(prints: Iterable[Print], name: str) -> None:
    """Raise RuntimeError if an array is not what it was at the call of an operation."""
    for array, step, before in prints:
        if array.flat[::step].tobytes() != before:
            raise RuntimeError(
                f"{name} was called with an array of shape {array.shape} that has been written to "
                "since, so the gradient would be that of other values. Write after backward(), or "
                "call with a copy: x.copy()"
            )
