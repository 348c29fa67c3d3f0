"""The catalogue of products, decompositions, eigenvalues, norms, and solutions of equations.

Matrices are drawn around fixed ones, far from singular and with spectra well apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_lab.testing.inputs.calls import (
    NOT_ZERO, Call, arrays, broadcasting, call, degenerate_kind, grid,
)  # fmt: skip
from tinygrad_lab.testing.inputs.catalogue.families import (
    NONE, Family, each, family, in_a_row, nth, of_a_list, shaped, table, variants,
)  # fmt: skip
from tinygrad_lab.testing.inputs.catalogue.indexing import diagonals

linalg = np.linalg

SQUARES = [((2, 2),), ((3, 3),), ((1, 1),), ((2, 3, 3),), ((0, 2, 2),)]
TALL, WIDE = [((3, 2),), ((2, 4, 3),)], [((2, 3),), ((2, 1, 2),)]
BASE = np.array(
    [
        [4.1, 0.43, -0.61, 0.7],
        [0.37, -9.2, 0.59, 0.41],
        [0.53, -0.47, 15.3, 0.67],
        [0.9, 0.71, 0.39, 23],
    ]
)  # no element, and no difference of two, is near a quarter


def base(x: Any) -> Any:
    """The fixed matrix of the shape of ``x`` and its float type."""
    return BASE[: x.shape[-2], : x.shape[-1]].astype(x.dtype)


def near_base(op: Any, x: Any, *others: Any, **kwargs: Any) -> Any:
    """``op`` of a matrix near the fixed one."""
    return op(x + base(x), *others, **kwargs)


def symmetric(op: Any, x: Any, **kwargs: Any) -> Any:
    """``op`` of a symmetric matrix."""
    return op((x + np.swapaxes(x, -1, -2)) / 2 + (base(x) + base(x).T) / 2, **kwargs)


def definite(op: Any, x: Any, **kwargs: Any) -> Any:
    """``op`` of a symmetric positive definite matrix."""
    root = x + base(x)
    return op(np.matmul(root, np.swapaxes(root, -1, -2)) / 4, **kwargs)


def turned(*axes: int | None) -> Any:
    """Results whose vectors point to one side: LAPACK may change their signs from call to call.

    ``axes`` says along which axis the vectors of each result lie; None where there are none.
    """

    def to_one_side(vectors: Any, axis: int | None) -> Any:
        if axis is None:
            return vectors
        along = np.moveaxis(vectors, axis, -1) @ np.cos(1.0 + np.arange(vectors.shape[axis]))
        return vectors * np.expand_dims(np.sign(along), axis)

    return lambda op, *x, **kw: list(map(to_one_side, op(*x, **kw), axes))


def ascending(op: Any, x: Any) -> Any:
    """The eigenvalues in order, since LAPACK's may change; real, as NumPy 2.5 makes none."""
    return np.sort(np.real(op(x)), axis=-1)


def ascending_pairs(op: Any, x: Any) -> Any:
    """The same, with vectors times what takes their phase away, which is not unique."""
    values, vectors = op(x)
    order = np.argsort(np.real(values), axis=-1)
    vectors = np.take_along_axis(vectors, order[..., None, :], -1)
    along = np.cos(1.0 + np.arange(x.shape[-1])) @ vectors
    vectors = vectors * np.conj(along)[..., None, :]
    return [np.real(np.take_along_axis(values, order, -1)), np.real(vectors)]


def matrices(
    sides: Any, options: Any = ({},), *layers: Any, around: Any = near_base, never: Any = ()
) -> Family:
    """``op`` of matrices ``around`` fixed ones, its results through further ``layers``."""
    through = (around, *layers)
    return variants(sides, options, values=grid(-0.25, 0.25), through=through, never=never)


@family
def matmuls(draw: Any, op: Any) -> Call:
    """Matrices, rows and columns, and stacks of matrices that broadcast."""
    side = st.sampled_from([2, 3, 1, 0])
    m, k, n = draw(side), draw(side), draw(side)
    lead = [s[-2:] for s in draw(broadcasting(2))] if draw(st.booleans()) else [(), ()]
    a = draw(st.sampled_from([(*lead[0], m, k), (k,)]))
    b = draw(st.sampled_from([(*lead[1], k, n), (k,)]))
    return call(op, [draw(arrays(a)), draw(arrays(b))])


@family
def dots(draw: Any, op: Any) -> Call:
    """Numbers, vectors and stacks of them."""
    k = draw(st.sampled_from([2, 3, 1, 0]))
    a = draw(st.sampled_from([(), (k,), (2, k), (3, 2, k)]))
    b = draw(st.sampled_from([(), (k,), (k, 3), (2, k, 2)]))
    return call(op, [draw(arrays(a)), draw(arrays(b))])


@family
def contractions(draw: Any, op: Any) -> Call:
    """Of the last axes with the first (a number), or of pairs of axes in any order."""
    common = draw(st.lists(st.sampled_from([2, 3, 1]), max_size=2))
    free = [draw(st.lists(st.sampled_from([2, 1, 3, 0]), max_size=2)) for _ in range(2)]
    if draw(st.booleans()):
        sides = [(*free[0], *common), (*common, *free[1])]
        return call(op, [draw(arrays(side)) for side in sides], axes=len(common))
    orders = [draw(st.permutations(range(len(common) + len(rest)))) for rest in free]
    sides = [
        tuple(n for _, n in sorted(zip(order, [*common, *rest], strict=True)))
        for order, rest in zip(orders, free, strict=True)
    ]
    pairs = [list(order[: len(common)]) for order in orders]
    if draw(st.booleans()):
        pairs[0] = [a - len(sides[0]) for a in pairs[0]]
    one = len(common) == 1 and draw(st.booleans())
    across = (pairs[0][0], pairs[1][0]) if one else tuple(pairs)
    return call(op, [draw(arrays(side)) for side in sides], axes=across)


@family
def einsums(draw: Any, op: Any) -> Call:
    """Random subscripts: repeated letters, letters summed out, ellipses, implicit results."""
    lengths = {"i": 2, "j": 0 if degenerate_kind() == "zero-size" else 3, "k": 2, "l": 1}
    number = draw(st.integers(1, 3))
    terms = [draw(st.text("ijkl", max_size=3)) for _ in range(number)]
    hidden = [draw(st.sampled_from([None, None, (), (3,), (2, 3), (2, 1)])) for _ in terms]
    sides = [tuple(lengths[letter] for letter in term) for term in terms]
    sides = [(*(h or ()), *side) for h, side in zip(hidden, sides, strict=True)]
    dots = "..." if any(h is not None for h in hidden) else ""
    subscripts = ",".join(t if h is None else f"...{t}" for t, h in zip(terms, hidden, strict=True))
    if draw(st.booleans()):
        letters = sorted(set("".join(terms)))
        result = draw(st.permutations(letters))[: draw(st.integers(0, len(letters)))]
        subscripts += f"->{dots}{''.join(result)}"
    kwargs = draw(st.sampled_from([{}, {}, {"optimize": True}]))
    f = lambda *x: op(subscripts, *x, **kwargs)
    text = f"einsum({subscripts!r}, x, ..., {kwargs})"
    return Call(text, f, [draw(arrays(side)) for side in sides])


def by_number(op: Any, a: Any, b: Any, result: tuple[list[int], ...]) -> Any:
    """``einsum(a, [0, 1], b, [1, 2], [0])``, or of three axes and one; or without the result."""
    left, right = ([0, 1], [1, 2]) if a.ndim == 2 else ([1, 2, 0], [2])
    return op(a, left, b, right, *result)


def of_four_axes(op: Any, a: Any, b: Any, axes: Any = None) -> Any:
    """Of a matrix of 4 rows a tensor of four axes, or of three whose second is to come last."""
    a = a.reshape(2, 2, 2, 2) if axes is None else np.moveaxis(a.reshape(2, 2, 4), 2, 1)
    return op(a, b, axes)


LINES = [((3,), (3,)), ((2, 3), (3,)), ((2, 1, 3), (4, 3))]
TRIANGLES = [{}, {"UPLO": "U"}]
VECTORS = (in_a_row, turned(-2, None, -1))
EQUATIONS = [((4, 2), (4,)), ((3, 2), (3, 2))]
ORDERS = [None, 2, 1, 3, 0.5, -1, -2.5]
MATRIX_ORDERS = ["fro", 1, -1, np.inf, -np.inf, 2, -2, "nuc"]
AWAY = [i / 4 + sign * 0.0625 * (i % 3) for i in range(1, 13) for sign in (1, -1)]  # no equal sums
FIRST, LAST = (each(ord=ORDERS, axis=[i], keepdims=[i < 0]) for i in (0, -1))

CASES = table({
    np.matmul: matmuls(),
    np.dot: dots(),
    np.tensordot: contractions(),
    np.einsum: [
        einsums(),
        variants(  # the other form: axes named by numbers
            [((2, 3), (3, 2)), ((3, 2, 2), (2,))], each(result=[(), ([0],), ([2, 0],)]),
            through=by_number, never=["0-d"],
        ),
    ],
    "matvec": variants([((2, 3), (3,)), ((4, 2, 3), (3,)), ((2, 3), (4, 3))]),
    "vecmat": variants([((2,), (2, 3)), ((4, 2), (2, 3)), ((2,), (4, 2, 3))]),
    (np.vecdot, linalg.vecdot): [
        variants([*LINES, ((0,), (0,))]), variants([((3, 2), (3, 1))], [{"axis": 0}])
    ],
    np.vdot: variants([((3,), (3,)), ((2, 2), (2, 2)), ((), ())]),
    np.inner: variants([((3,), (3,)), ((2, 3), (4, 3)), ((), (2, 3)), ((2, 3), (3,))]),
    np.outer: variants([((3,), (2,)), ((2, 2), ()), ((0,), (2,))]),
    linalg.outer: variants([((3,), (2,)), ((0,), (2,))]),
    linalg.matmul: variants([((2, 3), (3, 2)), ((4, 1, 3), (3,))]),
    linalg.tensordot: variants([((2, 3), (2, 3))], [{}, *each(axes=[2, ([0, 1], [0, 1])])]),
    np.kron: variants([((2,), (3,)), ((2, 2), (1, 3)), ((2,), (2, 1, 2)), ((), (2,))]),
    np.cross: [
        variants(LINES),
        variants([((3, 2), (2, 3))], [{"axisa": 0, "axisc": 0}]),
        variants([((3, 2), (3, 2))], [{"axis": 0}]),
    ],
    linalg.cross: variants([((3,), (2, 3))]),
    linalg.multi_dot: variants(
        [((2, 3), (3, 2), (2, 4)), ((3,), (3, 2), (2,)), ((2, 3), (3, 3), (3,)), ((2, 2), (2, 2))],
        through=of_a_list,
    ),
    linalg.matrix_power: matrices(SQUARES, each(n=[0, 1, 2, 5, -2])),
    # equations
    linalg.inv: matrices(SQUARES),
    linalg.solve: matrices(
        [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 2, 2), (2, 1)), ((2, 2), (3, 2, 2))]
    ),
    linalg.pinv: [
        matrices(TALL + WIDE + SQUARES[:2]),
        matrices(SQUARES[:3], [{"hermitian": True}], around=symmetric),
    ],
    linalg.lstsq: [
        matrices([*EQUATIONS, ((2, 3), (2,))], NONE, nth(0)), matrices(EQUATIONS, NONE, nth(1))
    ],
    linalg.tensorinv: [
        matrices([((4, 4),)], NONE, lambda op, a: op(a.reshape(2, 2, 4))),
        matrices([((4, 4),)], NONE, lambda op, a: op(a.reshape(4, 2, 2), ind=1)),
    ],
    linalg.tensorsolve: matrices([((4, 4), (2, 2))], [{}, {"axes": (1,)}], of_four_axes),
    # decompositions and eigenvalues
    linalg.cholesky: matrices(SQUARES, [{}, {"upper": True}], around=definite),
    linalg.qr: [
        matrices(SQUARES[:4] + TALL + WIDE, NONE, in_a_row),
        matrices(TALL + WIDE, [{"mode": "r"}]),
    ],
    linalg.svd: [
        matrices(SQUARES[:4], NONE, *VECTORS),
        matrices(TALL + WIDE, [{"full_matrices": False}], *VECTORS),
        matrices(TALL + WIDE, [{"compute_uv": False}]),
        matrices(SQUARES[:4], [{"hermitian": True}], *VECTORS, around=symmetric),
        matrices(SQUARES[:2], [{"hermitian": True, "compute_uv": False}], around=symmetric),
    ],
    linalg.svdvals: matrices(SQUARES + TALL + WIDE),
    linalg.eigh: matrices(SQUARES[:4], TRIANGLES, in_a_row, turned(None, -2), around=symmetric),
    linalg.eigvalsh: matrices(SQUARES, TRIANGLES, around=symmetric),
    linalg.eigvals: matrices(SQUARES[:4], NONE, ascending),
    linalg.eig: matrices(SQUARES[:4], NONE, in_a_row, ascending_pairs),
    # norms and determinants
    np.trace: shaped(diagonals, least=2),
    (linalg.diagonal, linalg.trace): variants(
        [((3, 4),), ((2, 3, 4),)], [{}, {"offset": 1}, {"offset": -1}]
    ),
    linalg.det: matrices(SQUARES),
    linalg.slogdet: matrices(SQUARES, NONE, nth(1)),
    linalg.norm: [
        variants([((2, 3),), ((3,),), ((2, 1, 2),)], values=NOT_ZERO),
        variants([((2, 3),)], FIRST + LAST, values=NOT_ZERO),
        matrices([((3, 3),), ((2, 3),)], each(ord=MATRIX_ORDERS)),
        matrices([((2, 2, 3),)], each(axis=[(-2, -1)], keepdims=[True], ord=MATRIX_ORDERS)),
    ],
    linalg.vector_norm: [
        variants(
            [((2, 3),), ((2, 1, 2),)], [{}, {"axis": (0, 1)}, *each(ord=ORDERS[1:], axis=[-1])],
            values=NOT_ZERO,
        ),
        variants(
            [((5,),)], [{"ord": np.inf}, {"ord": -np.inf, "keepdims": True}], values=AWAY,
            unique=True, through=lambda op, x, **kw: op(x + 3.5, **kw),
        ),
    ],
    linalg.matrix_norm: matrices([((3, 3),), ((2, 2, 3),)], [{}, *each(ord=MATRIX_ORDERS)]),
    linalg.cond: [
        matrices(SQUARES[:2] + SQUARES[3:4], [{}, *each(p=MATRIX_ORDERS)]), matrices(TALL)
    ],
})  # fmt: skip
