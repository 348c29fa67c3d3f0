"""Every optimizer with options that matter, for tests of what holds for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_lab as tl

#: Names of optimizers, and options.
GRID: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.01, "momentum": 0.5, "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 5, "weight_decay": 0.1}),
    ("ASGD", {"lr": 0.01, "t0": 0, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (1e-2, 0.3), "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "momentum": 0.8, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.02, "centered": True}),
    ("RMSprop", {"lr": 0.02, "centered": True, "momentum": 0.5, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "eps": 1e-3}),
    ("Adam", {"lr": 0.1, "maximize": True, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.2, "amsgrad": True}),
    ("AdamW", {"lr": 0.1, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.1, "betas": (0.5, 0.9), "momentum_decay": 0.1, "weight_decay": 0.1}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {"lr": 0.01}),
    ("RAdam", {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
]
#: Of matrices alone.
MUON: list[tuple[str, dict[str, Any]]] = [
    ("Muon", {}),
    ("Muon", {"lr": 0.1, "nesterov": False, "momentum": 0.5, "ns_steps": 3}),
    ("Muon", {"lr": 0.1, "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.2}),
]
#: The first setting of each kind that has state to keep, by name.
KINDS = dict(reversed([*GRID, *MUON])) | {"SGD": GRID[1][1]}


def start(name: str = "") -> list[Any]:
    """Where parameters begin."""
    rng = np.random.default_rng(0)
    if name == "Muon":
        return [rng.normal(size=(3, 2)), rng.normal(size=(2, 4))]
    return [rng.normal(size=(3, 2)), rng.normal(size=4), np.array(0.7)]


def leaves(name: str = "", dtype: Any = float) -> list[tl.Tensor]:
    return [tl.tensor(a, dtype=dtype, requires_grad=True) for a in start(name)]


def gradient(step: int, position: int, values: Any) -> Any:
    """A bumpy bowl, differently bumpy in each step: the gradient of a stochastic loss."""
    bumps = np.random.default_rng((step, position)).normal(size=values.shape)
    return values * 0.5 + np.sin(3 * values) + bumps


def trained(
    optimizer: Any, parameters: Any, steps: int, first: int = 0, wrap: Any = lambda array: array
) -> None:
    """Make steps, counted from ``first``; ``wrap`` makes gradients of arrays."""
    for step in range(first, first + steps):
        for position, parameter in enumerate(parameters):
            parameter.grad = wrap(gradient(step, position, np.asarray(parameter.data)))
        optimizer.step()
