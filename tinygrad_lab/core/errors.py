"""The text of errors: which operation, on what, where.  Decided here once.

An error keeps its type, so that ``except ValueError`` means what it means in NumPy, and gains the
name of the operation, the shapes it was given and, under ``tl.debug()``, the line that called it.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np


class BatchedValueError(TypeError):
    """Somebody asked for the one value of what has as many as a batch has examples."""

    def __init__(self, message: str, level: Any = None) -> None:
        super().__init__(message)
        self.level = level  # the vmap that can do the same in turn, for each example


# NumPy's own exception types, the special before the general: the first that fits is raised anew.
_KINDS: tuple[type[Exception], ...] = (
    np.linalg.LinAlgError, np.exceptions.AxisError, IndexError, FloatingPointError,
    ZeroDivisionError, OverflowError, ValueError, TypeError, NotImplementedError, RuntimeError,
)  # fmt: skip

#: PyTorch's names of arguments, and ours.
KEYWORDS = {"dim": "axis", "keepdim": "keepdims", "unbiased": "ddof"}


def raise_explained(
    error: Exception,
    op: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    site: str | None = None,
    during: str = "",
    outside: bool = False,
) -> NoReturn:
    """Raise ``error`` again, saying which operation it came from and what that was given."""
    if hasattr(error, "explained") and not (outside and f"{name_of(op)}(" not in str(error)):
        try:
            raise error  # the operation inside this one has said it
        finally:
            del error  # as below
    given = [describe(a) for a in args[:8]] + ["..."] * (len(args) > 8)
    given += [f"{key}={describe(value)}" for key, value in (kwargs or {}).items()]
    where = f"\n  called at {site}" if site and site not in str(error) else ""
    ours = [KEYWORDS[key] for key in kwargs or {} if key in KEYWORDS]
    hint = f"; say {'=, '.join(ours)}=, as NumPy does" if ours else ""
    text = f"{name_of(op)}({', '.join(given)}){during}: {error}{hint}{where}"
    is_plain = type(error).__module__.partition(".")[0] in ("builtins", "numpy")
    kind = next((kind for kind in _KINDS if is_plain and isinstance(error, kind)), None)
    again = error if kind is None else kind(text)
    cause = error.__cause__ if kind is None else error
    if kind is None:
        error.add_note(text)
    again.explained = True  # type: ignore[attr-defined]
    try:
        raise again from cause
    finally:
        del again, cause, error  # the traceback holds this frame, which must not hold its error


def describe(value: Any, limit: int = 40) -> str:
    """Say what an argument is, briefly: an array as ``float64(2, 3)``, the rest by its repr."""
    if isinstance(value, (list, tuple)) and len(value) <= 8:
        inside = ", ".join(describe(item) for item in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{dtype}{shape}"
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def name_of(op: Any) -> str:
    """Name an operation as its caller knows it: ``numpy.linalg.inv`` is ``linalg.inv``."""
    module = getattr(op, "__module__", None) or ""
    name: str = getattr(op, "__name__", repr(op))
    for home, family in (("linalg", "linalg"), ("fft", "fft"), ("scimath", "emath")):
        if module.startswith("numpy.") and home in module:
            return f"{family}.{name}"
    return name


def qualified_name(op: Any) -> str:
    """Name an operation as one writes it: ``np.linalg.inv``, or the name of a primitive."""
    name, module = name_of(op), getattr(op, "__module__", None)
    if module is None:  # a ufunc, which does not know its home
        homes = {"np": np, "scipy.special": sys.modules.get("scipy.special")}
        prefix = [home for home, place in homes.items() if getattr(place, name, None) is op]
        return ".".join([*prefix, name])
    return f"np.{name}" if module.startswith("numpy") else name


def would_detach(what: str, instead: str = "") -> str:
    """Say that something would lose a gradient in silence, and what to write instead."""
    tracked = f"To stay tracked say {instead}; for" if instead else "For"
    return (
        f"{what} would lose the gradient of a tracked tensor t. {tracked} plain numbers say "
        "t.detach() first, t.item() for one element, [t.item() for t in ts] for several"
    )


#: What to write for a method of tensors on a plain array, where there is something shorter.
_OF_ARRAYS = {
    "zero_": "p.grad = None, or optimizer.zero_grad()",
    "float": "t.mean() for a share, t.astype(float) for numbers",
    "long": "t.astype(np.int64)",
    "to": "t.astype(dtype)",
    "type": "t.astype(dtype)",
    "unsqueeze": "np.expand_dims(t, dim)",
    "detach": "t as it is",
    "numpy": "t as it is",
    "data": "t as it is",
    "cpu": "t as it is",
}


def array_has_none(what: str, name: str) -> AttributeError:
    """Say that a result is a NumPy array, which does not have a method of tensors."""
    instead = _OF_ARRAYS.get(name, f"tl.Tensor(t).{name}")
    text = f"{what} is a NumPy array, t say, which has no {name}: say {instead}"
    return AttributeError(text, name=name)


def would_detach_inside(what: str) -> str:
    """Say that a number taken out of what is being differentiated is a constant from there on."""
    return (
        f"{what} inside a function that is being differentiated (tl.grad and its like): what is "
        "computed from the number would be taken for a constant. Compute with t as it is; for a "
        "constant, or to print it, say t.detach() first"
    )
