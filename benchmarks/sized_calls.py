"""Calls of any size: every function that has a derivative, and every way to build from parts.

Not for: what they cost (`costs.py`), or small calls with everything in them that can go wrong (the
catalogue in `tinygrad_lab/testing/inputs`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_lab.nn import functional as F

Array = Any
Call = tuple[Callable[..., Any], list[Array]]


@dataclass(frozen=True)
class Row:
    """A function, how it is called at size n, and the power of n its operations grow with.

    Without a power they grow as the elements that are read and written.
    """

    name: str
    call: Callable[[int], Call]
    power: float | None = None
    least: int = 256  # the smallest of the sizes that the largest may be


def numbers(*shape: int, low: float = 0.25, high: float = 0.75) -> Array:
    """Numbers in the domain of nearly every function, the same each time."""
    return np.random.default_rng(0).uniform(low, high, shape)


def square(n: int) -> Array:
    """A well-conditioned square matrix of about n elements."""
    m = math.isqrt(n)
    return numbers(m, m, low=-1, high=1) / math.sqrt(m) + 2 * np.eye(m)


def symmetric(n: int) -> Array:
    """A symmetric positive definite matrix of about n elements, its eigenvalues all different."""
    m = math.isqrt(n)
    a = numbers(m, m, low=-1, high=1) / m
    return a + a.T + np.diag(np.linspace(2, 4, m))


def wide(n: int) -> Array:
    """A matrix of four rows."""
    return numbers(4, n // 4)


def of(*operands: Callable[[int], Array]) -> Callable[..., Callable[[int], Call]]:
    """Make a family of calls: of functions of these operands."""
    return lambda f: lambda n: (f, [operand(n) for operand in operands])


def rows_of(names: str, family: Callable[..., Any], power: float | None = None) -> list[Row]:
    """One row for each of NumPy's functions of these names, as far as this version has them."""
    functions = [(name, named(name)) for name in names.split()]
    return [Row(name, family(f), power) for name, f in functions if f is not None]


def named(name: str) -> Any:
    """NumPy's function of a name, ``linalg.inv``."""
    home, _, own = name.rpartition(".")
    return getattr(getattr(np, home) if home else np, own, None)


VECTOR, PAIR, MATRIX = of(numbers), of(numbers, numbers), of(square)
CUBIC = 1.5  # of the elements of a matrix

ELEMENTWISE = """
absolute angle arccos arcsin arcsinh arctan arctanh cbrt conjugate copy cos cosh deg2rad degrees exp
exp2 expm1 fabs fix i0 imag log log10 log1p log2 nan_to_num negative positive rad2deg radians real
real_if_close reciprocal sign sin sinc sinh sqrt square tan tanh frexp modf
"""
REDUCTIONS = """
max min mean prod ptp sum var std median nanmax nanmean nanmedian nanmin nanprod nanstd nansum
nanvar average linalg.norm linalg.vector_norm cumprod cumsum nancumprod nancumsum cumulative_prod
cumulative_sum diff ediff1d gradient unwrap sort sort_complex trapezoid ravel squeeze flip
atleast_1d atleast_2d atleast_3d trim_zeros broadcast_arrays amax amin
"""
PAIRS = """
add arctan2 copysign divide float_power fmax fmin fmod heaviside hypot logaddexp logaddexp2 maximum
minimum multiply nextafter power remainder subtract divmod vdot vecdot linalg.vecdot inner append
concatenate stack hstack vstack dstack column_stack
"""
LISTS = {"concatenate", "stack", "hstack", "vstack", "dstack", "column_stack"}
OF_MATRICES = """
transpose matrix_transpose linalg.matrix_transpose tril triu trace linalg.trace diagonal
linalg.diagonal fliplr flipud rot90 matrix_norm linalg.matrix_norm
"""
CUBIC_ONES = """
linalg.inv linalg.det linalg.slogdet linalg.pinv linalg.qr linalg.cond
"""
FOURIER = "fft.fft fft.ifft fft.rfft fft.ihfft"
TO_REAL = "fft.irfft fft.hfft"
SEVERAL_AXES = "fft.fft2 fft.ifft2 fft.fftn fft.ifftn fft.rfft2 fft.rfftn"
SEVERAL_TO_REAL = "fft.irfft2 fft.irfftn"


def in_a_list(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give all arguments as one list."""
    return lambda *x: f(list(x))


def numpys() -> list[Row]:
    """A row for each of NumPy's functions that has a derivative."""
    with_arguments: dict[str, Call | Callable[[int], Call]] = {
        "expand_dims": VECTOR(lambda x: np.expand_dims(x, 0)),
        "apply_along_axis": lambda n: (
            lambda x: np.apply_along_axis(np.sum, 0, x), [numbers(n // 16, 16)]
        ),
        "apply_over_axes": of(wide)(lambda x: np.apply_over_axes(np.sum, x, [0, 1])),
        "arccosh": VECTOR(lambda x: np.arccosh(x + 1)),
        "array": VECTOR(lambda x: np.array([x, x], like=x)),
        "array_split": VECTOR(lambda x: np.array_split(x, 3)),
        "astype": VECTOR(lambda x: np.astype(x, np.float32)),
        "bincount": lambda n: (
            lambda w: np.bincount(np.arange(n) % 7, weights=w), [numbers(n)]
        ),
        "block": PAIR(lambda x, y: np.block([x, y])),
        "broadcast_to": VECTOR(lambda x: np.broadcast_to(x, (3, *x.shape))),
        "choose": lambda n: (
            lambda x, y: np.choose(np.arange(n) % 2, [x, y]), [numbers(n), numbers(n)]
        ),
        "clip": VECTOR(lambda x: np.clip(x, 0.3, 0.6)),
        "compress": lambda n: (lambda x: np.compress(np.arange(n) % 2, x), [numbers(n)]),
        "extract": lambda n: (lambda x: np.extract(np.arange(n) % 2, x), [numbers(n)]),
        "convolve": of(numbers, lambda n: numbers(9))(np.convolve),
        "correlate": of(numbers, lambda n: numbers(9))(np.correlate),
        "corrcoef": of(wide)(np.corrcoef),
        "cov": of(wide)(np.cov),
        "cross": lambda n: (np.cross, [numbers(n // 3, 3), numbers(n // 3, 3)]),
        "linalg.cross": lambda n: (np.linalg.cross, [numbers(n // 3, 3), numbers(n // 3, 3)]),
        "delete": VECTOR(lambda x: np.delete(x, [1, 5])),
        "diag": MATRIX(lambda x: np.diag(x)),
        "diagflat": lambda n: (np.diagflat, [numbers(math.isqrt(n))]),
        "dot": PAIR(np.dot),
        "dsplit": lambda n: (lambda x: np.dsplit(x, 2), [numbers(n // 8, 2, 4)]),
        "einsum": of(wide, wide)(lambda x, y: np.einsum("ij,ij->j", x, y)),
        "full_like": lambda n: (
            lambda x, v: np.full_like(x, v), [numbers(n), np.array(0.5)]
        ),
        "geomspace": lambda n: (
            lambda a, b: np.geomspace(a, b, n), [np.array(1.0), np.array(2.0)]
        ),
        "linspace": lambda n: (lambda a, b: np.linspace(a, b, n), [np.array(1.0), np.array(2.0)]),
        "logspace": lambda n: (lambda a, b: np.logspace(a, b, n), [np.array(1.0), np.array(2.0)]),
        "histogram": lambda n: (
            lambda w: np.histogram(numbers(n), 10, weights=w)[0], [numbers(n)]
        ),
        "histogram_bin_edges": VECTOR(lambda x: np.histogram_bin_edges(x, 5)),
        "hsplit": VECTOR(lambda x: np.hsplit(x, [3, 5])),
        "insert": VECTOR(lambda x: np.insert(x, [1, 5], x[:2])),
        "interp": lambda n: (
            lambda x, y: np.interp(x, np.linspace(0, 1, n), y), [numbers(n), numbers(n)]
        ),
        "kron": of(numbers, lambda n: numbers(3))(np.kron),
        "ldexp": VECTOR(lambda x: np.ldexp(x, 2)),
        "matmul": of(wide, lambda n: numbers(n // 4, 3))(np.matmul),
        "linalg.matmul": of(wide, lambda n: numbers(n // 4, 3))(np.linalg.matmul),
        "matvec": of(wide, lambda n: numbers(n // 4))(lambda a, x: np.matvec(a, x)),
        "vecmat": of(lambda n: numbers(4), wide)(lambda x, a: np.vecmat(x, a)),
        "meshgrid": lambda n: (
            lambda x, y: np.meshgrid(x, y), [numbers(math.isqrt(n)), numbers(math.isqrt(n))]
        ),
        "moveaxis": of(wide)(lambda x: np.moveaxis(x, 0, 1)),
        "rollaxis": of(wide)(lambda x: np.rollaxis(x, 1)),
        "swapaxes": of(wide)(lambda x: np.swapaxes(x, 0, 1)),
        "nanpercentile": VECTOR(lambda x: np.nanpercentile(x, [20, 70])),
        "nanquantile": VECTOR(lambda x: np.nanquantile(x, [0.2, 0.7])),
        "percentile": VECTOR(lambda x: np.percentile(x, [20, 70])),
        "quantile": VECTOR(lambda x: np.quantile(x, [0.2, 0.7])),
        "outer": of(numbers, lambda n: numbers(3))(np.outer),
        "linalg.outer": of(numbers, lambda n: numbers(3))(np.linalg.outer),
        "pad": VECTOR(lambda x: np.pad(x, 3, mode="reflect")),
        "partition": VECTOR(lambda x: np.partition(x, x.size // 2)),
        "piecewise": lambda n: (
            lambda x: np.piecewise(x, [numbers(n) > 0.5], [np.sin, np.cos]), [numbers(n)]
        ),
        "polyadd": PAIR(np.polyadd),
        "polysub": PAIR(np.polysub),
        "polyder": VECTOR(np.polyder),
        "polyint": VECTOR(np.polyint),
        "polyval": of(lambda n: numbers(4), numbers)(np.polyval),
        "polymul": of(numbers, lambda n: numbers(4))(np.polymul),
        "polyfit": lambda n: (lambda y: np.polyfit(np.linspace(0, 1, n), y, 3), [numbers(n)]),
        "repeat": VECTOR(lambda x: np.repeat(x, 3)),
        "reshape": of(wide)(lambda x: np.reshape(x, (-1, 2))),
        "resize": VECTOR(lambda x: np.resize(x, (3, x.size))),
        "roll": VECTOR(lambda x: np.roll(x, 3)),
        "select": lambda n: (
            lambda x, y: np.select([numbers(n) > 0.5], [x], y), [numbers(n), numbers(n)]
        ),
        "split": VECTOR(lambda x: np.split(x, [5, 9])),
        "take": VECTOR(lambda x: np.take(x, np.arange(0, x.size, 2))),
        "take_along_axis": VECTOR(
            lambda x: np.take_along_axis(x, np.arange(0, x.size, 2), 0)
        ),
        "tensordot": of(wide, wide)(lambda x, y: np.tensordot(x, y, ([1], [1]))),
        "linalg.tensordot": of(wide, wide)(
            lambda x, y: np.linalg.tensordot(x, y, axes=([1], [1]))
        ),
        "tile": VECTOR(lambda x: np.tile(x, 3)),
        "unstack": of(wide)(lambda x: np.unstack(x)),
        "vander": VECTOR(lambda x: np.vander(x, 3)),
        "vsplit": lambda n: (lambda x: np.vsplit(x, 2), [numbers(n // 4 * 2, 2)]),
        "where": lambda n: (
            lambda x, y: np.where(numbers(n) > 0.5, x, y), [numbers(n), numbers(n)]
        ),
        "fft.fftshift": VECTOR(np.fft.fftshift),
        "fft.ifftshift": VECTOR(np.fft.ifftshift),
    }  # fmt: skip
    powers: dict[str, tuple[Callable[[int], Call], float]] = {
        "linalg.cholesky": (of(symmetric)(np.linalg.cholesky), CUBIC),
        "linalg.eigh": (of(symmetric)(np.linalg.eigh), CUBIC),
        "linalg.eigvalsh": (of(symmetric)(np.linalg.eigvalsh), CUBIC),
        "linalg.eig": (of(symmetric)(lambda a: np.linalg.eig(a + np.tri(len(a)) / len(a))), CUBIC),
        "linalg.eigvals": (of(symmetric)(np.linalg.eigvals), CUBIC),
        "linalg.svd": (of(symmetric)(np.linalg.svd), CUBIC),
        "linalg.svdvals": (of(symmetric)(lambda a: np.linalg.svdvals(a)), CUBIC),
        "linalg.lstsq": (
            of(square, lambda n: numbers(math.isqrt(n)))(lambda a, b: np.linalg.lstsq(a, b)[0]),
            CUBIC,
        ),
        "linalg.solve": (of(square, lambda n: numbers(math.isqrt(n)))(np.linalg.solve), CUBIC),
        "linalg.tensorsolve": (
            of(square, lambda n: numbers(math.isqrt(n)))(np.linalg.tensorsolve), CUBIC
        ),
        "linalg.tensorinv": (of(square)(lambda a: np.linalg.tensorinv(a, 1)), CUBIC),
        "linalg.matrix_power": (of(square)(lambda a: np.linalg.matrix_power(a / 2, 3)), CUBIC),
        "linalg.multi_dot": (of(square, square, square)(in_a_list(np.linalg.multi_dot)), CUBIC),
        "roots": (of(lambda n: numbers(math.isqrt(n)))(np.roots), CUBIC),
        "poly": (of(lambda n: numbers(math.isqrt(n)))(np.poly), 1.0),
        "polydiv": (
            lambda n: (np.polydiv, [numbers(math.isqrt(n)), numbers(math.isqrt(n) // 2)]), 1.0
        ),
    }  # fmt: skip
    return [
        *rows_of(ELEMENTWISE, VECTOR),
        *rows_of(REDUCTIONS, VECTOR),
        *rows_of(PAIRS, lambda f: PAIR(in_a_list(f) if f.__name__ in LISTS else f)),
        *rows_of(OF_MATRICES, MATRIX),
        *rows_of(CUBIC_ONES, MATRIX, CUBIC),
        *rows_of(FOURIER, VECTOR),
        *rows_of(TO_REAL, of(lambda n: numbers(n // 2 + 1))),
        *rows_of(SEVERAL_AXES, MATRIX),
        *rows_of(SEVERAL_TO_REAL, of(lambda n: numbers(math.isqrt(n), math.isqrt(n) // 2 + 1))),
        *(Row(name, call) for name, call in with_arguments.items() if named(name) is not None),
        *(Row(name, *row) for name, row in powers.items() if named(name) is not None),
    ]


def rows(n: int) -> Array:
    """A matrix of four columns."""
    return numbers(n // 4, 4)


def sequences(n: int) -> Array:
    """Sequences of sixteen rows, more of them for a larger n: attention is quadratic in length."""
    return numbers(n // 64, 16, 4)


def channels(n: int) -> Array:
    """Images of 4 by 4 elements, in four channels."""
    return numbers(n // 64, 4, 4, 4)


def labels(x: Array) -> Array:
    """For each row one of four classes."""
    return np.arange(len(x)) % 4


def signs(x: Array) -> Array:
    """For each row 1 or -1."""
    return np.arange(len(x)) % 2 * 2 - 1


def functionals(names: str, family: Callable[..., Any]) -> list[Row]:
    """One row for each of the functions of `nn.functional` of these names."""
    return [Row(f"F.{name}", family(getattr(F, name))) for name in names.split()]


ACTIVATIONS = """
celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_softmax logsigmoid
logsumexp mish relu relu6 selu sigmoid silu softmax softmin softplus softshrink softsign tanh
tanhshrink
"""
PAIRS_OF_ROWS = """
binary_cross_entropy binary_cross_entropy_with_logits cosine_similarity huber_loss kl_div l1_loss
mse_loss multilabel_soft_margin_loss pairwise_distance poisson_nll_loss smooth_l1_loss
"""
THREES_OF_ROWS = "gaussian_nll_loss triplet_margin_loss triplet_margin_with_distance_loss"
LABELLED = "cross_entropy multi_margin_loss nll_loss"
SIGNED = "hinge_embedding_loss soft_margin_loss"
DROPOUTS = "alpha_dropout dropout feature_alpha_dropout rrelu"
IN_TWOS = "channel_shuffle group_norm pixel_shuffle pixel_unshuffle unfold"


def layers() -> list[Row]:
    """A row for each function of `nn.functional`."""
    few = lambda n: numbers(4)
    with_arguments: dict[str, Callable[[int], Call]] = {
        "affine_grid": of(lambda n: numbers(n // 64, 2, 3))(
            lambda x: F.affine_grid(x, (len(x), 1, 8, 8))
        ),
        "batch_norm": of(channels, few, few)(
            lambda x, weight, bias: F.batch_norm(x, None, None, weight, bias, training=True)
        ),
        "bilinear": of(rows, rows, lambda n: numbers(3, 4, 4))(F.bilinear),
        "cosine_embedding_loss": of(rows, rows)(
            lambda x, y: F.cosine_embedding_loss(x, y, signs(x))
        ),
        "embedding": of(rows)(lambda x: F.embedding(np.arange(len(x)), x)),
        "embedding_bag": of(rows)(
            lambda x: F.embedding_bag(np.arange(len(x)).reshape(-1, 2), x)
        ),
        "fold": of(lambda n: numbers(n // 64, 4, 16))(lambda x: F.fold(x, (5, 5), 2)),
        "grid_sample": of(channels, lambda n: numbers(n // 64, 4, 4, 2))(F.grid_sample),
        "gumbel_softmax": of(rows)(lambda x: F.gumbel_softmax(x, rng=0)),
        "instance_norm": of(channels)(F.instance_norm),
        "interpolate": of(channels)(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")),
        "layer_norm": of(rows, few, few)(lambda x, *weights: F.layer_norm(x, 4, *weights)),
        "linear": of(rows, lambda n: numbers(3, 4))(F.linear),
        "local_response_norm": of(channels)(lambda x: F.local_response_norm(x, 3)),
        "margin_ranking_loss": PAIR(lambda x, y: F.margin_ranking_loss(x, y, signs(x))),
        "multilabel_margin_loss": of(rows)(
            lambda x: F.multilabel_margin_loss(x, np.tile([2, 0, -1, -1], (len(x), 1)))
        ),
        "normalize": of(rows)(F.normalize),
        "one_hot": of(rows)(lambda x: x * F.one_hot(labels(x), 4)),
        "pad": of(channels)(lambda x: F.pad(x, (1, 2), mode="reflect")),
        "prelu": of(channels, few)(F.prelu),
        "rms_norm": of(rows, few)(lambda x, weight: F.rms_norm(x, 4, weight)),
        "running_statistics": of(channels, few, few)(F.running_statistics),
        "scaled_dot_product_attention": of(sequences, sequences, sequences)(
            F.scaled_dot_product_attention
        ),
        "threshold": VECTOR(lambda x: F.threshold(x, 0.5, 0.0)),
    }  # fmt: skip
    return [
        *functionals(ACTIVATIONS, VECTOR),
        *functionals(PAIRS_OF_ROWS, of(rows, rows)),
        *functionals(THREES_OF_ROWS, of(rows, rows, rows)),
        *functionals(LABELLED, lambda f: of(rows)(lambda x: f(x, labels(x)))),
        *functionals(SIGNED, lambda f: VECTOR(lambda x: f(x, signs(x)))),
        *functionals(DROPOUTS, lambda f: of(channels)(lambda x: f(x, training=True, rng=0))),
        *functionals(IN_TWOS, lambda f: of(channels)(lambda x: f(x, 2))),
        *(row for axes in (1, 2, 3) for row in windows(axes)),
        *(Row(f"F.{name}", call) for name, call in with_arguments.items()),
    ]


def windows(axes: int) -> list[Row]:
    """A row for each function of images that has its number of axes in its name."""
    d, kernel = f"{axes}d", (3,) * axes
    images = lambda n: numbers(n // 64, 1, *[round(64 ** (1 / axes))] * axes)
    pool = getattr(F, f"max_pool{d}")
    pools = f"adaptive_avg_pool{d} adaptive_max_pool{d} avg_pool{d} max_pool{d}"
    unpooled = lambda f: lambda x: f(*pool(x, 2, return_indices=True), 2)
    return [
        *functionals(f"conv{d}", of(images, lambda n: numbers(2, 1, *kernel))),
        *functionals(f"conv_transpose{d}", of(images, lambda n: numbers(1, 2, *kernel))),
        *functionals(f"dropout{d}", lambda f: of(images)(lambda x: f(x, rng=0))),
        *functionals(pools, lambda f: of(images)(lambda x: f(x, 2))),
        *functionals(f"lp_pool{d}", lambda f: of(images)(lambda x: f(x, 2, 2))),
        *functionals(f"max_unpool{d}", lambda f: of(images)(unpooled(f))),
    ]


# -- building from parts: n is their number --------------------------------------------------------


def parts(build: Callable[[list[Array]], Any], length: int | None = 1) -> Callable[[int], Call]:
    """A call that takes n leaves, of so many elements, and makes one array of them."""
    shape = () if length is None else (length,)
    return lambda n: (lambda *x: build(list(x)), [numbers(*shape) for _ in range(n)])


def picked(x: Array) -> Array:
    """Elements used one by one."""
    total = 0.0
    for i in range(x.size):
        total = total + x[i] * x[i]
    return total


def written(x: Array) -> Array:
    """Elements assigned one by one."""
    y = x.copy()
    for i in range(x.size):
        y[i] = x[i] * 2.0
    return y


def written_over(x: Array) -> Array:
    """Elements assigned one by one, each from the one before."""
    y = x.copy()
    for i in range(1, x.size):
        y[i] = y[i - 1] * 0.5 + x[i]
    return y


def scanned(x: Array) -> Array:
    """A recurrent loop: a state carried along, and all of its values stacked."""
    state, states = x[0], []
    for i in range(x.size):
        state = np.tanh(state + x[i])
        states.append(state)
    return np.stack(states)


def tree(arrays: list[Array]) -> Array:
    """Sum by halves."""
    while len(arrays) > 1:
        arrays = [a + b for a, b in zip(arrays[::2], arrays[1::2], strict=False)]
    return arrays[0]


def chained_where(x: Array) -> Array:
    """The largest element, by comparisons."""
    y = x[0]
    for i in range(x.size):
        y = np.where(x[i] > y, x[i], y)
    return y


def rows_in_turn(x: Array) -> Array:
    """Rows used one by one."""
    return np.stack([row.sum() for row in x.reshape(-1, 4)])


def builders() -> list[Row]:
    """A row for each way to make an array of many parts, or to take one apart, in Python loops."""
    joined = ["concatenate", "stack", "hstack", "vstack", "column_stack", "dstack", "block"]
    ways = [
        *(Row(f"{name}(n parts)", parts(named(name))) for name in joined),
        *(Row(f"{name}(n numbers)", parts(named(name), None)) for name in ("stack", "block")),
        Row("array(n numbers, like=t)", parts(lambda x: np.array(x, like=x[0]), None)),
        Row("append, n times", parts(appended)),
        Row("sum(n parts)", parts(sum)),
        Row("a tree of adds", parts(tree)),
        Row("split into n", VECTOR(lambda x: np.split(x, x.size))),
        Row("array_split into n", VECTOR(lambda x: np.array_split(x, x.size))),
        Row("hsplit into n", VECTOR(lambda x: np.hsplit(x, x.size))),
        Row("unstack into n", VECTOR(lambda x: np.unstack(x))),
        Row("list(t)", VECTOR(list)),
        Row("sum of t[i] * t[i]", VECTOR(picked)),
        Row("rows in turn, stacked", VECTOR(rows_in_turn)),
        Row("t[i] = x, n times", VECTOR(written)),
        Row("t[i] = f(t[i - 1])", VECTOR(written_over)),
        Row("a recurrent loop", VECTOR(scanned)),
        Row("where, n times", VECTOR(chained_where)),
        Row("concatenate(split)", VECTOR(lambda x: np.concatenate(np.split(x, x.size)))),
    ]
    return [replace(row, least=2048) for row in ways]


def appended(arrays: list[Array]) -> Array:
    """Append to each part, and sum."""
    total = arrays[0]
    for a in arrays[1:]:
        total = total + np.append(a, 1.0).sum()
    return total


def every_row() -> list[Row]:
    """All of them."""
    return [*numpys(), *layers(), *builders()]
