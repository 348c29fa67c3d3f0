"""Small networks to draw, built from the core alone, and what is known about them."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.viz import render as rendering


@tl.primitive
def logistic(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


tl.defvjp(logistic, lambda g, y, x: g * y * (1.0 - y))


@tl.primitive
def squared_error(prediction: Any, target: Any) -> Any:
    return np.mean((prediction - target) ** 2)


tl.defvjp(squared_error, lambda g, y, p, t: g * 2.0 * (p - t) / p.size)


@tl.primitive
def affine(x: Any, weight: Any, bias: Any, scale: float = 1.0) -> Any:
    return scale * (x @ weight) + bias


tl.defvjp(
    affine,
    lambda g, y, x, w, b, scale=1.0: scale * (g @ w.T),
    lambda g, y, x, w, b, scale=1.0: scale * (x.T @ g),
    lambda g, y, x, w, b, scale=1.0: g,
)


class Linear:
    """A layer with PyTorch's (out, in) weight."""

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator) -> None:
        self.in_features, self.out_features = inputs, outputs
        self.weight = tl.tensor(rng.normal(size=(outputs, inputs)), requires_grad=True)
        self.bias = tl.tensor(np.zeros(outputs), requires_grad=True)

    def __call__(self, x: Any) -> Tensor:
        return x @ self.weight.T + self.bias


class MLP:
    """Duck-typed: what `viz` knows of a module, and no more."""

    def __init__(self, *sizes: int) -> None:
        rng = np.random.default_rng(0)
        self.layers = [Linear(a, b, rng) for a, b in pairwise(sizes)]

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = logistic(layer(x))
        return x

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        for i, layer in enumerate(self.layers, start=1):
            yield f"fc{i}.weight", layer.weight
            yield f"fc{i}.bias", layer.bias

    def named_modules(self) -> Iterator[tuple[str, Any]]:
        yield "", self
        for i, layer in enumerate(self.layers, start=1):
            yield f"fc{i}", layer


@dataclass
class Case:
    """A loss, the model it came from, and names for the rest."""

    loss: Tensor
    model: MLP | None
    names: dict[str, Any]


def make_case(*sizes: int, n: int = 4) -> Case:
    rng = np.random.default_rng(1)
    model = MLP(*sizes)
    x = rng.uniform(size=(n, sizes[0]))
    y = rng.integers(0, 2, (n, sizes[-1])).astype(np.float64)
    prediction = model(x)
    return Case(squared_error(prediction, y), model, {"x": x, "y": y, "ŷ": prediction})


@pytest.fixture
def case() -> Case:
    return make_case(2, 3, 1)


@pytest.fixture
def deep_case() -> Case:
    return make_case(2, 8, 8, 8, 8, 8, 8, 1)


def make_fused(layers: int) -> Case:
    """Return layers of one operation with two parameters each."""
    rng = np.random.default_rng(2)
    x, names = rng.uniform(size=(4, 3)), {}
    h: Any = x
    for i in range(layers):
        names[f"W{i}"] = tl.tensor(rng.normal(size=(3, 3)), requires_grad=True)
        names[f"b{i}"] = tl.tensor(np.zeros(3), requires_grad=True)
        h = logistic(affine(h, names[f"W{i}"], names[f"b{i}"]))
    return Case(squared_error(h, np.ones((4, 3))), None, {"x": x, **names})


@pytest.fixture
def fused_case() -> Case:
    return make_fused(3)


def _can_draw() -> bool:
    return shutil.which("dot") is not None or importlib.util.find_spec("pygraphviz") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not _can_draw():
        for item in items:
            if "drawing" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.skip(reason="neither dot nor pygraphviz is installed"))


@pytest.fixture
def drawing() -> None:
    """Asked for by tests that need Graphviz; they are skipped where there is none."""


@pytest.fixture(autouse=True)
def _no_windows() -> Iterator[None]:
    with mpl.rc_context({"backend": "agg"}):
        yield


@pytest.fixture
def pretended_dot(tmp_path, monkeypatch):
    """Put a program called dot on the path, which does what the test says."""
    if sys.platform == "win32":
        pytest.skip("a script is no program on Windows")

    def pretend(body: str) -> None:
        script, program = tmp_path / "dot.py", tmp_path / "dot"
        script.write_text(f"import sys\n{body}\n", encoding="utf-8")
        # By way of the shell: the path of a Python may hold a blank, a shebang line may not.
        program.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{script}' \"$@\"\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return pretend


@pytest.fixture
def no_engine(monkeypatch):
    monkeypatch.setattr(rendering.shutil, "which", lambda _: None)
    monkeypatch.setattr(rendering.importlib.util, "find_spec", lambda _: None)
