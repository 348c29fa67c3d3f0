"""Functions and layers beside PyTorch's: values, first and second derivatives (``cases/``)."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.nn.cases import Case, every_case, number, of_output, weights

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

each_case = pytest.mark.parametrize("case", [c for c in every_case() if c.torch], ids=str)


@pytest.fixture(autouse=True)
def attention_by_formula():
    """PyTorch's fast attention has no second derivative."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yield


def to_torch(x):
    return torch.tensor(x) if isinstance(x, np.ndarray) else x


def theirs(case: Case):
    """PyTorch's function of the same values, and these."""
    given = [to_torch(x) for x in case.inputs]
    floats = [x for x in given if isinstance(x, torch.Tensor) and x.is_floating_point()]
    options = {name: to_torch(value) for name, value in case.options.items()}
    if case.torch is not True:
        return (lambda: case.torch(torch, *given, **options)), floats
    if not case.is_layer:
        return (lambda: getattr(torch.nn.functional, case.name)(*given, **options)), floats
    ours = case.make()
    for name in ("rng", "init"):
        options.pop(name, None)
    layer = getattr(torch.nn, case.name)(*map(to_torch, case.args), **options).double()
    layer.train(case.training)
    layer.load_state_dict({name: torch.as_tensor(v) for name, v in ours.state_dict().items()})
    return (lambda: layer(*given)), [*floats, *layer.parameters()]


def of_torch(y):
    if isinstance(y, torch.Tensor):
        return [y] if y.is_floating_point() else []
    return [part for item in y or () for part in of_torch(item)]


@each_case
def test_values_and_derivatives_are_those_of_pytorch(case: Case):
    f, values = case.of()
    g, floats = theirs(case)
    floats = [x.requires_grad_() for x in floats]
    close = {"rtol": case.tolerance, "atol": case.tolerance}
    outputs = of_torch(g())
    for y, z in zip(of_output(copy.copy(f)(*values)), outputs, strict=True):
        y = y.data if isinstance(y, tl.Tensor) else y
        assert y.shape == tuple(z.shape)
        np.testing.assert_allclose(y, z.numpy(force=True), **close)
    if not case.order or not floats:
        return
    total = sum((z * torch.tensor(weights(tuple(z.shape)))).sum() for z in outputs)
    twice = case.order > 1
    expected = torch.autograd.grad(total, floats, create_graph=twice, materialize_grads=True)
    by = tuple(range(len(values)))
    for a, e in zip(tl.grad(number(f), by)(*values), expected, strict=True):
        np.testing.assert_allclose(a, e.numpy(force=True), **close)
    inner = sum((e * torch.tensor(weights(tuple(e.shape)))).sum() for e in expected)
    if not twice or not inner.requires_grad:
        return
    second = torch.autograd.grad(inner, floats, materialize_grads=True)
    ours = tl.grad(number(tl.grad(number(f), by)), by)(*values)
    close = {name: 10 * tolerance for name, tolerance in close.items()}
    for a, e in zip(ours, second, strict=True):
        np.testing.assert_allclose(a, e.numpy(force=True), **close)
