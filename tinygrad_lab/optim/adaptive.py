"""Optimizers whose step adapts to the gradients that each element has had, without momentum first.

Adagrad, Adadelta and RMSprop divide by the root of sums of squares; Rprop looks at signs alone.
Formulas, defaults and trajectories are PyTorch's.

Not for: one step size for all elements (``descent.py``); Adam and its family (``adam.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from tinygrad_lab.optim.checks import check_flag, check_number, number, numbers, usual
from tinygrad_lab.optim.optimizer import Array, Optimizer, Options, Parameters, decayed, options

__all__ = ["Adadelta", "Adagrad", "RMSprop", "Rprop"]


class Adagrad(Optimizer):
    """Divide by the root of the sum of all squared gradients (Duchi, 2011).

    ``s += g²``, then ``p -= lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)`` in step ``t``.

    Parameters
    ----------
    params, lr, weight_decay, eps, maximize
        See :class:`Optimizer`.
    lr_decay : float
        How fast the learning rate falls.
    initial_accumulator_value : float
        The initial ``s``.

    Raises
    ------
    ValueError
        An option is out of range.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = Adagrad([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    array([  0.9, -19.9])
    """

    elementwise: ClassVar[bool] = True
    entries: ClassVar[Mapping[str, str]] = {"step": "count", "sum": "positive"}
    checks = usual(
        "weight_decay", "eps", "maximize", "foreach", "differentiable", "fused",
        lr_decay=check_number, initial_accumulator_value=check_number,
    )  # fmt: skip

    def __init__(
        self, params: Parameters, lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def _start(self, p: Array, group: Options) -> Options:
        return {"step": 0, "sum": np.full_like(p, group["initial_accumulator_value"])}

    def _moved(self, p: Array, g: Array, state: Options, group: Options) -> tuple[Array, Options]:
        p, g = decayed(p, g, group)
        total = state["sum"] + g * g
        rate = group["lr"] / (1 + state["step"] * group["lr_decay"])
        p = p - g * rate / (np.sqrt(total) + group["eps"])
        return p, {"step": state["step"] + 1, "sum": total}


class Adadelta(Optimizer):
    """Scale each step to the size of the steps before it (Zeiler, 2012).

    ``s = rho * s + (1 - rho) * g²``, ``d = sqrt(u + eps) / sqrt(s + eps) * g``, ``p -= lr * d``,
    and ``u = rho * u + (1 - rho) * d²``.

    Parameters
    ----------
    params, lr, weight_decay, eps, maximize
        See :class:`Optimizer`.
    rho : float
        How long the running means remember, at most 1.

    Raises
    ------
    ValueError
        An option is out of range.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = Adadelta([p], rho=0.75, eps=0.01)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data.round(3)
    array([  0.801, -19.8  ])
    """

    elementwise: ClassVar[bool] = True
    entries: ClassVar[Mapping[str, str]] = {
        "step": "count", "square_avg": "positive", "acc_delta": "positive",
    }  # fmt: skip
    checks = usual(
        "weight_decay", "eps", "maximize", "foreach", "differentiable", "capturable",
        rho=number(most=1.0),
    )  # fmt: skip

    def __init__(
        self, params: Parameters, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6,
        weight_decay: float = 0, foreach: bool | None = None, *, capturable: bool = False,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def _moved(self, p: Array, g: Array, state: Options, group: Options) -> tuple[Array, Options]:
        p, g = decayed(p, g, group)
        rho, eps = group["rho"], group["eps"]
        square = state["square_avg"] * rho + g * g * (1 - rho)
        change = np.sqrt(state["acc_delta"] + eps) / np.sqrt(square + eps) * g
        changes = state["acc_delta"] * rho + change * change * (1 - rho)
        entries = {"step": state["step"] + 1, "square_avg": square, "acc_delta": changes}
        return p - change * group["lr"], entries


class RMSprop(Optimizer):
    """Divide by the root of a running mean of squared gradients (Hinton, 2012).

    ``s = alpha * s + (1 - alpha) * g²``, then ``p -= lr * g / (sqrt(s) + eps)``.  ``centered``
    subtracts the square of a running mean of ``g`` from ``s``; ``momentum`` averages the steps.

    Parameters
    ----------
    params, lr, weight_decay, eps, maximize
        See :class:`Optimizer`.
    alpha : float
        How long the running means remember, at most 1.
    momentum : float
        ``v = momentum * v + step``, and ``v`` is what moves the parameter.
    centered : bool
        See above.

    Raises
    ------
    ValueError
        An option is out of range.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = RMSprop([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data.round(4)
    array([  0., -19.])
    """

    elementwise: ClassVar[bool] = True
    entries: ClassVar[Mapping[str, str]] = {
        "step": "count", "square_avg": "positive", "grad_avg": "array?",
        "momentum_buffer": "array?",
    }  # fmt: skip
    checks = usual(
        "weight_decay", "eps", "maximize", "foreach", "differentiable", "capturable",
        alpha=number(most=1.0), momentum=check_number, centered=check_flag,
    )  # fmt: skip

    def __init__(
        self, params: Parameters, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
        weight_decay: float = 0, momentum: float = 0, centered: bool = False,
        capturable: bool = False, foreach: bool | None = None, maximize: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def _moved(self, p: Array, g: Array, state: Options, group: Options) -> tuple[Array, Options]:
        p, g = decayed(p, g, group)
        alpha, momentum = group["alpha"], group["momentum"]
        size = state["square_avg"] * alpha + g * g * (1 - alpha)
        new = {**state, "step": state["step"] + 1, "square_avg": size}
        if group["centered"]:
            mean = new["grad_avg"] = state.get("grad_avg", 0.0) * alpha + g * (1 - alpha)
            size = size - mean * mean
        step = g / (np.sqrt(size) + group["eps"])
        if momentum:
            step = state.get("momentum_buffer", 0.0) * momentum + step
            new["momentum_buffer"] = step
        return p - step * group["lr"], new


class Rprop(Optimizer):
    """Look at signs alone: longer steps while they stay, shorter ones when they turn.

    Each element has a step size of its own, at first ``lr``.  Where the gradient has the sign of
    the one before, it grows by ``etas[1]``; where it has the other, it shrinks by ``etas[0]``, and
    the element waits for a step (Riedmiller and Braun, 1993; without going back).  For gradients of
    all the data: those of batches turn too often.

    Parameters
    ----------
    params, maximize
        See :class:`Optimizer`.
    lr : float
        The first step size.
    etas : (float, float)
        The factors, below and above 1.
    step_sizes : (float, float)
        The least and the largest step size.

    Raises
    ------
    ValueError
        An option is out of range.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = Rprop([p], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (p * p).sum().backward()
    ...     optimizer.step()
    >>> p.data
    array([  0.78, -19.78])
    """

    entries: ClassVar[Mapping[str, str]] = {
        "step": "count", "prev": "array", "step_size": "positive",
    }  # fmt: skip
    checks = usual(
        "maximize", "foreach", "differentiable", "capturable",
        etas=numbers(2, positive=True), step_sizes=numbers(2),
    )  # fmt: skip

    def __init__(
        self, params: Parameters, lr: float = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def _check(self, group: Options) -> None:
        super()._check(group)
        (down, up), (least, most) = group["etas"], group["step_sizes"]
        if not down < 1 < up:
            raise ValueError(f"etas={(down, up)}: expected one below 1 and one above")
        if least > most:
            raise ValueError(f"step_sizes={(least, most)}: expected the least and the largest")

    def _start(self, p: Array, group: Options) -> Options:
        return {**super()._start(p, group), "step_size": np.full_like(p, group["lr"])}

    def _moved(self, p: Array, g: Array, state: Options, group: Options) -> tuple[Array, Options]:
        (down, up), (least, most) = group["etas"], group["step_sizes"]
        g = -g if group["maximize"] else g
        turn = np.sign(g) * np.sign(state["prev"])
        size = state["step_size"]
        size = np.where(turn > 0, size * up, np.where(turn < 0, size * down, size))
        size = np.minimum(np.maximum(size, least), most)
        g = np.where(turn < 0, np.zeros_like(g), g)
        entries = {"step": state["step"] + 1, "prev": g, "step_size": size}
        return p - np.sign(g) * size, entries
