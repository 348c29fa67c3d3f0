"""The catalogue of taking elements, and of calling functions along axes or piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from tinygrad_lab.testing.inputs.calls import (
    Call, Shape, any_axis, arrays, broadcasting, call, shapes,
)  # fmt: skip
from tinygrad_lab.testing.inputs.catalogue.families import each, family, shaped, table, variants

MATRIX, CUBE = [((3, 4),)], [((2, 3, 4),)]
PLACES = np.array([[[2, 0, 0, -1]], [[1, 1, 2, 0]]])
CONDITIONS = [np.array([True, False, False]), np.array([True, True, False])]
PIECES = np.array([[1, 1, 0, 0], [0, 0, 1, 0]], dtype=bool)


@st.composite
def diagonals(draw: Any, shape: Shape) -> Any:
    """A diagonal above or below the main one, of any two axes."""
    pair = draw(st.permutations(range(len(shape))))[:2]
    pair = [a - len(shape) if draw(st.booleans()) else a for a in pair]
    across = {} if draw(st.booleans()) else dict(zip(("axis1", "axis2"), pair, strict=True))
    return (), {"offset": draw(st.integers(-3, 3)), **across}


@family
def taken(draw: Any, op: Any) -> Call:
    """One place, none, or several with repeats, along an axis or not, in any mode."""
    shape = draw(shapes(smallest=1))
    axis = draw(any_axis(len(shape))) if shape and draw(st.booleans()) else None
    n = int(np.prod(shape, dtype=int)) if axis is None else shape[axis]
    mode = draw(st.sampled_from([None, "wrap", "clip"]))
    which = st.integers(-n, n - 1 if n else 0) if mode is None else st.integers(-3 * n, 3 * n)
    pairs = st.lists(which, min_size=2, max_size=2).map(lambda p: np.array([p, p[::-1]]))
    places = draw(st.one_of(which, st.lists(which, max_size=4), pairs)) if n else []
    places = np.array(places, dtype=int) if isinstance(places, list) and not places else places
    kwargs = {"axis": axis} if axis is not None else {}
    return call(op, [draw(arrays(shape))], places, **kwargs, **({"mode": mode} if mode else {}))


@family
def masked(draw: Any, op: Any) -> Call:
    """A mask that is constant, and two operands."""
    a, b, condition = draw(broadcasting(3))
    mask = draw(arrays(condition, [0.0, 1.0])).astype(bool)
    f = lambda x, z: op(mask, x, z)
    return Call(f"where({mask!r}, x, x)", f, (draw(arrays(a)), draw(arrays(b))))


def chosen(op: Any, *x: Any, **mode: str) -> Any:
    """Of several arrays the elements that a table says, one of no array where there is a mode."""
    return op(np.array([[0, 1], [2, 2], [1, 5 * len(mode)]]), list(x), **mode)


CASES = table({
    np.take: taken(),
    np.take_along_axis: variants(CUBE, [
        {"indices": PLACES, "axis": 1},
        {"indices": PLACES[:1], "axis": -2},
        {"indices": np.array([5, 5, 0]), "axis": None},
    ]),
    np.where: masked(),
    np.extract: variants(
        MATRIX, through=lambda op, x: op(np.arange(12).reshape(3, 4) % 3 == 1, x)
    ),
    np.choose: variants([((3, 2), (2,), ())], [{}, *each(mode=["clip", "wrap"])], through=chosen),
    np.select: variants(
        [((3,), ()), ((2, 3), (2, 1))],
        through=lambda op, a, b: op(CONDITIONS, [a, b], np.sum(b)),
    ),
    np.compress: variants(
        CUBE, each(axis=[1, -1, None]), through=lambda op, x, **kw: op([True, False, True], x, **kw)
    ),
    np.diagonal: shaped(diagonals, least=2),
    sliding_window_view: variants(
        MATRIX, [{"window_shape": (2, 3)}, {"window_shape": 2, "axis": 1}]
    ),
    np.apply_along_axis: variants(CUBE, each(axis=[0, -1]), through=lambda op, x, axis: op(
        lambda row: np.outer(row, row[:2]), axis, x
    )),
    np.apply_over_axes: variants(
        CUBE, each(axes=[0, (0, -1)]), through=lambda op, x, axes: op(np.sum, x, axes)
    ),
    np.piecewise: variants(
        [((4,),)], through=lambda op, x: op(x, PIECES, [np.sin, lambda z: z * z, 2.5])
    ),
})  # fmt: skip
