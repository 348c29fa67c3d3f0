"""Two networks that are written once, and made with PyTorch's layers or with ours.

Not for: drawing them (``drawings.py``).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

BLOCKS = 12


def cnn(nn: ModuleType) -> Any:
    """Two convolutions with a way past the second, pooled, and a layer for three classes."""

    class Residual(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, 4, 3, padding=1)
            self.second = nn.Conv2d(4, 4, 3, padding=1)
            self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)
            self.head = nn.Linear(64, 3)

        def forward(self, x: Any) -> Any:
            h = self.relu(self.first(x))
            h = self.relu(self.second(h) + h)
            return self.head(self.pool(h).flatten(1))

    return Residual()


def transformer(nn: ModuleType) -> Any:
    """A layer on words, twelve blocks of attention, the mean of the words, and three classes."""

    class Classifier(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
            self.embedding = nn.Linear(6, 8)
            self.blocks = nn.TransformerEncoder(block, BLOCKS)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            return self.head(self.blocks(self.embedding(x)).mean(1))

    return Classifier()


#: By name: how a network is made, and the shape of what it reads.
NETWORKS = {"cnn": (cnn, (4, 1, 8, 8)), "transformer": (transformer, (4, 5, 6))}
