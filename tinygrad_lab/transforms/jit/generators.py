"""Random generators where no twin is: in a class, in slots, Python's own.

A program would give the numbers that were drawn while it was recorded, so a call that draws from
one is made as it is, and each draw is another.

Not for: generators that a twin stands for, whose draws are instructions (``trace.py``).
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Undrawn", "is_generator"]

_KINDS = (np.random.Generator, np.random.BitGenerator, np.random.RandomState, random.Random)


def is_generator(value: Any) -> bool:
    """Whether numbers can be drawn from a value."""
    return isinstance(value, _KINDS)


class Undrawn:
    """Generators that a recorded call may not draw from, and where they were."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[Any, Any]] = {}  # by identity: a generator, its state

    def add(self, generator: Any) -> None:
        """Note where a generator is."""
        self._before[id(generator)] = generator, _access(generator)[0]()

    def put_back(self) -> bool:
        """Undo the draws since, and say whether there were any."""
        was_drawn = False
        for generator, before in self._before.values():
            get, put = _access(generator)
            if pickle.dumps(get()) != pickle.dumps(before):
                put(before)
                was_drawn = True
        return was_drawn


def _access(generator: Any) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    """What gives the state of a generator, and what sets it."""
    if isinstance(generator, random.Random):
        return generator.getstate, generator.setstate
    if isinstance(generator, np.random.RandomState):
        return lambda: generator.get_state(legacy=False), generator.set_state
    bits = getattr(generator, "bit_generator", generator)
    return lambda: bits.state, lambda state: setattr(bits, "state", state)
