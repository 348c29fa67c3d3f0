"""Dropout: leave things out by chance, in training.

Not for: layers, which hold a generator (``layers/dropout.py``), or where that comes from
(``seeds.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.core.engine import recorder
from tinygrad_lab.core.levels import drawing
from tinygrad_lab.nn.arguments import takes_arrays

__all__ = [
    "alpha_dropout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols
Rng = int | np.random.Generator | None

#: What selu tends to for very negative numbers: minus its scale times its alpha.
_SELU_FLOOR = -1.7580993408473766


@takes_arrays
def dropout(
    input: Array, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Rng = None
) -> Array:
    """Set each element to 0 with probability ``p``, and divide the others by ``1 - p``.

    Outside training it returns ``input`` itself.  An integer ``rng`` is a seed, and drops the
    same elements in every call; a generator draws others in each.  ``inplace`` has no effect.

    Raises
    ------
    ValueError
        ``p`` is not a probability.

    Examples
    --------
    >>> import numpy as np
    >>> dropout(np.ones(6), 0.5, rng=0)
    array([2., 0., 0., 0., 2., 2.])
    """
    return _dropped("dropout", input, input.shape, p, training, inplace, rng)


@takes_arrays
def dropout1d(
    input: Array, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Rng = None
) -> Array:
    """Drop whole channels of series (N, C, L) or (C, L), as :func:`dropout` drops elements."""
    shape = _channels("dropout1d", input, 2, 3)
    return _dropped("dropout1d", input, shape, p, training, inplace, rng)


@takes_arrays
def dropout2d(
    input: Array, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Rng = None
) -> Array:
    """Drop whole channels of images (N, C, H, W), as :func:`dropout` drops elements.

    Three axes are (N, C, L), as in PyTorch.

    Examples
    --------
    >>> import numpy as np
    >>> dropout2d(np.ones((1, 3, 1, 2)), rng=0)[0, :, 0]
    array([[2., 2.],
           [0., 0.],
           [0., 0.]])
    """
    shape = _channels("dropout2d", input, 0, 3, 4)
    return _dropped("dropout2d", input, shape, p, training, inplace, rng)


@takes_arrays
def dropout3d(
    input: Array, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Rng = None
) -> Array:
    """Drop whole channels of volumes (N, C, D, H, W) or (C, D, H, W)."""
    shape = _channels("dropout3d", input, 4, 5)
    return _dropped("dropout3d", input, shape, p, training, inplace, rng)


@takes_arrays
def alpha_dropout(
    input: Array, p: float = 0.5, training: bool = False, inplace: bool = False, *, rng: Rng = None
) -> Array:
    """Dropout that keeps mean 0 and variance 1, for ``selu`` (Klambauer and others, 2017).

    What is dropped becomes the number that ``selu`` tends to at minus infinity; then everything is
    scaled and shifted.

    Examples
    --------
    >>> import numpy as np
    >>> alpha_dropout(np.zeros(4), 0.5, training=True, rng=0).round(4)
    array([ 0.7792, -0.7792, -0.7792, -0.7792])
    """
    return _alpha_dropped("alpha_dropout", input, input.shape, p, training, inplace, rng)


@takes_arrays
def feature_alpha_dropout(
    input: Array, p: float = 0.5, training: bool = False, inplace: bool = False, *, rng: Rng = None
) -> Array:
    """:func:`alpha_dropout` of whole channels, (N, C, ...)."""
    shape = _channels("feature_alpha_dropout", input, 0, *range(2, input.ndim + 1))
    return _alpha_dropped("feature_alpha_dropout", input, shape, p, training, inplace, rng)


def _channels(name: str, x: Array, unbatched: int, *batched: int) -> tuple[int, ...]:
    """The shape of one draw for each channel, by how many axes an input has."""
    if x.ndim != unbatched and x.ndim not in batched:
        wanted = " or ".join(str(n) for n in (unbatched, *batched) if n) or "2 or more"
        raise ValueError(f"{name} of shape {x.shape}: expected {wanted} axes, not {x.ndim}")
    leading = 1 if x.ndim == unbatched else 2
    return (*x.shape[:leading], *(1,) * (x.ndim - leading))


def _dropped(
    name: str, x: Array, shape: tuple[int, ...], p: float, training: bool, inplace: bool, rng: Rng
) -> Array:
    """Drop what belongs to the same element of ``shape`` together."""
    check_settings(name, p, inplace)
    if not training or p == 0:
        return x
    stays = _generator(rng).random(shape) >= p
    return x * (stays / (1 - p if p < 1 else 1)).astype(x.dtype)


def _alpha_dropped(
    name: str, x: Array, shape: tuple[int, ...], p: float, training: bool, inplace: bool, rng: Rng
) -> Array:
    check_settings(name, p, inplace)
    if not training or p == 0:
        return x
    stays = (_generator(rng).random(shape) >= p).astype(x.dtype)
    if p == 1:
        return x * stays
    scale = ((1 - p) * (1 + p * _SELU_FLOOR**2)) ** -0.5
    return x * (stays * scale) + (1 - p - stays) * (scale * _SELU_FLOOR)


def check_settings(name: str, p: float, inplace: bool) -> None:
    """Check a rate, and that nothing else is where PyTorch has ``inplace``."""
    probability(p, f"{name}: p")
    if not isinstance(inplace, bool):
        raise TypeError(f"{name}: inplace={inplace!r}; a seed or a generator goes by name, rng=...")


def probability(value: float, name: str) -> float:
    """Check a probability, 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value}: expected a probability, 0 to 1")
    return value


def _generator(rng: Rng) -> np.random.Generator:
    """Make a generator of a seed; one that nobody has seeded is another in each recorded call."""
    if isinstance(rng, np.random.Generator):
        return drawing(rng)
    recording = recorder.get()
    is_others = rng is None and recording is not None
    return recording.unseeded() if is_others else np.random.default_rng(rng)
