"""``repeat``: call a step many times, the recorded program in a loop of its own where that can be.

Whether it can is seen from two calls: each input of the second must be what it was in the first, or
what the first gave.  Then the program is compiled with a loop around it, and runs until a guard
fails or a result is not finite; that call is made as it is, and the loop goes on.

Not for: the loop itself (``backends/``), or calls one by one (``function.py``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.containers import leaves, rebuild
from tinygrad_lab.transforms.jit.backends.background import in_background
from tinygrad_lab.transforms.jit.changes import MISS
from tinygrad_lab.transforms.jit.function import Jitted, Recording, plain
from tinygrad_lab.transforms.jit.program import GuardFailed, refs

__all__ = ["repeat"]

_WORTH = 20  # calls that are left, for which a loop is worth compiling
_FAILURES = 8  # of loops in one call of repeat, after which the rest is called one by one


def repeat(step: Callable[..., Any], n: int) -> Callable[..., Any]:
    """Make a function that calls ``step`` ``n`` times, and stacks what that returned.

    Parameters
    ----------
    step : callable
        As for :func:`jit`: a training step, say.
    n : int
        How often, at least once.

    Returns
    -------
    callable
        It takes the arguments of ``step``, the same ones for each call.  What comes back has the
        structure of what ``step`` returns, with a new first axis of length ``n``, in plain arrays.

    Raises
    ------
    TypeError, ValueError
        ``n`` is no integer of 1 or more; or a result is no array or number.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> x = tl.tensor(1.0)
    >>> def halve():
    ...     x.data = x.data / 2
    ...     return x.data
    >>> tl.repeat(halve, 3)()
    array([0.5  , 0.25 , 0.125])
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"repeat(step, n): n is how often, an integer, not {describe(n)}")
    if n < 1:
        raise ValueError(f"repeat(step, {n}): expected 1 or more")
    jitted = step if isinstance(step, Jitted) else Jitted(plain(step), "auto")

    @functools.wraps(jitted.function)
    def repeated(*args: Any, **kwargs: Any) -> Any:
        pieces = list(_Repetition(jitted, args, kwargs).pieces(int(n)))
        columns = zip(*([x for _, x in leaves(piece.result)] for piece in pieces), strict=True)
        joined = [_joined(column, pieces) for column in columns]
        return rebuild(pieces[0].result, iter(joined))

    return repeated


class _Piece(NamedTuple):
    """What one call gave, or some calls in a loop."""

    result: Any
    calls: int
    stacks: list[Any]  # the arrays in the result that hold all of a loop

    def part(self, leaf: Any) -> Any:
        """Give what belongs to a leaf of the result, with a first axis for the calls."""
        x = leaf.data if isinstance(leaf, Tensor) else leaf
        if not isinstance(x, (np.ndarray, np.generic, int, float, complex)):
            raise TypeError(f"repeat: the step must return arrays and numbers, not {describe(x)}")
        if any(np.may_share_memory(x, stack) for stack in self.stacks):
            return x
        return np.broadcast_to(x, (self.calls, *np.shape(x)))


def _joined(column: Sequence[Any], pieces: Sequence[_Piece]) -> Any:
    """Put what calls and loops gave in one array."""
    if column[0] is None:
        return None
    return np.concatenate([p.part(leaf) for p, leaf in zip(pieces, column, strict=True)])


class _Watched:
    """A call of a program: what went in and what came out."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.inputs: Sequence[Any] | None = None
        self.outputs: Sequence[Any] = ()

    def __call__(self, *inputs: Any) -> Any:
        """Run the program."""
        self.outputs = self.recording.run(*inputs)
        self.inputs = inputs
        return self.outputs


def _carried(first: _Watched, second: _Watched) -> dict[int, int] | None:
    """Find which outputs are inputs the next time, or None if an input came from elsewhere."""
    if first.recording is not second.recording or first.inputs is None or second.inputs is None:
        return None
    program = first.recording.program
    names = [given.name for given in program.inputs]
    carried: dict[int, int] = {}
    for i, (before, now) in enumerate(zip(first.inputs, second.inputs, strict=True)):
        labelled = [o for o, label in enumerate(program.labels) if label == names[i]]
        same = [o for o, output in enumerate(first.outputs) if output is now]
        sources = labelled or (same if isinstance(now, np.ndarray) else [])
        if len(sources) == 1 and _is_same(first.outputs[sources[0]], now):
            if sources[0] in carried:
                return None
            carried[sources[0]] = i
        elif sources or now is not before or same:
            return None
    return carried


def _is_same(x: Any, y: Any) -> bool:
    return x is y or (np.ndim(x) == 0 and np.ndim(y) == 0 and bool(x == y))


class _Repetition:
    """Calls of one step with the same arguments."""

    def __init__(self, jitted: Jitted, args: Any, kwargs: Any) -> None:
        self.jitted, self.args, self.kwargs = jitted, args, kwargs
        self.last: _Watched | None = None
        self.carried: dict[int, int] | None = None
        self.failures = 0

    def pieces(self, n: int) -> Iterator[_Piece]:
        """Make n calls."""
        while n > 0:
            piece = self._loop(n) if self.failures < _FAILURES else None
            if piece is None:
                piece = _Piece(self._call(), 1, [])
            n -= piece.calls
            yield piece

    def _call(self) -> Any:
        """Make one call, and watch it if a program serves it."""
        before, self.last = self.last, None
        recording = self.jitted.latest()
        if recording is None or recording.past is not None:
            return self.jitted(*self.args, **self.kwargs)
        watched = _Watched(recording)
        result = self.jitted.served(recording, watched, self.args, self.kwargs)
        if result is MISS:
            return self.jitted(*self.args, **self.kwargs)
        self.last = watched
        self.carried = None if before is None else _carried(before, watched)
        return result

    def _loop(self, n: int) -> _Piece | None:
        """Make calls in a loop: of n calls as many as go well, or None."""
        if self.last is None or self.carried is None:
            return None
        recording = self.last.recording
        stacked = _results(recording)
        loop = None if stacked is None else self._compiled(recording, stacked, n)
        if loop is None or stacked is None:
            return None
        stacks: list[Any] = []
        done = 0

        def run(*inputs: Any) -> Any:
            nonlocal done, stacks
            looped = loop(n, *inputs)
            if not looped.done:
                raise GuardFailed
            done, stacks = looped.done, [looped.outputs[i] for i in stacked]
            return looped.outputs

        self.last = self.carried = None
        result = self.jitted.served(recording, run, self.args, self.kwargs, lambda: done)
        self.failures += done < n
        return None if result is MISS else _Piece(result, done, stacks)

    def _compiled(self, recording: Recording, stacked: set[int], n: int) -> Any:
        """Give the loop around a program if it is there, or begin to compile it."""
        assert self.carried is not None
        carried = self.carried
        key = tuple(carried.items())
        if key not in recording.loops:
            recording.loops[key] = None

            def compile() -> None:
                from tinygrad_lab.transforms.jit.backends import numba as numba_backend

                recording.loops[key] = numba_backend.compile_loop_or_say(
                    recording.program, carried, stacked, recording.wanted == "numba"
                )

            if recording.wanted == "numba":
                compile()
            elif recording.wanted == "auto" and n >= _WORTH:
                in_background(compile)
        return recording.loops[key]


def _results(recording: Recording) -> set[int] | None:
    """Find the outputs that the result is made of, or None if some are also part of the state."""
    program = recording.program
    positions = {i for i, label in enumerate(program.labels) if label.startswith("result")}
    return positions if len(set(refs(program.result))) == len(positions) else None
