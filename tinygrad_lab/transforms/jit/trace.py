"""``Traced``: an array that carries its value and remembers the call that made it.

It flows under tensors, through rules, layers and optimizers, as any array does that speaks NumPy's
protocols.  Each call is computed on the values, so recording is the first eager call, and leaves an
instruction behind.  ``bool()`` of one notes which way was taken; what would make a constant of a
value that is another in the next call is refused.

Not for: what is an input (``state.py``), or what becomes of the instructions (``passes.py``).
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn
from weakref import ref as weak

import numpy as np

from tinygrad_lab.core import engine
from tinygrad_lab.core.callers import plain_array_written_to
from tinygrad_lab.core.dispatch import apply
from tinygrad_lab.core.engine import NO_KWARGS
from tinygrad_lab.core.operations import NUMPYS, Op, Primitive
from tinygrad_lab.core.ownership import as_it_lies, is_same
from tinygrad_lab.core.several import holds_tensor
from tinygrad_lab.transforms.jit.kernels import PLAIN, is_kernel
from tinygrad_lab.transforms.jit.program import (
    Input,
    Instruction,
    Kind,
    Ref,
    astype,
    draw,
    expect,
    expect_shape,
    kind_of,
    refs,
)
from tinygrad_lab.transforms.jit.reach import NotRecordable

__all__ = ["Trace", "Traced", "TracedGenerator", "TracingError", "untraced"]


class TracingError(TypeError):
    """Something in a function that is being recorded would be a stale constant in later calls."""


#: What depends on shapes and dtypes alone, so that it is the same in each call.
_STATIC = frozenset({
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj, np.isrealobj,
    np.min_scalar_type, np.common_type, np.ones_like, np.zeros_like, np.empty_like, np.isscalar,
    np.isfortran, np.einsum_path,
})  # fmt: skip

#: What depends on where the memory of arrays lies, which is elsewhere in each call.
_OF_MEMORY: frozenset[Op] = frozenset({np.may_share_memory, np.shares_memory})

#: What gives results whose shape depends on values.
_RAGGED = frozenset({
    np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.compress, np.extract, np.trim_zeros,
    np.roots, np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d, np.unique_values,
    np.unique_counts, np.unique_inverse, np.unique_all, np.repeat, np.polydiv, np.polysub,
    np.polyadd, np.polymul, np.histogram_bin_edges, np.delete, np.insert, np.bincount,
    np.linalg.lstsq, np.ediff1d, np.poly1d, np.ix_, np.polyfit, np.split, np.array_split,
})  # fmt: skip

#: What gives real or complex results, as values will have it.
_REAL_OR_COMPLEX = frozenset({
    np.linalg.eig, np.linalg.eigvals, np.roots, np.poly, np.real_if_close, np.emath.sqrt,
    np.emath.log, np.emath.log2, np.emath.log10, np.emath.logn, np.emath.power, np.emath.arccos,
    np.emath.arcsin, np.emath.arctanh,
})  # fmt: skip

_NUMBERS = (bool, int, float, complex)
_PACKAGE = __name__.partition(".")[0]


class Trace:
    """The instructions of one call, as they come."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.inputs: list[Input] = []
        self.values: list[Any] = []  # of the inputs, in this call
        self.instructions: list[Instruction] = []
        self.alive: list[Any] = []  # weak references to what was traced
        self.is_finished = False
        self.is_repeatable = True  # False where the call met an invalid operation
        self.constants: dict[int, Any] = {}  # arrays that are no inputs, by identity
        self._kept: dict[int, Any] = {}  # and what the program has of each
        self.draws: list[tuple[Ref, Any]] = []  # what was drawn from generators
        self.looked_at: set[int] = set()  # the values whose shapes or dtypes were asked for
        self._underflow = ""  # what it does where the call was made
        self._unseen = 0  # the first instruction that no pass has looked at
        self._had_backward = False

    # -- inputs and instructions --------------------------------------------------------------

    def input(self, name: str, value: Any) -> Any:
        """Make an input of a value: what stands for it in this call."""
        if self.instructions:
            raise AssertionError("inputs come first")
        self.inputs.append(Input(name, kind_of(value)))
        self.values.append(value)
        return self.traced(value, Ref(len(self.inputs) - 1))

    def generator(self, name: str, value: np.random.Generator) -> TracedGenerator:
        """Make an input of a generator."""
        self.inputs.append(Input(name, Kind(np.random.Generator)))
        self.values.append(value)
        return TracedGenerator(self, Ref(len(self.inputs) - 1), value)

    def unseeded(self) -> TracedGenerator:
        """Make a generator that is another in each call."""
        value = np.random.default_rng()
        return TracedGenerator(self, self._append(np.random.default_rng, (), {}, value), value)

    def traced(self, value: Any, ref: Ref) -> Traced:
        """Wrap a value."""
        result = object.__new__(Traced)
        result.trace, result.ref, result.value = self, ref, value
        self.alive.append(weak(result))
        return result

    def call(self, op: Op, args: Sequence[Any], kwargs: Mapping[str, Any] = NO_KWARGS) -> Any:
        """Compute a call and note it; a tensor among the arguments takes it."""
        if holds_tensor(args) or holds_tensor(kwargs):  # also where NumPy asks nobody: dx=t
            return apply(op, tuple(args), kwargs)
        if op in _OF_MEMORY:
            self._refuse(f"np.{op.__name__}()", "Look at that outside")
        values = untraced(tuple(args))
        named = {key: untraced(value) for key, value in kwargs.items()}
        self._check()
        try:
            value = op(*values, **named)
        except (ArithmeticError, np.linalg.LinAlgError):  # which somebody may catch
            self.is_repeatable = False
            raise
        if op in _STATIC:
            self.looked_at.update(
                ref.number for ref in refs(self._referred([*args, *kwargs.values()]))
            )
            return value
        return self.note(op, args, kwargs, value)

    def note(self, op: Op, args: Sequence[Any], kwargs: Any, value: Any) -> Any:
        """Append an instruction whose result is known, and wrap that."""
        self._check()
        args = tuple(map(self._referred, args))
        kwargs = {key: self._referred(item) for key, item in kwargs.items()}
        result = self._append(op, args, kwargs, value)
        if op is draw:
            self.draws.append((result, value))
        if op in _RAGGED or (op in _PERHAPS_RAGGED and _PERHAPS_RAGGED[op](self, *args, **kwargs)):
            self._expect(result, value, self._expect_shape)
        if op in _REAL_OR_COMPLEX:
            self._expect(result, value, self._expect_class)
        return self._opened(result, value)

    def _append(self, op: Op, args: Any, kwargs: Any, value: Any) -> Ref:
        phase = "update" if self._had_backward else "forward"
        errors = np.geterr()
        if errors["under"] not in ("ignore", self._underflow):
            raise NotRecordable("np.errstate(under=...) inside: numbers that fade are not seen")
        quiet = errors["over"] == "ignore"
        line = Instruction(op, args, kwargs, kind_of(value), phase, quiet=quiet)
        self.instructions.append(line)
        return Ref(len(self.inputs) + len(self.instructions) - 1)

    def _opened(self, ref: Ref, value: Any) -> Any:
        """Wrap a result; of several results, each."""
        if isinstance(value, (tuple, list)):
            parts = [
                self._opened(self._append(operator.getitem, (ref, i), {}, part), part)
                for i, part in enumerate(value)
            ]
            if hasattr(value, "_make"):
                return type(value)._make(parts)
            return type(value)(parts) if type(value) in (tuple, list) else tuple(parts)
        if isinstance(value, str):
            self._refuse("a text")
        return self.traced(value, ref)

    def _expect(self, ref: Ref, value: Any, what: Callable[[Ref, Any], None]) -> None:
        """Note what is expected of a result in later calls; of several results, of each."""
        if isinstance(value, (tuple, list)):
            for i, part in enumerate(value):
                self._expect(self._append(operator.getitem, (ref, i), {}, part), part, what)
        elif isinstance(value, np.ndarray):
            what(ref, value)

    def _expect_shape(self, ref: Ref, value: Any) -> None:
        self._append(expect_shape, (ref, value.shape), {}, None)

    def _expect_class(self, ref: Ref, value: Any) -> None:
        is_complex = np.iscomplexobj(value)
        known = self._append(np.iscomplexobj, (ref,), {}, is_complex)
        self._append(expect, (known, is_complex), {}, None)

    def _refuse(self, what: str, remedy: str = "Return it, and look at that") -> NoReturn:
        self._check()
        if a := plain_array_written_to(sys._getframe(1)):  # noqa: SLF001 - as callers.py says
            what = f"{a}[i] = t, into a plain array {a},"
            remedy = f"Say {a} = tl.tensor({a}) before"
        raise TracingError(
            f"{what} of a value in {self.name}, which is being recorded: the number would be a "
            f"constant in all later calls. {remedy}"
        )

    def _referred(self, value: Any) -> Any:
        """Put refs for what is traced inside a value, and remember arrays that are not."""
        kind = type(value)
        if kind is Traced:
            if value.trace is not self:
                value.trace.refuse_foreign(self)
            return value.ref
        if kind in (tuple, list):
            return kind(map(self._referred, value))
        if isinstance(value, (tuple, list)):
            return value if hasattr(value, "_fields") else tuple(map(self._referred, value))
        if kind is dict:
            return {key: self._referred(item) for key, item in value.items()}
        if kind is slice:
            return slice(*map(self._referred, (value.start, value.stop, value.step)))
        if kind is TracedGenerator:
            return value.ref
        return self._constant(value) if isinstance(value, np.ndarray) else value

    def _constant(self, array: Any) -> Any:
        """Keep the numbers of an array that is no input: more may be written into it later."""
        self.constants[id(array)] = array
        kept = self._kept.get(id(array))
        if kept is None or not is_same(kept, array):
            kept = as_it_lies(array)
            if kept is not array:
                self._kept[id(array)] = kept
        return kept

    def _check(self) -> None:
        if self.is_finished:
            raise TracingError(
                f"a value of a recorded call of {self.name} was used after that call. It belongs "
                "to that call alone: return it, and use what the call returns"
            )

    def refuse_foreign(self, other: Trace) -> NoReturn:
        """Say that a value of this trace turned up in another."""
        self._check()
        raise TracingError(
            f"a value of the recorded call of {self.name} was used in that of {other.name}, which "
            "does not know it: hand it over as an argument"
        )

    def guard(self, traced: Traced, outcome: bool) -> bool:
        """Note that the program is only for calls in which a value is as true as in this."""
        self._check()
        self._append(expect, (traced.ref, outcome), {}, None)
        return outcome

    # -- which line is what -------------------------------------------------------------------

    def credit(self, result: Any, primitive: str, begin: int) -> None:
        """Note which primitive a result is of, if it was computed since line ``begin``."""
        at = (_number(result) or 0) - len(self.inputs)
        if at >= begin:
            self.instructions[at] = self.instructions[at]._replace(hint=primitive)

    def visiting(self, visit: Any) -> Any:
        """Look at each node of a backward pass that begins now, besides its own ``visit``."""
        self._unseen = begin = len(self.instructions)
        of_leaf: dict[Any, int | None] = {}

        def look(node: Any, g: Any, contributions: Any) -> None:
            for parent, arg in zip(node.parents or (), node.args or (), strict=False):
                if parent is not None and parent.op is None:
                    of_leaf.setdefault(parent, _number(arg))
            of = of_leaf.get(node) if node.op is None else _number(node.value)
            if self._unseen == begin and not self._had_backward and g.size == 1:
                self.credit(node.value, "loss", 0)
            self._note_backward(node.name, of)
            self._note_gradient(_number(g), of, begin, node.op is None)
            if visit is not None:
                visit(node, g, contributions)

        return look

    def _note_backward(self, rule: str, of: int | None) -> None:
        """Note that the newest lines differentiate the value ``of``."""
        for i in range(self._unseen, len(self.instructions)):
            line = self.instructions[i]
            if rule == "leaf" and i:  # a copy of what the rule before has given
                rule = self.instructions[i - 1].rule
            self.instructions[i] = line._replace(phase="backward", of=of, rule=rule)
        self._unseen = len(self.instructions)
        self._had_backward = True

    def _note_gradient(self, number: int | None, of: int | None, begin: int, leaf: bool) -> None:
        """Note that a value is the gradient of another, if a pass that began there computed it.

        What is the gradient of several is called after a leaf, or after what a primitive gave.
        """
        at = (number or 0) - len(self.inputs)
        if at < begin:
            return
        is_better = leaf or (of is not None and of >= len(self.inputs) and (
            self.instructions[of - len(self.inputs)].hint != ""
        ))  # fmt: skip
        if is_better or self.instructions[at].gradient_of is None:
            self.instructions[at] = self.instructions[at]._replace(gradient_of=of)

    @contextmanager
    def recording(self) -> Iterator[Trace]:
        """Record what is computed inside, and let nothing be computed with it afterwards."""
        self.is_finished = False
        self._underflow = np.geterr()["under"]
        token = engine.recorder.set(self)
        try:
            yield self
        finally:
            engine.recorder.reset(token)
            self.is_finished = True


def untraced(value: Any) -> Any:
    """Give the values of this call for what is traced inside a value."""
    kind = type(value)
    if kind is Traced:
        return value.value
    if kind in (tuple, list):
        return kind(map(untraced, value))
    if kind is dict:
        return {key: untraced(item) for key, item in value.items()}
    if kind is slice:
        return slice(untraced(value.start), untraced(value.stop), untraced(value.step))
    if kind is not tuple and isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(map(untraced, value))
    return value


def _number(value: Any) -> int | None:
    """The number of a traced value, or of what a tensor holds."""
    value = getattr(value, "data", value) if type(value) is not Traced else value
    return value.ref.number if type(value) is Traced else None


def _takes_some(trace: Trace, _: Any, index: Any) -> bool:
    """Whether an index has a mask or a slice in it whose values are the call's own."""
    parts = index if type(index) is tuple else (index,)
    if any(type(part) is slice and any(True for _ in refs(part)) for part in parts):
        return True
    count = len(trace.inputs)
    for ref in refs(index):
        n = ref.number
        kind = trace.inputs[n].kind if n < count else trace.instructions[n - count].kind
        if kind.dtype == np.dtype(bool):
            return True
    return False


#: What gives results whose shape depends on values in some of its forms.
_PERHAPS_RAGGED: dict[Op, Callable[..., bool]] = {
    operator.getitem: _takes_some,
    np.where: lambda trace, condition, *choices: not choices,
    np.histogram: lambda trace, a, bins=10, *args, **kwargs: isinstance(bins, str),
}


# -- the array ------------------------------------------------------------------------------------


def _operator(ufunc: Op, plain: Op) -> tuple[Any, Any]:
    """Define an operator and its reflection: NumPy's on arrays, Python's on its numbers."""

    def choose(x: Any, y: Any) -> Op:
        x = x.value if type(x) is Traced else x
        y = y.value if type(y) is Traced else y
        return plain if isinstance(x, _NUMBERS) and isinstance(y, _NUMBERS) else ufunc

    def method(self: Traced, other: Any) -> Any:
        if not _is_operand(other):
            return NotImplemented
        return self.trace.call(choose(self, other), (self, other))

    def reflected(self: Traced, other: Any) -> Any:
        if not _is_operand(other):
            return NotImplemented
        return self.trace.call(choose(other, self), (other, self))

    return method, reflected


def _is_operand(other: Any) -> bool:
    """Whether NumPy's arithmetic is meant, and not another class's: a tensor's, say."""
    return type(other) in (Traced, np.ndarray, *_NUMBERS) or isinstance(other, (np.generic, list))


def _unary(ufunc: Op, plain: Op) -> Any:
    def method(self: Traced) -> Any:
        return self.trace.call(plain if isinstance(self.value, _NUMBERS) else ufunc, (self,))

    return method


def _of_value(name: str) -> Any:
    def get(self: Traced) -> Any:
        self.trace.looked_at.add(self.ref.number)
        return getattr(self.value, name)

    return property(get)


def _method(function: Any) -> Any:
    def method(self: Traced, *args: Any, **kwargs: Any) -> Any:
        return self.trace.call(function, (self, *args), kwargs)

    return method


def _refused(what: str, remedy: str) -> Any:
    def method(self: Traced, *_: Any, **__: Any) -> NoReturn:
        self.trace._refuse(what, remedy)  # noqa: SLF001 - its own trace

    return method


def _asked_by_us() -> bool:
    """Whether what asks is this package or NumPy, and no code of a user's."""
    frame: Any = sys._getframe(2)  # noqa: SLF001 - the code that asks
    while frame.f_globals.get("__name__") == "abc":
        frame = frame.f_back
    return frame.f_globals.get("__name__", "").partition(".")[0] in (_PACKAGE, "numpy")


class Traced:
    """A value of a call that is being recorded."""

    __slots__ = ("__weakref__", "ref", "trace", "value")

    trace: Trace
    ref: Ref
    value: Any

    __array_priority__ = 1.0

    shape, ndim, size = map(_of_value, ("shape", "ndim", "size"))
    dtype, itemsize, nbytes = map(_of_value, ("dtype", "itemsize", "nbytes"))
    flags = _of_value("flags")

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """What ``isinstance`` says to a user's code: the class of the value."""
        return Traced if _asked_by_us() else type(self.value)

    def __getattr__(self, name: str) -> Any:
        if hasattr(self.value, name) and not name.startswith("_") and not _asked_by_us():
            raise NotRecordable(f"{name} of an array is asked for")
        raise AttributeError(f"a value that is being recorded has no attribute {name!r}")

    # -- NumPy's protocols --------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not all(_declares_no_override(x) for x in inputs):
            return NotImplemented
        if kwargs.get("out") is not None:
            _refuse_writing(self, f"np.{ufunc.__name__}(..., out=...)")
        if method == "at":
            _refuse_writing(self, f"np.{ufunc.__name__}.at")
        if method == "__call__":
            return self.trace.call(ufunc, inputs, kwargs)
        return self.trace.call(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Op, types: Any, args: Any, kwargs: Any) -> Any:
        if not all(issubclass(t, _KNOWN) for t in types):
            return NotImplemented
        trace = self.trace
        if kwargs.get("out") is not None:
            _refuse_writing(self, f"np.{function.__name__}(..., out=...)")
        if function in _WRITES:
            _refuse_writing(self, f"np.{function.__name__}")
        if function in _TELLS:
            trace._refuse(f"np.{function.__name__}")  # noqa: SLF001 - its own trace
        function = PLAIN.get(function, function)
        body = getattr(function, "__wrapped__", None)
        if Primitive in types and body is not None and not is_kernel(function):
            begin = len(trace.instructions)
            result = body(*args, **kwargs)
            trace.credit(result, function.__name__, begin)
            return result
        return trace.call(function, args, kwargs)

    __array__ = _refused("np.asarray", "Compute with NumPy's functions, which take it as it is")

    # -- operators ----------------------------------------------------------------------------

    __add__, __radd__ = _operator(np.add, operator.add)
    __sub__, __rsub__ = _operator(np.subtract, operator.sub)
    __mul__, __rmul__ = _operator(np.multiply, operator.mul)
    __truediv__, __rtruediv__ = _operator(np.divide, operator.truediv)
    __floordiv__, __rfloordiv__ = _operator(np.floor_divide, operator.floordiv)
    __mod__, __rmod__ = _operator(np.remainder, operator.mod)
    __pow__, __rpow__ = _operator(operator.pow, operator.pow)  # x ** 2 is no np.power in NumPy
    __matmul__, __rmatmul__ = _operator(np.matmul, operator.matmul)
    __and__, __rand__ = _operator(np.bitwise_and, operator.and_)
    __or__, __ror__ = _operator(np.bitwise_or, operator.or_)
    __xor__, __rxor__ = _operator(np.bitwise_xor, operator.xor)
    __lshift__, __rlshift__ = _operator(np.left_shift, operator.lshift)
    __rshift__, __rrshift__ = _operator(np.right_shift, operator.rshift)
    __lt__, __gt__ = _operator(np.less, operator.lt)[0], _operator(np.greater, operator.gt)[0]
    __le__, __ge__ = (
        _operator(np.less_equal, operator.le)[0],
        _operator(np.greater_equal, operator.ge)[0],
    )
    __eq__, __ne__ = (
        _operator(np.equal, operator.eq)[0],
        _operator(np.not_equal, operator.ne)[0],
    )
    __neg__ = _unary(np.negative, operator.neg)
    __pos__ = _unary(np.positive, operator.pos)
    __abs__ = _unary(np.absolute, operator.abs)
    __invert__ = _unary(np.invert, operator.invert)

    def __hash__(self) -> int:
        if isinstance(self.value, _NUMBERS) and not _asked_by_us():
            self.trace._refuse("a key", "Compare it")  # noqa: SLF001 - its own trace
        return object.__hash__(self)

    def _assign(self, _: Any) -> Any:
        if isinstance(self.value, np.ndarray):
            _refuse_writing(self, "x += y, and its like,")
        return NotImplemented  # a number: x = x + y

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ifloordiv__ = __imod__ = _assign
    __ipow__ = __imatmul__ = __iand__ = __ior__ = __ixor__ = __ilshift__ = __irshift__ = _assign

    def __getitem__(self, index: Any) -> Any:
        return self.trace.call(operator.getitem, (self, index))

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        _refuse_writing(self, "x[i] = v")

    def __len__(self) -> int:
        self.trace.looked_at.add(self.ref.number)
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return self.trace.guard(self, bool(self.value))

    def __contains__(self, item: Any) -> bool:
        return bool((self == item).any())

    _USE_ARRAY = "Compute with it as it is, as with an array; for a branch, compare (x > 3)"
    __float__ = _refused("float()", _USE_ARRAY)
    __int__ = _refused("int()", _USE_ARRAY)
    __complex__ = _refused("complex()", _USE_ARRAY)
    _refuse_size = _refused(
        "a size or an index",
        "Sizes are part of what is recorded: hand it over as a number of Python's own",
    )
    item = _refused("item()", _USE_ARRAY)
    tolist = _refused("tolist()", _USE_ARRAY)
    tobytes = _refused("tobytes()", _USE_ARRAY)
    fill = _refused("fill()", "Say np.full_like")
    sort = _refused("sort()", "Say np.sort(x)")

    def __index__(self) -> int:
        """Give a whole number that was computed, for a size: the program is for that alone."""
        value = self.value
        if isinstance(value, _NUMBERS) or np.ndim(value) or value.dtype.kind not in "iu":
            self._refuse_size()
        bool(self == value)
        return int(value)

    def __round__(self, digits: int = 0) -> Any:
        return self.trace.call(np.round, (self, digits))

    def __repr__(self) -> str:
        return f"<{kind_of(self.value)}, a value of {self.trace.name} while it is recorded>"

    def __format__(self, spec: str) -> str:
        if spec:
            _refused("a text", "Return it, and print that")(self)
        return repr(self)

    __reduce__ = _refused("a copy or a pickle", "Return it")

    # -- the methods that every array has -----------------------------------------------------

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """Convert."""
        if np.dtype(dtype) == self.dtype and not copy:
            return self
        return self.trace.call(astype, (self, np.dtype(dtype)))

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        """Give the same elements another shape."""
        wanted = shape[0] if len(shape) == 1 else shape
        return self.trace.call(np.reshape, (self, wanted), {"order": order} if order != "C" else {})

    def transpose(self, *axes: Any) -> Any:
        """Permute the axes."""
        wanted = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return self.trace.call(np.transpose, (self, wanted) if wanted else (self,))

    T = property(lambda self: self.trace.call(np.transpose, (self,)))
    mT = property(lambda self: self.trace.call(np.swapaxes, (self, -1, -2)))  # noqa: N815
    real = property(lambda self: self.trace.call(np.real, (self,)))
    imag = property(lambda self: self.trace.call(np.imag, (self,)))
    flat = property(lambda self: self.trace.call(np.ravel, (self,)))

    def copy(self, order: str = "C") -> Any:
        """The same values, in C's order unless told otherwise: ``np.copy`` keeps theirs."""
        return self.trace.call(np.copy, (self,), {"order": order})

    def flatten(self, order: str = "C") -> Any:
        """All elements along one axis."""
        return self.trace.call(np.ravel, (self, order))

    conj = conjugate = _unary(np.conjugate, np.conjugate)
    sum, mean, prod, min, max = map(_method, (np.sum, np.mean, np.prod, np.min, np.max))
    std, var, any, all = map(_method, (np.std, np.var, np.any, np.all))
    argmin, argmax, argsort, nonzero = map(_method, (np.argmin, np.argmax, np.argsort, np.nonzero))
    ravel, squeeze, swapaxes = map(_method, (np.ravel, np.squeeze, np.swapaxes))
    cumsum, cumprod, clip, dot = map(_method, (np.cumsum, np.cumprod, np.clip, np.dot))
    take, repeat, round, trace_ = map(_method, (np.take, np.repeat, np.round, np.trace))
    diagonal, searchsorted, ptp = map(_method, (np.diagonal, np.searchsorted, np.ptp))
    compress, choose = map(_method, (np.compress, np.choose))


def _declares_no_override(x: Any) -> bool:
    """Whether a ufunc's operand leaves the call to a traced array: a tensor does not."""
    kind = type(x)
    return (
        kind is Traced
        or kind is np.ndarray
        or not hasattr(kind, "__array_ufunc__")
        or (isinstance(x, np.generic))
    )


def _refuse_writing(traced: Traced, what: str) -> NoReturn:
    traced.trace._check()  # noqa: SLF001 - its own trace
    raise TracingError(
        f"{what} writes into an array of {traced.trace.name}, which is being recorded, and traced "
        "arrays are values: say np.where(condition, new, x), or make a tl.Tensor of it, whose "
        "t[i] = v is recorded"
    )


_TELLS = frozenset({
    np.array2string, np.array_repr, np.array_str, np.save, np.savez, np.savez_compressed,
    np.savetxt,
})  # fmt: skip
_WRITES = frozenset({np.put, np.copyto, np.place, np.putmask, np.fill_diagonal, np.put_along_axis})


class TracedGenerator(np.random.Generator):
    """A generator of random numbers whose draws are instructions."""

    def __init__(self, trace: Trace, ref: Ref, generator: np.random.Generator) -> None:
        super().__init__(generator.bit_generator)
        self.ref = ref
        self._trace = trace

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name.startswith("_") or name in ("bit_generator", "ref") or not callable(value):
            return value
        if name in ("shuffle", "spawn"):
            raise TracingError(
                f"rng.{name}() in a function that is being recorded changes what it is given: say "
                "rng.permutation(x), or draw outside"
            )

        def drawn(*args: Any, **kwargs: Any) -> Any:
            trace = self._trace
            result = value(*untraced(args), **{k: untraced(v) for k, v in kwargs.items()})
            return trace.note(draw, (self, name, *args), kwargs, result)

        return drawn


_KNOWN = (Traced, np.ndarray, Primitive)
NUMPYS.add(Traced)
