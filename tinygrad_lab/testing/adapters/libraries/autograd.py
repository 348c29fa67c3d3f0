"""Functions written with ``autograd.numpy``.

Not for: hand-written backprop in plain NumPy (``adapters/adapted.py``).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import name_of
from tinygrad_lab.testing.adapters.adapted import adapter
from tinygrad_lab.testing.adapters.libraries.library import LibrarySubject, Pullback, line_of
from tinygrad_lab.testing.judging.arrays import Arguments, Array
from tinygrad_lab.testing.judging.judgement import Kind, Misbehaved
from tinygrad_lab.testing.judging.subject import Adapter, Inside, Rule


def autograd(fn: Callable[..., Any], name: str | None = None) -> Adapter:
    """Adapt a function written with ``autograd.numpy``; it may return several arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> import autograd.numpy as anp                                             # doctest: +SKIP
    >>> tgt.gradcheck(tgt.adapters.autograd(anp.tanh), np.ones(3)).verdict       # doctest: +SKIP
    'pass'
    """
    return adapter(_Autograd, fn, name)


MOST_ARGUMENTS = 8  # of a primitive whose rules are declared as one


class _Autograd(LibrarySubject):
    modules = (
        "autograd", "autograd.builtins", "autograd.core", "autograd.numpy", "autograd.tracer"
    )  # fmt: skip

    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str) -> None:
        super().__init__(fn, args, name)
        self.names = args.names(getattr(fn, "fun", fn))  # a primitive hides its signature

    def to_library(self, x: Array) -> Array:
        return x

    def plain(self, y: Any) -> Any:
        return self.library.tracer.getval(y)

    def parts(self, y: Any) -> Sequence[Any]:
        anp = self.library.numpy
        return (anp.real(y), anp.imag(y)) if np.iscomplexobj(self.plain(y)) else (y,)

    def leaves(self, result: Any) -> Iterable[Any]:
        for y in super().leaves(result):  # traced tuples are not tuples
            yield from self.leaves(list(y)) if isinstance(self.plain(y), (tuple, list)) else [y]

    def rule(self) -> Rule | None:
        return next((rule for _, rule in self._rules_of(self.fn)), None)

    def called(self, inputs: Sequence[Array]) -> list[Inside]:
        """Give the calls of primitives with rules of somebody's own, once for each such rule."""
        if self.rule() is not None:
            return []
        calls: list[tuple[Any, Sequence[Any], Sequence[int]]] = []

        class Noting(self.library.tracer.Node):  # type: ignore[misc,name-defined]
            """What autograd makes of a call: a note of it."""

            def __init__(
                self, _value: Any, fn: Any, args: Any, kwargs: Any, argnums: Any, _parents: Any
            ) -> None:
                if not kwargs:
                    calls.append((fn, args, argnums))

            def initialize_root(self) -> None:
                """Begin with the inputs."""

        def of_all(together: Any) -> Any:
            return self.library.builtins.tuple(self.call([together[i] for i in range(len(inputs))]))

        self.library.tracer.trace(Noting.new_root(), of_all, tuple(inputs))
        return [inside for call in calls for inside in self._alone(*call)]

    def _alone(self, fn: Any, args: Sequence[Any], argnums: Sequence[int]) -> Iterable[Inside]:
        for i, rule in self._rules_of(fn):
            if i in argnums and isinstance(args[i], (np.ndarray, np.generic)):
                arguments = Arguments(tuple(args), (i,))
                yield Inside(_Autograd(fn, arguments, name_of(fn)), arguments.arrays, rule)

    def _rules_of(self, fn: Any) -> list[tuple[int, Rule]]:
        """List the rules that somebody declared of a primitive with ``defvjp``, by argument."""
        try:
            declared = self.library.core.primitive_vjps.get(fn)
        except TypeError:  # it cannot be looked up by
            return []
        rules = [] if declared is None else [(i, rule) for i, rule in _by_argument(declared)]
        return [(i, Rule(line_of(rule), "rule")) for i, rule in rules if _is_of_a_user(rule)]

    def vjp(self, xs: Sequence[Any]) -> tuple[list[Any], Pullback]:
        def of_all(together: Any) -> Any:
            ys = self.call([together[i] for i in range(len(xs))])
            if not any(self.library.tracer.isbox(y) for y in ys):
                raise Misbehaved(Kind.UNTRACKED, ways="plain NumPy, or getval,")
            return self.library.builtins.tuple(ys)

        pullback, ys = self.library.make_vjp(of_all, 0)(tuple(xs))
        return list(ys), lambda upstreams: pullback(tuple(upstreams))


def _by_argument(declared: Callable[..., Any]) -> list[tuple[int, Callable[..., Any]]]:
    """Take apart what ``defvjp`` made of the rules by each argument."""
    held = inspect.getclosurevars(declared).nonlocals.get("vjps_dict")
    if held is None:  # it was declared by ``defvjp_argnums``: one rule for all
        return [(i, declared) for i in range(MOST_ARGUMENTS)]
    return list(held.items())


def _is_of_a_user(rule: Callable[..., Any]) -> bool:
    return getattr(rule, "__module__", "").partition(".")[0] != "autograd"
