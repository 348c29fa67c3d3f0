"""What decompositions divide by: gaps between eigenvalues, or singular values, which may vanish.

Where values coincide their vectors are not unique, and what a cotangent mixes of them meets a gap
of 0.  For a function of the matrix both vanish, and the quotient has a limit: with the mixing
``m(t) = (gap + t step) q(t)`` as the values move apart, ``q = m' / step - gap m'' / (2 step**2)``
and so on.  What is no function of the matrix (one of two vectors of equal values, the phase of a
complex vector) has no limit, and its quotient is not finite.

``mixtures`` here is the linear map from cotangents to such mixings, one matrix for each kind, and
``gaps`` the linear map from values to what divides each: in the first, their differences.
"""

import numpy as np

from tinygrad_lab.core import degenerate
from tinygrad_lab.core.arguments import beside
from tinygrad_lab.core.levels import somewhere
from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.core.rules.arguments import untracked
from tinygrad_lab.core.rules.linalg.matrices import as_row
from tinygrad_lab.core.rules.mathematical.lengths import vanishing

# In rounding errors of the largest value: what rounding alone sets apart, and what it blurs.
_EQUAL, _BLURRED = 8, 1000
# Powers of the rounding error: gaps so small that a pass prepares for limits, or considers them.
_PREPARED, _CONSIDERED = 1 / 2, 1 / 3


def differences(values):
    """w_j - w_i for each i and j."""
    return as_row(values) - values[..., None]


def sums(values):
    """w_j + w_i for each i and j."""
    return as_row(values) + values[..., None]


def are_near(values, gaps, power=_PREPARED):
    """Tell whether values, or one and 0, are so near that rounding counts in their gap."""
    bound, steps = _eps(values) ** power * _largest(values), gaps(_ramp(values))
    return any(
        somewhere((np.abs(gap) <= bound) & (step != 0)) for gap, step in zip(gaps(values), steps)
    )


def are_equal(gaps, values):
    """Tell where gaps are no more than rounding errors of the values."""
    return np.abs(untracked(gaps)) <= _EQUAL * _eps(values) * _largest(untracked(values))


def shared(g, y, position=0):
    """Share among equal values what comes back to them, as ``np.max`` and ``np.sort`` do."""
    values, up = y[position], g[position]
    equal = are_equal(differences(values), values)
    mean = (equal @ up[..., None])[..., 0] / np.sum(equal, axis=-1)
    away, size = np.abs(untracked(up - mean)), _largest(untracked(up))[..., 0]
    strays = away > _eps(values) ** 0.5 * size
    if degenerate.is_recorded(up) and somewhere(strays | (equal.sum(axis=-1) > 1)):
        degenerate.refuse_second_call([up], y)
    if degenerate.is_recorded(up) and somewhere(strays):  # or rounding, where all comes to 0
        slopes = degenerate.change(g, y, position, _ramp(values)).of(position, y)
        size = size + (_largest(untracked(values)) * _largest(untracked(slopes)))[..., 0]
        strays = away > _eps(values) ** 0.5 * size
    return np.where(strays, mean, up)  # unchanged where equal: it may have a history of its own


def of_sizes(g, y, position):
    """What comes back to singular values alone: shared, and nothing to 0, as ``np.abs`` does."""
    values, up = y[position], shared(g, y, position)
    zero = are_equal(values[..., None], values)[..., 0]
    is_kink = zero & (np.abs(untracked(up)) > _eps(values) ** 0.5 * _largest(untracked(up))[..., 0])
    up = np.where(is_kink, 0, up)
    if not degenerate.is_recorded(up) or not somewhere(zero):
        return up
    # The second derivative is finite only if each value of 0 counts by its square.
    ramp = _ramp(values)
    own, mixed = (
        degenerate.change(g, y, position, steps).of(position, y)
        for steps in (np.ones_like(ramp), ramp)
    )
    away = np.abs(untracked(mixed - own * ramp)) > 1e-4 * _largest(untracked(own))[..., 0]
    return up + vanishing(np.where(is_kink | (zero & away), np.inf, 0), values)


def unmixed(g, y, position, mixtures, gaps):
    """Divide the ``mixtures`` of ``g`` by the ``gaps`` of ``y[position]``, to the limit at 0."""
    values, ramp = y[position], _ramp(y[position])
    uppers, lowers, steps = mixtures(g), gaps(values), gaps(ramp)
    equal = [np.broadcast_to(are_equal(b, values), a.shape) for a, b in zip(uppers, lowers)]
    derivatives = None
    if are_near(untracked(values), gaps, _CONSIDERED):
        derivatives = degenerate.changes(g, y, position, ramp)
    if derivatives is None:  # a vector mixes nothing with itself, unless its phase counts
        limits, least = [0] * len(uppers), _eps(values) ** 0.5 * _size(g, position)
        free = [np.abs(untracked(upper)) <= least for upper in uppers]
        taken = [each & (step == 0) for each, step in zip(free, steps)]
    else:
        degenerate.refuse_second_call([*g.values()], y)
        limits = [_limit(*each) for each in zip(zip(*map(mixtures, derivatives)), lowers, steps)]
        is_function = _is_function(g, y, position, mixtures, equal, derivatives[0])
        size = _size(g, position) + _largest(untracked(values)) * _size(derivatives[0], position)
        agreeing = _agreeing(uppers, lowers, limits, values, size, len(derivatives))
        taken = [np.where(same, is_function, each) for same, each in zip(equal, agreeing)]
    return [
        np.where(take, limit, upper / np.where(take, 1, np.where(same, 0, gap)))
        for upper, gap, limit, same, take in zip(uppers, lowers, limits, equal, taken)
    ]


def _is_function(g, y, position, mixtures, equal, change):
    """Tell for each matrix whether it depends on no choice among the vectors of equal values.

    Then nothing mixes them; nor where equal values move together, nor where their vectors turn, nor
    whatever else the cotangents depend on.
    """
    if degenerate.is_asking():  # the pass around this one looks for itself
        return True
    values = untracked(y[position])
    shifted = degenerate.change(g, y, position, np.ones_like(_ramp(values)))
    residue, size = 0, np.maximum(_largest(values), 1) * _size(change, position)
    for cotangents, kinds in ((g, equal), (shifted, equal[:1])):  # moving leaves no value at 0
        mixed = list(zip(mixtures(cotangents), kinds))
        of_all = [(part, _weights(part.shape)) for k, part in cotangents.items() if k != position]
        of_mixed = [(m, same * _weights(m.shape)) for m, same in mixed]
        (turned, other), (at_most, most) = (
            degenerate.by_results(terms, y) for terms in (of_mixed, of_all)
        )
        mixed += zip(mixtures(turned), kinds)
        residue = residue + other + sum(_highest(np.abs(untracked(m)) * same) for m, same in mixed)
        size = size + _size(cotangents, position) + _size(at_most, position) + most
    return residue <= _eps(values) ** 0.5 * size


def _agreeing(uppers, lowers, limits, values, size, orders):
    """Where small gaps leave a quotient and its limit the same to rounding, and not by chance.

    By chance they may be where both are 0.  If the limit is to be differentiated, then the gap
    must be small beside its own two values too, or the values blurred.
    """
    values = untracked(values)
    eps, largest = _eps(values), _largest(values)
    own = [sums(np.abs(values)), *([0] * (len(uppers) - 1))]
    for upper, gap, limit, other in zip(uppers, lowers, limits, own):
        part, gap = untracked(gap * limit), np.abs(untracked(gap))
        noise = 8 * values.shape[-1] * eps * size
        agree = (gap <= eps**_CONSIDERED * largest) & (np.abs(untracked(upper) - part) <= noise)
        sure = (np.abs(part) > 30 * noise) | (gap <= _BLURRED * eps * largest)
        yield agree & (sure | (gap <= eps**_CONSIDERED * other) | (orders == 1))


def _limit(rises, gap, step):
    step = np.where(step == 0, np.inf, step)
    first = rises[0] / step
    if len(rises) == 1:
        return first
    return _once_more(first - gap * (rises[1] / step) / (2 * step))


# The limit is exact, and so is its first derivative; a second would need one more term.


@primitive
def _once_more(x):
    """``x``, of which one derivative is right."""
    return x


@primitive
def _once_more_back(g, x):
    """The cotangent ``g``, which may not be differentiated by ``x``."""
    return g


def _refuse(up, y, g, x):
    if not degenerate.is_asking():
        raise np.linalg.LinAlgError(
            "of a function of a matrix with equal eigenvalues or singular values only the first "
            "two derivatives are known, one where it decomposes twice. Move the values apart"
        )
    return 0 * x


defvjp(_once_more, lambda g, y, x: _once_more_back(g, x))
defvjp(_once_more_back, lambda up, y, g, x: up, _refuse)


def _ramp(values):
    """A different positive step for each value."""
    n = values.shape[-1]
    steps = np.arange(1, n + 1, dtype=np.finfo(values.dtype).dtype)
    return np.broadcast_to(beside(steps, untracked(values)), values.shape)


def _weights(shape):
    """Numbers without a pattern."""
    rows, columns = shape[-2:]
    pattern = np.cos(np.arange(rows * columns) ** 1.5).reshape((rows, columns))
    return np.broadcast_to(pattern, shape)


def _eps(values):
    return float(np.finfo(values.dtype).eps)


def _largest(values):
    return degenerate.largest(np.abs(values), axis=-1)[..., None]


def _highest(matrix):
    return degenerate.largest(matrix, axis=(-2, -1))


def _size(cotangents, position):
    """The largest element of what comes back to the vectors of each matrix."""
    parts = [np.abs(untracked(part)) for k, part in cotangents.items() if k != position]
    return sum(map(_highest, parts))
