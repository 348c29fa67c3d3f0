"""NumPy in 130 digits, and a function's text with another ``np``: how right functions are proved.

Arrays of ``mpmath``'s numbers go through most of NumPy as they are; what does not is here.

Not for: speed.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

import mpmath
import numpy

__all__ = ["CONTEXT", "DIGITS", "exact_array", "gradient_error", "rebound"]

Array = Any
OURS = "benchmarks.checkers.right."
CONTEXT: Any = mpmath.MPContext()
CONTEXT.dps = 130
ELEMENTWISE = {
    "exp": "exp", "log": "log", "sqrt": "sqrt", "sin": "sin", "cos": "cos", "tan": "tan",
    "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "arcsin": "asin", "arccos": "acos",
    "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
    "log1p": "log1p", "expm1": "expm1", "log10": "log10", "floor": "floor", "round": "nint",
}  # fmt: skip


def each(f: Callable[..., Any], n: int = 1) -> Callable[..., Array]:
    """Make a function of numbers one of arrays."""
    return numpy.frompyfunc(f, n, 1)


def exact_array(x: Any) -> Any:
    """Take numbers for what they are; anything but an array of floats stays as it is."""
    if isinstance(x, numpy.ndarray) and x.dtype.kind in "fc":
        return (
            each(lambda v: CONTEXT.mpmathify(complex(v) if x.dtype.kind == "c" else float(v)))(x)
            if x.ndim
            else numpy.array(CONTEXT.mpf(float(x)), dtype=object)
        )
    return x


def _matrix(a: Array) -> Any:
    return CONTEXT.matrix([list(row) for row in a])


def _array(m: Any) -> Array:
    return numpy.array(m.tolist(), dtype=object)


def _over_stacks(f: Callable[..., Any]) -> Callable[..., Any]:
    def run(a: Array, *rest: Any) -> Any:
        a = numpy.asarray(a, dtype=object)
        if a.ndim == 2:
            return f(a, *rest)
        parts = [run(x, *(r[i] for r in rest)) for i, x in enumerate(a)]
        if isinstance(parts[0], tuple):
            return tuple(numpy.stack(p) for p in zip(*parts, strict=True))
        return numpy.array(parts, dtype=object)

    return run


def _solve(a: Array, b: Array) -> Array:
    b = numpy.asarray(b, dtype=object)
    columns = b[:, None] if b.ndim == 1 else b
    solved = _array(CONTEXT.inverse(_matrix(a))) @ columns
    return solved[:, 0] if b.ndim == 1 else solved


def _eigh(a: Array) -> tuple[Array, Array]:
    values, vectors = CONTEXT.eigsy(_matrix((a + a.T) / 2))
    values, vectors = numpy.array(list(values), dtype=object), _array(vectors)
    order = numpy.argsort(values)
    return values[order], vectors[:, order]


def _svd(a: Array, full_matrices: bool = False, compute_uv: bool = True) -> Any:
    u, s, v = CONTEXT.svd_r(_matrix(a), full_matrices=full_matrices)
    s = numpy.array(list(s), dtype=object)
    order = numpy.argsort(-s)
    return (_array(u)[:, order], s[order], _array(v)[order]) if compute_uv else s[order]


def _norm(x: Array, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Array:
    assert ord is None or axis is not None or numpy.ndim(x) == 1
    if ord in (None, 2, "fro"):
        total = numpy.sum(x * x, axis=axis, keepdims=keepdims)
        return DIGITS.sqrt(total)
    assert ord == 1
    return numpy.sum(abs(x), axis=axis, keepdims=keepdims)


class _Linear:
    solve = staticmethod(_over_stacks(_solve))
    inv = staticmethod(_over_stacks(lambda a: _array(CONTEXT.inverse(_matrix(a)))))
    det = staticmethod(_over_stacks(lambda a: CONTEXT.det(_matrix(a))))
    cholesky = staticmethod(_over_stacks(lambda a: _array(CONTEXT.cholesky(_matrix(a)))))
    eigh = staticmethod(_over_stacks(_eigh))
    eigvalsh = staticmethod(_over_stacks(lambda a: _eigh(a)[0]))
    expm = staticmethod(lambda a: _array(CONTEXT.expm(_matrix(a), method="taylor")))
    qr = staticmethod(lambda a: tuple(map(_array, CONTEXT.qr(_matrix(a), mode="skinny"))))
    svd = staticmethod(_svd)
    norm = staticmethod(_norm)

    @staticmethod
    def slogdet(a: Array) -> tuple[Any, Any]:
        det = _Linear.det(a)
        return numpy.sign(det), DIGITS.log(abs(det))

    @staticmethod
    def pinv(a: Array) -> Array:
        return _solve(a.T @ a, a.T)

    @staticmethod
    def matrix_power(a: Array, n: int) -> Array:
        result = a
        for _ in range(n - 1):
            result = result @ a
        return result


def _dft(n: int, sign: int) -> Array:
    turn: Any = lambda k: CONTEXT.expjpi(CONTEXT.mpf(sign * 2 * k) / n)
    return numpy.array([[turn(i * j) for j in range(n)] for i in range(n)], dtype=object)


class _Fourier:
    @staticmethod
    def fft(x: Array) -> Array:
        return x @ _dft(x.shape[-1], -1)

    @staticmethod
    def ifft(x: Array) -> Array:
        return x @ _dft(x.shape[-1], 1) / x.shape[-1]

    @staticmethod
    def rfft(x: Array) -> Array:
        return (x @ _dft(x.shape[-1], -1))[..., : x.shape[-1] // 2 + 1]


def _special(name: str) -> Callable[..., Array]:
    m = CONTEXT
    known: dict[str, tuple[Any, int]] = {
        "erf": (m.erf, 1), "erfc": (m.erfc, 1), "gammaln": (m.loggamma, 1), "gamma": (m.gamma, 1),
        "digamma": (m.digamma, 1), "j0": (m.j0, 1), "j1": (m.j1, 1),
        "i0": (lambda x: m.besseli(0, x), 1), "i1": (lambda x: m.besseli(1, x), 1),
        "i0e": (lambda x: m.exp(-abs(x)) * m.besseli(0, x), 1),
        "i1e": (lambda x: m.exp(-abs(x)) * m.besseli(1, x), 1),
        "jv": (m.besselj, 2), "kv": (m.besselk, 2), "expit": (lambda x: 1 / (1 + m.exp(-x)), 1),
        "logit": (lambda p: m.log(p / (1 - p)), 1), "ndtr": (m.ncdf, 1),
        "log_ndtr": (lambda x: m.log(m.erfc(-x / m.sqrt(2)) / 2), 1),
        "erfinv": (m.erfinv, 1), "betaln": (lambda a, b: m.log(m.beta(a, b)), 2),
        "beta": (m.beta, 2), "dawsn": (
            lambda x: m.sqrt(m.pi) / 2 * m.exp(-x * x) * m.erfi(x), 1),
        "erfcx": (lambda x: m.exp(x * x) * m.erfc(x), 1), "lambertw": (m.lambertw, 1),
        "exp1": (m.e1, 1), "xlogy": (
            lambda x, y: x * m.log(y) if x else m.mpf(0), 2),
        "polygamma": (lambda n, x: m.psi(int(n), x), 2),
        "ellipk": (m.ellipk, 1), "ellipe": (m.ellipe, 1),
        "gammainc": (lambda a, x: m.gammainc(a, 0, x, regularized=True), 2),
        "betainc": (lambda a, b, x: m.betainc(a, b, 0, x, regularized=True), 3),
        "spence": (lambda z: m.polylog(2, 1 - z), 1),
        "entr": (
            lambda x: -x * m.log(x), 1), "rel_entr": (lambda x, y: x * m.log(x / y), 2),
    }  # fmt: skip
    f, n = known[name]
    real = lambda *xs: m.re(f(*[m.mpmathify(x) for x in xs]))
    return each(real, n)


class _Special:
    @staticmethod
    def airy(x: Array) -> tuple[Array, Array]:
        """The function and its derivative, which is what is used of it."""
        return each(CONTEXT.airyai)(x), each(lambda v: CONTEXT.airyai(v, derivative=1))(x)

    def __getattr__(self, name: str) -> Any:
        return _special(name)


class _Digits:
    """``numpy``, whose new arrays hold exact numbers."""

    float16 = float32 = float64 = longdouble = object
    linalg, fft, special = _Linear, _Fourier, _Special()
    pi = CONTEXT.pi + 0  # a float's pi is another number, but the same one on both sides
    e = CONTEXT.e + 0
    real = staticmethod(each(lambda z: CONTEXT.re(z)))
    imag = staticmethod(each(lambda z: CONTEXT.im(z)))
    conj = staticmethod(each(lambda z: CONTEXT.conj(z)))
    log2 = staticmethod(each(lambda x: CONTEXT.log(x) / CONTEXT.log(2)))
    exp2 = staticmethod(each(lambda x: CONTEXT.mpf(2) ** x))
    cbrt = staticmethod(each(lambda x: CONTEXT.sign(x) * CONTEXT.cbrt(abs(x))))
    hypot = staticmethod(each(CONTEXT.hypot, 2))
    arctan2 = staticmethod(each(CONTEXT.atan2, 2))
    isfinite = staticmethod(lambda x: numpy.ones(numpy.shape(x), bool))
    isnan = staticmethod(lambda x: numpy.zeros(numpy.shape(x), bool))
    logaddexp = staticmethod(each(lambda a, b: CONTEXT.log(CONTEXT.exp(a) + CONTEXT.exp(b)), 2))
    sinc = staticmethod(each(lambda x: CONTEXT.sinc(CONTEXT.pi * x)))
    copysign = staticmethod(each(lambda a, b: abs(a) if b >= 0 else -abs(a), 2))
    outer = staticmethod(lambda a, b: numpy.multiply.outer(numpy.ravel(a), numpy.ravel(b)))

    @staticmethod
    def zeros(shape: Any) -> Array:
        return numpy.full(shape, CONTEXT.mpf(0), dtype=object)

    @staticmethod
    def empty(shape: Any) -> Array:
        return _Digits.zeros(shape)

    @staticmethod
    def ones(shape: Any) -> Array:
        return numpy.full(shape, CONTEXT.mpf(1), dtype=object)

    @staticmethod
    def full(shape: Any, value: Any) -> Array:
        return numpy.full(shape, value, dtype=object)

    @staticmethod
    def zeros_like(x: Array) -> Array:
        return _Digits.zeros(numpy.shape(x))

    empty_like = zeros_like

    @staticmethod
    def ones_like(x: Array) -> Array:
        return _Digits.ones(numpy.shape(x))

    @staticmethod
    def eye(n: int) -> Array:
        return numpy.eye(n).astype(int).astype(object)

    @staticmethod
    def asarray(x: Any, dtype: Any = None) -> Array:
        return numpy.asarray(x, dtype=object if dtype is object else None)

    array = asarray

    @staticmethod
    def einsum(text: str, *arrays: Array) -> Array:
        return numpy.einsum(text, *(numpy.asarray(a, dtype=object) for a in arrays))

    @staticmethod
    def median(x: Array, axis: int = -1) -> Array:
        s = numpy.sort(x, axis=axis)
        n = s.shape[axis]
        low, high = numpy.take(s, (n - 1) // 2, axis), numpy.take(s, n // 2, axis)
        return (low + high) / 2

    @staticmethod
    def var(x: Array, axis: Any = None, keepdims: Any = False, ddof: int = 0) -> Array:
        d = x - numpy.mean(x, axis=axis, keepdims=True)
        n = x.size // numpy.mean(x, axis=axis).size if axis is not None else x.size
        return numpy.sum(d * d, axis=axis, keepdims=keepdims) / (n - ddof)

    @staticmethod
    def std(x: Array, axis: Any = None, keepdims: Any = False, ddof: int = 0) -> Array:
        return DIGITS.sqrt(_Digits.var(x, axis, keepdims, ddof))

    def __getattr__(self, name: str) -> Any:
        if name in ELEMENTWISE:
            return each(getattr(CONTEXT, ELEMENTWISE[name]))
        return getattr(numpy, name)


DIGITS: Any = _Digits()


def rebound(function: Any, np: Any, homes: dict[int, dict[str, Any]] | None = None) -> Any:
    """A function with the same text and another ``np``, and so all that it calls of this list."""
    homes = {} if homes is None else homes
    if isinstance(function, types.FunctionType):
        if not str(function.__globals__.get("__name__")).startswith(OURS):
            return function
        cells = tuple(
            types.CellType(rebound(c.cell_contents, np, homes)) for c in function.__closure__ or ()
        )
        home = _home(function.__globals__, np, homes)
        copy = types.FunctionType(
            function.__code__, home, function.__name__, function.__defaults__, cells
        )
        copy.__kwdefaults__ = function.__kwdefaults__
        return copy
    if isinstance(function, type) and function.__module__.startswith(OURS):
        body = {k: rebound(v, np, homes) for k, v in vars(function).items()}
        for name in ("__dict__", "__weakref__"):
            body.pop(name, None)
        return type(function.__name__, function.__bases__, body)
    return function


def _home(of: dict[str, Any], np: Any, homes: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """The names that a module's functions see."""
    if id(of) not in homes:
        homes[id(of)] = home = dict(of)
        home["np"] = np
        for name in ("special", "linalg"):
            if name in home and hasattr(np, name):
                home[name] = getattr(np, name)
        for name, value in of.items():
            if isinstance(value, (types.FunctionType, type)) and not is_dataclass(value):
                home[name] = rebound(value, np, homes)
            elif isinstance(value, numpy.ndarray):
                home[name] = np.asarray(value)
    return homes[id(of)]


STEP = CONTEXT.mpf(10) ** -35


def gradient_error(
    f: Callable[..., Any], vjp: Callable[..., Any], inputs: Any, rng: Any, most: int = 2
) -> tuple[float, list[tuple[int, tuple[int, ...], Any]]]:  # fmt: skip
    """How wrong a pullback is in 130 digits, relative to the largest slope by each input.

    Returns the error, and (input, index, true slope) of up to ``most`` elements of each input,
    with the upstream of ``upstream_of``.
    """
    homes: dict[int, dict[str, Any]] = {}
    f_exact, vjp_exact = rebound(f, DIGITS, homes), rebound(vjp, DIGITS, homes)
    xs = [exact_array(x) for x in inputs]
    upstream = upstream_of(f, inputs)
    several = isinstance(upstream, tuple)
    g = tuple(map(exact_array, upstream)) if several else exact_array(upstream)
    total: Any = lambda: _contracted(g, f_exact(*xs))
    by = vjp_exact(g, *xs)
    by = list(by) if isinstance(by, (tuple, list)) else [by]
    moved = [
        i for i, x in enumerate(inputs) if isinstance(x, numpy.ndarray) and x.dtype.kind == "f"
    ]
    if len(by) == len(inputs):
        by = [by[i] for i in moved]
    nothing = (1 + abs(total())) * CONTEXT.mpf(10) ** -70  # beside what it is computed with
    worst, slopes = CONTEXT.mpf(0), []
    for i, d in zip(moved, by, strict=True):
        places = list(numpy.ndindex(xs[i].shape))
        chosen = rng.choice(len(places), min(most, len(places)), replace=False)
        difference, largest = CONTEXT.mpf(0), nothing
        for index in (places[k] for k in chosen):
            value = xs[i][index]
            step = STEP * max(abs(value), CONTEXT.mpf(1e-6))
            xs[i][index] = value + step
            up = total()
            xs[i][index] = value - step
            down = total()
            xs[i][index] = value
            slope = (up - down) / (2 * step)
            promised = numpy.asarray(d, dtype=object)[index]
            difference = max(difference, abs(slope - promised))
            largest = max(largest, abs(slope))
            slopes.append((i, index, slope))
        worst = max(worst, difference / largest)
    return float(worst), slopes


def _contracted(g: Any, y: Any) -> Any:
    if isinstance(y, tuple):
        return sum(_contracted(a, b) for a, b in zip(g, y, strict=True))
    return numpy.sum(numpy.asarray(g * y, dtype=object))


def upstream_of(f: Callable[..., Any], inputs: Any) -> Any:
    """A random upstream, the same one every time."""
    rng, y = numpy.random.default_rng(1), f(*inputs)
    draw: Any = lambda part: numpy.asarray(rng.normal(size=numpy.shape(part)))
    return tuple(map(draw, y)) if isinstance(y, tuple) else draw(y)
