"""Twins of what a function is called with, so that calling it again touches nothing of others'.

Containers and modules are built anew around new tensors, arrays and random generators; what is
none of these is the same object.  What was one object stays one, and a cycle a cycle.

Not for: calling again (``checkpoint.py``).
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

__all__ = ["Twins", "twin_of"]

T = TypeVar("T", bound=Tensor)
_CONSTANT = (str, int, float, complex, NoneType)
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

    def of(self, value: Any) -> Any:
        """Give the twin of a value, the same one each time."""
        if isinstance(value, _CONSTANT):
            return value
        if id(value) in self._twins:
            return self._twins[id(value)][1]
        if isinstance(value, (dict, list, deque)):
            return self._filled(value)
        if is_module(value):
            return self._module(value)
        return self._settled(value, self._new(value))

    def _settled(self, value: Any, twin: Any) -> Any:
        self._twins[id(value)] = value, twin
        return twin

    def _new(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._tensor(value) if value.node else twin_of(value, self._array(value.data))
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, tuple):
            items = map(self.of, value)
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        if isinstance(value, MethodType):
            return MethodType(value.__func__, self.of(value.__self__))
        if isinstance(value, partial):
            named = {name: self.of(item) for name, item in value.keywords.items()}
            return partial(self.of(value.func), *map(self.of, value.args), **named)
        if isinstance(value, np.random.Generator):
            self.generators.append((value, copy.deepcopy(value)))
            return self.generators[-1][1]
        return copy.deepcopy(value) if isinstance(value, _RANDOM) else value

    def _array(self, array: Any) -> Any:
        is_written = self._copies_arrays and isinstance(array, np.ndarray) and array.flags.writeable
        return array.copy() if is_written else array

    def _filled(self, container: Any) -> Any:
        twin = self._settled(container, copy.copy(container))
        if isinstance(container, dict):
            twin.clear()
            twin.update((self.of(key), self.of(item)) for key, item in container.items())
        else:
            for position, item in enumerate(container):
                twin[position] = self.of(item)
        return twin

    def _module(self, module: Any) -> Any:
        twin = self._settled(module, object.__new__(type(module)))
        outside, self._copies_arrays = self._copies_arrays, True
        on_class = lambda value: isinstance(value, Tensor) or is_module(value)
        for name, value in attributes(module, on_class).items():
            object.__setattr__(twin, name, self.of(value))
        self._copies_arrays = outside
        return twin


def twin_of(tensor: T, data: Any, node: Any = None) -> T:
    """Make a tensor of the same class, of other data and with another history."""
    twin = object.__new__(type(tensor))
    twin.data, twin.node = data, node
    return twin
