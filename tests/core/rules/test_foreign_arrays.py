"""Every rule on arrays that are not NumPy's: nothing goes round the protocols.

``Foreign`` is the strictest array there could be: it has what the architecture promises every
array to have, counts the calls that reach it, refuses to become an ndarray, and takes none beside
it.  The same calls run on CuPy where it finds a GPU.
"""

from __future__ import annotations

import types
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from benchmarks.checkers.primitives import CASES, name_of
from tinygrad_lab.core.rules import indexing
from tinygrad_lab.core.rules.linalg import decompositions
from tinygrad_lab.core.rules.mathematical import sequences

EXAMPLES = settings(
    max_examples=max(settings.default.max_examples // 20, 2),
    suppress_health_check=[HealthCheck.filter_too_much],
)

#: Looked up at positions that come from the values, in arrays that are NumPy's own.
AMONG_NUMPYS = {np.interp, sequences.interp}

#: What Dask has as a whole, and not in the parts that a tensor is computed of: no sorting, no
#: ``where=`` in ``var``, no fourth argument of ``lstsq``, no shape behind a mask, no index array of
#: two axes, Fourier transforms along a single chunk only.
WHOLE_ON_DASK = {
    np.median, np.quantile, np.percentile, np.nanmedian, np.nanquantile, np.nanpercentile,
    np.nanvar, np.nanstd, np.extract, np.apply_along_axis, np.linalg.lstsq, np.linalg.cholesky,
    np.linalg.svd, decompositions.svd, np.linalg.qr, decompositions.qr, np.fft.fft,
    np.fft.ifft, np.fft.hfft, np.fft.irfft, np.fft.rfft, np.fft.ihfft, indexing.scatter_add,
}  # fmt: skip

each_operation = pytest.mark.parametrize("op", CASES, ids=name_of)


class Foreign(np.lib.mixins.NDArrayOperatorsMixin):
    """An array behind both protocols, with the attributes every array has and no others."""

    calls = 0  # how many of them have come into being: one a call, and the inputs

    def __init__(self, hidden: Any) -> None:
        Foreign.calls += 1
        self._hidden = np.asarray(hidden)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("something went round the protocols")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not all(isinstance(x, KNOWN) or not hasattr(x, "__array_ufunc__") for x in inputs):
            return NotImplemented  # a batch, a Tensor
        refuse_numpys((inputs, kwargs))
        return wrapped(getattr(ufunc, method)(*plain(inputs), **plain(kwargs)))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if not all(issubclass(kind, (Foreign, np.ndarray)) for kind in types):
            return NotImplemented  # a primitive, or a Tensor: they see our NumPy calls
        if function is not np.asarray:  # with like=
            refuse_numpys((args, kwargs))
        return wrapped(function(*plain(args), **plain(kwargs)))

    shape = property(lambda self: self._hidden.shape)
    ndim = property(lambda self: self._hidden.ndim)
    dtype = property(lambda self: self._hidden.dtype)
    size = property(lambda self: self._hidden.size)
    T = property(lambda self: wrapped(self._hidden.T))

    def reshape(self, *shape: Any) -> Any:
        return wrapped(self._hidden.reshape(*shape))

    def sum(self, *args: Any, **kwargs: Any) -> Any:
        return wrapped(self._hidden.sum(*args, **kwargs))

    def astype(self, dtype: Any) -> Any:
        return wrapped(self._hidden.astype(dtype))

    def copy(self) -> Any:
        return wrapped(self._hidden.copy())

    def __getitem__(self, index: Any) -> Any:
        return wrapped(self._hidden[plain(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._hidden[plain(index)] = plain(value)

    def __len__(self) -> int:
        return len(self._hidden)

    def __bool__(self) -> bool:
        return bool(self._hidden)

    def __int__(self) -> int:
        return int(self._hidden)

    def __index__(self) -> int:
        return self._hidden.__index__()


KNOWN = (Foreign, np.ndarray, np.generic)


def refuse_numpys(value: Any) -> None:
    """Raise as CuPy does of an array that is not its own."""
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (list, tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            refuse_numpys(part)


def plain(value: Any) -> Any:
    if isinstance(value, Foreign):
        return value._hidden
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def wrapped(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return Foreign(value)
    if isinstance(value, (list, tuple)):
        items = [wrapped(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def gradients(call: Any, make: Any, take: Any) -> Any:
    leaves = [tl.Tensor(make(a), requires_grad=True) for a in call.arrays]
    y = call.f(*leaves)
    y.backward(make(np.cos(np.arange(y.size, dtype=float)).reshape(y.shape)))
    return [take(y.data), *(take(leaf.grad) for leaf in leaves)]


def assert_as_numpys(call: Any, make: Any, take: Any) -> None:
    expected = gradients(call, np.array, np.asarray)
    actual = gradients(call, make, take)
    for e, f in zip(expected, actual, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-10, atol=1e-12)


@each_operation
@EXAMPLES
@given(data=st.data())
def test_no_rule_goes_round_the_protocols(op: Any, data: Any):
    if op in AMONG_NUMPYS:
        pytest.skip("looks positions up in NumPy's own arrays")
    call = data.draw(CASES[op])

    def take(array: Any) -> Any:
        assert isinstance(array, Foreign), f"a {type(array).__name__} where a Foreign went in"
        return array._hidden

    before = Foreign.calls
    assert_as_numpys(call, Foreign, take)
    assert Foreign.calls > before + len(call.arrays) + 1


@pytest.mark.skipif(find_spec("cupy") is None, reason="could not import 'cupy'")
@each_operation
@EXAMPLES
@given(data=st.data())
def test_on_cupy_where_there_is_a_gpu(op: Any, data: Any):
    import cupy

    if not cupy.cuda.is_available():
        pytest.skip("CuPy finds no GPU")
    assert_as_numpys(data.draw(CASES[op]), cupy.asarray, cupy.asnumpy)


@each_operation
@settings(EXAMPLES, max_examples=max(EXAMPLES.max_examples // 2, 2))
@given(data=st.data())
def test_on_dask_wherever_dask_has_the_operation(op: Any, data: Any):
    if op in WHOLE_ON_DASK:
        pytest.skip("Dask has it as a whole, not in parts")
    da = pytest.importorskip("dask.array")
    call = data.draw(CASES[op])
    assume(all(a.size for a in call.arrays))

    def lazy(array: Any) -> Any:
        return da.from_array(np.array(array), chunks=2 if np.ndim(array) else -1)

    def take(array: Any) -> Any:
        assert isinstance(array, da.Array), f"a {type(array).__name__} where Dask went in"
        return array.compute(scheduler="synchronous")

    expected = call.f(*call.arrays)
    try:
        promised = call.f(*map(lazy, call.arrays))
        taken = take(promised)
    except Exception:  # noqa: BLE001 - Dask lacks the function, or one of its arguments
        return
    # Dask does not know the shape behind a mask before it computes it, means something else by a
    # negative axis of tensordot, and cannot assign to nothing.
    assume(promised.shape == taken.shape == expected.shape and expected.size)
    assert_as_numpys(call, lazy, take)


A = np.array([[2.0, 0.5, -1.0], [0.3, 1.5, 0.4], [-0.2, 0.7, 3.0], [1.0, -0.6, 0.1]])
SQUARE = A[:3].T @ A[:3]

#: What reads a matrix as a whole, by name: every norm, and what is made of singular values,
#: eigenvalues and solutions.  Which of them a draw asks for is left to chance above.
OF_A_MATRIX = {
    **{f"norm {p}": lambda x, p=p: np.linalg.norm(x, ord=p)
       for p in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)},
    **{f"norm {p} of rows": lambda x, p=p: np.linalg.norm(x, ord=p, axis=1)
       for p in (None, 1, 2, 3, 0.5, -1, np.inf, -np.inf)},
    "matrix_norm": lambda x: np.linalg.matrix_norm(x, ord=2),
    "vector_norm": lambda x: np.linalg.vector_norm(x, ord=3),
    "svdvals": np.linalg.svdvals, "cond": np.linalg.cond, "pinv": np.linalg.pinv,
    "svd": lambda x: np.linalg.svd(x, full_matrices=False)[1],
    "inv": lambda x: np.linalg.inv(x[:3]), "det": lambda x: np.linalg.det(x[:3]),
    "slogdet": lambda x: np.linalg.slogdet(x[:3])[1],
    "solve": lambda x: np.linalg.solve(x[:3], x[3]),
    "eigvalsh": lambda x: np.linalg.eigvalsh(x.T @ x),
    "matrix_power": lambda x: np.linalg.matrix_power(x[:3], 3),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_A_MATRIX)
@pytest.mark.filterwarnings("ignore:.*not implemented by Dask array")
def test_what_reads_a_whole_matrix_takes_dask(name: str):
    da = pytest.importorskip("dask.array")
    call = types.SimpleNamespace(f=OF_A_MATRIX[name], arrays=[A])
    assert_as_numpys(call, lambda a: da.from_array(a, chunks=-1), np.asarray)


def test_the_gradient_is_that_of_the_factor_which_the_library_gives():
    da = pytest.importorskip("dask.array")
    weights = np.cos(np.arange(9.0)).reshape(3, 3)
    x = tl.Tensor(da.from_array(SQUARE), requires_grad=True)
    factor = np.linalg.cholesky(x)
    (factor * weights).sum().backward()
    is_upper = bool(np.any(np.triu(np.asarray(factor.data), 1)))
    y = tl.tensor(SQUARE, requires_grad=True)
    (np.linalg.cholesky(y, upper=is_upper) * weights).sum().backward()
    np.testing.assert_allclose(np.asarray(x.grad), y.grad, rtol=1e-12)


DERIVATIVES = {
    "grad": lambda f, x: tl.grad(lambda x: np.sum(f(x)))(x),
    "jacobian": lambda f, x: tl.jacobian(f)(x),
    "hessian": lambda f, x: tl.hessian(lambda x: np.sum(f(x)))(x),
    "hvp": lambda f, x: tl.hvp(lambda x: np.sum(f(x)), (x,), (x,)),
    "jvp": lambda f, x: tl.jvp(f, (x,), (x,))[1],
    "vmap": lambda f, x: tl.vmap(f)(x),
    "vmap of grad": lambda f, x: tl.vmap(tl.grad(lambda x: np.sum(f(x))))(x),
}  # fmt: skip


@pytest.mark.parametrize("derivative", DERIVATIVES)
def test_derivatives_of_functions_stay_where_their_arguments_are(derivative: str):
    def f(x: Any) -> Any:
        if "vmap" in derivative:  # an example takes what its array takes: no constants of NumPy's
            return np.sum(np.sin(x)) * x
        return np.sum(np.where(x > 0.1, x**3, np.sin(x)) * np.ones(3)) * x

    values = np.array([[0.5, -1.0, 2.0], [0.3, 0.2, -0.7], [1.0, -2.0, 0.4]])
    x = values if "vmap" in derivative else values[0]
    there = DERIVATIVES[derivative](f, Foreign(x))
    there = there[0] if isinstance(there, tuple) else there
    here = DERIVATIVES[derivative](f, x)
    here = here[0] if isinstance(here, tuple) else here
    assert isinstance(there, Foreign)
    np.testing.assert_allclose(plain(there), here, rtol=1e-12)
