"""Dropout: leave things out by chance, in training.

Not for: layers, which hold a generator (``layers/dropout.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.core.engine import recorder
from tinygrad_lab.core.levels import drawing
from tinygrad_lab.nn.arguments import takes_arrays

__all__ = ["dropout"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


@takes_arrays
def dropout(
    input: Array,
    p: float = 0.5,
    training: bool = True,
    rng: int | np.random.Generator | None = None,
) -> Array:
    """Set each element to 0 with probability ``p``, and divide the others by ``1 - p``.

    Outside training it returns ``input`` itself.  An integer ``rng`` is a seed, and drops the
    same elements in every call; a generator draws others in each.

    Raises
    ------
    ValueError
        ``p`` is not a probability.

    Examples
    --------
    >>> dropout(np.ones(6), 0.5, rng=0)
    array([2., 0., 0., 0., 2., 2.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout p={p}: expected a probability, 0 to 1")
    if not training or p == 0:
        return input
    mask = _generator(rng).random(input.shape) >= p
    return input * (mask / (1 - p if p < 1 else 1)).astype(input.dtype)


def _generator(rng: int | np.random.Generator | None) -> np.random.Generator:
    """Make a generator of a seed; one that nobody has seeded is another in each recorded call."""
    if isinstance(rng, np.random.Generator):
        return drawing(rng)
    recording = recorder.get()
    is_others = rng is None and recording is not None
    return recording.unseeded() if is_others else np.random.default_rng(rng)
