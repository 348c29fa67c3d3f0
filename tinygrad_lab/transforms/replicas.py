"""Twins of what a function is called with, so that calling it again touches nothing of others'.

Containers and modules are built anew around new tensors, arrays and random generators; what is
none of these is the same object.  What was one object stays one, and a cycle a cycle.  A ``path``
says where a value is, as one writes it in Python: ``args[0].layers[1]``.

Not for: calling again (``checkpoint.py``), or recording a call (``jit/state.py``).
"""

from __future__ import annotations

import copy
import random
from collections import deque
from collections.abc import Callable
from functools import partial
from types import MethodType, NoneType
from typing import Any, TypeVar

import numpy as np

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.containers import attributes, is_module

__all__ = ["CONSTANT", "Twins", "twin_of"]

T = TypeVar("T", bound=Tensor)
CONSTANT = (str, int, float, complex, NoneType)
_RANDOM = (np.random.RandomState, random.Random)  # and np.random.Generator


class Twins:
    """Builds the twins of one call; ``tensor`` makes those of tensors that are tracked.

    Arrays that somebody can write to are copied: those in modules, which are their own to write
    to (running statistics), and all with ``all_arrays``.
    """

    def __init__(self, tensor: Callable[[Tensor], Tensor], all_arrays: bool) -> None:
        self._tensor = tensor
        self._copies_arrays = all_arrays
        self._twins: dict[int, tuple[Any, Any]] = {}  # by identity: a thing, to hold it, its twin
        self.generators: list[tuple[np.random.Generator, np.random.Generator]] = []

    def of(self, value: Any, path: str = "") -> Any:
        """Give the twin of a value, the same one each time; ``path`` says where it is."""
        if isinstance(value, CONSTANT):
            return self.constant(value, path)
        if id(value) in self._twins:
            return self.again(*self._twins[id(value)], path)
        if isinstance(value, (dict, list, deque)):
            return self.filled(value, path)
        if self.is_stateful(value):
            return self.stateful(value, path)
        return self._settled(value, self._new(value, path))

    def constant(self, value: Any, path: str) -> Any:
        """Give what stands for a number, a text or None."""
        return value

    def again(self, value: Any, twin: Any, path: str) -> Any:
        """Give a twin once more, for a value that is reached on another way."""
        return twin

    def is_stateful(self, value: Any) -> bool:
        """Whether a value is an object with state of its own in its attributes."""
        return is_module(value)

    def attribute(self, thing: Any, name: str, value: Any, path: str) -> Any:
        """Give what stands for an attribute of an object with state."""
        return self.of(value, f"{path}.{name}")

    def _settled(self, value: Any, twin: Any) -> Any:
        self._twins[id(value)] = value, twin
        return twin

    def _new(self, value: Any, path: str) -> Any:
        if isinstance(value, Tensor):
            return self.tensor(value, path)
        if isinstance(value, np.ndarray):
            return self.array(value, path)
        if isinstance(value, tuple):
            return self.row(value, path)
        if isinstance(value, MethodType):
            return MethodType(self.of(value.__func__, path), self.of(value.__self__, path))
        if isinstance(value, partial):
            named = {
                key: self.of(item, f"{path}.keywords[{key!r}]")
                for key, item in value.keywords.items()
            }
            items = [self.of(item, f"{path}.args[{i}]") for i, item in enumerate(value.args)]
            return partial(self.of(value.func, f"{path}.func"), *items, **named)
        if isinstance(value, np.random.Generator):
            return self.generator(value, path)
        return self.other(value, path)

    def row(self, value: Any, path: str) -> Any:
        """Give what stands for a tuple."""
        items = [self.of(item, f"{path}[{i}]") for i, item in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)

    def generator(self, value: np.random.Generator, path: str) -> Any:
        """Give what stands for a random generator."""
        self.generators.append((value, copy.deepcopy(value)))
        return self.generators[-1][1]

    def other(self, value: Any, path: str) -> Any:
        """Give what stands for anything else."""
        return copy.deepcopy(value) if isinstance(value, _RANDOM) else value

    def tensor(self, value: Tensor, path: str) -> Any:
        """Give what stands for a tensor."""
        if value.node:
            return self._tensor(value)
        return twin_of(value, self.array(value.data, path))

    def array(self, array: Any, path: str) -> Any:
        """Give what stands for an array."""
        is_written = self._copies_arrays and isinstance(array, np.ndarray) and array.flags.writeable
        return array.copy() if is_written else array

    def filled(self, container: Any, path: str) -> Any:
        """Give what stands for a dict, a list or a deque."""
        twin = self._settled(container, copy.copy(container))
        if isinstance(container, dict):
            twin.clear()
            twin.update(
                (self.of(key), self.of(item, f"{path}[{key!r}]")) for key, item in container.items()
            )
        else:
            for position, item in enumerate(container):
                twin[position] = self.of(item, f"{path}[{position}]")
        return twin

    def stateful(self, thing: Any, path: str) -> Any:
        """Give what stands for an object with state in its attributes."""
        twin = self._settled(thing, _blank(type(thing)))
        outside, self._copies_arrays = self._copies_arrays, True
        on_class = lambda value: isinstance(value, Tensor) or is_module(value)
        for name, value in attributes(thing, on_class).items():
            object.__setattr__(twin, name, self.attribute(thing, name, value, path))
        self._copies_arrays = outside
        return twin


def _blank(kind: Any) -> Any:
    try:
        return object.__new__(kind)
    except TypeError:  # a class that is written in C
        return kind.__new__(kind)


def twin_of(tensor: T, data: Any, node: Any = None) -> T:
    """Make a tensor of the same class, of other data and with another history."""
    twin = object.__new__(type(tensor))
    twin.data, twin.node = data, node
    return twin
