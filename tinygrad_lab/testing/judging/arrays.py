"""Arrays as the checker handles them, and which arguments of a call are differentiated by.

Not for: what is called with them (``subject.py``).
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.containers import leaves, rebuild

Array = NDArray[Any]


def array_of(x: Any) -> Any:
    """Give the array of a Tensor, or of an array of another library; anything else as it is."""
    if isinstance(x, Tensor):
        return x.data
    library = type(x).__module__.partition(".")[0]
    if library == "torch" and hasattr(x, "detach"):
        return x.detach().cpu().numpy()
    if library == "cupy" and hasattr(x, "get"):
        return x.get()
    return np.array(x) if library in ("jax", "jaxlib") and hasattr(x, "__array__") else x


def device_of(x: Any) -> str | None:
    """Say where a tensor of PyTorch is, if it is not on the CPU."""
    device = getattr(x, "device", None)
    return None if getattr(device, "type", "cpu") in ("cpu", "meta") else str(device)


def in_parts(z: Array) -> Array:
    """Give real and imaginary parts along a last axis."""
    return np.stack([np.real(z), np.imag(z)], axis=-1)


def flat(outputs: Sequence[Array]) -> Array:
    """Put all outputs into one row, at least in float64."""
    rows = [np.ravel(y) for y in outputs]
    row = rows[0] if len(rows) == 1 else np.concatenate(rows)
    return row if row.dtype.itemsize >= 8 else row.astype(np.float64)


def weighed(rows: Array, weights: Array) -> Array:
    """Add up the elements of each row, each with its weight.

    Not by BLAS, whose threads wait for each other where other programs run as well.
    """
    return np.asarray(np.einsum("...i,i->...", rows, weights))


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
    """Everything that a function is called with, and which of it is differentiated by.

    Arrays in dicts, lists and tuples count one by one, and are put back where they were.
    """

    values: tuple[Any, ...]
    positions: tuple[int, ...]  # among the values
    containers: tuple[Any, ...] | None = None  # that values came in; None of one that came alone
    device: str | None = None  # where tensors among them were, if not on the CPU

    def filled(self, inputs: Sequence[Any]) -> list[Any]:
        """Put other arrays in the places that are differentiated by; numbers for numbers."""
        args = self._replaced(inputs)
        return args if self.containers is None else self.contained(args)

    def _replaced(self, inputs: Sequence[Any]) -> list[Any]:
        args = list(self.values)
        for position, x in zip(self.positions, inputs, strict=True):
            y = x[..., 0] + 1j * x[..., 1] if self._is_complex(position) else x
            is_number = not isinstance(self.values[position], np.ndarray)
            args[position] = y[()] if is_number and isinstance(y, np.ndarray) else y
        return args

    @property
    def inputs(self) -> list[Any]:
        """What the function is called with."""
        return list(self.values) if self.containers is None else self.contained(self.values)

    def followed_by(self, others: Sequence[Array]) -> Arguments:
        """Put more arrays behind these, to differentiate by all of them as well."""
        at = range(len(self.values), len(self.values) + len(others))
        whole = None if self.containers is None else (*self.containers, *(None for _ in others))
        values, positions = (*self.values, *others), (*self.positions, *at)
        return replace(self, values=values, positions=positions, containers=whole)

    def contained(self, values: Sequence[Any]) -> list[Any]:
        """Put one thing for each value into the containers that these came in."""
        each = iter(values)
        return [rebuild(x, each, open_modules=False) for x in self._containers]

    def flattened(self, inputs: Sequence[Any]) -> list[Any]:
        """Take what has the structure of the inputs apart as these were: the inverse of it."""
        pairs = zip(self._containers, inputs, strict=True)
        return [y for x, given in pairs for y in _parts_of(given, like=x)]

    @property
    def arrays(self) -> list[Array]:
        """The arrays that are differentiated by; of complex ones, the parts along another axis."""
        arrays = [(i, np.asarray(self.values[i])) for i in self.positions]
        return [in_parts(x) if self._is_complex(i) else x for i, x in arrays]

    def some(self, wanted: Sequence[int], inputs: Sequence[Array]) -> Arguments:
        """Differentiate by some of the inputs alone; the others are constants now."""
        positions = tuple(self.positions[i] for i in wanted)
        return replace(self, values=tuple(self._replaced(inputs)), positions=positions)

    def element(self, i: int, index: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
        """Give the index of an element in its argument, and the part it is of a complex number."""
        if self._is_complex(self.positions[i]):
            return index[:-1], ("real", "imag")[index[-1]]
        return index, ""

    def names(self, fn: Any) -> list[str]:
        """Name the inputs as the signature of a function does: "x", "params['W1']"."""
        every = self._every_name(fn)
        return [every[i] for i in self.positions]

    def numbers_left_out(self, fn: Any) -> list[str]:
        """Name the Python numbers that are not differentiated by, with their place."""
        names = self._every_name(fn)
        numbers = [i for i, x in enumerate(self.values) if type(x) in (float, complex)]
        return [f"input {i} ({names[i]})" for i in numbers if i not in self.positions]

    def _every_name(self, fn: Any) -> list[str]:
        try:
            parameters = list(inspect.signature(fn).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [p.name for p in parameters if p.kind in kinds]
        names += [f"input {i}" for i in range(len(names), len(self._containers))]
        return [
            name + path
            for name, x in zip(names, self._containers, strict=False)
            for path, _ in leaves(x, open_modules=False)
        ]

    @property
    def _containers(self) -> tuple[Any, ...]:
        return (None,) * len(self.values) if self.containers is None else self.containers

    def _is_complex(self, position: int) -> bool:
        return np.iscomplexobj(self.values[position])


def _parts_of(value: Any, like: Any) -> list[Any]:
    """Take a value apart as a container was; a dict by the keys of that."""
    if isinstance(like, dict):
        return [y for key, x in like.items() for y in _parts_of(value[key], x)]
    if isinstance(like, (list, tuple)):
        pairs = zip(value, like, strict=True)
        return [y for part, x in pairs for y in _parts_of(part, x)]
    return [value]


def bind(inputs: Sequence[Any], wrt: int | Sequence[int] | None, alone: bool = True) -> Arguments:
    """Choose what to differentiate by: ``wrt``, or every array of floats or complex numbers.

    NumPy's scalars are arrays, and the arrays in dicts, lists and tuples count one by one; of such
    an input ``wrt`` means all of them.  A Python number counts when nothing is an array.  There has
    to be an input to differentiate by, if they stand ``alone``: a layer has parameters besides.
    """
    containers = tuple(x if _holds_arrays(x) else None for x in inputs)
    values, origins, devices = [], [], []
    for i, (x, container) in enumerate(zip(inputs, containers, strict=True)):
        parts = [x] if container is None else [y for _, y in leaves(x, open_modules=False)]
        values += [array_of(y) for y in parts]
        devices += [device_of(y) for y in parts]
        origins += [i] * len(parts)
    if wrt is None:
        chosen = [i for i, x in enumerate(values) if _is_array(x)]
        if not chosen and alone:
            chosen = [i for i, x in enumerate(values) if isinstance(x, (float, complex))]
    else:
        wanted = [wrt] if isinstance(wrt, int) else list(wrt)
        chosen = [k for i in wanted for k in _of_input(i, inputs, values, origins)]
    if not chosen and alone:
        raise TypeError(
            f"none of the inputs ({', '.join(describe(array_of(x)) for x in inputs)}) is an array "
            "of floats, so there is nothing to differentiate by; hand over arrays such as "
            "np.array([1.0, 2.0]), with a point"
        )
    whole = containers if any(x is not None for x in containers) else None
    device = next((device for device in devices if device is not None), None)
    return Arguments(tuple(values), tuple(chosen), whole, device)


def _of_input(
    i: int, inputs: Sequence[Any], values: Sequence[Any], origins: Sequence[int]
) -> list[int]:
    """Give the positions of the values of an input that can be differentiated by."""
    positions = [k for k, origin in enumerate(origins) if origin == i]
    alone = len(positions) == 1
    chosen = [k for k in positions if _is_array(values[k]) or (alone and _is_float(values[k]))]
    if not chosen:
        what = describe(array_of(inputs[i])) if 0 <= i < len(inputs) else "not there"
        raise TypeError(f"cannot differentiate by input {i}: it is {what}, not floats")
    return chosen


def _holds_arrays(x: Any) -> bool:
    """Whether an input is a container with arrays of floats, or Python numbers by name."""
    if not isinstance(x, (dict, list, tuple)):
        return False
    parts = [array_of(y) for _, y in leaves(x, open_modules=False)]
    return any(map(_is_array, parts)) or (isinstance(x, dict) and any(map(_is_float, parts)))


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fc"


def _is_float(x: Any) -> bool:
    return np.asarray(x).dtype.kind in "fc"
