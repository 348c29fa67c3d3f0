"""Optimizers whose step adapts to the size that each element's gradient has had.

Formulas, defaults and trajectories are PyTorch's.  Adam reuses its memory from step to step,
because most training uses it; the others make new arrays, which is easier to read.

Not for: one step size for all elements (``descent.py``).
"""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.optim.optimizer import (
    Array,
    Optimizer,
    Options,
    Parameters,
    check_number,
    effective_gradient,
    move,
)

__all__ = ["Adagrad", "Adam", "AdamW", "RMSprop"]


class Adagrad(Optimizer):
    """Divide by the root of the sum of all squared gradients (Duchi, 2011).

    ``s += g²``, then ``p -= lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)`` in step ``t``.

    Parameters
    ----------
    params, lr, weight_decay, maximize
        As for :class:`~tinygrad_lab.optim.SGD`.
    lr_decay : float
        How fast the learning rate falls.
    initial_accumulator_value : float
        The initial ``s``.
    eps : float
        Keeps the division defined.

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

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
                "maximize": maximize,
            },
        )

    def _check(self, group: Options) -> None:
        check_number(group, "lr", positive=True)
        for name in ("lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            check_number(group, name)

    def _update(self, parameter: Tensor, g: Array, group: Options) -> None:
        if parameter not in self.state:
            start = float(group["initial_accumulator_value"])
            self.state[parameter] = {"step": 0, "sum": np.zeros_like(parameter.data) + start}
        state = self.state[parameter]
        g = effective_gradient(parameter, g, group)
        state["sum"] = state["sum"] + g * g
        rate = float(group["lr"]) / (1 + state["step"] * float(group["lr_decay"]))
        state["step"] += 1
        move(parameter, g * rate / (np.sqrt(state["sum"]) + float(group["eps"])))


class RMSprop(Optimizer):
    """Divide by the root of a running mean of squared gradients (Hinton, 2012).

    ``s = alpha * s + (1 - alpha) * g²``, then ``p -= lr * g / (sqrt(s) + eps)``.  ``centered``
    subtracts the square of a running mean of ``g`` from ``s``; ``momentum`` averages the steps.

    Parameters
    ----------
    params, lr, weight_decay, maximize
        As for :class:`~tinygrad_lab.optim.SGD`.
    alpha : float
        How long the running means remember.
    eps : float
        Keeps the division defined.
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

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "maximize": maximize,
            },
        )

    def _check(self, group: Options) -> None:
        check_number(group, "lr", positive=True)
        for name in ("alpha", "eps", "weight_decay", "momentum"):
            check_number(group, name)

    def _update(self, parameter: Tensor, g: Array, group: Options) -> None:
        if parameter not in self.state:
            zeros = np.zeros_like(parameter.data)
            self.state[parameter] = {"square": zeros, "mean": zeros, "velocity": zeros}
        state = self.state[parameter]
        alpha, momentum = float(group["alpha"]), float(group["momentum"])
        g = effective_gradient(parameter, g, group)
        state["square"] = state["square"] * alpha + g * g * (1 - alpha)
        size = state["square"]
        if group["centered"]:
            state["mean"] = state["mean"] * alpha + g * (1 - alpha)
            size = size - state["mean"] * state["mean"]
        step = g / (np.sqrt(size) + float(group["eps"]))
        if momentum:
            step = state["velocity"] = state["velocity"] * momentum + step
        move(parameter, step * float(group["lr"]))


class Adam(Optimizer):
    """Divide a running mean of gradients by the root of one of their squares (Kingma, 2015).

    ``m = β₁ m + (1 - β₁) g`` and ``v = β₂ v + (1 - β₂) g²``; both begin at 0, which is corrected
    for: ``p -= lr * m / (1 - β₁ᵗ) / (sqrt(v / (1 - β₂ᵗ)) + eps)`` in step ``t``.

    Parameters
    ----------
    params, lr, maximize
        As for :class:`~tinygrad_lab.optim.SGD`.
    betas : (float, float)
        How long the running means remember, each in [0, 1).
    eps : float
        Keeps the division defined.
    weight_decay : float
        Added to the gradient, times the parameter.
    amsgrad : bool
        Use the largest ``v`` so far (Reddi, 2018).

    Raises
    ------
    ValueError
        An option is out of range.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = Adam([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    array([  0.9, -19.9])
    """

    #: Whether weight decay leaves the gradient alone and shrinks the parameter itself.
    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        self._scratch: dict[Any, npt.NDArray[Any]] = {}
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )

    def _check(self, group: Options) -> None:
        check_number(group, "lr", positive=True)
        check_number(group, "eps")
        check_number(group, "weight_decay")
        betas = group["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(f"betas={betas!r}: expected two numbers")
        for i, beta in enumerate(betas):
            check_number({f"betas[{i}]": beta}, f"betas[{i}]", below=1.0)

    def _update(self, parameter: Tensor, g: Array, group: Options) -> None:
        if parameter not in self.state:
            self.state[parameter] = {
                "step": 0,
                "mean": np.zeros_like(parameter.data),
                "square": np.zeros_like(parameter.data),
            }
        state = self.state[parameter]
        state["step"] += 1
        if self.decoupled:
            if group["weight_decay"]:
                move(parameter, parameter.data * (float(group["lr"] * group["weight_decay"])))
            g = -g if group["maximize"] else g
        else:
            g = effective_gradient(parameter, g, group)
        if isinstance(g, np.ndarray) and isinstance(state["mean"], np.ndarray):
            self._move_in_place(parameter, g, state, group)
        else:
            self._move(parameter, g, state, group)

    def _factors(self, state: Options, group: Options) -> tuple[float, float]:
        """Return the bias-corrected factors in ``p -= rate * m / (sqrt(v) + eps)``: rate, eps."""
        first, second = group["betas"]
        correction = sqrt(1 - second ** state["step"])
        rate = float(group["lr"]) * correction / (1 - first ** state["step"])
        return rate, float(group["eps"]) * correction

    def _move(self, parameter: Tensor, g: Array, state: Options, group: Options) -> None:
        first, second = map(float, group["betas"])
        state["mean"] = state["mean"] * first + g * (1 - first)
        state["square"] = square = state["square"] * second + g * g * (1 - second)
        if group["amsgrad"]:
            square = state["largest"] = np.maximum(state.get("largest", square), square)
        rate, eps = self._factors(state, group)
        move(parameter, state["mean"] * rate / (np.sqrt(square) + eps))

    def _move_in_place(
        self, parameter: Tensor, g: npt.NDArray[Any], state: Options, group: Options
    ) -> None:
        """Do the same, without a new array: a fresh one costs more than the arithmetic on it."""
        first, second = map(float, group["betas"])
        mean, square = state["mean"], state["square"]
        work = self._work(parameter.data)
        np.subtract(g, mean, out=work)
        work *= 1 - first
        mean += work
        np.multiply(g, g, out=work)
        work -= square
        work *= 1 - second
        square += work
        if group["amsgrad"]:
            if "largest" not in state:
                state["largest"] = np.zeros_like(square)
            square = np.maximum(state["largest"], square, out=state["largest"])
        rate, eps = self._factors(state, group)
        np.sqrt(square, out=work)
        work += eps
        np.divide(mean, work, out=work)
        work *= rate
        move(parameter, work)

    def _work(self, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Memory for one parameter's arithmetic, of the size of the largest so far."""
        memory = self._scratch.get(like.dtype)
        if memory is None or memory.size < like.size:
            memory = self._scratch[like.dtype] = np.empty(like.size, like.dtype)
        return memory[: like.size].reshape(like.shape)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scratch": {}}


class AdamW(Adam):
    """:class:`Adam` with weight decay that shrinks the parameters themselves (Loshchilov, 2019).

    Before each step ``p -= lr * weight_decay * p``; gradients and their running means do not
    contain it.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = AdamW([p], lr=0.1, weight_decay=0.5)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    array([  0.85, -18.9 ])
    """

    decoupled: ClassVar[bool] = True

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
