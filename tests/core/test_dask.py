"""Gradients over arrays that are not NumPy's: Dask, with no Dask code in the package."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.nn.cases import activations, distances, losses

da = pytest.importorskip("dask.array")


@pytest.fixture
def problem() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "x": rng.normal(size=(60, 7)), "w": rng.normal(size=(7, 5)), "b": rng.normal(size=5),
        "v": rng.normal(size=(5, 3)), "t": rng.normal(size=(60, 3)),
    }  # fmt: skip


def chunked(array: Any) -> Any:
    return da.from_array(array, chunks=(16, *array.shape[1:]) if array.ndim == 2 else -1)


def gradients(p: dict[str, Any], make: Any) -> Any:
    x, w, b, v, t = (tl.Tensor(make(p[name]), requires_grad=True) for name in "xwbvt")
    h = np.tanh(x @ w + b)
    h = np.maximum(h, 0.1 * h) / (1 + np.exp(-h))
    out = h @ v - h.mean(axis=0) @ v
    loss = (
        ((out - t) ** 2).sum(axis=1).mean() + np.sqrt((w.T * w.T).sum()) + np.log(1 + v * v).max()
    )
    loss.backward()
    return loss, [leaf.grad for leaf in (x, w, b, v, t)]


def test_an_mlp_over_chunks_has_numpys_gradients_and_stays_lazy(problem: dict[str, Any]):
    loss, expected = gradients(problem, np.array)
    lazy, actual = gradients(problem, chunked)
    assert isinstance(lazy.data, da.Array)
    np.testing.assert_allclose(lazy.data.compute(), loss.data, rtol=1e-12)
    for g, e in zip(actual, expected, strict=True):
        assert isinstance(g, da.Array), "computed too early"
        assert g.shape == e.shape
        np.testing.assert_allclose(g.compute(), e, rtol=1e-12, atol=1e-12)


def test_nothing_is_computed_before_it_is_asked_for(problem: dict[str, Any]):
    runs: list[int] = []

    def counted(block: Any) -> Any:
        runs.append(block.shape[0])
        return block

    x = tl.Tensor(
        chunked(problem["x"]).map_blocks(counted, meta=np.empty((0, 0))), requires_grad=True
    )
    runs.clear()
    y = (np.sin(x) * x).sum()
    y.backward()
    assert not runs
    repr(y)
    assert not runs
    x.grad.compute()
    assert sum(runs) >= 60


def test_weights_in_memory_and_data_in_chunks(problem: dict[str, Any]):
    results = []
    for make in (np.array, chunked):
        x, w = tl.Tensor(make(problem["x"])), tl.tensor(problem["w"], requires_grad=True)
        np.tanh(x @ w).sum().backward()
        results.append(np.asarray(w.grad))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-12)


def test_second_derivatives_over_chunks(problem: dict[str, Any]):
    results = []
    for make in (np.array, chunked):
        w = tl.Tensor(make(problem["w"]), requires_grad=True)
        slope = tl.gradients((np.exp(w) * w).sum(), w, create_graph=True)
        results.append(np.asarray(tl.gradients((slope * slope).sum(), w)))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-12)


OF_NN = {
    case.name: case
    for family in (activations, losses, distances)
    for case in reversed(family.CASES)
    if not case.is_layer
}


@pytest.mark.parametrize("name", OF_NN)
def test_functions_of_networks_are_lazy(name: str):
    f, values = OF_NN[name].of()
    lazy = f(*(da.from_array(x, chunks=-1) for x in values))
    assert type(lazy) is da.Array
    np.testing.assert_allclose(lazy.compute(), f(*values), rtol=1e-12, atol=1e-14)
