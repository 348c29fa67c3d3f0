"""The epochs of a training at which there is something to see.

Not for the training (``training.py``) nor for what is drawn at them.
"""

from __future__ import annotations

import numpy as np

from tinygrad_lab.lab.training import Result


def moments(result: Result, count: int) -> list[int]:
    """Choose epochs of a learning curve, evenly along its line in a plot with logarithmic axes.

    So there are some while the loss stands still, and some while it falls, however late that is.
    The line is that of the lowest loss so far: one that swings has no more epochs for it.

    Parameters
    ----------
    result
        The run; it has not diverged.
    count
        How many epochs, at most: those of the curve, from 0 to the last.

    Examples
    --------
    >>> from tinygrad_lab.lab import Settings, train
    >>> chosen = moments(train(Settings(optimizer="adam", epochs=500)), 6)
    >>> chosen[0], chosen[-1], len(chosen)
    (0, 500, 6)
    """
    lowest = np.minimum.accumulate(np.maximum(result.losses, np.finfo(float).tiny))
    axes = [np.log1p(result.epochs), np.log(lowest)]
    steps = [np.abs(np.diff(axis)) / (np.ptp(axis) or 1.0) for axis in axes]
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*steps))])
    nearest = np.abs(along[:, None] - np.linspace(0.0, along[-1], count)).argmin(axis=0)
    return np.unique(result.epochs[nearest]).tolist()
