"""What can be wrong with a gradient: everywhere, or in one region, element, shape, dtype, option.

A fault changes the gradient that one call computed.  It is linear in the upstream, and made of
products and sums, so that it works on arrays of any library and can be differentiated again.

Not for: where faults are planted (``places.py``), or which are worth it (``observed.py``).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array, array_of

LARGE, LONG = 20.0, 33  # beyond which inputs are large, and arrays are long


def numbers(x: Any) -> Any:
    """Give the numbers of an array of any library, and None of what is no array."""
    x = array_of(x)
    return np.asarray(x) if isinstance(x, (np.ndarray, np.generic, float)) else None


def _factor(a: Array, like: Any) -> Any:
    """Make an array of numbers what arrays of another library can be multiplied by."""
    if hasattr(like, "detach"):
        import torch

        return torch.as_tensor(a, dtype=like.dtype, device=like.device)
    return np.asarray(a, getattr(like, "dtype", None))


@dataclass
class Call:
    """One computation of a gradient: by what, from which upstream, and how."""

    upstreams: list[Any]
    compute: Callable[[list[Any]], Any]  # from upstreams to the gradient
    x: Any = None  # what it is the gradient by; None where that is not known
    args: Sequence[Any] = ()  # everything the function was called with
    options: Mapping[str, Any] = field(default_factory=dict)  # those of them by name
    before: Any = None  # what the call before gave, in the same run of a test

    @property
    def values(self) -> Array | None:
        """The numbers that the gradient is by, where there are any."""
        x = numbers(self.x)
        return x if x is not None and x.dtype.kind == "f" else None


Where = Callable[[Call, Array], Any]  # of a call and its right gradient: a mask, or True for all


@dataclass(frozen=True)
class Fault:
    """One way in which a gradient may be wrong."""

    name: str
    kind: str = "everywhere"
    gradient: Callable[[Any], Any] | None = None
    upstream: Callable[[Any], Any] | None = None
    where: Where | None = None
    missing: str = ""  # what a test has to have, "a negative input", for it to be noticed
    example: Callable[[Array], Any] | None = None  # such an input, from one that was used

    def reaches(self, call: Call, right: Any) -> bool:
        """Whether the call is one that it changes."""
        return bool(np.any(self._mask(call, right)))

    def _mask(self, call: Call, right: Any) -> Any:
        if self.where is None:
            return True
        plain = numbers(right)
        return False if plain is None else self.where(call, plain)

    def applied(self, call: Call, right: Any) -> Any:
        """Make the gradient of a call wrong."""
        if self.upstream is not None:
            ups = [None if u is None else self.upstream(u) for u in call.upstreams]
            return call.compute(ups)
        if numbers(right) is None:
            return right
        if self.gradient is not None:
            return self.gradient(right)
        if self.kind == "second call":
            return right if not self.reaches(call, right) else right + call.before
        mask = self._mask(call, right)
        if not np.any(mask):
            return right
        if self.kind == "empty":
            raise ValueError("a fault planted: an array without elements")
        return _off(right, mask, call.upstreams)


def _off(right: Any, mask: Any, upstreams: Sequence[Any]) -> Any:
    """Flip the sign where a mask is; where the slope is 0, make it 1, if that can be said."""
    plain = numbers(right)
    mask = np.broadcast_to(mask, plain.shape)
    wrong = right * _factor(np.where(mask, -1.0, 1.0), right)
    g = upstreams[0] if len(upstreams) == 1 else None
    flat = mask & (plain == 0)
    if g is not None and flat.any() and np.shape(numbers(g)) == plain.shape:
        wrong = wrong + g * _factor(flat * 1.0, g)
    return wrong


#: The faults that are everywhere, by what to call them.
EVERYWHERE = {
    fault.name: fault
    for fault in (
        Fault("sign flipped", gradient=lambda c: -c),
        Fault("doubled", gradient=lambda c: c * 2),
        Fault("zeroed", gradient=lambda c: c * 0),
        Fault("0.1 % too large", gradient=lambda c: c * 1.001),
        Fault(
            "upstream taken for 1", upstream=lambda g: g * 0 + 1,
            missing="an upstream other than 1",
        ),
        Fault(
            "averaged over the elements", gradient=lambda c: c * 0 + c.sum() / max(_size(c), 1),
            missing="a gradient whose elements differ",
        ),
    )
}  # fmt: skip


def _size(c: Any) -> int:
    return int(np.prod(c.shape))


# ---------------------------------------------------------------------------------------------
# Faults of a part


def _of_values(condition: Callable[[Array], Any]) -> Where:
    """Make a mask of the values that a gradient is by."""

    def where(call: Call, right: Array) -> Any:
        x = call.values
        if x is None:
            return False
        mask = np.asarray(condition(x))
        if mask.shape == right.shape:
            return mask
        try:
            return np.broadcast_to(mask, right.shape)  # the sum over broadcast axes comes later
        except ValueError:
            return mask.any()

    return where


def _of_array(condition: Callable[[Array], Any]) -> Where:
    """Choose whole calls, by the array that the gradient is by."""
    return lambda call, _: call.values is not None and bool(condition(call.values))


def _element(index: Callable[[int], int]) -> Where:
    def where(_call: Call, right: Array) -> Any:
        mask = np.zeros(right.size, bool)
        if right.size > 1:
            mask[index(right.size)] = True
        return mask.reshape(right.shape)

    return where


def _equal_ones(x: Array) -> Any:
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    return (counts > 1)[inverse].reshape(x.shape)


def _is_reduced(where: Where) -> Where:
    """Look only at functions whose result has another shape than the input."""

    def reduced(call: Call, right: Array) -> Any:
        shapes = {np.shape(numbers(u)) for u in call.upstreams if u is not None}
        return right.shape not in shapes and where(call, right)

    return reduced


def _broadcast(call: Call, _right: Array) -> bool:
    shapes = [np.shape(numbers(a)) for a in call.args if numbers(a) is not None]
    x = call.values
    return x is not None and any(len(s) > x.ndim or np.prod(s) > x.size for s in shapes)


def _negative(x: Array) -> Any:
    return np.where(x == 0, -0.5, -np.abs(x))


def many() -> Array:
    """Give more numbers than fit into a block of what computes several at once."""
    return np.linspace(0.1, 1, LONG)


def _shaped(x: Array, shape: tuple[int, ...]) -> Any:
    """Give different numbers of a shape, of the signs and sizes of those there are."""
    factors = np.linspace(1, 1.5, int(np.prod(shape))).reshape(shape)
    return np.round(np.resize(x, shape) * factors, 3) if x.size else None


def _strided(x: Array) -> Any:
    """Give the same values, read backwards."""
    return np.array(x[::-1])[::-1] if x.ndim else None


REGIONS = (
    Fault(
        "wrong where the input is negative", "sign", where=_of_values(lambda x: x < 0),
        missing="a negative input", example=_negative,
    ),
    Fault(
        "wrong where the input is positive", "sign", where=_of_values(lambda x: x > 0),
        missing="a positive input", example=lambda x: -_negative(x),
    ),
    Fault(
        "wrong where the input is 0", "kink", where=_of_values(lambda x: x == 0),
        missing="an input that is 0", example=lambda x: x * 0,
    ),
    Fault(
        "wrong where inputs are equal", "tie", where=_is_reduced(_of_values(_equal_ones)),
        missing="two equal elements", example=lambda x: np.full(x.shape, 0.5),
    ),
    Fault(
        f"wrong beyond {LARGE:g}", "magnitude", where=_of_values(lambda x: np.abs(x) > LARGE),
        missing=f"an input beyond {LARGE:g}", example=lambda x: np.where(x < 0, -25.0, 25.0),
    ),
)  # fmt: skip
ELEMENTS = tuple(
    Fault(f"wrong in the {name} element", f"{name} element", where=_element(index),
          missing="an array of several elements", example=lambda x: np.append(x.ravel(), 0.7)[:2])
    for name, index in (
        ("last", lambda n: n - 1), ("first", lambda _n: 0), ("middle", lambda n: n // 2),
    )
)  # fmt: skip
SHAPES = (
    Fault(
        "wrong where there are several axes", "shape", where=_of_array(lambda x: x.ndim > 1),
        missing="an array of several axes",
        example=lambda x: _shaped(x, (2, 3)),
    ),
    Fault(
        "wrong where it is broadcast", "broadcast", where=_broadcast,
        missing="an input that is broadcast", example=lambda x: x.ravel()[:1] if x.size else None,
    ),
    Fault(
        "wrong where there are no axes", "no axes", where=_of_array(lambda x: x.ndim == 0),
        missing="an array of no axes", example=lambda x: x.ravel()[0].copy() if x.size else None,
    ),
    Fault(
        "wrong where an axis has length 1", "length 1",
        where=_of_array(lambda x: x.ndim > 1 and 1 in x.shape),
        missing="an axis of length 1",
        example=lambda x: _shaped(x, (2, 1)),
    ),
    Fault(
        "raises without elements", "empty", where=_of_array(lambda x: x.size == 0),
        missing="an array without elements", example=lambda _x: np.zeros((0,)),
    ),
    Fault(
        f"wrong from {LONG} elements on", "long", where=_of_array(lambda x: x.size >= LONG),
        missing=f"an array of {LONG} elements", example=lambda _x: many(),
    ),
)  # fmt: skip
STATES = (
    Fault(
        "wrong in float32", "dtype", where=_of_array(lambda x: x.dtype == np.float32),
        missing="an input in float32", example=lambda x: x.astype(np.float32),
    ),
    Fault(
        "wrong where the input is not contiguous", "layout",
        where=_of_array(lambda x: x.size > 1 and not x.flags.c_contiguous),
        missing="an input that is not contiguous", example=_strided,
    ),
    Fault(
        "added to that of the call before", "second call",
        where=lambda call, right: np.shape(call.before) == right.shape
        and call.before is not None
        and right.size > 0,
        missing="a second call", example=lambda x: x,
    ),
)  # fmt: skip

#: The faults of a part, those that tell most first; of a kind, at most one is planted.
PARTIAL = (
    ELEMENTS[0], *REGIONS[:2], SHAPES[0], STATES[0], *REGIONS[2:4], SHAPES[1], REGIONS[4],
    ELEMENTS[1], *STATES[1:], *SHAPES[2:], ELEMENTS[2],
)  # fmt: skip


def in_the_middle(low: float, high: float) -> Fault:
    """Make a fault of some of the values that tests use: between two quantiles of them."""
    return Fault(
        "wrong in the middle of the values", "middle",
        where=_of_values(lambda x: (x >= low) & (x <= high)),
    )  # fmt: skip


def of_option(name: str, value: Any) -> Fault:
    """Make a fault that shows only with an option, one that is not the default."""

    def where(call: Call, _right: Array) -> bool:
        return name in call.options and _differs(call.options[name], value)

    text = f"wrong where {name} is not {value!r}"
    return Fault(text, f"option {name}", where=where, missing=f"a call with another {name}")


def _differs(a: Any, b: Any) -> bool:
    return type(a) is not type(b) or not np.array_equal(a, b)


def options_of(op: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Name what a function was called with that has a default."""
    try:
        signature = inspect.signature(op)
        bound = signature.bind(*args, **kwargs)
    except (TypeError, ValueError):
        return dict(kwargs)
    bound.apply_defaults()
    return {n: v for n, v in bound.arguments.items() if n in defaults_of(op)}


def defaults_of(op: Any) -> dict[str, Any]:
    """Give the options that a function has, with their defaults."""
    try:
        parameters = inspect.signature(op).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters if p.default is not p.empty}
