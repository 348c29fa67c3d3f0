"""Functions of other libraries in the place of one of Tensors: no check passes without asking them.

PyTorch's ``Function.apply`` and autograd's primitives run their forward pass on whatever they are
handed.  Handed Tensors, it is these that are differentiated, and the derivative by hand that was to
be checked is never asked for: a check would pass whatever it says.

Not for: checking such functions (``adapters``).
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.testing.judging.judgement import Kind, Misbehaved

#: The adapter of each library, by the packages that the library consists of.
_ADAPTERS = {"torch": "torch", "jax": "jax", "jaxlib": "jax", "autograd": "autograd"}


@contextlib.contextmanager
def refusing_tensors() -> Iterator[None]:
    """Refuse Tensors to what has a derivative of its own in another library.

    Raises
    ------
    Misbehaved
        It was called with one.
    """
    codes = _codes()
    if not codes or sys.getprofile() is not None:  # somebody profiles, which cannot be shared
        yield
        return

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code in codes:
            variables = frame.f_locals
            args = (*variables.get("args", ()), *variables.get("kwargs", {}).values())
            if any(isinstance(x, Tensor) for x in args):
                of = variables.get("cls", variables.get("f_raw"))
                raise Misbehaved(
                    Kind.FOREIGN,
                    function=getattr(of, "__name__", describe(of)),
                    adapter=codes[frame.f_code],
                )

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)


def _codes() -> dict[CodeType, str]:
    """What runs when such a function is called, of the libraries that are there, by adapter."""
    functions: dict[str, Any] = {}
    torch: Any = sys.modules.get("torch.autograd")
    tracer: Any = sys.modules.get("autograd.tracer")
    if hasattr(torch, "Function"):
        functions["torch"] = torch.Function.apply
    if hasattr(tracer, "primitive"):
        functions["autograd"] = tracer.primitive(abs)
    return {f.__code__: name for name, f in functions.items() if hasattr(f, "__code__")}


def hints(fn: Callable[..., Any]) -> list[str]:
    """Say how a function of another library is checked, where one failed on Tensors."""
    name = _adapter_of(fn)
    return [f"of a function of {name} say gradcheck(adapters.{name}(f), ...)"] if name else []


def _adapter_of(fn: Callable[..., Any]) -> str | None:
    """Name the adapter of the library that a function is of, or that it calls by a name."""
    variables: list[Any] = []
    while isinstance(fn, functools.partial):
        variables += [*fn.args, *fn.keywords.values()]
        fn = fn.func
    variables += [fn, getattr(fn, "__self__", None)]
    if inspect.isfunction(fn):
        named = inspect.getclosurevars(fn)
        variables += [*named.nonlocals.values(), *named.globals.values()]
    return next((name for name in map(home, variables) if name), None)


def home(x: Any) -> str | None:
    """Name the adapter of the library that a function or an array comes from, if it is one."""
    kinds = (*x.__mro__, type(x)) if isinstance(x, type) else type(x).__mro__
    names = [x.__name__] if inspect.ismodule(x) else [getattr(x, "__module__", "")]
    packages = [str(name).partition(".")[0] for name in (*names, *(k.__module__ for k in kinds))]
    return next((_ADAPTERS[package] for package in packages if package in _ADAPTERS), None)
