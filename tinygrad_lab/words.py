"""PyTorch's words whose meaning NumPy has another word for: each is a line of NumPy.

``t.unsqueeze(1)`` is ``np.expand_dims(t, 1)``, and ``tl.zeros(2, 3)`` a tensor of ``np.zeros``.
The tables are all there is: the methods, the functions and the page of the documentation are made
of them.  Everything ends in NumPy's functions, and so goes where they go: derivatives of any
order, ``vmap``, ``jit``.

Not for: names that are NumPy's too, which are NumPy's own functions; arguments' names
(``core/keywords.py``); or words that would mean something else here, which are refused
(``habits.py``).
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core.arguments import on_cpu
from tinygrad_lab.core.callers import is_dropped
from tinygrad_lab.core.keywords import FUNCTIONS, in_numpys_words
from tinygrad_lab.core.levels import drawing
from tinygrad_lab.core.modes import no_grad
from tinygrad_lab.core.ownership import is_for_the_call
from tinygrad_lab.core.tensor import Tensor, become, flatten

__all__ = ["IN_PLACE", "METHODS", "PACKAGE", "TENSOR", "Sorted", "expressions", "teach"]

Shape = Any  # lengths, or one tuple of them
Rng: TypeAlias = "int | np.random.Generator | None"  # np.random is loaded when it is used


class Sorted(NamedTuple):
    """What has an order, and the places where it was: as PyTorch's ``sort`` and ``topk`` give."""

    values: Any
    indices: Any


def _lengths(shape: Sequence[Any]) -> tuple[int, ...]:
    """Take lengths one by one, or all in one tuple."""
    return tuple(shape[0]) if len(shape) == 1 and np.ndim(shape[0]) else tuple(shape)


def _cast(t: Any, dtype: npt.DTypeLike) -> Any:
    """``t.astype(dtype)``, a tensor for integers too."""
    array = t.astype(dtype, copy=False) if t.dtype != dtype else t
    return array if isinstance(array, Tensor) or not isinstance(t, Tensor) else Tensor(array)


def _to(t: Any, *args: Any, dtype: Any = None, device: Any = None, **_implementation: Any) -> Any:
    """``t.astype(dtype)``; of another tensor its dtype; there is one device, ``"cpu"``."""
    for arg in args:
        if isinstance(arg, str):
            device = arg
        elif not isinstance(arg, bool):
            dtype = getattr(arg, "dtype", arg) if not isinstance(arg, type) else arg
    on_cpu(device)
    return t if dtype is None else _cast(t, dtype)


def _expand(t: Any, *sizes: Any) -> Any:
    """``np.broadcast_to(t, sizes)``; -1 is a length as it is."""
    sizes = _lengths(sizes)
    own = (1,) * (len(sizes) - t.ndim) + t.shape
    return np.broadcast_to(t, tuple(n if m == -1 else m for m, n in zip(sizes, own, strict=True)))


def _unflatten(t: Any, dim: int, sizes: Sequence[int]) -> Any:
    """``t.reshape(shape)``, the lengths of one axis in place of its own."""
    dim %= t.ndim
    return t.reshape(*t.shape[:dim], *sizes, *t.shape[dim + 1 :])


def _transpose(t: Any, *axes: Any) -> Any:
    """``np.swapaxes(t, dim0, dim1)`` of two numbers, else ``np.transpose(t, axes)``."""
    return np.swapaxes(t, *axes) if len(axes) == 2 else np.transpose(t, *axes)


def _divide(t: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """``t / other``; with ``rounding_mode`` ``np.trunc`` or ``np.floor`` of it."""
    if rounding_mode is None:
        return t / other
    rounded = _like(t, {"trunc": np.trunc, "floor": np.floor}[rounding_mode](t / other))
    return _cast(rounded, np.result_type(t.dtype, getattr(other, "dtype", other)))


def _cut(t: Any, lengths: Sequence[int], dim: int) -> tuple[Any, ...]:
    """``np.split(t, np.cumsum(lengths)[:-1], dim)``."""
    if sum(lengths) != t.shape[dim]:
        raise ValueError(
            f"split({list(lengths)}): the lengths add up to {sum(lengths)}, and axis {dim} of "
            f"shape {t.shape} has {t.shape[dim]}"
        )
    return tuple(np.split(t, np.cumsum(lengths)[:-1], dim))


def _split(t: Any, split_size_or_sections: int | Sequence[int], dim: int = 0) -> Any:
    """``np.split(t, places, dim)``, told by lengths: of each part, or of all but the last."""
    size, whole = split_size_or_sections, t.shape[dim]
    if not isinstance(size, int):
        return _cut(t, size, dim)
    if size < 1:
        raise ValueError(f"split({size}): the length of a part is 1 or more")
    return _cut(t, [min(size, whole - at) for at in range(0, whole, size)] or [0], dim)


def _chunk(t: Any, chunks: int, dim: int = 0) -> Any:
    """``np.split(t, places, dim)``: at most so many parts, of one length but for the last."""
    return _split(t, max(1, -(-t.shape[dim] // chunks)), dim)


def _gather(t: Any, dim: int, index: Any) -> Any:
    """``np.take_along_axis(t, index, dim)``, of the part of ``t`` that is as long as ``index``."""
    index = index.data if isinstance(index, Tensor) else index
    dim %= t.ndim
    part = tuple(slice(None) if axis == dim else slice(n) for axis, n in enumerate(index.shape))
    return np.take_along_axis(t[part], index, dim)


def _sort(t: Any, dim: int = -1, descending: Any = False, **stable: bool) -> Sorted:
    """``np.sort(t, dim)`` and ``np.argsort(t, dim)``."""
    is_numpys = not isinstance(descending, bool) or stable.keys() - {"stable"}
    if is_numpys or is_dropped(sys._getframe(1)):  # noqa: SLF001 - as callers.py says
        raise TypeError(
            "t.sort(dim, descending=False) gives the sorted values and their places, as PyTorch's, "
            "and leaves t as it is: say t = np.sort(t, axis) for NumPy's"
        )
    return _sorted(t, dim, descending)


def _sorted(t: Any, dim: int, descending: bool) -> Sorted:
    plain = t.data if isinstance(t, Tensor) else t
    if descending:  # ties in their order, as PyTorch's are where that is asked for
        places = np.flip(np.argsort(np.flip(plain, dim), dim, kind="stable"), dim)
        places = plain.shape[dim] - 1 - places
    else:
        places = np.argsort(plain, dim, kind="stable")
    return Sorted(np.take_along_axis(t, places, dim), _like(t, places))


def _topk(t: Any, k: int, dim: int = -1, largest: bool = True, **_sorted_too: bool) -> Sorted:
    """The first k of ``t.sort(dim, descending=largest)``, values and places."""
    if not 0 <= k <= t.shape[dim]:
        raise ValueError(f"topk(k={k}): axis {dim} of shape {t.shape} has {t.shape[dim]} elements")
    values, places = _sorted(t, dim, largest)
    part = (*[slice(None)] * (dim % t.ndim), slice(k))
    return Sorted(values[part], places[part])


def _like(t: Any, value: Any) -> Any:
    """Make a tensor where ``t`` is one."""
    return Tensor(value) if isinstance(t, Tensor) else value


def _norm(t: Any, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
    """``np.linalg.vector_norm(t, axis=dim, ord=p)``, of all elements by default."""
    p = 2 if p in ("fro", None) else p
    dim = tuple(dim) if isinstance(dim, list) else dim
    return np.linalg.vector_norm(t, axis=dim, keepdims=keepdim, ord=p)


#: Methods of tensors, which are functions of the package too.
TENSOR: dict[str, Callable[..., Any]] = {
    # shapes and axes
    "view": lambda t, *shape: t.reshape(*shape),
    "view_as": lambda t, other: t.reshape(other.shape),
    "reshape_as": lambda t, other: t.reshape(other.shape),
    "flatten": flatten,
    "unflatten": _unflatten,
    "unsqueeze": lambda t, dim: np.expand_dims(t, dim),
    "permute": lambda t, *dims: np.transpose(t, _lengths(dims)),
    "movedim": lambda t, source, destination: np.moveaxis(t, source, destination),
    "t": lambda t: t.T,
    "expand": _expand,
    "expand_as": lambda t, other: np.broadcast_to(t, other.shape),
    "tile": lambda t, *dims: np.tile(t, _lengths(dims)),
    "repeat_interleave": lambda t, repeats, dim=None: np.repeat(t, repeats, dim),
    "flip": lambda t, *dims: np.flip(t, _lengths(dims)),
    "roll": lambda t, shifts, dims=None: np.roll(t, shifts, dims),
    "numel": lambda t: int(t.size),
    "nelement": lambda t: int(t.size),
    "dim": lambda t: t.ndim,
    "ndimension": lambda t: t.ndim,
    "element_size": lambda t: t.itemsize,
    "contiguous": lambda t: t,
    # types and places
    "to": _to,
    "type": lambda t, dtype: _cast(t, dtype),
    "type_as": lambda t, other: _cast(t, other.dtype),
    "float": lambda t: _cast(t, np.float32),
    "double": lambda t: _cast(t, np.float64),
    "half": lambda t: _cast(t, np.float16),
    "long": lambda t: _cast(t, np.int64),
    "int": lambda t: _cast(t, np.int32),
    "short": lambda t: _cast(t, np.int16),
    "byte": lambda t: _cast(t, np.uint8),
    "bool": lambda t: _cast(t, np.bool_),
    "cpu": lambda t: t,
    "clone": lambda t: np.copy(t),
    # arithmetic
    "add": lambda t, other, *, alpha=1: t + alpha * other if alpha != 1 else t + other,
    "sub": lambda t, other, *, alpha=1: t - alpha * other if alpha != 1 else t - other,
    "mul": lambda t, other: t * other,
    "div": _divide,
    "true_divide": lambda t, other: t / other,
    "neg": lambda t: -t,
    "pow": lambda t, exponent: t**exponent,
    "mm": lambda t, mat2: t @ mat2,
    "mv": lambda t, vec: t @ vec,
    "bmm": lambda t, mat2: t @ mat2,
    "addmm": lambda t, mat1, mat2, *, beta=1, alpha=1: beta * t + alpha * (mat1 @ mat2),
    "outer": lambda t, vec2: np.outer(t, vec2),
    "ger": lambda t, vec2: np.outer(t, vec2),
    "inner": lambda t, other: np.inner(t, other),
    "clamp": lambda t, min=None, max=None: np.clip(t, min, max),
    "clamp_min": lambda t, min: np.maximum(t, min),
    "clamp_max": lambda t, max: np.minimum(t, max),
    "rsqrt": lambda t: 1 / np.sqrt(t),
    "lerp": lambda t, end, weight: t + weight * (end - t),
    "sign": lambda t: _like(t, np.sign(t)),
    "floor": lambda t: _like(t, np.floor(t)),
    "ceil": lambda t: _like(t, np.ceil(t)),
    "trunc": lambda t: _like(t, np.trunc(t)),
    "logit": lambda t: np.log(t) - np.log1p(-t),
    "norm": _norm,
    "det": lambda t: np.linalg.det(t),
    "inverse": lambda t: np.linalg.inv(t),
    "tril": lambda t, diagonal=0: np.tril(t, diagonal),
    "triu": lambda t, diagonal=0: np.triu(t, diagonal),
    "diag": lambda t, diagonal=0: np.diag(t, diagonal),
    "quantile": lambda t, q, dim=None, keepdim=False: np.quantile(t, q, dim, keepdims=keepdim),
    "nansum": lambda t, dim=None, keepdim=False: np.nansum(t, dim, keepdims=keepdim),
    "amax": lambda t, dim=None, keepdim=False: np.max(t, dim, keepdims=keepdim),
    "amin": lambda t, dim=None, keepdim=False: np.min(t, dim, keepdims=keepdim),
    "count_nonzero": lambda t, dim=None: np.count_nonzero(t, dim),
    "diff": lambda t, n=1, dim=-1: np.diff(t, n, dim),
    # comparisons
    "eq": lambda t, other: t == other,
    "ne": lambda t, other: t != other,
    "lt": lambda t, other: t < other,
    "le": lambda t, other: t <= other,
    "gt": lambda t, other: t > other,
    "ge": lambda t, other: t >= other,
    "equal": lambda t, other: np.array_equal(t, other),
    "allclose": lambda t, other, rtol=1e-05, atol=1e-08: np.allclose(t, other, rtol, atol),
    "isclose": lambda t, other, rtol=1e-05, atol=1e-08: np.isclose(t, other, rtol, atol),
    "isnan": lambda t: np.isnan(t),
    "isinf": lambda t: np.isinf(t),
    "isfinite": lambda t: np.isfinite(t),
    "logical_not": lambda t: np.logical_not(t),
    # parts, and places in them
    "where": lambda t, condition, other: np.where(condition, t, other),
    "masked_fill": lambda t, mask, value: np.where(mask, value, t),
    "masked_select": lambda t, mask: t[mask],
    "index_select": lambda t, dim, index: np.take(t, index, dim),
    "gather": _gather,
    "take_along_dim": lambda t, indices, dim: np.take_along_axis(t, indices, dim),
    "narrow": lambda t, dim, start, length: np.take(t, np.arange(start, start + length), dim),
    "select": lambda t, dim, index: np.take(t, index, dim),
    "chunk": _chunk,
    "split": _split,
    "unbind": lambda t, dim=0: tuple(np.moveaxis(t, dim, 0)),
    "sort": _sort,
    "topk": _topk,
}

#: Functions of NumPy's that PyTorch has as methods too, and means the same by.
_NUMPYS = (
    "absolute acos acosh angle arccosh arcsinh arctan2 arctanh argwhere asin asinh atan atan2 "
    "atanh bincount broadcast_to copysign corrcoef cov deg2rad diagflat divide exp2 fix fliplr "
    "flipud "
    "float_power floor_divide fmax fmin fmod gcd greater greater_equal heaviside hypot isneginf "
    "isposinf isreal kron lcm ldexp less less_equal logaddexp logaddexp2 logical_and logical_or "
    "logical_xor moveaxis multiply nan_to_num nanmean nanquantile negative nextafter not_equal "
    "positive rad2deg remainder rot90 signbit sinc subtract vdot"
)
METHODS = frozenset(_NUMPYS.split())


# What is made, of a shape


def _made(array: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Make a tensor of an array that nobody else holds, or of what is tracked already."""
    on_cpu(device)
    array = array if dtype is None else array.astype(dtype)
    made = array if isinstance(array, Tensor) else Tensor(array)
    return made.requires_grad_() if requires_grad else made


def _drawn(name: str, draw: Callable[..., Any]) -> Callable[..., Tensor]:
    """Make a function that draws numbers, from the generator that it is given."""

    def function(*args: Any, rng: Rng = None, generator: Rng = None, **options: Any) -> Tensor:
        if rng is None and generator is None:
            raise TypeError(
                f"{name}(...) draws numbers, and none are drawn from a global state: say "
                f"{name}(..., rng=rng), with rng = np.random.default_rng(seed) at the beginning"
            )
        where = {key: options.pop(key) for key in ("dtype", "device", "requires_grad")
                 if key in options}  # fmt: skip
        source = generator if rng is None else rng
        if isinstance(source, np.random.Generator):
            return _made(draw(drawing(source), *args, **options), **where)
        return _made(draw(np.random.default_rng(source), *args, **options), **where)

    function.__name__ = function.__qualname__ = name
    return function


def _integers(rng: Any, *bounds: Any, low: int = 0, high: Any = None, size: Any = None) -> Any:
    """``rng.integers(low, high, size)``; one bound alone is the upper one."""
    *limits, size = (*bounds, size) if size is not None else bounds
    limits += [] if high is None else [high]
    return rng.integers(*(limits if len(limits) == 2 else (low, limits[0])), size)


def _multinomial(rng: Any, input: Any, num_samples: int, replacement: bool = False) -> Any:
    """``rng.choice(n, num_samples, replacement, p)`` with each row's probabilities."""
    rows = np.asarray(input.data if isinstance(input, Tensor) else input)
    shares = rows / rows.sum(-1, keepdims=True)
    draws = [rng.choice(len(share), num_samples, replacement, share)
             for share in shares.reshape(-1, rows.shape[-1])]  # fmt: skip
    return np.reshape(draws, (*rows.shape[:-1], num_samples))


_DRAWS: dict[str, Callable[..., Any]] = {
    "rand": lambda rng, *size: rng.random(_lengths(size)),
    "randn": lambda rng, *size: rng.normal(size=_lengths(size)),
    "randint": _integers,
    "randperm": lambda rng, n: rng.permutation(n),
    "rand_like": lambda rng, input: rng.random(input.shape).astype(input.dtype),
    "randn_like": lambda rng, input: rng.normal(size=input.shape).astype(input.dtype),
    "normal": lambda rng, mean=0.0, std=1.0, size=None: mean + std * rng.normal(
        size=np.broadcast_shapes(np.shape(mean), np.shape(std)) if size is None else size),
    "bernoulli": lambda rng, input: (rng.random(input.shape) < input).astype(input.dtype),
    "multinomial": _multinomial,
}  # fmt: skip


def _set_default_dtype(dtype: Any) -> None:
    """Accepted of float64, which is the default; say dtype= where another is wanted."""
    if np.dtype(dtype) != np.float64:
        raise TypeError(
            f"set_default_dtype({np.dtype(dtype)}): the default is float64, everywhere: say "
            f"dtype=np.{np.dtype(dtype)} where another is wanted, or model.to(np.float32)"
        )


def _device(name: Any) -> str:
    """Name the one device there is, ``"cpu"``."""
    on_cpu(name)
    return "cpu"


def _as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """``tl.Tensor(a)`` of an array, which is not copied; a tensor as it is."""
    on_cpu(device)
    made = data if isinstance(data, Tensor) else Tensor(np.asarray(data))
    return made if dtype is None else _cast(made, dtype)


_NO_GPU = SimpleNamespace(is_available=lambda: False, device_count=lambda: 0)

#: Functions and types of the package itself; ``like`` are ``dtype=, requires_grad=, device=``.
PACKAGE: dict[str, Any] = {
    # what is made
    "zeros": lambda *size, **like: _made(np.zeros(_lengths(size)), **like),
    "ones": lambda *size, **like: _made(np.ones(_lengths(size)), **like),
    "empty": lambda *size, **like: _made(np.zeros(_lengths(size)), **like),
    "full": lambda size, fill_value, **like: _made(np.full(size, fill_value), **like),
    "eye": lambda n, m=None, **like: _made(np.eye(n, m), **like),
    "arange": lambda *limits, **like: _made(np.arange(*limits), **like),
    "linspace": lambda start, end, steps, **like: _made(np.linspace(start, end, steps), **like),
    "zeros_like": lambda t, **like: _made(np.zeros_like(t), **like),
    "ones_like": lambda t, **like: _made(np.ones_like(t), **like),
    "empty_like": lambda t, **like: _made(np.zeros_like(t), **like),
    "full_like": lambda t, fill_value, **like: _made(np.full_like(t, fill_value), **like),
    "from_numpy": lambda a: Tensor(a),
    "as_tensor": _as_tensor,
    "asarray": _as_tensor,
    **{name: _drawn(name, draw) for name, draw in _DRAWS.items()},
    # of several
    "cat": lambda tensors, dim=0: np.concatenate(tensors, dim),
    "concat": lambda tensors, dim=0: np.concatenate(tensors, dim),
    "transpose": _transpose,
    "swapaxes": lambda t, axis0, axis1: np.swapaxes(t, axis0, axis1),
    **FUNCTIONS,
    # what is asked, and said
    "is_tensor": lambda obj: isinstance(obj, Tensor),
    "inference_mode": no_grad,
    "set_default_dtype": _set_default_dtype,
    "get_default_dtype": lambda: np.dtype(np.float64),
    "device": _device,
    "cuda": _NO_GPU,
    "accelerator": _NO_GPU,
    "Size": tuple,
    # types and numbers
    "dtype": np.dtype,
    "half": np.float16,
    "float": np.float32,
    "double": np.float64,
    "short": np.int16,
    "int": np.int32,
    "long": np.int64,
    "bool": np.bool_,
    **{name: getattr(np, name) for name in (
        "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "complex64",
        "complex128", "finfo", "iinfo", "pi", "e", "inf", "nan", "newaxis",
    )},
}  # fmt: skip

#: Words for a tensor that takes another value, beside those of ``TENSOR`` with ``_`` at their end.
IN_PLACE: dict[str, Callable[..., Any]] = {
    "zero_": lambda t: np.zeros_like(t.data),
    "fill_": lambda t, value: np.full_like(t.data, value),
    "copy_": lambda t, other: np.array(np.broadcast_to(other, t.shape)),
    "normal_": lambda t, mean=0.0, std=1.0, **rng: PACKAGE["normal"](mean, std, t.shape, **rng),
    "uniform_": lambda t, low=0.0, high=1.0, **rng: low + (high - low) * PACKAGE["rand"](
        t.shape, **rng),
}  # fmt: skip
_OWN_SHAPE = (
    "abs add ceil clamp clamp_max clamp_min clip cos div exp floor lerp log masked_fill mul neg "
    "pow reciprocal relu round rsqrt sigmoid sign sin sqrt square sub tanh tril triu trunc"
)

#: Methods that are functions of networks.
_OF_NETWORKS = (
    "avg_pool2d conv2d elu gelu leaky_relu log_softmax logsumexp max_pool2d relu sigmoid silu "
    "softmax softplus"
)


class _OfNetworks:
    """A method whose function is loaded when it is first asked for, and then stands here."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Tensor | None, owner: type) -> Any:
        functional = import_module(f"{__package__}.nn.functional")
        setattr(Tensor, self.name, getattr(functional, self.name))
        return getattr(owner if instance is None else instance, self.name)


def _in_place(word: str, expression: Callable[..., Any]) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        is_lost = is_for_the_call(sys.getrefcount(self))
        become(self, expression(self, *args, **kwargs), word)
        if is_lost and is_dropped(sys._getframe(1)):  # noqa: SLF001 - as callers.py says
            raise TypeError(
                f"t[i].{word}(...) changes a value that nobody holds, and tensors are values: say "
                "t[i] = v for a part of t"
            )
        return self

    return method


def _by_name(method: str) -> Callable[..., Any]:
    return lambda t, *args, **kwargs: getattr(t, method)(*args, **kwargs)


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda t, *args, **kwargs: function(t, *args, **in_numpys_words(function, kwargs))


def teach() -> None:
    """Give tensors the methods of the tables."""
    for name in METHODS:
        setattr(Tensor, name, _method(getattr(np, name)))
    for name, method in TENSOR.items():
        if not hasattr(Tensor, name):
            setattr(Tensor, name, method)
    for name in _OF_NETWORKS.split():
        setattr(Tensor, name, _OfNetworks(name))
    for name in _OWN_SHAPE.split():
        setattr(Tensor, f"{name}_", _in_place(f"{name}_", _by_name(name)))
    for name, expression in IN_PLACE.items():
        setattr(Tensor, name, _in_place(name, expression))


def expressions() -> dict[str, dict[str, str]]:
    """What the words of each table are in NumPy's, for the documentation: read in this file."""
    texts: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(sys.modules[__name__])).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            name = ast.unparse(node.target)
            lines = {ast.literal_eval(key): value
                     for key, value in zip(node.value.keys, node.value.values, strict=True)
                     if key is not None}  # fmt: skip
            texts[name] = {word: _text(globals()[name][word], lines[word]) for word in lines}
    return texts


def _text(value: Any, node: ast.expr) -> str:
    if isinstance(node, ast.Lambda):
        return f"`{ast.unparse(_Plain().visit(node.body))}`"
    is_function = inspect.isfunction(value) and value.__doc__
    return value.__doc__.partition("\n")[0] if is_function else f"`{ast.unparse(node)}`"


class _Plain(ast.NodeTransformer):
    """Leaves out what only sees to lengths in a tuple, and to tensors where tensors came."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = ast.unparse(node.func)
        if name == "_cast":
            return ast.Call(ast.Attribute(node.args[0], "astype"), [node.args[1]], [])
        if name == "_made":
            return ast.Call(ast.Name("tl.tensor"), node.args, [])
        return node.args[-1] if name in ("_lengths", "_like") else node
