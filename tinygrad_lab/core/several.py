"""Operations with several results (``eigh``, ``svd`` ...), and arguments that are lists of arrays.

To the engine both are one value, a tuple.  The results of one call are a node, and each is a node
of its own that picks it; the arrays of a list are nodes, and the list is a node that bundles them.
What comes back is gathered as :class:`Parts`.  And several cotangents in one backward pass, along a
new first axis, which Jacobians are made with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinygrad_lab.core.operations import OPERATIONS, TAKES, Array, Rule, defvjp, defvjp_variadic

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

    def __add__(self, other: Parts) -> Parts:
        both = {i: self[i] + other[i] for i in self.keys() & other.keys()}
        return Parts({**self, **other, **both})

    def of(self, position: int, outputs: Outputs) -> Any:
        """Give the cotangent of one member: zeros where nothing came back."""
        return self[position] if position in self else np.zeros_like(outputs[position])

    def one_by_one(self) -> Iterator[Parts]:
        """Give the members of a batch of cotangents, each as parts."""
        for together in zip(*self.values(), strict=True):
            yield Parts(zip(self.keys(), together, strict=True))


def holds_tensor(value: Any, tracked: bool = False) -> bool:
    """Whether a value is a (tracked) tensor, or a list, tuple or dict with one inside."""
    if type(value) in TAKES:
        return value.node is not None or not tracked
    if type(value) is dict:
        value = tuple(value.values())
    return isinstance(value, (tuple, list)) and any(holds_tensor(item, tracked) for item in value)


def as_array(value: Any) -> Any:
    """Make an array of a number or a list, as NumPy does; of tensors, one tensor.

    Lists of other things, or of rows of several lengths, stay lists, and arrays of any kind
    themselves.
    """
    if hasattr(value, "ndim"):
        return value
    if holds_tensor(value):
        return np.stack([as_array(member) for member in value])
    try:
        array = np.asarray(value)
    except ValueError:
        return value
    return array if array.dtype.kind in "biufc" else value


def pick(outputs: Outputs, position: int) -> Any:
    """Take one of the results of a call."""
    return outputs[position]


def bundle(*arrays: Any) -> Outputs:
    """Make one value of several arrays."""
    return Outputs(arrays)


defvjp(pick, lambda g, y, outputs, position: Parts({position: g}), batches=True)
defvjp_variadic(bundle, lambda position, g, y, *arrays: g.of(position, y))


def one_by_one(op: Any, rule: Rule, g: Array, value: Array, args: Any, kwargs: Any) -> Array:
    """Run a rule on a batch of cotangents: on each in turn, unless it takes them together.

    Elementwise rules do: what has one more axis in front broadcasts against all the rest.
    """
    if (isinstance(op, np.ufunc) and op.signature is None) or OPERATIONS[op].batches:
        return rule(g, value, *args, **kwargs)
    each = g.one_by_one() if isinstance(g, Parts) else g
    return np.stack([rule(one, value, *args, **kwargs) for one in each])
