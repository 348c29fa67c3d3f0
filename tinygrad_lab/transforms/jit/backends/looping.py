"""The Python function around a kernel that runs a program many times.

Not for: the text of that kernel (``loops.py``), or what is carried from one time to the next
(``repetition.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.transforms.jit.backends.calling import ordered
from tinygrad_lab.transforms.jit.backends.loops import Kernel, Parameter, element_dtype
from tinygrad_lab.transforms.jit.backends.plan import Plan

__all__ = ["TURNS", "Looped", "Looping"]

TURNS = 1 << 26  # elements computed in one call of a kernel: a tenth of a second


class Looped(NamedTuple):
    """What came of running a program many times."""

    done: int  # how often it went well; the next time is to be made eagerly
    outputs: list[Any]  # what it gave last, or, of outputs that are stacked, what it gave each time


class Looping:
    """The function around a kernel that loops."""

    def __init__(
        self, plan: Plan, kernel: Kernel, entry: Callable[..., int], carried: Mapping[int, int]
    ) -> None:
        self.plan, self.kernel, self.carried = plan, kernel, carried
        self.entry = entry
        self.turns = max(1, TURNS // max(kernel.size, 1))  # so that Ctrl-C does not wait for long

    def __call__(self, n: int, *inputs: Any) -> Looped:
        """Run the program n times, or until it does not go well."""
        values = dict(enumerate(inputs)) | self.plan.constants
        space = {p.name: self._memory(p, n, values) for p in self.kernel.parameters}
        done = 0
        while done < n:
            count = min(self.turns, n - done)
            args = [
                self._argument(p, space, slice(done, done + count)) for p in self.kernel.parameters
            ]
            went = self.entry(*args)
            done += went
            if went < count:
                break
        outputs = self.plan.outputs
        return Looped(done, [self._output(i, space, done) for i in range(len(outputs))])

    def _memory(self, p: Parameter, n: int, values: Mapping[int, Any]) -> Any:
        """Make what stays from one call of the kernel to the next."""
        dtype, shape = element_dtype(p.kind), p.kind.shape
        if p.role in ("scratch", "last"):
            return np.empty(shape, dtype)
        if p.role == "stack":
            return np.empty((n, *shape), dtype)
        if p.role in ("state", "final"):
            return np.array(values[p.number], dtype, order="C")
        return ordered(values[p.number]) if p.role == "array" else values.get(p.number)

    def _argument(self, p: Parameter, space: Mapping[str, Any], part: slice) -> Any:
        if p.role == "count":
            return part.stop - part.start
        if p.role == "stack":
            return space[p.name][part]
        final = space.get(f"f{p.number}") if p.role == "number" else None
        return space[p.name] if final is None else final[()]

    def _output(self, position: int, space: Mapping[str, Any], done: int) -> Any:
        target = self.carried.get(position)
        kind = self.plan.kind(self.plan.outputs[position])
        value = space.get(f"s{position}") if target is None else space.get(f"b{target}")
        if value is None:
            value = space[f"f{target}"]
        is_stack = value.shape != kind.shape
        if is_stack:
            return value[:done]
        if kind.shape:
            return value
        return value[()] if kind.is_array else value.item()
