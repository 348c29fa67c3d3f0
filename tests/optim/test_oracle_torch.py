"""Optimizers, schedules and states beside PyTorch's, in float64."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.optim.settings import GRID, KINDS, MUON, leaves, start, trained
from tinygrad_lab import optim

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

every_setting = pytest.mark.parametrize(
    ("name", "options"), [*GRID, *MUON], ids=map(str, [*GRID, *MUON])
)
every_kind = pytest.mark.parametrize("name", [*KINDS, "LBFGS"])


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """PyTorch keeps numbers in its default dtype, and multiplies Muon's matrices in bfloat16."""
    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    yield
    torch.set_default_dtype(torch.float32)


def theirs(name: str) -> list[Any]:
    return [torch.tensor(a, requires_grad=True) for a in start(name)]


def assert_same(ours: Any, others: Any, tolerance: float = 1e-10) -> None:
    for a, b in zip(ours, others, strict=True):
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=tolerance, atol=tolerance)


@every_setting
def test_30_steps(name, options):
    own, others = leaves(name), theirs(name)
    trained(getattr(optim, name)(own, **options), own, 30)
    trained(getattr(torch.optim, name)(others, **options), others, 30, wrap=torch.tensor)
    assert_same(own, others)


@every_kind
def test_arguments_their_order_and_defaults(name):
    own, other = (inspect.signature(getattr(home, name)) for home in (optim, torch.optim))
    strip = lambda signature: [(p.name, p.kind, p.default) for p in signature.parameters.values()]
    assert strip(own) == strip(other)
    own, other = (
        getattr(home, name)([{"params": [p]}]).defaults
        for home, p in ((optim, tl.nn.Parameter(np.ones((2, 2)))), (torch.optim, torch.ones(2, 2)))
    )
    assert own == other


# -- states, both ways ------------------------------------------------------------------------


def tensors(value: Any) -> Any:
    """What a user writes to hand our state to PyTorch."""
    return torch.utils._pytree.tree_map_only(np.ndarray, torch.tensor, value)


@pytest.mark.parametrize(("name", "options"), KINDS.items())
@pytest.mark.parametrize("back", [False, True])
def test_five_steps_there_and_five_here_are_ten(name, options, back):
    whole, own, others = theirs(name), leaves(name), theirs(name)
    trained(getattr(torch.optim, name)(whole, **options), whole, 10, wrap=torch.tensor)
    here = getattr(optim, name)(own, lr=0.3)
    there = getattr(torch.optim, name)(others, **options)
    if back:
        here = getattr(optim, name)(own, **options)
        trained(here, own, 5)
        there.load_state_dict(tensors(here.state_dict()))
        for p, q in zip(others, own, strict=True):
            p.data = torch.tensor(q.data)
        trained(there, others, 5, first=5, wrap=torch.tensor)
        assert_same(whole, others)
        return
    trained(there, others, 5, wrap=torch.tensor)
    here.load_state_dict(copy.deepcopy(there.state_dict()))
    for p, q in zip(own, others, strict=True):
        p.data = q.detach().numpy().copy()
    trained(here, own, 5, first=5)
    assert_same(own, whole)


@pytest.mark.parametrize("name", KINDS)
def test_state_keys(name):
    own, others = leaves(name), theirs(name)
    ours, other = getattr(optim, name)(own), getattr(torch.optim, name)(others)
    trained(ours, own, 1)
    trained(other, others, 1, wrap=torch.tensor)
    a, b = ours.state_dict(), other.state_dict()
    assert {*a["param_groups"][0]} == {*b["param_groups"][0]}
    assert [{*entries} for entries in a["state"].values()] == [
        {*entries} for entries in b["state"].values()
    ]


def test_named_parameters_and_float32_states():
    weights = np.ones((2, 3), np.float32)
    other = torch.nn.Linear(3, 2, dtype=torch.float32)
    there = torch.optim.Adam(other.named_parameters())
    for p in other.parameters():
        p.grad = torch.ones_like(p)
    there.step()
    model = tl.nn.Linear(3, 2, rng=0)
    here = optim.Adam(model.named_parameters())
    assert here.param_groups[0]["param_names"] == there.param_groups[0]["param_names"]
    here.load_state_dict(there.state_dict())
    assert here.state[model.weight]["exp_avg"].dtype == np.float64
    np.testing.assert_allclose(here.state[model.weight]["exp_avg"], weights * 0.1, rtol=1e-6)
    there.load_state_dict(tensors(here.state_dict()))


# -- L-BFGS -----------------------------------------------------------------------------------

LBFGS = [
    {"lr": 1e-3},
    {"lr": 0.05, "history_size": 3, "max_iter": 7},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "lr": 0.5, "history_size": 2, "max_iter": 4},
    {"line_search_fn": "strong_wolfe", "max_eval": 3, "tolerance_grad": 1e-3},
]


def valley(x: Any, y: Any) -> Any:
    """Rosenbrock's, in two variables by two."""
    return ((1 - x) ** 2).sum() + 10 * ((y - x * x) ** 2).sum()


def descended(home: Any, parameters: Any, steps: int, state: Any = None, **options: Any) -> Any:
    optimizer = home.LBFGS(parameters, **options)
    if state is not None:
        optimizer.load_state_dict(state)
    losses = []

    def closure() -> Any:
        optimizer.zero_grad()
        loss = valley(*parameters)
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return losses, optimizer


VALLEY = [np.array([-1.2, 0.3]), np.array([1.0, 0.5])]


@pytest.mark.parametrize("options", LBFGS, ids=map(str, LBFGS))
def test_lbfgs_evaluates_the_same_points(options):
    own = [tl.tensor(a, requires_grad=True) for a in VALLEY]
    others = [torch.tensor(a, requires_grad=True) for a in VALLEY]
    (a, ours), (b, other) = (
        descended(optim, own, 5, **options),
        descended(torch.optim, others, 5, **options),
    )
    np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-12)
    assert_same(own, others, 1e-8)
    keys = {*other.state_dict()["state"][0]} - {"al"}
    assert {*ours.state_dict()["state"][0]} == keys


@pytest.mark.parametrize("options", LBFGS, ids=map(str, LBFGS))
@pytest.mark.parametrize("back", [False, True])
def test_lbfgs_goes_on_from_the_others_state(options, back):
    homes = (optim, torch.optim) if back else (torch.optim, optim)
    make = {
        optim: lambda arrays: [tl.tensor(a, requires_grad=True) for a in arrays],
        torch.optim: lambda arrays: [torch.tensor(a, requires_grad=True) for a in arrays],
    }
    whole = make[torch.optim](VALLEY)
    descended(torch.optim, whole, 4, **options)
    first = make[homes[0]](VALLEY)
    _, optimizer = descended(homes[0], first, 2, **options)
    state = copy.deepcopy(optimizer.state_dict())
    second = make[homes[1]]([np.asarray(p.detach().data).copy() for p in first])
    descended(homes[1], second, 2, tensors(state) if back else state, **options)
    for p, q in zip(second, whole, strict=True):
        np.testing.assert_allclose(
            np.asarray(p.detach().data), q.detach().numpy(), rtol=1e-7, atol=1e-9
        )
