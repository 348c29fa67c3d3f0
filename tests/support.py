"""What the tests share: finite differences as the judge of gradients, and a look at warnings.

This is a second judge on purpose.  ``tinygrad_lab.testing`` measures slopes too; were it the only
one, a mistake there could hide a mistake in a rule.  So nothing of it is used here, and the two
share no code.

Not for: generated inputs (``tinygrad_lab/testing/inputs``).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_lab as tl

LEVELS = 6  # of the ladder: steps from 2**-5 down to 2**-10
ENTRY_BY_ENTRY = 2  # up to this many elements the whole Jacobian costs no more than directions do


def numerical_slope(phi: Callable[[float], Any]) -> float:
    """The slope of ``phi`` at 0, by Richardson's ladder of central differences.

    Differences at h, h/2, ... are extrapolated, and the entry that agrees best with its neighbours
    is taken.  ``phi`` is of order 1 and smooth within about 1/32 of 0.
    """
    best, least = np.nan, np.inf
    above: list[float] = []
    for level in range(LEVELS):
        h = 2.0 ** -(5 + level)
        row = [float((phi(h) - phi(-h)) / (2 * h))]
        for order, before in enumerate(above, start=1):
            row.append(row[-1] + (row[-1] - before) / (4.0**order - 1))
            change = max(abs(row[-1] - row[-2]), abs(row[-1] - before))
            if change < least:
                best, least = row[-1], change
        above = row
    return best


def _scales(x: Any) -> Any:
    """A length for the steps at each element: a power of two, at least 1."""
    return np.maximum(1.0, 2.0 ** np.floor(np.log2(np.abs(x) + 1e-300)))


def directional_slope(
    f: Callable[..., Any], arrays: Sequence[Any], i: int, upstream: Any, direction: Any
) -> float:
    """The derivative of ``sum(upstream * f(*arrays))`` as ``arrays[i]`` moves along a direction."""

    def phi(h: float) -> Any:
        moved = list(arrays)
        moved[i] = np.asarray(arrays[i] + h * direction)
        return np.sum(upstream * f(*moved))

    return numerical_slope(phi)


def numerical_vjp(f: Callable[..., Any], arrays: list[Any], i: int, upstream: Any) -> Any:
    """The gradient of ``sum(upstream * f(*arrays))`` by ``arrays[i]``, element by element."""
    gradient = np.zeros(arrays[i].shape)
    scales = _scales(arrays[i])
    for index in np.ndindex(*arrays[i].shape):
        direction = np.zeros(arrays[i].shape)
        direction[index] = scales[index]
        gradient[index] = directional_slope(f, arrays, i, upstream, direction) / scales[index]
    return gradient


def _directions(x: Any, number: int, generator: np.random.Generator) -> list[Any]:
    """Random directions in which every element moves by an amount of its own."""
    if x.size <= ENTRY_BY_ENTRY:
        rows = np.eye(x.size).reshape((x.size, *x.shape))
    else:
        rows = generator.choice([-1.0, 1.0], (number, *x.shape))
        rows = rows * generator.uniform(0.4, 1.0, (number, *x.shape))
    return list(rows * _scales(x))


def check_gradients(
    f: Callable[..., Any],
    *arrays: Any,
    order: int = 2,
    tolerance: float = 1e-6,
    rng: int = 0,
) -> None:
    """Compare the gradients of ``f`` by each float array with finite differences.

    ``f`` takes and returns one array; it is run on plain arrays (which must give a plain array)
    and on tensors (which must give the same values).  The gradients are compared along random
    directions (element by element where an array has no more than two), and only when that fails
    element by element, to say where.  With ``order=2`` the gradient itself, as a function of the
    arrays and of the upstream, is differentiated and checked, and so on for higher orders.

    The arrays are float64 and 1/32 away from kinks and poles.
    """
    generator = np.random.default_rng(rng)
    plain = f(*arrays)
    assert not isinstance(plain, tl.Tensor), "ndarrays in must give ndarrays out"
    tensors = [tl.tensor(a, requires_grad=True) for a in arrays]
    y = f(*tensors)
    assert isinstance(y, tl.Tensor), f"tensors in must give a tensor out, not {type(y)}"
    if not y.requires_grad:
        assert any(a.size == 0 for a in arrays), "the result is not tracked"
        return
    np.testing.assert_allclose(y.data, plain, rtol=1e-12, atol=1e-12, err_msg="tensors differ")
    upstream = np.asarray(generator.normal(size=y.shape))
    gradients = tl.gradients(y, tensors, upstream, create_graph=order > 1)
    for i, (g, a) in enumerate(zip(gradients, arrays, strict=True)):
        values = g.data if isinstance(g, tl.Tensor) else g
        assert values.shape == a.shape, f"gradient {i}: shape {values.shape}, not {a.shape}"
        assert values.dtype == a.dtype, f"gradient {i}: {values.dtype}, not {a.dtype}"
        for direction in _directions(a, 1 if order > 1 else 2, generator):
            expected = directional_slope(f, arrays, i, upstream, direction)
            slope = np.sum(values * direction)
            if not abs(slope - expected) <= tolerance * (1 + abs(expected)):
                _fail(f, arrays, i, upstream, values, slope, expected)

    if order > 1:
        row = _gradients_in_a_row(f)
        check_gradients(row, *arrays, upstream, order=order - 1, tolerance=tolerance * 10)


def _fail(
    f: Callable[..., Any],
    arrays: Any,
    i: int,
    upstream: Any,
    values: Any,
    slope: Any,
    expected: Any,
) -> None:
    """Raise, with the elements of gradient ``i`` beside their numerical values if it is small."""
    text = f"gradient {i} is wrong: slope {slope} along a direction, numerically {expected}"
    if arrays[i].size <= 64:
        numeric = numerical_vjp(f, list(arrays), i, upstream)
        text += f"\nrule gives\n{values}\nnumerically\n{numeric}"
    raise AssertionError(text)


def _gradients_in_a_row(f: Callable[..., Any]) -> Callable[..., Any]:
    """All gradients of ``f`` as one flat array, as a function of its inputs and of the upstream.

    On plain arrays the rules run on plain arrays; on tensors they are recorded.
    """

    def row(*moved: Any) -> Any:
        recorded = any(isinstance(m, tl.Tensor) for m in moved)
        *leaves, up = moved if recorded else [tl.tensor(m, requires_grad=True) for m in moved]
        if recorded:
            gradients = tl.gradients((f(*leaves) * up).sum(), leaves, create_graph=True)
            return np.concatenate([np.ravel(g) for g in gradients])
        return np.concatenate([g.ravel() for g in tl.gradients(f(*leaves), leaves, up.data)])

    return row


def warnings_of(action: Callable[[], Any], times: int = 1) -> list[warnings.WarningMessage]:
    """What is warned of, under Python's own filters, when an action is repeated."""
    with warnings.catch_warnings(record=True) as recorded:
        warnings.simplefilter("default")
        for _ in range(times):
            action()
    return recorded
