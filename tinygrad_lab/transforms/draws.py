"""Random numbers inside vmap: drawn for each example, or once for all.

Not for: what draws (dropout in ``nn/functional/``).
"""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.core.errors import BatchedValueError
from tinygrad_lab.core.levels import innermost
from tinygrad_lab.core.operations import Op

if TYPE_CHECKING:
    from tinygrad_lab.transforms.level import Level

__all__ = ["BatchedGenerator", "Drawn"]


class BatchedGenerator(np.random.Generator):
    """A generator that draws for each example, in their order; or once for all of them."""

    level: Level

    def __init__(self, generator: np.random.Generator, level: Level) -> None:
        super().__init__(generator.bit_generator)
        self._draws_from, self.level = generator, level

    def __getattribute__(self, name: str) -> Any:
        attribute = super().__getattribute__(name)
        if name.startswith("_") or name in ("bit_generator", "level", "spawn"):
            return attribute
        level = innermost.get() or self.level  # a vmap inside its own, perhaps
        if level.depth > self.level.depth:
            return getattr(level.generator(self), name)
        return self._drawn_by(name)

    def _drawn_by(self, name: str) -> Any:
        return partial(_draw, self.level, self._draws_from, name)

    def __deepcopy__(self, memo: Any) -> BatchedGenerator:
        return BatchedGenerator(copy.deepcopy(self._draws_from, memo), self.level)


def _draw(level: Level, generator: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    level.check()
    if level.randomness == "error":
        raise BatchedValueError(
            f"a draw (Generator.{name}) inside vmap(randomness='error'): say 'different' for a "
            "draw for each example, or 'same' for one that all share"
        )
    is_ours = isinstance(generator, BatchedGenerator)
    method = generator._drawn_by(name) if is_ours else getattr(generator, name)  # noqa: SLF001
    if level.randomness == "different":
        return level.in_turn(Drawn(method, name), *args, **kwargs)
    before = generator.bit_generator.state
    draws = []
    for i in range(level.size):
        generator.bit_generator.state = before
        draws.append(method(*level.example(args, i), **level.example(kwargs, i)))
        if not (level.holds(args) or level.holds(kwargs)):
            return draws[0]
    return level.stacked(draws, f"Generator.{name}") if draws else method(*args, **kwargs)


class Drawn:
    """A method of a generator, by its name."""

    __module__ = "numpy"

    def __init__(self, method: Op, name: str) -> None:
        self.method, self.__name__ = method, f"random.Generator.{name}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Draw."""
        return self.method(*args, **kwargs)
