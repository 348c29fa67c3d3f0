"""Random programs that every backend must run as ``evaluate`` does."""

from __future__ import annotations

import operator
from random import Random
from typing import Any

import numpy as np

from tinygrad_lab.transforms.jit.program import (
    Input,
    Instruction,
    Program,
    Ref,
    astype,
    expect,
    kind_of,
    mapped,
)

SIZES = (1, 2, 3, 5, 9, 17, 33)
UNARY = (
    np.negative, np.absolute, np.square, np.sign, np.tanh, np.exp, np.sqrt, np.log, np.log1p,
    np.expm1, np.cosh, np.floor, np.ceil, np.rint, np.trunc, np.reciprocal, np.sin, np.arctan,
    np.isnan, np.isfinite, np.isinf, np.logical_not, np.positive, np.copy, np.conjugate, np.fabs,
    np.invert,
)  # fmt: skip
BINARY = (
    np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.less, np.less_equal,
    np.greater, np.greater_equal, np.equal, np.not_equal, np.fmax, np.fmin, np.arctan2, np.hypot,
    np.copysign, np.heaviside, np.logical_and, np.logical_or, np.logical_xor, np.bitwise_and,
    np.bitwise_or, np.bitwise_xor, np.power,
)  # fmt: skip
REDUCTIONS = (
    np.sum, np.max, np.min, np.mean, np.any, np.all, np.prod, np.add.reduce, np.maximum.reduce,
    np.count_nonzero,
)  # fmt: skip
DTYPES = ("float64", "float64", "float64", "float32", "float32", "int64", "int32", "uint8", "bool")
CALLS = (np.cumsum, np.sort, np.flip)


class Builder:
    """A program, line by line, with the values of one call."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.inputs: list[Any] = []
        self.lines: list[Instruction] = []
        self.values: list[Any] = []

    def input(self, value: Any) -> Ref:
        """Add an input."""
        self.inputs.append(value)
        self.values.append(value)
        return Ref(len(self.values) - 1)

    def line(self, op: Any, *args: Any, **kwargs: Any) -> Ref | None:
        """Add a line, unless NumPy refuses it or gives what is not finite."""
        value = lambda ref: self.values[ref.number]
        try:
            with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="raise"):
                result = op(*mapped(args, value), **mapped(kwargs, value))
        except (TypeError, ValueError, IndexError, ArithmeticError):
            return None
        if result is None:
            self.lines.append(Instruction(op, args, kwargs, kind_of(None), quiet=True))
            self.values.append(None)
            return None
        if not isinstance(result, (np.ndarray, np.generic)) or result.size > 3000:
            return None
        if not np.all(np.isfinite(result)) or np.any(np.abs(result.astype(float)) > 1e6):
            return None
        self.lines.append(Instruction(op, args, kwargs, kind_of(result), quiet=True))
        self.values.append(result)
        return Ref(len(self.values) - 1)

    def array(self, shape: tuple[int, ...]) -> Any:
        """Draw an array, not always in C's order."""
        dtype = np.dtype(self.random.choice(DTYPES))
        rng = np.random.default_rng(self.random.randrange(1 << 20))
        if dtype.kind == "f":
            value = rng.normal(size=shape).astype(dtype)
        else:
            value = rng.integers(0, 2 if dtype.kind == "b" else 9, size=shape).astype(dtype)
        if not shape:
            return value[()]
        order = self.random.randrange(6)
        if order == 0:
            value = np.asfortranarray(value)
        elif order == 1:
            value = np.repeat(value, 2, axis=-1)[..., ::2]
        elif order == 2:
            value.flags.writeable = False
        return value

    def operand(self) -> Any:
        """Choose a value of the program, or a constant."""
        if self.random.randrange(6) == 0:
            return self.random.choice((2, 0.5, -1.25, 3, True, np.float64(0.75), np.float32(1.5)))
        numbers = [i for i, v in enumerate(self.values) if v is not None]
        recent = numbers[-6:] if self.random.random() < 0.6 else numbers
        return Ref(self.random.choice(recent))

    def array_operand(self) -> Ref:
        """Choose an array of the program."""
        while True:
            ref = self.operand()
            if type(ref) is Ref and isinstance(self.values[ref.number], (np.ndarray, np.generic)):
                return ref

    def step(self) -> None:
        """Add a line of some sort."""
        kinds = (self._unary, self._binary, self._binary, self._reduction, self._view, self._other)
        self.random.choice((*kinds, self._product))()

    def _unary(self) -> None:
        self.line(self.random.choice(UNARY), self.array_operand())

    def _binary(self) -> None:
        op = self.random.choice(BINARY)
        args = [self.array_operand(), self.operand()]
        self.random.shuffle(args)
        self.line(op, *args)

    def _reduction(self) -> None:
        ref = self.array_operand()
        ndim = np.ndim(self.values[ref.number])
        axes: list[Any] = [None, *range(-ndim, ndim), (0, ndim - 1)]
        axis, keepdims = self.random.choice(axes), self.random.random() < 0.4
        if isinstance(axis, tuple) and ndim < 2:
            axis = None
        self.line(self.random.choice(REDUCTIONS), ref, axis=axis, keepdims=keepdims)

    def _view(self) -> None:
        ref = self.array_operand()
        shape = np.shape(self.values[ref.number])
        choice = self.random.randrange(6)
        if choice == 0:
            self.line(np.transpose, ref)
        elif choice == 1:
            self.line(np.reshape, ref, self.random.choice((-1, (1, -1), (-1, 1), (-1, 3))))
        elif choice == 2:
            self.line(np.expand_dims, ref, self.random.choice((0, -1)))
        elif choice == 3 and shape:
            self.line(np.broadcast_to, ref, (self.random.choice((2, 3)), *shape))
        elif shape:
            part = (slice(1, None), slice(None, None, 2), slice(None, None, -1), 0, -1, None, ...)
            index = tuple(self.random.choice(part) for _ in range(self.random.randint(1, 2)))
            self.line(operator.getitem, ref, index)

    def _product(self) -> None:
        fitting = [
            (Ref(i), Ref(j))
            for i, x in enumerate(self.values) for j, y in enumerate(self.values)
            if np.ndim(x) in (1, 2) and np.ndim(y) in (1, 2)
            and np.shape(x)[-1] == np.shape(y)[-2 if np.ndim(y) == 2 else -1]
        ]  # fmt: skip
        if fitting:
            self.line(np.matmul, *self.random.choice(fitting))

    def _other(self) -> None:
        choice, ref = self.random.randrange(7), self.array_operand()
        if choice == 0:
            self.line(np.where, self.array_operand(), self.operand(), ref)
        elif choice == 1:
            self.line(np.clip, ref, -0.5, self.random.choice((None, 1.5)))
        elif choice == 2:
            self.line(astype, ref, np.dtype(self.random.choice(DTYPES)))
        elif choice == 3:
            self.line(self.random.choice(CALLS), ref)
        elif choice == 4:
            value = self.values[ref.number]
            if np.ndim(value) == 0:
                self.line(expect, ref, bool(value))
        elif choice == 5:
            self.line(np.add, ref, self.array(np.shape(self.values[ref.number])))
        else:
            self.line(self.random.choice((operator.add, operator.mul)), ref, 0.5)

    def program(self, outputs: list[Ref] | None = None) -> Program:
        """Give the program; without outputs, all lines that give something come out."""
        if outputs is None:
            count = len(self.inputs)
            outputs = [Ref(i) for i, v in enumerate(self.values) if i >= count and v is not None]
        inputs = tuple(Input(f"x{i}", kind_of(v)) for i, v in enumerate(self.inputs))
        labels = tuple(f"y{ref.number}" for ref in outputs)
        return Program("random", inputs, tuple(self.lines), tuple(outputs), labels)


def draw_program(random: Random, steps: int) -> Builder:
    """Build a random program of related shapes."""
    builder = Builder(random)
    n, m = random.choice(SIZES), random.choice(SIZES)
    shapes = [(n,), (n, m), (m, n), (n, 1), (m,), (), (n, m, 2), (1, m)]
    for _ in range(random.randint(2, 5)):
        builder.input(builder.array(random.choice(shapes)))
    if random.random() < 0.5:
        builder.input(random.choice((0.25, 3)))
    for _ in range(steps):
        builder.step()
    return builder
