"""Stochastic gradient descent, with momentum.

Not for: step sizes that adapt to each element (``adaptive.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import ClassVar

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

__all__ = ["SGD"]


class SGD(Optimizer):
    """Gradient descent: ``p -= lr * g``, where ``g`` may be averaged over past steps.

    With momentum, ``v = momentum * v + (1 - dampening) * g`` (in the first step ``v = g``), and
    ``p -= lr * v``; with ``nesterov``, ``p -= lr * (g + momentum * v)``.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        See :class:`Optimizer`.
    lr : float
        Learning rate, above 0.
    momentum, dampening : float
        See above.
    weight_decay : float
        Added to the gradient, times the parameter.
    nesterov : bool
        Look ahead by one step of momentum.
    maximize : bool
        Climb instead of descend.

    Raises
    ------
    ValueError
        An option is out of range, or nesterov is asked for without momentum or with dampening.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SGD([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    array([0.8, 1.6])
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    entries: ClassVar[Mapping[str, str]] = {"velocity": "array"}

    def _check(self, group: Options) -> None:
        for name in ("lr", "momentum", "weight_decay"):
            check_number(group, name)
        check_number(group, "dampening", least=-inf)
        check_flag(group, "nesterov")
        check_flag(group, "maximize")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("nesterov needs a momentum above 0, and dampening 0")

    def _update(self, parameter: Tensor, g: Array, group: Options) -> list[Change]:
        if group["maximize"] or group["weight_decay"]:
            g = effective_gradient(parameter, g, group)
        rate = -group["lr"]  # added, so that NumPy can add into the memory of `g * rate`
        if not group["momentum"]:
            return [replace(parameter, parameter.data + g * rate)]
        momentum = group["momentum"]
        state = self._kept(parameter, "velocity")
        if state is None:
            velocity = g.copy()
        else:
            velocity = state["velocity"] * momentum + g * (1 - group["dampening"])
        step = g + velocity * momentum if group["nesterov"] else velocity
        return [
            replace(parameter, parameter.data + step * rate),
            self._keep(parameter, {"velocity": velocity}),
        ]
