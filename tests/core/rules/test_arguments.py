"""An argument means the same in every form that NumPy takes it in: lists, scalars, strides, bytes.

Arrays whose arithmetic is their own are refused.  Integer tensors serve wherever integers do.

Not for: which arguments have a derivative (``test_detaching.py``).
"""

from __future__ import annotations

import array
import collections
import decimal
import fractions
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import tinygrad_lab as tl
from tests.core.rules.captured import FUNCTIONS, Arguments, Place, arguments_of, parts_of, summed
from tinygrad_lab.core.errors import name_of
from tinygrad_lab.testing.inputs.catalogue import CASES


def tuples(array: Any) -> Any:
    return tuple(map(tuples, array)) if array.ndim else array.item()


def within_a_larger_one(array: Any) -> Any:
    wide = np.full([2 * n + 1 for n in array.shape], np.nan, dtype=array.dtype)
    view = wide[(*(slice(1, None, 2) for _ in array.shape), ...)]
    view[...] = array
    return view


def read_only(array: Any) -> Any:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


#: The same values in another form, for those that are taken, and whether a tensor can hold it.
FORMS: dict[str, tuple[Callable[[Any], Any], bool]] = {
    "list": (lambda a: a.tolist(), False),
    "tuples": (tuples, False),
    "scalar": (lambda a: a[()] if a.ndim == 0 else list(a.reshape(-1)), False),
    "read-only": (read_only, True),
    "strided": (within_a_larger_one, True),
    "reversed": (lambda a: np.flip(np.flip(a).copy()), True),
    "transposed": (lambda a: np.array(a.T, order="C").T, True),
    "big-endian": (lambda a: a.astype(a.dtype.newbyteorder(">")), True),
    "memory map": (lambda a: a.view(np.memmap), False),
}
REFUSED = {"matrix": np.asmatrix, "masked": np.ma.masked_invalid, "own": lambda a: a.view(Own)}


class Own(np.ndarray):
    """What another library might make of an array."""


def floats(arguments: Arguments) -> list[tuple[Place, Any]]:
    places = arguments.places()
    return [(p, v) for p, v in places if isinstance(v, np.ndarray) and v.dtype.kind in "fc"]


def gradient(op: Any, arguments: Arguments, place: Place, leaf: Any) -> tuple[float, Any]:
    t = tl.Tensor(leaf, requires_grad=True)
    y = summed(arguments.replaced(place, t)(op))
    if not (isinstance(y, tl.Tensor) and y.requires_grad):
        return float(np.asarray(y.data if isinstance(y, tl.Tensor) else y)), None
    return y.item(), tl.gradients(y, t)


def check_forms(op: Any, arguments: Arguments) -> None:
    for place, plain in floats(arguments):
        for other, leaf in floats(arguments):
            try:
                expected = gradient(op, arguments, other, leaf)
            except TypeError:  # NumPy offers us no call for that argument alone
                continue
            for name, (form, in_a_tensor) in FORMS.items():
                if other == place and in_a_tensor:
                    ours = gradient(op, arguments, place, form(plain))
                elif other != place and (in_a_tensor or (plain.size and op is not np.block)):
                    if name == "scalar" and plain.ndim:
                        continue
                    ours = gradient(op, arguments.replaced(place, form(plain)), other, leaf)
                else:
                    continue
                for value, reference in zip(ours, expected, strict=True):
                    message = f"{name} at {place} of {arguments!r}, by {other}"
                    assert (value is None) == (reference is None), message
                    if reference is not None:
                        np.testing.assert_allclose(value, reference, 1e-9, 1e-9, err_msg=message)


def check_integers(op: Any, arguments: Arguments) -> None:
    """Integers and booleans beside floats: as the same numbers in floats, where NumPy does so."""
    for place, plain in floats(arguments):
        for dtype in ("uint8", "bool", "int64"):
            integers = np.abs(np.real(plain)).round().astype(dtype)
            as_floats = arguments.replaced(place, integers.astype(float))
            as_integers = arguments.replaced(place, integers)
            try:
                pair = [parts.astype(float) for parts in numbers_of(op, as_floats, as_integers)]
                usual = pair[0].shape == pair[1].shape and np.allclose(*pair, equal_nan=True)
            except (TypeError, ValueError, ArithmeticError, np.linalg.LinAlgError):
                continue
            for other, leaf in floats(arguments):
                if usual and other != place:
                    try:
                        value, slopes = gradient(op, as_floats, other, leaf)
                    except TypeError:
                        continue
                    ours, ours_slopes = gradient(op, as_integers, other, leaf)
                    message = f"{dtype} at {place} of {arguments!r}, by {other}"
                    np.testing.assert_allclose(ours, value, 1e-9, err_msg=message)
                    if ours_slopes is not None:  # np.insert into integers gives integers
                        np.testing.assert_allclose(ours_slopes, slopes, 1e-9, 1e-9, err_msg=message)


def numbers_of(op: Any, *calls: Arguments) -> list[Any]:
    return [
        np.concatenate([np.real(part).reshape(-1) for part in parts_of(call(op))]) for call in calls
    ]


def check_refusals(op: Any, arguments: Arguments) -> None:
    for place, plain in floats(arguments):
        for name, form in REFUSED.items():
            if name == "matrix" and plain.ndim != 2:
                continue
            for other, leaf in floats(arguments):
                if other == place:
                    with pytest.raises(TypeError, match="its arithmetic is its own: say"):
                        tl.Tensor(form(plain), requires_grad=True)
                    continue
                changed = arguments.replaced(place, form(plain))
                with pytest.raises(TypeError):
                    changed.replaced(other, tl.tensor(leaf, requires_grad=True))(op)


@pytest.mark.parametrize("op", FUNCTIONS, ids=name_of)
def test_every_form_of_every_array(op: Any):
    @settings(max_examples=2, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(call=CASES[op])
    def calls_of_the_catalogue(call: Any) -> None:
        if all(not np.any(x) for x in call.arrays):  # the simplest, which shows the least
            return
        arguments = arguments_of(op, call)
        check_forms(op, arguments)
        check_integers(op, arguments)
        check_refusals(op, arguments)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        calls_of_the_catalogue()


@pytest.mark.parametrize(
    "zeros_and_ones",
    [
        [-1, 0, 1], (-1.0, 0.0, 1.0), range(-1, 2), collections.deque([-1, 0, 1]),
        array.array("d", [-1, 0, 1]), memoryview(np.array([-1.0, 0.0, 1.0])),
        collections.UserList([-1, 0, 1]), [np.float32(-1), np.array(0), 1],
        [tl.tensor(-1.0), tl.tensor(0.0), 1], [[-1, 0, 1]],
    ],
    ids=lambda x: type(x).__name__,
)  # fmt: skip
def test_whatever_numpy_reads_as_an_array_is_one(zeros_and_ones: Any):
    t = tl.tensor([2.0, 3.0, 4.0], requires_grad=True)
    slopes = tl.gradients(np.heaviside(zeros_and_ones, t).sum(), t)  # its rule compares with 0
    np.testing.assert_array_equal(slopes, [0, 1, 0])


def test_what_numpy_does_not_compute_with_is_refused():
    t = tl.tensor([2.0, 3.0], requires_grad=True)
    for other in (fractions.Fraction(1, 2), decimal.Decimal(2), "a", None, {1}, object(), b"ab"):
        with pytest.raises(TypeError):
            t * other
        with pytest.raises(TypeError):
            np.multiply(other, t)


def test_scalars_have_the_dtype_that_numpy_gives_them():
    x = np.array([1.0, 2.0], dtype=np.float32)
    scalars = [
        2,
        2.0,
        True,
        np.float32(2),
        np.float64(2),
        np.int64(2),
        np.float16(2),
        np.array(2.0),
    ]
    for op in (np.add, np.multiply, np.divide, np.power, np.maximum, np.arctan2):
        for scalar in scalars:
            t = tl.tensor(x, requires_grad=True)
            y = op(t, scalar)
            assert y.dtype == op(x, scalar).dtype, (op, scalar)
            assert tl.gradients(y.sum(), t).dtype == np.float32
            assert op(scalar, t).dtype == op(scalar, x).dtype


INTEGERS: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "index": (lambda t, i: t[i], [1, 0, 1]),
    "index of an axis": (lambda t, i: t[0, i], 2),
    "slice": (lambda t, i: t[i:], 1),
    "new values": (lambda t, i: np.insert(t, i, 5.0, axis=1), [1, 2]),
    "delete": (lambda t, i: np.delete(t, i, axis=1), [0, 2]),
    "take": (lambda t, i: np.take(t, i, axis=1), [[0, 1], [2, 2]]),
    "take along an axis": (lambda t, i: np.take_along_axis(t, i, axis=1), [[0, 2], [1, 1]]),
    "choose": (lambda t, i: np.choose(i, [t[0], t[1]]), [0, 1, 0]),
    "repeat": (lambda t, i: np.repeat(t, i, axis=0), [2, 3]),
    "repeats": (lambda t, i: t.repeat(i, axis=0), 2),
    "tile": (lambda t, i: np.tile(t, i), [2, 1]),
    "split": (lambda t, i: np.split(t, i, axis=1)[1], [1, 2]),
    "sections": (lambda t, i: np.array_split(t, i, axis=1)[0], 2),
    "axis": (lambda t, i: np.sum(t, axis=i), 1),
    "axis of a method": (lambda t, i: t.mean(axis=i), 1),
    "axes": (lambda t, i: np.max(t, axis=(i, 1)), 0),
    "axis of a composition": (lambda t, i: np.median(t, axis=i), 1),
    "axis to join along": (lambda t, i: np.stack([t, t], axis=i), 1),
    "sort": (lambda t, i: np.sort(t, i), 0),
    "cumsum": (lambda t, i: np.cumsum(t, i), 0),
    "expand_dims": (lambda t, i: np.expand_dims(t, i), 1),
    "moveaxis": (lambda t, i: np.moveaxis(t, i, -1), 0),
    "swapaxes": (lambda t, i: t.swapaxes(i, 1), 0),
    "transpose": (lambda t, i: np.transpose(t, i), [1, 0]),
    "transpose of a method": (lambda t, i: t.transpose(i, 0), 1),
    "shape": (lambda t, i: np.reshape(t, i), [3, 2]),
    "shape of a method": (lambda t, i: t.reshape(i, -1), 3),
    "broadcast_to": (lambda t, i: np.broadcast_to(t, i), [4, 2, 3]),
    "resize": (lambda t, i: np.resize(t, i), [2, 5]),
    "roll": (lambda t, i: np.roll(t, i, axis=1), 1),
    "rolls": (lambda t, i: np.roll(t, i, axis=(0, 1)), [1, 2]),
    "flip": (lambda t, i: np.flip(t, i), 1),
    "rot90": (lambda t, i: np.rot90(t, i), 3),
    "offset": (lambda t, i: np.diagonal(t, i), 1),
    "k": (lambda t, i: np.triu(t, i), 1),
    "diag": (lambda t, i: np.diag(t[0], i), 1),
    "vander": (lambda t, i: np.vander(t[0], i), 2),
    "pad": (lambda t, i: np.pad(t, i), [[1, 2], [0, 1]]),
    "diff": (lambda t, i: np.diff(t, i), 1),
    "partition": (lambda t, i: np.partition(t, i), 1),
    "power": (lambda t, i: t**i, 3),
    "matrix_power": (lambda t, i: np.linalg.matrix_power(t[:, :2], i), 3),
    "tensordot": (lambda t, i: np.tensordot(t, t, i), 2),
    "contracted": (lambda t, i: np.tensordot(t, t, (i, [1])), [1]),
    "fft": (lambda t, i: np.real(np.fft.fft(t, i)), 5),
    "rfft2": (lambda t, i: np.real(np.fft.rfft2(t, i)), [3, 4]),
    "polyder": (lambda t, i: np.polyder(t[0], i), 1),
    "linspace": (lambda t, i: np.linspace(t[0], t[1], i), 4),
    "ldexp": (lambda t, i: np.ldexp(t, i), [1, 2, 0]),
    "bincount": (lambda t, i: np.bincount(i, t[0]), [0, 2, 1]),
    "ddof": (lambda t, i: np.var(t, axis=1, ddof=i), 1),
    "windows": (lambda t, i: np.lib.stride_tricks.sliding_window_view(t, i, axis=1), 2),
    "trace": (lambda t, i: np.trace(t, i), 1),
    "unwrap": (lambda t, i: np.unwrap(t, axis=i), 0),
    "gradient": (lambda t, i: np.gradient(t, axis=i), 1),
    "cross": (lambda t, i: np.cross(t, t[::-1], axis=i), 1),
    "quantile": (lambda t, i: np.percentile(t, i), 50),
    "norm": (lambda t, i: np.linalg.norm(t, axis=i), 1),
    "order": (lambda t, i: np.linalg.norm(t, i), 1),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integer_tensors_serve_wherever_integers_do(name: str):
    f, integers = INTEGERS[name]
    x = np.array([[1.0, -2.0, 0.5], [4.0, 3.0, 2.5]])

    def value_and_slope(place: Any) -> tuple[Any, Any]:
        t = tl.tensor(x, requires_grad=True)
        y = f(t, place)
        return y.data, tl.gradients(y, t, np.cos(np.arange(y.size)).reshape(y.shape))

    expected = value_and_slope(np.array(integers) if isinstance(integers, list) else integers)
    for ours, reference in zip(value_and_slope(tl.tensor(integers)), expected, strict=True):
        np.testing.assert_array_equal(ours, reference)
