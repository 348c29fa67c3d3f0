"""Where the random numbers of a model come from: a seed, and a place in the model.

A layer that draws, made with an integer, holds a generator of its own.  When the layer becomes part
of a model, and has not drawn yet, the generator begins anew from the seed and the layer's path.  So
equal seeds at two places are two streams, and the same model built again draws the same.

The seed and the path are kept by the generator itself, as its ``SeedSequence``.

Not for: first values of parameters, which are drawn when a layer is made (``layers/making.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from zlib import crc32

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from tinygrad_lab.core.atomic import at_once

__all__ = ["generator_state", "load_generator_state", "place", "seed", "stream"]


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


def generator_state(model: Any) -> dict[str, Any]:
    """The states of all random generators of a model, by path: what layers draw from next.

    With ``state_dict()`` and the optimizer's, it is what training goes on from.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> model = nn.Sequential(nn.Linear(2, 8, rng=0), nn.Dropout(rng=1))
    >>> state = nn.generator_state(model)
    >>> list(state)
    ['1._rng']
    >>> first = model(np.ones(2)).data
    >>> nn.load_generator_state(model, state)
    >>> bool((model(np.ones(2)).data == first).all())
    True
    """
    return {path: generator.bit_generator.state for path, generator in _by_path(model)}


def load_generator_state(model: Any, state: Mapping[str, Any]) -> None:
    """Put the generators of a model in the states that :func:`generator_state` gave.

    Raises
    ------
    RuntimeError
        They are not those of this model, by path and by kind; nothing is changed then.
    """
    own = {path: generator.bit_generator for path, generator in _by_path(model)}
    if own.keys() != state.keys():
        raise RuntimeError(
            f"the state is of other generators than those of {type(model).__name__}: it has "
            f"{', '.join(state) or 'none'}, and the model {', '.join(own) or 'none'}"
        )
    for path, bits in own.items():
        kind = state[path]["bit_generator"]
        if kind != type(bits).__name__:
            raise RuntimeError(f"{path} is a {type(bits).__name__} here and {kind} in the state")
    at_once((setattr, bits, "state", state[path]) for path, bits in own.items())


def _by_path(model: Any) -> Iterator[tuple[str, Generator]]:
    for path, module in model.named_modules():
        for name, generator in _generators(module):
            yield f"{path}.{name}" if path else name, generator


def _generators(module: Any) -> Iterator[tuple[str, Generator]]:
    return iter([item for item in vars(module).items() if type(item[1]) is Generator])


def _is_unused(generator: Generator) -> bool:
    bits: Any = generator.bit_generator
    return bool(bits.state == type(bits)(bits.seed_seq).state)


def _key(path: str) -> tuple[int, ...]:
    return tuple(crc32(name.encode()) for name in path.split(".")) if path else ()
