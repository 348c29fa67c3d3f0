"""Where calls were made: the line, and what is written there for an operand.

Not for: which call is at fault (``ledger.py``), or the lines of a backward pass (``audit.py``).
"""

from __future__ import annotations

import ast
import functools
import linecache
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import NamedTuple

from tinygrad_lab.testing.judging.judgement import line_at

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide",
    ast.Pow: "power", ast.MatMult: "matmul", ast.Mod: "remainder",
}  # fmt: skip


#: What takes a gradient away; of several expressions on a line, the one with such a sign is it.
_SIGNS = ("detach(", ".data", "float(", ".item(", "asarray(", "np.array(", "numpy(", "Tensor(")

LONGEST = 120  # characters of what is told


class Place(NamedTuple):
    """A line of a program."""

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return line_at(self.file, self.line) if self.file else ""


def place_of(site: str) -> Place:
    """Read the place of what :func:`tinygrad_lab.debug` keeps with each call."""
    match = re.match(r"(.*?):(\d+):", site, re.DOTALL)
    if match is None or "hypothesis" in PurePath(match[1]).parts:
        return Place()
    return Place(match[1], int(match[2]))


def operand_at(place: Place, name: str, position: int | str, operands: int) -> str:
    """Give what is written for an operand of an operation on a line, where one call fits alone.

    With a variable that is assigned once comes what is assigned to it: there the gradient may have
    been lost.
    """
    tree = _parsed(place.file)
    if tree is None:
        return ""
    texts: dict[str, None] = {}
    for written in _calls(tree, place.line, name.rpartition(".")[2], position, operands):
        texts[_explained(tree, place, written)] = None
    likely = [text for text in texts if _takes_away(text)]
    fitting = likely if len(likely) == 1 else list(texts)
    return fitting[0] if len(fitting) == 1 and len(fitting[0]) <= LONGEST else ""


def _takes_away(text: str) -> bool:
    return any(sign in text for sign in _SIGNS)


def _explained(tree: ast.Module, place: Place, written: ast.expr, depth: int = 3) -> str:
    """Write an expression, with the assignments that say how its gradient was lost."""
    text = ast.unparse(written)
    if isinstance(written, ast.Name):
        value, line = _assigned(tree, place, written.id)
        if value is None:
            return text
        there = Place(place.file, line)
        return f"{text} = {_explained(tree, there, value, depth - 1)}, {there}"
    if _takes_away(text) or not depth:
        return text
    inside = (node for node in ast.walk(written) if isinstance(node, ast.Name))
    for name in inside:
        if name.id != text and _takes_away(origin := _explained(tree, place, name, depth - 1)):
            return f"{text}, where {origin}"
    return text


@functools.lru_cache(maxsize=8)
def _parsed(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file))) if file else None
    except (SyntaxError, ValueError):
        return None


def _calls(
    tree: ast.Module, line: int, name: str, position: int | str, operands: int
) -> Iterator[ast.expr]:
    """Find the expressions for an operand, in all that may be calls of an operation on a line."""
    for node in ast.walk(tree):
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
        if not first <= line <= last or not isinstance(node, (ast.expr, ast.AugAssign)):
            continue
        if isinstance(node, (ast.BinOp, ast.AugAssign)):
            if _OPERATORS.get(type(node.op)) == name and isinstance(position, int):
                pair = (
                    (node.left, node.right)
                    if isinstance(node, ast.BinOp)
                    else (node.target, node.value)
                )
                yield pair[position]
        elif isinstance(node, ast.Call) and _name(node.func) == name:
            yield from _argument(node, position, operands)


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def _argument(call: ast.Call, position: int | str, operands: int) -> Iterator[ast.expr]:
    for keyword in call.keywords:
        if keyword.arg == position:
            yield keyword.value
    if isinstance(position, str):
        return
    args = call.args
    if len(args) == 1 and isinstance(args[0], (ast.List, ast.Tuple)) and operands > 1:
        args = args[0].elts  # a list of arrays, as concatenate takes it
    if len(args) == operands - 1 and isinstance(call.func, ast.Attribute):
        args = [call.func.value, *args]  # a method
    if len(args) == operands and not any(isinstance(arg, ast.Starred) for arg in args):
        yield args[position]


def _assigned(tree: ast.Module, place: Place, name: str) -> tuple[ast.expr | None, int]:
    """Find what is assigned to a variable in the function around a line, if it is assigned once."""
    functions = [
        node for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.lineno <= place.line <= (node.end_lineno or 0)
    ]  # fmt: skip
    if not functions:
        return None, 0
    around = max(functions, key=lambda node: node.lineno)
    stores = [
        node for node in ast.walk(around)
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
    ]  # fmt: skip
    for node in ast.walk(around):
        if isinstance(node, ast.Assign) and len(stores) == 1 and stores[0] in node.targets:
            return (node.value, node.lineno) if node.lineno <= place.line else (None, 0)
    return None, 0
