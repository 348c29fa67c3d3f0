"""The catalogue of ranges, copies and grids, and of what reshapes, joins, splits and pads."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_lab.testing.inputs.calls import (
    Call, Shape, Strategy, any_axis, arrays, axes, call, grid, narrowed, shapes,
)  # fmt: skip
from tinygrad_lab.testing.inputs.catalogue.families import (
    NUMPY, each, family, in_a_row, keywords, of_a_list, shaped, table, unary, variants,
)  # fmt: skip

MATRIX, CUBE = [((3, 4),)], [((2, 3, 4),)]
ANY = [((),), ((3,),), ((2, 3),), ((1, 0, 2),), ((2, 3, 4),)]
ENDS = [((3,), (3,)), ((), (2,)), ((), ())]
RANGES = [{"num": 4}, {"num": 3, "endpoint": False, "axis": -1}, {"num": 1}, {"num": 0}]
OFFSETS = [{}, *each(k=[1, -2])]


@st.composite
def new_shapes(draw: Any, shape: Shape) -> Any:
    """Shapes of as many elements, one side of them perhaps left to NumPy, in either order."""
    size = int(np.prod(shape, dtype=int))
    pool: list[Any] = [size, (size,), shape[::-1], (1, *shape), (*shape, 1)]
    pool += [(d, size // d) for d in (1, 2, 3) if size % d == 0]
    pool += [(-1,), -1] if size else []
    pool += [(d, -1) for d in (2, 3) if size and size % d == 0]
    order = draw(st.sampled_from([{}, {"order": "F"}, {"order": "F"}, {"order": "C"}]))
    return (draw(st.sampled_from(pool)),), order


@st.composite
def squeezed_axes(draw: Any, shape: Shape) -> Any:
    """All axes of length one, or one of them."""
    ones = [i - draw(st.sampled_from([0, len(shape)])) for i, n in enumerate(shape) if n == 1]
    return (), {"axis": draw(st.sampled_from([None, tuple(ones), *ones]))}


@st.composite
def moved_axes(draw: Any, shape: Shape) -> Any:
    """One axis, or several in any order, and where they go."""
    n, k = len(shape), draw(st.integers(1, len(shape)))
    source, goal = (draw(st.permutations(range(n)))[:k] for _ in range(2))
    source = [a - n if draw(st.booleans()) else a for a in source]
    return ((source[0], goal[0]) if k == 1 else (source, tuple(goal))), {}


def permutations(shape: Shape) -> Strategy[Any]:
    """None, a tuple or a list of all axes, negative ones among them."""
    n = len(shape)
    order = st.permutations(range(n))
    signed = order.map(lambda p: tuple(a - n if i % 2 else a for i, a in enumerate(p)))
    return st.one_of(st.none(), order.map(tuple), order, signed).map(lambda p: ((p,), {}))


@st.composite
def rolls(draw: Any, shape: Shape) -> Any:
    """Shifts of all elements, along one axis, or along all."""
    kind = draw(st.sampled_from(["flat", "one", "several"]))
    shift = st.integers(-4, 4)
    if kind == "flat" or not shape:
        return (draw(shift),), {}
    if kind == "one":
        return (draw(shift), draw(any_axis(len(shape)))), {}
    across = draw(st.permutations(range(len(shape))))
    shifts = draw(st.tuples(*[shift] * len(shape)))
    return (shifts if draw(st.booleans()) else list(shifts), tuple(across)), {}


@st.composite
def repeats(draw: Any, shape: Shape) -> Any:
    """How often: one number, or one for each element along an axis."""
    axis = draw(any_axis(len(shape))) if shape and draw(st.booleans()) else None
    n = int(np.prod(shape, dtype=int)) if axis is None else shape[axis]
    counts = st.lists(st.integers(0, 3), min_size=n, max_size=n)
    return (draw(st.one_of(st.integers(0, 3), counts)),), ({} if axis is None else {"axis": axis})


@family
def widened(draw: Any, op: Any) -> Call:
    """An array and a shape that it broadcasts to."""
    shape = draw(shapes())
    return call(op, [draw(arrays(draw(narrowed(shape))))], shape)


@family
def joined(draw: Any, op: Any, *, new_axis: bool, flattens: bool = False) -> Call:
    """Pieces that differ along the joining axis only, or not at all where the axis is new."""
    shape = draw(shapes(int(not new_axis and not flattens)))
    number, ndim = draw(st.integers(1, 3)), len(shape) + new_axis
    axis = draw(any_axis(ndim)) if ndim else None
    pieces = [shape] * number
    if not new_axis and axis is not None:
        at = axis % ndim
        sides = [draw(st.sampled_from([1, 2, 0, 3])) for _ in range(number)]
        pieces = [(*shape[:at], n, *shape[at + 1 :]) for n in sides]
        if flattens and draw(st.integers(0, 3)) == 3:
            axis = None
    values = [draw(arrays(piece)) for piece in pieces]
    return Call(f"{op.__name__}([x, ...], axis={axis})", lambda *x: op(x, axis=axis), values)


def numbered(op: Any, x: Any, **kwargs: Any) -> Any:
    """Every piece in a row, each times its number so that a piece out of place is seen."""
    return in_a_row(lambda: [p * (i + 1.0) for i, p in enumerate(op(x, **kwargs))])


def sections(*places: Any, **kwargs: Any) -> list[dict[str, Any]]:
    """Where to split."""
    return [{"indices_or_sections": place, **kwargs} for place in places]


@family
def paddings(draw: Any, op: Any) -> Call:
    """Every mode; widths from nothing to several times the array."""
    one = st.integers(0, 3)
    wide = st.tuples(one, st.integers(0, 7))
    by_axis = [{-1: (1, 2)}] if NUMPY >= "2.4.0" else []
    width = draw(st.sampled_from([1, (2, 1), *by_axis, "wide"]))
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
    return call(op, [x], width, mode, **options)


@family
def inserted(draw: Any, op: Any) -> Call:
    """New elements before some places, along an axis or in the flat array."""
    masks = [(np.array([True, False, True]), 1, (4,))] if NUMPY >= "2.2.0" else []
    where, axis, sides = draw(st.sampled_from([
        (1, 1, (2, 4)), ([1], 1, (2, 2, 4)), ([3, 0, 1], 1, (3, 1)), (4, None, (2,)),
        (slice(0, 2), -1, ()), *masks, (-1, 2, (2, 3)),
    ]))  # fmt: skip
    f = lambda x, new: op(x, where, new, axis=axis)
    x, new = draw(arrays((2, 3, 4))), draw(arrays(sides))
    return Call(f"insert(x, {where}, x, axis={axis})", f, [x, new])


CASES = table({
    np.copy: unary(),
    np.array: variants(
        [((2,),), ((),), ((2, 3),)], [{}, {"ndmin": 4}, {"dtype": np.float64}],
        through=lambda op, x, **kwargs: op([[x, 2 * x]], like=x, **kwargs),
    ),
    np.astype: shaped(lambda shape: st.just(((np.float64,), {}))),
    np.full_like: variants(
        [((3,),), ((),)], through=lambda op, value: op(value + np.zeros((2, 1)), value)
    ),
    np.linspace: [
        variants(ENDS, RANGES),
        variants(ENDS, through=lambda op, a, b: op(a, b, 3, retstep=True)[1]),
    ],
    np.logspace: variants(ENDS, [{**options, "base": 2.0} for options in RANGES]),
    np.geomspace: variants(ENDS, RANGES, values=grid(0.75, 3)),
    np.meshgrid: variants(
        [((2,), (3,)), ((2,), (), (3,)), ((2,),)], [{}, {"indexing": "ij"}, {"sparse": True}],
        through=in_a_row,
    ),
    np.diag: variants([((3,),), ((3, 4),), ((1,),)], OFFSETS),
    np.diagflat: variants([((3,),), ((2, 2),), ((),)], OFFSETS),
    (np.tril, np.triu): shaped(keywords(k=lambda shape: st.integers(-2, 2)), least=1),
    np.vander: variants([((4,),)], [{}, {"N": 2, "increasing": True}, {"N": 1}, {"N": 0}]),
    # shapes and axes
    np.reshape: shaped(new_shapes),
    np.ravel: shaped(keywords(order=lambda shape: st.sampled_from(["C", "F"]))),
    np.squeeze: shaped(squeezed_axes),
    np.expand_dims: shaped(lambda shape: st.sampled_from([
        ((0,), {}), ((-1,), {}), (((0, -1),), {}), ((), {"axis": (len(shape) + 1, 0)}),
    ])),
    np.transpose: shaped(permutations),
    (np.matrix_transpose, np.linalg.matrix_transpose): variants(MATRIX + CUBE),
    np.swapaxes: shaped(
        lambda shape: st.tuples(st.tuples(*[any_axis(len(shape))] * 2), st.just({})), least=1
    ),
    np.moveaxis: shaped(moved_axes, least=1),
    np.rollaxis: variants(CUBE, [
        {"axis": 2}, {"axis": -1, "start": 1}, {"axis": 0, "start": -1}, {"axis": 1, "start": 3},
    ]),
    np.flip: shaped(keywords(axis=lambda shape: axes(len(shape)))),
    (np.fliplr, np.flipud): variants(MATRIX + CUBE),
    np.roll: shaped(rolls),
    np.rot90: variants(CUBE, [{}, {"k": 3, "axes": (1, 2)}, {"k": -2, "axes": (2, 0)}]),
    np.broadcast_to: widened(),
    np.broadcast_arrays: variants([((2, 1), (3,)), ((), (2,), (1,))], through=in_a_row),
    (np.atleast_1d, np.atleast_2d, np.atleast_3d): [
        variants(ANY), variants([((), (2, 3))], through=in_a_row)
    ],
    # several arrays, or several results
    np.concatenate: joined(new_axis=False, flattens=True),
    np.stack: joined(new_axis=True),
    np.hstack: variants([((2,), (3,)), ((2, 1), (2, 3)), ((), ())], through=of_a_list),
    np.vstack: variants([((3,), (2, 3)), ((1, 2), (2, 2), (2,))], through=of_a_list),
    "row_stack": np.vstack,
    np.dstack: variants([((2,), (2,)), ((2, 3), (2, 3, 2))], through=of_a_list),
    np.column_stack: variants([((2,), (2, 3)), ((3,), (3,))], through=of_a_list),
    np.append: [
        variants([((2, 3), (2,)), ((), (3,))]), variants([((2, 3), (1, 3))], each(axis=[0, -2]))
    ],
    np.block: [
        variants([((2, 2), (2, 1))], through=lambda op, a, b: op([[a, b], [b, 2 * a]])),
        variants([((), (2,))], through=lambda op, a, b: op([a, b, 3.0])),
    ],
    np.array_split: variants(
        CUBE, [*sections(2, [1, 5], [2, 1], axis=-1), *sections(3)], through=numbered
    ),
    np.split: variants(CUBE, [*sections(2, [1, 3], [-1], axis=2), *sections(2)], through=numbered),
    np.hsplit: variants([((4,),), ((2, 4),)], sections(2, [1]), through=numbered),
    np.vsplit: variants([((4, 2),)], sections(2, [1]), through=numbered),
    np.dsplit: variants(CUBE, sections(2, [1]), through=numbered),
    "unstack": variants(CUBE, [{}, *each(axis=[-1, 1])], through=numbered),
    np.repeat: shaped(repeats),
    np.tile: variants([((),), ((3,),), ((2, 3),)], each(reps=[2, (2, 3), (2, 1, 3), (0, 2), [2]])),
    np.resize: variants([((2, 3),), ((4,),)], each(new_shape=[4, (3, 3), (0,)])),
    np.pad: [
        paddings(),
        variants([((2, 3),), ((3,),)], through=lambda op, x: op(x, 2, constant_values=np.sum(x))),
    ],
    np.delete: variants(
        CUBE, [*each(obj=[1, -1, [0, 2], slice(0, 2), [True, False, True]], axis=[1]), {"obj": 7}]
    ),
    np.insert: inserted(),
    np.trim_zeros: variants(
        [((3,),)], [{}, {"trim": "f"}, {"trim": "B"}], values=[1, 2, -1],
        through=lambda op, x, **kw: op(np.pad(x, (2, 1)), **kw),
    ),
})  # fmt: skip
