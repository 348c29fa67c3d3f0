"""Activation functions: of each element, or gates of half of them.

Each is composed of NumPy's functions, or one operation with a rule of its own where that makes the
graph smaller or the result right at the limits.  Conventions at kinks are PyTorch's: the slope of
``relu`` at 0 is 0.  ``inplace=`` is accepted, and without effect: tensors are values.

Not for: ``softmax`` and its relatives (``softmaxes.py``), layers (``layers/``) or losses
(``losses.py``).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.core.rules.mathematical.elementwise import sigmoid
from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.functional.dropouts import _generator
from tinygrad_lab.nn.functional.gaussian import FAR, normal_cdf, normal_density

__all__ = [
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "leaky_relu", "logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "selu", "sigmoid",
    "silu", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
]  # fmt: skip

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


# -- saturating -------------------------------------------------------------------------------


@takes_arrays
def logsigmoid(input: Array) -> Array:
    """The logarithm of :func:`sigmoid`, exact where that rounds to 0 or 1.

    Examples
    --------
    >>> import numpy as np
    >>> logsigmoid(np.array([-1000.0, 0.0])).round(4)
    array([-1.000e+03, -6.931e-01])
    """
    return -softplus(-input, 1.0, np.inf)


@takes_arrays
def tanh(input: Array) -> Array:
    """The hyperbolic tangent: NumPy's own."""
    return np.tanh(input)


@primitive
@takes_arrays
def tanhshrink(input: Array) -> Array:
    """``input - tanh(input)``, without its cancellation near 0.

    Examples
    --------
    >>> import numpy as np
    >>> tanhshrink(np.array([0.0, 1e-4, 2.0]))
    array([0.00000000e+00, 3.33333332e-13, 1.03597242e+00])
    """
    near = np.fabs(input) < 1
    x = np.where(near, input, 0)
    # Lambert's continued fraction: tanh(x) = x / (1 + square / (3 + square / (5 + ...))).
    square: Array = x * x
    rest: Array = 1.0
    for odd in range(19, 1, -2):
        rest = odd + square / rest
    part = square / rest
    return np.where(near, x * part / (1 + part), input - np.tanh(input))


defvjp(tanhshrink, lambda g, y, x: g * np.square(np.tanh(x)))


@primitive
@takes_arrays
def softsign(input: Array) -> Array:
    """``input / (1 + abs(input))``, between -1 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> softsign(np.array([-1.0, 0.0, np.inf]))
    array([-0.5,  0. ,  1. ])
    """
    far = np.isinf(input)
    return np.where(far, np.sign(input), input) / np.where(far, 1, 1 + np.fabs(input))


defvjp(
    softsign,
    lambda g, y, x: g * np.square(1 / (1 + np.absolute(x))),
    branch=lambda y, x: np.sign(x),  # where the second derivative jumps
)


@primitive
@takes_arrays
def hardtanh(
    input: Array, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Array:
    """``input``, but at least ``min_val`` and at most ``max_val``; the slope there is 0.

    Raises
    ------
    ValueError
        ``min_val`` is above ``max_val``.

    Examples
    --------
    >>> import numpy as np
    >>> hardtanh(np.array([-2.0, 0.5, 2.0]))
    array([-1. ,  0.5,  1. ])
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val={min_val} is above max_val={max_val}")
    return np.minimum(np.maximum(input, min_val), max_val)


def _outside(x: Array, min_val: float, max_val: float) -> Array:
    return (x <= min_val) | (x >= max_val)


defvjp(
    hardtanh,
    lambda g, y, x, min_val=-1.0, max_val=1.0, inplace=False: np.where(
        _outside(x, min_val, max_val), 0, g
    ),
    branch=lambda y, x, min_val=-1.0, max_val=1.0, inplace=False: (
        np.sign(x - min_val) + np.sign(x - max_val)
    ),
)


@takes_arrays
def relu6(input: Array, inplace: bool = False) -> Array:
    """``min(max(input, 0), 6)``; the slope at 0 and 6 is 0.

    Examples
    --------
    >>> import numpy as np
    >>> relu6(np.array([-1.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """
    return hardtanh(input, 0.0, 6.0)


@takes_arrays
def hardsigmoid(input: Array, inplace: bool = False) -> Array:
    """``relu6(input + 3) / 6``: a sigmoid of three straight pieces.

    Examples
    --------
    >>> import numpy as np
    >>> hardsigmoid(np.array([-4.0, 0.0, 1.5]))
    array([0.  , 0.5 , 0.75])
    """
    return hardtanh(input + 3, 0.0, 6.0) / 6


# -- rectifiers -------------------------------------------------------------------------------


@primitive
@takes_arrays
def relu(input: Array, inplace: bool = False) -> Array:
    """``max(input, 0)``.

    Examples
    --------
    >>> import numpy as np
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return np.maximum(input, 0)


defvjp(
    relu,
    lambda g, y, x, inplace=False: g * np.sign(y),
    branch=lambda y, x, inplace=False: np.sign(x),
)


@primitive
@takes_arrays
def leaky_relu(input: Array, negative_slope: Array = 0.01, inplace: bool = False) -> Array:
    """``input`` where it is positive, ``negative_slope * input`` elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> leaky_relu(np.array([-1.0, 2.0]), 0.1)
    array([-0.1,  2. ])
    """
    return np.where(input > 0, input, input * negative_slope)


defvjp(
    leaky_relu,
    lambda g, y, x, negative_slope=0.01, inplace=False: np.where(x > 0, g, g * negative_slope),
    lambda g, y, x, negative_slope=0.01, inplace=False: g * np.where(x > 0, 0, x),
    branch=lambda y, x, negative_slope=0.01, inplace=False: np.sign(x),
)


@takes_arrays
def prelu(input: Array, weight: Array) -> Array:
    """:func:`leaky_relu` with a slope to learn: one, or one for each channel (axis 1).

    Raises
    ------
    ValueError
        ``weight`` has neither one element nor one for each channel.

    Examples
    --------
    >>> import numpy as np
    >>> prelu(np.array([[-1.0, -1.0]]), np.array([0.5, 0.25]))
    array([[-0.5 , -0.25]])
    """
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise ValueError(
            f"prelu: weight of shape {weight.shape} for an input of shape {input.shape}: expected "
            f"one slope, or one for each of {channels} channels"
        )
    return leaky_relu(input, weight.reshape((-1, *(1,) * (input.ndim - 2))))


@takes_arrays
def rrelu(
    input: Array,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
    *,
    rng: int | np.random.Generator | None = None,
) -> Array:
    """:func:`leaky_relu` with a slope that is drawn for each element in training.

    It is drawn evenly from ``lower`` to ``upper``, and their mean outside training.

    Raises
    ------
    ValueError
        ``lower`` is above ``upper``.

    Examples
    --------
    >>> import numpy as np
    >>> rrelu(np.array([-1.0, 2.0]), 0.25, 0.75)
    array([-0.5,  2. ])
    """
    if lower > upper:
        raise ValueError(f"rrelu: lower={lower} is above upper={upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    slopes = lower + (upper - lower) * _generator(rng).random(input.shape)
    return leaky_relu(input, slopes.astype(input.dtype))


@takes_arrays
def threshold(input: Array, threshold: float, value: float, inplace: bool = False) -> Array:
    """``input`` where it is above ``threshold``, and ``value`` elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab.nn import functional as F
    >>> F.threshold(np.array([0.0, 1.0]), 0.5, -1.0)
    array([-1.,  1.])
    """
    return np.where(input <= threshold, value, input)


@takes_arrays
def hardshrink(input: Array, lambd: float = 0.5) -> Array:
    """``input``, but 0 from ``-lambd`` to ``lambd``.

    Examples
    --------
    >>> import numpy as np
    >>> hardshrink(np.array([-1.0, 0.2]))
    array([-1.,  0.])
    """
    return np.where((input >= -lambd) & (input <= lambd), 0, input)


@takes_arrays
def softshrink(input: Array, lambd: float = 0.5) -> Array:
    """``input`` moved towards 0 by ``lambd``, and 0 where it is no further away.

    Raises
    ------
    ValueError
        ``lambd`` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> softshrink(np.array([-1.0, 0.2]))
    array([-0.5,  0. ])
    """
    if lambd < 0:
        raise ValueError(f"softshrink lambd={lambd}: expected 0 or more")
    moved = input - np.sign(input) * lambd
    return np.where((input >= -lambd) & (input <= lambd), 0, moved)


# -- smooth rectifiers ------------------------------------------------------------------------


@primitive
@takes_arrays
def elu(input: Array, alpha: float = 1.0, inplace: bool = False) -> Array:
    """``input`` where it is positive, ``alpha * (exp(input) - 1)`` elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> elu(np.array([-1.0, 2.0])).round(4)
    array([-0.6321,  2.    ])
    """
    return np.where(input > 0, input, alpha * np.expm1(np.minimum(input, 0)))


def _elu_slope(g: Array, x: Array, alpha: float) -> Array:
    return np.where(x > 0, g, g * (alpha * np.exp(np.where(x > 0, 0, x))))


defvjp(
    elu,
    lambda g, y, x, alpha=1.0, inplace=False: _elu_slope(g, x, alpha),
    branch=lambda y, x, alpha=1.0, inplace=False: np.sign(x),
)


@takes_arrays
def celu(input: Array, alpha: float = 1.0, inplace: bool = False) -> Array:
    """``input`` where it is positive, ``alpha * (exp(input / alpha) - 1)`` elsewhere.

    Raises
    ------
    ValueError
        ``alpha`` is 0.

    Examples
    --------
    >>> import numpy as np
    >>> celu(np.array([-2.0, 2.0]), 2.0).round(4)
    array([-1.2642,  2.    ])
    """
    if alpha == 0:
        raise ValueError("celu alpha=0: it divides by alpha; relu is what it tends to")
    negative = np.where(input > 0, 0, input)
    return np.where(input > 0, input, alpha * np.expm1(negative / alpha))


@takes_arrays
def selu(input: Array, inplace: bool = False) -> Array:
    """:func:`elu` scaled so that mean 0 and variance 1 pass through layers unchanged.

    The numbers are those of Klambauer et al., Self-Normalizing Neural Networks (2017).

    Examples
    --------
    >>> import numpy as np
    >>> selu(np.array([-1.0, 1.0])).round(4)
    array([-1.1113,  1.0507])
    """
    return elu(input, 1.6732632423543772) * 1.0507009873554805


def decay(x: Array) -> Array:
    """exp(-|x|); of complex numbers, which this is not meant for, NumPy refuses it."""
    return np.exp(np.copysign(x, -1))


@primitive
@takes_arrays
def softplus(input: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """``log(1 + exp(beta * input)) / beta``, a smooth ``relu``.

    Where ``beta * input`` is above ``threshold``, it is ``input`` itself, as in PyTorch; with
    ``threshold=np.inf`` it is exact everywhere.

    Examples
    --------
    >>> import numpy as np
    >>> softplus(np.array([0.0, 10.0])).round(4)
    array([ 0.6931, 10.    ])
    """
    z = input * beta
    return np.where(z > threshold, input, (np.maximum(z, 0) + np.log1p(decay(z))) / beta)


def _softplus_slope(x: Array, beta: float, threshold: float) -> Array:
    z = x * beta
    return np.where(z > threshold, 1, sigmoid(z))


defvjp(
    softplus,
    lambda g, y, x, beta=1.0, threshold=20.0: g * _softplus_slope(x, beta, threshold),
)


@primitive
@takes_arrays
def silu(input: Array, inplace: bool = False) -> Array:
    """``input * sigmoid(input)``, also called swish.

    Examples
    --------
    >>> import numpy as np
    >>> silu(np.array([0.0, 10.0])).round(4)
    array([0.    , 9.9995])
    """
    root = np.exp(np.minimum(input, 0) / 2)  # where exp(x) would be subnormal, it is not
    return damped(input, root) * (root / (1 + decay(input)))


def _silu_slope(x: Array) -> Array:
    return sigmoid(x) + damped(silu(x), sigmoid(-x))


defvjp(silu, lambda g, y, x, inplace=False: g * _silu_slope(x))


def damped(x: Array, weight: Array) -> Array:
    """``x * weight``, where a weight of 0 wins against infinity."""
    return np.where((weight == 0) & np.isinf(x), 0, x) * weight


@primitive
@takes_arrays
def mish(input: Array, inplace: bool = False) -> Array:
    """``input * tanh(log(1 + exp(input)))``.

    Examples
    --------
    >>> import numpy as np
    >>> mish(np.array([-1.0, 1.0])).round(4)
    array([-0.3034,  0.8651])
    """
    d, right = decay(input), input > 0  # exp(x), or what it divides 1 by
    top = np.where(right, 1 + 2 * d, 2 + d)
    whole = np.where(right, 1 + 2 * d + 2 * d * d, 2 + 2 * d + d * d)
    root = np.exp(np.minimum(input, 0) / 2)
    return damped(input, root) * (root * (top / whole))


def _mish_slope(x: Array) -> Array:
    rest = np.square(sigmoid(-x))  # exp(-2 softplus(x)), of which tanh² falls short of 1
    steepness = 4 * rest / np.square(1 + rest)
    return np.tanh(softplus(x, 1.0, np.inf)) + silu(np.minimum(x, FAR)) * steepness


defvjp(mish, lambda g, y, x, inplace=False: g * _mish_slope(x))


@takes_arrays
def gelu(input: Array, approximate: Literal["none", "tanh"] = "none") -> Array:
    """``input`` times the probability that a standard normal number is below it.

    ``approximate="tanh"`` takes the formula with tanh that is near it.

    Raises
    ------
    ValueError
        Any other ``approximate``.

    Examples
    --------
    >>> import numpy as np
    >>> gelu(np.array([-1.0, 1.0])).round(4)
    array([-0.1587,  0.8413])
    >>> gelu(np.array([-1.0, 1.0]), approximate="tanh").round(4)
    array([-0.1588,  0.8412])
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu(approximate={approximate!r}): expected 'none' or 'tanh'")
    return _gelu(input) if approximate == "none" else _gelu_tanh(input)


@primitive
def _gelu(x: Array) -> Array:
    return damped(x, normal_cdf(x))


def _gelu_slope(x: Array) -> Array:
    return normal_cdf(x) + np.clip(x, -FAR, FAR) * normal_density(x)


defvjp(_gelu, lambda g, y, x: g * _gelu_slope(x))


@primitive
def _gelu_tanh(x: Array) -> Array:
    # 0.5 * (1 + tanh(u)) is sigmoid(2u), which keeps its precision for very negative x.
    return damped(x, sigmoid(_twice_u(x)))


def _twice_u(x: Array) -> Array:
    x = np.clip(x, -FAR, FAR)
    return x * (1 + 0.044715 * x * x) * _GELU_SCALE


def _gelu_tanh_slope(x: Array) -> Array:
    v = _twice_u(x)
    s = sigmoid(v)
    x = np.clip(x, -FAR, FAR)
    return s + x * (s * sigmoid(-v)) * (1 + 3 * 0.044715 * x * x) * _GELU_SCALE


defvjp(_gelu_tanh, lambda g, y, x: g * _gelu_tanh_slope(x))
_gelu.__name__ = _gelu_tanh.__name__ = "gelu"  # what graph pictures and errors call them
_GELU_SCALE = 1.5957691216057308  # 2 * sqrt(2 / pi)


# -- gates ------------------------------------------------------------------------------------


@takes_arrays
def hardswish(input: Array, inplace: bool = False) -> Array:
    """``input * hardsigmoid(input)``.

    Examples
    --------
    >>> import numpy as np
    >>> hardswish(np.array([-4.0, 1.5, 4.0]))
    array([-0.   ,  1.125,  4.   ])
    """
    return damped(input, hardsigmoid(input))


@takes_arrays
def glu(input: Array, dim: int = -1) -> Array:
    """The first half of ``input`` along ``dim``, times the sigmoid of the second half.

    Raises
    ------
    ValueError
        The length along ``dim`` is odd, or there is no such axis.

    Examples
    --------
    >>> import numpy as np
    >>> glu(np.array([2.0, 0.0]))
    array([1.])
    """
    dim = normalize_axis_index(dim, input.ndim)
    if input.shape[dim] % 2:
        raise ValueError(f"glu of shape {input.shape} halves axis {dim}, whose length must be even")
    before, half = (slice(None),) * dim, input.shape[dim] // 2
    return input[(*before, slice(half))] * sigmoid(input[(*before, slice(half, None))])
