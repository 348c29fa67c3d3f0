"""Adam and its family: a running mean of gradients, divided by the size that they have had.

Formulas, defaults and trajectories are PyTorch's.

Not for: optimizers without that mean (``adaptive.py``, ``descent.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tinygrad_lab.optim.checks import check_flag, check_number, numbers, usual
from tinygrad_lab.optim.optimizer import Array, Optimizer, Options, Parameters, decayed, options

__all__ = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam"]

_ENTRIES = {"step": "count", "exp_avg": "array", "exp_avg_sq": "positive"}
_betas = numbers(2, below=1.0)


def _usual(*names: str, **others: Any) -> dict[str, Any]:
    """Make the checks of what all of the family take, and some more."""
    shared = ("weight_decay", "eps", "maximize", "foreach", "capturable", "differentiable")
    return usual(*shared, *names, betas=_betas, **others)


def _mean(old: Array, new: Array, beta: float) -> Array:
    """Take a value into a running mean."""
    return old + (new - old) * (1 - beta)


class Adam(Optimizer):
    """Divide a running mean of gradients by the root of one of their squares (Kingma, 2015).

    ``m = β₁ m + (1 - β₁) g`` and ``v = β₂ v + (1 - β₂) g²``; both begin at 0, which is corrected
    for: ``p -= lr * m / (1 - β₁ᵗ) / (sqrt(v / (1 - β₂ᵗ)) + eps)`` in step ``t``.  They are kept as
    ``exp_avg`` and ``exp_avg_sq``.

    Parameters
    ----------
    params, lr, eps, weight_decay, decoupled_weight_decay, maximize
        See :class:`Optimizer`.
    betas : (float, float)
        How long the running means remember, each in [0, 1).
    amsgrad : bool
        Use the largest ``v`` so far (Reddi, 2018), kept as ``max_exp_avg_sq``.

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

    elementwise: ClassVar[bool] = True
    entries: ClassVar[Mapping[str, str]] = {**_ENTRIES, "max_exp_avg_sq": "positive?"}
    checks = _usual("fused", amsgrad=check_flag, decoupled_weight_decay=check_flag)

    def __init__(
        self, params: Parameters, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, amsgrad: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False, fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def _moved(self, p: Array, g: Array, state: Options, group: Options) -> tuple[Array, Options]:
        first, second = group["betas"]
        step = state["step"] + 1
        correction = (1 - second**step) ** 0.5
        rate = group["lr"] * correction / (1 - first**step)
        eps = group["eps"] * correction
        p, g = decayed(p, g, group)
        mean = _mean(state["exp_avg"], g, first)
        square = _mean(state["exp_avg_sq"], g * g, second)
        entries = {**state, "step": step, "exp_avg": mean, "exp_avg_sq": square}
        if group["amsgrad"]:
            square = np.maximum(state.get("max_exp_avg_sq", 0.0), square)
            entries["max_exp_avg_sq"] = square
        return p - mean / (np.sqrt(square) + eps) * rate, entries


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

    def __init__(
        self, params: Parameters, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *,
        maximize: bool = False, foreach: bool | None = None, capturable: bool = False,
        differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(decoupled_weight_decay=True, params=params, **options(locals()))


class Adamax(Optimizer):
    """:class:`Adam` with the largest gradient in place of the mean square (Kingma, 2015).

    ``m`` as in Adam, ``u = max(β₂ u, |g| + eps)``, and ``p -= lr / (1 - β₁ᵗ) * m / u``.

    Parameters
    ----------
    params, lr, eps, weight_decay, maximize
        See :class:`Optimizer`.
    betas : (float, float)
        How long ``m`` and ``u`` remember, each in [0, 1).

    Raises
    ------
    ValueError
        An option is out of range.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = Adamax([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    array([  0.9, -19.9])
    """

    elementwise: ClassVar[bool] = True
    entries: ClassVar[Mapping[str, str]] = {
        "step": "count", "exp_avg": "array", "exp_inf": "positive",
    }  # fmt: skip
    checks = _usual()

    def __init__(
        self, params: Parameters, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def _moved(self, p: Array, g: Array, state: Options, group: Options) -> tuple[Array, Options]:
        p, g = decayed(p, g, group)
        first, second = group["betas"]
        step = state["step"] + 1
        mean = _mean(state["exp_avg"], g, first)
        largest = np.maximum(state["exp_inf"] * second, np.abs(g) + group["eps"])
        p = p - mean / largest * (group["lr"] / (1 - first**step))
        return p, {"step": step, "exp_avg": mean, "exp_inf": largest}


class NAdam(Optimizer):
    """:class:`Adam` with Nesterov's momentum, which looks ahead by a step (Dozat, 2016).

    Momentum grows: in step ``t`` it is ``μₜ = β₁ (1 - 0.96 ** (t momentum_decay) / 2)``.  With
    ``M`` the product of all so far, kept as ``mu_product``, a step is
    ``(1 - μₜ) / (1 - M) * g + μₜ₊₁ / (1 - M μₜ₊₁) * m``, divided and scaled as in Adam.

    Parameters
    ----------
    params, lr, eps, weight_decay, decoupled_weight_decay, maximize
        See :class:`Optimizer`.
    betas : (float, float)
        How long the running means remember, each in [0, 1).
    momentum_decay : float
        See above.

    Raises
    ------
    ValueError
        An option is out of range.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = NAdam([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data.round(3)
    array([  0.894, -19.894])
    """

    elementwise: ClassVar[bool] = True
    entries: ClassVar[Mapping[str, str]] = {**_ENTRIES, "mu_product": "number"}
    checks = _usual(momentum_decay=check_number, decoupled_weight_decay=check_flag)

    def __init__(
        self, params: Parameters, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def _moved(self, p: Array, g: Array, state: Options, group: Options) -> tuple[Array, Options]:
        p, g = decayed(p, g, group)
        first, second = group["betas"]
        step = state["step"] + 1
        now, ahead = (first * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"]))
                      for t in (step, step + 1))  # fmt: skip
        product = state["mu_product"] * now
        mean = _mean(state["exp_avg"], g, first)
        square = _mean(state["exp_avg_sq"], g * g, second)
        size = np.sqrt(square / (1 - second**step)) + group["eps"]
        direction = g * ((1 - now) / (1 - product)) + mean * (ahead / (1 - product * ahead))
        p = p - direction / size * group["lr"]
        return p, {"step": step, "exp_avg": mean, "exp_avg_sq": square, "mu_product": product}


class RAdam(Optimizer):
    """:class:`Adam` that warms up by itself: momentum alone, until the squares tell (Liu, 2020).

    The mean of squares is worth ``ρₜ = ρ - 2 t β₂ᵗ / (1 - β₂ᵗ)`` of them, ``ρ = 2 / (1 - β₂) - 1``.
    While that is 5 or less, ``p -= lr * m / (1 - β₁ᵗ)``; from then on the step is Adam's, times
    ``sqrt((ρₜ - 4) (ρₜ - 2) ρ / ((ρ - 4) (ρ - 2) ρₜ))``.

    Parameters
    ----------
    params, lr, eps, weight_decay, decoupled_weight_decay, maximize
        See :class:`Optimizer`.
    betas : (float, float)
        How long the running means remember, each in [0, 1).

    Raises
    ------
    ValueError
        An option is out of range.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = RAdam([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    array([  0.8, -16. ])
    """

    elementwise: ClassVar[bool] = True
    entries: ClassVar[Mapping[str, str]] = _ENTRIES
    checks = _usual(decoupled_weight_decay=check_flag)

    def __init__(
        self, params: Parameters, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def _moved(self, p: Array, g: Array, state: Options, group: Options) -> tuple[Array, Options]:
        p, g = decayed(p, g, group)
        first, second = group["betas"]
        step = state["step"] + 1
        mean = _mean(state["exp_avg"], g, first)
        square = _mean(state["exp_avg_sq"], g * g, second)
        entries = {"step": step, "exp_avg": mean, "exp_avg_sq": square}
        rate = group["lr"] / (1 - first**step)
        limit, unseen = 2 / (1 - second) - 1, 1 - second**step
        length = limit - 2 * step * second**step / unseen
        if not length > 5:
            return p - mean * rate, entries
        share = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
        rate = rate * (unseen * share) ** 0.5
        return p - mean / (np.sqrt(square) + group["eps"]) * rate, entries
