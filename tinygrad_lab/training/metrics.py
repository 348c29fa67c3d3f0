"""Metrics: how good outputs are, over all of them at once.

Each takes outputs and targets in the order of the losses.  Classes are what is largest along the
second axis of outputs of shape (n, classes, ...); outputs of shape (n,) or (n, 1) are one score
each, of class 1 above a threshold; integers are classes already.

Not for training: they have no gradient.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.core.tensor import Tensor

__all__ = ["accuracy", "confusion_matrix", "f1", "mae", "precision", "r2", "recall", "top_k"]

Average = Literal["macro", "micro"] | None


def accuracy(output: Any, target: Any, threshold: float = 0.5) -> float:
    """Share of outputs that are of the right class.

    Parameters
    ----------
    output, target : array_like
        Scores, shape (n, classes, ...), (n,) or (n, 1), or classes; and classes, shape (n, ...).
    threshold : float
        For single scores: those above it are of class 1.  0.0 for logits, 0.5 for probabilities.

    Examples
    --------
    >>> accuracy([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0])
    0.6666666666666666
    """
    predicted, actual = _classes(output, target, threshold)
    return float(np.mean(predicted == actual))


def top_k(output: Any, target: Any, k: int = 5) -> float:
    """Share of outputs, shape (n, classes), whose class is among the ``k`` with the largest scores.

    Examples
    --------
    >>> top_k([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2], k=2)
    0.5
    """
    scores, labels = _array(output), _array(target)
    if scores.ndim != 2 or not 1 <= k <= scores.shape[1] or labels.shape != scores.shape[:1]:
        raise ValueError(
            f"top_k takes scores of shape (n, classes), classes of shape (n,) and 1 <= k <= "
            f"classes, not {scores.shape}, {labels.shape} and k={k}"
        )
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float(np.mean((best == labels[:, None]).any(axis=1)))


def confusion_matrix(
    output: Any, target: Any, classes: int | None = None, threshold: float = 0.5
) -> NDArray[np.int64]:
    """Count outputs by class: a row is a class as it is, a column one as it was taken.

    Parameters
    ----------
    output, target, threshold
        As :func:`accuracy` takes them.
    classes : int, optional
        How many there are; as many as there are scores or numbers if left out.

    Returns
    -------
    numpy.ndarray
        Shape (classes, classes).

    Examples
    --------
    >>> confusion_matrix([0, 1, 1, 1], [0, 0, 1, 1])
    array([[1, 1],
           [0, 2]])
    """
    predicted, actual = _classes(output, target, threshold)
    if classes is None:
        scores = _array(output)
        own = scores.shape[1] if scores.dtype.kind == "f" and scores.ndim > 1 else 0
        classes = int(max(own, 1 + predicted.max(initial=0), 1 + actual.max(initial=0)))
    for what, labels in (("output", predicted), ("target", actual)):
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            wrong = labels[(labels < 0) | (labels >= classes)][0]
            raise ValueError(
                f"class {wrong} in the {what}, and there are classes 0 ... {classes - 1}"
            )
    return np.bincount(actual * classes + predicted, minlength=classes**2).reshape(classes, classes)


def precision(output: Any, target: Any, average: Average = "macro", threshold: float = 0.5) -> Any:
    """Of what was taken for a class, the share that is of it; 0 where nothing was.

    Parameters
    ----------
    output, target, threshold
        As :func:`accuracy` takes them.
    average : {"macro", "micro", None}
        The mean over the classes that occur; over all examples; or, with None, an array with each
        class.

    Examples
    --------
    >>> precision([0, 1, 1, 1], [0, 0, 1, 1], average=None).round(3)
    array([1.   , 0.667])
    """
    table = confusion_matrix(output, target, threshold=threshold)
    return _averaged(table, lambda hit, taken, actual: (hit, taken), average)


def recall(output: Any, target: Any, average: Average = "macro", threshold: float = 0.5) -> Any:
    """Of what is of a class, the share that was taken for it; 0 where nothing is.

    Arguments are those of :func:`precision`.

    Examples
    --------
    >>> recall([0, 1, 1, 1], [0, 0, 1, 1], average=None)
    array([0.5, 1. ])
    """
    table = confusion_matrix(output, target, threshold=threshold)
    return _averaged(table, lambda hit, taken, actual: (hit, actual), average)


def f1(output: Any, target: Any, average: Average = "macro", threshold: float = 0.5) -> Any:
    """The harmonic mean of precision and recall.

    Arguments are those of :func:`precision`.

    Examples
    --------
    >>> f1([0, 1, 1, 1], [0, 0, 1, 1], average=None).round(3)
    array([0.667, 0.8  ])
    """
    table = confusion_matrix(output, target, threshold=threshold)
    return _averaged(table, lambda hit, taken, actual: (2 * hit, taken + actual), average)


def r2(output: Any, target: Any) -> float:
    """The share of the variance of the targets that the outputs explain; the mean over columns.

    1 is perfect, 0 what the mean of the targets would get.  A constant column that is not matched
    exactly counts as 0.

    Examples
    --------
    >>> r2([1.0, 2.0, 3.5], [1.0, 2.0, 3.0])
    0.875
    """
    y, t = _numbers(output, target)
    rest = np.square(t - y).sum(axis=0)
    spread = np.square(t - t.mean(axis=0)).sum(axis=0)
    explained = 1 - rest / np.where(spread > 0, spread, 1)
    return float(np.mean(np.where(spread > 0, explained, np.where(rest > 0, 0, 1))))


def mae(output: Any, target: Any) -> float:
    """The mean of the absolute errors.

    Examples
    --------
    >>> mae([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    y, t = _numbers(output, target)
    return float(np.mean(np.abs(y - t)))


def _averaged(table: NDArray[np.int64], share: Any, average: Average) -> Any:
    """Divide one count of each class by another, and average."""
    counts = np.diag(table), table.sum(axis=0), table.sum(axis=1)  # hits, taken for it, of it
    if average == "micro":
        part, whole = share(*(count.sum() for count in counts))
        return float(part / max(whole, 1))
    part, whole = share(*counts)
    ratios = part / np.maximum(whole, 1)
    if average is None:
        return ratios
    if average != "macro":
        raise ValueError(f"average={average!r}: expected 'macro', 'micro' or None")
    occurs = counts[1] + counts[2] > 0
    return float(ratios[occurs].mean()) if occurs.any() else 0.0


def _array(values: Any) -> NDArray[Any]:
    return np.asarray(values.data if isinstance(values, Tensor) else values)


def _classes(output: Any, target: Any, threshold: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give the class of each output and each target, in a row."""
    y, t = _array(output), _array(target)
    if t.dtype.kind == "f" and (t == np.rint(t)).all() and t.shape[1:] in ((), (1,)):
        t = t.astype(np.int64)
    predicted, actual = _chosen(y, threshold), _chosen(t, threshold)
    if predicted.size != actual.size or not predicted.size:
        raise ValueError(
            f"outputs of shape {y.shape} are {predicted.size} predictions, and targets of shape "
            f"{t.shape} are {actual.size}: they must be as many, and not none"
        )
    return predicted.reshape(-1), actual.reshape(-1)


def _chosen(scores: NDArray[Any], threshold: float) -> NDArray[Any]:
    if scores.dtype.kind != "f":
        return scores.astype(np.int64)
    if scores.ndim > 1 and scores.shape[1] > 1:
        return scores.argmax(axis=1)
    return (scores > threshold).astype(np.int64)


def _numbers(output: Any, target: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    y, t = _array(output), _array(target)
    if y.shape != t.shape or not y.size:
        raise ValueError(
            f"outputs have shape {y.shape} and targets {t.shape}: they must be alike, and not empty"
        )
    return y.reshape(len(y), -1).astype(np.float64), t.reshape(len(t), -1).astype(np.float64)
