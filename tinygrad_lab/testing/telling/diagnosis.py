"""Read the mistake off the numbers: which wrong gradients look like which slips of the pen.

The pattern is a guess, offered in words; the verdict does not depend on it.

Not for: finding the faults, or the numbers (``judging``).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.telling.digits import ratio_of
from tinygrad_lab.testing.telling.ratios import Size, in_words

TOLERANCE = 1e-6


class Pattern(NamedTuple):
    """How a wrong gradient relates to the right one, in words; with their ratio, if it has one.

    One that is not certain may have a closer reading, where it is wrong or what was left out.
    """

    text: str
    ratio: float | None = None
    is_certain: bool = True


FEW_SHIFTS = 16  # of an array with many equal elements


def diagnose(
    analytic: Array, numeric: Array, sizes: Sequence[Size | tuple[int, str]] = ()
) -> Pattern | None:
    """Find out how a wrong gradient relates to the right one; None where no pattern is evident.

    ``sizes`` are numbers that a mean might divide by, and what they count.
    """
    analytic, numeric = np.asarray(analytic, float), np.asarray(numeric, float)
    if not np.all(np.isfinite(analytic)):
        first = analytic[~np.isfinite(analytic)].ravel()[0]
        return Pattern(f"{first} although value and slope are finite")
    if analytic.size == 0:
        return None
    if not np.any(numeric):
        return Pattern("should be zero")
    if not np.any(analytic):
        return Pattern("zero everywhere: the gradient does not arrive here")
    with np.errstate(all="ignore"):
        ratio = _common_ratio(analytic, numeric)
        words = None if ratio is None else in_words(ratio, sizes)
        if ratio is not None and (analytic.size > 1 or words is not None):
            # the ratio of single numbers is always constant
            return Pattern(f"ratio {ratio_of(ratio, 1.0)}: {words or 'a constant factor'}", ratio)
        for patterns in (_CERTAIN, _OPEN):
            for text, fits in patterns.items():
                if fits(analytic, numeric):
                    return Pattern(text, is_certain=patterns is _CERTAIN)
    return None


def wrong_elements(analytic: Array, numeric: Array) -> Array:
    """Give a mask of the elements that are wrong."""
    size = max(_size(numeric), _size(analytic[np.isfinite(analytic)]))
    return np.asarray(~(np.abs(analytic - numeric) <= TOLERANCE * size))


def explains(ratio: float, analytic: Array, numeric: Array) -> bool:
    """Whether a factor of nearly one is what a nearly right gradient differs by."""
    off = _size(analytic - ratio * numeric)
    return off <= 1e-2 * _size(analytic - numeric)


def _common_ratio(a: Array, n: Array) -> float | None:
    square = float(np.vdot(n, n))
    if square == 0:
        return None
    ratio = float(np.vdot(n, a)) / square
    return ratio if np.allclose(a, ratio * n, rtol=TOLERANCE, atol=TOLERANCE * _size(a)) else None


def _size(x: Array) -> float:
    return float(np.max(np.abs(x), initial=0.0))


def _close(a: Array, b: Array) -> bool:
    scale = max(_size(a), _size(b))
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE * scale))


def _has_axes_permuted(a: Array, n: Array) -> bool:
    orders = itertools.permutations(range(a.ndim)) if 2 < a.ndim <= 5 else []
    return any(_close(np.transpose(a, order), n) for order in orders)


def _axes(a: Array) -> Iterable[tuple[int, ...]]:
    """List the choices of more than one axis, as of a kernel that is not turned around."""
    numbers = range(2, min(a.ndim, 4) + 1)
    return (axes for n in numbers for axes in itertools.combinations(range(a.ndim), n))


def _is_shifted(a: Array, n: Array) -> bool:
    top = [int(k) for k in np.unravel_index(np.argmax(np.abs(n)), n.shape)]
    return any(
        _close(np.roll(a, k, axis), n) for axis in range(a.ndim) for k in _shifts(a, n, top, axis)
    )


def _shifts(a: Array, n: Array, top: Sequence[int], axis: int) -> list[int]:
    """List shifts along an axis that put what the largest element has to be in its place."""
    line = np.moveaxis(a, axis, -1)[(*top[:axis], *top[axis + 1 :])]
    near = np.abs(line - n[tuple(top)]) <= 2 * TOLERANCE * _size(n)
    return [k for k in (top[axis] - np.flatnonzero(near)[:FEW_SHIFTS]).tolist() if k]


def _lacks_some(a: Array, n: Array) -> bool:
    missing = (a == 0) & (np.abs(n) > TOLERANCE * _size(n))
    return bool(np.any(missing)) and _close(a[~missing], n[~missing])


def _lacks_whole_factors(a: Array, n: Array) -> bool:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(n != 0, n / np.where(a == 0, np.nan, a), np.nan)
    ratios = ratio[np.isfinite(ratio)]
    whole = np.rint(ratios)
    return ratios.size > 0 and bool(np.all(np.abs(ratios - whole) < 1e-6)) and len(set(whole)) > 1


def _is_off_by_means(a: Array, n: Array, axes: Sequence[int | None]) -> bool:
    d = a - n
    means = (np.mean(d, axis, keepdims=True) for axis in axes)
    return d.size > 1 and any(_close(d, np.broadcast_to(mean, d.shape)) for mean in means)


#: What says all: the right numbers, elsewhere or changed.
_CERTAIN: dict[str, Callable[[Array, Array], bool]] = {
    "transposed": lambda a, n: a.ndim == 2 and _close(a.T, n),
    "axes permuted: the permutation is not the inverse one": _has_axes_permuted,
    "reversed along an axis": lambda a, n: any(_close(np.flip(a, k), n) for k in range(a.ndim)),
    "reversed along several axes": lambda a, n: any(_close(np.flip(a, k), n) for k in _axes(a)),
    "shifted along an axis": _is_shifted,
    "rows and columns in the other order (C for F)": lambda a, n: _close(a.ravel("F"), n.ravel()),
    "the right numbers in the wrong places": lambda a, n: (
        len(np.unique(n)) > 1 and _close(np.sort(a, None), np.sort(n, None))
    ),
    "the square of what it should be": lambda a, n: _close(a, n * n),
}

#: What leaves open why, or where.
_OPEN: dict[str, Callable[[Array, Array], bool]] = {
    "right where it is not zero; zero where it should not be": _lacks_some,
    "right but for the sign of some elements": lambda a, n: _close(np.abs(a), np.abs(n)),
    "too small by whole factors: contributions to a place overwritten, not added": (
        _lacks_whole_factors
    ),
    "off by the same amount everywhere: a term is missing (a mean, a sum)": lambda a, n: (
        _is_off_by_means(a, n, [None])
    ),
    "off by the same amount along an axis: a term is missing (a mean, a sum)": lambda a, n: (
        _is_off_by_means(a, n, [k for k in range(a.ndim) if a.shape[k] > 1])
    ),
}

_FACTORS: dict[str, Callable[[Array], Array]] = {
    "{}": lambda a: a,
    "1 - {}": lambda a: 1 - a,
    "{0} * (1 - {0})": lambda a: a * (1 - a),
    "1 - {}**2": lambda a: 1 - a * a,
    "({} > 0)": lambda a: (a > 0).astype(float),
    "{}**2": lambda a: a * a,
    "1 / {}": lambda a: 1 / a,
    "1 + {}": lambda a: 1 + a,
    "exp({})": np.exp,
    "exp(-{})": lambda a: np.exp(-a),
    "cos({})": np.cos,
    "sin({})": np.sin,
    "sqrt({})": np.sqrt,
    "abs({})": np.abs,
    "1 - tanh({})**2": lambda a: 1 - np.tanh(a) ** 2,
    "1 / (1 + exp(-{}))": lambda a: 1 / (1 + np.exp(-a)),
}


def wrong_factor(analytic: Array, numeric: Array, values: Mapping[str, Array]) -> str:
    """Find a factor, made of a named value, that a gradient lacks, or has and should not have.

    It has a number in front, where the two also differ by a constant.
    """
    if analytic.size < 2:
        return ""
    for name, value in values.items():
        if value.shape != analytic.shape or value.dtype.kind != "f":
            continue
        for text, of_value in _FACTORS.items():
            with np.errstate(all="ignore"):
                factor = of_value(value)
            if not np.all(np.isfinite(factor)) or np.ptp(factor) <= TOLERANCE * _size(factor):
                continue
            if ratio := _common_ratio(analytic * factor, numeric):
                return f"the factor {_times(1 / ratio)}{text.format(name)} is missing"
            if ratio := _common_ratio(analytic, numeric * factor):
                return f"the factor {_times(ratio)}{text.format(name)} is one too many"
    return ""


def wrong_term(analytic: Array, numeric: Array, values: Mapping[str, Array]) -> str:
    """Find a term, a multiple of a named value, that a gradient lacks, or has and should not have.

    A weight decay that the loss has and the backward pass forgets is such a term.
    """
    if analytic.size < 2:
        return ""
    missing = numeric - analytic
    for name, value in values.items():
        if value.shape != analytic.shape or value.dtype.kind != "f" or not np.any(value):
            continue
        if np.ptp(value) <= TOLERANCE * _size(value):
            continue
        if ratio := _common_ratio(missing, value):
            what = "is missing" if ratio > 0 else "is one too many"
            return f"the term {_times(abs(ratio))}{name} {what}"
    return ""


def _times(constant: float) -> str:
    return "" if abs(constant - 1) <= TOLERANCE else f"{constant:.6g} * "
