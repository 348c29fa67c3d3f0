"""Weights of a norm, and orthogonal ones: PyTorch's ``nn.utils.parametrizations``.

Not for: what a parametrization is (``parametrize.py``), or the formulas of norms (``norms.py``).
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import numpy as np

from tinygrad_lab.core.levels import detached
from tinygrad_lab.nn.layers.making import Rng, expect_one_for_all, positive
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.names import look_up
from tinygrad_lab.nn.utils.computed import first_vectors, outputs_axis
from tinygrad_lab.nn.utils.norms import (
    largest_stretch,
    lengths,
    matrix_of,
    power_iteration,
    unit,
    with_lengths,
)
from tinygrad_lab.nn.utils.orthogonality import MAPS, householder_factors, orthonormal
from tinygrad_lab.nn.utils.parametrize import register_parametrization

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

Array = Any
M = TypeVar("M", bound=Module)


class _WeightNorm(Module):
    """A direction with norms."""

    def __init__(self, dim: int | None = 0) -> None:
        self.dim = dim

    def forward(self, weight_g: Array, weight_v: Array) -> Array:
        return with_lengths(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Array) -> tuple[Array, Array]:
        return lengths(weight, self.dim), weight


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Compute a weight from its norms and a direction, at each use.

    They are ``module.parametrizations.weight.original0`` and ``original1``.

    Parameters
    ----------
    module : Module
        Is changed, and returned.
    name : str
        The parameter.
    dim : int or None
        Each slice along it has a norm of its own; None: the whole has one.

    Examples
    --------
    >>> from tinygrad_lab import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3, rng=0))
    >>> layer
    Linear(
      in_features=2, out_features=3, bias=True
      (parametrizations): ModuleDict(
        (weight): ParametrizationList(
          (0): _WeightNorm()
        )
      )
    )
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    """A weight over its largest singular value."""

    _u: Array
    _v: Array

    def __init__(
        self, weight: Array, n_power_iterations: int, dim: int, eps: float, rng: Rng
    ) -> None:
        self.n_power_iterations = positive(n_power_iterations, "n_power_iterations")
        if not -weight.ndim <= dim < weight.ndim:
            raise ValueError(f"dim={dim} of a weight of shape {weight.shape}")
        self.dim, self.eps = dim % weight.ndim, eps
        if weight.ndim > 1:
            u, v = first_vectors(weight.data, self.dim, eps, rng)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)
            self._iterate(matrix_of(weight.data, self.dim), 15)

    def _iterate(self, matrix: Array, steps: int) -> None:
        u, v = power_iteration(matrix, self._u, self._v, steps, self.eps, u_first=True)
        expect_one_for_all(
            u, self._u, self, "spectral_norm would leave each example's own vectors in"
        )
        self._u, self._v = u, v

    def forward(self, weight: Array) -> Array:
        if weight.ndim == 1:
            return unit(weight, self.eps)
        matrix = matrix_of(weight, self.dim)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        return weight / largest_stretch(matrix, self._u, self._v)

    def right_inverse(self, value: Array) -> Array:
        return value


def spectral_norm(
    module: M,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
    *,
    rng: Rng = None,
) -> M:
    """Divide a weight by its largest singular value, at each use (Miyato and others, 2018).

    The singular vectors are buffers, which each use in training brings nearer by
    ``n_power_iterations``, after 15 at the start; nothing is differentiated through them.
    Parameters are those of :func:`tinygrad_lab.nn.utils.spectral_norm`.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3, rng=0), rng=0)
    >>> round(float(np.linalg.norm(layer.weight.data, 2)), 2)
    1.0
    >>> [name for name, _ in layer.named_buffers()]
    ['parametrizations.weight.0._u', 'parametrizations.weight.0._v']
    """
    weight = getattr(module, name)
    dim = outputs_axis(module) if dim is None else dim
    norm = _SpectralNorm(weight, n_power_iterations, dim, eps, rng)
    return register_parametrization(module, name, norm)


class _Orthogonal(Module):
    """A matrix with orthonormal columns, or rows where there are fewer of those."""

    base: Array

    def __init__(self, orthogonal_map: str, use_trivialization: bool) -> None:
        look_up(orthogonal_map, MAPS, "orthogonal_map")
        self.orthogonal_map, self.use_trivialization = orthogonal_map, use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Array) -> Array:
        is_wide = x.shape[-2] < x.shape[-1]
        q = MAPS[self.orthogonal_map](x.mT if is_wide else x)
        if self.use_trivialization:
            q = self.base @ q
        return q.mT if is_wide else q

    def right_inverse(self, weight: Array) -> Array:
        q: Any = detached(weight)
        is_wide = q.shape[-2] < q.shape[-1]
        q = q.mT if is_wide else q
        if not self.use_trivialization:
            if self.orthogonal_map != "householder":
                return weight  # what it is computed of, and not what it is
            x = householder_factors(q)
            return x.mT if is_wide else x
        self.base = orthonormal(q)
        return np.zeros(weight.shape, weight.dtype) - np.eye(*weight.shape[-2:], dtype=weight.dtype)


def orthogonal(
    module: M,
    name: str = "weight",
    orthogonal_map: Literal["matrix_exp", "cayley", "householder"] | None = None,
    *,
    use_trivialization: bool = True,
) -> M:
    """Keep the columns of a weight, or its rows if there are fewer of those, orthonormal.

    Parameters
    ----------
    module : Module
        Is changed, and returned.
    name : str
        The parameter: a matrix, or several.
    orthogonal_map : str, optional
        ``"matrix_exp"`` and ``"cayley"`` are of a skew-symmetric matrix, ``"householder"`` is a
        product of reflections; by default the first for a square weight, else the last.
    use_trivialization : bool
        Whether it is relative to an orthogonal matrix, the buffer ``base``: at first it is then
        the weight, made orthogonal (Lezcano Casado, 2019).

    Raises
    ------
    ValueError
        The weight has fewer than two axes, or the map is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> layer = nn.utils.parametrizations.orthogonal(nn.Linear(2, 3, rng=0))
    >>> weight = layer.weight.data
    >>> bool(np.allclose(weight.T @ weight, np.eye(2)))
    True
    """
    weight = getattr(module, name)
    if weight.ndim < 2:
        raise ValueError(f"orthogonal: {name} has shape {weight.shape}, expected two axes or more")
    n, k = weight.shape[-2:]
    chosen = orthogonal_map or ("matrix_exp" if n == k else "householder")
    return register_parametrization(
        module, name, _Orthogonal(chosen, use_trivialization), unsafe=True
    )
