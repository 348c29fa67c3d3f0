"""The catalogue of products, inverses, decompositions and norms.

Matrices are drawn around fixed ones, far from singular and with spectra well apart: what happens
at the singular ones is in ``test_singular.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.core.rules.linalg import decompositions, norms, solving
from tinygrad_lab.testing.catalogue import CASES, grid
from tinygrad_lab.testing.catalogue.variants import in_a_row, of_a_list, one_of, variants

linalg = np.linalg
SMALL = grid(-0.25, 0.25)
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
    """A fixed matrix of the shape of ``x`` and its float type."""
    return BASE[: x.shape[-2], : x.shape[-1]].astype(x.dtype)


def near_base(op: Any) -> Any:
    return lambda x, *others, **kwargs: op(x + base(x), *others, **kwargs)


def symmetric(op: Any) -> Any:
    """``op`` of a symmetric matrix."""
    return lambda x, **kwargs: op((x + np.swapaxes(x, -1, -2)) / 2 + BASE_SYMMETRIC(x), **kwargs)


def BASE_SYMMETRIC(x: Any) -> Any:  # noqa: N802
    return (base(x) + base(x).T) / 2


def turned(op: Any, *axes: int | None) -> Any:
    """``op``, its vectors turned to one side: LAPACK may change their signs from call to call.

    ``axes`` says along which axis the vectors of each result lie; None where there are none.
    """

    def of(*x: Any, **kwargs: Any) -> Any:
        return [
            part if axis is None else part * side(part, axis)
            for part, axis in zip(op(*x, **kwargs), axes, strict=True)
        ]

    def side(vectors: Any, axis: int) -> Any:
        direction = np.cos(1.0 + np.arange(vectors.shape[axis]))
        along = np.moveaxis(vectors, axis, -1) @ direction
        return np.expand_dims(np.sign(along), axis)

    of.__name__ = op.__name__
    return of


def without_phase(op: Any) -> Any:
    """``op`` that gives eigenvectors, times what takes the phase away: it is not unique."""

    def of(x: Any) -> Any:
        values, vectors = op(x)
        along = np.cos(1.0 + np.arange(x.shape[-1])) @ vectors
        return [values, vectors * np.conj(along)[..., None, :]]

    of.__name__ = op.__name__
    return of


def definite(op: Any) -> Any:
    """``op`` of a symmetric positive definite matrix."""

    def of(x: Any, **kwargs: Any) -> Any:
        root = x + base(x)
        return op(np.matmul(root, np.swapaxes(root, -1, -2)) / 4, **kwargs)

    return of


def matrices(
    op: Any,
    sides: Any,
    options: Any = ({},),
    around: Any = near_base,
    row: bool = False,
    never: Any = (),
) -> Any:
    inner = in_a_row(op) if row else op
    return variants(op, sides, options, values=SMALL, through=around(inner), never=never)


# Products

if hasattr(np, "matvec"):  # NumPy 2.2
    CASES |= {
        np.matvec: variants(np.matvec, [((2, 3), (3,)), ((4, 2, 3), (3,)), ((2, 3), (4, 3))]),
        np.vecmat: variants(np.vecmat, [((2,), (2, 3)), ((4, 2), (2, 3)), ((2,), (4, 2, 3))]),
    }

STACKS = [((3,), (3,)), ((2, 3), (3,)), ((2, 1, 3), (4, 3)), ((0,), (0,))]

CASES |= {
    np.vecdot: one_of(
        variants(np.vecdot, STACKS), variants(np.vecdot, [((3, 2), (3, 1))], [{"axis": 0}])
    ),
    linalg.vecdot: one_of(
        variants(linalg.vecdot, STACKS), variants(linalg.vecdot, [((3, 2), (3, 1))], [{"axis": 0}])
    ),
    np.vdot: variants(np.vdot, [((3,), (3,)), ((2, 2), (2, 2)), ((), ())]),
    np.inner: variants(np.inner, [((3,), (3,)), ((2, 3), (4, 3)), ((), (2, 3)), ((2, 3), (3,))]),
    np.outer: variants(np.outer, [((3,), (2,)), ((2, 2), ()), ((0,), (2,))]),
    linalg.outer: variants(linalg.outer, [((3,), (2,)), ((0,), (2,))]),
    linalg.matmul: variants(linalg.matmul, [((2, 3), (3, 2)), ((4, 1, 3), (3,))]),
    linalg.tensordot: variants(
        linalg.tensordot, [((2, 3), (2, 3))], [{}, {"axes": 2}, {"axes": ([0, 1], [0, 1])}]
    ),
    np.kron: variants(np.kron, [((2,), (3,)), ((2, 2), (1, 3)), ((2,), (2, 1, 2)), ((), (2,))]),
    np.cross: one_of(
        variants(np.cross, [((3,), (3,)), ((2, 3), (3,)), ((2, 1, 3), (4, 3))]),
        variants(np.cross, [((3, 2), (2, 3))], [{"axisa": 0, "axisc": 0}]),
        variants(np.cross, [((3, 2), (3, 2))], [{"axis": 0}]),
    ),
    linalg.cross: variants(linalg.cross, [((3,), (2, 3))]),
    linalg.multi_dot: variants(
        linalg.multi_dot,
        [((2, 3), (3, 2), (2, 4)), ((3,), (3, 2), (2,)), ((2, 3), (3, 3), (3,)), ((2, 2), (2, 2))],
        through=of_a_list(linalg.multi_dot),
    ),
    linalg.matrix_power: matrices(
        linalg.matrix_power, SQUARES, [{"n": n} for n in (0, 1, 2, 5, -2)]
    ),
}

# Inverses and determinants

CASES |= {op: matrices(op, SQUARES) for op in (linalg.det, linalg.inv)}
CASES |= {
    norms.cofactors: matrices(norms.cofactors, SQUARES),
    norms.second_cofactors: matrices(
        norms.second_cofactors,
        [((2, 2), (2, 2)), ((3, 3), (3, 3))],
        around=lambda op: lambda g, a: op(g, a + base(a)),
        never=["axis of length one"],  # where it is zero but for round-off
    ),
    linalg.slogdet: matrices(
        linalg.slogdet, SQUARES, around=lambda op: near_base(lambda a: op(a)[1])
    ),
    linalg.solve: matrices(
        linalg.solve, [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 2, 2), (2, 1)), ((2, 2), (3, 2, 2))]
    ),
    linalg.pinv: one_of(
        matrices(linalg.pinv, TALL + WIDE + SQUARES[:2]),
        matrices(linalg.pinv, SQUARES[:3], [{"hermitian": True}], symmetric),
    ),
    linalg.lstsq: one_of(
        *(
            matrices(
                linalg.lstsq,
                sides,
                around=lambda op, i=i: near_base(lambda a, b: np.ravel(op(a, b)[i])),
            )
            for i, sides in (
                (0, [((4, 2), (4,)), ((3, 2), (3, 2)), ((2, 3), (2,))]),
                (1, [((4, 2), (4,)), ((3, 2), (3, 2))]),
            )
        )
    ),
    solving.least_squares: matrices(
        solving.least_squares, [((4, 2), (4,)), ((3, 2), (3, 2))], [{"rcond": 1e-10}]
    ),
    linalg.tensorinv: one_of(
        matrices(
            linalg.tensorinv,
            [((4, 4),)],
            around=lambda op: near_base(lambda a: op(a.reshape(2, 2, 4))),
        ),
        matrices(
            linalg.tensorinv,
            [((4, 4),)],
            around=lambda op: near_base(lambda a: op(a.reshape(4, 2, 2), ind=1)),
        ),
    ),
    linalg.tensorsolve: matrices(
        linalg.tensorsolve,
        [((4, 4), (2, 2))],
        [{}, {"axes": (1,)}],
        lambda op: near_base(
            lambda a, b, axes=None: op(
                a.reshape(2, 2, 2, 2) if axes is None else np.moveaxis(a.reshape(2, 2, 4), 2, 1),
                b,
                axes,
            )
        ),
    ),
}

# Decompositions

CASES |= {
    linalg.cholesky: matrices(linalg.cholesky, SQUARES, [{}, {"upper": True}], definite),
    decompositions.qr: matrices(decompositions.qr, SQUARES[:4] + TALL + WIDE, row=True),
    linalg.qr: one_of(
        matrices(linalg.qr, SQUARES[:4] + TALL + WIDE, row=True),
        matrices(linalg.qr, TALL + WIDE, [{"mode": "r"}]),
    ),
    linalg.eigh: matrices(
        turned(linalg.eigh, None, -2), SQUARES[:4], [{}, {"UPLO": "U"}], symmetric, row=True
    ),
    linalg.eigvalsh: matrices(linalg.eigvalsh, SQUARES, [{}, {"UPLO": "U"}], symmetric),
    linalg.eigvals: matrices(linalg.eigvals, SQUARES[:4]),
    linalg.eig: matrices(without_phase(linalg.eig), SQUARES[:4], row=True),
    decompositions.svd: matrices(
        turned(decompositions.svd, -2, None, -1), SQUARES[:4] + TALL + WIDE, row=True
    ),
    linalg.svd: one_of(
        matrices(turned(linalg.svd, -2, None, -1), SQUARES[:4], row=True),
        matrices(
            turned(linalg.svd, -2, None, -1), TALL + WIDE, [{"full_matrices": False}], row=True
        ),
        matrices(linalg.svd, TALL + WIDE, [{"compute_uv": False}]),
        matrices(
            turned(linalg.svd, -2, None, -1),
            SQUARES[:4],
            [{"hermitian": True}],
            symmetric,
            row=True,
        ),
        matrices(linalg.svd, SQUARES[:2], [{"hermitian": True, "compute_uv": False}], symmetric),
    ),
    linalg.svdvals: matrices(linalg.svdvals, SQUARES + TALL + WIDE),
}

# Norms

NONZERO = grid(-3, 3, away=[0])
ORDERS = [None, 2, 1, 3, 0.5, -1, -2.5]
EXTREMES = [{"ord": np.inf}, {"ord": -np.inf, "keepdims": True}]
MATRIX_ORDERS = [{"ord": o} for o in ("fro", 1, -1, np.inf, -np.inf, 2, -2, "nuc")]
AWAY = [i / 4 + sign * 0.0625 * (i % 3) for i in range(1, 13) for sign in (1, -1)]  # no equal sums

CASES |= {
    linalg.norm: one_of(
        variants(linalg.norm, [((2, 3),), ((3,),), ((2, 1, 2),)], values=NONZERO),
        variants(
            linalg.norm,
            [((2, 3),)],
            [
                {"ord": o, "axis": a, "keepdims": k}
                for o in ORDERS
                for a, k in ((0, False), (-1, True))
            ],
            values=NONZERO,
        ),
        matrices(linalg.norm, [((3, 3),), ((2, 3),)], MATRIX_ORDERS),
        matrices(
            linalg.norm,
            [((2, 2, 3),)],
            [{"axis": (-2, -1), "keepdims": True, **o} for o in MATRIX_ORDERS],
        ),
    ),
    linalg.vector_norm: one_of(
        variants(
            linalg.vector_norm,
            [((2, 3),), ((2, 1, 2),)],
            [{}, {"axis": (0, 1)}] + [{"ord": o, "axis": -1} for o in ORDERS[1:]],
            values=NONZERO,
        ),
        variants(
            linalg.vector_norm,
            [((5,),)],
            EXTREMES,
            values=AWAY,
            unique=True,
            through=lambda x, **kw: linalg.vector_norm(x + 3.5, **kw),
        ),
    ),
    norms.vector_norm: variants(
        norms.vector_norm, [((2, 3),)], [{"p": 2}, {"p": 3, "axis": 1}, {"p": 1.5}], values=NONZERO
    ),
    linalg.matrix_norm: matrices(
        linalg.matrix_norm, [((3, 3),), ((2, 2, 3),)], [{}, *MATRIX_ORDERS]
    ),
    linalg.cond: one_of(
        matrices(
            linalg.cond, SQUARES[:2] + SQUARES[3:4], [{}, *({"p": o["ord"]} for o in MATRIX_ORDERS)]
        ),
        matrices(linalg.cond, TALL),
    ),
}
