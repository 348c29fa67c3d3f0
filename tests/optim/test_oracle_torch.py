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


# -- schedules --------------------------------------------------------------------------------

SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.9**epoch}),
    ("LambdaLR", {"lr_lambda": [lambda epoch: 1 / (1 + epoch), lambda epoch: min(1, epoch / 9)]}),
    ("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.9 + 0.01 * (epoch % 3)}),
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("StepLR", {"step_size": 1}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 30], "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [0, 7]}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.1, "total_iters": 9}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 20}),
    ("LinearLR", {"start_factor": 0.5, "end_factor": 0.0, "total_iters": 7}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 40, "power": 2.5}),
    ("CosineAnnealingLR", {"T_max": 7}),
    ("CosineAnnealingLR", {"T_max": 20, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 1, "eta_min": 0.1}),
    ("CosineAnnealingWarmRestarts", {"T_0": 7}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.01}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 4}),
    ("CyclicLR", {"base_lr": [0.01, 0.02], "max_lr": 0.5, "step_size_up": 4, "step_size_down": 9,
                  "mode": "triangular2", "base_momentum": 0.5, "max_momentum": 0.95}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.3, "step_size_up": 5, "mode": "exp_range",
                  "gamma": 0.95, "cycle_momentum": False}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.3, "step_size_up": 5,
                  "scale_fn": lambda x: 1 / (5**x * 0.01 + 1), "scale_mode": "iterations"}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 80}),
    ("OneCycleLR", {"max_lr": [0.5, 0.1], "epochs": 10, "steps_per_epoch": 7, "pct_start": 0.25,
                    "three_phase": True, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 61, "cycle_momentum": False, "div_factor": 3.0,
                    "final_div_factor": 7.0, "pct_start": 0.9}),
]  # fmt: skip
every_schedule = pytest.mark.parametrize(
    ("name", "arguments"), SCHEDULES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(SCHEDULES)]
)
HOMES = ((optim, tl.nn.Parameter), (torch.optim, lambda a: torch.tensor(a, requires_grad=True)))


def scheduled(home: Any, wrap: Any, name: str, arguments: Any, kind: str = "Adam") -> Any:
    """An optimizer of two groups, and its schedule."""
    groups = [{"params": [wrap([1.0])]}, {"params": [wrap([2.0])], "lr": 0.5}]
    optimizer = getattr(home, kind)(groups, lr=0.3)
    if kind == "SGD":
        for group in optimizer.param_groups:
            group["momentum"] = 0.9
    return optimizer, getattr(home.lr_scheduler, name)(optimizer, **arguments)


def course(optimizer: Any, schedule: Any, steps: int, by_hand: int = -1) -> list[Any]:
    """Rates and momenta, epoch by epoch."""
    rates = []
    for step in range(steps):
        rates += [[g["lr"], g.get("momentum"), g.get("betas")] for g in optimizer.param_groups]
        rates.append(schedule.get_last_lr())
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = type(p.grad)([1.0]) if p.grad is not None else None
        optimizer.has_stepped = optimizer._opt_called = True
        if step == by_hand:
            optimizer.param_groups[0]["lr"] = 0.7
        schedule.step()
    return rates


def assert_same_course(ours: Any, theirs: Any) -> None:
    for a, b in zip(ours, theirs, strict=True):
        flat = lambda row: np.hstack([v for v in row if v is not None])
        np.testing.assert_allclose(flat(a), flat(b), rtol=1e-12, atol=1e-12)


@every_schedule
@pytest.mark.parametrize("kind", ["Adam", "SGD"])
@pytest.mark.parametrize("by_hand", [-1, 11])
def test_60_epochs(name, arguments, kind, by_hand):
    assert_same_course(*(course(*scheduled(*h, name, arguments, kind), 60, by_hand) for h in HOMES))


@every_schedule
def test_a_schedule_goes_on_from_the_others_state(name, arguments):
    (own, ours), (other, theirs) = (scheduled(*h, name, arguments) for h in HOMES)
    course(other, theirs, 8)
    course(own, ours, 3)
    ours.load_state_dict(theirs.state_dict())
    own.load_state_dict(other.state_dict())
    assert_same_course(course(own, ours, 20), course(other, theirs, 20))
    course(own, ours, 5)
    theirs.load_state_dict(ours.state_dict())
    other.load_state_dict(own.state_dict())
    assert_same_course(course(own, ours, 12), course(other, theirs, 12))


@every_schedule
def test_last_epoch(name, arguments):
    courses = []
    for home, wrap in HOMES:
        optimizer, schedule = scheduled(home, wrap, name, arguments)
        course(optimizer, schedule, 6)
        kwargs = {**arguments, "last_epoch": schedule.last_epoch}
        courses.append(course(optimizer, getattr(home.lr_scheduler, name)(optimizer, **kwargs), 20))
    if arguments.get("T_mult", 1) == 1:  # PyTorch begins in the wrong place of a longer period
        assert_same_course(*courses)
    else:
        optimizer, schedule = scheduled(*HOMES[0], name, arguments)
        assert_same_course(courses[0], course(optimizer, schedule, 27)[21:])


@every_schedule
def test_schedule_arguments_their_order_and_defaults(name, arguments):
    own, other = (
        inspect.signature(getattr(home.lr_scheduler, name)).parameters.values() for home, _ in HOMES
    )
    assert [(p.name, p.kind, p.default) for p in own] == [
        (p.name, p.kind, p.default) for p in other
    ]


SWALRS = [
    {"swa_lr": 0.05},
    {"swa_lr": [0.05, 0.9], "anneal_epochs": 4, "anneal_strategy": "linear"},
    {"swa_lr": 0.05, "anneal_epochs": 0},
]


@pytest.mark.parametrize("arguments", SWALRS, ids=map(str, SWALRS))
@pytest.mark.parametrize("by_hand", [-1, 2])
def test_swalr(arguments, by_hand):
    courses = []
    for home, wrap in HOMES:
        optimizer = home.SGD([{"params": [wrap([1.0])]}, {"params": [wrap([2.0])], "lr": 0.5}], 0.3)
        schedule = home.swa_utils.SWALR(optimizer, **arguments)
        courses.append(course(optimizer, schedule, 20, by_hand))
    assert_same_course(*courses)


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("kind", ["swa", "ema"])
def test_averaged_models(use_buffers, kind):
    ours = tl.nn.Sequential(tl.nn.Linear(2, 3, rng=0), tl.nn.BatchNorm1d(3))
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    averages = []
    for home, model in ((optim, ours), (torch.optim, theirs)):
        utils = home.swa_utils
        fn = {"ema": utils.get_ema_multi_avg_fn(0.8), "swa": None}[kind]
        averages.append(utils.AveragedModel(model, multi_avg_fn=fn, use_buffers=use_buffers))
    rng = np.random.default_rng(0)
    for _ in range(4):
        state = {k: rng.random(v.shape) for k, v in ours.state_dict().items()}
        state["1.num_batches_tracked"] = np.array(3)
        ours.load_state_dict(state)
        theirs.load_state_dict(tensors(state))
        for average, model in zip(averages, (ours, theirs), strict=True):
            average.update_parameters(model)
    batches = rng.normal(size=(3, 5, 2))
    for _ in range(2):
        a, b = (average.state_dict() for average in averages)
        assert list(a) == ["n_averaged", *b] or {*a} == {*b}
        for name, value in b.items():
            np.testing.assert_allclose(a[name], value.numpy(), rtol=1e-12, err_msg=name)
        optim.swa_utils.update_bn(list(batches), averages[0])
        torch.optim.swa_utils.update_bn(torch.tensor(batches), averages[1])


PLATEAUS = [
    {"patience": 2},
    {"mode": "max", "factor": 0.5, "patience": 1, "threshold": 0.1, "cooldown": 2},
    {"threshold_mode": "abs", "threshold": 0.01, "patience": 0, "min_lr": [0.1, 0.2]},
    {"mode": "max", "threshold_mode": "abs", "patience": 1, "eps": 0.05, "min_lr": 0.01},
]


@pytest.mark.parametrize("arguments", PLATEAUS, ids=map(str, PLATEAUS))
def test_reduce_on_plateau(arguments):
    metrics = np.round(np.random.default_rng(0).normal(size=40).cumsum() / 3, 1)
    pairs = [scheduled(*home, "ReduceLROnPlateau", arguments) for home in HOMES]
    for i, value in enumerate(metrics):
        for _, schedule in pairs:
            schedule.step(float(value))
        assert pairs[0][1].get_last_lr() == pairs[1][1].get_last_lr()
        if i == 20:
            pairs[0][1].load_state_dict(pairs[1][1].state_dict())
            pairs[1][1].load_state_dict(pairs[0][1].state_dict())


def chained(home: Any, optimizer: Any) -> Any:
    s = home.lr_scheduler
    return s.ChainedScheduler(
        [
            s.ConstantLR(optimizer, factor=0.1, total_iters=5),
            s.ExponentialLR(optimizer, gamma=0.9),
            s.CosineAnnealingLR(optimizer, T_max=9),
        ]
    )


def in_a_row(home: Any, optimizer: Any) -> Any:
    s = home.lr_scheduler
    schedules = [
        s.LinearLR(optimizer, 0.1, total_iters=4),
        s.CosineAnnealingWarmRestarts(optimizer, 5),
        s.MultiplicativeLR(optimizer, lambda epoch: 0.9),
        s.StepLR(optimizer, 3, 0.5),
        s.CosineAnnealingLR(optimizer, 6),
    ]
    return s.SequentialLR(optimizer, schedules, [4, 15, 20, 30])


@pytest.mark.parametrize("make", [chained, in_a_row])
def test_several_schedules(make):
    pairs = []
    for home, wrap in HOMES:
        optimizer = home.SGD([wrap([1.0])], lr=0.3, momentum=0.9)
        pairs.append((optimizer, make(home, optimizer)))
    assert_same_course(*(course(*pair, 25) for pair in pairs))
    (_, ours), (other, theirs) = pairs
    fresh = optim.SGD([tl.nn.Parameter([1.0])], lr=0.3, momentum=0.9)
    schedule = make(optim, fresh)
    schedule.load_state_dict(theirs.state_dict())
    fresh.load_state_dict(other.state_dict())
    theirs.load_state_dict(ours.state_dict())
    assert_same_course(course(fresh, schedule, 20), course(other, theirs, 20))
