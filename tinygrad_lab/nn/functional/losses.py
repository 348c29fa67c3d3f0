"""Loss functions: how far a prediction is from the truth, as one number to minimise.

Names, arguments and conventions are PyTorch's.  Each takes ``reduction="mean"``, ``"sum"`` or
``"none"``.  Shapes must agree exactly: a prediction ``(n, 1)`` against a target ``(n,)`` would
broadcast to ``(n, n)`` and train on nonsense, so it is an error here.

Not for: activations (``activations.py``).
"""

from __future__ import annotations

from operator import index
from typing import Any, Literal

import numpy as np

from tinygrad_lab.core.levels import innermost_array
from tinygrad_lab.core.operations import NUMPYS, defvjp, primitive
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.cautions import expect_log_probabilities, expect_logits
from tinygrad_lab.nn.functional.activations import damped, logsigmoid, sigmoid
from tinygrad_lab.nn.functional.softmaxes import log_softmax, softmax
from tinygrad_lab.nn.kernels.windows import Array

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "l1_loss",
    "mse_loss",
    "nll_loss",
]

Reduction = Literal["mean", "sum", "none"]


# -- regression -------------------------------------------------------------------------------


@primitive
@takes_arrays
def mse_loss(input: Array, target: Array, reduction: Reduction = "mean") -> Array:
    """Squared error, averaged over all elements (``reduction``: mean, sum or none).

    ``input`` and ``target`` have one shape; the result has no axes, or theirs with ``"none"``.

    Raises
    ------
    ValueError
        The shapes differ, or there is nothing to average.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> prediction = tl.tensor([1.0, 4.0], requires_grad=True)
    >>> loss = mse_loss(prediction, np.array([1.0, 2.0]))
    >>> loss.item()
    2.0
    >>> loss.backward()
    >>> prediction.grad
    array([0., 2.])
    """
    _check_shapes(input, target)
    difference = input - target
    return _reduce(difference * difference, reduction)


def _mse_slope(g: Array, input: Array, target: Array, reduction: Reduction) -> Array:
    scale = 2.0 / input.size if reduction == "mean" else 2.0
    return (g * scale) * (input - target)


defvjp(
    mse_loss,
    lambda g, y, input, target, reduction="mean": _mse_slope(g, input, target, reduction),
    lambda g, y, input, target, reduction="mean": _mse_slope(g, target, input, reduction),
)


@primitive
@takes_arrays
def l1_loss(input: Array, target: Array, reduction: Reduction = "mean") -> Array:
    """Absolute error, averaged over all elements; its slope at 0 is 0.

    Examples
    --------
    >>> float(l1_loss(np.array([1.0, 4.0]), np.array([1.0, 2.0])))
    1.0
    """
    _check_shapes(input, target)
    return _reduce(np.absolute(input - target), reduction)


def _l1_slope(g: Array, input: Array, target: Array, reduction: Reduction) -> Array:
    scale = 1.0 / input.size if reduction == "mean" else 1.0
    return (g * scale) * np.sign(input - target)


defvjp(
    l1_loss,
    lambda g, y, input, target, reduction="mean": _l1_slope(g, input, target, reduction),
    lambda g, y, input, target, reduction="mean": _l1_slope(g, target, input, reduction),
    branch=lambda y, input, target, reduction="mean": np.sign(input - target),
)


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


def _bernoulli_slope(p: Array, target: Array) -> Array:
    spread = p * (1 - p)
    certain = spread == 0
    miss, hit = np.maximum(1 - p, _LEAST_DIVISOR), np.maximum(p, _LEAST_DIVISOR)
    at_ends = (1 - target) / miss - target / hit
    return np.where(certain, at_ends, (p - target) / np.where(certain, 1, spread))


defvjp(
    _bernoulli_loss,
    lambda g, y, p, target: g * _bernoulli_slope(p, target),
    lambda g, y, p, target: g * (_log_of_rest(p) - _log(p)),
)


@takes_arrays
def binary_cross_entropy(
    input: Array, target: Array, weight: Array | None = None, reduction: Reduction = "mean"
) -> Array:
    """Cross-entropy of probabilities ``input`` against ``target``, both in [0, 1], of one shape.

    Logarithms are taken as -100 at least.  From logits, use
    :func:`binary_cross_entropy_with_logits`: it is exact where a probability rounds to 0 or 1.

    Raises
    ------
    ValueError
        The shapes differ, or ``input`` leaves [0, 1].

    Examples
    --------
    >>> round(float(binary_cross_entropy(np.array([0.5, 0.9]), np.array([0.0, 1.0]))), 4)
    0.3993
    """
    _check_shapes(input, target)
    values = innermost_array(input)
    if type(values) in NUMPYS and ((values < 0) | (values > 1)).any():
        raise ValueError(
            f"binary_cross_entropy takes probabilities, but input spans {values.min()} to "
            f"{values.max()}: apply sigmoid first, or say binary_cross_entropy_with_logits"
        )
    loss = _bernoulli_loss(input, target)
    return _reduce(loss if weight is None else loss * weight, reduction)


@primitive
def _logistic_loss(x: Array, target: Array) -> Array:
    """Cross-entropy of ``sigmoid(x)``, exact for logits of any size."""
    size = np.absolute(x)
    return damped(size, np.where(x < 0, target, 1 - target)) + np.log1p(np.exp(-size))


defvjp(
    _logistic_loss,
    lambda g, y, x, target: g * ((1 - target) * sigmoid(x) - target * sigmoid(-x)),
    lambda g, y, x, target: -g * x,
)


@takes_arrays
def binary_cross_entropy_with_logits(
    input: Array,
    target: Array,
    weight: Array | None = None,
    reduction: Reduction = "mean",
    pos_weight: Array | None = None,
) -> Array:
    """Cross-entropy of ``sigmoid(input)`` against ``target`` in [0, 1], of one shape.

    ``pos_weight`` multiplies the loss of the positive part, ``weight`` the loss of each element.

    Examples
    --------
    >>> round(float(binary_cross_entropy_with_logits(np.array([0.0]), np.array([1.0]))), 4)
    0.6931
    """
    expect_logits(input, "binary_cross_entropy_with_logits", "sigmoid")
    _check_shapes(input, target)
    if pos_weight is None:
        loss = _logistic_loss(input, target)
    else:
        hit, miss = target * pos_weight, 1 - target
        loss = damped(-logsigmoid(input), hit) + damped(-logsigmoid(-input), miss)
    return _reduce(loss if weight is None else loss * weight, reduction)


# -- one of several classes -------------------------------------------------------------------


@primitive
def _class_loss(x: Array, share: Array, total: bool) -> Array:
    """``sum over classes (axis 1) of share * -log_softmax(x)``, summed over the rest if ``total``.

    ``share`` is the weight of each class in each sample; where it is 0, the logit may be minus
    infinity.
    """
    loss = np.where(share == 0, 0, -log_softmax(x, 1)) * share
    return loss.sum() if total else loss.sum(axis=1)


def _per_sample(g: Array, total: bool) -> Array:
    return g if total else np.expand_dims(g, 1)


def _class_slope(g: Array, x: Array, share: Array, total: bool) -> Array:
    whole = share.sum(axis=1, keepdims=True)
    return _per_sample(g, total) * (softmax(x, 1) * whole - share)


defvjp(
    _class_loss,
    lambda g, y, x, share, total: _class_slope(g, x, share, total),
    lambda g, y, x, share, total: -_per_sample(g, total) * log_softmax(x, 1),
)
_class_loss.__name__ = "cross_entropy"  # what graph pictures and errors call it


@takes_arrays
def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Cross-entropy of logits against class labels, or against probabilities of classes.

    Parameters
    ----------
    input : array, shape (N, C, ...) or (C,)
        Logits: a score for each class, along axis 1.
    target : array, shape (N, ...) of integers, or the shape of ``input``
        Labels from 0 to C - 1, or a distribution over the classes.
    weight : array, shape (C,), optional
        The weight of each class.
    ignore_index : int
        Samples with this label are left out.
    label_smoothing : float
        The part of the target that is spread evenly over all classes, in [0, 1].

    Raises
    ------
    IndexError
        A label lies outside the classes; the text says which, and where.
    ValueError
        The shapes do not fit.
    TypeError
        Labels are not integers.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> logits = tl.tensor([[2.0, 0.0], [0.0, 2.0]], requires_grad=True)
    >>> loss = cross_entropy(logits, np.array([0, 1]))
    >>> round(loss.item(), 4)
    0.1269
    """
    expect_logits(input, "cross_entropy", "log_softmax")
    _check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing={label_smoothing}: expected a number from 0 to 1")
    if input.ndim == 0:
        raise ValueError("cross_entropy of a 0-d input: it needs an axis of classes")
    if input.ndim == 1:  # one sample without a batch axis
        loss = cross_entropy(
            input.reshape((1, -1)), target.reshape((1, *target.shape)), weight, ignore_index,
            reduction, label_smoothing,
        )  # fmt: skip
        return loss if reduction != "none" else loss.reshape(())
    classes = input.shape[1]
    weight = _class_weights(weight, input)
    if target.shape == input.shape and target.dtype.kind == "f":
        share, count = target, target.size // max(1, classes)
    else:
        hot, counted = _one_hot(target, input.shape, ignore_index)
        share = hot.astype(input.dtype)
        count = counted if weight is None else (share * weight).sum()
    if label_smoothing:
        # A sample that is ignored has no label to smooth.
        labelled = share.sum(axis=1, keepdims=True)
        share = share * (1 - label_smoothing) + labelled * (label_smoothing / classes)
    if weight is not None:
        share = share * weight
    if reduction == "mean":
        share = share / _nonzero(count, "cross_entropy", share.dtype)
    return _class_loss(input, share, reduction != "none")


@takes_arrays
def nll_loss(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Array:
    """Negative log-likelihood of labels, from log-probabilities ``(N, C, ...)``.

    The parameters are those of :func:`cross_entropy`, which is this after ``log_softmax``.

    Examples
    --------
    >>> log_p = np.log(np.array([[0.5, 0.5], [0.25, 0.75]]))
    >>> round(float(nll_loss(log_p, np.array([0, 1]))), 4)
    0.4904
    """
    expect_log_probabilities(input, "nll_loss")
    _check_reduction(reduction)
    if input.ndim == 1:
        row, label = input.reshape((1, -1)), target.reshape((1,))
        loss = nll_loss(row, label, weight, ignore_index, reduction)
        return loss if reduction != "none" else loss.reshape(())
    hot, count = _one_hot(target, input.shape, ignore_index)
    picked = np.where(hot, -input, 0)
    if weight is not None:
        weight = _class_weights(weight, input)
        picked = picked * weight
        count = (hot * weight).sum()
    if reduction == "none":
        return picked.sum(axis=1)
    loss = picked.sum()
    return loss / _nonzero(count, "nll_loss", loss.dtype) if reduction == "mean" else loss


def _class_weights(weight: Array | None, input: Array) -> Array | None:
    """Shape the weights of classes to lie along axis 1."""
    if weight is None:
        return None
    if weight.shape != (input.shape[1],):
        raise ValueError(
            f"weight of shape {weight.shape} for {input.shape[1]} classes (input {input.shape})"
        )
    return weight.reshape((-1, *(1,) * (input.ndim - 2)))


def _one_hot(labels: Array, shape: tuple[int, ...], ignore_index: int) -> tuple[Array, Any]:
    """Return labels ``(N, ...)`` as booleans ``(N, C, ...)``, and how many are not ignored."""
    if isinstance(labels, Tensor):
        labels = labels.data
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"class labels are integers, not {labels.dtype}; class probabilities have the shape "
            f"of the input, {shape}, not {labels.shape}"
        )
    if labels.shape != (shape[0], *shape[2:]):
        raise ValueError(
            f"labels of shape {labels.shape} for an input of shape {shape}: expected "
            f"{(shape[0], *shape[2:])}, one label for each sample"
        )
    counted = labels != ignore_index
    values = innermost_array(labels)
    if type(values) in NUMPYS:
        wrong = (values != ignore_index) & ((values < 0) | (values >= shape[1]))
        if wrong.any():
            where = tuple(index(i) for i in np.argwhere(wrong)[0])
            raise IndexError(
                f"label {values[where]} at {list(where)} is outside the classes 0 to "
                f"{shape[1] - 1} (the input has shape {shape})"
            )
    classes = np.arange(shape[1]).reshape((-1, *(1,) * (labels.ndim - 1)))
    across = (shape[0], 1, *shape[2:])
    return (labels.reshape(across) == classes) & counted.reshape(across), counted.sum()


# -- common to all ----------------------------------------------------------------------------


def _check_shapes(input: Array, target: Array) -> None:
    if input.shape != target.shape:
        raise ValueError(
            f"input {input.shape} and target {target.shape} must have one shape; reshape one of "
            "them, because broadcasting here would compare every sample with every other"
        )


def _check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction={reduction!r}: expected 'mean', 'sum' or 'none'")


def _nonzero(count: Any, name: str, dtype: np.dtype[Any]) -> Any:
    """Return a divisor of type ``dtype``; where the count is known to be 0, raise ValueError."""
    is_known = isinstance(count, (int, np.generic)) or type(count) in NUMPYS
    if is_known and count == 0:
        raise ValueError(f"{name}: no sample to average over; say reduction='sum' for 0")
    return count if isinstance(count, int) else count.astype(dtype)


def _reduce(loss: Array, reduction: Reduction) -> Array:
    if reduction == "mean":
        return loss.sum() / _nonzero(loss.size, "the mean of a loss", loss.dtype)
    _check_reduction(reduction)
    return loss.sum() if reduction == "sum" else loss
