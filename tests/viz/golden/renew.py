"""Five networks and a program whose DOT text is kept.

`python -m tests.viz.golden.renew` writes the texts anew.

The numbers in a picture come from sums, which another processor may round otherwise, so weights and
data here are small whole numbers over powers of two, as far as that goes, and numbers are shown to
three digits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab import nn, optim

F = nn.functional
FOLDER = Path(__file__).parent


def mlp() -> Any:
    model = _set(nn.MLP([2, 3, 1], output_activation="sigmoid", rng=0))
    x, y = _numbers(4, 2), np.array([[0.0], [1.0], [1.0], [0.0]])
    return tl.viz.graph(F.mse_loss(model(x), y), model, names={"x": x, "y": y})


class Residual(nn.Module):
    """Two convolutions with a way past the second, and a layer on what is pooled."""

    def __init__(self) -> None:
        self.first = nn.Conv2d(1, 4, 3, padding=1, rng=0)
        self.second = nn.Conv2d(4, 4, 3, padding=1, rng=0)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)
        self.head = nn.Linear(64, 3, rng=0)

    def forward(self, x: Any) -> Any:
        h = self.relu(self.first(x))
        h = self.relu(self.second(h) + h)
        return self.head(self.pool(h).flatten(1))


def cnn() -> Any:
    model, x, y = _set(Residual()), _numbers(2, 1, 8, 8), np.array([0, 2])
    return tl.viz.graph(F.cross_entropy(model(x), y), model, names={"x": x, "y": y})


class Recurrent(nn.Module):
    """A loop over the steps of a sequence."""

    def __init__(self) -> None:
        self.cell, self.head = nn.LSTMCell(3, 4, rng=0), nn.Linear(4, 1, rng=0)

    def forward(self, x: Any) -> Any:
        state = (np.zeros((2, 4)), np.zeros((2, 4)))
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.head(state[0])


def lstm() -> Any:
    model, x, y = _set(Recurrent()), _numbers(2, 20, 3), np.ones((2, 1))
    return tl.viz.graph(F.mse_loss(model(x), y), model, names={"x": x, "y": y})


def transformer() -> Any:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, rng=0)
    model, x = _set(nn.TransformerEncoder(layer, 4)), _numbers(3, 2, 8)
    return tl.viz.graph((model(x) ** 2).mean(), model, names={"x": x})


class Shared(nn.Module):
    """One weight on the way in and, transposed, on the way out."""

    def __init__(self) -> None:
        self.encoder = nn.Linear(4, 2, rng=0)
        self.bias = nn.Parameter(np.zeros(4))

    def forward(self, x: Any) -> Any:
        return np.tanh(self.encoder(x)) @ self.encoder.weight + self.bias


def shared() -> Any:
    model, x = _set(Shared()), _numbers(3, 4)
    return tl.viz.graph(F.mse_loss(model(x), x), model, names={"x": x})


def program() -> Any:
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    model = _set(nn.MLP([2, 3, 1], output_activation="sigmoid", rng=0))
    optimizer = optim.Adam(model.parameters())
    return tl.viz.graph(tl.program(step)(model, optimizer, _numbers(100, 2), _numbers(100, 1)))


GRAPHS: dict[str, Callable[[], Any]] = {
    function.__name__: function for function in (mlp, cnn, lstm, transformer, shared, program)
}


def _numbers(*shape: int) -> np.ndarray:
    """Make numbers in no visible order: multiples of 1/8 from -1 to 1."""
    count = int(np.prod(shape))
    return ((np.arange(count) * 7 + 3) % 17 - 8).reshape(shape) / 8.0


def _set(model: Any) -> Any:
    """Give the weights of a model such numbers too."""
    for parameter in model.parameters():
        parameter.data = _numbers(*parameter.shape) / 4
    return model


if __name__ == "__main__":
    for name, make in GRAPHS.items():
        (FOLDER / f"{name}.dot").write_text(make().source, encoding="utf-8", newline="\n")
