"""Right functions that differentiate inside: penalties of gradients, residuals of equations.

In PyTorch they call ``torch.autograd.grad``; in NumPy the inner derivative is written out.

Not for: gradients of second order, which are asked for from outside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.checkers.right.points import above, beside, reals
from benchmarks.checkers.right.right import Array, Right, elementwise, of_one_number

STATE = reals((3,), saturated=(2.0, 7.0), huge=None, tiny=(1e-6, 1e-2))


def _slope(f: Any, x: Any) -> Any:
    """The derivative of a function of each element, itself differentiable."""
    import torch

    with torch.enable_grad():
        x = x if x.requires_grad else x.detach().requires_grad_()
        return torch.autograd.grad(f(x).sum(), x, create_graph=True)[0]


def _torch() -> Any:
    import torch

    return torch


def _hamiltonian(q: Any, p: Any) -> Any:
    torch = _torch()
    with torch.enable_grad():
        q, p = (x if x.requires_grad else x.detach().requires_grad_() for x in (q, p))
        energy = (p**2 / 2 - torch.cos(q)).sum()
        by_q, by_p = torch.autograd.grad(energy, (q, p), create_graph=True)
    return by_p, -by_q


def _adapted(w: Any, a: Any) -> Any:
    """A loss after one step of descent on another."""
    step = _slope(lambda v: ((v - a.detach()) ** 4).sum(), w)
    return ((w - 0.1 * step) ** 2).sum()


def _penalty(x: Any) -> Any:
    return (_slope(lambda z: (z**3).sum(), x).norm() - 1) ** 2


def _penalty_gradient(x: Array) -> Array:
    n = np.sqrt(np.sum(9 * x**4))
    return 2 * (n - 1) / n * 18 * x**3


def _curvature(x: Array) -> Array:
    t = np.tanh(x)
    return -2 * t * (1 - t * t)


FUNCTIONS: list[Right] = [
    of_one_number("penalty of a gradient", lambda x: np.sum((1 - np.tanh(x) ** 2) ** 2),
                  lambda x: -4 * np.tanh(x) * (1 - np.tanh(x) ** 2) ** 2, STATE,
                  torch=lambda x: (_slope(lambda z: _torch().tanh(z), x) ** 2).sum()),
    of_one_number("penalty of a gradient's norm", lambda x: (np.sqrt(np.sum(9 * x**4)) - 1) ** 2,
                  _penalty_gradient, reals((3,), saturated=(2, 7), huge=None, tiny=(1e-3, 1e-1)),
                  torch=_penalty),
    elementwise("residual of the heat equation", lambda x: -np.sin(x) - np.cos(2 * x),
                lambda x: -np.cos(x) + 2 * np.sin(2 * x), STATE,
                torch=lambda x: _slope(lambda z: _slope(lambda y: _torch().sin(y), z), x)
                - _torch().cos(2 * x)),
    elementwise("second derivative of tanh", _curvature,
                lambda x: (1 - np.tanh(x) ** 2) * (6 * np.tanh(x) ** 2 - 2), STATE,
                torch=lambda x: _slope(lambda z: _slope(lambda y: _torch().tanh(y), z), x)),
    Right("residual with a parameter", lambda x, b: -b * b * np.sin(b * x) + np.sin(b * x),
          lambda g, x, b: (g * b * (1 - b * b) * np.cos(b * x),
                           np.sum(g * (-2 * b * np.sin(b * x) + (1 - b * b) * x * np.cos(b * x)))),
          beside(STATE, reals((), saturated=None, huge=None, tiny=None)),
          torch=lambda x, b: _slope(lambda z: _slope(lambda y: _torch().sin(b * y), z), x)
          + _torch().sin(b * x)),
    Right("Hamilton's equations", lambda q, p: (p, -np.sin(q)),
          lambda gs, q, p: (-gs[1] * np.cos(q), gs[0]), reals((2,), (2,), huge=(1e1, 1e3)),
          torch=_hamiltonian),
    elementwise("log-slope of a flow", lambda x: np.log(1 + 0.5 * (1 - np.tanh(x) ** 2)),
                lambda x: -np.tanh(x) * (1 - np.tanh(x) ** 2)
                / (1 + 0.5 * (1 - np.tanh(x) ** 2)), STATE,
                torch=lambda x: _torch().log(_slope(lambda z: z + 0.5 * _torch().tanh(z), x))),
    elementwise("score matching", lambda x: 0.5 * x**6 - 3 * x**2, lambda x: 3 * x**5 - 6 * x,
                STATE, torch=lambda x: 0.5 * _slope(lambda z: z**4 / 4, x) ** 2
                - _slope(lambda z: _slope(lambda y: y**4 / 4, z), x)),
    of_one_number("a loss after a step of descent",
                  lambda w: np.sum((w - 0.4 * (w - 1) ** 3) ** 2),
                  lambda w: 2 * (w - 0.4 * (w - 1) ** 3) * (1 - 1.2 * (w - 1) ** 2), STATE,
                  torch=lambda w: _adapted(w, _torch().ones_like(w))),
    elementwise("log-density of a transformed normal",
                lambda x: -0.5 * np.log(x) ** 2 - np.log(x), lambda x: -(1 + np.log(x)) / x,
                above(0.0), torch=lambda x: -0.5 * _torch().log(x) ** 2
                + _torch().log(_slope(lambda z: _torch().log(z), x))),
]  # fmt: skip
