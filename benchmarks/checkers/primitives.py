"""The catalogue with our own primitives in it: what ``core/rules`` composes NumPy's functions of.

Nobody calls them by name, so that the catalogue of the package does not have them; importing this
adds them to it.

Not for: NumPy's functions (``tinygrad_lab/testing/inputs/catalogue``).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tinygrad_lab.core.rules import creation, indexing, manipulation
from tinygrad_lab.core.rules.linalg import decompositions, norms, products, solving
from tinygrad_lab.core.rules.mathematical import elementwise, sequences, sums
from tinygrad_lab.testing.inputs import catalogue
from tinygrad_lab.testing.inputs.calls import (
    EVERYWHERE,
    NOT_ZERO,
    Call,
    Shape,
    Strategy,
    arrays,
    call,
    grid,
    narrowed,
    shapes,
)  # fmt: skip
from tinygrad_lab.testing.inputs.catalogue import families
from tinygrad_lab.testing.inputs.catalogue.families import (
    Family,
    each,
    family,
    in_a_row,
    table,
    variants,
)
from tinygrad_lab.testing.inputs.catalogue.indexing import masked
from tinygrad_lab.testing.inputs.catalogue.linalg import (
    SQUARES,
    TALL,
    WIDE,
    base,
    einsums,
    matrices,
    turned,
)  # fmt: skip
from tinygrad_lab.testing.inputs.catalogue.manipulation import joined, new_shapes
from tinygrad_lab.testing.inputs.catalogue.mathematical import ANY
from tinygrad_lab.testing.inputs.catalogue.polynomials import BETWEEN, POINTS

__all__ = ["CASES", "indices", "name_of"]


def name_of(op: Any) -> str:
    """A name that tells our primitives from NumPy's functions."""
    ours = getattr(op, "__module__", "numpy").startswith("tinygrad_lab")
    return f"{op.__name__}-primitive" if ours else op.__name__


# ---------------------------------------------------------------------------------------------
# Indexing


@st.composite
def indices(draw: Any, shape: Shape) -> Any:
    """Every kind of index: ints, slices, arrays with repeats, masks, None, Ellipsis, mixtures."""
    kind = draw(st.sampled_from(["mixed", "mixed", "mask", "array", "bare"]))
    if kind == "mask":
        return draw(arrays(shape[: draw(st.integers(0, len(shape)))], [0.0, 1.0])).astype(bool)
    if not shape:
        return draw(st.sampled_from([(), Ellipsis, None, (None, Ellipsis), True, False]))
    if kind == "array" and shape[0]:
        picks = draw(st.lists(st.integers(-shape[0], shape[0] - 1), max_size=4))
        return draw(
            st.sampled_from([np.array(picks, dtype=int), np.array([picks, picks], dtype=int)])
        )
    if kind == "bare":
        return draw(_slices(shape[0]))
    parts: list[Any] = []
    common = draw(st.integers(1, 3))  # index arrays broadcast together
    for n in shape[: draw(st.integers(0, len(shape)))]:
        if draw(st.integers(0, 5)) == 5:
            parts.append(None)
        parts.append(draw(_axis_index(n, common)))
    if sum(part is not None for part in parts) < len(shape) and draw(st.booleans()):
        parts.append(Ellipsis)
    return tuple(parts)


def _slices(n: int) -> Strategy[slice]:
    bound = st.one_of(st.none(), st.integers(-n - 1, n + 1))
    return st.builds(slice, bound, bound, st.sampled_from([None, 1, 2, -1, -2]))


def _axis_index(n: int, common: int) -> Strategy[Any]:
    if n == 0:
        return _slices(n)
    one = st.integers(-n, n - 1)
    several = st.lists(one, min_size=common, max_size=common)
    kinds = [_slices(n), one, several.map(np.array), several, st.lists(one, min_size=1, max_size=1)]
    if n == common:
        kinds.append(st.just(np.ones(n, dtype=bool)))
    return st.one_of(kinds)


@family
def indexed(draw: Any, op: Any) -> Call:
    """Any index of any array."""
    x = draw(arrays(draw(shapes())))
    return call(op, [x], draw(indices(x.shape)))


@family
def scattered(draw: Any, op: Any) -> Call:
    """Values for the places of any index, and the shape to put them in."""
    shape = draw(shapes())
    index = draw(indices(shape))
    values = draw(arrays(np.zeros(shape)[index].shape))
    return call(op, [values], shape, index)


@family
def pieces(draw: Any, op: Any) -> Call:
    """As scattered, of several values at places that may meet."""
    shape = draw(shapes())
    places = [draw(indices(shape)) for _ in range(draw(st.integers(1, 3)))]
    values = [draw(arrays(np.zeros(shape)[place].shape)) for place in places]
    return call(op, values, shape=shape, places=places)


@family
def assigned(draw: Any, op: Any) -> Call:
    """The value may have fewer axes than the place, sides of one, or more leading ones."""
    x = draw(arrays(draw(shapes())))
    index = draw(indices(x.shape))
    side = draw(narrowed(np.asarray(x[index]).shape))
    value = draw(arrays((1,) * draw(st.integers(0, 1)) + side))
    try:
        x.copy()[index] = value
    except (ValueError, TypeError):  # a boolean mask wants its values in one row
        assume(False)
    return call(op, [x, value], places=[index])


# ---------------------------------------------------------------------------------------------
# The table


def operands(of: Family) -> Family:
    """Calls of a family whose list of arrays is several operands."""

    def of_several(op: Any) -> Any:
        @functools.wraps(op)
        def of_a_list(x: Any, **kwargs: Any) -> Any:
            return op(*x, **kwargs)

        return of(of_a_list)

    return of_several


#: The ufunc behind the method ``clip`` of arrays.
METHOD_CLIP = np._core.umath.clip  # type: ignore[attr-defined]  # noqa: SLF001

#: The package's catalogue, and after importing this the primitives too.
CASES = catalogue.CASES
CASES |= table({
    manipulation.reshape: families.shaped(new_shapes),
    creation.copied: families.unary(),
    creation.astype: families.shaped(lambda shape: st.just(((np.float64,), {}))),
    manipulation.concatenate: operands(joined(new_axis=False)),
    manipulation.stack: operands(joined(new_axis=True)),
    indexing.where: masked(),
    (elementwise.clip, METHOD_CLIP): families.elementwise(
        EVERYWHERE, [-1.125, -0.625, 1.125], [0.375, 0.875]
    ),
    elementwise.sigmoid: families.unary(),
    elementwise.sech: families.unary(),
    elementwise.logistic_density: families.unary(),
    elementwise.sinc_derivative: variants(
        ANY,
        each(order=[1, 2, 5]),
        values=grid(-3, 3),
        through=lambda op, x, order: op(4 * x, order) / 8**order,
    ),
    elementwise.bessel_i: variants(
        ANY, each(order=[0, 1, 4]), values=grid(-3, 3), through=lambda op, x, order: op(x, order)
    ),
    elementwise.angle: families.complex_too(),
    indexing.getitem: indexed(),
    indexing.scatter_add: scattered(),
    indexing.assembled: pieces(),
    indexing.setitem: assigned(),
    creation.diagonal_matrix: variants([((3,),), ((1,),)], [{}, *each(k=[1, -2])]),
    indexing.windows: variants([((3, 4),)], [{"window_shape": 2, "axis": 0}]),
    sequences.interp: [
        variants(
            [((5,), (4,))],
            values=BETWEEN,
            through=lambda op, x, f: op(x, POINTS, f, None, None),
        ),
        variants(
            [((4,), (4,), (), ())],
            through=lambda op, xp, f, left, right: op(
                np.array(BETWEEN), POINTS + np.tanh(xp) / 64, f, left, right
            ),
        ),
    ],
    sequences.convolve_full: variants([((3,), (2,)), ((2,), (4,))]),
    sequences.convolve_valid: variants(
        [((3,), (2,)), ((4,), (4,)), ((4,), (1,))], never=["zero-size"]
    ),
    sums.recurrence: variants([((5,), (5,)), ((2, 4), (2, 4)), ((1,), (1,))]),
    products.einsum: einsums(),
    norms.cofactors: matrices(SQUARES),
    norms.second_cofactors: matrices(
        [((2, 2), (2, 2)), ((3, 3), (3, 3))],
        around=lambda op, g, a: op(g, a + base(a)),
        never=["axis of length one"],  # where it is zero but for round-off
    ),
    solving.least_squares: matrices(
        [((4, 2), (4,)), ((3, 2), (3, 2))], [{"rcond": 1e-10}]
    ),
    decompositions.qr: matrices(SQUARES[:4] + TALL + WIDE, [{}], in_a_row),
    decompositions.svd: matrices(
        SQUARES[:4] + TALL + WIDE, [{}], in_a_row, turned(-2, None, -1)
    ),
    norms.vector_norm: variants(
        [((2, 3),)], [{"p": 2}, {"p": 3, "axis": 1}, {"p": 1.5}], values=NOT_ZERO
    ),
})  # fmt: skip
