"""Layers, losses, optimizers, schedules, clipping: jitted, each is what it is, bit for bit.

Not for: NumPy's functions (``test_catalogue.py``), or the text of programs (``test_source.py``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.transforms.jit.alike import assert_alike, assert_goes
from tinygrad_lab import nn, optim

F = nn.functional
STEPS = 300 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 5
ROWS = np.random.default_rng(0).normal(size=(4, 5))
IMAGES = np.random.default_rng(1).normal(size=(2, 4, 7, 6))
P = 1 / (1 + np.exp(-ROWS))
Q = P[::-1]
LABELS = np.array([0, 4, 2, 2])


# -- layers, activations, losses (all others: tests/nn/test_cases.py) ----------------------------

LAYERS: dict[str, tuple[Callable[[], nn.Module], Any]] = {
    "Linear": (lambda: nn.Linear(5, 3, rng=0), ROWS),
    "Linear of more axes": (lambda: nn.Linear(6, 3, rng=0), IMAGES),
    "Conv2d": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, rng=0), IMAGES),
    "Conv2d, dilated": (lambda: nn.Conv2d(4, 2, 2, dilation=2, bias=False, rng=0), IMAGES),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, padding=1, ceil_mode=True), IMAGES),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), IMAGES),
    "Flatten": (lambda: nn.Flatten(), IMAGES),
    "Dropout": (lambda: nn.Dropout(0.4, rng=0), ROWS),
    "Identity": (lambda: nn.Identity(), ROWS),
    "Sigmoid": (lambda: nn.Sigmoid(), ROWS),
    "Tanh": (lambda: nn.Tanh(), ROWS),
    "ReLU": (lambda: nn.ReLU(), ROWS),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.2), ROWS),
    "ELU": (lambda: nn.ELU(0.5), ROWS),
    "GELU": (lambda: nn.GELU(), ROWS),
    "SiLU": (lambda: nn.SiLU(), ROWS),
    "Softplus": (lambda: nn.Softplus(2.0), ROWS),
    "Softmax": (lambda: nn.Softmax(0), ROWS),
    "LogSoftmax": (lambda: nn.LogSoftmax(), ROWS),
    "MLP": (lambda: nn.MLP([5, 4, 3], rng=0), ROWS),
    "Sequential": (lambda: nn.Sequential(nn.Linear(5, 4, rng=0), nn.ReLU()), ROWS),
}


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer_is_the_same(name: str):
    make, x = LAYERS[name]

    def gradients(model: nn.Module, x: Any) -> Any:
        x = tl.Tensor(x, requires_grad=True)
        for p in model.parameters():
            p.grad = None
        y = model(x)
        (np.sum(np.sin(y)) + np.sum(np.sin(y) * y)).backward()
        return [y, x.grad, *(p.grad for p in model.parameters())]

    here, there, jitted = make(), make(), tl.jit(gradients, backend="numpy")
    for i in range(4):
        values = np.roll(x * (1 + i), i, -1)
        assert_alike(jitted(there, values), gradients(here, values))
    assert sum(r.calls for r in recordings(jitted)) >= 2


FUNCTIONS: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "log_softmax": (lambda x: F.log_softmax(x, 0), [ROWS]),
    "logsumexp": (lambda x: F.logsumexp(x, (0, 1), keepdims=True), [ROWS]),
    "mse_loss": (F.mse_loss, [ROWS, Q]),
    "l1_loss": (lambda x, y: F.l1_loss(x, y, reduction="sum"), [ROWS, Q]),
    "binary_cross_entropy": (lambda x, y: F.binary_cross_entropy(x, y), [P, Q]),
    "binary_cross_entropy with ends": (
        lambda x, y: F.binary_cross_entropy(x, y), [np.where(ROWS > 1, 1.0, P), Q],
    ),
    "binary_cross_entropy_with_logits": (
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, pos_weight=np.full(5, 2.0)),
        [ROWS, Q],
    ),
    "cross_entropy": (lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.1), [ROWS]),
    "cross_entropy of shares": (lambda x: F.cross_entropy(x, Q / 5), [ROWS]),
    "cross_entropy with weights": (
        lambda x: F.cross_entropy(x, LABELS, np.arange(1.0, 6), ignore_index=2), [ROWS],
    ),
    "nll_loss": (lambda x: F.nll_loss(F.log_softmax(x), LABELS, reduction="none"), [ROWS]),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_is_the_same(name: str):
    f, arrays = FUNCTIONS[name]
    gradient = tl.grad(lambda *xs: np.sum(f(*xs) * 1.5), tuple(range(len(arrays))))
    second = tl.grad(lambda *xs: sum(np.sum(np.sin(g)) for g in gradient(*xs)))
    versions = [arrays, arrays, [a[:, ::-1] for a in arrays], [a[::-1] for a in arrays]]
    for function in (f, gradient, second):
        assert_goes(lambda *xs, function=function: function(*xs), versions)


def test_bad_labels_and_probabilities_are_refused_in_every_call():
    entropy = tl.jit(lambda x, labels: F.cross_entropy(x, labels))
    for labels in (LABELS, LABELS, LABELS):
        entropy(ROWS, labels)
    with pytest.raises(IndexError, match=r"label 5 at \[1\] is outside the classes 0 to 4"):
        entropy(ROWS, np.array([0, 5, 1, 1]))
    binary = tl.jit(lambda p: F.binary_cross_entropy(p, Q))
    for _ in range(3):
        binary(P)
    with pytest.raises(ValueError, match="takes probabilities"):
        binary(P + 1)


# -- training -------------------------------------------------------------------------------------


class RNN(nn.Module):
    """Recurrent, written out."""

    def __init__(self) -> None:
        make = lambda a, b, rng: nn.Linear(a, b, dtype=np.float32, rng=rng)
        self.into, self.again, self.out = make(4, 6, 0), make(6, 6, 1), make(6, 3, 2)

    def forward(self, x: Any) -> Any:
        h = np.zeros((x.shape[0], 6), x.dtype)
        for t in range(x.shape[1]):
            h = np.tanh(self.into(x[:, t]) + self.again(h))
        return self.out(h)


class Normed(nn.Module):
    """With running statistics, as batch normalisation has."""

    def __init__(self) -> None:
        self.linear = nn.Linear(5, 3, rng=0)
        self.mean, self.count = np.zeros(5), 0

    def forward(self, x: Any) -> Any:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * np.mean(x, axis=0)
            self.count += 1
        return self.linear(x - self.mean / (1 - 0.9**self.count))


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        self.weight = nn.Parameter(np.random.default_rng(0).normal(size=(5, 5)))
        self.head = nn.Linear(5, 3, rng=0)
        self.same = self.weight

    def forward(self, x: Any) -> Any:
        return self.head(np.tanh(x @ self.weight) @ self.same.T)


def frozen_below() -> nn.Module:
    model = mlp()
    first = next(iter(model.parameters()))
    first.requires_grad = False
    return model


def mlp() -> nn.Module:
    f = np.float32
    return nn.Sequential(
        nn.Linear(5, 8, dtype=f, rng=0), nn.ReLU(), nn.Dropout(0.3, rng=3),
        nn.Linear(8, 3, dtype=f, rng=1),
    )  # fmt: skip


def cnn() -> nn.Module:
    f = np.float32
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, dtype=f, rng=0), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 3, dtype=f, rng=1), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(4, 3, dtype=f, rng=1),
    )  # fmt: skip


SHAPES = {cnn: (6, 1, 8, 8), RNN: (7, 5, 4)}
OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD": lambda ps: optim.SGD(ps, lr=0.1),
    "momentum": lambda ps: optim.SGD(ps, 0.05, 0.9, weight_decay=1e-3, nesterov=True),
    "Adam": lambda ps: optim.Adam(ps, lr=0.01),
    "amsgrad": lambda ps: optim.Adam(ps, lr=0.01, amsgrad=True, weight_decay=0.01),
    "AdamW": lambda ps: optim.AdamW(ps, lr=0.01),
    "RMSprop": lambda ps: optim.RMSprop(ps, lr=0.003, centered=True, momentum=0.5),
    "Adagrad": lambda ps: optim.Adagrad(ps, lr=0.1, lr_decay=0.01),
}
OTHERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "Adamax": lambda ps: optim.Adamax(ps, lr=0.01),
    "NAdam": lambda ps: optim.NAdam(ps, lr=0.01, weight_decay=0.1, decoupled_weight_decay=True),
    "RAdam": lambda ps: optim.RAdam(ps, lr=0.01),
    "Adadelta": lambda ps: optim.Adadelta(ps),
    "Rprop": lambda ps: optim.Rprop(ps),
    "ASGD": lambda ps: optim.ASGD(ps, lr=0.1, t0=2),
    "Muon": lambda ps: optim.Muon([p for p in ps if p.ndim == 2], lr=0.1),
}
SCHEDULES: dict[str, Callable[[optim.Optimizer], Any]] = {
    "no schedule": lambda optimizer: None,
    "StepLR": lambda optimizer: optim.StepLR(optimizer, 2, 0.7),
    "CosineAnnealingLR": lambda optimizer: optim.CosineAnnealingLR(optimizer, 2 * STEPS),
    "restarts": lambda o: optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 2, 2),
    "one cycle": lambda o: optim.lr_scheduler.OneCycleLR(o, 0.1, 2 * STEPS, pct_start=0.2),
    "in a row": lambda o: optim.lr_scheduler.SequentialLR(
        o,
        [
            optim.lr_scheduler.LinearLR(o, 0.5, total_iters=2),
            optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, 2, mode="triangular2"),
        ],
        [2],
    ),
    "chained": lambda o: optim.lr_scheduler.ChainedScheduler(
        [
            optim.lr_scheduler.MultiStepLR(o, [1, 3], 0.5),
            optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
            optim.swa_utils.SWALR(o, 0.05, 3),
        ]
    ),
}
CLIPPING: dict[str, Callable[[Any], Any]] = {
    "no clipping": lambda ps: None,
    "norm": lambda ps: optim.clip_grad_norm_(ps, 0.5),
    "1-norm": lambda ps: optim.clip_grad_norm_(ps, 2.0, 1.0),
    "largest": lambda ps: optim.clip_grad_norm_(ps, 0.2, np.inf),
    "value": lambda ps: optim.clip_grad_value_(ps, 0.05),
}


def recordings(jitted: Any) -> list[Any]:
    return [r for each in jitted._recordings.values() for r in each]


def train(
    make: Any, optimizer: str, schedule: str, clipping: str, accumulate: int, jitted: bool
) -> Any:
    """Give what each step returned and left behind."""
    model = make()
    descent = {**OPTIMIZERS, **OTHERS}[optimizer](model.parameters())
    rates = SCHEDULES[schedule](descent)

    def step(model: Any, descent: Any, rates: Any, xs: Any, ys: Any) -> Any:
        descent.zero_grad()
        for x, y in zip(xs, ys, strict=True):
            loss = F.cross_entropy(model(x), y)
            loss.backward()
        norm = CLIPPING[clipping](model.parameters())
        descent.step()
        if rates is not None:
            rates.step()
        return loss, norm

    function = tl.jit(step, backend="numpy") if jitted else step
    rng, left = np.random.default_rng(0), []
    dtype = next(iter(model.parameters())).dtype
    for _ in range(STEPS):
        xs = [rng.normal(size=SHAPES.get(make, (16, 5))).astype(dtype) for _ in range(accumulate)]
        ys = [rng.integers(0, 3, len(x)) for x in xs]
        loss, norm = function(model, descent, rates, xs, ys)
        state = [p.data.copy() for p in model.parameters()], getattr(model, "mean", 0.0)
        left.append((loss, norm, state, descent.state_dict(), type(norm)))
    return left, function


TRAININGS = [
    *((make, o, "no schedule", "no clipping", 1) for make in (mlp, cnn, RNN) for o in OPTIMIZERS),
    *((mlp, o, "no schedule", "no clipping", 1) for o in OTHERS),
    *((mlp, "Adam", s, "no clipping", 1) for s in list(SCHEDULES)[1:]),
    (mlp, "SGD", "StepLR", "no clipping", 1),
    *((cnn, "momentum", "CosineAnnealingLR", c, 1) for c in list(CLIPPING)[1:]),
    *((make, "Adam", "StepLR", "norm", 1) for make in (Normed, Tied, frozen_below)),
    (mlp, "momentum", "StepLR", "norm", 3),
]


def name_of(training: Any) -> str:
    return "-".join(map(str, (training[0].__name__, *training[1:])))


@pytest.mark.parametrize("training", TRAININGS, ids=name_of)
def test_training_is_the_same(training: Any):
    expected, _ = train(*training, jitted=False)
    actual, step = train(*training, jitted=True)
    for (loss, norm, state, saved, kind), (a, b, c, d, e) in zip(expected, actual, strict=True):
        assert_alike([a, c], [loss, state])
        assert (b, e) == (norm, kind)
        assert repr(d) == repr(saved)
    recorded = recordings(step)
    assert len(recorded) <= 4  # the first step, the second, clipped or not: not one for each rate
    assert sum(r.calls + len(r.misfires) for r in recorded) >= STEPS - 4
    assert not any(r.misfires for r in recorded)


def test_dropout_that_nobody_has_seeded_drops_others_in_each_call():
    drop = tl.jit(lambda x: F.dropout(x, 0.5), backend="numpy")
    results = [drop(np.ones(64)).tobytes() for _ in range(5)]
    assert len(set(results)) == 5
    assert sum(r.calls for r in recordings(drop)) == 4


def test_a_rate_that_is_set_by_hand_is_read_in_each_call():
    def step(model: Any, descent: Any) -> None:
        descent.zero_grad()
        F.mse_loss(model(ROWS), Q[:, :3]).backward()
        descent.step()

    models = [nn.Linear(5, 3, rng=0) for _ in range(2)]
    descents = [optim.SGD(model.parameters(), lr=0.1) for model in models]
    jitted = tl.jit(step, backend="numpy")
    for rate in (0.1, 0.2, np.float64(0.05), 1, np.float32(0.5), 0.25):
        for descent in descents:
            descent.param_groups[0]["lr"] = rate
        step(models[0], descents[0])
        jitted(models[1], descents[1])
        assert_alike(models[1].weight, models[0].weight)
