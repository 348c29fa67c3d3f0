"""Learning-rate schedules, and clipping of gradients.

Not for: the optimizers themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from math import inf, pi
from typing import Any

import numpy as np

from tinygrad_lab.core.atomic import at_once
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.operations import primitive
from tinygrad_lab.core.rules.creation import as_float
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.optim.checks import check_integer, check_number
from tinygrad_lab.optim.optimizer import Optimizer
from tinygrad_lab.transforms.jit.kernels import PLAIN

__all__ = ["CosineAnnealingLR", "StepLR", "clip_grad_norm_", "clip_grad_value_"]


@primitive
def _cosine(x: float) -> float:
    """The cosine of a number of Python's, which a recorded call may have."""
    return math.cos(x)


PLAIN[_cosine] = math.cos


class _Schedule:
    """Set each group's learning rate from what it was at the start and the number of steps."""

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}({describe(optimizer)}, ...): the first argument is the "
                "optimizer whose learning rate it sets"
            )
        self.optimizer = optimizer
        self.base_lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self.last_epoch = 0

    def rate(self, base: float, epoch: int) -> float:
        """The learning rate of a group that had ``base`` at the start."""
        raise NotImplementedError

    def step(self) -> None:
        """Count one more epoch."""
        groups, epoch = self.optimizer.param_groups, self.last_epoch + 1
        if len(groups) != len(self.base_lrs):
            raise ValueError(
                f"the optimizer had {len(self.base_lrs)} groups when {type(self).__name__} was "
                f"made, and has {len(groups)} now: make it after the last add_param_group"
            )
        at_once(
            [
                (setattr, self, "last_epoch", epoch),
                *(
                    (group.__setitem__, "lr", self.rate(base, epoch))
                    for group, base in zip(groups, self.base_lrs, strict=True)
                ),
            ]
        )

    def get_last_lr(self) -> list[float]:
        """The learning rates of the groups, as they are now."""
        return [group["lr"] for group in self.optimizer.param_groups]


class StepLR(_Schedule):
    """Multiply the learning rate by ``gamma`` every ``step_size`` epochs.

    Raises
    ------
    ValueError
        ``step_size`` is no integer of 1 or more, or ``gamma`` no finite number above 0.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tinygrad_lab import optim
    >>> optimizer = optim.SGD([tl.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(5):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        check_integer("step_size", step_size)
        check_number("gamma", gamma, positive=True)
        super().__init__(optimizer)
        self.step_size, self.gamma = step_size, float(gamma)

    def rate(self, base: float, epoch: int) -> float:
        """``base`` times a power of ``gamma``."""
        return base * self.gamma ** (epoch // self.step_size)


class CosineAnnealingLR(_Schedule):
    """Lower the learning rate to ``eta_min`` along half a cosine, in ``T_max`` epochs.

    Raises
    ------
    ValueError
        ``T_max`` is no integer of 1 or more, or ``eta_min`` no finite number of 0 or more.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tinygrad_lab import optim
    >>> optimizer = optim.SGD([tl.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = CosineAnnealingLR(optimizer, T_max=10)
    >>> for _ in range(5):
    ...     schedule.step()
    >>> [round(lr, 6) for lr in schedule.get_last_lr()]
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        check_integer("T_max", T_max)
        check_number("eta_min", eta_min)
        super().__init__(optimizer)
        self.T_max, self.eta_min = T_max, float(eta_min)

    def rate(self, base: float, epoch: int) -> float:
        """Half a cosine, from ``base`` to ``eta_min``."""
        return self.eta_min + (base - self.eta_min) * (1 + _cosine(pi * epoch / self.T_max)) / 2


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float, norm_type: float = 2.0) -> float:
    """Scale all gradients down together, so that their common norm is at most ``max_norm``.

    Returns
    -------
    float
        The norm before.

    Raises
    ------
    ValueError
        ``max_norm`` is not above 0, or ``norm_type`` is not above 0.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([3.0, 4.0], requires_grad=True)
    >>> (p * p / 2).sum().backward()
    >>> clip_grad_norm_([p], 1.0)
    5.0
    >>> p.grad.round(3)
    array([0.6, 0.8])
    """
    if max_norm != inf:
        check_number("max_norm", max_norm, positive=True)
    if norm_type != inf:
        check_number("norm_type", norm_type, positive=True)
    parameters = _with_gradients(parameters)
    largest = [as_float(np.max(np.abs(p.grad), initial=0)) for p in parameters]
    norm = as_float(np.max(np.stack([0.0, *largest])))
    if norm_type != inf and 0 < norm < inf:  # in shares of the largest, so that nothing overflows
        powers = ((np.abs(p.grad / norm) ** norm_type).reshape(-1) for p in parameters)
        total = sum(as_float(power.sum()) for power in powers)
        norm = norm * total ** (1 / norm_type)
    scale = as_float(np.fmin(max_norm / (norm + 1e-6), 1))
    at_once([(setattr, p.node, "grad", p.grad * scale) for p in parameters])
    return norm


def clip_grad_value_(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Limit each element of the gradients to plus or minus ``clip_value``.

    Raises
    ------
    ValueError
        ``clip_value`` is not above 0.
    """
    check_number("clip_value", clip_value, positive=True)
    clipped = [
        (setattr, p.node, "grad", np.clip(p.grad, -clip_value, clip_value))
        for p in _with_gradients(parameters)
    ]
    at_once(clipped)


def _with_gradients(parameters: Any) -> list[Tensor]:
    if hasattr(parameters, "parameters"):
        raise TypeError("gradients are clipped of parameters: say model.parameters()")
    every = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p for p in every if p.grad is not None]
