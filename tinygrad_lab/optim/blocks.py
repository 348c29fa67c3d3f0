"""Run a formula in the memory of its arrays, a block at a time, without arrays of their size.

A formula is a function of arrays, ``p - g * rate``.  It is called once with terms, which stand for
the arrays and note the functions that they meet.  These are then listed for one block of the arrays
after the other: what is computed on the way stays in the processor's cache, and the list is made of
calls of C functions, as ``at_once`` takes them.

Not for: the formulas (``adam.py``, ``adaptive.py``, ``descent.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, repeat
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LEAST", "Term", "in_blocks", "without_subnormals"]

Array = npt.NDArray[Any]
Column = list[Array]  # the blocks of an array
Line = tuple[Any, tuple[Any, ...], "Term"]  # a ufunc, what it is called with, and its result
Calls = Iterable[tuple[Any, ...]]  # the same of one line, for each of the blocks

#: Elements of an array from which on blocks pay.
LEAST = 16384
_BYTES = 1 << 17  # of one array in a block: five or six of them fit into a core's own cache
_LINE = 64  # bytes of a cache line


class Term:
    """Stands for an array in a formula, and notes each function of elements that it meets.

    Examples
    --------
    >>> lines = []
    >>> half = np.sqrt(Term(lines)) * 0.5
    >>> [ufunc.__name__ for ufunc, _, _ in lines]
    ['sqrt', 'multiply']
    """

    last = -1  # the number of the last line that reads it
    place: Any = None  # its blocks, as soon as there are any
    is_scratch = False  # these are free after the last line
    target: Any = None  # where they are to be in the end, if it is a result
    before: Term | None = None  # what is there now

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines

    def __pos__(self) -> Term:
        return _noted(np.positive, self)

    def __neg__(self) -> Term:
        return _noted(np.negative, self)

    def __array_ufunc__(self, ufunc: Any, method: str, *operands: Any, **kwargs: Any) -> Any:
        plain = method == "__call__" and not kwargs
        return _noted(ufunc, *operands) if plain else NotImplemented


def _noted(ufunc: Any, *operands: Any) -> Term:
    """Note a call, and give the term of its result."""
    for operand in operands:
        if type(operand) is Term:
            lines = operand.lines
            operand.last = len(lines)
    result = Term(lines)
    lines.append((ufunc, operands, result))
    return result


for _name, _ufunc in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide
}.items():  # fmt: skip
    setattr(Term, f"__{_name}__", lambda a, b, ufunc=_ufunc: _noted(ufunc, a, b))
    setattr(Term, f"__r{_name}__", lambda a, b, ufunc=_ufunc: _noted(ufunc, b, a))


def in_blocks(
    formula: Callable[[dict[str, Term]], Mapping[str, Any]],
    arrays: Mapping[str, Array],
    fixed: Collection[str],
    normal: Collection[str] = (),
) -> tuple[dict[str, Any], Iterator[tuple[Any, ...]]]:
    """List the calls that put the results of a formula into the memory of its arrays.

    Parameters
    ----------
    formula : callable
        Takes a term for each array, by name, and returns the results, by name: terms, or anything
        else that it has computed without them.  It may use operators and NumPy's ufuncs.
    arrays : dict
        The arrays, of one shape and dtype.
    fixed : collection of str
        Those that must stay what they are.  A result of such a name gets new memory, and so does
        one of a new name.
    normal : collection of str
        Results whose subnormal numbers become 0.

    Returns
    -------
    results : dict
        The results, with the arrays that will hold them in the places of the terms.
    calls : iterator of tuple
        Functions of C with their arguments, in the order in which they are to be called.

    Examples
    --------
    >>> from tinygrad_lab.core.atomic import at_once
    >>> x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    >>> formula = lambda t: {"x": t["x"] + t["y"] * 0.5}
    >>> results, calls = in_blocks(formula, {"x": x, "y": y}, fixed="y")
    >>> at_once(calls)
    >>> x, results["x"] is x
    (array([2.5, 4. ]), True)
    """
    lines: list[Line] = []
    terms = {name: Term(lines) for name in arrays}
    results = dict(formula(terms))
    like = next(iter(arrays.values()))
    outputs: dict[str, Term] = {}
    for name, term in results.items():
        if term is terms.get(name):
            results[name] = arrays[name]
        elif type(term) is Term:
            is_taken = term in outputs.values() or term in terms.values()
            outputs[name] = _noted(np.positive, term) if is_taken else term
            is_own = name in terms and name not in fixed
            results[name] = arrays[name] if is_own else np.empty_like(like)
    cut = _cutter([*arrays.values(), *(results[name] for name in outputs)])
    for name, term in terms.items():
        term.place = cut(arrays[name])
    for name, term in outputs.items():
        is_own = results[name] is arrays.get(name)
        term.before = terms[name] if is_own else None
        term.target = terms[name].place if is_own else cut(results[name])
    calls = _allocated(lines, cut(like))
    lines.clear()  # terms and lines hold each other, and the arrays, which then seem to be shared
    for name in normal:
        calls += _flushed(outputs[name].target) if name in outputs else ()
    return results, chain.from_iterable(zip(*calls, strict=False))


def _cutter(arrays: list[Array]) -> Callable[[Array], Column]:
    """Make what cuts arrays of one shape into blocks: only one, if they lie differently."""
    if not all(array.flags.c_contiguous for array in arrays):
        return lambda array: [array]
    length = _BYTES // arrays[0].itemsize
    whole = arrays[0].size // length * length
    rest = whole < arrays[0].size

    def cut(array: Array) -> Column:
        flat = array.reshape(-1)
        rows = [*flat[:whole].reshape((-1, length))]
        if rest:
            rows.append(flat[whole:])
        return rows

    return cut


def _scratch(like: Column, dtype: npt.DTypeLike | None = None) -> Column:
    """Give memory of the size of one block, for each of the blocks."""
    first, rest = like[0], like[-1].size
    work = np.empty_like(first, dtype)
    if work.ndim == 1:  # one that begins at a cache line is written nearly twice as fast
        buffer = np.empty(work.nbytes + _LINE, np.uint8)
        start = -buffer.__array_interface__["data"][0] % _LINE
        work = buffer[start : start + work.nbytes].view(work.dtype)
    return [work] * len(like) if rest == work.size else [work] * (len(like) - 1) + [work[:rest]]


def _allocated(lines: list[Line], like: Column) -> list[Calls]:
    """List the calls of each line, for all blocks, and find a place for the result of each."""
    free: list[Column] = []
    calls: list[Calls] = []
    late: list[Calls] = []
    for number, (ufunc, operands, result) in enumerate(lines):
        columns: list[Any] = []
        for operand in operands:
            if type(operand) is Term:
                columns.append(operand.place)
                if operand.last == number and operand.is_scratch:
                    operand.is_scratch = False
                    free.append(operand.place)  # an element may be written where it was read
            else:
                columns.append(repeat(operand))
        place = result.target
        if place is None or (result.before is not None and result.before.last > number):
            place = free.pop() if free else _scratch(like)
            result.is_scratch = result.target is None
            if result.target is not None:
                late.append(_calls(np.positive, [place], result.target))
        result.place = place
        calls.append(_calls(ufunc, columns, place))
    return calls + late


def _calls(ufunc: Any, columns: list[Any], place: Column) -> Calls:
    if ufunc in (np.maximum, np.minimum):  # these take the place by its name alone
        return zip([partial(ufunc, out=block) for block in place], *columns, strict=False)
    return zip(repeat(ufunc), *columns, place, strict=False)


def without_subnormals(value: Any) -> Any:
    """Make 0 of the numbers in an array that are so small that a processor is slow with them.

    Examples
    --------
    >>> without_subnormals(np.array([1e-310, 1e-300]))
    array([0.e+000, 1.e-300])
    """
    if type(value) is not np.ndarray:
        return value
    return np.multiply(value, np.absolute(value) >= np.finfo(value.dtype).smallest_normal)


def _flushed(column: Column) -> list[Calls]:
    """List the same for the blocks of an array."""
    size, is_normal = _scratch(column), _scratch(column, bool)
    least = np.finfo(size[0].dtype).smallest_normal
    return [
        _calls(np.absolute, [column], size),
        _calls(np.greater_equal, [size, repeat(least)], is_normal),
        _calls(np.multiply, [column, is_normal], column),
    ]
