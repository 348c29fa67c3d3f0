"""The catalogue of what joins, splits, tiles, pads, picks, inserts and deletes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from tinygrad_lab.core.rules import creation, indexing
from tinygrad_lab.testing.catalogue import CASES, Call, arrays
from tinygrad_lab.testing.catalogue.variants import in_a_row, of_a_list, one_of, variants

MATRIX, CUBE = [((3, 4),)], [((2, 3, 4),)]
ANY = [((),), ((3,),), ((2, 3),), ((1, 0, 2),), ((2, 3, 4),)]


def along(*axes: Any) -> list[dict[str, Any]]:
    return [{"axis": axis} for axis in axes]


CASES |= {
    np.rot90: variants(np.rot90, CUBE, [{}, {"k": 3, "axes": (1, 2)}, {"k": -2, "axes": (2, 0)}]),
    np.fliplr: variants(np.fliplr, MATRIX + CUBE),
    np.flipud: variants(np.flipud, MATRIX + CUBE),
    np.rollaxis: variants(
        np.rollaxis,
        CUBE,
        [{"axis": 2}, {"axis": -1, "start": 1}, {"axis": 0, "start": -1}, {"axis": 1, "start": 3}],
    ),
    np.matrix_transpose: variants(np.matrix_transpose, MATRIX + CUBE),
    np.linalg.matrix_transpose: variants(np.linalg.matrix_transpose, MATRIX + CUBE),
}
CASES |= {
    op: one_of(variants(op, ANY), variants(op, [((), (2, 3))], through=in_a_row(op)))
    for op in (np.atleast_1d, np.atleast_2d, np.atleast_3d)
}

# Joining

CASES |= {
    op: variants(op, sides, through=of_a_list(op))
    for op, sides in {
        np.hstack: [((2,), (3,)), ((2, 1), (2, 3)), ((), ())],
        np.vstack: [((3,), (2, 3)), ((1, 2), (2, 2), (2,))],
        np.dstack: [((2,), (2,)), ((2, 3), (2, 3, 2))],
        np.column_stack: [((2,), (2, 3)), ((3,), (3,))],
    }.items()
}
for old_name in ("row_stack",):  # NumPy warns, and calls vstack
    if hasattr(np, old_name):
        CASES[getattr(np, old_name)] = CASES[np.vstack]

CASES |= {
    np.append: one_of(
        variants(np.append, [((2, 3), (2,)), ((), (3,))]),
        variants(np.append, [((2, 3), (1, 3))], along(0, -2)),
    ),
    np.block: one_of(
        variants(np.block, [((2, 2), (2, 1))], through=lambda a, b: np.block([[a, b], [b, 2 * a]])),
        variants(np.block, [((), (2,))], through=lambda a, b: np.block([a, b, 3.0])),
    ),
    np.broadcast_arrays: variants(
        np.broadcast_arrays,
        [((2, 1), (3,)), ((), (2,), (1,))],
        through=in_a_row(np.broadcast_arrays),
    ),
    np.meshgrid: variants(
        np.meshgrid,
        [((2,), (3,)), ((2,), (), (3,)), ((2,),)],
        [{}, {"indexing": "ij"}, {"sparse": True}],
        through=in_a_row(np.meshgrid),
    ),
}

# Splitting


def splits(op: Any, sides: Any, *options: Any) -> Any:
    """Every piece, each times its number so that a piece out of place is seen."""

    def row(x: Any, **kwargs: Any) -> Any:
        return np.concatenate([np.ravel(p) * (i + 1.0) for i, p in enumerate(op(x, **kwargs))])

    return variants(op, sides, options, through=row)


def sections(*given: Any, **kwargs: Any) -> list[dict[str, Any]]:
    return [{"indices_or_sections": g, **kwargs} for g in given]


CASES |= {
    np.array_split: splits(
        np.array_split, CUBE, *sections(2, [1, 5], [2, 1], axis=-1), *sections(3)
    ),
    np.split: splits(np.split, CUBE, *sections(2, [1, 3], [-1], axis=2), *sections(2)),
    np.hsplit: splits(np.hsplit, [((4,),), ((2, 4),)], *sections(2, [1])),
    np.vsplit: splits(np.vsplit, [((4, 2),)], *sections(2, [1])),
    np.dsplit: splits(np.dsplit, CUBE, *sections(2, [1])),
}
if hasattr(np, "unstack"):  # NumPy 2.1
    CASES[np.unstack] = splits(np.unstack, CUBE, {}, {"axis": -1}, {"axis": 1})

# Repeating, diagonals, windows

CASES |= {
    np.tile: variants(
        np.tile,
        [((),), ((3,),), ((2, 3),)],
        [{"reps": r} for r in (2, (2, 3), (2, 1, 3), (0, 2), [2])],
    ),
    np.resize: variants(
        np.resize, [((2, 3),), ((4,),)], [{"new_shape": s} for s in (4, (3, 3), (0,))]
    ),
    np.full_like: variants(
        np.full_like,
        [((3,),), ((),)],
        through=lambda value: np.full_like(value + np.zeros((2, 1)), value),
    ),
    np.diag: variants(np.diag, [((3,),), ((3, 4),), ((1,),)], [{}, {"k": 1}, {"k": -2}]),
    np.diagflat: variants(np.diagflat, [((3,),), ((2, 2),), ((),)], [{}, {"k": 1}, {"k": -2}]),
    creation.diagonal_matrix: variants(
        creation.diagonal_matrix, [((3,),), ((1,),)], [{}, {"k": 1}, {"k": -2}]
    ),
    np.linalg.diagonal: variants(
        np.linalg.diagonal, MATRIX + CUBE, [{}, {"offset": 1}, {"offset": -1}]
    ),
    np.linalg.trace: variants(np.linalg.trace, MATRIX + CUBE, [{}, {"offset": 1}, {"offset": -1}]),
    sliding_window_view: variants(
        sliding_window_view, MATRIX, [{"window_shape": (2, 3)}, {"window_shape": 2, "axis": 1}]
    ),
    indexing.windows: variants(indexing.windows, MATRIX, [{"window_shape": 2, "axis": 0}]),
}

# Padding


@st.composite
def paddings(draw: Any) -> Call:
    """Every mode; widths from nothing to several times the array."""
    one = st.integers(0, 3)
    wide = st.tuples(one, st.integers(0, 7))
    width = draw(st.sampled_from([1, (2, 1), {-1: (1, 2)}, "wide"]))
    width = (draw(wide), draw(wide)) if width == "wide" else width
    mode, options = draw(st.sampled_from([
        ("constant", {}), ("constant", {"constant_values": ((1, 2), (3, 4))}), ("edge", {}),
        ("wrap", {}), ("reflect", {}), ("reflect", {"reflect_type": "odd"}), ("symmetric", {}),
        ("symmetric", {"reflect_type": "odd"}), ("linear_ramp", {}),
        ("linear_ramp", {"end_values": (1, -2)}), ("mean", {}), ("mean", {"stat_length": 2}),
        ("median", {}), ("maximum", {"stat_length": ((1, 2), (2, 9))}), ("minimum", {}),
    ]))  # fmt: skip
    unique = mode in ("median", "maximum", "minimum")
    x = draw(arrays(draw(st.sampled_from([(2, 3), (1, 2), (3, 3)])), unique=unique))
    f = lambda x: np.pad(x, width, mode, **options)
    return Call(f"pad(x, {width}, {mode!r}, {options})", f, [x])


CASES[np.pad] = one_of(
    paddings(),
    variants(
        np.pad, [((2, 3),), ((3,),)], through=lambda x: np.pad(x, 2, constant_values=np.sum(x))
    ),
)

# Picking

PLACES = np.array([[[2, 0, 0, -1]], [[1, 1, 2, 0]]])


@st.composite
def inserted(draw: Any) -> Call:
    where, axis, sides = draw(st.sampled_from([
        (1, 1, (2, 4)), ([1], 1, (2, 2, 4)), ([3, 0, 1], 1, (3, 1)), (4, None, (2,)),
        (slice(0, 2), -1, ()), (np.array([True, False, True]), 1, (4,)), (-1, 2, (2, 3)),
    ]))  # fmt: skip
    f = lambda x, new: np.insert(x, where, new, axis=axis)
    x, new = draw(arrays((2, 3, 4))), draw(arrays(sides))
    return Call(f"insert(x, {where}, x, axis={axis})", f, [x, new])


CASES |= {
    np.take_along_axis: variants(
        np.take_along_axis,
        CUBE,
        [
            {"indices": PLACES, "axis": 1},
            {"indices": PLACES[:1], "axis": -2},
            {"indices": np.array([5, 5, 0]), "axis": None},
        ],
    ),
    np.delete: variants(
        np.delete,
        CUBE,
        [{"obj": obj, "axis": 1} for obj in (1, -1, [0, 2], slice(0, 2), [True, False, True])]
        + [{"obj": 7}],
    ),
    np.insert: inserted(),
    np.choose: variants(
        np.choose,
        [((3, 2), (2,), ())],
        [{}, {"mode": "clip"}, {"mode": "wrap"}],
        through=lambda *x, **kw: np.choose(
            np.array([[0, 1], [2, 2], [1, 5 * len(kw)]]), list(x), **kw
        ),
    ),
    np.select: variants(
        np.select,
        [((3,), ()), ((2, 3), (2, 1))],
        through=lambda a, b: np.select(
            [np.array([True, False, False]), np.array([True, True, False])], [a, b], np.sum(b)
        ),
    ),
    np.compress: variants(
        np.compress,
        CUBE,
        along(1, -1, None),
        through=lambda x, **kw: np.compress([True, False, True], x, **kw),
    ),
    np.extract: variants(
        np.extract, MATRIX, through=lambda x: np.extract(np.arange(12).reshape(3, 4) % 3 == 1, x)
    ),
    np.trim_zeros: variants(
        np.trim_zeros,
        [((3,),)],
        [{}, {"trim": "f"}, {"trim": "B"}],
        values=[1, 2, -1],
        through=lambda x, **kw: np.trim_zeros(np.pad(x, (2, 1)), **kw),
    ),
    np.piecewise: variants(
        np.piecewise,
        [((4,),)],
        through=lambda x: np.piecewise(
            x,
            np.array([[1, 1, 0, 0], [0, 0, 1, 0]], dtype=bool),
            [np.sin, lambda z: z * z, 2.5],
        ),
    ),
}
