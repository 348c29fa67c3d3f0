"""Where the random numbers of a model come from: a seed, and a place in the model.

A layer that draws, made with an integer, holds a generator of its own.  When the layer becomes part
of a model, and has not drawn yet, the generator begins anew from the seed and the layer's path.  So
equal seeds at two places are two streams, and the same model built again draws the same.

The seed and the path are kept by the generator itself, as its ``SeedSequence``.

Not for: first values of parameters, which are drawn when a layer is made (``layers/making.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from zlib import crc32

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

__all__ = ["place", "seed", "stream"]


class Place(SeedSequence):
    """The seed of a generator that a layer has made for itself, and where the layer is."""


def stream(rng: int | Generator | None) -> Generator:
    """The generator of a layer that draws: from a seed one of its own; a generator as it is.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> stream(rng) is rng
    True
    """
    if isinstance(rng, (bool, float)):
        raise TypeError(f"rng={rng!r}: expected a seed, which is an integer, or a Generator")
    is_seed = isinstance(rng, (int, np.integer))
    return default_rng(Place(int(rng)) if is_seed else rng)  # type: ignore[arg-type]


def place(modules: Iterable[tuple[str, Any]]) -> None:
    """Let the layers that draw, and have not yet, begin anew by seed and path.

    One that has a place keeps it, unless its path is longer now: the model is part of another.
    """
    taken: dict[tuple[Any, ...], Any] = {}  # which layer a seed and a place belong to
    for path, module in modules:
        for name, generator in _generators(module):
            known = generator.bit_generator.seed_seq
            if path and isinstance(known, Place):
                old, key = known.spawn_key, _key(path)
                is_longer = key[len(key) - len(old) :] == old
                key = key if is_longer and _is_unused(generator) else old
                while taken.setdefault((known.entropy, key), module) is not module:
                    key = (*key, 0)  # a layer that came from elsewhere has this place
                if key != old and _is_unused(generator):
                    new = default_rng(Place(known.entropy, spawn_key=key))
                    object.__setattr__(module, name, new)


def seed(modules: Iterable[tuple[str, Any]], number: Any) -> None:
    """Give all that draws new generators, from one number and the paths."""
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 0:
        raise ValueError(f"seed({number!r}): expected an integer, 0 or more")
    new: dict[int, tuple[Generator, Generator]] = {}  # by identity: an old one, and for it this
    for path, module in modules:
        for i, (name, old) in enumerate(_generators(module)):
            if id(old) not in new:
                key = _key(path) + (i,) * (i > 0)
                new[id(old)] = old, default_rng(Place(int(number), spawn_key=key))
            object.__setattr__(module, name, new[id(old)][1])


def _generators(module: Any) -> Iterator[tuple[str, Generator]]:
    return iter([item for item in vars(module).items() if type(item[1]) is Generator])


def _is_unused(generator: Generator) -> bool:
    bits: Any = generator.bit_generator
    return bool(bits.state == type(bits)(bits.seed_seq).state)


def _key(path: str) -> tuple[int, ...]:
    return tuple(crc32(name.encode()) for name in path.split(".")) if path else ()
