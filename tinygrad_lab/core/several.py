"""Operations with several results (``eigh``, ``svd`` ...), and arguments that are lists of arrays.

To the engine both are one value, a tuple.  The results of one call are a node, and each is a node
of its own that picks it; the arrays of a list are nodes, and the list is a node that bundles them.
What comes back is gathered as :class:`Parts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinygrad_lab.core.operations import TAKES, TENSORS, defvjp, defvjp_joint

_SEVERAL: Any = SimpleNamespace(kind="f")  # the shape and the dtype of what has more than one


class Outputs(tuple[Any, ...]):
    """The results of one call, or the arrays of one argument."""

    __slots__ = ()
    shape = dtype = _SEVERAL


class Parts(dict[int, Any]):
    """Cotangents of some members of :class:`Outputs`, by their positions."""

    shape = dtype = _SEVERAL

    @classmethod
    def listed(cls, cotangents: Sequence[Any]) -> Parts:
        """Take a list with a cotangent for each member, or None where nothing comes back."""
        return cls((i, c) for i, c in enumerate(cotangents) if c is not None)

    def __iadd__(self, other: Parts) -> Parts:
        for i, cotangent in other.items():
            self[i] = self[i] + cotangent if i in self else cotangent
        return self

    def of(self, position: int, outputs: Outputs) -> Any:
        """Give the cotangent of one member: zeros where nothing came back."""
        return self[position] if position in self else np.zeros_like(outputs[position])


def holds_tensor(value: Any, tracked: bool = False) -> bool:
    """Whether a value is a (tracked) tensor, or a list, tuple or dict with one inside."""
    if type(value) in TAKES:
        return not tracked or (type(value) in TENSORS and value.node is not None)
    if type(value) is dict:
        value = tuple(value.values())
    return isinstance(value, (tuple, list)) and any(holds_tensor(item, tracked) for item in value)


def as_array(value: Any) -> Any:
    """Make an array of a number or a list, as NumPy does; of tensors, or of others' arrays, one.

    Lists of other things, or of rows of several lengths, stay lists, and arrays of any kind
    themselves.
    """
    if hasattr(value, "dtype"):
        return value
    if _is_others(value):  # a number of a call that is being recorded
        return np.reshape(value, ())
    if _holds_others(value):
        return np.stack([as_array(member) for member in value])
    try:
        array = np.asarray(value)
    except ValueError:
        return value
    return array if array.dtype.kind in "biufc" else value


def _holds_others(value: Any) -> bool:
    """Whether a list, or a list in it, has a member that is somebody else's array."""
    if isinstance(value, (list, tuple)):
        return any(map(_holds_others, value))
    return _is_others(value)


def _is_others(value: Any) -> bool:
    return hasattr(type(value), "__array_function__") and not isinstance(value, np.ndarray)


class Pieces:
    """A cotangent that is zero but at some places: put together once, however many arrive.

    ``assemble(*values, shape=shape, places=places)`` makes the array of them.
    """

    __slots__ = ("assemble", "dtype", "places", "rest", "shape", "values")

    def __init__(self, assemble: Any, shape: Any, value: Any, place: Any) -> None:
        self.assemble, self.shape, self.dtype = assemble, shape, value.dtype
        self.values, self.places = [value], [place]
        self.rest: Any = None  # the sum of what arrived whole

    def __iadd__(self, other: Any) -> Pieces:
        if type(other) is Pieces:
            self.values += other.values
            self.places += other.places
            other = other.rest
        if other is not None:
            self.rest = other if self.rest is None else self.rest + other
        return self

    def __copy__(self) -> Pieces:
        """Keep what has arrived until now: more may be added to the original."""
        copied = Pieces.__new__(Pieces)
        copied.assemble, copied.shape, copied.dtype = self.assemble, self.shape, self.dtype
        copied.values, copied.places, copied.rest = [*self.values], [*self.places], self.rest
        return copied

    def dense(self) -> Any:
        """Give the array: NumPy's, or a tensor where the values are tensors."""
        array = self.assemble(*self.values, shape=self.shape, places=self.places)
        return array if self.rest is None else array + self.rest


def whole(c: Any) -> Any:
    """Put a cotangent together that arrived in pieces; leave every other as it is."""
    return c.dense() if type(c) is Pieces else c


def every(function: Any, answer: Any) -> Any:
    """Apply a function to what a rule gave: an array, or each array of several."""
    if isinstance(answer, list):
        return [None if c is None else every(function, c) for c in answer]
    if type(answer) is Parts:
        return Parts((i, every(function, c)) for i, c in answer.items())
    return function(whole(answer))


def pick(outputs: Outputs, position: int) -> Any:
    """Take one of the results of a call."""
    return outputs[position]


def bundle(*arrays: Any) -> Outputs:
    """Make one value of several arrays."""
    return Outputs(arrays)


defvjp(pick, lambda g, y, outputs, position: Parts({position: g}))
defvjp_joint(bundle, lambda argnums, g, y, *arrays: [g.of(i, y) for i in argnums])
