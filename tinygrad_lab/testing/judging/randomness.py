"""Which generator the random numbers of a function come from.

A function is called twice from the same state of a generator: where it gives the same value then,
and only then, that is the one it draws from.

Not for: whether it is random (``properties/calls.py``).
"""

from __future__ import annotations

import functools
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array, first_difference

MOST = 500  # objects that are looked through for a generator
CALLS = 5  # that must agree: a mask of a few elements does so twice by chance


class Generator(NamedTuple):
    """A generator of random numbers, and how its state is had and put back."""

    name: str
    state: Callable[[], Any]
    restore: Callable[[Any], Any]


def source_of(fn: Any, value: Callable[[], list[Array]]) -> str | None:
    """Name the generator that ``value`` draws from, as a message calls it; None if there is none.

    ``fn`` is looked through for generators of its own.
    """
    generators = [*_global_generators(), *_generators_in(fn)]
    states = [generator.state() for generator in generators]

    def repeats(chosen: list[int]) -> bool:
        first: list[Array] | None = None
        for _ in range(CALLS):
            for k in chosen:
                generators[k].restore(states[k])
            again = value()
            first = again if first is None else first
            if first_difference(first, again) is not None:
                return False
        return True

    every = list(range(len(generators)))
    if not repeats(every):
        return None
    return next((generators[k].name for k in every if repeats([k])), "several generators")


def _global_generators() -> Iterator[Generator]:
    yield Generator("NumPy's global generator", np.random.get_state, np.random.set_state)
    yield Generator("the generator of Python's random", random.getstate, random.setstate)
    if (torch := getattr(sys.modules.get("torch"), "random", None)) is not None:
        yield Generator("PyTorch's generator", torch.get_rng_state, torch.set_rng_state)


def _generators_in(fn: Any) -> Iterator[Generator]:
    """Look for generators in what a function has hold of."""
    waiting: list[tuple[str, Any]] = [("", fn)]
    visited: set[int] = set()
    while waiting and len(visited) < MOST:
        name, x = waiting.pop(0)
        if id(x) in visited:
            continue
        visited.add(id(x))
        called = f"the generator {name}" if name else "a generator"
        if isinstance(x, np.random.Generator):
            bits = x.bit_generator
            state = functools.partial(getattr, bits, "state")
            yield Generator(called, state, functools.partial(setattr, bits, "state"))
        elif isinstance(x, np.random.RandomState):
            yield Generator(called, x.get_state, x.set_state)
        elif isinstance(x, random.Random):
            yield Generator(called, x.getstate, x.setstate)
        elif type(x).__name__ == "Generator" and hasattr(x, "set_state"):  # PyTorch's
            yield Generator(called, x.get_state, x.set_state)
        else:
            waiting += _held_by(x)


def _held_by(x: Any) -> Iterator[tuple[str, Any]]:
    """Give what an object refers to by name: of a function its variables, else its attributes."""
    if isinstance(x, (str, bytes, int, float, complex, np.ndarray, np.generic, type, type(sys))):
        return
    if isinstance(x, Mapping):
        yield from ((str(key), value) for key, value in x.items())
    elif isinstance(x, (list, tuple)):
        yield from (("", value) for value in x)
    elif isinstance(x, functools.partial):
        yield from (("", part) for part in (x.func, x.args, x.keywords))
    elif (code := getattr(x, "__code__", None)) is not None:
        cells = zip(code.co_freevars, getattr(x, "__closure__", None) or (), strict=False)
        yield from ((name, cell.cell_contents) for name, cell in cells if _is_filled(cell))
        namespace = getattr(x, "__globals__", {})
        yield from ((name, namespace[name]) for name in code.co_names if name in namespace)
        yield "self", getattr(x, "__self__", None)
        yield from _defaults_of(x)
    else:
        yield from getattr(x, "__dict__", {}).items()
        yield "", vars(type(x)).get("__call__")


def _defaults_of(function: Any) -> Iterator[tuple[str, Any]]:
    yield "", getattr(function, "__defaults__", None)
    yield "", getattr(function, "__kwdefaults__", None)


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
