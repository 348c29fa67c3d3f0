"""What a backward pass may have done instead: computed, and held against what it gave.

From the measured Jacobian come the gradients that a pass gives which ignores its upstream, averages
it, takes it at other places, or knows of a part of the Jacobian only.  One is named only if it
reproduces every number.

Not for: patterns that need no Jacobian (``diagnosis.py``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array

TOLERANCE = 1e-6


def done_instead(gradient: Array, jacobian: Array, upstreams: Sequence[Array]) -> str:
    """Say what was done instead of pulling the upstreams back; "" where nothing fits.

    ``jacobian`` has a row for each element of the results, and a column for each of ``gradient``.

    Examples
    --------
    >>> jacobian, upstream = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([2.0, -3.0])
    >>> done_instead(np.array([4.0, 7.0]), jacobian, [upstream])
    'the upstream is not used: it is taken for 1'
    """
    own = np.ravel(gradient)
    size = max(np.max(np.abs(own), initial=0.0), np.max(np.abs(jacobian), initial=0.0))
    right = jacobian.T @ np.concatenate([np.ravel(u) for u in upstreams])
    changed = (
        _of_upstreams(jacobian, upstreams),
        _of_jacobians(jacobian, upstreams, np.shape(gradient)),
    )
    for text, other in itertools.chain(*changed):
        off = np.abs(own - other) <= TOLERANCE * size
        if np.all(off) and not np.allclose(other, right, rtol=1e-4, atol=1e-4 * size):
            return text
    return ""


def _of_upstreams(jacobian: Array, upstreams: Sequence[Array]) -> Iterator[tuple[str, Array]]:
    for text, changed in _changed(upstreams):
        yield text, jacobian.T @ np.concatenate([np.ravel(u) for u in changed])


def _changed(upstreams: Sequence[Array]) -> Iterator[tuple[str, list[Array]]]:
    ups = [np.asarray(u, float) for u in upstreams]
    yield "the upstream is not used: it is taken for 1", [np.ones(u.shape) for u in ups]
    yield "the upstream is averaged", [np.full(u.shape, u.mean()) if u.size else u for u in ups]
    yield "the upstream is summed up", [np.full(u.shape, u.sum()) for u in ups]
    yield "the absolute value of the upstream is taken", [np.abs(u) for u in ups]
    yield "the upstream is squared", [u * u for u in ups]
    yield "the upstream is cut off below 0", [np.maximum(u, 0) for u in ups]
    yield "the upstream is clipped to 1", [np.clip(u, -1, 1) for u in ups]
    yield "the sign of the upstream is taken", [np.sign(u) for u in ups]
    if len(ups) > 1:
        for k, _ in enumerate(ups):
            kept = [u if j == k else 0 * u for j, u in enumerate(ups)]
            yield f"of several results the upstream of output {k} alone is used", kept
            left = [0 * u if j == k else u for j, u in enumerate(ups)]
            yield f"the upstream of output {k} is not used", left
    if len(ups) == 1:
        yield from ((text, [u]) for text, u in _moved(ups[0]))


def _moved(u: Array) -> Iterator[tuple[str, Array]]:
    if u.ndim == 2 and u.shape[0] == u.shape[1]:
        yield "the upstream is transposed", u.T
    for axis in range(u.ndim):
        n = u.shape[axis]
        if n < 2:
            continue
        yield f"the upstream is reversed along axis {axis}", np.flip(u, axis)
        for where, k in (("first", 0), ("last", n - 1)):
            alone = np.zeros(u.shape)
            at = (*(slice(None),) * axis, k)
            alone[at] = u[at]
            yield f"of the upstream only the {where} along axis {axis} is used", alone
            yield f"of the upstream the {where} along axis {axis} is not used", u - alone
        mean = np.broadcast_to(u.mean(axis, keepdims=True), u.shape)
        yield f"the upstream is averaged along axis {axis}", mean
        yield f"the upstream is summed up along axis {axis}", mean * n


def _of_jacobians(
    jacobian: Array, upstreams: Sequence[Array], shape: tuple[int, ...]
) -> Iterator[tuple[str, Array]]:
    rows, columns = jacobian.shape
    v = np.concatenate([np.ravel(u) for u in upstreams])
    if rows == columns > 1:
        yield "only the diagonal of the Jacobian is used", np.diag(jacobian) * v
        yield "the diagonal of the Jacobian is left out", jacobian.T @ v - np.diag(jacobian) * v
        yield "the Jacobian is not transposed", jacobian @ v
    if len(upstreams) == 1:
        for axis, same in _at_the_same_index(np.shape(upstreams[0]), shape):
            text = f"of the results only those at the same index of axis {axis} are used"
            yield text, np.where(same, jacobian, 0).T @ v
    yield from _of_contributions(jacobian, v)


def _at_the_same_index(
    rows: tuple[int, ...], columns: tuple[int, ...]
) -> Iterator[tuple[int, Array]]:
    """Give for each axis of one length which results have the index there that an element has.

    A step of time by itself is such a part, with nothing of the later steps.
    """
    for axis in range(min(len(rows), len(columns))):
        if rows[axis] == columns[axis] > 1:
            here, there = (np.indices(s)[axis].ravel() for s in (rows, columns))
            yield axis, here[:, None] == there[None, :]


def _of_contributions(jacobian: Array, v: Array) -> Iterator[tuple[str, Array]]:
    """Keep one of the results that an element goes into: as ``dx[index] = g`` does."""
    goes_into = jacobian != 0
    counts = goes_into.sum(axis=0)
    if not np.any(counts > 1):
        return
    terms = jacobian * v[:, None]
    rows = np.arange(len(v))[:, None]
    for text, chosen in (
        ("last", np.max(np.where(goes_into, rows, -1), axis=0)),
        ("first", np.min(np.where(goes_into, rows, len(v)), axis=0) % len(v)),
    ):
        alone = terms[chosen, np.arange(jacobian.shape[1])]
        yield f"of several contributions to a place the {text} one alone is kept", alone
    yield "contributions to a place are averaged", terms.sum(axis=0) / np.maximum(counts, 1)
