"""Losses that ask for a distance to be kept: between scores, vectors, classes.

Names, arguments and conventions are PyTorch's.  Shapes must agree, as for all losses.

Not for: the distances themselves (``distances.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.functional.activations import logsigmoid, relu
from tinygrad_lab.nn.functional.classification import one_hot_labels
from tinygrad_lab.nn.functional.distances import direction, pairwise_distance
from tinygrad_lab.nn.functional.losses import logistic_loss
from tinygrad_lab.nn.functional.reductions import Reduction, alike, reduced

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss",
    "triplet_margin_loss", "triplet_margin_with_distance_loss",
]  # fmt: skip

Array = Any  # a Tensor, or whatever speaks NumPy's protocols
Distance = Callable[[Array, Array], Array]


def _beyond(x: Array) -> Array:
    """What is above 0, with slope 1 there, which is the convention of these losses in PyTorch."""
    return np.clip(x, 0, None)


# -- pairs and triplets -----------------------------------------------------------------------


@takes_arrays
def margin_ranking_loss(
    input1: Array,
    input2: Array,
    target: Array,
    margin: float = 0,
    *,
    reduction: Reduction = "mean",
) -> Array:
    """How far one score falls short of being ``margin`` above the other.

    Where ``target`` is 1, ``input1`` should be the larger; where it is -1, ``input2``.

    Examples
    --------
    >>> import numpy as np
    >>> float(margin_ranking_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])))
    2.0
    """
    input1, input2, target = alike(input1=input1, input2=input2, target=target)
    return reduced(_beyond(-target * (input1 - input2) + margin), reduction)


@takes_arrays
def hinge_embedding_loss(
    input: Array, target: Array, margin: float = 1.0, *, reduction: Reduction = "mean"
) -> Array:
    """A distance where ``target`` is 1; where it is -1, what it lacks of ``margin``.

    Examples
    --------
    >>> import numpy as np
    >>> hinge_embedding_loss(np.array([0.25, 0.25]), np.array([1, -1]), reduction="none")
    array([0.25, 0.75])
    """
    alike(input=input, target=target)
    near = np.where(target != -1, input, 0)
    far = np.where(target != 1, _beyond(margin - input), 0)
    return reduced(near + far, reduction)


@takes_arrays
def cosine_embedding_loss(
    input1: Array,
    input2: Array,
    target: Array,
    margin: float = 0,
    *,
    reduction: Reduction = "mean",
) -> Array:
    """How far the angle of two vectors is from what it should be: (N, D) each, ``target`` (N,).

    Where ``target`` is 1, it is 1 less their cosine; where it is -1, the cosine less ``margin``.

    Raises
    ------
    ValueError
        The shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])
    >>> float(cosine_embedding_loss(x, y, np.array([1])))
    1.0
    """
    alike(input1=input1, input2=input2)
    if input1.ndim not in (1, 2) or target.shape != input1.shape[:-1]:
        raise ValueError(
            f"cosine_embedding_loss: vectors {input1.shape} and target {target.shape}: expected "
            "(N, D) and (N,), or (D,) and ()"
        )
    cosine = (_smooth_direction(input1) * _smooth_direction(input2)).sum(axis=-1)
    loss = np.where(target == 1, 1 - cosine, 0)
    return reduced(loss + np.where(target == -1, _beyond(cosine - margin), 0), reduction)


def _smooth_direction(x: Array) -> Array:
    """``x / sqrt(|x|² + 1e-12)``: a part of 1e-6 across keeps it smooth at 0."""
    across = np.full((*x.shape[:-1], 1), 1e-6, np.result_type(x.dtype, np.float16))
    return direction(np.concatenate([x, across], axis=-1), 2, -1, 0)[..., :-1]


@takes_arrays
def triplet_margin_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: Reduction = "mean",
) -> Array:
    """How much nearer than ``margin`` a negative is to an anchor than a positive, (N, D) each.

    Distances are :func:`~tinygrad_lab.nn.functional.pairwise_distance` with ``p`` and ``eps``.
    With ``swap`` the negative's is the smaller one of those to anchor and positive.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.zeros((1, 2))
    >>> round(float(triplet_margin_loss(x, x, x + 0.25)), 4)
    0.6464
    """
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, margin=margin, swap=swap, reduction=reduction,
        distance_function=lambda a, b: pairwise_distance(a, b, p, eps),
    )  # fmt: skip


@takes_arrays
def triplet_margin_with_distance_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    distance_function: Distance | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: Reduction = "mean",
) -> Array:
    """:func:`triplet_margin_loss` with a distance of one's own, by default ``pairwise_distance``.

    Raises
    ------
    ValueError
        The shapes differ, or ``margin`` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.zeros((1, 2))
    >>> furthest = lambda a, b: np.max(abs(a - b), axis=-1)
    >>> float(triplet_margin_with_distance_loss(x, x, x + 0.25, distance_function=furthest))
    0.75
    """
    alike(anchor=anchor, positive=positive, negative=negative)
    if not margin > 0:
        raise ValueError(f"triplet margin={margin}: expected a positive number")
    distance = distance_function or pairwise_distance
    to_positive, to_negative = distance(anchor, positive), distance(anchor, negative)
    if swap:
        to_negative = np.minimum(to_negative, distance(positive, negative))
    return reduced(_beyond(margin + to_positive - to_negative), reduction)


# -- classes ----------------------------------------------------------------------------------


@takes_arrays
def multi_margin_loss(
    input: Array,
    target: Array,
    p: int = 1,
    margin: float = 1.0,
    weight: Array | None = None,
    *,
    reduction: Reduction = "mean",
) -> Array:
    """How much nearer than ``margin`` the scores of other classes are to the right one's.

    ``input`` is (N, C) or (C,), ``target`` the labels, (N,) or (); ``weight`` (C,) is that of the
    right class.  What each class lacks is summed, or with ``p=2`` its square, and divided by C.

    Raises
    ------
    ValueError
        ``p`` is neither 1 nor 2, or the shapes do not fit.
    IndexError
        A label lies outside the classes.

    Examples
    --------
    >>> import numpy as np
    >>> float(multi_margin_loss(np.array([[2.0, 1.5, 0.0]]), np.array([0])).round(4))
    0.1667
    """
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss p={p}: expected 1 or 2")
    rows, labels = _rows("multi_margin_loss", input), target.reshape((-1,))
    if target.ndim != input.ndim - 1:
        raise ValueError(f"multi_margin_loss: labels {target.shape} for scores {input.shape}")
    is_right, _ = one_hot_labels(labels, rows.shape, None)
    right = np.where(is_right, rows, 0).sum(axis=1, keepdims=True)
    lacking = np.where(is_right, 0, relu(margin - right + rows))
    loss = lacking if p == 1 else np.square(lacking)
    if weight is not None:
        if weight.shape != rows.shape[1:]:
            raise ValueError(
                f"weight of shape {weight.shape} for {rows.shape[1]} classes (input {input.shape})"
            )
        loss = loss * (is_right * weight).sum(axis=1, keepdims=True)
    return reduced(loss.sum(axis=1).reshape(target.shape) / rows.shape[1], reduction)


@takes_arrays
def multilabel_margin_loss(input: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """How much nearer than 1 the scores of wrong classes are to those of each right one.

    ``input`` is (N, C) or (C,).  ``target`` of the same shape lists the right classes of each
    sample, and then -1; what comes after it is not read.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.array([[2.0, 1.5, 0.0]]), np.array([[0, 2, -1]])
    >>> float(multilabel_margin_loss(x, y).round(4))
    1.0
    """
    alike(input=input, target=target)
    rows = _rows("multilabel_margin_loss", input)
    labels = (target.data if isinstance(target, Tensor) else target).reshape(rows.shape)
    is_listed = np.cumprod(labels >= 0, axis=1) == 1  # before the first -1
    n, c = rows.shape
    # Of each sample, by class and place in the list:
    is_right, _ = one_hot_labels(np.where(is_listed, labels, -1), (n, c, c), -1)
    scores = rows.reshape((n, c, 1))
    right = np.where(is_right, scores, 0).sum(axis=1, keepdims=True)
    counts = ~is_right.any(axis=2, keepdims=True) & is_listed.reshape((n, 1, c))
    loss = np.where(counts, relu(1 - right + scores), 0).sum(axis=(1, 2)) / c
    return reduced(loss.reshape(input.shape[:-1]), reduction)


def _rows(name: str, scores: Array) -> Array:
    if scores.ndim not in (1, 2) or not scores.shape[-1]:
        raise ValueError(f"{name}: scores of shape {scores.shape}: expected (N, C) or (C,)")
    return scores.reshape((-1, scores.shape[-1]))


# -- smooth -----------------------------------------------------------------------------------


@takes_arrays
def soft_margin_loss(input: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """``log(1 + exp(-target * input))`` of scores and signs, exact for scores of any size.

    Examples
    --------
    >>> import numpy as np
    >>> float(soft_margin_loss(np.array([-1000.0]), np.array([1.0])))
    1000.0
    """
    input, target = alike(input=input, target=target)
    return reduced(-logsigmoid(target * input), reduction)


@takes_arrays
def multilabel_soft_margin_loss(
    input: Array,
    target: Array,
    weight: Array | None = None,
    *,
    reduction: Reduction = "mean",
) -> Array:
    """Cross-entropy of yes or no for each of C classes, averaged over them: (N, C) or (C,).

    ``weight`` (C,) multiplies what each class costs.

    Examples
    --------
    >>> import numpy as np
    >>> float(multilabel_soft_margin_loss(np.zeros((1, 2)), np.array([[1.0, 0.0]])).round(4))
    0.6931
    """
    input, target = alike(input=input, target=target)
    loss = reduced(logistic_loss(input, target), "none", weight)
    return reduced(loss.mean(axis=-1), reduction)
