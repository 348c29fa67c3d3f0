"""Where the values of parameters come from before training.

Every initialiser is ``init(shape, rng, dtype)``: it draws from the generator it is given, and from
nothing else.  ``shape`` is that of a weight: (out, in), or (out, in, ...) of a convolution.  Its
twin with an underscore fills a parameter that is there, as PyTorch's does.

Not for: which layer uses which (``layers/``).
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, prod, sqrt
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.nn.names import look_up

__all__ = [
    "INITIALISERS", "calculate_gain", "constant", "constant_", "dirac", "dirac_", "eye", "eye_",
    "initialiser", "kaiming_normal", "kaiming_normal_", "kaiming_uniform", "kaiming_uniform_",
    "normal", "normal_", "ones", "ones_", "orthogonal", "orthogonal_", "sparse", "sparse_",
    "trunc_normal", "trunc_normal_", "uniform", "uniform_", "xavier_normal", "xavier_normal_",
    "xavier_uniform", "xavier_uniform_", "zeros", "zeros_",
]  # fmt: skip

NDArray = npt.NDArray[Any]
Shape = tuple[int, ...]
Init = Callable[[Shape, np.random.Generator, npt.DTypeLike], NDArray]
Rng = int | np.random.Generator | None
Filled = TypeVar("Filled", Tensor, npt.NDArray[Any])


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much weights are scaled up for what a nonlinearity takes away, as PyTorch has it.

    Parameters
    ----------
    nonlinearity : str
        ``"linear"``, ``"conv1d"`` ..., ``"sigmoid"``, ``"tanh"``, ``"relu"``, ``"leaky_relu"``,
        ``"selu"``.
    param : float, optional
        The negative slope of ``"leaky_relu"``, 0.01 by default.

    Examples
    --------
    >>> calculate_gain("leaky_relu", 1.0)
    1.0
    """
    slope = 0.01 if param is None else param
    gains = {
        **dict.fromkeys(("linear", "sigmoid"), 1.0),
        **{f"conv{of}{n}d": 1.0 for of in ("", "_transpose") for n in (1, 2, 3)},
        "tanh": 5 / 3,
        "relu": sqrt(2.0),
        "leaky_relu": sqrt(2.0 / (1 + slope * slope)),
        "selu": 3 / 4,
    }
    return look_up(nonlinearity, gains, "nonlinearity")


def normal(
    shape: Shape,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
    *,
    mean: float = 0.0,
    std: float = 1.0,
) -> NDArray:
    """Draw from the normal distribution.

    Examples
    --------
    >>> normal((2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """
    return (rng.standard_normal(shape) * std + mean).astype(dtype)


def uniform(
    shape: Shape,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
    *,
    low: float = 0.0,
    high: float = 1.0,
) -> NDArray:
    """Draw uniformly from ``low`` to ``high``."""
    return rng.uniform(low, high, shape).astype(dtype)


def constant(
    shape: Shape,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - the signature that all share
    dtype: npt.DTypeLike = np.float64,
    *,
    value: float,
) -> NDArray:
    """Set every element to ``value``."""
    return np.full(shape, value, dtype)


def zeros(
    shape: Shape, rng: np.random.Generator | None = None, dtype: npt.DTypeLike = np.float64
) -> NDArray:
    """Set every element to 0."""
    return constant(shape, rng, dtype, value=0.0)


def ones(
    shape: Shape, rng: np.random.Generator | None = None, dtype: npt.DTypeLike = np.float64
) -> NDArray:
    """Set every element to 1."""
    return constant(shape, rng, dtype, value=1.0)


def xavier_uniform(
    shape: Shape, rng: np.random.Generator, dtype: npt.DTypeLike = np.float64, *, gain: float = 1.0
) -> NDArray:
    """Draw uniformly from plus or minus ``gain * sqrt(6 / (inputs + outputs))`` (Glorot, 2010)."""
    bound = gain * sqrt(6.0 / max(1, sum(fans(shape))))
    return uniform(shape, rng, dtype, low=-bound, high=bound)


def xavier_normal(
    shape: Shape, rng: np.random.Generator, dtype: npt.DTypeLike = np.float64, *, gain: float = 1.0
) -> NDArray:
    """Draw from the normal distribution of variance ``gain² * 2 / (inputs + outputs)``."""
    return normal(shape, rng, dtype, std=gain * sqrt(2.0 / max(1, sum(fans(shape)))))


def kaiming_uniform(
    shape: Shape,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
    *,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
) -> NDArray:
    """Draw uniformly from plus or minus ``gain * sqrt(3 / fan)`` (He, 2015).

    ``fan`` is how many inputs each output has or, with ``mode="fan_out"``, how many outputs each
    input; the gain is that of the nonlinearity, of which ``a`` is the negative slope.  With
    ``a = sqrt(5)`` the bound is ``1 / sqrt(inputs)``, the default of PyTorch's layers.
    """
    bound = sqrt(3.0) * _kaiming_std(shape, a, mode, nonlinearity)
    return uniform(shape, rng, dtype, low=-bound, high=bound)


def kaiming_normal(
    shape: Shape,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
    *,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
) -> NDArray:
    """Draw from the normal distribution of variance ``gain² / fan``: see `kaiming_uniform`."""
    return normal(shape, rng, dtype, std=_kaiming_std(shape, a, mode, nonlinearity))


def _kaiming_std(shape: Shape, a: float, mode: str, nonlinearity: str) -> float:
    fan = look_up(mode, dict(zip(("fan_in", "fan_out"), fans(shape), strict=True)), "mode")
    return calculate_gain(nonlinearity, a) / sqrt(max(1, fan))


def trunc_normal(
    shape: Shape,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
) -> NDArray:
    """Draw from the normal distribution, but only numbers from ``a`` to ``b``.

    By rejection: of normal numbers or, for a narrow interval, of uniform ones.

    Raises
    ------
    ValueError
        There is no such number, or hardly one.
    """
    low, high = (a - mean) / std, (b - mean) / std
    is_narrow = high - low < 2
    if not low < high or (not is_narrow and (low > 4 or high < -4)):
        raise ValueError(
            f"no normal numbers of mean {mean} and std {std} to draw from {a} to {b}: it is empty, "
            "or more than four std away"
        )
    nearest = min(max(low, 0.0), high)
    values = np.empty(prod(shape))
    missing = np.arange(values.size)
    while missing.size:
        if is_narrow:
            drawn = rng.uniform(low, high, missing.size)
            taken = rng.random(missing.size) < np.exp((nearest**2 - drawn**2) / 2)
        else:
            drawn = rng.standard_normal(missing.size)
            taken = (low <= drawn) & (drawn <= high)
        values[missing[taken]] = drawn[taken]
        missing = missing[~taken]
    return (values.reshape(shape) * std + mean).clip(a, b).astype(dtype)


def orthogonal(
    shape: Shape, rng: np.random.Generator, dtype: npt.DTypeLike = np.float64, *, gain: float = 1.0
) -> NDArray:
    """Draw a matrix (out, the rest) whose rows, or columns, are orthonormal (Saxe, 2013)."""
    if len(shape) < 2:
        raise ValueError(f"a weight has two axes or more, (out, in, ...), not shape {shape}")
    rows, columns = shape[0], prod(shape[1:])
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # so that each is as likely as any other
    return (gain * (q if rows >= columns else q.T)).reshape(shape).astype(dtype)


def sparse(
    shape: Shape,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
    *,
    sparsity: float,
    std: float = 0.01,
) -> NDArray:
    """Draw a normal matrix, and set a fraction of each column to 0 (Martens, 2010)."""
    if len(shape) != 2:
        raise ValueError(f"sparse values are for a matrix, not shape {shape}")
    rank = rng.permuted(np.indices(shape)[0], axis=0)
    values = normal(shape, rng, dtype, std=std)
    return np.where(rank < ceil(sparsity * shape[0]), values.dtype.type(0), values)


def eye(
    shape: Shape,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - the signature that all share
    dtype: npt.DTypeLike = np.float64,
) -> NDArray:
    """Set a matrix to 1 on its diagonal, and to 0 elsewhere."""
    if len(shape) != 2:
        raise ValueError(f"the identity is a matrix, not shape {shape}")
    return np.eye(*shape, dtype=dtype)


def dirac(
    shape: Shape,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - the signature that all share
    dtype: npt.DTypeLike = np.float64,
    *,
    groups: int = 1,
) -> NDArray:
    """Set a convolution's weight so that it passes its input channels on, as far as there are."""
    if not 3 <= len(shape) <= 5:
        raise ValueError(f"dirac is for the weight of a convolution, not shape {shape}")
    if shape[0] % groups:
        raise ValueError(f"groups={groups} must divide the {shape[0]} output channels")
    values = np.zeros(shape, dtype)
    out = shape[0] // groups
    centre = tuple(size // 2 for size in shape[2:])
    for group in range(groups):
        for channel in range(min(out, shape[1])):
            values[(group * out + channel, channel, *centre)] = 1
    return values


def fans(shape: Shape) -> tuple[int, int]:
    """How many inputs each output has, and how many outputs each input.

    Examples
    --------
    >>> fans((8, 3, 5, 5))
    (75, 200)
    """
    if len(shape) < 2:
        raise ValueError(f"a weight has two axes or more, (out, in, ...), not shape {shape}")
    elements = prod(shape[2:])
    return shape[1] * elements, shape[0] * elements


INITIALISERS: dict[str, Init] = {
    "normal": normal,
    "uniform": uniform,
    "xavier_uniform": xavier_uniform,
    "xavier_normal": xavier_normal,
    "kaiming_uniform": kaiming_uniform,
    "kaiming_normal": kaiming_normal,
    "trunc_normal": trunc_normal,
    "orthogonal": orthogonal,
    "zeros": zeros,
    "ones": ones,
}


def initialiser(init: str | Init) -> Init:
    """Find an initialiser by name; a function is taken as it is.

    Raises
    ------
    ValueError
        There is none of this name; the text lists those there are.
    """
    return init if callable(init) else look_up(init, INITIALISERS, "initialisation")


# -- in place -------------------------------------------------------------------------------------


def _fill(tensor: Filled, init: Callable[..., NDArray], rng: Rng, **options: Any) -> Filled:
    """Give a parameter, a tensor or an array other values; recorded graphs keep the old ones."""
    if isinstance(tensor, Tensor):
        if not tensor.is_leaf:
            raise RuntimeError(
                f"{init.__name__}_ fills a parameter, and this tensor is the result of a "
                f"computation: {tensor!r}"
            )
        tensor.data = init(tensor.shape, np.random.default_rng(rng), tensor.dtype, **options)
    elif isinstance(tensor, np.ndarray):
        tensor[...] = init(tensor.shape, np.random.default_rng(rng), tensor.dtype, **options)
    else:
        raise TypeError(f"{init.__name__}_ fills a parameter or an array, not {describe(tensor)}")
    return tensor


def uniform_(tensor: Filled, a: float = 0.0, b: float = 1.0, rng: Rng = None) -> Filled:
    """Fill with :func:`uniform`, from ``a`` to ``b``.

    Examples
    --------
    >>> from tinygrad_lab import nn
    >>> layer = nn.Linear(2, 1)
    >>> _ = nn.init.uniform_(layer.weight, -1.0, 1.0, rng=0)
    >>> layer.weight
    Parameter([[ 0.27392337, -0.46042657]], requires_grad=True)
    """
    return _fill(tensor, uniform, rng, low=a, high=b)


def normal_(tensor: Filled, mean: float = 0.0, std: float = 1.0, rng: Rng = None) -> Filled:
    """Fill with :func:`normal`."""
    return _fill(tensor, normal, rng, mean=mean, std=std)


def trunc_normal_(
    tensor: Filled,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    rng: Rng = None,
) -> Filled:
    """Fill with :func:`trunc_normal`."""
    return _fill(tensor, trunc_normal, rng, mean=mean, std=std, a=a, b=b)


def constant_(tensor: Filled, val: float) -> Filled:
    """Fill with one number."""
    return _fill(tensor, constant, None, value=val)


def ones_(tensor: Filled) -> Filled:
    """Fill with 1."""
    return _fill(tensor, ones, None)


def zeros_(tensor: Filled) -> Filled:
    """Fill with 0."""
    return _fill(tensor, zeros, None)


def eye_(tensor: Filled) -> Filled:
    """Fill with :func:`eye`."""
    return _fill(tensor, eye, None)


def dirac_(tensor: Filled, groups: int = 1) -> Filled:
    """Fill with :func:`dirac`."""
    return _fill(tensor, dirac, None, groups=groups)


def xavier_uniform_(tensor: Filled, gain: float = 1.0, rng: Rng = None) -> Filled:
    """Fill with :func:`xavier_uniform`."""
    return _fill(tensor, xavier_uniform, rng, gain=gain)


def xavier_normal_(tensor: Filled, gain: float = 1.0, rng: Rng = None) -> Filled:
    """Fill with :func:`xavier_normal`."""
    return _fill(tensor, xavier_normal, rng, gain=gain)


def kaiming_uniform_(
    tensor: Filled,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    rng: Rng = None,
) -> Filled:
    """Fill with :func:`kaiming_uniform`."""
    return _fill(tensor, kaiming_uniform, rng, a=a, mode=mode, nonlinearity=nonlinearity)


def kaiming_normal_(
    tensor: Filled,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    rng: Rng = None,
) -> Filled:
    """Fill with :func:`kaiming_normal`."""
    return _fill(tensor, kaiming_normal, rng, a=a, mode=mode, nonlinearity=nonlinearity)


def orthogonal_(tensor: Filled, gain: float = 1, rng: Rng = None) -> Filled:
    """Fill with :func:`orthogonal`."""
    return _fill(tensor, orthogonal, rng, gain=gain)


def sparse_(tensor: Filled, sparsity: float, std: float = 0.01, rng: Rng = None) -> Filled:
    """Fill with :func:`sparse`."""
    return _fill(tensor, sparse, rng, sparsity=sparsity, std=std)
