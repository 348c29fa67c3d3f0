"""Extrema finding: the larger of two, and the largest of many.  Ties share evenly."""

import numpy as np

from tinygrad_lab.core.levels import somewhere
from tinygrad_lab.core.operations import composed, defvjp
from tinygrad_lab.core.rules.mathematical.sums import axes_of, keep

# Of two


def _of_two(g, wins, a, b):
    """The share of ``a``: all where it wins, or is NaN, and half of a tie."""
    return np.where(a == b, g / 2, np.where(wins | (a != a), g, 0))


def _of_numbers(g, wins, a, b):
    return np.where(np.isnan(b), g, np.where(np.isnan(a), 0, _of_two(g, wins, a, b)))


def _which(y, a, b):
    return np.sign(a - b)


defvjp(
    np.maximum,
    lambda g, y, a, b: _of_two(g, a > b, a, b),
    lambda g, y, a, b: _of_two(g, b > a, b, a),
    branch=_which,
)
defvjp(
    np.minimum,
    lambda g, y, a, b: _of_two(g, a < b, a, b),
    lambda g, y, a, b: _of_two(g, b < a, b, a),
    branch=_which,
)
defvjp(
    np.fmax,
    lambda g, y, a, b: _of_numbers(g, a > b, a, b),
    lambda g, y, a, b: _of_numbers(g, b > a, b, a),
    selects=True,
    branch=_which,
)
defvjp(
    np.fmin,
    lambda g, y, a, b: _of_numbers(g, a < b, a, b),
    lambda g, y, a, b: _of_numbers(g, b < a, b, a),
    selects=True,
    branch=_which,
)


# Of many


def _extreme(g, y, x, axis=None, out=None, keepdims=False, initial=None, where=True):
    extreme = keep(y, x, axis)
    hit = x == extreme
    if somewhere(y != y):  # a NaN among the elements is the extreme
        hit = hit | ((x != x) & (extreme != extreme))
    if where is not True:
        hit = hit & where
    return np.where(hit, keep(g, x, axis) / np.maximum(_ties(hit, x, axis, y, initial), 1), 0)


def _ties(hit, x, axis, y, initial):
    """How many elements are the extreme, and the initial value where it is one too."""
    number = np.sum(hit, axis=axes_of(x, axis), keepdims=True)
    return number if initial is None else number + (keep(y, x, axis) == initial)


def _initial(g, y, x, axis=None, out=None, keepdims=False, initial=None, where=True):
    hit = (x == keep(y, x, axis)) & where
    ties = _ties(hit, x, axis, y, initial)
    return np.where(keep(y, x, axis) == initial, keep(g, x, axis) / np.maximum(ties, 1), 0)


def _where_extreme(y, x, axis=None, *args, **kwargs):
    return x == keep(y, x, axis)


for _function in (np.max, np.min):
    defvjp(_function, _extreme, _initial, argnums=[0, 4], branch=_where_extreme)
for _function in (np.nanmax, np.nanmin):
    defvjp(_function, _extreme, _initial, argnums=[0, 4], selects=True, branch=_where_extreme)
composed(np.amax, by=("a", "initial"))(np.max)
composed(np.amin, by=("a", "initial"))(np.min)
