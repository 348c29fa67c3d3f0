"""What decompositions divide by: gaps between eigenvalues, or singular values, which may vanish.

Where values coincide their vectors are not unique, and what a cotangent mixes of them meets a gap
of 0.  For a function of the matrix both vanish, and the quotient has a limit: with the mixing
``m(t) = (gap + t step) q(t)`` as the values move apart, ``q = m' / step - gap m'' / (2 step**2)``
and so on.  What is no function of the matrix (one of two vectors of equal values, the phase of a
complex vector) has no limit, and its quotient is not finite.

``mixtures`` here is the linear map from cotangents to such mixings, one matrix for each kind, and
``gaps`` the linear map from values to what divides each.
"""

import numpy as np

from tinygrad_lab.core import degenerate
from tinygrad_lab.core.rules.arguments import untracked
from tinygrad_lab.core.rules.linalg.matrices import as_row

# In units of the rounding error, relative to the largest value: equal are values that rounding
# alone sets apart; the limit is compared with the quotient, and a pass prepares for it.
_EQUAL, _COMPARED, _PREPARED = 8, 1 / 3, 1 / 2


def differences(values):
    """w_j - w_i for each i and j."""
    return as_row(values) - values[..., None]


def sums(values):
    """w_j + w_i for each i and j."""
    return as_row(values) + values[..., None]


def are_near(values, gaps):
    """Tell whether two values, or one and 0, are so near that their quotients are inexact."""
    steps = gaps(_ramp(values))
    bound = _eps(values) ** _PREPARED * _largest(values)
    return any(
        bool(np.any((np.abs(gap) <= bound) & (step != 0)))
        for gap, step in zip(gaps(values), steps)
    )


def are_equal(gaps, values):
    """Tell where gaps are no more than rounding errors of the values."""
    return np.abs(untracked(gaps)) <= _EQUAL * _eps(values) * _largest(untracked(values))


def shared(g, values):
    """Share among equal values what comes back to them, as ``np.max`` and ``np.sort`` do."""
    equal = are_equal(differences(values), values)
    mean = (equal @ g[..., None])[..., 0] / np.sum(equal, axis=-1)
    strays = np.abs(untracked(g - mean)) > _eps(values) ** 0.5 * _largest(untracked(g))[..., 0]
    return np.where(strays, mean, g)  # unchanged where equal: it may have a history of its own


def without_kinks(g, values):
    """Share among equal values, and give nothing to a size of 0, as ``np.abs`` does."""
    g = shared(g, values)
    zero = are_equal(values[..., None], values)[..., 0]
    return np.where(zero & (np.abs(untracked(g)) > _eps(values) ** 0.5 * _largest(untracked(g))[..., 0]), 0, g)


def unmixed(g, y, position, mixtures, gaps):
    """Divide the ``mixtures`` of ``g`` by the ``gaps`` of ``y[position]``, to the limit at 0."""
    values, ramp = y[position], _ramp(y[position])
    uppers, lowers, steps = mixtures(g), gaps(values), gaps(ramp)
    equal = [np.broadcast_to(are_equal(b, values), a.shape) for a, b in zip(uppers, lowers)]
    limits, size, is_function = [0] * len(uppers), _size(g, position), True
    known = [step == 0 for step in steps]  # a vector and itself: 0, where not a phase counts
    derivatives = None
    if are_near(untracked(values), gaps):
        derivatives = degenerate.changes(g, y, position, ramp)
    if derivatives is not None:
        rises = list(zip(*map(mixtures, derivatives)))
        limits = [_limit(*both) for both in zip(rises, lowers, steps)]
        known = [True] * len(uppers)
        terms = [(upper, _weights(each)) for upper, each in zip(uppers, equal)]
        turned, other = degenerate.gradient(terms, y)
        size = size + _largest(untracked(values)) * _size(derivatives[0], position)
        size = size + _size(turned, position)
        turning = sum(
            np.max(np.abs(untracked(m)) * each, axis=(-2, -1), keepdims=True, initial=0)
            for m, each in zip(mixtures(turned), equal)
        )
        is_function = turning + other <= _eps(values) ** 0.5 * size
    return [
        _quotient(*each, values, size, is_function)
        for each in zip(uppers, lowers, limits, equal, known)
    ]


def _quotient(upper, gap, limit, equal, known, values, size, is_function):
    eps = _eps(values)
    vanishes = (np.abs(untracked(upper)) <= eps**0.5 * size) & is_function
    near = np.abs(untracked(gap)) <= eps**_COMPARED * _largest(untracked(values))
    rest = np.abs(untracked(upper - gap * limit))
    agrees = near & (rest <= 64 * values.shape[-1] * eps * size)
    takes_limit = known & np.where(equal, vanishes, agrees)
    return np.where(takes_limit, limit, upper / np.where(takes_limit, 1, np.where(equal, 0, gap)))


def _limit(rises, gap, step):
    step = np.where(step == 0, np.inf, step)
    first = rises[0] / step
    if len(rises) == 1:
        return first
    return degenerate.once_more(first - gap * (rises[1] / step) / (2 * step))


def _ramp(values):
    """A different positive step for each value."""
    n = values.shape[-1]
    return np.broadcast_to(np.arange(1, n + 1, dtype=np.finfo(values.dtype).dtype), values.shape)


def _weights(equal):
    """Numbers without a pattern where values are equal."""
    rows, columns = equal.shape[-2:]
    return equal * np.cos(np.arange(rows * columns) ** 1.5).reshape((rows, columns))


def _eps(values):
    return float(np.finfo(values.dtype).eps)


def _largest(values):
    return np.max(np.abs(values), axis=-1, keepdims=True, initial=0)[..., None]


def _size(cotangents, position):
    """The largest element of what comes back to the vectors of each matrix."""
    parts = [np.abs(untracked(part)) for k, part in cotangents.items() if k != position]
    return sum(np.max(part, axis=(-2, -1), keepdims=True, initial=0) for part in parts)
