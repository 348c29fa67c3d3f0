"""Run a formula in the memory of its arrays, a block at a time, without arrays of their size.

A formula is a function of arrays, ``p - g * rate``.  It is called once with terms, which stand for
the arrays and note the functions that they meet.  These are then listed for one block of the arrays
after the other: what is computed on the way stays in the processor's cache, and the list is made of
calls of C functions, as ``at_once`` takes them.

Not for: the formulas (``adam.py``, ``adaptive.py``, ``descent.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from itertools import chain, repeat
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LEAST", "Term", "in_blocks", "without_subnormals"]

Array = npt.NDArray[Any]
Line = tuple[Any, tuple[Any, ...], "Term"]  # a ufunc, what it is called with, and its result
Place = Any  # an array that is small enough, or the list of its blocks
Call = tuple[Any, ...]  # a function and its arguments; or lists of these, one for each block

#: Elements of an array from which on blocks pay.
LEAST = 16384
_BYTES = 1 << 17  # of one array in a block: five or six of them fit into a core's own cache
_WHOLE = 1 << 19  # of an array that is left whole
_LINE = 64  # bytes of a cache line, and what the elements of a block are a multiple of


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
    place: Place = None  # where it is, as soon as that is known
    is_scratch = False  # that is free after the last line
    target: Place = None  # where it is to be in the end, if it is a result
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


def _operator(ufunc: np.ufunc, is_reflected: bool) -> Callable[[Term, Any], Term]:
    def operator(a: Term, b: Any) -> Term:  # as `_noted`, but that most calls come through here
        lines = a.lines
        a.last = number = len(lines)
        if type(b) is Term:
            b.last = number
        result = Term(lines)
        lines.append((ufunc, (b, a) if is_reflected else (a, b), result))
        return result

    return operator


for _name, _ufunc in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide
}.items():  # fmt: skip
    setattr(Term, f"__{_name}__", _operator(_ufunc, is_reflected=False))
    setattr(Term, f"__r{_name}__", _operator(_ufunc, is_reflected=True))


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
    results = dict(formula(dict(terms)))
    like = next(iter(arrays.values()))
    outputs: dict[str, Term] = {}
    taken = set(terms.values())  # where a result of another name cannot be
    for name, term in results.items():
        if type(term) is not Term:
            continue
        own = terms.get(name)
        if term is own:
            results[name] = arrays[name]
            continue
        if term in taken:
            term = _noted(np.positive, term)
        taken.add(term)
        outputs[name] = term
        term.before = None if own is None or name in fixed else own
        results[name] = np.empty_like(like) if term.before is None else arrays[name]
    cut = _cutter([*arrays.values(), *(results[name] for name in outputs)])
    for name, term in terms.items():
        term.place = cut(arrays[name])
    for name, term in outputs.items():
        term.target = cut(results[name]) if term.before is None else term.before.place
    place = next(iter(terms.values())).place
    calls = _allocated(lines, place)
    lines.clear()  # terms and lines hold each other, and the arrays, which then seem to be shared
    for name in normal:
        calls += _flushed(outputs[name].target) if name in outputs else ()
    if type(place) is list:
        return results, chain.from_iterable(zip(*map(_by_block, calls), strict=False))
    return results, iter(calls)


def _by_block(call: Call) -> Iterator[Call]:
    return zip(*(part if type(part) is list else repeat(part) for part in call), strict=False)


def _cutter(arrays: list[Array]) -> Callable[[Array], Place]:
    """Make what cuts arrays of one shape into blocks, if they are large and lie alike."""
    first = arrays[0]
    if first.nbytes <= _WHOLE or not all(array.flags.c_contiguous for array in arrays):
        return lambda array: array
    number = max(1, round(first.nbytes / _BYTES))
    length = -(-first.size // (number * _LINE)) * _LINE
    whole = first.size // length * length

    def cut(array: Array) -> Place:
        flat = array.reshape(-1)
        rows = [*flat[:whole].reshape((-1, length))]
        return [*rows, flat[whole:]] if whole < flat.size else rows

    return cut


def _scratch(like: Place, dtype: npt.DTypeLike | None = None) -> Place:
    """Give memory of the size of an array; for blocks, of one that is used for all of them."""
    first = like[0] if type(like) is list else like
    if not first.flags.c_contiguous:
        return np.empty_like(first, dtype)
    dtype = first.dtype if dtype is None else np.dtype(dtype)
    # One that begins at a cache line is written nearly twice as fast.
    buffer = np.empty(first.size * dtype.itemsize + _LINE, np.uint8)
    work = np.ndarray(first.shape, dtype, buffer, -buffer.__array_interface__["data"][0] % _LINE)
    return [work[: block.size] for block in like] if type(like) is list else work


def _allocated(lines: list[Line], like: Place) -> list[Call]:
    """List the calls of the lines, and find a place for the result of each."""
    free: list[Place] = []
    calls: list[Call] = []
    late: list[Call] = []
    for number, (ufunc, operands, result) in enumerate(lines):
        parts: list[Any] = []
        for operand in operands:
            if type(operand) is Term:
                parts.append(operand.place)
                if operand.last == number and operand.is_scratch:
                    operand.is_scratch = False
                    free.append(operand.place)  # an element may be written where it was read
            else:
                parts.append(operand)
        place = result.target
        if place is None or (result.before is not None and result.before.last > number):
            place = free.pop() if free else _scratch(like)
            result.is_scratch = result.target is None
            if result.target is not None:
                late.append((np.positive, place, result.target))
        result.place = place
        calls.append(_into(place, ufunc, parts))
    return calls + late


def _into(place: Place, ufunc: Any, parts: list[Any]) -> Call:
    if ufunc not in (np.maximum, np.minimum):
        return (ufunc, *parts, place)
    if type(place) is list:  # these take the place by its name alone
        return ([partial(ufunc, out=block) for block in place], *parts)
    return (partial(ufunc, out=place), *parts)


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


def _flushed(place: Place) -> list[Call]:
    """List the same, in the memory of an array."""
    size, is_normal = _scratch(place), _scratch(place, bool)
    dtype = (size[0] if type(size) is list else size).dtype
    least = np.finfo(dtype).smallest_normal
    return [
        (np.absolute, place, size),
        (np.greater_equal, size, least, is_normal),
        (np.multiply, place, is_normal, place),
    ]
