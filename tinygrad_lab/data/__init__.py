"""Data sets and batches: PyTorch's words for them, files of two formats, and scikit-learn's sets.

    >>> import numpy as np
    >>> from tinygrad_lab import data
    >>> points = data.TensorDataset(np.arange(10.0).reshape(5, 2), np.arange(5))
    >>> [labels.data.tolist() for _, labels in data.DataLoader(points, batch_size=2)]
    [[0, 1], [2, 3], [4]]

Not for training (:func:`tinygrad_lab.fit`), nor for anything that would come over a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tinygrad_lab.data.collate import default_collate
from tinygrad_lab.data.datasets import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from tinygrad_lab.data.files import Table, read_csv, read_idx
from tinygrad_lab.data.loader import DataLoader
from tinygrad_lab.data.named import Split, load
from tinygrad_lab.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tinygrad_lab.habits import missing

__all__ = [
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Split",
    "Subset",
    "SubsetRandomSampler",
    "Table",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "load",
    "random_split",
    "read_csv",
    "read_idx",
]

if not TYPE_CHECKING:  # a type checker knows by itself what is missing

    def __getattr__(name: str) -> NoReturn:
        raise missing(__name__, name, __all__)
