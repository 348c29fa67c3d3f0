"""What the text of a kernel may call: functions of one element, buffers, and sums.

Importing this file imports Numba; only ``cache.py`` does, when the first kernel is compiled.
``exp``, ``log``, ``log1p``, ``expm1``, ``tanh`` and ``cosh`` are polynomials without branches, so
that LLVM computes several elements at once; calls of the C library, one element at a time, were
more than half of a training step of the lab.  They are within 2 units in the last place (``tanh``
and ``cosh`` within 3), and right at zeros, infinities, NaN and where results leave the range of
normal numbers.  float32 is computed in float64 and rounded.

Not for: the text of kernels (``loops.py``), or compiling it (``cache.py``).
"""

# mypy: ignore-errors
# Numba's decorators have no types, and the arguments of what they decorate are Numba's.

from __future__ import annotations

import math
import platform
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils, errors
from numba.extending import NativeValue, intrinsic, models, register_model, unbox

__all__ = ["NAMESPACE", "Buffer"]

_I64 = ir.IntType(64)
_HEAD = object.__basicsize__  # where the fields of an object of CPython begin
#: Where the fields of an array lie (numpy/ndarraytypes.h; a part of NumPy's stable ABI).
_TYPE, _DATA, _NDIM, _SHAPE, _DTYPE, _FLAGS = (_HEAD + at for at in (-8, 0, 8, 16, 40, 48))
_KIND, _ORDER, _ITEMSIZE = _HEAD + 8, _HEAD + 10, _HEAD + 24  # and of a dtype
_CARRAY = 0x101  # contiguous in C's order, and aligned
_BOOL = np.dtype(bool)


class Buffer(types.CPointer):
    """The elements of a contiguous array of one dtype and shape, without the array around them.

    The shape is None where it is another each time, and the kernel is told.
    Numba's own arrays cost 40 ns each to be handed over; these cost 5.
    """

    def __init__(self, dtype: np.dtype[Any], shape: tuple[int, ...] | None) -> None:
        super().__init__(element_type(dtype))
        self.array_dtype, self.array_shape = dtype, shape
        self.name = f"Buffer({dtype.name}, {shape})"

    @property
    def key(self) -> str:
        """What makes two of them one."""
        return self.name


def element_type(dtype: np.dtype[Any]) -> Any:
    """Give Numba's type of an element in memory: truth values are bytes there."""
    return types.uint8 if dtype == _BOOL else getattr(types, dtype.name)


register_model(Buffer)(models.PointerModel)
binding.add_symbol("tinygrad_lab_ndarray", id(np.ndarray))  # so that kernels can compare with it


@unbox(Buffer)
def _unbox_buffer(kind, array, c):
    """Take the address of an array's elements, if it is the array that the kernel is for."""
    builder = c.builder

    def field(pointer, at, size):
        place = builder.gep(builder.bitcast(pointer, ir.IntType(8).as_pointer()), [_I64(at)])
        return builder.load(builder.bitcast(place, size.as_pointer()))

    wrong = cgutils.alloca_once_value(builder, cgutils.true_bit)
    data = cgutils.alloca_once(builder, c.context.get_value_type(kind))
    ndarray = c.pyapi.get_c_object("tinygrad_lab_ndarray")
    is_array = builder.icmp_unsigned("==", field(array, _TYPE, ndarray.type), ndarray)
    with builder.if_then(is_array, likely=True):
        byte, word = ir.IntType(8), ir.IntType(32)
        descr = field(array, _DTYPE, c.pyapi.pyobj)
        expected = [
            (builder.and_(field(array, _FLAGS, word), word(_CARRAY)), word(_CARRAY)),
            (field(descr, _KIND, byte), byte(ord(kind.array_dtype.kind))),
            (field(descr, _ITEMSIZE, _I64), _I64(kind.array_dtype.itemsize)),
        ]
        shape = kind.array_shape or ()
        if kind.array_shape is not None:
            expected.append((field(array, _NDIM, word), word(len(shape))))
        right = cgutils.true_bit
        for value, wanted in expected:
            right = builder.and_(right, builder.icmp_signed("==", value, wanted))
        order = field(descr, _ORDER, byte)
        swapped = ">" if np.little_endian else "<"
        right = builder.and_(right, builder.icmp_signed("!=", order, byte(ord(swapped))))
        with builder.if_then(right, likely=True):
            sizes, same = field(array, _SHAPE, _I64.as_pointer()), cgutils.true_bit
            for axis, size in enumerate(shape):
                value = builder.load(builder.gep(sizes, [_I64(axis)]))
                same = builder.and_(same, builder.icmp_signed("==", value, _I64(size)))
            builder.store(builder.not_(same), wrong)
            builder.store(field(array, _DATA, data.type.pointee), data)
    is_error = builder.load(wrong)
    with builder.if_then(is_error, likely=False):
        c.pyapi.err_set_string("PyExc_BufferError", "not the array that the kernel is for")
    return NativeValue(builder.load(data), is_error=is_error)


# -- pieces of LLVM -------------------------------------------------------------------------------


def _stack(dtype):
    """Make a function that reserves memory on the stack, for as long as the kernel runs."""
    pointer = types.CPointer(dtype)

    @intrinsic
    def reserve(typingctx, count):
        if not isinstance(count, types.IntegerLiteral):
            raise errors.RequireLiteralValue("the size of memory on the stack")
        size = count.literal_value

        def codegen(context, builder, signature, args):
            with builder.goto_entry_block():
                block = builder.alloca(ir.ArrayType(context.get_value_type(dtype), size))
                block.align = 64
                return builder.gep(block, [_I64(0), _I64(0)])

        return pointer(count), codegen

    return reserve


# A number below the smallest normal one costs a processor ten times as long as another.  XLA and
# others take all of them for 0; kernels do so where they move parameters, and nowhere else.
_CAN_FLUSH = platform.machine().lower() in ("x86_64", "amd64")
_FLUSHING = 0x8040  # of the control word: results that are subnormal are 0, and so are operands


def _control_word(builder, name, place):
    pointer = builder.bitcast(place, ir.IntType(8).as_pointer())
    function = ir.FunctionType(ir.VoidType(), [pointer.type])
    builder.call(builder.module.declare_intrinsic(f"llvm.x86.sse.{name}", (), function), [pointer])


@intrinsic
def flush(typingctx):
    """Take subnormal numbers for 0 from here on, and give what to ``restore``."""

    def codegen(context, builder, signature, args):
        if not _CAN_FLUSH:
            return ir.Constant(ir.IntType(32), 0)
        place = cgutils.alloca_once(builder, ir.IntType(32))
        _control_word(builder, "stmxcsr", place)
        before = builder.load(place)
        builder.store(builder.or_(before, ir.Constant(ir.IntType(32), _FLUSHING)), place)
        _control_word(builder, "ldmxcsr", place)
        return before

    return types.int32(), codegen


@intrinsic
def restore(typingctx, before):
    """Compute with subnormal numbers as before ``flush``."""

    def codegen(context, builder, signature, args):
        if _CAN_FLUSH:
            place = cgutils.alloca_once(builder, ir.IntType(32))
            builder.store(args[0], place)
            _control_word(builder, "ldmxcsr", place)
        return ir.Constant(ir.IntType(32), 0)

    return types.int32(types.int32), codegen


@intrinsic
def select(typingctx, condition, x, y):
    """Give ``x`` where a condition holds and ``y`` elsewhere, without a branch."""

    def codegen(context, builder, signature, args):
        return builder.select(*args)

    return x(types.boolean, x, x), codegen


@intrinsic
def total(typingctx, x, y):
    """Add to a sum whose terms may be added in any order, which lets LLVM add several at once."""

    def codegen(context, builder, signature, args):
        if isinstance(x, types.Float):
            return builder.fadd(*args, flags=["reassoc", "contract"])
        return builder.add(*args)

    return x(x, x), codegen


@intrinsic
def product(typingctx, x, y):
    """Multiply two factors of a sum of products, whose rounding may be left out (FMA)."""

    def codegen(context, builder, signature, args):
        if isinstance(x, types.Float):
            return builder.fmul(*args, flags=["contract"])
        return builder.mul(*args)

    return x(x, x), codegen


@intrinsic
def unusual(typingctx, x):
    """Give 1 for an infinite or undefined number and 0 for all others."""

    def codegen(context, builder, signature, args):
        bits = ir.IntType(x.bitwidth)
        exponent = {64: 0x7FF0000000000000, 32: 0x7F800000}[x.bitwidth]
        pattern = builder.and_(builder.bitcast(args[0], bits), bits(exponent))
        return builder.zext(builder.icmp_unsigned("==", pattern, bits(exponent)), _I64)

    return types.int64(x), codegen


@intrinsic
def _bits(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], _I64)

    return types.int64(types.float64), codegen


@intrinsic
def _from_bits(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def _halved(typingctx, x):
    """Shift a number that is not negative: there is no vector form of the signed shift."""

    def codegen(context, builder, signature, args):
        return builder.lshr(args[0], _I64(1))

    return types.int64(types.int64), codegen


def _call(builder, name, args):
    kind = args[0].type
    function = ir.FunctionType(kind, [kind] * len(args))
    return builder.call(builder.module.declare_intrinsic(name, [kind], function), args)


def _llvm(name):
    """Make a function of an operation that LLVM has."""

    @intrinsic
    def function(typingctx, x):
        return x(x), lambda context, builder, signature, args: _call(builder, name, args)

    return function


@intrinsic
def _fma(typingctx, x, y, z):
    """Give x * y + z, rounded once where the processor does that as fast."""

    def codegen(context, builder, signature, args):
        return _call(builder, "llvm.fmuladd", args)

    return x(x, x, x), codegen


floor, ceil, trunc, rint = map(_llvm, ("llvm.floor", "llvm.ceil", "llvm.trunc", "llvm.rint"))
fabs, sqrt = map(_llvm, ("llvm.fabs", "llvm.sqrt"))


def _extreme(order):
    """Make the larger or the smaller of two, NaN if one is, as NumPy has it."""

    @intrinsic
    def function(typingctx, x, y):
        def codegen(context, builder, signature, args):
            if isinstance(x, types.Float):
                first = builder.fcmp_ordered(order, *args)
                first = builder.or_(first, builder.fcmp_unordered("uno", args[0], args[0]))
            elif x.signed:
                first = builder.icmp_signed(order, *args)
            else:
                first = builder.icmp_unsigned(order, *args)
            return builder.select(first, *args)

        return x(x, x), codegen

    return function


maximum, minimum = _extreme(">="), _extreme("<=")

# -- polynomials ----------------------------------------------------------------------------------

_LOG2E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
_SHIFT = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to an integer, in the lowest bits
_SHIFT_BITS = 0x4338000000000000
_BIAS = 1023
_inline = njit(forceinline=True, error_model="numpy")


@_inline
def _series(r):
    """(exp(r) - 1 - r) / r² for |r| <= ln(2) / 2, to 0.1 units in the last place of exp."""
    q = 2.510038549551032e-08
    q = _fma(q, r, 2.7620088445409746e-07)
    q = _fma(q, r, 2.7557268459997064e-06)
    q = _fma(q, r, 2.4801521295954376e-05)
    q = _fma(q, r, 0.00019841269863053618)
    q = _fma(q, r, 0.0013888888917213717)
    q = _fma(q, r, 0.008333333333330062)
    q = _fma(q, r, 0.04166666666662413)
    q = _fma(q, r, 0.16666666666666669)
    return _fma(q, r, 0.5)


@_inline
def _scaled_exp(x, power):
    """exp(x) * 2**power: x = n ln(2) + r, and 2**n in two factors, for it may be out of range."""
    x = select(x > 800.0, 800.0, select(x < -800.0, -800.0, x))
    shifted = _fma(x, _LOG2E, _SHIFT)
    n = shifted - _SHIFT
    r = _fma(n, -_LN2_LOW, _fma(n, -_LN2_HIGH, x))
    exponent = _bits(shifted) - _SHIFT_BITS + (2 * _BIAS + power)
    first = _halved(exponent)
    scale, rest = _from_bits(first << 52), _from_bits((exponent - first) << 52)
    return (1.0 + _fma(r * r, _series(r), r)) * scale * rest


@_inline
def exp(x):
    return _scaled_exp(x, 0)


@_inline
def cosh(x):
    half = _scaled_exp(fabs(x), -1)
    return half + 0.25 / half


@_inline
def expm1(x):
    """2**n (exp(r) - 1) + (2**n - 1), which cancels nothing."""
    bounded = select(x > 800.0, 800.0, select(x < -60.0, -60.0, x))
    shifted = _fma(bounded, _LOG2E, _SHIFT)
    n = shifted - _SHIFT
    r = _fma(n, -_LN2_LOW, _fma(n, -_LN2_HIGH, bounded))
    exponent = _bits(shifted) - _SHIFT_BITS + 2 * _BIAS
    first = _halved(exponent)
    second = exponent - first
    scale, rest = _from_bits(first << 52), _from_bits(second << 52)
    small = _fma(r * r, _series(r), r)
    result = _fma(scale, small, scale - _from_bits((2 * _BIAS - second) << 52)) * rest
    return select(n == 0.0, select(x == 0.0, x, small), result)


@_inline
def tanh(x):
    grown = expm1(2.0 * select(fabs(x) > 30.0, 30.0, fabs(x)))
    size = grown / (grown + 2.0)
    return select(x < 0.0, -size, select(x == 0.0, x, select(x != x, x, size)))


@_inline
def _log(x, correction):
    """log(x) + correction, for a correction that is small beside it."""
    tiny = x < 2.2250738585072014e-308
    bits = _bits(select(tiny, x * 18014398509481984.0, x))  # 2**54
    offset = bits - 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2): the exponent of what lies above
    exponent = offset >> 52
    f = _from_bits(bits - (exponent << 52)) - 1.0
    n = _from_bits(exponent + _SHIFT_BITS) - _SHIFT - select(tiny, 54.0, 0.0)
    s = f / (2.0 + f)
    z = s * s
    q = 0.14617557872993966
    q = _fma(q, z, 0.15331631907959511)
    q = _fma(q, z, 0.18182891824705943)
    q = _fma(q, z, 0.22222211097729647)
    q = _fma(q, z, 0.2857142862620264)
    q = _fma(q, z, 0.39999999999899005)
    q = _fma(q, z, 0.666666666666667)
    half = 0.5 * f * f
    low = _fma(n, _LN2_LOW, correction)
    result = _fma(n, _LN2_HIGH, f - (half - _fma(s, _fma(z, q, half), low)))
    result = select(x == math.inf, x, result)
    return select(x > 0.0, result, select(x == 0.0, -math.inf, math.nan))


@_inline
def log(x):
    return _log(x, 0.0)


@_inline
def log1p(x):
    """log(u) for u = 1 + x as it is rounded, and what was lost by rounding, over u."""
    u = 1.0 + x
    lost = select(fabs(x) < 1.0, x - (u - 1.0), 1.0 - (u - x))
    correction = select((u > 0.0) & (u < math.inf), lost / u, 0.0)
    return select(x == 0.0, x, _log(u, correction))


_PYTHON = (
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "asinh", "acosh", "atanh", "log2", "log10",
    "atan2", "hypot", "pow", "copysign",
)  # fmt: skip
_DTYPES = ("uint8", "int32", "int64", "float32", "float64")

#: All names that the text of a kernel has.
NAMESPACE: dict[str, Any] = {
    "flush": flush, "restore": restore, "select": select, "total": total,
    "product": product, "unusual": unusual, "floor": floor,
    "ceil": ceil, "trunc": trunc, "rint": rint, "fabs": fabs, "sqrt": sqrt, "maximum": maximum,
    "minimum": minimum, "exp": exp, "cosh": cosh, "expm1": expm1, "tanh": tanh, "log": log,
    "log1p": log1p, "inf": math.inf, "nan": math.nan,
    **{name: getattr(math, name) for name in _PYTHON},
    **{name: getattr(types, name) for name in _DTYPES},
    **{f"stack_{name}": _stack(element_type(np.dtype(name))) for name in (*_DTYPES, "bool")},
}  # fmt: skip
