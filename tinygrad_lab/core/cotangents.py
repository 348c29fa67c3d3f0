"""What happens to a cotangent between two rules: added up, fitted, hooked, handed to users.

Inside the engine the conjugate of the gradient travels, so that the rule of a holomorphic function
is the one in the calculus book, without conjugations.

Not for: the rules (``rules/``) or their order (``engine.py``).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.operations import NUMPYS, Array, Op
from tinygrad_lab.core.several import Parts, Pieces, whole

if TYPE_CHECKING:
    from tinygrad_lab.core.engine import Node

RETAIN = object()  # in Node.hooks: keep the gradient on the node


def total(a: Array, b: Array) -> Array:
    """Add two contributions to one gradient: arrays into a new one, collections into the first."""
    if type(b) is Pieces and type(a) is not Pieces:
        a, b = b, a
    return _quietly(operator.iadd if type(a) in (Parts, Pieces) else operator.add, a, b)


def _quietly(function: Op, *args: Any) -> Array:
    """Call what may meet inf - inf, which is no fault of a rule's."""
    try:
        return function(*args)
    except FloatingPointError:
        with np.errstate(invalid="ignore"):
            return function(*args)


def fitted(c: Array, operand: Array) -> Array:
    """Undo broadcasting and casting: bring a contribution to its operand's shape and dtype."""
    c = whole(c)
    shape = operand.shape
    lead = c.ndim - len(shape)  # axes that are not the operand's
    if lead > 0 and c.shape[lead:] == shape:  # the usual case: a bias
        c = _quietly(type(c).sum, c, tuple(range(lead)))
    elif c.shape != shape:
        if lead < 0 or any(n not in (1, m) for n, m in zip(shape, c.shape[lead:], strict=True)):
            raise ValueError(f"it gave {describe(c)} for an argument of shape {shape}")
        stretched = [lead + i for i, n in enumerate(shape) if n == 1 and c.shape[lead + i] != 1]
        c = _quietly(type(c).sum, c, (*range(lead), *stretched)).reshape(shape)
    if c.dtype != operand.dtype:
        if c.dtype.kind == "c" and operand.dtype.kind != "c":
            c = np.real(c)
        c = c.astype(operand.dtype)
    return c


def rule_fault(error: Exception, operands: Sequence[Any]) -> Exception:
    """Say what a rule is and what it gives, where an error is that it is, or gives, none of these.

    An answer without a shape is found out where it is first asked for one, in here; a rule that
    takes other arguments, where it is called.
    """
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    is_ours = at is not None and at.tb_frame.f_globals["__name__"].startswith("tinygrad_lab.core.")
    if not is_ours:
        return error
    if isinstance(error, AttributeError) and error.name == "shape":
        missing = "; is a `return` missing?" if error.obj is None else ""
        return TypeError(f"it gave {describe(error.obj)}, which is no array{missing}")
    if isinstance(error, TypeError) and "positional argument" in str(error):
        arguments = ", ".join(["g", "y", *(f"x{i}" for i in range(len(operands)))])
        return TypeError(f"{error}; a rule takes upstream, result and operands: rule({arguments})")
    return error


def own(g: Array) -> Array:
    """Make of a cotangent a gradient that nobody else can write to."""
    return conjugate(g.copy() if type(g) in NUMPYS else from_scalar(g))


def from_scalar(value: Any) -> Any:
    """Make a 0-d array of a number, NumPy's or Python's; leave the rest alone."""
    if isinstance(value, (np.generic, float, int, complex)):
        return np.asarray(value)
    return np.reshape(value, ()) if is_traced_number(value) else value


def is_traced_number(value: Any) -> bool:
    """Whether a value stands for a number of Python's in a call that is being recorded."""
    return hasattr(value, "__array_function__") and not hasattr(value, "dtype")


def conjugate(g: Array) -> Array:
    """Turn a cotangent into what users see, or back: PyTorch's convention for complex numbers."""
    return np.conj(g) if g.dtype.kind == "c" else g


def run_hooks(node: Node, g: Array, retained: dict[Node, Array] | None) -> Array:
    """Show a complete cotangent to the hooks of its node, and take what they put in its place."""
    for hook in node.hooks or ():
        if hook is RETAIN:
            if retained is not None:
                retained[node] = own(g)
            continue
        replacement = hook(conjugate(from_scalar(g)))
        if replacement is not None:
            if getattr(replacement, "shape", None) != g.shape:
                raise ValueError(
                    f"a hook on {node.name} returned {describe(replacement)} in place of a "
                    f"gradient of shape {g.shape}"
                )
            g = conjugate(fitted(replacement, g))
    return g
