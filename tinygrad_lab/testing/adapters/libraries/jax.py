"""Functions of JAX arrays, with rules of their own (``custom_vjp``, ``custom_jvp``) or without.

Not for: what all libraries have in common (``library.py``).
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import name_of
from tinygrad_lab.testing.adapters.adapted import adapter
from tinygrad_lab.testing.adapters.libraries.library import LibrarySubject, Pullback, line_of
from tinygrad_lab.testing.judging.arrays import Arguments, Array, bind, first_difference
from tinygrad_lab.testing.judging.subject import Adapter, Inside, Rule, Subject


def jax(fn: Callable[..., Any], name: str | None = None) -> Adapter:
    """Adapt a function of JAX arrays; it may return any tree of them.

    It is computed in the dtype of its inputs, in float64 too, whatever JAX is configured for.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> import jax.numpy as jnp                                             # doctest: +SKIP
    >>> tgt.gradcheck(tgt.adapters.jax(jnp.tanh), np.ones(3)).verdict       # doctest: +SKIP
    'pass'
    """
    return adapter(_Jax, fn, name)


_LOOPS = ("cond", "scan", "while", "switch")


class _Jax(LibrarySubject):
    modules = ("jax",)
    function: Callable[..., Any] | None = None

    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str) -> None:
        super().__init__(fn, args, name)
        self.adds_in_any_order = self.library.default_backend() != "cpu"

    def by_some(self, wanted: Sequence[int], inputs: Sequence[Array]) -> Subject:
        """Give the function of some of its inputs, with the others constant."""
        subject = super().by_some(wanted, inputs)
        vars(subject)["function"] = None
        return subject

    def rule(self) -> Rule | None:
        return _rule_of(self.fn)

    def called(self, inputs: Sequence[Array]) -> list[Inside]:
        """Give the calls of functions with a ``custom_vjp`` or ``custom_jvp`` of somebody's own.

        Loops and branches run in Python meanwhile; what is called under ``vmap`` has no numbers to
        be called with by itself.
        """
        if self.rule() is not None:
            return []
        kinds = (self.library.custom_vjp, self.library.custom_jvp)
        with self.context(), self.library.disable_jit(), _watched(kinds) as calls:
            self.call([self.to_library(x) for x in inputs])
            return [inside for call in calls if (inside := self._alone(*call)) is not None]

    def _alone(self, fn: Any, args: Sequence[Any]) -> Inside | None:
        rule = _rule_of(fn)
        parts = self.library.tree_util.tree_leaves(args)
        if rule is None or any(isinstance(x, self.library.core.Tracer) for x in parts):
            return None
        plain = self.library.tree_util.tree_map(
            lambda x: np.array(x) if isinstance(x, self.library.Array) else x, tuple(args)
        )
        subject = _Jax(fn, bind(plain, None), name_of(fn))
        return Inside(subject, subject.args.arrays, rule)

    def to_library(self, x: Array) -> Any:
        if x.dtype == np.longdouble:
            raise TypeError("JAX has no long double")
        return self.library.numpy.asarray(np.array(x))  # a copy: it may keep what it is given

    def plain(self, y: Any) -> Any:
        """Give zeros of the same dtype and shape: while JAX traces, there are no numbers."""
        if not isinstance(y, self.library.Array):
            return y
        return np.broadcast_to(np.zeros((), y.dtype), y.shape)

    def context(self) -> contextlib.AbstractContextManager[Any]:
        try:
            return self.library.enable_x64(True)
        except AttributeError:  # before JAX 0.8
            return importlib.import_module("jax.experimental").enable_x64()

    def leaves(self, result: Any) -> Iterable[Any]:
        return self.library.tree_util.tree_leaves(result)

    def values(self, xs: Sequence[Any]) -> list[Any]:
        """Compute the outputs alone."""
        return list(self._function(xs)(*xs))

    def vjp(self, xs: Sequence[Any]) -> tuple[list[Any], Pullback]:
        ys, pullback = self.library.vjp(self._function(xs), *xs)

        def of_upstreams(upstreams: Sequence[Any]) -> Any:
            pairs = zip(upstreams, ys, strict=True)
            return pullback([u.astype(y.dtype) for u, y in pairs])  # JAX insists

        return ys, of_upstreams

    def _function(self, xs: Sequence[Any]) -> Callable[..., Any]:
        """Give the function of the inputs; compiled if JAX would compile its loops at each call."""
        if self.function is None:
            plain: Callable[..., Any] = self._of_inputs
            self.function = self.library.jit(plain) if self._has_loops(xs) else plain
        return self.function

    def _of_inputs(self, *moved: Any) -> list[Any]:
        return [self.library.numpy.asarray(y) for y in self.call(moved)]

    def _has_loops(self, xs: Sequence[Any]) -> bool:
        """Whether it has loops or branches of JAX, and computes the same at each call."""
        if any(isinstance(x, self.library.core.Tracer) for x in xs):
            return False
        try:
            program = self.library.make_jaxpr(self._of_inputs)(*xs)
        except Exception:  # noqa: BLE001 - a function that looks at numbers cannot be compiled
            return False
        if not any(eqn.primitive.name in _LOOPS for eqn in program.jaxpr.eqns):
            return False
        once, again = ([np.array(y) for y in self._of_inputs(*xs)] for _ in range(2))
        return first_difference(once, again) is None


def _rule_of(fn: Any) -> Rule | None:
    """Give the rule that somebody declared of a function: its ``bwd``, or its ``jvp``."""
    for part in ("bwd", "jvp"):
        rule = getattr(fn, part, None)
        if callable(rule) and hasattr(fn, "nondiff_argnums"):
            is_jaxs = getattr(rule, "__module__", "").partition(".")[0] == "jax"
            return None if is_jaxs else Rule(line_of(rule), part)
    return None


@contextlib.contextmanager
def _watched(kinds: Sequence[Any]) -> Iterator[list[tuple[Any, tuple[Any, ...]]]]:
    """Collect the calls of functions that have rules of their own, with what they are given."""
    calls: list[tuple[Any, tuple[Any, ...]]] = []
    originals = [kind.__call__ for kind in kinds]

    def noting(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not kwargs:
                calls.append((self, args))
            return original(self, *args, **kwargs)

        return call

    for kind, original in zip(kinds, originals, strict=True):
        kind.__call__ = noting(original)
    try:
        yield calls
    finally:
        for kind, original in zip(kinds, originals, strict=True):
            kind.__call__ = original
