"""Learning-rate schedules, and clipping of gradients.

Not for: the optimizers themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, inf, isfinite, pi
from typing import Any

import numpy as np

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "StepLR", "clip_grad_norm_", "clip_grad_value_"]


class _Schedule:
    """Set each group's learning rate from what it was at the start and the number of steps."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.base_lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self.last_epoch = 0

    def factor(self, epoch: int) -> float:
        """Factor by which the initial learning rate is multiplied."""
        raise NotImplementedError

    def step(self) -> None:
        """Count one more epoch."""
        self.last_epoch += 1
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = base * self.factor(self.last_epoch)

    def get_last_lr(self) -> list[float]:
        """The learning rates of the groups, as they are now."""
        return [group["lr"] for group in self.optimizer.param_groups]


class StepLR(_Schedule):
    """Multiply the learning rate by ``gamma`` every ``step_size`` epochs.

    Raises
    ------
    ValueError
        ``step_size`` is below 1, or ``gamma`` is not above 0.

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
        if step_size < 1:
            raise ValueError(f"step_size={step_size}: expected 1 or more")
        if not (isfinite(gamma) and gamma > 0):
            raise ValueError(f"gamma={gamma}: expected a number above 0")
        super().__init__(optimizer)
        self.step_size, self.gamma = step_size, gamma

    def factor(self, epoch: int) -> float:
        """A power of ``gamma``."""
        return float(self.gamma ** (epoch // self.step_size))


class CosineAnnealingLR(_Schedule):
    """Lower the learning rate to ``eta_min`` along half a cosine, in ``T_max`` epochs.

    Raises
    ------
    ValueError
        ``T_max`` is below 1, or ``eta_min`` below 0.

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
        if T_max < 1:
            raise ValueError(f"T_max={T_max}: expected 1 or more")
        if not (isfinite(eta_min) and eta_min >= 0):
            raise ValueError(f"eta_min={eta_min}: expected a number of 0 or more")
        super().__init__(optimizer)
        self.T_max, self.eta_min = T_max, eta_min

    def factor(self, epoch: int) -> float:
        """Half a cosine, from 1 to 0."""
        return (1 + cos(pi * epoch / self.T_max)) / 2

    def step(self) -> None:
        """Count one more epoch."""
        self.last_epoch += 1
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.eta_min + (base - self.eta_min) * self.factor(self.last_epoch)


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
    if not max_norm > 0:
        raise ValueError(f"max_norm={max_norm}: expected a number above 0")
    if not norm_type > 0:
        raise ValueError(f"norm_type={norm_type}: expected a number above 0, or inf")
    parameters = _with_gradients(parameters)
    if norm_type == inf:
        norm = max((float(np.max(np.abs(p.grad), initial=0)) for p in parameters), default=0.0)
    else:
        total = sum(float((np.abs(p.grad) ** norm_type).sum()) for p in parameters)
        norm = total ** (1 / norm_type)
    scale = max_norm / (norm + 1e-6)
    if scale < 1:
        for p in parameters:
            p.grad = p.grad * scale
    return norm


def clip_grad_value_(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Limit each element of the gradients to plus or minus ``clip_value``.

    Raises
    ------
    ValueError
        ``clip_value`` is not above 0.
    """
    if not clip_value > 0:
        raise ValueError(f"clip_value={clip_value}: expected a number above 0")
    for p in _with_gradients(parameters):
        p.grad = np.clip(p.grad, -clip_value, clip_value)


def _with_gradients(parameters: Any) -> list[Tensor]:
    every = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p for p in every if p.grad is not None]
