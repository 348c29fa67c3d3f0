"""Optimizers whose step adapts to the size that each element's gradient has had.

Formulas, defaults and trajectories are PyTorch's.  Adam reuses its memory from step to step,
because most training uses it; the others make new arrays, which is easier to read.

Not for: one step size for all elements (``descent.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core.ownership import is_shared
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.optim.checks import check_flag, check_number
from tinygrad_lab.optim.optimizer import (
    Array,
    Change,
    Optimizer,
    Options,
    Parameters,
    effective_gradient,
    replace,
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

    entries: ClassVar[Mapping[str, str]] = {"step": "count", "sum": "positive"}

    def _check(self, group: Options) -> None:
        for name in ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            check_number(group, name)
        check_flag(group, "maximize")

    def _update(self, parameter: Tensor, g: Array, group: Options) -> list[Change]:
        state = self._kept(parameter, "sum")
        if state is None:
            start = np.full_like(parameter.data, group["initial_accumulator_value"])
            state = {"step": 0, "sum": start}
        g = effective_gradient(parameter, g, group)
        total = state["sum"] + g * g
        rate = group["lr"] / (1 + state["step"] * group["lr_decay"])
        step = g * rate / (np.sqrt(total) + group["eps"])
        return [
            replace(parameter, parameter.data - step),
            self._keep(parameter, {"step": state["step"] + 1, "sum": total}),
        ]


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

    entries: ClassVar[Mapping[str, str]] = {
        "square": "positive", "mean": "array", "velocity": "array",
    }  # fmt: skip

    def _check(self, group: Options) -> None:
        for name in ("lr", "eps", "weight_decay", "momentum"):
            check_number(group, name)
        check_number(group, "alpha", most=1.0)
        check_flag(group, "centered")
        check_flag(group, "maximize")

    def _update(self, parameter: Tensor, g: Array, group: Options) -> list[Change]:
        zeros = np.zeros_like(parameter.data)
        old = self._kept(parameter, "square") or {"square": zeros, "mean": zeros, "velocity": zeros}
        alpha, momentum = group["alpha"], group["momentum"]
        g = effective_gradient(parameter, g, group)
        new = {**old, "square": old["square"] * alpha + g * g * (1 - alpha)}
        size = new["square"]
        if group["centered"]:
            new["mean"] = old["mean"] * alpha + g * (1 - alpha)
            size = size - new["mean"] * new["mean"]
        step = g / (np.sqrt(size) + group["eps"])
        if momentum:
            step = new["velocity"] = old["velocity"] * momentum + step
        return [
            replace(parameter, parameter.data - step * group["lr"]),
            self._keep(parameter, new),
        ]


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
    in_place: ClassVar[bool] = True
    entries: ClassVar[Mapping[str, str]] = {
        "step": "count", "mean": "array", "square": "positive", "largest": "positive?",
    }  # fmt: skip

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
        for name in ("lr", "eps", "weight_decay"):
            check_number(group, name)
        check_flag(group, "amsgrad")
        check_flag(group, "maximize")
        betas = group["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(f"betas={betas!r}: expected two numbers")
        for i, beta in enumerate(betas):
            check_number({f"betas[{i}]": beta}, f"betas[{i}]", below=1.0)
        group["betas"] = tuple(betas)  # so that nothing in it changes unchecked

    def _update(self, parameter: Tensor, g: Array, group: Options) -> list[Change]:
        state = self._kept(parameter, "mean")
        if state is None:
            zeros = np.zeros_like(parameter.data)
            state = {"step": 0, "mean": zeros, "square": zeros.copy()}
        if group["amsgrad"] and "largest" not in state:
            state = {**state, "largest": np.zeros_like(parameter.data)}
        state = {**state, "step": state["step"] + 1}
        if self.decoupled:
            shrink = 1 - group["lr"] * group["weight_decay"]
            g = -g if group["maximize"] else g
        else:
            shrink = None
            g = effective_gradient(parameter, g, group)
        is_numpys = isinstance(g, np.ndarray) and isinstance(parameter.data, np.ndarray)
        in_place = is_numpys and isinstance(state["mean"], np.ndarray)
        update = self._update_in_place if in_place else self._update_anew
        return update(parameter, g, state, group, shrink)

    def _factors(self, state: Options, group: Options) -> tuple[float, float, float, float]:
        """Return β₁, β₂, and what corrects for the beginning: rate and eps of the step.

        ``p -= rate * m / (sqrt(v) + eps)`` is the formula of the class.
        """
        first, second = group["betas"]
        correction = (1 - second ** state["step"]) ** 0.5
        rate = group["lr"] * correction / (1 - first ** state["step"])
        return first, second, rate, group["eps"] * correction

    def _update_anew(
        self, parameter: Tensor, g: Array, state: Options, group: Options, shrink: float | None
    ) -> list[Change]:
        first, second, rate, eps = self._factors(state, group)
        mean = state["mean"] + (g - state["mean"]) * (1 - first)
        square = state["square"] + (g * g - state["square"]) * (1 - second)
        new = {**state, "mean": mean, "square": square}
        if group["amsgrad"]:
            square = new["largest"] = np.maximum(state["largest"], square)
        start = parameter.data if shrink is None else parameter.data * shrink
        moved = start - mean / (np.sqrt(square) + eps) * rate
        return [replace(parameter, moved), self._keep(parameter, new)]

    def _update_in_place(
        self, parameter: Tensor, g: Array, state: Options, group: Options, shrink: float | None
    ) -> list[Change]:
        """Do the same without a new array: a fresh one costs more than the arithmetic on it."""
        first, second, rate, eps = self._factors(state, group)
        mean, square = state["mean"], state["square"]
        in_use = is_shared(parameter.data) or not parameter.data.flags.writeable
        target = np.empty_like(parameter.data) if in_use else parameter.data
        source, work = parameter.data, self._work(parameter.data)
        changes: list[Change] = [
            (np.subtract, g, mean, work),  # mean += (1 - β₁) (g - mean)
            (np.multiply, work, 1 - first, work),
            (np.add, mean, work, mean),
            (np.multiply, g, g, work),  # square += (1 - β₂) (g² - square)
            (np.subtract, work, square, work),
            (np.multiply, work, 1 - second, work),
            (np.add, square, work, square),
        ]
        if group["amsgrad"]:
            changes.append((partial(np.maximum, out=state["largest"]), square, state["largest"]))
            square = state["largest"]
        if shrink is not None:
            changes.append((np.multiply, source, shrink, target))
            source = target
        changes += [
            (np.sqrt, square, work),  # p -= rate * mean / (sqrt(square) + eps)
            (np.add, work, eps, work),
            (np.divide, mean, work, work),
            (np.multiply, work, rate, work),
            (np.subtract, source, work, target),
            (self.state.__setitem__, parameter, state),
        ]
        if in_use:
            changes.append(replace(parameter, target))
        return changes

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
