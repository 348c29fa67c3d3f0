"""What a local derivative rule does, as a formula that a reader of a picture understands.

In a formula ``g`` is the gradient that arrives, ``y`` the result, and the operands have the names
that the rule itself gives them.  Where a rule is one expression, the formula is that expression,
read from its source: a rule of the user's is shown as it was written.  Rules that are written for
the sake of precision, or of speed, are in a table here, in the words of a textbook.

Not for: the rules themselves (``core/rules``), or numbers (``measures.py``).
"""

from __future__ import annotations

import ast
import functools
import linecache
import re
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from tinygrad_lab.core.operations import OPERATIONS

__all__ = ["NO_FORMULA", "Formula", "formula"]

#: By the name of an operation: the gradient by each of its operands.
_TEXTBOOK: dict[str, tuple[str, ...]] = {
    # each element alone
    "power": ("g · p · x^(p − 1)", "g · y · ln(x)"),
    "float_power": ("g · p · x^(p − 1)", "g · y · ln(x)"),
    "sqrt": ("g / (2 · y)",),
    "log": ("g / x",),
    "log2": ("g / (x · ln 2)",),
    "log10": ("g / (x · ln 10)",),
    "log1p": ("g / (1 + x)",),
    "exp2": ("g · y · ln 2",),
    "sigmoid": ("g · y · (1 − y)",),
    "tanh": ("g · (1 − y²)",),
    "arctan": ("g / (1 + x²)",),
    "absolute": ("g · sign(x)",),
    "maximum": ("g where a > b, half of it where they are equal",
                "g where b > a, half of it where they are equal"),
    "minimum": ("g where a < b, half of it where they are equal",
                "g where b < a, half of it where they are equal"),
    "clip": ("g where low ≤ x ≤ high, else 0",),
    "where": ("", "g where the condition holds, else 0", "g where it does not, else 0"),
    "relu": ("g where x > 0, else 0",),
    "leaky_relu": ("g where x > 0, else g · negative_slope",),
    "elu": ("g where x > 0, else g · alpha · exp(x)",),
    "softplus": ("g · sigmoid(beta · x)",),
    "silu": ("g · s · (1 + x · (1 − s)) with s = sigmoid(x)",),
    "gelu": ("g · (Φ(x) + x · φ(x))",),
    "hardtanh": ("g where min_val < x < max_val, else 0",),
    # sums and selections
    "sum": ("g, the same for every element of a sum",),
    "mean": ("g / n, the same for each of the n elements of a mean",),
    "prod": ("g times the product of the other elements",),
    "max": ("g where the largest element was, else 0",),
    "min": ("g where the smallest element was, else 0",),
    "cumsum": ("the sum of g from each place on",),
    "getitem": ("g at the chosen places, 0 elsewhere",),
    "take": ("g at the chosen places, 0 elsewhere",),
    "concatenate": (),
    "stack": (),
    # the same numbers in another shape or order
    "reshape": ("g in the shape of x",),
    "squeeze": ("g in the shape of x",),
    "expand_dims": ("g in the shape of x",),
    "transpose": ("g with its axes put back",),
    "broadcast_to": ("g, summed over what was repeated",),
    "astype": ("g in the type of x",),
    # products
    "matmul": ("g @ bᵀ", "aᵀ @ g"),
    "dot": ("g @ bᵀ", "aᵀ @ g"),
    # networks
    "linear": ("g @ weight", "gᵀ @ x", "the sum of g over the samples"),
    "convolution": ("g, each element times the kernel, added up where windows overlap",
                    "x and g, correlated", "the sum of g over samples and places"),
    "max_pool": ("g where the largest element of each window was, else 0",),
    "avg_pool": ("g / n to each of the n elements of a window, added up where windows overlap",),
    "standardized": ("(g − mean(g) − y · mean(g · y)) / spread of x",),
    "softmax": ("y · (g − sum(g · y))",),
    "log_softmax": ("g − softmax(x) · sum(g)",),
    "logsumexp": ("g · softmax(x)",),
    "cross_entropy": ("g · (softmax(x) − share), where share has the weight of each class",),
    "mse_loss": ("g · 2 · (input − target) / n", "g · 2 · (target − input) / n"),
    "l1_loss": ("g · sign(input − target) / n", "g · sign(target − input) / n"),
    "logistic_loss": ("g · (sigmoid(x) − target)", "−g · x"),
}  # fmt: skip

_PACKAGE = __name__.partition(".")[0]


class Formula(NamedTuple):
    """The gradient by one operand: ``letter`` is what that operand is called in it."""

    letter: str
    text: str


NO_FORMULA = Formula("", "")


def formula(op: Any, position: int) -> Formula:
    """Give the rule by an operand; without a text where there is none that explains anything.

    Examples
    --------
    >>> import numpy as np
    >>> formula(np.multiply, 0), formula(np.tanh, 0)
    (Formula(letter='a', text='g · b'), Formula(letter='x', text='g · (1 − y²)'))
    """
    rule = _function(op, position)
    if rule is None:
        return NO_FORMULA
    letter = _letter(rule, position)
    if not _is_ours(rule):
        said = (rule.__doc__ or "").strip().partition("\n")[0]
        return Formula(letter, _as_written(rule.__code__) or said)
    known = _TEXTBOOK.get(getattr(op, "__name__", ""))
    if known is not None:
        return Formula(letter, known[position] if position < len(known) else "")
    text = _as_written(rule.__code__)
    return Formula(letter, "" if re.search(r"\b_\w", text) else text)  # a helper explains nothing


def _function(op: Any, position: int) -> FunctionType | None:
    """Give the function that is the rule of an operand."""
    operation = OPERATIONS.get(op)
    if operation is None:
        return None
    rule = operation.joint
    if rule is None or isinstance(operation.vjps, tuple):
        rule = operation.vjps[position] if operation.has_rule(position) else rule
    while isinstance(rule, functools.partial):
        rule = rule.args[0] if rule.args and callable(rule.args[0]) else rule.func
    return rule if isinstance(rule, FunctionType) else None


def _is_ours(rule: FunctionType) -> bool:
    return str(rule.__globals__.get("__name__", "")).partition(".")[0] == _PACKAGE


def _letter(rule: FunctionType, position: int) -> str:
    """Return what a rule calls an operand."""
    code = rule.__code__
    names = code.co_varnames[: code.co_argcount]
    start = names.index("y") + 1 if "y" in names else 2
    operands = names[start:]
    return operands[position] if position < len(operands) else ""


# ---- the source of a rule -----------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def _as_written(code: CodeType) -> str:
    """Return the expression that a rule is, if it is one."""
    body = _expression(code)
    if body is None:
        return ""
    text = ast.unparse(body)
    for pattern, sign in (
        (r"\bnp\.", ""), (r" \*\* 2\b", "²"), (r" \* ", " · "), (r" - ", " − "),
        (r"(?<!\w)-(?=[\w(])", "−"), (r"\.T\b", "ᵀ"),
    ):  # fmt: skip
        text = re.sub(pattern, sign, text)
    return text


def _expression(code: CodeType) -> ast.expr | None:
    """Give the expression that a function returns, if that is all it does."""
    bodies = (
        body
        for statement in _around(code.co_filename, code.co_firstlineno)
        for node in ast.walk(statement)
        if (body := _body(node)) is not None
    )
    return next((body for body in bodies if _is_at(body, code)), None)


def _body(node: ast.AST) -> ast.expr | None:
    """Give the expression that a definition of a function consists of."""
    if isinstance(node, ast.Lambda):
        return node.body
    if isinstance(node, ast.FunctionDef) and isinstance(node.body[0], ast.Return):
        return node.body[0].value
    return None


def _is_at(body: ast.expr, code: CodeType) -> bool:
    """Whether an expression is where the last of a function's instructions come from."""
    spans = [s for s in code.co_positions() if None not in s and s[2] != s[3]]
    where = (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset)
    return bool(spans) and where in spans


def _around(filename: str, line: int) -> Iterator[ast.stmt]:
    """Give the statements of a file that a line belongs to."""
    for node in _statements(filename, "".join(linecache.getlines(filename))):
        if node.lineno <= line <= (node.end_lineno or line):
            yield node


@functools.lru_cache(maxsize=16)
def _statements(filename: str, source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source, filename).body
    except (SyntaxError, ValueError):
        return []
