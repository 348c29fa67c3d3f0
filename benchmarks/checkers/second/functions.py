"""Faults in ``torch.autograd.Function``, as their authors wrote them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.checkers.second.arrays import normal
from benchmarks.checkers.second.pairs import Inputs, Pair
from tinygrad_lab import testing as tgt


def _function(forward: Any, backward: Any) -> Any:
    """An adapter of a function made of two static methods."""
    import torch

    kind: Any = type(
        "Function", (torch.autograd.Function,),
        {"forward": staticmethod(forward), "backward": staticmethod(backward)},
    )  # fmt: skip
    return tgt.adapters.torch(kind.apply)


def _sinh(is_right: bool) -> Any:
    import torch

    def forward(ctx: Any, x: Any) -> Any:
        e = torch.exp(x)
        ctx.save_for_backward(x, e)
        return (e - 1 / e) / 2

    def backward(ctx: Any, g: Any) -> Any:
        x, e = ctx.saved_tensors
        e = torch.exp(x) if is_right else e  # an intermediate value has no history
        return g * (e + 1 / e) / 2

    return _function(forward, backward)


def _cube(is_right: bool) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x**3, x * 2

    def backward(ctx: Any, g: Any, g_second: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * 3 * x**2 + (2 * g_second if is_right else 0)

    return _function(forward, backward)


def _largest(is_right: bool) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.where = x.argmax()
        ctx.shape = x.shape
        return x.max() ** 1

    def backward(ctx: Any, g: Any) -> Any:
        dx = g.new_zeros(ctx.shape)
        value = g if is_right else g.detach()
        index = [0] * len(ctx.shape)
        index[-1] = int(ctx.where)
        return dx.index_put(tuple(_as_tensor(i) for i in index), value)

    return _function(forward, backward)


def _as_tensor(i: int) -> Any:
    import torch

    return torch.tensor(i)


def _scaled(is_right: bool) -> Any:
    def forward(ctx: Any, x: Any, n: int) -> Any:
        ctx.n = n
        return x * n if is_right else x.clone()

    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.n, None

    return _function(forward, backward)


def _constant_factor(is_right: bool) -> Any:
    def forward(ctx: Any, x: Any, n: float) -> Any:
        ctx.n = n
        return x * n

    def backward(ctx: Any, g: Any) -> Any:
        return (g * ctx.n if is_right else g.clone()), None

    return _function(forward, backward)


def _with_state(is_right: bool) -> Any:
    def forward(ctx: Any, x: Any, w: Any) -> Any:
        ctx.save_for_backward(x, w)
        return (x * w).sum(0), x[-1] * w

    def backward(ctx: Any, g: Any, g_state: Any) -> Any:
        x, w = ctx.saved_tensors
        dx, dw = (g * w).expand_as(x).clone(), (g * x).sum(0)
        if is_right:
            dx[-1] = dx[-1] + g_state * w
            dw = dw + g_state * x[-1]
        return dx, dw

    return _function(forward, backward)


def _divergence(is_right: bool) -> Any:
    import torch

    def forward(ctx: Any, log_q: Any, p: Any) -> Any:
        ctx.save_for_backward(log_q, p)
        return p * (torch.log(p) - log_q)

    def backward(ctx: Any, g: Any) -> Any:
        log_q, p = ctx.saved_tensors
        by_p = torch.log(p) - log_q + 1
        return -g * (p if is_right else p.detach()), g * by_p

    return _function(forward, backward)


def _distributions(rng: Any) -> tuple[Any, Any]:
    return rng.normal(size=3), rng.uniform(0.1, 0.9, 3)


def _with_number(number: float) -> Any:
    return lambda rng: (rng.normal(size=4), number)


LIST: list[tuple[str, str, Inputs, Callable[[bool], Any], dict[str, Any]]] = [
    ("second derivative through a saved intermediate value", "pytorch/pytorch#104040",
     normal((4,)), _sinh, {"order": 2}),
    ("the upstream of the second output ignored", "pytorch/pytorch#96887", normal((3,)),
     _cube, {}),
    ("backward that detaches its upstream", "pytorch/pytorch#1753", normal((4,)), _largest,
     {"order": 2}),
    ("a factor in backward alone", "pytorch/pytorch#132601", _with_number(3), _scaled, {}),
    ("a factor in forward alone", "zergtant/pytorch-handbook#69", _with_number(5.0),
     _constant_factor, {}),
    ("the gradient of a state ignored", "huggingface/transformers#23774",
     normal((3, 2), (2,)), _with_state, {}),
    ("second derivative by a target", "pytorch/pytorch#65466", _distributions, _divergence,
     {"order": 2}),
]  # fmt: skip

PAIRS: list[Pair] = [
    Pair(name, source, inputs, partial(make, True), partial(make, False), options)
    for name, source, inputs, make, options in LIST
    if importlib.util.find_spec("torch")
]
