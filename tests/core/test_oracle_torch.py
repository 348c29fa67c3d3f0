"""The same expressions in PyTorch: an opinion that is independent of our finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from benchmarks.checkers.primitives import indices
from tinygrad_lab.testing.inputs.calls import arrays, shapes

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(0)


def compare(ours: Any, theirs: Any, *data: Any, tolerance: float = 1e-11) -> None:
    """Value, gradient, and gradient of a function of the gradient."""
    a = [tl.tensor(x, requires_grad=True) for x in data]
    b = [torch.tensor(x, requires_grad=True) for x in data]
    y, z = ours(*a), theirs(*b)
    np.testing.assert_allclose(y.data, z.numpy(force=True), rtol=tolerance, atol=tolerance)
    upstream = np.random.default_rng(1).normal(size=y.shape)
    first = tl.gradients(y, a, upstream, create_graph=True)
    cotangent = torch.tensor(upstream)
    second = torch.autograd.grad(z, b, cotangent, create_graph=True, materialize_grads=True)
    for g, h in zip(first, second, strict=True):
        np.testing.assert_allclose(g.data, h.numpy(force=True), rtol=tolerance, atol=tolerance)
    square, other = sum((g * g).sum() for g in first), sum((h * h).sum() for h in second)
    if not other.requires_grad:
        return
    actual = tl.gradients(square, a) if square.requires_grad else [np.zeros_like(x) for x in data]
    expected = torch.autograd.grad(other, b, materialize_grads=True)
    for g, h in zip(actual, expected, strict=True):
        np.testing.assert_allclose(g, h.numpy(force=True), rtol=10 * tolerance, atol=10 * tolerance)


ELEMENTWISE = [
    "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan", "arcsin",
    "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arctanh", "square", "reciprocal",
    "abs", "exp2",
]  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name: str):
    compare(getattr(np, name), getattr(torch, name), RNG.uniform(0.1, 0.9, (3, 4)))


BINARY = [
    "add", "subtract", "multiply", "divide", "power", "hypot", "arctan2", "logaddexp", "maximum",
    "minimum", "fmod", "remainder",
]  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
def test_binary(name: str):
    theirs = getattr(torch, {"power": "pow"}.get(name, name))
    compare(getattr(np, name), theirs, RNG.uniform(0.5, 3, (3, 1, 4)), RNG.uniform(0.5, 3, (2, 1)))


@pytest.mark.parametrize(
    "text",
    [
        "ij,jk->ik", "ij,kj->ik", "bij,bjk->bik", "i,j->ij", "ii->i", "ii->", "iji->j", "ij->ji",
        "ij,ij->", "ij,ij->ij", "bij,bkj,bk->bi", "i,ij,j->", "...ij,...jk->...ik", "ij,j", "ba",
        "iij,jkk->ik", "abc,cd,bde->ae", "i,i,i->i", "ij->", "ij->j", "...i->...",
        "bhid,bhjd->bhij", "ii,i->i",
    ],
)  # fmt: skip
def test_einsum(text: str):
    sizes = dict(zip("abcdehijk", (2, 3, 2, 4, 3, 2, 3, 4, 2), strict=True))
    sizes |= {"i": 3, "j": 4}
    terms = text.split("->")[0].split(",")
    data = [
        RNG.normal(size=[2] * ("..." in t) + [sizes[c] for c in t.replace("...", "")])
        for t in terms
    ]
    compare(lambda *x: np.einsum(text, *x), lambda *x: torch.einsum(text, *x), *data)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3,), (3,)), ((2, 3), (3,)), ((2,), (2, 3)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((3,), (5, 3, 4)),
        ((5, 2, 3), (3,)), ((1, 2, 3), (5, 3, 1)), ((2, 0), (0, 3)), ((0, 3), (3, 2)),
    ],
)  # fmt: skip
def test_matmul(a: Any, b: Any):
    compare(np.matmul, torch.matmul, RNG.normal(size=a), RNG.normal(size=b))


@pytest.mark.parametrize("axes", [0, 1, 2, ([0], [1]), ([0, 1], [1, 0]), ([-1, 0], [0, 2])])
def test_tensordot(axes: Any):
    a, b = RNG.normal(size=(2, 2, 2)), RNG.normal(size=(2, 2, 2))
    their_axes = axes if isinstance(axes, int) else tuple([i % 3 for i in side] for side in axes)
    compare(
        lambda x, y: np.tensordot(x, y, axes=axes),
        lambda x, y: torch.tensordot(x, y, dims=their_axes),
        a,
        b,
    )


@settings(max_examples=60)
@given(data=st.data())
def test_indexing(data: Any):
    x = data.draw(arrays(data.draw(shapes(1, smallest=1))))
    index = data.draw(indices(x.shape))
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(p, slice) and (p.step or 1) < 0 for p in parts):
        return  # not in PyTorch
    theirs = tuple(
        torch.tensor(p) if isinstance(p, (np.ndarray, list)) else p for p in parts
    )  # fmt: skip
    compare(lambda t: t[index] * t[index], lambda t: t[theirs] * t[theirs], x)


def product(t: Any, dims: Any, keepdims: bool) -> Any:
    for dim in sorted([dims] if isinstance(dims, int) else dims, reverse=True):
        t = torch.prod(t, dim=dim, keepdim=keepdims)
    return t


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (2, 0)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var", "std", "prod"])
def test_reductions(name: str, keepdims: bool, axis: Any):
    x = RNG.permutation(24).reshape(2, 3, 4) / 7 + 0.1
    ours = lambda t: getattr(np, name)(t, axis=axis, keepdims=keepdims)
    dims = tuple(range(3)) if axis is None else axis
    if name in ("max", "min"):
        theirs = lambda t: getattr(torch, f"a{name}")(t, dim=dims, keepdim=keepdims)
    elif name in ("var", "std"):
        theirs = lambda t: getattr(torch, name)(t, dim=dims, keepdim=keepdims, correction=0)
    elif name == "prod":  # one axis at a time, in PyTorch
        theirs = lambda t: product(t, dims, keepdims)
    else:
        theirs = lambda t: getattr(torch, name)(t, dim=dims, keepdim=keepdims)
    compare(ours, theirs, x)


def test_scans_and_scatter():
    x = RNG.normal(size=(3, 4))
    x[0, 1] = x[2, 2] = 0
    compare(lambda t: np.cumsum(t, axis=1), lambda t: torch.cumsum(t, 1), x)
    compare(lambda t: np.cumprod(t, axis=0), lambda t: torch.cumprod(t, 0), x)
    rows = np.array([0, 2, 2, 1])
    compare(lambda t: np.take(t, rows, axis=0) ** 2, lambda t: t[torch.tensor(rows)] ** 2, x)

    def written(t: Any, v: Any) -> Any:
        u = t * t
        u[1:, ::2] = v * v
        return u * t

    compare(written, written, x, RNG.normal(size=(2, 2)))


def test_a_network_with_everything_in_it():
    data = [RNG.normal(size=s) for s in ((6, 4), (5, 4), (5,), (3, 5))]

    def ours(x: Any, w: Any, b: Any, v: Any) -> Any:
        h = np.tanh(x @ w.T + b)
        z = np.concatenate([h, np.where(h > 0, h, 0.1 * h)], axis=0) @ v.T
        p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return -p[np.arange(12), np.arange(12) % 3].mean() + np.sqrt((w * w).sum())

    def theirs(x: Any, w: Any, b: Any, v: Any) -> Any:
        h = torch.tanh(x @ w.T + b)
        z = torch.cat([h, torch.where(h > 0, h, 0.1 * h)], dim=0) @ v.T
        p = torch.log_softmax(z, 1)
        return -p[torch.arange(12), torch.arange(12) % 3].mean() + torch.linalg.norm(w)

    compare(ours, theirs, *data, tolerance=1e-10)


@pytest.mark.parametrize(
    "f",
    [
        lambda m, x, w: m.abs(x * w).sum(),
        lambda m, x, w: (m.abs(m.exp(x) - w) ** 2).sum(),
        lambda m, x, w: m.abs((x * w).sum() / w.sum()),
        lambda m, x, w: m.abs(m.sin(x) @ w),
    ],
)
def test_complex_numbers_have_pytorchs_convention(f: Any):
    data = [RNG.normal(size=4) + 1j * RNG.normal(size=4) for _ in range(2)]
    ours = [tl.tensor(x, requires_grad=True) for x in data]
    theirs = [torch.tensor(x, requires_grad=True) for x in data]
    f(np, *ours).backward()
    f(torch, *theirs).backward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-12)
