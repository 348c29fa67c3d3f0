"""``nn.utils.weight_norm`` and ``spectral_norm``, whose parameters lie beside the weight's name.

PyTorch keeps these for older models; new ones have ``parametrizations.py``.

Not for: the formulas (``norms.py``).
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

import numpy as np

from tinygrad_lab.nn.layers.making import Rng, expect_one_for_all, positive
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.parameter import Parameter
from tinygrad_lab.nn.utils.norms import (
    largest_stretch,
    lengths,
    matrix_of,
    power_iteration,
    unit,
    with_lengths,
)
from tinygrad_lab.nn.utils.parametrize import uncompute

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Compute a weight from its norms ``weight_g`` and a direction ``weight_v``, at each use.

    Parameters
    ----------
    module : Module
        Is changed, and returned.
    name : str
        The parameter.
    dim : int or None
        Each slice along it has a norm of its own; None: the whole has one.

    Raises
    ------
    ValueError
        The module has no such parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> layer = nn.utils.weight_norm(nn.Linear(2, 3, rng=0))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight_g', 'weight_v']
    >>> layer(np.ones((5, 2))).shape
    (5, 3)
    """
    weight = _taken(module, name, partial(_weight_of_norms, dim=dim))
    setattr(module, f"{name}_g", Parameter(lengths(weight.data, dim), weight.requires_grad))
    setattr(module, f"{name}_v", Parameter(weight.data, weight.requires_grad))
    return module


def _weight_of_norms(module: Any, name: str, dim: int | None) -> Any:
    return with_lengths(getattr(module, f"{name}_v"), getattr(module, f"{name}_g"), dim)


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Make one parameter again of a weight that :func:`weight_norm` computes."""
    return _removed(module, name, _weight_of_norms, "_v", "_g")


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

    The singular vectors are buffers, ``weight_u`` and ``weight_v``, which each use in training
    brings nearer by ``n_power_iterations``; nothing is differentiated through them.

    Parameters
    ----------
    module : Module
        Is changed, and returned.
    name : str
        The parameter, ``weight_orig`` from then on.
    n_power_iterations : int
        How many steps each use makes.
    eps : float
        The least length of a vector that is made one of length 1.
    dim : int, optional
        Which axis is that of the outputs: 0, and 1 of transposed convolutions.
    rng : int or numpy.random.Generator, optional
        Where the first singular vectors are drawn from.

    Raises
    ------
    ValueError
        The module has no such parameter, or fewer than one step is to be made.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> layer = nn.utils.spectral_norm(nn.Linear(3, 3, rng=0), n_power_iterations=100, rng=0)
    >>> round(float(np.linalg.norm(layer.weight.data, 2)), 6)
    1.0
    """
    steps = positive(n_power_iterations, "n_power_iterations")
    dim = outputs_axis(module) if dim is None else dim
    weight = _taken(module, name, partial(_weight_of_stretch, steps=steps, eps=eps, dim=dim))
    setattr(module, f"{name}_orig", weight)
    for letter, vector in zip("uv", first_vectors(weight.data, dim, eps, rng), strict=True):
        module.register_buffer(f"{name}_{letter}", vector)
    return module


def outputs_axis(module: Module) -> int:
    """Which axis of a layer's weight is that of its outputs."""
    return int(type(module).__name__.startswith("ConvTranspose"))


def first_vectors(weight: Any, dim: int, eps: float, rng: Rng) -> list[Any]:
    """Singular vectors to begin with, drawn."""
    generator, shape = np.random.default_rng(rng), matrix_of(weight, dim).shape
    return [unit(generator.standard_normal(n), eps).astype(weight.dtype) for n in shape]


def _weight_of_stretch(module: Any, name: str, steps: int, eps: float, dim: int) -> Any:
    weight = getattr(module, f"{name}_orig")
    matrix = matrix_of(weight, dim)
    u, v = getattr(module, f"{name}_u"), getattr(module, f"{name}_v")
    if module.training:
        new, v = power_iteration(matrix, u, v, steps, eps, u_first=False)
        expect_one_for_all(
            new, u, module, "spectral_norm would leave each example's own vectors in"
        )
        u = new
        setattr(module, f"{name}_u", u)
        setattr(module, f"{name}_v", v)
    return weight / largest_stretch(matrix, u, v)


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Make one parameter again of a weight that :func:`spectral_norm` computes."""
    training, module.training = module.training, False
    try:
        return _removed(module, name, _weight_of_stretch, "_orig", "_u", "_v")
    finally:
        module.training = training


def _taken(module: Any, name: str, of: Any) -> Parameter:
    """Take a parameter away, and let its name find what is computed."""
    weight = vars(module).get(name)
    if not isinstance(weight, Parameter):
        said = "is computed already" if name in module._computed else "is no parameter of its own"  # noqa: SLF001
        raise ValueError(f"{type(module).__name__}.{name} {said}")
    delattr(module, name)
    module._computed = {**module._computed, name: of}  # noqa: SLF001
    return weight


def _removed(module: Any, name: str, of: Any, *ends: str) -> Any:
    known = module._computed.get(name)  # noqa: SLF001
    if getattr(known, "func", None) is not of:
        raise ValueError(f"{type(module).__name__}.{name} is not what is to be removed")
    uncompute(module, name, getattr(module, name), getattr(module, name + ends[0]).requires_grad)
    for end in ends:
        delattr(module, name + end)
    return module
