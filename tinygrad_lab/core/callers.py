"""Tell ``float(t)`` from ``math.sin(t)``, ``z.fill(t)`` and ``a[i] = t``, which ask for the same.

All call ``t.__float__()``, which is not told who calls.  But the frame of the caller stands at an
instruction, and its bytecode says what that is.  A tracked tensor becomes a plain number where the
code says so (``float(t)``) or nothing is lost (``"%f" % t``, ``math.floor(t)``); anywhere else its
gradient would be lost in silence, so the answer is an error that says what to write instead.

In the same way ``p.grad.zero_()`` is told from ``p.grad``: the next instruction takes an attribute
that a NumPy array does not have, and the error can say so before Python's does.

Not for: the text of these errors (``errors.py``).
"""

import cmath
import dis
import math
import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from types import CodeType, FrameType, MethodDescriptorType, ModuleType
from typing import Any, NamedTuple

import numpy as np

_IN_WORDS = (float, int, complex)
#: Constant between jumps, as NumPy's are, which give plain arrays.
_CONSTANT = (
    math.floor, math.ceil, math.isfinite, math.isinf, math.isnan, math.isclose,
    cmath.isfinite, cmath.isinf, cmath.isnan, cmath.isclose,
)  # fmt: skip

#: What to write instead of a call, by its name, where that is not NumPy's function of that name.
_INSTEAD = {
    **dict.fromkeys(
        ("full", "full_like", "fill"), "np.broadcast_to(t, shape), or t * np.ones(shape)"
    ),
    **dict.fromkeys(("array", "asarray", "asanyarray"), "t as it is, or np.stack([t, ...])"),
    **dict.fromkeys(("float16", "float32", "float64"), "t.astype(dtype)"),
    "RClass": "np.concatenate([t, ...])",
    "CClass": "np.column_stack([t, ...])",
    "dist": "np.linalg.norm(t - u)",
    "fromiter": "np.stack(list(ts))",
    "fsum": "np.sum(t)",
    "phase": "np.angle(t)",
    "remainder": "t - np.round(t / u) * u",
    "tensor": "np.stack([t, ...]), or t.copy()",
}
_JUMPS = {*dis.hasjrel, *dis.hasjabs}
_LEAVES = ("JUMP_", "RETURN_", "RAISE_", "RERAISE")
_LEAVES_NO_VALUE = ("POP_", "STORE_", "JUMP_", "NOP", "EXTENDED_ARG", "RESUME", "NOT_TAKEN")
#: Libraries that take plain numbers, and ask for them far inside of what the user called.
_TAKERS = ("matplotlib", "mpl_toolkits", "seaborn", "pandas", "sklearn", "PIL", "plotly")
_STANDARD_LIBRARY = os.path.dirname(os.__file__)  # noqa: PTH120 - compared as text
_TRANSPARENT = (__name__.partition(".")[0], *_TAKERS)


#: What was read of an instruction: its code, so that it is known again, and what follows it.
_TAKEN: dict[tuple[int, int], tuple[CodeType, tuple[str, str]]] = {}
_SITES = 4096  # of them, and then they are read again


class Call(NamedTuple):
    """What a frame is at: an instruction, and what it calls or writes to, as the code names it."""

    instruction: str
    loaded: str = ""  # the instruction that loaded the first of the names
    names: tuple[str, ...] = ()  # ("math", "sin") of math.sin(t)


def loses_nothing(frame: FrameType) -> bool:
    """Whether a frame asks for a number to make text of it, or what is constant between jumps."""
    call = _call_of(frame.f_code, frame.f_lasti)
    return call.instruction == "%" or _is_one_of(_CONSTANT, call, frame)


def says_so(frame: FrameType) -> bool:
    """Whether the code that a frame is at asks for a plain number in so many words."""
    call = _call_of(frame.f_code, frame.f_lasti)
    return _is_one_of(_IN_WORDS, call, frame) and not _is_others(frame)


def _is_one_of(functions: tuple[Any, ...], call: Call, frame: FrameType) -> bool:
    called = _called(call, frame)
    return any(called is function for function in functions)


def attribute_taken(frame: FrameType) -> str:
    """Name the attribute that a frame takes of what its call gives, with the next instruction."""
    instruction, name = _next(frame)
    return name if instruction in ("LOAD_ATTR", "LOAD_METHOD") else ""


def is_dropped(frame: FrameType) -> bool:
    """Whether a frame does nothing with what its call gives."""
    return _next(frame)[0] == "POP_TOP"


def _next(frame: FrameType) -> tuple[str, str]:
    """Read the instruction after the one that a frame is at, and the name in it."""
    code, offset = frame.f_code, frame.f_lasti
    known = _TAKEN.get((id(code), offset))  # a code's own hash reads all of it
    if known is not None and known[0] is code:
        return known[1]
    after = next((i for i in dis.get_instructions(code) if i.offset > offset), None)
    read = ("", "") if after is None else (after.opname, str(after.argval))
    if len(_TAKEN) >= _SITES:
        _TAKEN.clear()
    _TAKEN[id(code), offset] = code, read
    return read


def what_would_detach(frame: FrameType) -> tuple[str, str]:
    """Say what asks for a tracked tensor's numbers, as its user wrote it, and what to write."""
    inside, taker = "", False  # the first function that the user called, where it is Python
    while frame.f_back is not None and (_is_others(frame) or _package(frame) in _TRANSPARENT):
        inside, taker = frame.f_code.co_name, _package(frame) in _TAKERS
        if inside == "__getitem__":
            inside = type(frame.f_locals["self"]).__name__
        frame = frame.f_back
    call = _call_of(frame.f_code, frame.f_lasti)
    if taker:
        return (".".join(call.names) or inside) + "(...)", ""
    if call.instruction == "[] =":
        a = ".".join(call.names) or "a"
        return f"{a}[i] = t, into a plain array {a},", f"{a} = tl.tensor({a}) before"
    called = _called(call, frame)
    name = inside or getattr(called, "__name__", "")
    brackets = "[...]" if call.instruction == "[]" else "(...)"
    written = (".".join(call.names) or "what is called here") + brackets
    if name in _INSTEAD and not isinstance(called, np.ufunc):
        return written, _INSTEAD[name]
    if isinstance(called, MethodDescriptorType) and hasattr(np, name):
        return written, f"np.{name}({call.names[0]}, ...)"
    if getattr(called, "__module__", "") in ("math", "cmath") and hasattr(np, name):
        return written.replace("...", "t"), f"np.{name}(t)"
    if isinstance(called, (np.ufunc, type(np.sum))):
        return written, "np.stack([t, ...]) for a list of tensors"
    return written, ""


def is_for_a_taker(frame: FrameType) -> bool:
    """Whether a frame works for a library that takes plain numbers."""
    while frame.f_back is not None and _is_others(frame):
        frame = frame.f_back
    return _package(frame) in _TAKERS


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_others(frame: FrameType) -> bool:
    """Whether a frame is of NumPy, SciPy or the standard library: they ask on behalf of others."""
    package = _package(frame)
    if package in sys.stdlib_module_names:
        return frame.f_code.co_filename.startswith(_STANDARD_LIBRARY)
    return package in ("numpy", "scipy")


def _called(call: Call, frame: FrameType) -> Any:
    """Look up what is called: a name, a function of a module, a method of an array."""
    if not call.names:
        return None
    first, *attributes = call.names
    places: list[Mapping[str, Any]] = [frame.f_globals, frame.f_builtins]
    if "GLOBAL" not in call.loaded:
        places.insert(0, frame.f_locals)
    value = next((place[first] for place in places if first in place), None)
    for attribute in attributes:
        owner = np.ndarray if type(value) is np.ndarray else value
        value = getattr(owner, attribute, None) if isinstance(owner, (ModuleType, type)) else None
    return value


@lru_cache(maxsize=1024)
def _call_of(code: CodeType, offset: int) -> Call:
    """Read what the instruction at ``offset`` calls, takes an item of, or writes an item of."""
    before = [i for i in dis.get_instructions(code) if i.offset <= offset]
    if before[-1].opname == "CALL" and before[-2].opname == "PRECALL":
        before.pop()  # Python 3.11 does one call in two instructions
    last = before[-1]
    count, name = last.arg or 0, last.opname
    if name == "BINARY_OP" and last.argrepr in ("%", "%="):
        return Call("%")
    if name in ("STORE_SUBSCR", "BINARY_SUBSCR") or last.argrepr == "[]":
        return Call("[] =" if name == "STORE_SUBSCR" else "[]", *_path(before, -2))
    if name in ("CALL", "PRECALL", "CALL_KW"):
        return Call("call", *_path(before, -count - 1 - (name == "CALL_KW")))
    if name == "CALL_FUNCTION_EX":
        mapping = count & 1 or sys.version_info >= (3, 14)
        return Call("call", *_path(before, -2 - mapping))
    return Call(name)


def _path(before: list[dis.Instruction], slot: int) -> tuple[str, tuple[str, ...]]:
    """Find the name at a place on the stack, counted from its top before the last instruction."""
    where, within = _pushed(before, slot)
    if where < 0:
        return "", ()
    where -= before[where].opname == "PUSH_NULL"
    after = before[where + 1 :]
    names: list[str] = []
    while before[where].opname in ("LOAD_ATTR", "LOAD_METHOD"):
        names.insert(0, before[where].argval)
        where -= 1
    load = before[where]
    one_of_two = any(i.is_jump_target for i in (*before[where + 1 : -len(after)], after[0]))
    if one_of_two or not load.opname.startswith("LOAD_") or load.opname == "LOAD_CONST":
        return "", ()  # (f if c else g)(t), f(x)(t)
    name = load.argval[within] if isinstance(load.argval, tuple) else load.argval
    return (load.opname, (name, *names)) if isinstance(name, str) else ("", ())


def _pushed(before: list[dis.Instruction], slot: int) -> tuple[int, int]:
    """Find the instruction that pushed what is at ``slot``, and which of its values that is.

    Goes back from the last instruction, where the stack has height 0, keeping account of the height
    before each.  Where the next instruction does not follow (a jump, past the other half of ``x if
    c else y``) the height is that of where it leads, or not known until a jump leads here.
    """
    heights: dict[int, int] = {before[-1].offset: 0}
    after: int | None = 0
    for where in range(len(before) - 2, -1, -1):
        i = before[where]
        jumps = i.opcode in _JUMPS
        if jumps and i.argval in heights:
            after = heights[i.argval]
        elif i.opname.startswith(_LEAVES) and "_IF_" not in i.opname:
            after = None  # to what is not read yet, or for good
        if after is not None:
            height = after - dis.stack_effect(i.opcode, i.arg, jump=jumps and i.argval in heights)
            leaves_value = not i.opname.startswith(_LEAVES_NO_VALUE)
            if height <= slot < after or (after == slot + 1 and leaves_value):
                return where, max(slot - height, 0)
            heights[i.offset] = after = height
    return -1, 0
