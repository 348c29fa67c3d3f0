"""Optimizers by other means than PyTorch: steps computed by hand, and minima that are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.optim.settings import GRID, KINDS, leaves, trained
from tests.support import warnings_of
from tinygrad_lab import nn, optim
from tinygrad_lab.transforms.jit.trace import TracingError

g1, g2 = 2.0, -0.5  # the gradients of the two steps
m, v = 0.9 * 0.1 * g1 + 0.1 * g2, 0.999 * 0.001 * g1**2 + 0.001 * g2**2


def adam(decay: float = 0.0) -> float:
    """Two steps from 1 with a rate of 0.1 and eps of 0."""
    first = 1 * (1 - 0.1 * decay) - 0.1 * g1 / abs(g1)
    return first * (1 - 0.1 * decay) - 0.1 * (m / (1 - 0.9**2)) / (v / (1 - 0.999**2)) ** 0.5


BY_HAND: list[tuple[str, dict[str, Any], float]] = [
    ("SGD", {}, 1 - 0.1 * (g1 + g2)),
    ("SGD", {"momentum": 0.9}, 1 - 0.1 * g1 - 0.1 * (0.9 * g1 + g2)),
    ("SGD", {"momentum": 0.9, "nesterov": True},
     1 - 0.1 * 1.9 * g1 - 0.1 * (g2 + 0.9 * (0.9 * g1 + g2))),
    ("SGD", {"momentum": 0.9, "dampening": 0.5}, 1 - 0.1 * g1 - 0.1 * (0.9 * g1 + 0.5 * g2)),
    ("SGD", {"weight_decay": 0.5}, (1 - 0.1 * (g1 + 0.5)) * 0.95 - 0.1 * g2),
    ("SGD", {"maximize": True}, 1 + 0.1 * (g1 + g2)),
    ("ASGD", {"lambd": 0.5, "alpha": 1.0},
     (1 * (1 - 0.5 * 0.1) - 0.1 * g1) * (1 - 0.5 * (eta := 0.1 / (1 + 0.5 * 0.1))) - eta * g2),
    ("Adagrad", {"eps": 0.0}, 1 - 0.1 - 0.1 * g2 / (g1**2 + g2**2) ** 0.5),
    ("Adagrad", {"eps": 0.0, "lr_decay": 1.0}, 0.9 - 0.05 * g2 / (g1**2 + g2**2) ** 0.5),
    ("Adadelta", {"rho": 0.5, "eps": 0.1},
     1 - 0.1 * (d1 := (0.1 / (0.5 * g1**2 + 0.1)) ** 0.5 * g1)
     - 0.1 * ((0.5 * d1**2 + 0.1) / (0.25 * g1**2 + 0.5 * g2**2 + 0.1)) ** 0.5 * g2),
    ("RMSprop", {"alpha": 0.5, "eps": 0.0},
     1 - 0.1 * 2**0.5 - 0.1 * g2 / (0.25 * g1**2 + 0.5 * g2**2) ** 0.5),
    ("Rprop", {}, 1 - 0.1 + 0),
    ("Rprop", {"etas": (0.5, 2.0), "step_sizes": (0.3, 1.0)}, 1 - 0.3 + 0),
    ("Adam", {"eps": 0.0}, adam()),
    ("Adam", {"eps": 0.0, "weight_decay": 2.0, "decoupled_weight_decay": True}, adam(2.0)),
    ("AdamW", {"eps": 0.0, "weight_decay": 2.0}, adam(2.0)),
    ("Adamax", {"eps": 0.0}, 1 - 0.1 - 0.1 / (1 - 0.9**2) * m / (0.999 * g1)),
    ("RAdam", {}, 1 - 0.1 * g1 - 0.1 * m / (1 - 0.9**2)),  # too early to divide
    ("NAdam", {"eps": 0.0, "momentum_decay": 1e9},  # momentum is β₁ from the start
     1 - 0.1 * (1 + 0.9 * 0.1 / (1 - 0.9**2))
     - 0.1 * (g2 * 0.1 / (1 - 0.9**2) + 0.9 * m / (1 - 0.9**3)) / (v / (1 - 0.999**2)) ** 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "expected"), BY_HAND)
def test_two_steps(name, options, expected):
    p = nn.Parameter(1.0)
    optimizer = getattr(optim, name)([p], **{"lr": 0.1, **options})
    for g in (g1, g2):
        p.grad = np.array(g)
        optimizer.step()
    assert p.item() == pytest.approx(expected, rel=1e-12)


def test_muon_makes_steps_almost_orthogonal():
    rng = np.random.default_rng(0)
    for shape in ((4, 4), (3, 7), (7, 3)):
        p, g = nn.Parameter(np.zeros(shape)), rng.normal(size=shape)
        p.grad = g
        optim.Muon([p], lr=1.0, adjust_lr_fn="match_rms_adamw").step()
        step = p.data / (-0.2 * max(shape) ** 0.5)
        u, _, vh = np.linalg.svd(g, full_matrices=False)
        shares = np.diag(u.T @ step @ vh.T)  # along the singular vectors, each by nearly 1
        assert (shares > 0.6).all() and (shares < 1.3).all()
        np.testing.assert_allclose(u @ np.diag(shares) @ vh, step, atol=1e-12)
    for bad in (np.ones(3), np.ones((2, 2, 2)), np.ones((2, 2), complex)):
        with pytest.raises(ValueError, match=r"Muon moves real matrices.*AdamW"):
            optim.Muon([nn.Parameter(bad)])


RATES: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.05}, "ASGD": {"lr": 0.05},
    "Muon": {"lr": 0.05, "weight_decay": 0, "momentum": 0.5},
    "Adagrad": {"lr": 1.0}, "Adadelta": {"eps": 0.01}, "AdamW": {"lr": 0.1, "weight_decay": 0},
    "Adamax": {"lr": 0.3}, "RAdam": {"lr": 0.3},
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_the_minimum_of_a_bowl_is_found(name):
    p = nn.Parameter([[3.0, -2.0], [1.0, 0.5]])
    centre, scale = np.array([[1.0, 2.0], [-1.0, 0.0]]), np.array([[1.0, 4.0], [2.0, 0.5]])
    optimizer = getattr(optim, name)([p], **RATES.get(name, {"lr": 0.1}))
    schedule = optim.lr_scheduler.PolynomialLR(optimizer, 300)
    for _ in range(300):
        optimizer.zero_grad()
        (scale * (p - centre) ** 2).sum().backward()
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(p.data, centre, atol=0.02)


def rosenbrock(x: Any) -> Any:
    return ((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2).sum()


def lbfgs(p: Any, **options: Any) -> tuple[Any, Any, list[float]]:
    """An optimizer, its closure and the losses that are seen."""
    optimizer, losses = optim.LBFGS([p], **options), []

    def closure() -> Any:
        optimizer.zero_grad()
        loss = rosenbrock(p)
        loss.backward()
        losses.append(loss.item())
        return loss

    return optimizer, closure, losses


@pytest.mark.parametrize("size", [2, 5])
def test_lbfgs_finds_the_end_of_rosenbrocks_valley(size):
    p = nn.Parameter(np.where(np.arange(size) % 2, 1.0, -1.2))
    optimizer, closure, losses = lbfgs(
        p, max_iter=200, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )
    first = optimizer.step(closure)
    np.testing.assert_allclose(p.data, 1, atol=1e-6)
    assert (first.item(), min(losses)) == (losses[0], pytest.approx(0, abs=1e-12))
    assert len(losses) < 100
    optimizer.step(closure)
    assert len(losses) < 102  # it is there


def test_lbfgs_of_a_quadratic_is_newtons_method():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(4, 4))
    A, b = A @ A.T + np.eye(4), rng.normal(size=4)
    p, q = nn.Parameter(np.zeros(3)), nn.Parameter(np.zeros((1, 1)))
    optimizer = optim.LBFGS([p, q], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        x = np.concatenate([p, q[0]])
        loss = x @ A @ x / 2 - b @ x
        loss.backward()
        return loss

    optimizer.step(closure)
    x = np.concatenate([p.data, q.data[0]])
    np.testing.assert_allclose(x, np.linalg.solve(A, b), atol=1e-5)


def test_lbfgs_comes_back_from_where_the_loss_is_no_number():
    p = nn.Parameter([5.0])
    optimizer = optim.LBFGS([p], lr=1e3, max_eval=500, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        with np.errstate(all="ignore"):
            loss = (p - np.log(p)).sum()
            loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(p.data, 1, rtol=1e-3)


def test_lbfgs_goes_on_from_its_state():
    whole, first = nn.Parameter([-1.2, 1.0]), nn.Parameter([-1.2, 1.0])
    options = {"max_iter": 3, "history_size": 4, "line_search_fn": "strong_wolfe"}
    optimizer, closure, _ = lbfgs(whole, **options)
    for _ in range(4):
        optimizer.step(closure)
    optimizer, closure, _ = lbfgs(first, **options)
    for _ in range(2):
        optimizer.step(closure)
    second = nn.Parameter(first.data)
    again, closure, _ = lbfgs(second)
    again.load_state_dict(optimizer.state_dict())
    for _ in range(2):
        again.step(closure)
    np.testing.assert_array_equal(second.data, whole.data)


def test_lbfgs_leaves_everything_where_a_closure_fails():
    p = nn.Parameter([-1.2, 1.0])
    optimizer, closure, losses = lbfgs(p, line_search_fn="strong_wolfe")
    optimizer.step(closure)
    data, state, count = p.data.copy(), repr(optimizer.state_dict()), len(losses)

    def failing() -> Any:
        if len(losses) == count + 3:
            raise ZeroDivisionError
        return closure()

    with pytest.raises(ZeroDivisionError):
        optimizer.step(failing)
    np.testing.assert_array_equal(p.data, data)
    assert repr(optimizer.state_dict()) == state


def test_lbfgs_says_what_it_wants():
    p, frozen = nn.Parameter([-1.2, 1.0]), nn.Parameter([3.0], requires_grad=False)
    optimizer, closure, _ = lbfgs(p)
    with pytest.raises(TypeError, match=r"LBFGS\.step\(closure\) calls closure several times"):
        optimizer.step()
    with pytest.raises(TypeError, match="it must return the loss"):
        optimizer.step(lambda: None)
    with pytest.raises(TracingError, match=r"tl\.jit\(closure\)"):
        tl.jit(lambda: optimizer.step(closure))()
    with pytest.raises(ValueError, match="one group"):
        optim.LBFGS([{"params": [p]}, {"params": [frozen]}])
    with pytest.raises(TypeError, match="complex128"):
        optim.LBFGS([nn.Parameter([1j])])
    with pytest.raises(ValueError, match="line_search_fn='wolfe': expected None or 'strong_wolfe'"):
        optim.LBFGS([p], line_search_fn="wolfe")
    both = optim.LBFGS([p, frozen], max_iter=2)
    both.step(closure)
    assert frozen.item() == 3
    p.data = np.ones(4)
    with pytest.raises(ValueError, match="3 numbers, and its parameters have 5 by now"):
        both.step(closure)
    for junk in ({"d": 3}, {"speed": 1}, {"d": np.ones(2)}, {"func_evals": -1}, 3):
        state = optimizer.state_dict()
        state["state"] = {0: junk}
        with pytest.raises(ValueError, match=r"state\[0\]"):
            optimizer.load_state_dict(state)


# -- what PyTorch's users write ---------------------------------------------------------------


class Lion(optim.Optimizer):
    """One of the user's own, as one writes it for PyTorch."""

    def __init__(self, params: Any, lr: float = 1e-2, betas: Any = (0.9, 0.99)) -> None:
        super().__init__(params, {"lr": lr, "betas": betas})

    def step(self, closure: Any = None) -> Any:
        loss = None if closure is None else closure()
        for group in self.param_groups:
            first, second = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if len(state) == 0:
                    state["step"], state["exp_avg"] = 0, np.zeros_like(p.data)
                state["step"] += 1
                mean = state["exp_avg"]
                p.data = p.data - group["lr"] * np.sign(mean * first + p.grad * (1 - first))
                state["exp_avg"] = mean * second + p.grad * (1 - second)
        return loss


class Slow(optim.SGD):
    """One that only changes what happens around a step."""

    steps = 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        return super().step(closure) if self.steps % 2 else None


def test_subclasses_that_override_step():
    p = nn.Parameter([1.0, -1.0])
    optimizer = Lion([{"params": [p], "note": 3}], lr=0.1)
    optimizer.add_param_group({"params": nn.Parameter([1.0]), "lr": 0.5})
    for _ in range(2):
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(p.data, [0.8, -0.8])
    saved = optimizer.state_dict()
    assert saved["state"][0]["step"] == 2
    again = Lion([{"params": [p], "note": 3}, {"params": nn.Parameter([1.0])}])
    again.load_state_dict(saved)
    assert again.param_groups[1]["lr"] == 0.5
    np.testing.assert_array_equal(again.state[p]["exp_avg"], optimizer.state[p]["exp_avg"])
    assert again.state[p]["exp_avg"] is not saved["state"][0]["exp_avg"]
    slow = Slow([q := nn.Parameter([1.0])], lr=0.1)
    for _ in range(2):
        q.grad = np.ones(1)
        slow.step()
    assert q.item() == 0.9
    q.grad = np.ones(1)
    with pytest.raises(NotImplementedError, match="override it"):
        optim.Optimizer([q], {"lr": 0.1}).step()


@pytest.mark.parametrize("kind", [Lion, Slow])
def test_subclasses_under_jit(kind):
    parameters = [nn.Parameter([1.0, -1.0]) for _ in range(2)]
    optimizers = [kind([p], lr=0.1) for p in parameters]

    def step(p: Any, optimizer: Any) -> Any:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(5):
        for f, p, optimizer in zip((step, tl.jit(step)), parameters, optimizers, strict=True):
            f(p, optimizer)
    np.testing.assert_array_equal(*(p.data for p in parameters))


@pytest.mark.parametrize("name", sorted({name for name, _ in GRID}))
def test_a_closure_is_called_once_where_gradients_are_recorded(name):
    p = nn.Parameter([2.0])
    optimizer, calls = getattr(optim, name)([p], lr=0.1), []

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        calls.append(loss)
        return loss

    with tl.no_grad():
        assert optimizer.step(closure) is calls[0]
    assert p.item() < 2
    assert len(calls) == 1
    assert optimizer.step() is None


def test_zero_grad():
    p, q = nn.Parameter([2.0]), nn.Parameter([2.0])
    optimizer = optim.SGD([p, q])
    p.grad = np.ones(1)
    optimizer.zero_grad(set_to_none=False)
    assert (p.grad, q.grad) == (np.zeros(1), None)
    optimizer.zero_grad()
    assert p.grad is None


def test_named_parameters():
    model = nn.Sequential(nn.Linear(2, 1, rng=0), nn.Linear(1, 1, rng=1))
    optimizer = optim.Adam(model.named_parameters())
    names = ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == names
    optimizer.load_state_dict(optim.Adam(model.parameters()).state_dict())
    assert optimizer.param_groups[0]["param_names"] == names
    optimizer.add_param_group({"params": [("extra", nn.Parameter([1.0]))], "lr": 0.1})
    assert optimizer.param_groups[1]["param_names"] == ["extra"]
    with pytest.raises(ValueError, match="name all, or none"):
        optimizer.add_param_group({"params": [nn.Parameter([1.0])]})
    with pytest.raises(ValueError, match=r"'0\.bias' \(shape \(1,\)\) is there twice"):
        optim.SGD([*model.named_parameters(), ("0.bias", model[0].bias)])
    with pytest.raises(ValueError, match="some are not"):
        optim.SGD([("a", nn.Parameter([1.0])), nn.Parameter([1.0])])
    with pytest.raises(ValueError, match="there twice"):
        optimizer.add_param_group({"params": [("again", model[0].bias)]})
    assert len(optimizer.param_groups) == 2


def test_a_state_of_another_optimizer():
    p = nn.Parameter([2.0])
    p.grad = np.ones(1)
    adam, sgd = optim.Adam([p]), optim.SGD([p], momentum=0.9)
    for optimizer in (adam, sgd):
        optimizer.step()
    with pytest.raises(ValueError, match=r"SGD has no option 'betas', 'eps', 'amsgrad'"):
        sgd.load_state_dict(adam.state_dict())
    state = optim.RMSprop([p]).state_dict()
    state["state"] = adam.state_dict()["state"]
    with pytest.raises(ValueError, match=r"state\[0\] must hold step, square_avg.*exp_avg_sq"):
        optim.RMSprop([p]).load_state_dict(state)


def test_differentiable_says_what_to_write():
    with pytest.raises(ValueError, match=r"differentiable=True.*w - lr \* tl\.grad"):
        optim.SGD([nn.Parameter([1.0])], differentiable=True)
    optim.Adam([nn.Parameter([1.0])], foreach=True, fused=False, capturable=True)


def test_a_rate_of_0_moves_nothing():
    for name in KINDS:
        parameters = leaves(name)
        before = [p.data.copy() for p in parameters]
        optimizer = getattr(optim, name)(parameters, lr=0)
        if name == "Rprop":  # whose step sizes grow from the rate
            continue
        assert warnings_of(lambda: trained(optimizer, parameters, 2), 1) == []  # noqa: B023
        for p, data in zip(parameters, before, strict=True):
            np.testing.assert_array_equal(p.data, data)
