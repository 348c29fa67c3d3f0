"""Where a gradient comes from, and how to step in between: rules, and adapted functions.

A place hands each computation of its gradient to whoever intercepts, as a :class:`Call`, and goes
on with what that gives back.

Not for: classes and functions that no adapter knows (``classes.py``), composed code (``steps.py``).
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tinygrad_lab.core.errors import name_of
from tinygrad_lab.core.operations import OPERATIONS, planted, vjps_of
from tinygrad_lab.testing.adapters.adapted import Adapted
from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.judgement import line_at
from tinygrad_lab.testing.judging.subject import Pull
from tinygrad_lab.testing.mutation.faults import Call, options_of
from tinygrad_lab.testing.session import current_session, session

Function = Callable[..., Any]


class Caller(NamedTuple):
    """How a function was called, so that it can be called again with another array."""

    function: Any
    args: tuple[Any, ...]
    position: int | None  # of what the gradient is by; None where that is no argument
    kwargs: dict[str, Any]
    spelled: str = ""  # what a program says for the function, where it has no name
    scope: Mapping[str, Any] = {}  # what the names in that mean


class Place(Protocol):
    """A gradient by one argument.  Two are equal where they are the same in every run of a test."""

    @property
    def label(self) -> str:
        """What to call it in messages."""


#: Gives the gradient that a place goes on with, from the call and how the function was called.
Intercept = Callable[[Place, Call, Caller | None], Any]

# ---------------------------------------------------------------------------------------------
# Rules


@dataclass(frozen=True)
class Rule:
    """The rule of an operation by one argument; by None for all of an operation with any number."""

    owner: Any
    argnum: int | None

    @property
    def label(self) -> str:
        """Name it in messages."""
        by = "" if self.argnum is None else f", by argument {self.argnum}"
        return f"{name_of(self.owner)}{by}"

    def intercepted(self, intercept: Intercept) -> AbstractContextManager[Any]:
        """Step in; a test that gives the operation new rules keeps them."""
        vjps = vjps_of(self.owner)

        def between(argnum: int, rule: Function) -> Function:
            @functools.wraps(rule)  # it stays its author's
            def stepped(g: Any, *call: Any, **kwargs: Any) -> Any:
                args = call[1:]  # behind the result
                x = args[argnum] if argnum < len(args) else None
                there = Call(
                    [g], lambda ups: rule(ups[0], *call, **kwargs), x, args,
                    options_of(self.owner, args, kwargs),
                )  # fmt: skip
                return intercept(self, there, Caller(self.owner, args, argnum, kwargs))

            return stepped

        if self.argnum is not None:
            return planted(
                self.owner, between(self.argnum, vjps[self.argnum]), argnums=[self.argnum]
            )
        each = lambda argnum, *call, **kw: between(argnum, vjps[argnum])(*call, **kw)
        return planted(self.owner, variadic=each)


def all_rules() -> Iterator[tuple[Rule, Any]]:
    """List every rule of the derivative table, and what was written for it."""
    for op, operation in list(OPERATIONS.items()):
        vjps = operation.vjps
        if isinstance(vjps, tuple):
            yield from ((Rule(op, i), vjp) for i, vjp in enumerate(vjps) if vjp is not None)
        else:
            yield Rule(op, None), vjps[0]


def rules_of_users() -> list[Rule]:
    """List the derivative rules that were written outside NumPy and this package."""
    return [place for place, rule in all_rules() if _is_users(written(rule))]


def written(function: Any) -> Any:
    """Find what somebody wrote under what was wrapped around it."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function)


def _is_users(function: Any) -> bool:
    if isinstance(getattr(function, "__self__", None), Adapted):
        return False
    module = getattr(function, "__module__", None)
    if module is None:  # of what is compiled, a ufunc say, and of what ``exec`` has run
        return hasattr(function, "__code__")
    return module.partition(".")[0] not in ("numpy", "tinygrad_lab")


# ---------------------------------------------------------------------------------------------
# Adapted functions


@dataclass(frozen=True)
class OfAdapted:
    """What an adapted function, ``owner`` by name, gives back by one of its inputs.

    The function itself may be another one in each run of a test; its code is the same.
    """

    owner: str
    code: Any
    by: str

    @classmethod
    def all_of(cls, subject: Adapted) -> list[OfAdapted]:
        """List those of one function."""
        code = getattr(written(subject.gradient_of), "__code__", None)
        return [cls(subject.name, code, by) for by in subject.names]

    @property
    def label(self) -> str:
        """Name it in messages, a lambda by its line."""
        where = ""
        if "<lambda>" in self.owner and self.code is not None:
            where = f" ({line_at(self.code.co_filename, self.code.co_firstlineno)})"
        return f"{self.owner}{where}, by {self.by}"


def adapted(intercept: Intercept) -> AbstractContextManager[Any]:
    """Step in where adapted functions give their gradients."""

    def between(subject: Any, inputs: Sequence[Array], pull: Pull) -> Pull:
        places = OfAdapted.all_of(subject)

        def stepped(upstreams: Sequence[Any]) -> list[Any]:
            gradients = list(pull(upstreams))
            for i, place in enumerate(places[: len(gradients)]):
                x = inputs[i] if i < len(inputs) else None

                def compute(ups: Sequence[Any], i: int = i) -> Any:
                    return pull(ups)[i]

                call = Call(list(upstreams), once(compute, gradients[i], upstreams), x, inputs)
                gradients[i] = intercept(place, call, _caller(subject, i))
            return gradients

        return stepped

    return session(interceptors=(*current_session().interceptors, between))


def once(compute: Function, right: Any, upstreams: Sequence[Any]) -> Function:
    """Give what has been computed already from the upstreams that there are."""
    return lambda ups: right if ups is upstreams or _same(ups, upstreams) else compute(ups)


def _same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True))


def _caller(subject: Any, i: int) -> Caller | None:
    """Say how the adapter was called, and where among its inputs one gradient's is."""
    if subject.adapter is None or subject.asked.containers is not None:
        return None
    values = subject.asked.values
    positions = subject.args.positions
    position = positions[i] if i < len(positions) and positions[i] < len(values) else None
    return Caller(subject.adapter, tuple(values), position, {}, *_spelled(subject))


def _spelled(subject: Any) -> tuple[str, Mapping[str, Any]]:
    """Write how an adapted function is made, where all that it is made of has names."""
    template, functions = subject.written
    names = [getattr(f, "__name__", "") for f in functions]
    if not template or not all(name.isidentifier() for name in names):
        return "", {}
    return template.format(*names), dict(zip(names, functions, strict=True))


def comes_from_an_adapter(function: Any = None) -> bool:
    """Whether an adapter calls what is about to run, so that its own gradients are counted.

    With a ``torch.autograd.Function``, whether it is an adapter of this very one.
    """
    frame: Any = sys._getframe(2)  # noqa: SLF001 - there is no other way to see one's caller
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("tinygrad_lab.testing.adapters."):
            of = getattr(getattr(frame.f_locals.get("self"), "fn", None), "__self__", None)
            if function is None or of is function:
                return True
        frame = frame.f_back
    return False
