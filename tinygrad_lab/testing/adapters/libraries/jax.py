"""Functions of JAX arrays, with rules of their own (``custom_vjp``, ``custom_jvp``) or without.

Not for: what all libraries have in common (``library.py``).
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.testing.adapters.adapted import adapter
from tinygrad_lab.testing.adapters.libraries.library import LibrarySubject, Pullback
from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.subject import Adapter


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


class _Jax(LibrarySubject):
    modules = ("jax",)

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

    def vjp(self, xs: Sequence[Any]) -> tuple[list[Any], Pullback]:
        def of_inputs(*moved: Any) -> list[Any]:
            return [self.library.numpy.asarray(y) for y in self.call(moved)]

        ys, pullback = self.library.vjp(of_inputs, *xs)

        def of_upstreams(upstreams: Sequence[Any]) -> Any:
            pairs = zip(upstreams, ys, strict=True)
            return pullback([u.astype(y.dtype) for u, y in pairs])  # JAX insists

        return ys, of_upstreams
