"""scikit-learn's data sets by name, each with one stated split into training and test.

Nothing is downloaded: these come with scikit-learn (the extra ``data``).

Not for other data: arrays (``TensorDataset``), files (``read_csv``, ``read_idx``).
"""

from __future__ import annotations

import reprlib
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tinygrad_lab.data.datasets import Rng, TensorDataset

__all__ = ["Split", "load"]

_NAMES = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")


class Split(NamedTuple):
    """What :func:`load` gives.

    Attributes
    ----------
    train, test
        Data sets of inputs and targets: classes 0, 1, ... of shape (n,), or numbers of shape
        (n, targets).
    columns
        What the inputs are called.
    classes
        What the classes, or the columns of the targets, are called.
    """

    train: TensorDataset
    test: TensorDataset
    columns: list[str]
    classes: list[str]

    def __repr__(self) -> str:
        """The data sets, and the first of the names: there may be a thousand."""
        columns, classes = map(reprlib.repr, (self.columns, self.classes))
        return f"Split(train={self.train}, test={self.test}, columns={columns}, classes={classes})"


def load(
    name: str,
    *,
    test: float = 0.25,
    rng: Rng = 0,
    standardize: bool = False,
    dtype: DTypeLike = np.float64,
) -> Split:
    """Load one of scikit-learn's data sets, part of it held out for testing.

    ``digits``: 1,797 images of shape (1, 8, 8), in 10 classes, from 0 (white) to 1.  ``iris``,
    ``wine``, ``breast_cancer``: 150, 178, 569 rows of 4, 13, 30 numbers, in 3, 3, 2 classes.
    ``diabetes``, ``linnerud``: 442, 20 rows of 10, 3 numbers, and 1, 3 numbers to predict.

    Parameters
    ----------
    name : str
        One of these.
    test : float
        The share that is held out: of each class, if there are classes.
    rng : int or numpy.random.Generator
        Seed or generator of the split, the same each time unless you say otherwise.
    standardize : bool
        Give each column of the inputs mean 0 and variance 1, over the part for training.
    dtype : dtype
        Of inputs, and of targets that are numbers.

    Returns
    -------
    Split
        ``train, test, columns, classes``.

    Raises
    ------
    ValueError
        There is no such data set, or ``test`` is no share between 0 and 1.
    ImportError
        scikit-learn is not installed.

    Examples
    --------
    >>> train, test, columns, classes = load("iris")
    >>> len(train), len(test), columns[0], classes
    (114, 36, 'sepal length (cm)', ['setosa', 'versicolor', 'virginica'])
    """
    if name not in _NAMES:
        near = get_close_matches(str(name), _NAMES, n=1)
        raise ValueError(
            f"there is no data set {name!r}{f'; did you mean {near[0]!r}?' if near else '.'} There "
            f"are {', '.join(_NAMES)}. Nothing is downloaded: read_csv and read_idx read files"
        )
    if not 0 <= test < 1:
        raise ValueError(f"test={test!r}: expected the share that is held out, 0.25 say")
    bunch = _bunch(name)
    x, y = bunch.data.astype(dtype), bunch.target
    is_classes = name not in ("diabetes", "linnerud")
    tested = held_out(y if is_classes else np.zeros(len(y)), test, np.random.default_rng(rng))
    if name == "digits":
        x = (x / 16).reshape(-1, 1, 8, 8)
    if standardize:
        part = x[~tested]
        spread = part.std(axis=0)
        x = (x - part.mean(axis=0)) / np.where(spread > 0, spread, 1).astype(x.dtype)
    y = y.astype(np.int64) if is_classes else y.reshape(len(y), -1).astype(dtype)
    names = getattr(bunch, "target_names", ["target"])
    return Split(
        TensorDataset(x[~tested], y[~tested]),
        TensorDataset(x[tested], y[tested]),
        [str(column) for column in bunch.feature_names],
        [str(label) for label in names],
    )


def _bunch(name: str) -> Any:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            f'tl.data.load({name!r}) needs scikit-learn: pip install "tinygrad-lab[data]"'
        ) from error
    return getattr(datasets, f"load_{name}")()


def held_out(labels: NDArray[Any], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose a share of each class to hold out; shape (n,) as the labels'."""
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        chosen[members[: round(share * len(members))]] = True
    return chosen
