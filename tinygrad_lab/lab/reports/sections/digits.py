"""A small convolutional network that reads handwritten digits, trained on several splits.

What is fixed before the first of them: the splits, the network, how it is trained and for how
long.  Nothing is chosen by what is held out: the accuracy is that of the last epoch.

Not for how it is shown (``convolution.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinygrad_lab as tl
from tinygrad_lab import nn, optim
from tinygrad_lab.data import DataLoader, TensorDataset
from tinygrad_lab.nn.functional import cross_entropy
from tinygrad_lab.training import History

Array = NDArray[Any]

BATCH, LEARNING_RATE, DECAY, SMOOTHING = 64, 0.01, 0.05, 0.1


@dataclass(frozen=True, slots=True)
class Reader:
    """A trained network, and what it was not trained on.

    Attributes
    ----------
    split
        The seed of the split, of the network and of the order of its batches.
    model
        The network, in evaluation mode.
    history
        Loss and accuracy of each epoch, in training and on what is held out.
    images, labels
        What is held out, shapes (n, 1, 8, 8) and (n,).
    probabilities
        What the network says of it, shape (n, 10).
    """

    split: int
    model: nn.Module
    history: History
    images: Array
    labels: Array
    probabilities: Array

    @property
    def read(self) -> Array:
        """The digit that each image is taken for, shape (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def misread(self) -> Array:
        """Which images are taken for another digit, as numbers from 0 on."""
        return np.flatnonzero(self.read != self.labels)

    @property
    def accuracy(self) -> float:
        """Share of the held-out images that are read right."""
        return float(np.mean(self.read == self.labels))


def network(rng: np.random.Generator) -> nn.Sequential:
    """Build the untrained network: three convolutions of 3 × 3, and a linear layer on top.

    Examples
    --------
    >>> model = network(np.random.default_rng(0))
    >>> sum(p.size for p in model.parameters())
    19938
    """
    options: dict[str, Any] = {"rng": rng, "dtype": np.float32}
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, **options),
        nn.ReLU(),
        nn.Conv2d(8, 24, 3, padding=1, **options),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.3, rng=rng),
        nn.Conv2d(24, 48, 3, padding=1, **options),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5, rng=rng),
        nn.Linear(48 * 4 * 4, 10, **options),
    )


def trained(split: int, epochs: int) -> Reader:
    """Train the network on three quarters of the 1,797 digits, a quarter of each held out.

    Parameters
    ----------
    split
        Decides the split, the weights and the order.
    epochs
        How often it goes through the three quarters.

    Returns
    -------
    Reader

    Raises
    ------
    ImportError
        scikit-learn, which brings the digits, is not installed.
    """
    train, test, *_ = tl.data.load("digits", dtype=np.float32, rng=split)
    model = network(np.random.default_rng(split))
    optimizer = optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=DECAY)
    history = tl.fit(
        model,
        DataLoader(train, batch_size=BATCH, shuffle=True, rng=split),
        partial(cross_entropy, label_smoothing=SMOOTHING),
        optimizer,
        epochs,
        validation=test,
        metrics=tl.metrics.accuracy,
        schedule=optim.CosineAnnealingLR(optimizer, T_max=epochs),
        progress=False,
    )
    return Reader(split, model, history, *_arrays(test), _probabilities(model, test))


def _arrays(data: TensorDataset) -> tuple[Array, Array]:
    images, labels = (part.data for part in data.tensors)
    return images, labels


def _probabilities(model: nn.Module, data: TensorDataset) -> Array:
    with tl.no_grad():
        scores = model(data.tensors[0])
    return np.asarray(tl.softmax(scores, dim=-1).data)
