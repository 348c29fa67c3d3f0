"""No argument of any function of NumPy's loses a gradient in silence.

Every argument of every call of the catalogue, and of the calls listed here, is tracked alone: by
position or by keyword, an array, a number, a list or a member of one.  Either the gradient is that
of finite differences of NumPy's own function by that argument, or the call refuses.

Not for: derivatives by the arrays that a function is mostly differentiated by (``test_rules.py``).
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import tinygrad_lab as tl
from tests.core.rules.captured import FUNCTIONS, Arguments, Place, arguments_of, summed
from tinygrad_lab.core.errors import name_of
from tinygrad_lab.core.operations import OPERATIONS
from tinygrad_lab.core.rules.namespace import kind, public_functions
from tinygrad_lab.testing.inputs.catalogue import CASES

X, M = np.array([0.75, -1.5, 2.25]), np.array([[0.5, 2.0, -1.0], [1.25, 0.25, 3.0]])
SQUARE = np.array([[4.0, 1.0], [0.5, 3.0]])

CONTINUOUS = (
    "linear", "weibull", "hazen", "interpolated_inverted_cdf", "median_unbiased", "normal_unbiased",
)  # fmt: skip

#: Calls with the arguments that the catalogue leaves alone.
MORE: dict[Any, list[Arguments]] = {
    np.sum: [Arguments(M, axis=0, initial=1.5), Arguments(M, 1, None, None, False, 0.5)],
    np.prod: [Arguments(M, axis=0, initial=1.5)],
    np.min: [Arguments(M, axis=0, initial=0.375)],
    **{f: [Arguments(M, axis=0, initial=1.125)] for f in (np.max, np.nanmax, np.amax)},
    **{f: [Arguments(M, axis=1, initial=0.375)] for f in (np.nanmin, np.amin)},
    **{f: [Arguments(M, axis=1, initial=0.5)] for f in (np.nansum, np.nanprod)},
    **{
        f: [
            Arguments(M, axis=1, ddof=1),
            Arguments(M, axis=1, correction=0.5),
            Arguments(M, axis=1, mean=np.array([[0.25], [1.5]])),
        ]
        for f in (np.var, np.std, np.nanvar, np.nanstd)
    },
    np.mean: [Arguments(M, where=np.array([1.0, 0.0, 1.0]))],
    np.clip: [Arguments(X, 0.125, 1.5), Arguments(X, a_min=[0.125, 0.25, 3.0], a_max=4.0)],
    np.nan_to_num: [Arguments(np.array([np.nan, np.inf, -np.inf, 1]), True, 1.5, 2.5, -3.5)],
    np.real_if_close: [Arguments(X + 0j, tol=50.0)],
    np.unwrap: [Arguments(X * 4, 3.3, period=5.5)],
    np.trapezoid: [Arguments(M, dx=0.5), Arguments(M, None, [0.5, 0.25])],
    np.gradient: [Arguments(M, 0.5, [0.0, 0.5, 2.0]), Arguments(X, [0.0, 0.5, 2.0])],
    np.corrcoef: [Arguments(M[0], M[1]), Arguments(M[0], y=[0.25, 2.0, 0.5])],
    np.cov: [Arguments(M, ddof=0.5), Arguments(M, None, True, False, 1, None, [0.5, 1.0, 0.75])],
    np.quantile: [
        Arguments(X, [0.3, 0.6]),
        *(Arguments(X, q, method=m) for q in (0.0, 0.4, 1.0) for m in CONTINUOUS),
    ],
    np.percentile: [Arguments(X, (30.0, 60.0))],
    np.nanquantile: [Arguments(np.array([1.0, np.nan, 2.5, 4.0]), 0.4)],
    np.average: [
        Arguments(X, weights=[0.5, 1.0, 0.75]),
        Arguments(X, returned=True),
        Arguments([1, 2, 3], None, X, True),
    ],
    np.pad: [
        Arguments(X, 2, constant_values=(0.5, 1.5)),
        Arguments(X, 2, "linear_ramp", end_values=(0.5, 1.5)),
        Arguments(X, 2, "mean", stat_length=2),
    ],
    np.extract: [Arguments(np.array([1.0, 0.0, 2.0]), X)],
    np.compress: [Arguments(np.array([1.0, 0.0, 2.0]), X)],
    np.where: [Arguments(np.array([1.0, 0.0, 2.0]), X, 0.5)],
    np.select: [Arguments([X > 0], [[0.5, 1.5, 2.5]], 0.5), Arguments([X > 0], [X], 0.5)],
    np.choose: [Arguments([0, 1, 0], [X, [0.5, 1.5, 2.5]]), Arguments([0, 1, 0], [X, 0.5])],
    np.insert: [Arguments(X, 1, 0.5), Arguments(X, [0, 2], [0.5, 1.5])],
    np.full_like: [Arguments(X, 0.5), Arguments(X, [0.5, 1.5, 2.5])],
    np.linspace: [Arguments(X, 0.5, 4)],
    np.logspace: [Arguments(X, 0.5, 4), Arguments(0.5, 1.5, 3, base=2.5)],
    np.polyint: [Arguments(X, 2, [0.5, 1.5])],
    np.polyfit: [Arguments(X, [1.0, 0.5, 2.0], 1, 1e-9, w=[0.5, 1.0, 0.75])],
    np.interp: [
        Arguments([0.3, 4.0, -1.0], [0.0, 1.0, 2.5], X, 0.5, 1.5),
        Arguments([0.3, 4.0, -1.1], [0.0, 1.0, 2.5], X, period=3.25),
    ],
    np.diff: [Arguments(X, prepend=0.5, append=[1.5])],
    np.ediff1d: [Arguments(X, 0.5, [0.5, 1.5])],
    np.histogram: [
        Arguments(X, [-2.0, 0.0, 3.0], density=True, weights=[0.5, 1.0, 0.75]),
        Arguments(X, 4, (-2.5, 3.5), True),
        Arguments(X, 4, None, True),
    ],
    np.histogram_bin_edges: [
        Arguments(X, 4), Arguments(X, 4, (-2.5, 3.5)), Arguments(X, [-2.0, 0.0, 3.0]),
    ],
    np.bincount: [Arguments([0, 2, 2], [0.5, 1.0, 0.75])],
    np.apply_along_axis: [Arguments(lambda row, k, b=0: row * k + b, 0, M, 1.5, b=0.5)],
    np.piecewise: [Arguments(X, [X > 0], [lambda x, k, b: x * k + b, 0.5], 1.5, b=0.5)],
    np.fft.irfftn: [Arguments(M, (2, -1), (0, 1))],
    np.linalg.norm: [Arguments(X, 3), Arguments(M, 1)],
    np.linalg.matrix_norm: [Arguments(M, ord=1)],
    np.linalg.cond: [Arguments(SQUARE, 1)],
    np.linalg.vector_norm: [Arguments(X, ord=2.5)],
    np.linalg.pinv: [Arguments(SQUARE, 1e-9), Arguments(SQUARE, rtol=1e-9)],
    np.linalg.lstsq: [Arguments(SQUARE, [0.5, 1.5], 1e-9)],
    np.round: [Arguments(X, 1)],
    np.isclose: [Arguments(X, M[0], 0.25, 0.5)],
    np.allclose: [Arguments(X, M[0], 0.25, 0.5)],
    np.digitize: [Arguments(X, [0.0, 1.0])],
    np.searchsorted: [Arguments([0.0, 1.0], X)],
    np.linalg.matrix_rank: [Arguments(SQUARE, 1e-3)],
    np.einsum: [Arguments("i,i", X, [0.5, 1.5, 2.5]), Arguments(X, [0], [0.5, 1.5, 2.5], [0])],
    **{
        f: [Arguments(SQUARE, [0.5, 1.5]), Arguments([0.5, 1.5], SQUARE)]
        for f in (np.dot, np.matmul, np.inner, np.kron, np.outer, np.add, np.maximum)
    },
    np.linalg.solve: [Arguments(SQUARE, [0.5, 1.5]), Arguments([[4.0, 1.0], [0.5, 3.0]], X[:2])],
    np.linalg.tensorsolve: [Arguments(SQUARE, [0.5, 1.5])],
    np.linalg.multi_dot: [Arguments([SQUARE, SQUARE, [0.5, 1.5]])],
    np.tensordot: [Arguments(SQUARE, [0.5, 1.5], 1)],
    np.convolve: [Arguments(X, [0.5, 1.5])],
    np.heaviside: [Arguments([0.0, 1.0, -1.0], X)],
    np.polyval: [Arguments([0.5, 1.5], X), Arguments(X, [0.5, 1.5]), Arguments(X, 0.5)],
    np.meshgrid: [Arguments(X, [0.5, 1.5])],
    np.concatenate: [Arguments([X, [0.5, 1.5]])],
    np.stack: [Arguments([X, [0.5, 1.5, 2.5]])],
    np.block: [Arguments([[M, [[0.5], [1.5]]]])],
}  # fmt: skip
if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
    MORE[np.clip] += [Arguments(X, min=0.125, max=[0.25, 0.5, 4.0])]
#: Not differentiated by in any function: places, sizes, names and switches.
SETTINGS = {
    "N", "UPLO", "axes", "axis", "axis1", "axis2", "axisa", "axisb", "axisc", "bias", "casting",
    "compute_uv", "condlist", "copy", "cov", "deg", "density", "descending", "destination",
    "device", "dtype",
    "edge_order", "endpoint", "full", "full_matrices", "func", "func1d", "fweights",
    "hermitian", "include_initial", "increasing", "indexing", "indices_or_sections", "k",
    "keepdims", "kind", "kth", "like", "method", "minlength", "mode", "n", "ndmax", "ndmin",
    "new_shape", "norm", "num", "offset", "optimize", "order", "out", "overwrite_input",
    "pad_width", "repeats", "reps", "retstep", "returned", "rowvar", "s", "shape", "shift",
    "signature", "source", "sparse", "stable", "start", "subok", "trim", "upper", "weights",
    "where", "window_shape", "writeable",
}  # fmt: skip
#: These read one triangle, and have the gradient of functions of symmetric matrices.
SYMMETRIC = {
    np.linalg.cholesky, np.linalg.eigh, np.linalg.eigvalsh, np.linalg.svd, np.linalg.pinv,
}  # fmt: skip
STEP = 1e-6


def numbers(value: Any) -> Any:
    """An argument as an array of floats, complex ones too, or None where it is no such thing."""
    if isinstance(value, (bool, str, dict)) or value is None:
        return None
    try:
        array = np.asarray(value)
    except ValueError:  # arrays of several shapes
        return None
    kinds = {"i": float, "u": float, "f": float, "c": complex}
    return np.array(array, dtype=kinds[array.dtype.kind]) if array.dtype.kind in kinds else None


def slopes(op: Any, arguments: Arguments, place: Place, x: Any, direction: Any) -> Any:
    """NumPy's own change along ``direction``, to both sides; None where there is no slope."""

    def at(step: float) -> Any:
        value = x + step * direction
        return summed(arguments.replaced(place, value if x.ndim else value.item())(op))

    try:
        here, right, left = (float(at(step)) for step in (0.0, STEP, -STEP))
    except Exception:  # noqa: BLE001 - NumPy refuses a float there
        return None
    jumps = max(abs(right - here), abs(here - left)) > 1e-3
    return None if jumps else ((here - left) / STEP, (right - here) / STEP)


def slope(op: Any, arguments: Arguments, place: Place, x: Any, direction: Any) -> Any:
    """Ours along ``direction``, or None where the call refuses."""
    t = tl.tensor(x, requires_grad=True)
    try:
        y = summed(arguments.replaced(place, t)(op))
    except (TypeError, ValueError, RuntimeError):
        return None
    if not (isinstance(y, tl.Tensor) and y.requires_grad):
        return 0.0
    return float(np.real(np.sum(np.conj(tl.gradients(y, t)) * direction)))


def check_each_argument(op: Any, arguments: Arguments) -> set[Any]:
    """Check each argument that takes numbers, and return the places of these."""
    checked = set()
    for place, value in arguments.places():
        x = numbers(value)
        if x is None:
            continue
        if not x.ndim:
            x = np.array(x * 0.9875 + 0.0025)  # off the kinks that round numbers lie on
        direction = 0.5 + np.cos(np.arange(x.size)).reshape(x.shape) ** 2
        if x.dtype.kind == "c" and op is not np.real_if_close:
            direction = direction * (1 + 0.5j)
        if op in SYMMETRIC and x.ndim > 1 and x.shape[-1] == x.shape[-2]:
            direction = direction + np.swapaxes(direction, -1, -2)
        expected = slopes(op, arguments, place, x, direction)
        checked.add(place[0])
        if expected is None:
            continue
        low, high = min(expected), max(expected)
        slack = 2e-4 * max(1.0, abs(low), abs(high))
        for others in (arguments, tensors_but(arguments, place)):
            ours = slope(op, others, place, x, direction)
            message = f"{op.__name__} by {place} of {arguments!r}: {ours} for {expected}"
            if ours is None or (op is np.linalg.eig and np.isnan(ours)):  # vectors of equal values
                continue
            assert low - slack <= ours <= high + slack, message
    return checked


def tensors_but(arguments: Arguments, place: Place) -> Arguments:
    """The same call with tensors, not tracked, for the arrays at other places."""
    for other, value in list(arguments.places()):
        if (
            isinstance(value, np.ndarray)
            and value.dtype.kind == "f"
            and other != place[: len(other)]
        ):
            arguments = arguments.replaced(other, tl.tensor(value))
    return arguments


def parameters_of(op: Any) -> dict[str, int]:
    """The parameters that might take numbers to differentiate by, and their positions."""
    parameters = inspect.signature(op).parameters.values()
    named = {p.name: i for i, p in enumerate(parameters) if p.kind not in (p.VAR_KEYWORD,)}
    return {name: i for name, i in named.items() if name not in SETTINGS}


@pytest.mark.parametrize("op", FUNCTIONS, ids=name_of)
def test_every_argument_of_differentiable_functions(op: Any):
    checked: set[Any] = set()

    @settings(max_examples=2, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(call=CASES[op])
    def calls_of_the_catalogue(call: Any) -> None:
        checked.update(check_each_argument(op, arguments_of(op, call)))

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        calls_of_the_catalogue()
        for arguments in MORE.get(op, ()):
            checked |= check_each_argument(op, arguments)
    try:
        left_out = [n for n, i in parameters_of(op).items() if not {n, i} & checked]
    except ValueError:  # an older NumPy does not tell
        return
    assert not left_out, f"{op.__name__} by {left_out}: add a call to MORE"


CONSTANT = {
    name: f
    for name, f in public_functions()
    if kind(OPERATIONS[f]) == "constant" and isinstance(f, (np.ufunc, type(np.sum)))
}
del CONSTANT["empty_like"]  # what memory held before


@pytest.mark.parametrize("name", CONSTANT)
def test_no_piecewise_constant_function_has_a_slope(name: str):
    op = CONSTANT[name]
    candidates = [Arguments(M), Arguments(X, X + 0.125), Arguments(X, 1.25), Arguments([X, X])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for arguments in [*MORE.get(op, ()), *candidates]:
            try:
                arguments(op)
            except Exception:  # noqa: BLE001 - NumPy takes no such arguments
                continue
            check_each_argument(op, arguments)


def test_what_stands_for_a_list_of_arrays_may_hold_lists():
    t, x = tl.tensor(2.0, requires_grad=True), tl.tensor(X)
    for joined in (np.stack([x, [t, 1.0, 2.0]]), np.hstack([x, [t]]), np.concatenate([x, [t]])):
        assert tl.gradients(joined.sum(), t) == 1.0


def test_a_refusal_names_the_argument():
    t = tl.tensor([1.0, 2.0], requires_grad=True)
    for call, text in {
        (lambda: np.var(t, ddof=t[0]), r"np\.var has no derivative by ddof=: detach\(\) it there"),
        (lambda: np.linalg.norm(t, t[0]), r"np\.linalg\.norm has no derivative by ord="),
        (lambda: np.linalg.norm(t, ord=t[0]), r"np\.linalg\.norm has no derivative by ord="),
        (lambda: np.pad(t, 1, "mean", stat_length=t[0]), "no derivative by stat_length="),
        (lambda: np.sum(t, axis=(t[0],)), r"np\.sum has no derivative by axis="),
    }:
        with pytest.raises(TypeError, match=text):
            call()
