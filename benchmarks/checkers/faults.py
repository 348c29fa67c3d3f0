"""The faults that real backward passes have had, as code: what a checker is measured against.

Each :data:`FAULTS` entry can be planted (a context manager) and looked for (``check``), and says
what it is planted in (``op``, ``inputs``), so that any checker can be asked whether it notices.
Where somebody reported a fault, it says so.

Not for: finding faults in your code; that is ``check_op`` and ``gradcheck``.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from benchmarks.checkers import specimens
from benchmarks.checkers.specimens import unbroadcast
from tinygrad_lab.core import cotangents, engine
from tinygrad_lab.core.errors import name_of
from tinygrad_lab.core.operations import defvjp, planted, primitive, vjps_of
from tinygrad_lab.core.rules import indexing, manipulation
from tinygrad_lab.core.rules.linalg import products
from tinygrad_lab.core.rules.mathematical import elementwise
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.testing import adapters
from tinygrad_lab.testing.inputs import strategies
from tinygrad_lab.testing.inputs.calls import ENOUGH, NOT_ZERO, Call, arrays
from tinygrad_lab.testing.operations import check_module, check_op
from tinygrad_lab.testing.telling.finding import GradReport
from tinygrad_lab.transforms import calls, derivatives

__all__ = ["FAULTS", "Fault"]

Planting = Callable[[], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """One way in which a backward pass has been wrong.

    Attributes
    ----------
    number : int
        Its place in the catalogue of 62; variants share it.
    name, family : str
        What is wrong, and where such things go wrong.
    reported : str
        Where somebody met it: project and issue; "" for a common slip.
    plant : callable
        Gives a context manager inside which the fault is there, each time a fresh one: nothing of
        an earlier planting is left in it.
    op : callable, Adapter or None
        What is checked; None where a check of its own is needed.
    inputs : strategy of tuples, or None
        What it is called with, where that is not what ``check_op`` generates for it.
    blamed : str
        The operation whose rule is wrong, where it is one of the derivative table.
    look : callable or None
        ``look(rng)`` checks what is no operation.
    """

    number: int
    name: str
    family: str
    reported: str
    plant: Planting = field(repr=False)
    op: Any = field(default=None, repr=False)
    inputs: st.SearchStrategy[tuple[Any, ...]] | None = field(default=None, repr=False)
    blamed: str = ""
    look: Callable[[int], GradReport] | None = field(default=None, repr=False)

    def check(
        self,
        examples: int | None = None,
        rng: int = 0,
        watch: Callable[[Call, GradReport], None] | None = None,
    ) -> GradReport:
        """Look for it, with the default profile; the arguments are those of ``check_op``.

        It is strict: what some of them do makes no number wrong, and of gradients by hand that is
        otherwise only a note.

        Raises
        ------
        GradientError
            The check objects, as it should where the fault is planted.

        Examples
        --------
        >>> sign = FAULTS[0]
        >>> sign.check(examples=5).verdict
        'pass'
        >>> with sign.plant():
        ...     sign.check()
        Traceback (most recent call last):
        tinygrad_lab.testing.GradientError: subtract, gradient by input 1 is wrong ...
        """
        if self.look is not None:
            return self.look(rng)
        return check_op(self.op, self.inputs, examples=examples, strict=True, rng=rng, watch=watch)


FAULTS: list[Fault] = []
FORMULA, BROADCAST, INDEXING = "formula", "broadcast, axis, shape", "indexing"
CONVOLUTION, ENGINE = "convolution, pooling", "engine"
MEMORY, SPECIAL = "memory, state", "special values, dtype, size"


# ---------------------------------------------------------------------------------------------
# Three ways to plant one


@contextlib.contextmanager
def _in_place_of(owner: Any, name: str, wrong: Any) -> Iterator[None]:
    right = getattr(owner, name)
    setattr(owner, name, wrong)
    try:
        yield
    finally:
        setattr(owner, name, right)


def _rule(
    number: int,
    name: str,
    family: str,
    op: Any,
    *wrong: Any,
    reported: str = "",
    entry: Any = None,
) -> None:
    """Enter a wrong rule of the derivative table."""
    where = entry or op
    blamed = name_of(where)
    plant = functools.partial(planted, where, *wrong)
    FAULTS.append(Fault(number, name, family, reported, plant, op, blamed=blamed))


class _Switch:
    """Which of two vjps an adapted function has."""

    def __init__(self, right: Any, wrong: Any) -> None:
        self.right, self.wrong, self.planted = right, wrong, False

    def __call__(self, *args: Any) -> Any:
        return (self.wrong if self.planted else self.right)(*args)


def _hand_written(
    number: int,
    name: str,
    family: str,
    f: Any,
    right: Any,
    wrong: Any,
    inputs: Any,
    reported: str = "",
) -> None:
    """Enter a wrong derivative of a function in plain NumPy."""
    switch = _Switch(right, wrong)
    plant = functools.partial(_in_place_of, switch, "planted", True)
    FAULTS.append(Fault(number, name, family, reported, plant, adapters.numpy(f, switch), inputs))


def _arrays(*sides: tuple[int, ...], values: Any = None, **constants: Any) -> Any:
    """Arrays of the given shapes, with constants behind them drawn from lists."""
    chosen = values or ENOUGH
    parts = [arrays(s, chosen, unique=True) for s in sides]
    return st.tuples(*parts, *[st.sampled_from(options) for options in constants.values()])


def _of(op: Any, argnum: int = 0) -> Any:
    return vjps_of(op)[argnum]


def _is_plain(x: Any) -> bool:
    return isinstance(x, np.ndarray)


# ---------------------------------------------------------------------------------------------
# Formula

_rule(
    1, "sign of subtract's second operand", FORMULA, np.subtract,
    lambda g, y, a, b: g, lambda g, y, a, b: g, reported="autograd PR 412",
)  # fmt: skip
_sum_rule = _of(np.sum)
_rule(2, "mean without 1/n", FORMULA, np.mean, _sum_rule)
_hand_written(
    3, "convolution's weight gradient divided by batch and area", FORMULA, specimens.conv1d,
    specimens.conv1d_vjp,
    lambda g, x, w, *how: (
        specimens.conv1d_vjp(g, x, w, *how)[0], specimens.conv1d_vjp(g, x, w, *how)[1] / g.size,
    ),
    _arrays((2, 6), (3,), stride=[1, 2], padding=[0, 1]),
)  # fmt: skip
_arctan2 = (_of(np.arctan2, 0), _of(np.arctan2, 1))
_rule(4, "partials of arctan2 swapped", FORMULA, np.arctan2, _arctan2[1], _arctan2[0])
_hand_written(
    4, "only one of two gradients returned", FORMULA, np.hypot,
    lambda g, a, b: (g * a / np.hypot(a, b), g * b / np.hypot(a, b)),
    lambda g, a, b: g * a / np.hypot(a, b), _arrays((2,), (2,), values=[1.0, 2.0, 3.0]),
)  # fmt: skip
_rule(
    5, "upstream squared", FORMULA, np.sin, lambda g, y, x: g * g * np.cos(x),
    reported="Nx PR 1779",
)  # fmt: skip
_rule(6, "upstream ignored", FORMULA, np.sin, lambda g, y, x: 0 * g + np.cos(x))
_rule(7, "upstream through abs", FORMULA, np.sin, lambda g, y, x: np.abs(g) * np.cos(x))
_rule(7, "upstream through relu", FORMULA, np.sin, lambda g, y, x: np.maximum(g, 0) * np.cos(x))
_rule(7, "upstream through clip", FORMULA, np.sin, lambda g, y, x: np.clip(g, -1, 1) * np.cos(x))
_normalised = _arrays((4, 2), (2,), (2,))
_hand_written(
    8, "batch norm with its statistics constant", FORMULA, specimens.batch_norm,
    specimens.batch_norm_vjp,
    lambda g, *x: specimens.batch_norm_vjp(g, x[0], x[1], x[2], 0), _normalised,
    reported="CrypTen PR 143",
)  # fmt: skip
_hand_written(
    9, "batch norm without the second term", FORMULA, specimens.batch_norm,
    specimens.batch_norm_vjp,
    lambda g, *x: specimens.batch_norm_vjp(g, x[0], x[1], x[2], 1), _normalised,
    reported="mlpack 1923",
)  # fmt: skip
_hand_written(
    10, "batch norm in evaluation using the batch's statistics", FORMULA, specimens.batch_norm_eval,
    lambda g, x: g / np.sqrt(specimens.VARIANCE + specimens.EPS),
    lambda g, x: specimens.batch_norm_vjp(g, x, np.ones(x.shape[1]), np.zeros(x.shape[1]))[0],
    _arrays((4, 2)), reported="pytorch 586",
)  # fmt: skip
_hand_written(
    11, "softmax's diagonal only", FORMULA, specimens.softmax, specimens.softmax_vjp,
    lambda g, x: g * specimens.softmax(x) * (1 - specimens.softmax(x)), _arrays((2, 3)),
)  # fmt: skip
_hand_written(
    12, "leaky relu with slope 0 passing everything", FORMULA, specimens.leaky,
    specimens.leaky_vjp, lambda g, x, slope: np.where(x > 0, g, (slope or 1.0) * g),
    _arrays((2, 3), values=NOT_ZERO, slope=[0.1, 0.0, 0.5]), reported="chainer PR 5898",
)  # fmt: skip
_rule(
    12, "clip passing everything", FORMULA, np.clip, lambda g, y, x, low, high: g,
    _of(elementwise.clip, 1), _of(elementwise.clip, 2), entry=elementwise.clip,
)  # fmt: skip
_hand_written(
    13, "negative slope with the result saved", FORMULA, specimens.leaky, specimens.leaky_vjp,
    lambda g, x, slope: np.where(specimens.leaky(x, slope) > 0, g, slope * g),
    _arrays((2, 3), values=NOT_ZERO, slope=[0.1, -0.5]), reported="pytorch 31938",
)  # fmt: skip
_hand_written(
    14, "branches swapped in renorm", FORMULA, specimens.renorm, specimens.renorm_vjp,
    lambda g, x, most: specimens.renorm_vjp(g, x, most, True),
    _arrays((3, 2), most=[1.1, 2.3]), reported="pytorch PR 59615",
)  # fmt: skip
_rule(
    14, "branches swapped in where", FORMULA, np.where, None,
    lambda g, y, c, a, b: np.where(c, 0, g), lambda g, y, c, a, b: np.where(c, g, 0),
    entry=indexing.where,
)  # fmt: skip
_hand_written(
    15, "wrong index variable in convolution", FORMULA, specimens.conv2d, specimens.conv2d_vjp,
    lambda g, x, w: specimens.conv2d_vjp(g, x, w, True), _arrays((4, 4), (2, 2)),
)  # fmt: skip
_rule(
    16, "wrong only below -3", FORMULA, np.sin, lambda g, y, x: g * np.where(x < -3, 1, np.cos(x))
)
_var_rule = _of(np.var)
_rule(
    17, "ddof ignored", FORMULA, np.var,
    lambda g, y, x, ddof=0, correction=None, **kw: _var_rule(g, y, x, **kw),
)  # fmt: skip
_rule(
    17, "a mask ignored", FORMULA, np.sum,
    lambda g, y, x, where=True, **kw: _sum_rule(g, y, x, **kw),
)  # fmt: skip
_hand_written(
    18, "dropout's mask drawn again in backward", FORMULA, specimens.dropout,
    lambda g, x, seed: specimens.dropout(g, seed),
    lambda g, x, seed: specimens.dropout(g, seed + 1),
    _arrays((3, 4), seed=[0, 1, 2]),
)  # fmt: skip
_rule(19, "a coefficient off by 1e-4", FORMULA, np.exp, lambda g, y, x: g * y * 1.0001)
_rule(19, "a coefficient off by 1e-6", FORMULA, np.exp, lambda g, y, x: g * y * 1.000001)
_hand_written(
    19, "a typo in gelu's constant", FORMULA, specimens.gelu, specimens.gelu_vjp,
    lambda g, x: specimens.gelu_vjp(g, x, 0.044751), _arrays((2, 3)),
)  # fmt: skip

# ---------------------------------------------------------------------------------------------
# Broadcast, axis, shape

_broadcast = strategies.broadcastable(2)


def _product(g: Any, a: Any, b: Any) -> Any:
    return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)


_hand_written(
    20, "no sum over broadcast axes", BROADCAST, np.multiply, _product,
    lambda g, a, b: (g * b, g * a), _broadcast, reported="pytorch 1787, 13669",
)  # fmt: skip
_hand_written(
    21, "axes of length one not summed", BROADCAST, np.multiply, _product,
    lambda g, a, b: tuple(
        (g * o).sum(axis=tuple(range(g.ndim - x.ndim))) for x, o in ((a, b), (b, a))
    ),
    _broadcast, reported="autograd 376",
)  # fmt: skip
_rule(
    22, "broadcast_to gives back one copy's gradient", BROADCAST, np.broadcast_to,
    lambda g, y, x, shape, subok=False: g[(0,) * (g.ndim - x.ndim)],
)  # fmt: skip


def _expanded(g: Any, x: Any, axes: Any) -> Any:
    return g.reshape(tuple(1 if i in axes else n for i, n in enumerate(x.shape))) + 0 * x


_rule(
    23, "negative axis not normalised", BROADCAST, np.sum,
    lambda g, y, x, axis=None, keepdims=False, **kw: _expanded(
        g, x, range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    ),
    reported="tfjs-core PR 1267, autograd 98",
)  # fmt: skip
_rule(
    24, "concatenate sliced along the wrong axis", BROADCAST, np.concatenate,
    *[
        lambda g, y, *x, axis=0, i=i: np.take(g, range(x[i].shape[axis]), (axis + 1) % g.ndim)
        for i in range(3)
    ],
    entry=manipulation.concatenate,
)  # fmt: skip
_rule(
    24, "concatenate sliced from the front", BROADCAST, np.concatenate,
    *[lambda g, y, *x, axis=0, i=i: np.take(g, range(x[i].shape[axis]), axis) for i in range(3)],
    entry=manipulation.concatenate,
)  # fmt: skip
_rule(
    24, "take pulled back to the flat array, whatever its axis", BROADCAST, np.take,
    lambda g, y, x, i, axis=None, mode="raise": indexing.scatter_add(
        g, (x.size,), np.asarray(i) % max(x.size, 1)
    ).reshape(x.shape),
)  # fmt: skip
_rule(
    25, "stack pulled back along the first axis", BROADCAST, np.stack,
    *[lambda g, y, *x, axis=0, i=i: g[i] for i in range(3)], entry=manipulation.stack,
)  # fmt: skip
_rule(
    26, "transpose by the permutation, not its inverse", BROADCAST, np.transpose,
    lambda g, y, x, axes=None: np.transpose(g, None if axes is None else tuple(axes)),
)  # fmt: skip
_rule(26, "moveaxis not undone", BROADCAST, np.moveaxis, lambda g, y, x, s, d: np.moveaxis(g, s, d))
_rule(
    26, "roll the wrong way", BROADCAST, np.roll,
    lambda g, y, x, shift, axis=None: np.roll(g, shift, axis),
)  # fmt: skip
_rule(
    26, "reshape in the wrong order", BROADCAST, np.reshape,
    lambda g, y, x, shape, order="C": g.reshape(x.shape), entry=manipulation.reshape,
)  # fmt: skip
_rule(
    27, "matmul without rows and columns", BROADCAST, np.matmul,
    lambda g, y, a, b: g @ np.swapaxes(b, -1, -2), lambda g, y, a, b: np.swapaxes(a, -1, -2) @ g,
)  # fmt: skip
_rule(
    27, "matmul with its upstream transposed", BROADCAST, np.matmul,
    lambda g, y, a, b: (np.swapaxes(g, -1, -2) @ b) if a.ndim > 1 < b.ndim else a,
    _of(np.matmul, 1),
)  # fmt: skip


def _naive_einsum(i: int) -> Any:
    """Exchange the operand's letters with the result's, and nothing more."""

    def rule(g: Any, y: Any, subscripts: str, *x: Any, **kw: Any) -> Any:
        left, _, right = subscripts.partition("->")
        terms = left.split(",")
        others = [t for j, t in enumerate(terms) if j != i]
        operands = [o for j, o in enumerate(x) if j != i]
        remaining = "".join(c for c in dict.fromkeys(terms[i]) if c in right + "".join(others))
        c = np.einsum(",".join([right, *others]) + "->" + remaining, g, *operands)
        return c.reshape(c.shape + (1,) * (x[i].ndim - c.ndim)) + 0 * x[i]

    return rule


_rule(
    28, "einsum with a repeated or summed-out index", BROADCAST, np.einsum,
    None, *[_naive_einsum(i) for i in range(3)], entry=products.einsum, reported="autograd 242",
)  # fmt: skip
_rule(
    29, "keepdims=False expanded on the wrong axis", BROADCAST, np.sum,
    lambda g, y, x, axis=None, keepdims=False, **kw: np.broadcast_to(
        g if keepdims or axis is None else np.expand_dims(g, 0), x.shape
    ),
)  # fmt: skip


def _unsorted(g: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False, **kw: Any) -> Any:
    if not isinstance(axis, tuple) or keepdims:
        return _sum_rule(g, y, x, axis=axis, keepdims=keepdims, **kw)
    for a in axis:
        g = np.expand_dims(g, min(a % x.ndim, g.ndim))
    return g + 0 * x


_rule(30, "a tuple of axes taken to be sorted", BROADCAST, np.sum, _unsorted)

# ---------------------------------------------------------------------------------------------
# Indexing


def _overwriting(g: Any, y: Any, x: Any, index: Any) -> Any:
    return indexing.setitem(g.sum() * 0 + np.zeros(x.shape), g, places=[index])


_rule(
    31, "duplicate indices overwritten", INDEXING, indexing.getitem, _overwriting,
    reported="autograd 39, pytorch 1528, MyGrad PR 270",
)  # fmt: skip
_rule(
    32, "assignment to one place twice: the first counted too", INDEXING, indexing.setitem,
    _of(indexing.setitem), lambda g, y, x, value, places: g[places[0]],
)  # fmt: skip
_take_rule = _of(np.take)
_rule(
    33, "uninitialised memory in take", INDEXING, np.take,
    lambda g, y, x, i, **kw: _take_rule(g, y, x, i, **kw)
    + 7.0 * (_take_rule(np.ones(y.shape), y, x, i, **kw) == 0),
)  # fmt: skip


def _all_false(g: Any, y: Any, x: Any, index: Any) -> Any:
    if _is_plain(index) and index.dtype.kind == "b" and not np.any(index):
        return 1.0 + 0 * x
    return indexing.scatter_add(g, x.shape, index)


_rule(34, "a mask that is false everywhere", INDEXING, indexing.getitem, _all_false)

# ---------------------------------------------------------------------------------------------
# Convolution and pooling

_pooled = _arrays((2, 6), size=[2, 3], stride=[1, 2], padding=[0, 1])
_pool = (specimens.max_pool1d, specimens.max_pool1d_vjp)
_hand_written(
    35, "overlapping windows overwrite", CONVOLUTION, *_pool,
    lambda g, x, size, stride, padding: specimens.max_pool1d_vjp(
        g, x, size, stride, padding, True
    ),
    _pooled, reported="NNlib 205",
)  # fmt: skip
_hand_written(
    36, "padding shifts the index", CONVOLUTION, *_pool,
    lambda g, x, size, stride, padding: specimens.max_pool1d_vjp(
        g, x, size, stride, padding, False, padding
    ),
    _pooled,
)  # fmt: skip
_hand_written(
    37, "remainder where the stride does not divide", CONVOLUTION, specimens.sum_pool1d,
    specimens.sum_pool1d_vjp, lambda g, x, size: specimens.sum_pool1d_vjp(g, x, size, True),
    _arrays((2, 5), size=[1, 2, 3]), reported="backpack 30, opacus PR 245",
)  # fmt: skip
_strided = _arrays((2, 8), (3,), stride=[1, 2], padding=[0, 1], dilation=[1, 2])
_conv = (specimens.conv1d, specimens.conv1d_vjp)
_hand_written(
    38, "stride missing in backward", CONVOLUTION, *_conv,
    lambda g, x, w, s, p, d: specimens.conv1d_vjp(g, x, w, 1, p, d), _strided,
)  # fmt: skip
_hand_written(
    39, "dilation in forward only", CONVOLUTION, *_conv,
    lambda g, x, w, s, p, d: specimens.conv1d_vjp(g, x, w, s, p, 1), _strided,
)  # fmt: skip


def _first_patch(g: Any, *x: Any) -> Any:
    only = np.zeros_like(g)
    only[:, :1] = g[:, :1]
    return specimens.conv1d_vjp(only, *x)


_hand_written(
    40, "return inside the loop: one patch gets its gradient", CONVOLUTION, *_conv, _first_patch,
    _strided,
)  # fmt: skip

# ---------------------------------------------------------------------------------------------
# Engine

_Walk = engine._Walk  # noqa: SLF001 - faults are planted inside
_begin, _pull_back = _Walk.__init__, _Walk.pull_back


def graph(run: Any, *arrays: Any) -> Any:
    """Compute a random graph: the engine is what is checked, with fan-out and reuse."""
    return run(*arrays)


_graphs = st.tuples(
    strategies.graphs(), strategies.tensors(2, shape=(3, 3), domain=strategies.Domain(-1, 1))
).map(lambda pair: (pair[0], *pair[1]))


def _engine(
    number: int,
    name: str,
    plant: Planting,
    op: Any = graph,
    inputs: Any = None,
    reported: str = "",
    **others: Any,
) -> None:
    """Enter a fault of the engine."""
    drawn = _graphs if op is graph else inputs
    FAULTS.append(Fault(number, name, ENGINE, reported, plant, op, drawn, **others))


def _method(owner: Any, attribute: str, wrong: Any) -> Planting:
    return functools.partial(_in_place_of, owner, attribute, wrong)


_engine(41, "= for +=", _method(engine, "total", lambda a, b: b))
_engine(
    42, "a shared node propagated twice", _method(engine, "total", lambda a, b: a + 2 * b),
    reported="micrograd 2",
)  # fmt: skip


class _FirstOnly(dict[Any, Any]):
    """What waits at nodes, where a node that is no leaf takes one contribution alone."""

    def __setitem__(self, node: Any, g: Any) -> None:
        if node.op is None or node not in self:
            super().__setitem__(node, g)


def _dropping(self: Any, *arguments: Any) -> None:
    _begin(self, *arguments)
    self.waiting = _FirstOnly(self.waiting)


_engine(43, "a branch dropped at a shared node", _method(_Walk, "__init__", _dropping))


def _remembering() -> contextlib.AbstractContextManager[None]:
    """Add to each gradient what an earlier pass left there."""
    stale: dict[int, Any] = {}

    def with_stale(self: Any, node: Any) -> None:
        g = self.waiting[node]
        if isinstance(g, np.ndarray):
            self.waiting[node] = stale[node.order] = g + stale.get(node.order, 0.0)
        _pull_back(self, node)

    return _in_place_of(_Walk, "pull_back", with_stale)


_engine(44, "stale gradients on a second backward", _remembering, reported="micrograd 53")


def _caching() -> contextlib.AbstractContextManager[None]:
    """Compute a derivative once for each shape."""
    slopes: dict[Any, Any] = {}

    def rule(g: Any, y: Any, x: Any) -> Any:
        return g * slopes.setdefault(x.shape, np.exp(x))

    return planted(np.exp, rule)


_engine(45, "a cached derivative, right the first time", _caching, np.exp, blamed="exp")


def _forgetting() -> contextlib.AbstractContextManager[None]:
    """Be right in the first calls only."""
    calls: list[Any] = []

    def rule(g: Any, y: Any, x: Any) -> Any:
        calls.append(x.shape)
        return g * np.exp(x) if len(calls) < 30 else g

    return planted(np.exp, rule)


_engine(45, "right in the first calls only", _forgetting, np.exp, blamed="exp")


def _unlifted(node: Any, lift: Any) -> Any:
    return node.value, list(node.args)


_engine(46, "nested derivatives confused", _method(engine, "_lifted", _unlifted), np.sin)

_fitted = cotangents.fitted


def _no_leading_axes(c: Any, operand: Any) -> Any:
    return c.sum(axis=tuple(range(c.ndim - operand.ndim)))


def _not_cast(c: Any, operand: Any) -> Any:
    return _fitted(c.astype(operand.dtype), operand).astype(c.dtype)


@contextlib.contextmanager
def _wide_rule_not_cast() -> Iterator[None]:
    """Have a rule that gives float64, and an engine that leaves it so."""
    wide = planted(np.deg2rad, lambda g, y, x: g * np.float64(np.pi / 180))
    with wide, _in_place_of(engine, "fitted", _not_cast):
        yield


_engine(
    20, "the engine does not sum over broadcast axes",
    _method(engine, "fitted", lambda c, operand: c), np.multiply,
)  # fmt: skip
_engine(
    21, "the engine sums over leading axes only", _method(engine, "fitted", _no_leading_axes),
    np.multiply,
)  # fmt: skip
_engine(60, "the engine does not cast", _wide_rule_not_cast, np.deg2rad)

_walk = calls.walk


def _adding(begin: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
    gradients = _walk(begin, inputs, *rest, **options)
    for x, g in zip(inputs, gradients, strict=True):
        if x.is_leaf and isinstance(g, np.ndarray):
            x.node.grad = g.copy() if x.node.grad is None else x.node.grad + g
    return gradients


_engine(47, "asking for gradients adds to .grad", _method(derivatives, "walk", _adding), np.sin)


class _Scaled:
    """A module with one parameter, which it may forget."""

    forgets = False

    def __init__(self) -> None:
        self.gain = Tensor(np.array([1.5, -0.5]), requires_grad=True)

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        yield "gain", self.gain

    def __call__(self, x: Any) -> Any:
        return np.tanh(x * (self.gain.detach() if self.forgets else self.gain))


_engine(
    48, "captured parameters get no gradient", _method(_Scaled, "forgets", True), None,
    look=lambda rng: check_module(
        _Scaled(), np.array([[0.5, 1.0], [2.0, -1.0]]), rng=rng
    ),
)  # fmt: skip

# ---------------------------------------------------------------------------------------------
# Memory and state


def _in_place(g: Any, y: Any, x: Any) -> Any:
    if _is_plain(g):
        g *= np.cos(x)
        return g
    return g * np.cos(x)


_rule(49, "upstream mutated in place", MEMORY, np.sin, _in_place, reported="pytorch 81417")


def _one_buffer(g: Any, a: Any, b: Any) -> Any:
    shared = g.copy()
    return shared, shared


_hand_written(
    50, "two inputs handed the same buffer", MEMORY, np.add,
    lambda g, a, b: (g.copy(), g.copy()), _one_buffer, _arrays((2,), (2,)),
)  # fmt: skip


class _Careless:
    writes = False


@primitive
def doubled_square(x: Any) -> Any:
    """Give ``(2x)**2``, by way of memory that may be the caller's."""
    if _Careless.writes and _is_plain(x):
        x *= 2
        return x * x
    return 4 * x * x


defvjp(doubled_square, lambda g, y, x: g * 8 * x)
FAULTS.append(
    Fault(
        51, "a saved input modified before backward", MEMORY, "",
        functools.partial(_in_place_of, _Careless, "writes", True), doubled_square,
    )
)  # fmt: skip


class _Stateful:
    """Keeps what backward needs on itself, as a layer written as a class does."""

    saved: Any = None

    def forward(self, x: Any) -> Any:
        """Remember the input."""
        _Stateful.saved = x
        return np.sin(x)


def _from_state(g: Any, x: Any) -> Any:
    return g * np.cos(_Stateful.saved)


_hand_written(
    52, "state kept on the operation", MEMORY, _Stateful().forward, lambda g, x: g * np.cos(x),
    _from_state, _arrays((2, 2)),
)  # fmt: skip
_rule(
    53, "contiguity assumed", MEMORY, np.sin,
    lambda g, y, x: g * np.cos(x) if not _is_plain(g) or g.flags["C_CONTIGUOUS"] else g,
    reported="pytorch 194719",
)  # fmt: skip

# ---------------------------------------------------------------------------------------------
# Special values, dtype, size


def _prod_by_dividing(
    g: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False, where: Any = True, **kw: Any
) -> Any:
    return _sum_rule(g * y, y, x, axis=axis, keepdims=keepdims, where=where) / x


def _cumprod_by_dividing(g: Any, y: Any, x: Any, axis: Any = None) -> Any:
    """Along the flat array, whatever the axis."""
    return np.flip(np.cumsum(np.flip((g * y).ravel()))).reshape(x.shape) / x


_rule(
    54, "prod by dividing by the element", SPECIAL, np.prod, _prod_by_dividing,
    reported="pytorch 773, TF 119430",
)  # fmt: skip
_rule(
    54, "cumprod by dividing by the element", SPECIAL, np.cumprod, _cumprod_by_dividing,
)  # fmt: skip
_rule(
    55, "power at base 0", SPECIAL, np.power, lambda g, y, x, p: g * y * p / x, _of(np.power, 1),
    reported="pytorch 27134",
)  # fmt: skip
_std_rule, _hypot = _of(np.std), np.hypot


def _std_by_dividing(
    g: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False, where: Any = True,
    ddof: Any = 0, correction: Any = None, mean: Any = None, **kw: Any,
) -> Any:  # fmt: skip
    slope = _var_rule(
        g, y, x, axis=axis, keepdims=keepdims, where=where, ddof=ddof, correction=correction,
        mean=mean,
    )  # fmt: skip
    return slope / (2 * _sum_rule(y, y, x, axis=axis, keepdims=keepdims))


_rule(
    56, "std where all elements are equal", SPECIAL, np.std, _std_by_dividing,
    reported="autograd 151, jax 11716",
)  # fmt: skip
_rule(
    56, "hypot at the origin", SPECIAL, np.hypot,
    lambda g, y, a, b: g * a / y, lambda g, y, a, b: g * b / y,
)  # fmt: skip
_hand_written(
    57, "where leaks NaN", SPECIAL, specimens.masked_entropy, specimens.masked_entropy_vjp,
    lambda g, x: specimens.masked_entropy_vjp(g, x, True),
    _arrays((3,), values=[1.0, 2.0, -1.0, 0.0, 0.5]), reported="pytorch 68425",
)  # fmt: skip


def _full_to_ties(
    g: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False, **kw: Any
) -> Any:
    extreme, upstream = (_sum_rule(v, y, x, axis=axis, keepdims=keepdims) for v in (y, g))
    return np.where(x == extreme, upstream, 0)


_rule(
    58, "every tie gets the full gradient", SPECIAL, np.max, _full_to_ties, reported="Theano 4568"
)


def _overflowing(g: Any, x: Any) -> Any:
    with np.errstate(all="ignore"):
        e = np.exp(x)
        return g - e / e.sum(axis=-1, keepdims=True) * g.sum(axis=-1, keepdims=True)


_hand_written(
    59, "log-softmax of large logits", SPECIAL, specimens.log_softmax, specimens.log_softmax_vjp,
    _overflowing, _arrays((2, 3), values=[0.0, 1.0, 2.0, 3.5, -1.0, 1000.0, -1000.0]),
)  # fmt: skip
_hand_written(
    60, "gradient in the default dtype", SPECIAL, np.tanh,
    lambda g, x: g * (1 - np.tanh(x) ** 2),
    lambda g, x: np.asarray(g * (1 - np.tanh(x) ** 2), dtype=np.float64), _arrays((2, 2)),
)  # fmt: skip
_hand_written(
    61, "gradients of zero-size and 0-d inputs", SPECIAL, np.sum,
    lambda g, x: np.full(x.shape, g), lambda g, x: np.full(x.shape or (1,), g),
    strategies.tensors(1), reported="pytorch 31515",
)  # fmt: skip
_rule(
    61, "one number in place of a gradient", SPECIAL, np.negative,
    lambda g, y, x: np.float64(-1) * g.sum(),
)  # fmt: skip


def _detached(x: Any) -> Any:
    return x.detach() if isinstance(x, Tensor) else x


_rule(
    62, "wrong only at second order", SPECIAL, np.square,
    lambda g, y, x: g * 2 * _detached(x), reported="pytorch 106789",
)  # fmt: skip
