"""``program``, ``jit`` and ``repeat``: record a function once, and run what was recorded.

Not for: recording itself (``trace.py``, ``state.py``), or running programs (``backends/``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from time import perf_counter
from types import MethodType
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import recorder
from tinygrad_lab.core.errors import describe, name_of
from tinygrad_lab.core.graph import is_differentiating
from tinygrad_lab.core.modes import WATCH, current_mode
from tinygrad_lab.transforms.jit.backends import numpy as numpy_backend
from tinygrad_lab.transforms.jit.passes import simplified, used_inputs
from tinygrad_lab.transforms.jit.program import GuardFailed, Program
from tinygrad_lab.transforms.jit.state import (
    MISS,
    Changed,
    Changes,
    NotRecordable,
    State,
    compiled,
    refuse_leaks,
)
from tinygrad_lab.transforms.jit.trace import Trace, TracingError

__all__ = ["Jitted", "jit", "program", "repeat"]

_VARIANTS = 8
_ATTEMPTS = 6


@dataclass(eq=False)
class Recording:
    """One recorded call: its program, the code around that, and what the call gave."""

    program: Program
    call: Callable[..., Any]
    values: list[Any]
    generators: list[Any]
    static: dict[str, Any]
    is_repeatable: bool
    seconds: float
    run: Any = None
    backend: str = ""
    calls: int = 0
    misfires: int = 0
    reasons: list[str] = field(default_factory=list)


def recorded(
    f: Callable[..., Any], args: Any, kwargs: Any, numbers: set[str], fixed: set[str]
) -> Recording:
    """Call a function on twins of what it is called with, and record what it does."""
    begin = perf_counter()
    for _ in range(_ATTEMPTS):
        trace = Trace(name_of(f) if hasattr(f, "__name__") else type(f).__name__)
        state = State(trace, numbers, fixed)
        twin, twin_args, twin_kwargs = state.twins_of(f, args, kwargs)
        try:
            with trace.recording():
                result = twin(*twin_args, **twin_kwargs)
            changes = Changes(state, result)
        except Changed as changed:
            if changed.paths <= numbers:
                raise TracingError(
                    f"{', '.join(sorted(changed.paths))} changed in {trace.name} to a number that "
                    "was not computed from what is recorded"
                ) from None
            numbers |= changed.paths
            continue
        except TracingError:
            loose = {given.name for given in trace.inputs if given.kind.dtype in (int, float)}
            if loose <= fixed:
                raise
            fixed |= loose
            continue
        del result, twin, twin_args, twin_kwargs
        return _finished(trace, state, changes, perf_counter() - begin)
    raise TracingError(f"{name_of(f)} could not be recorded: its numbers change in each attempt")


def _finished(trace: Trace, state: State, changes: Changes, seconds: float) -> Recording:
    labels = tuple(changes.labels)
    whole = Program(
        trace.name, tuple(trace.inputs), tuple(trace.instructions), tuple(changes.outputs), labels
    )
    program, stay = used_inputs(simplified(whole))
    state.inputs = [state.inputs[i] for i in stay]
    call = compiled(state, changes)
    values = [t.value for t in changes.held]
    generators = state.generators
    changes.held.clear()
    state.forget()
    refuse_leaks(trace)
    return Recording(
        program, call, values, generators, state.static, trace.is_repeatable, seconds
    )


# -- program --------------------------------------------------------------------------------------


def program(f: Callable[..., Any]) -> Callable[..., Program]:
    """Make a function that gives the program of a call of ``f``, instead of calling it.

    Parameters
    ----------
    f : callable
        Any function of arrays, tensors, modules, optimizers: a training step, ``tl.grad(loss)``.

    Returns
    -------
    callable
        It takes the arguments of ``f``, calls it on copies of all that it could change, and
        returns the :class:`Program`.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> print(tl.program(tl.grad(lambda x: np.sum(x ** 3)))(np.array([1.0, 2.0])))
    """

    @functools.wraps(f)
    def programmed(*args: Any, **kwargs: Any) -> Program:
        return recorded(_plain(f), args, kwargs, set(), set()).program

    return programmed


def _plain(f: Any) -> Any:
    if not callable(f):
        raise TypeError(f"a transform takes a function, not {describe(f)}")
    return f.function if isinstance(f, Jitted) else f


# -- jit ------------------------------------------------------------------------------------------


class Jitted:
    """A function whose calls are recorded, and run from what was recorded."""

    def __init__(self, f: Callable[..., Any], backend: str) -> None:
        functools.update_wrapper(self, f, updated=())
        self.function = f
        self.backend = backend
        self._recordings: dict[str, list[Recording]] = {}
        self._numbers: set[str] = set()
        self._fixed: set[str] = set()
        self._lock = RLock()
        self._events: list[str] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run what was recorded for such a call, or make the call and record it."""
        mode = current_mode()
        if is_differentiating() or mode is WATCH or recorder.get() is not None:
            return self.function(*args, **kwargs)  # part of what happens around it
        recordings = self._recordings.get(mode)
        if recordings is None:
            recordings = self._recordings[mode] = []
        for position, recording in enumerate(recordings):
            try:
                result = recording.call(recording.run, args, kwargs)
            except GuardFailed:
                continue
            except Exception as error:  # noqa: BLE001 - the call itself says it as it should
                recording.misfires += 1
                recording.reasons.append(f"{type(error).__name__}: {error}")
                return self.function(*args, **kwargs)
            if result is not MISS:
                recording.calls += 1
                if position:
                    recordings.insert(0, recordings.pop(position))
                return result
        return self._record(recordings, args, kwargs)

    def _record(self, recordings: list[Recording], args: Any, kwargs: Any) -> Any:
        if len(recordings) >= _VARIANTS:
            return self.function(*args, **kwargs)
        with self._lock:
            try:
                recording = recorded(self.function, args, kwargs, self._numbers, self._fixed)
            except NotRecordable as why:
                self._events.append(f"made as it is: {why}")
                return self.function(*args, **kwargs)
            values = recording.values
            result = recording.call(lambda *_: values, args, kwargs)
            for generator, twin in recording.generators:
                generator.bit_generator.state = twin.bit_generator.state
            recording.values = []
            if recording.is_repeatable:
                recording.run = numpy_backend.compile(recording.program)
                recording.backend = "numpy"
                recordings.insert(0, recording)
        return result

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """Give the program of such a call."""
        return program(self.function)(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<jit of {name_of(self.function)}>"


def jit(f: Callable[..., Any] | None = None, *, backend: str = "auto") -> Any:
    """Record a function when it is first called, and run the recorded program from then on."""
    if f is None:
        return functools.partial(jit, backend=backend)
    return Jitted(_plain(f), backend)


def repeat(step: Callable[..., Any], n: int) -> Callable[..., Any]:
    """Make a function that calls ``step`` n times, and returns what it returned, stacked."""
    jitted = step if isinstance(step, Jitted) else Jitted(step, "auto")

    @functools.wraps(step)
    def repeated(*args: Any, **kwargs: Any) -> Any:
        results = [jitted(*args, **kwargs) for _ in range(n)]
        return np.stack([np.asarray(r.data) for r in results])

    return repeated



