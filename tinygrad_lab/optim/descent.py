"""Optimizers with one step size for all elements of a parameter: SGD, averaged SGD, Muon.

Not for: step sizes that adapt to each element (``adaptive.py``, ``adam.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import inf
from typing import ClassVar

import numpy as np

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.optim.blocks import LEAST
from tinygrad_lab.optim.checks import (
    check_flag,
    check_integer,
    check_number,
    number,
    numbers,
    one_of,
    usual,
)
from tinygrad_lab.optim.optimizer import (
    Array,
    Change,
    Optimizer,
    Options,
    Parameters,
    decayed,
    options,
    replace,
)

__all__ = ["ASGD", "SGD", "Muon"]


class SGD(Optimizer):
    """Gradient descent: ``p -= lr * g``, where ``g`` may be averaged over past steps.

    With momentum, ``v = momentum * v + (1 - dampening) * g`` (in the first step ``v = g``), and
    ``p -= lr * v``; with ``nesterov``, ``p -= lr * (g + momentum * v)``.  ``v`` is kept as
    ``momentum_buffer``.

    Parameters
    ----------
    params : iterable of Tensor, of (str, Tensor), or of dict
        See :class:`Optimizer`, as for all that is not said here.
    lr : float
        Learning rate.
    momentum, dampening : float
        See above.
    nesterov : bool
        Look ahead by one step of momentum.

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

    elementwise: ClassVar[bool] = True
    entries: ClassVar[Mapping[str, str]] = {"momentum_buffer": "array?"}
    checks = usual(
        "weight_decay", "maximize", "foreach", "differentiable", "fused",
        momentum=check_number, dampening=number(least=-inf), nesterov=check_flag,
    )  # fmt: skip

    def __init__(
        self, params: Parameters, lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
        weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def _check(self, group: Options) -> None:
        super()._check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("nesterov needs a momentum above 0, and dampening 0")

    def _update(self, parameter: Tensor, g: Array, group: Options) -> list[Change]:
        if group["momentum"] or g.size >= LEAST:
            return super()._update(parameter, g, group)
        return [replace(parameter, self._moved(parameter.data, g, {}, group)[0])]  # keeps nothing

    def _moved(self, p: Array, g: Array, state: Options, group: Options) -> tuple[Array, Options]:
        if group["weight_decay"] or group["maximize"]:
            p, g = decayed(p, g, group)
        rate = -group["lr"]  # added, so that NumPy can add into the memory of `g * rate`
        momentum = group["momentum"]
        if not momentum:
            return p + g * rate, {}
        velocity = +g  # a copy: the gradient is the user's
        if state:
            velocity = state["momentum_buffer"] * momentum + g * (1 - group["dampening"])
        step = g + velocity * momentum if group["nesterov"] else velocity
        return p + step * rate, {"momentum_buffer": velocity}


class ASGD(Optimizer):
    """Gradient descent with a falling rate, and the mean of the path (Polyak, 1992).

    ``p = (1 - lambd * eta) * p - eta * g``, with ``eta = lr / (1 + lambd * lr * t) ** alpha`` after
    step ``t``; ``ax``, kept in ``optimizer.state[p]``, is the mean of ``p`` since step ``t0``.

    Parameters
    ----------
    params, lr, weight_decay, maximize
        See :class:`Optimizer`.
    lambd, alpha : float
        How the parameter decays, and how fast the rate falls.
    t0 : float
        The step at which averaging begins.

    Raises
    ------
    ValueError
        An option is out of range.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = ASGD([p], lr=0.1, lambd=0.0)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    array([0.8, 1.6])
    """

    elementwise: ClassVar[bool] = True
    entries: ClassVar[Mapping[str, str]] = {
        "step": "count", "eta": "number", "mu": "number", "ax": "array",
    }  # fmt: skip
    checks = usual(
        "weight_decay", "maximize", "foreach", "differentiable", "capturable",
        lambd=check_number, alpha=check_number, t0=check_number,
    )  # fmt: skip

    def __init__(
        self, params: Parameters, lr: float = 1e-2, lambd: float = 1e-4, alpha: float = 0.75,
        t0: float = 1e6, weight_decay: float = 0, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def _start(self, p: Array, group: Options) -> Options:
        return {**super()._start(p, group), "eta": group["lr"]}

    def _moved(self, p: Array, g: Array, state: Options, group: Options) -> tuple[Array, Options]:
        step, lr = state["step"] + 1, group["lr"]
        p, g = decayed(p, g, group)
        p = p * (1 - group["lambd"] * state["eta"]) - g * state["eta"]
        ax = state["ax"] + (p - state["ax"]) * state["mu"]
        eta = lr * (1 + group["lambd"] * lr * step) ** -group["alpha"]
        averaged = step - group["t0"]
        mu = 1 / averaged if averaged > 1 else 1.0
        return p, {"step": step, "eta": eta, "mu": mu, "ax": ax}


class Muon(Optimizer):
    """Momentum, of which each step is a matrix that is almost orthogonal (Jordan, 2024).

    ``v += (1 - momentum) * (g - v)``; the step is ``v``, or with ``nesterov`` ``g + momentum *
    (v - g)``, with all its singular values brought near 1 by ``ns_steps`` of ``X = a X + (b X Xᵀ +
    c (X Xᵀ)²) X``, where ``a, b, c`` are ``ns_coefficients``.  PyTorch computes these products in
    bfloat16, and here they are in the parameter's own precision.

    For the matrices of hidden layers; biases, embeddings and the last layer go to an optimizer of
    another kind.

    Parameters
    ----------
    params, lr
        See :class:`Optimizer`.  The parameters must be matrices.
    weight_decay : float
        ``p -= lr * weight_decay * p`` before each step.
    momentum : float
        See above.
    nesterov : bool
        See above.
    ns_coefficients : (float, float, float)
        See above.
    eps : float
        The least norm that a step is divided by.
    ns_steps : int
        See above; below 100.
    adjust_lr_fn : {None, "original", "match_rms_adamw"}
        What the rate is multiplied by for a parameter of shape (A, B): ``sqrt(max(1, A / B))``,
        which None means too, or ``0.2 * sqrt(max(A, B))``.

    Raises
    ------
    ValueError
        An option is out of range, or a parameter is no matrix.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> p = tl.tensor([[3.0, 0.0], [0.0, 1.0]], requires_grad=True)
    >>> optimizer = Muon([p], lr=0.1, weight_decay=0)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> moved = np.diag([3.0, 1.0]) - p.data  # along each axis by the rate, or nearly
    >>> bool((0.06 < np.diag(moved)).all() and (np.diag(moved) < 0.13).all())
    True
    """

    entries: ClassVar[Mapping[str, str]] = {"momentum_buffer": "array"}
    checks = usual(
        "weight_decay", "eps", momentum=check_number, nesterov=check_flag,
        ns_coefficients=numbers(3, least=-inf), ns_steps=partial(check_integer, least=0, below=100),
        adjust_lr_fn=one_of(None, "original", "match_rms_adamw"),
    )  # fmt: skip

    def __init__(
        self, params: Parameters, lr: float = 1e-3, weight_decay: float = 0.1,
        momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315), eps: float = 1e-7,
        ns_steps: int = 5, adjust_lr_fn: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def _check_member(self, parameter: Tensor) -> None:
        if parameter.ndim != 2 or parameter.dtype.kind != "f":
            raise ValueError(
                f"Muon moves real matrices, and a parameter is {parameter.dtype}{parameter.shape}: "
                "give the others to an optimizer of their own, AdamW for instance"
            )

    def _moved(self, p: Array, g: Array, state: Options, group: Options) -> tuple[Array, Options]:
        momentum, lr = group["momentum"], group["lr"]
        velocity = state["momentum_buffer"] + (g - state["momentum_buffer"]) * (1 - momentum)
        step = g + (velocity - g) * momentum if group["nesterov"] else velocity
        step = _orthogonalized(step, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = p.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            factor = 0.2 * max(rows, columns) ** 0.5
        else:
            factor = max(1, rows / columns) ** 0.5
        p = p * (1 - lr * group["weight_decay"]) - step * (lr * factor)
        return p, {"momentum_buffer": velocity}


def _orthogonalized(X: Array, coefficients: tuple[float, ...], steps: int, eps: float) -> Array:
    """Bring the singular values of a matrix near 1, by Newton and Schulz's iteration."""
    a, b, c = coefficients
    is_tall = X.shape[0] > X.shape[1]
    X = X.T if is_tall else X
    X = X / np.maximum(np.sqrt((X * X).sum()), eps)
    for _ in range(steps):
        gram = X @ X.T
        X = X * a + (gram * b + gram @ gram * c) @ X
    return X.T if is_tall else X
