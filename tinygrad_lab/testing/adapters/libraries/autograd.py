"""Functions written with ``autograd.numpy``.

Not for: hand-written backprop in plain NumPy (``adapters/adapted.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.testing.adapters.adapted import adapter
from tinygrad_lab.testing.adapters.libraries.library import LibrarySubject, Pullback
from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.judgement import Kind, Misbehaved
from tinygrad_lab.testing.judging.subject import Adapter


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


class _Autograd(LibrarySubject):
    modules = ("autograd", "autograd.builtins", "autograd.numpy", "autograd.tracer")

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

    def vjp(self, xs: Sequence[Any]) -> tuple[list[Any], Pullback]:
        def of_all(together: Any) -> Any:
            ys = self.call([together[i] for i in range(len(xs))])
            if not any(self.library.tracer.isbox(y) for y in ys):
                raise Misbehaved(Kind.UNTRACKED, ways="plain NumPy, or getval,")
            return self.library.builtins.tuple(ys)

        pullback, ys = self.library.make_vjp(of_all, 0)(tuple(xs))
        return list(ys), lambda upstreams: pullback(tuple(upstreams))
