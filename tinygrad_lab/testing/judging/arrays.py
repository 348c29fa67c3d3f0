"""Arrays as the checker handles them, and which arguments of a call are differentiated by.

Not for: what is called with them (``subject.py``).
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor

Array = NDArray[Any]


def array_of(x: Any) -> Any:
    """Give the array of a Tensor, and anything else as it is."""
    return x.data if isinstance(x, Tensor) else x


def in_parts(z: Array) -> Array:
    """Give real and imaginary parts along a last axis."""
    return np.stack([np.real(z), np.imag(z)], axis=-1)


def flat(outputs: Sequence[Array]) -> Array:
    """Put all outputs into one row, at least in float64."""
    rows = [np.ravel(y) for y in outputs]
    row = rows[0] if len(rows) == 1 else np.concatenate(rows)
    return row if row.dtype.itemsize >= 8 else row.astype(np.float64)


def frozen(x: Array) -> Array:
    """Give a read-only view, so that a line that writes into it raises."""
    view = x[...]
    view.flags.writeable = False
    return view


def unit(like: Sequence[Array], i: int, index: tuple[int, ...], size: float = 1.0) -> list[Array]:
    """Give zeros in the place of some arrays, but for one element."""
    arrays = [np.zeros_like(x) for x in like]
    arrays[i][index] = size
    return arrays


def first_difference(a: Sequence[Array], b: Sequence[Array]) -> int | None:
    """Give the first position at which two lists of arrays differ by a bit."""
    pairs = enumerate(zip(a, b, strict=True))
    return next((i for i, (x, y) in pairs if not np.array_equal(x, y, equal_nan=True)), None)


@dataclass
class Arguments:
    """Everything that a function is called with, and which of it is differentiated by."""

    values: tuple[Any, ...]
    positions: tuple[int, ...]

    def filled(self, inputs: Sequence[Any]) -> list[Any]:
        """Put other arrays in the places that are differentiated by."""
        args = list(self.values)
        for position, x in zip(self.positions, inputs, strict=True):
            args[position] = x[..., 0] + 1j * x[..., 1] if self._is_complex(position) else x
        return args

    @property
    def arrays(self) -> list[Array]:
        """The arrays that are differentiated by; of complex ones, the parts along another axis."""
        arrays = [(i, np.asarray(self.values[i])) for i in self.positions]
        return [in_parts(x) if self._is_complex(i) else x for i, x in arrays]

    def some(self, wanted: Sequence[int], inputs: Sequence[Array]) -> Arguments:
        """Differentiate by some of the inputs alone; the others are constants now."""
        return Arguments(tuple(self.filled(inputs)), tuple(self.positions[i] for i in wanted))

    def element(self, i: int, index: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
        """Give the index of an element in its argument, and the part it is of a complex number."""
        if self._is_complex(self.positions[i]):
            return index[:-1], ("real", "imag")[index[-1]]
        return index, ""

    def names(self, fn: Any) -> list[str]:
        """Name the inputs as the signature of a function does."""
        try:
            parameters = list(inspect.signature(fn).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [p.name for p in parameters if p.kind in kinds]
        return [names[i] if i < len(names) else f"input {i}" for i in self.positions]

    def _is_complex(self, position: int) -> bool:
        return np.iscomplexobj(self.values[position])


def bind(inputs: Sequence[Any], wrt: int | Sequence[int] | None) -> Arguments:
    """Choose what to differentiate by: ``wrt``, or every array of floats or complex numbers.

    A Python number counts as an array when nothing else is one.
    """
    values = [array_of(x) for x in inputs]
    if wrt is None:
        numbers = (float, complex, np.inexact)
        chosen = [i for i, x in enumerate(values) if isinstance(x, np.ndarray) and _is_float(x)]
        chosen = chosen or [i for i, x in enumerate(values) if isinstance(x, numbers)]
    else:
        chosen = [wrt] if isinstance(wrt, int) else list(wrt)
    for i in chosen:
        if not 0 <= i < len(values) or not _is_float(np.asarray(values[i])):
            what = describe(values[i]) if 0 <= i < len(values) else "not there"
            raise TypeError(f"cannot differentiate by input {i}: it is {what}, not floats")
    if not chosen:
        raise TypeError(
            f"none of the inputs ({', '.join(describe(x) for x in values)}) is an array of "
            "floats, so there is nothing to differentiate by; hand over arrays such as "
            "np.array([1.0, 2.0]), with a point"
        )
    return Arguments(tuple(values), tuple(chosen))


def _is_float(x: Array) -> bool:
    return x.dtype.kind in "fc"
