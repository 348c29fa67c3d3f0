"""Losses of one class among several: cross-entropy, of logits and of logarithms of probabilities.

Names, arguments and conventions are PyTorch's, but for the mean over no samples, which is an error.

Not for: losses of numbers and of yes or no (``losses.py``), or of margins (``margins.py``).
"""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.cautions import expect_log_probabilities, expect_logits
from tinygrad_lab.nn.functional.reductions import Reduction, check_reduction, known, nonzero
from tinygrad_lab.nn.functional.softmaxes import _log_softmax, _softmax

__all__ = ["cross_entropy", "nll_loss"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


@primitive
def _class_loss(x: Array, share: Array, total: bool) -> Array:
    """``sum over classes (axis 1) of share * -log_softmax(x)``, summed over the rest if ``total``.

    ``share`` is the weight of each class in each sample; where it is 0, the logit may be minus
    infinity.
    """
    loss = np.where(share == 0, 0, -_log_softmax(x, 1)) * share
    return loss.sum() if total else loss.sum(axis=1)


def _per_sample(g: Array, total: bool) -> Array:
    return g if total else np.expand_dims(g, 1)


def _class_slope(g: Array, x: Array, share: Array, total: bool) -> Array:
    whole = share.sum(axis=1, keepdims=True)
    return _per_sample(g, total) * (_softmax(x, 1) * whole - share)


defvjp(
    _class_loss,
    lambda g, y, x, share, total: _class_slope(g, x, share, total),
    lambda g, y, x, share, total: -_per_sample(g, total) * _log_softmax(x, 1),
)
_class_loss.__name__ = "cross_entropy"  # what graph pictures and errors call it


@takes_arrays
def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    *,
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
    >>> import numpy as np, tinygrad_lab as tl
    >>> logits = tl.tensor([[2.0, 0.0], [0.0, 2.0]], requires_grad=True)
    >>> loss = cross_entropy(logits, np.array([0, 1]))
    >>> round(loss.item(), 4)
    0.1269
    """
    expect_logits(input, "cross_entropy", "log_softmax")
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing={label_smoothing}: expected a number from 0 to 1")
    if input.ndim == 0:
        raise ValueError("cross_entropy of a 0-d input: it needs an axis of classes")
    if input.ndim == 1:  # one sample without a batch axis
        loss = cross_entropy(
            input.reshape((1, -1)), target.reshape((1, *target.shape)), weight,
            ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing,
        )  # fmt: skip
        return loss if reduction != "none" else loss.reshape(())
    classes = input.shape[1]
    weight = _class_weights(weight, input)
    if target.shape == input.shape and target.dtype.kind == "f":
        if ignore_index >= 0:
            raise ValueError(
                f"ignore_index={ignore_index}: a target of probabilities, {target.dtype}"
                f"{target.shape}, has no label to ignore"
            )
        share, count, labelled = target, target.size // max(1, classes), 1
    else:
        hot, counted = one_hot_labels(target, input.shape, ignore_index)
        share = hot.astype(input.dtype)
        labelled = share.sum(axis=1, keepdims=True) if label_smoothing else 1
        count = counted if weight is None else (share * weight).sum()
    if label_smoothing:
        # Spread over all classes, whatever the target sums to; nothing of an ignored sample.
        share = share * (1 - label_smoothing) + labelled * (label_smoothing / classes)
    if weight is not None:
        share = share * weight
    if reduction == "mean":
        share = share / nonzero(count, "cross_entropy", share.dtype)
    return _class_loss(input, share, reduction != "none")


@takes_arrays
def nll_loss(
    input: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Array:
    """Negative log-likelihood of labels, from log-probabilities ``(N, C, ...)``.

    The parameters are those of :func:`cross_entropy`, which is this after ``log_softmax``.

    Examples
    --------
    >>> import numpy as np
    >>> log_p = np.log(np.array([[0.5, 0.5], [0.25, 0.75]]))
    >>> round(float(nll_loss(log_p, np.array([0, 1]))), 4)
    0.4904
    """
    expect_log_probabilities(input, "nll_loss")
    check_reduction(reduction)
    if input.ndim == 1:
        row, label = input.reshape((1, -1)), target.reshape((1,))
        loss = nll_loss(row, label, weight, ignore_index=ignore_index, reduction=reduction)
        return loss if reduction != "none" else loss.reshape(())
    hot, count = one_hot_labels(target, input.shape, ignore_index)
    picked = np.where(hot, -input, 0)
    if weight is not None:
        weight = _class_weights(weight, input)
        picked = picked * weight
        count = (hot * weight).sum()
    if reduction == "none":
        return picked.sum(axis=1)
    loss = picked.sum()
    return loss / nonzero(count, "nll_loss", loss.dtype) if reduction == "mean" else loss


def _class_weights(weight: Array | None, input: Array) -> Array | None:
    """Shape the weights of classes to lie along axis 1."""
    if weight is None:
        return None
    if weight.shape != (input.shape[1],):
        raise ValueError(
            f"weight of shape {weight.shape} for {input.shape[1]} classes (input {input.shape})"
        )
    return weight.reshape((-1, *(1,) * (input.ndim - 2)))


def one_hot_labels(
    labels: Array, shape: tuple[int, ...], ignore_index: int | None
) -> tuple[Array, Any]:
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
    classes = np.arange(shape[1]).reshape((-1, *(1,) * (labels.ndim - 1)))
    across = (shape[0], 1, *shape[2:])
    hot = labels.reshape(across) == classes
    are_classes = type(hot) is np.ndarray and np.count_nonzero(hot) == labels.size
    if not are_classes and (values := known(labels)) is not None:
        wrong = (values < 0) | (values >= shape[1])
        wrong = wrong if ignore_index is None else wrong & (values != ignore_index)
        if wrong.any():
            where = tuple(index(i) for i in np.argwhere(wrong)[0])
            raise IndexError(
                f"label {values[where]} at {list(where)} is outside the classes 0 to "
                f"{shape[1] - 1} (the input has shape {shape})"
            )
    if ignore_index is None or (are_classes and not 0 <= ignore_index < shape[1]):
        return hot, labels.size
    counted = labels != ignore_index
    return hot & counted.reshape(across), counted.sum()
