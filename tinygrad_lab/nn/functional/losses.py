"""Losses of numbers, of probabilities and of distributions, as one number to minimise.

Names, arguments and conventions are PyTorch's.  Each takes ``reduction="mean"``, ``"sum"`` or
``"none"``.  Shapes must agree exactly: a prediction ``(n, 1)`` against a target ``(n,)`` would
broadcast to ``(n, n)`` and train on nonsense, so it is an error here; and so is the mean over no
samples, which is NaN in PyTorch.

Not for: classes (``classification.py``) or margins (``margins.py``).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.core.rules.mathematical.elementwise import logistic_density
from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.cautions import expect_logits
from tinygrad_lab.nn.functional.activations import damped, logsigmoid
from tinygrad_lab.nn.functional.reductions import (
    Reduction,
    alike,
    check_reduction,
    known,
    reduced,
    weighted_mean,
)

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "huber_loss",
    "kl_div", "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss",
]  # fmt: skip

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


# -- regression -------------------------------------------------------------------------------


@takes_arrays
def mse_loss(
    input: Array, target: Array, *, reduction: Reduction = "mean", weight: Array | None = None
) -> Array:
    """Squared error, averaged over all elements (``reduction``: mean, sum or none).

    ``input`` and ``target`` have one shape, and ``weight`` has it too; the result has no axes, or
    theirs with ``"none"``.  With weights the mean is a weighted one.

    Raises
    ------
    ValueError
        The shapes differ, or there is nothing to average.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> prediction = tl.tensor([1.0, 4.0], requires_grad=True)
    >>> loss = mse_loss(prediction, np.array([1.0, 2.0]))
    >>> loss.item()
    2.0
    >>> loss.backward()
    >>> prediction.grad
    array([0., 2.])
    """
    if weight is None:
        return _mse(input, target, reduction)
    return weighted_mean(_mse(input, target, "none"), weight, reduction)


@primitive
def _mse(input: Array, target: Array, reduction: str) -> Array:
    input, target = alike(input=input, target=target)
    difference = input - target
    return reduced(difference * difference, reduction)


def _mse_slope(g: Array, input: Array, target: Array, reduction: str) -> Array:
    scale = 2.0 / input.size if reduction == "mean" else 2.0
    return (g * scale) * (input - target)


defvjp(
    _mse,
    lambda g, y, input, target, reduction: _mse_slope(g, input, target, reduction),
    lambda g, y, input, target, reduction: _mse_slope(g, target, input, reduction),
)


@takes_arrays
def l1_loss(
    input: Array, target: Array, *, reduction: Reduction = "mean", weight: Array | None = None
) -> Array:
    """Absolute error, averaged over all elements; its slope at 0 is 0.

    Examples
    --------
    >>> import numpy as np
    >>> float(l1_loss(np.array([1.0, 4.0]), np.array([1.0, 2.0])))
    1.0
    """
    if weight is None:
        return _l1(input, target, reduction)
    return weighted_mean(_l1(input, target, "none"), weight, reduction)


@primitive
def _l1(input: Array, target: Array, reduction: str) -> Array:
    input, target = alike(input=input, target=target)
    return reduced(np.absolute(input - target), reduction)


def _l1_slope(g: Array, input: Array, target: Array, reduction: str) -> Array:
    scale = 1.0 / input.size if reduction == "mean" else 1.0
    return (g * scale) * np.sign(input - target)


defvjp(
    _l1,
    lambda g, y, input, target, reduction: _l1_slope(g, input, target, reduction),
    lambda g, y, input, target, reduction: _l1_slope(g, target, input, reduction),
    branch=lambda y, input, target, reduction: np.sign(input - target),
)
_mse.__name__, _l1.__name__ = "mse_loss", "l1_loss"  # what graph pictures and errors call them


@takes_arrays
def huber_loss(
    input: Array,
    target: Array,
    reduction: Reduction = "mean",
    delta: float = 1.0,
    weight: Array | None = None,
) -> Array:
    """Half the squared error, which from ``delta`` on goes on in a straight line.

    Raises
    ------
    ValueError
        ``delta`` is not positive, or the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> huber_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])
    """
    if not delta > 0:
        raise ValueError(f"huber_loss delta={delta}: expected a positive number")
    input, target = alike(input=input, target=target)
    if weight is not None:
        alike(input=input, weight=weight)
    return reduced(_huber(input - target, delta), reduction, weight)


@primitive
def _huber(difference: Array, delta: float) -> Array:
    size = np.absolute(difference)
    near = np.minimum(size, delta)
    return near * (size - near / 2)


defvjp(
    _huber,
    lambda g, y, difference, delta: g * np.clip(difference, -delta, delta),
    branch=lambda y, difference, delta: np.sign(np.absolute(difference) - delta),
)


@takes_arrays
def smooth_l1_loss(
    input: Array, target: Array, *, reduction: Reduction = "mean", beta: float = 1.0
) -> Array:
    """Absolute error, less ``beta / 2``, and smooth where it is below ``beta``.

    It is :func:`huber_loss` over ``beta``; where that is 0, :func:`l1_loss`.

    Raises
    ------
    ValueError
        ``beta`` is negative, or the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> smooth_l1_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])
    """
    if beta < 0:
        raise ValueError(f"smooth_l1_loss beta={beta}: expected 0 or more")
    input, target = alike(input=input, target=target)
    if beta == 0:
        return _l1(input, target, reduction)
    return reduced(_huber(input - target, beta) / beta, reduction)


# -- yes or no --------------------------------------------------------------------------------

# Logarithms of probabilities are taken as at least -100, as in PyTorch: a certain prediction that
# is wrong costs 100, not infinity, and the slope there is 1e12.
_LEAST_LOGARITHM = -100.0
_LEAST_DIVISOR = 1e-12


@primitive
def _bernoulli_loss(p: Array, target: Array) -> Array:
    """Cross-entropy of each element."""
    return -(target * _log(p) + (1 - target) * _log_of_rest(p))


def _log(p: Array) -> Array:
    logarithm = np.log(np.where(p == 0, 1, p))
    return np.where(p == 0, _LEAST_LOGARITHM, np.maximum(logarithm, _LEAST_LOGARITHM))


def _log_of_rest(p: Array) -> Array:
    """log(1 - p), also where 1 - p rounds to 1."""
    return np.where(p == 1, _LEAST_LOGARITHM, np.log1p(-np.where(p == 1, 0, p)))


@primitive
def _bernoulli_slope(p: Array, target: Array) -> Array:
    """The slope of the loss by the probability."""
    spread = p * (1 - p)
    certain = spread == 0
    miss, hit = np.maximum(1 - p, _LEAST_DIVISOR), np.maximum(p, _LEAST_DIVISOR)
    at_ends = (1 - target) / miss - target / hit
    return np.where(certain, at_ends, (p - target) / np.where(certain, 1, spread))


def _bernoulli_curvature(p: Array, target: Array) -> Array:
    """``target / p**2 + (1 - target) / (1 - p)**2``, each 0 where the loss is cut off."""
    return _over_square(target, p) + _over_square(1 - target, 1 - p)


def _over_square(share: Array, p: Array) -> Array:
    is_none = (share == 0) | (p == 0)
    return np.where(is_none, 0, share) / np.square(np.where(is_none, 1, p))


def _certainty(p: Array) -> Array:
    return 1 / np.maximum(1 - p, _LEAST_DIVISOR) + 1 / np.maximum(p, _LEAST_DIVISOR)


defvjp(
    _bernoulli_slope,
    lambda g, y, p, target: g * _bernoulli_curvature(p, target),
    lambda g, y, p, target: -g * _certainty(p),
)
defvjp(
    _bernoulli_loss,
    lambda g, y, p, target: g * _bernoulli_slope(p, target),
    lambda g, y, p, target: g * (_log_of_rest(p) - _log(p)),
)


@takes_arrays
def binary_cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    *,
    reduction: Reduction = "mean",
) -> Array:
    """Cross-entropy of probabilities ``input`` against ``target``, both in [0, 1], of one shape.

    Logarithms are taken as -100 at least.  From logits, use
    :func:`binary_cross_entropy_with_logits`: it is exact where a probability rounds to 0 or 1.

    Raises
    ------
    ValueError
        The shapes differ, or ``input`` or ``target`` leaves [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> round(float(binary_cross_entropy(np.array([0.5, 0.9]), np.array([0.0, 1.0]))), 4)
    0.3993
    """
    input, target = alike(input=input, target=target)
    _check_probabilities(input, "input", "apply sigmoid first, or say ..._with_logits")
    _check_probabilities(target, "target", "it is how likely a yes is")
    loss = _bernoulli_loss(input, target)
    return reduced(loss, reduction, weight)


def _check_probabilities(x: Array, name: str, remedy: str) -> None:
    values = known(x)
    if values is not None and ((values < 0) | (values > 1)).any():
        raise ValueError(
            f"binary_cross_entropy takes probabilities, but {name} spans {values.min()} to "
            f"{values.max()}: {remedy}"
        )


@primitive
def logistic_loss(x: Array, target: Array) -> Array:
    """Cross-entropy of ``sigmoid(x)``, exact for logits of any size."""
    size = np.absolute(x)
    return damped(size, np.where(x < 0, target, 1 - target)) + np.log1p(np.exp(-size))


@primitive
def _logistic_slope(x: Array, target: Array) -> Array:
    """``sigmoid(x) - target``, without its cancellation where that is near 0."""
    e, miss = np.exp(-np.absolute(x)), 1 - target
    return np.where(x < 0, miss * e - target, miss - target * e) / (1 + e)


defvjp(
    _logistic_slope,
    lambda g, y, x, target: g * logistic_density(x),
    lambda g, y, x, target: -g,
)
defvjp(
    logistic_loss,
    lambda g, y, x, target: g * _logistic_slope(x, target),
    lambda g, y, x, target: -g * x,
)


@takes_arrays
def binary_cross_entropy_with_logits(
    input: Array,
    target: Array,
    weight: Array | None = None,
    *,
    reduction: Reduction = "mean",
    pos_weight: Array | None = None,
) -> Array:
    """Cross-entropy of ``sigmoid(input)`` against ``target`` in [0, 1], of one shape.

    ``pos_weight`` multiplies the loss of the positive part, ``weight`` the loss of each element.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(binary_cross_entropy_with_logits(np.array([0.0]), np.array([1.0]))), 4)
    0.6931
    """
    expect_logits(input, "binary_cross_entropy_with_logits", "sigmoid")
    input, target = alike(input=input, target=target)
    if pos_weight is None:
        loss = logistic_loss(input, target)
    else:
        hit, miss = target * pos_weight, 1 - target
        loss = damped(-logsigmoid(input), hit) + damped(-logsigmoid(-input), miss)
    return reduced(loss, reduction, weight)


# -- distributions ----------------------------------------------------------------------------


@takes_arrays
def kl_div(
    input: Array,
    target: Array,
    *,
    reduction: Literal["mean", "batchmean", "sum", "none"] = "mean",
    log_target: bool = False,
) -> Array:
    """Kullback-Leibler divergence of ``target`` from ``exp(input)``: logarithms against shares.

    ``target * (log(target) - input)`` of each element, where 0 times a logarithm is 0.  With
    ``log_target`` the target holds logarithms too.  ``"mean"`` divides by the number of elements,
    as in PyTorch; the divergence itself, averaged over the samples of axis 0, is ``"batchmean"``.

    Examples
    --------
    >>> import numpy as np
    >>> log_p, q = np.log(np.array([[0.5, 0.5]])), np.array([[1.0, 0.0]])
    >>> round(float(kl_div(log_p, q, reduction="batchmean")), 4)
    0.6931
    """
    check_reduction(reduction, "batchmean")
    input, target = alike(input=input, target=target)
    if log_target:
        loss = np.exp(target) * (target - input)
    else:
        loss = target * np.log(np.where(target == 0, 1, target)) - target * input
    if reduction != "batchmean":
        return reduced(loss, reduction)
    return loss.sum() / (len(loss) if loss.ndim else 1)


@takes_arrays
def poisson_nll_loss(
    input: Array,
    target: Array,
    log_input: bool = True,
    full: bool = False,
    *,
    eps: float = 1e-8,
    reduction: Reduction = "mean",
) -> Array:
    """How unlikely counts are, if they are Poisson's: ``exp(input) - target * input``.

    ``input`` is the logarithm of the expected count; without ``log_input`` it is the count itself,
    and ``eps`` keeps its logarithm finite.  ``full`` adds Stirling's approximation of
    ``log(target!)`` where ``target`` is above 1.

    Examples
    --------
    >>> import numpy as np
    >>> float(poisson_nll_loss(np.array([0.0]), np.array([2.0])))
    1.0
    """
    input, target = alike(input=input, target=target)
    logarithm = input if log_input else np.log(input + eps)
    loss = (np.exp(input) if log_input else input) - target * logarithm
    if full:
        n = np.where(target > 1, target, 1)
        stirling = n * np.log(n) - n + 0.5 * np.log(2 * np.pi * n)
        loss = loss + np.where(target > 1, stirling, 0)
    return reduced(loss, reduction)


@takes_arrays
def gaussian_nll_loss(
    input: Array,
    target: Array,
    var: Array,
    full: bool = False,
    eps: float = 1e-6,
    reduction: Reduction = "mean",
) -> Array:
    """How unlikely ``target`` is, if it is normal with mean ``input`` and variance ``var``.

    ``var`` is a number, or has the shape of ``input``, or that without its last axis, or with 1
    there.  It is taken as at least ``eps``, with the gradient it would have at that.  ``full`` adds
    the constant ``log(2 pi) / 2``.

    Raises
    ------
    ValueError
        The shapes do not fit, or a variance is negative.

    Examples
    --------
    >>> import numpy as np
    >>> float(gaussian_nll_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])))
    2.0
    """
    input, target = alike(input=input, target=target)
    if var.ndim and var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = np.expand_dims(var, -1)
        elif var.shape != (*input.shape[:-1], 1):
            raise ValueError(
                f"gaussian_nll_loss: var {var.shape} for an input {input.shape}: expected its "
                f"shape, or {input.shape[:-1]}, or {(*input.shape[:-1], 1)}, or a number"
            )
    values = known(var)
    if values is not None and (values < 0).any():
        raise ValueError(
            f"gaussian_nll_loss: a variance of {values.min()}; say var=np.exp(...), or square it"
        )
    var = _at_least(var, eps)
    loss = 0.5 * (np.log(var) + np.square(input - target) / var)
    return reduced(loss + 0.9189385332046727 if full else loss, reduction)


@primitive
def _at_least(x: Array, low: float) -> Array:
    return np.maximum(x, low)


defvjp(_at_least, lambda g, y, x, low: g)
