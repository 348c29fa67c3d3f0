"""Layers that leave things out by chance, in training.

Not for: the arithmetic (``functional/dropouts.py``), or where the draws come from (``seeds.py``).
"""

from __future__ import annotations

from typing import Any

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.functional.dropouts import check_settings
from tinygrad_lab.nn.layers.making import Rng
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.seeds import stream

__all__ = [
    "AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout",
]  # fmt: skip

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


class _Dropping(Module):
    """What all of them share: a rate, and a generator."""

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: Rng = None) -> None:
        check_settings(type(self).__name__, p, inplace)
        self.p, self.inplace = p, inplace
        self._rng = stream(rng)

    def extra_repr(self) -> str:
        """The settings."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropping):
    """In training, set elements to 0 with probability ``p`` and scale the others up.

    Parameters
    ----------
    p : float
        How likely each element is to be dropped.
    inplace : bool
        Has no effect: arrays are values.
    rng : int or numpy.random.Generator, optional
        Where the draws come from: a seed, which gives each layer of a model numbers of its own, by
        its place in there; or a generator, which is used as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> model = nn.Sequential(nn.Dropout(rng=0), nn.Dropout(rng=0))  # two layers, two masks
    >>> model[0](np.ones(6)), model[1](np.ones(6))
    (array([2., 2., 2., 2., 0., 2.]), array([0., 2., 0., 2., 0., 0.]))
    """

    def forward(self, input: Array) -> Array:
        """Keep the shape."""
        return functional.dropout(input, self.p, self.training, rng=self._rng)


class Dropout1d(_Dropping):
    """Drop whole channels of series, (N, C, L) or (C, L); parameters as :class:`Dropout`."""

    def forward(self, input: Array) -> Array:
        """Keep the shape."""
        return functional.dropout1d(input, self.p, self.training, rng=self._rng)


class Dropout2d(_Dropping):
    """Drop whole channels of images, (N, C, H, W); parameters as :class:`Dropout`."""

    def forward(self, input: Array) -> Array:
        """Keep the shape."""
        return functional.dropout2d(input, self.p, self.training, rng=self._rng)


class Dropout3d(_Dropping):
    """Drop whole channels of volumes, (N, C, D, H, W) or (C, D, H, W); as :class:`Dropout`."""

    def forward(self, input: Array) -> Array:
        """Keep the shape."""
        return functional.dropout3d(input, self.p, self.training, rng=self._rng)


class AlphaDropout(_Dropping):
    """Dropout that keeps mean and variance, for ``SELU``; parameters as :class:`Dropout`."""

    def forward(self, input: Array) -> Array:
        """Keep the shape."""
        return functional.alpha_dropout(input, self.p, self.training, rng=self._rng)


class FeatureAlphaDropout(_Dropping):
    """:class:`AlphaDropout` of whole channels, (N, C, ...)."""

    def forward(self, input: Array) -> Array:
        """Keep the shape."""
        return functional.feature_alpha_dropout(input, self.p, self.training, rng=self._rng)
