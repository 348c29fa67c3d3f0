"""``program`` and ``jit``: record a function once, and run what was recorded.

Not for: recording itself (``trace.py``, ``state.py``), or running programs (``backends/``).
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock, RLock, active_count
from time import perf_counter
from types import MethodType
from typing import Any, Literal, overload

import numpy as np

from tinygrad_lab.core.engine import recorder
from tinygrad_lab.core.errors import describe, name_of
from tinygrad_lab.core.graph import differentiating, is_differentiating
from tinygrad_lab.core.levels import innermost
from tinygrad_lab.core.modes import WATCH, current_mode
from tinygrad_lab.transforms.jit.backends import numpy as numpy_backend
from tinygrad_lab.transforms.jit.backends.background import in_background
from tinygrad_lab.transforms.jit.changes import MISS, Changes, Code
from tinygrad_lab.transforms.jit.history import Past, pullback
from tinygrad_lab.transforms.jit.passes import simplified, used_inputs, without_facts
from tinygrad_lab.transforms.jit.program import GuardFailed, Program
from tinygrad_lab.transforms.jit.reach import NotRecordable
from tinygrad_lab.transforms.jit.refusals import (
    UnseenDrawError,
    refuse_leaks,
    refuse_unseen,
    refusing_unseen_draws,
)
from tinygrad_lab.transforms.jit.state import Changed, State
from tinygrad_lab.transforms.jit.trace import Trace, TracingError, untraced
from tinygrad_lab.warnings import RecordingWarning, warn

__all__ = ["Jitted", "jit", "plain", "program"]

Backend = Literal["auto", "numpy", "numba"]
_BACKENDS = ("auto", "numpy", "numba")

_WITH_CARE = "an infinite slope met a zero, and the pass went on with care"
_VARIANTS = 8  # programs kept for one function
_ATTEMPTS = 6  # at recording one call: each time, numbers turn out to be inputs, or not
_PATIENCE = 20  # calls that a program serves before it is worth compiling
_STRICT = 3  # calls with an infinite slope, after which these are told from infinite values


@dataclass(eq=False)
class Recording:
    """One recorded call: its program, the code around that, and how often it served.

    The program is simplified and compiled when a call like it comes for the second time.
    """

    _whole: Program  # as it was recorded
    code: Code
    past: Past | None  # what gives the results a history
    numbers: dict[int, Any]  # the inputs that are numbers, in the recorded call
    static: dict[str, Any]  # numbers that are part of what was recorded
    seconds: float
    reason: str = ""
    calls: int = 0
    misfires: list[str] = field(default_factory=list)
    run: Any = None
    call: Any = None
    backend: str = ""
    seconds_to_compile: float = 0.0
    lock: Any = field(default_factory=Lock)
    wanted: str = "auto"
    loops: dict[Any, Any] = field(default_factory=dict)  # of ``repeat``
    patience: int = _PATIENCE

    def __post_init__(self) -> None:
        self.call = self._first_call

    @functools.cached_property
    def program(self) -> Program:
        """The program, simplified."""
        program, facts = without_facts(simplified(self._whole))
        for i in facts:
            self.code.fix(i, self.numbers[i])
            self.static[program.inputs[i].name] = self.numbers[i]
        program, self.stay = used_inputs(program)
        del self._whole
        return program

    def _first_call(self, run: Any, args: Any, kwargs: Any) -> Any:
        with self.lock:
            if run is self.run:
                self.prepare()
        return self.call(self.run, args, kwargs)

    def prepare(self) -> None:
        """Compile the program, and the code around it."""
        begin = perf_counter()
        program = self.program
        self.run, self.backend = numpy_backend.compile(program), "numpy"
        if self.past is not None:
            self.past.run = numpy_backend.compile(self.past.program)
        if self.wanted == "numba":
            self._compile(begin)
        self.call = self.code.compiled(self.stay)
        self.seconds_to_compile = perf_counter() - begin

    def compile_soon(self) -> None:
        """Compile beside the calls that go on."""
        if self.wanted == "auto" and len(self.misfires) < _STRICT:
            begin = perf_counter()
            in_background(lambda: self._compile(begin))

    def _compile(self, begin: float) -> None:
        from tinygrad_lab.transforms.jit.backends import numba as numba_backend  # takes a while

        run = numba_backend.compile_or_say(self.program, self.wanted == "numba")
        if run is not None:
            self.seconds_to_compile += perf_counter() - begin
            self.run, self.backend = run, "numba"


def recorded(
    f: Callable[..., Any], args: Any, kwargs: Any, numbers: set[str], fixed: set[str]
) -> tuple[Recording, Callable[[], Any], bool]:
    """Call a function on twins of what it is called with, and record what it does.

    Also given are what makes the changes of this call and gives its result; and whether it can be
    repeated: an invalid operation, after which the eager pass takes care, cannot.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return _recorded(f, args, kwargs, numbers, fixed)
        except UnseenDrawError:
            if active_count() == 1:
                raise  # else another thread may have drawn: a call that draws does so each time
    return _recorded(f, args, kwargs, numbers, fixed)


def _recorded(
    f: Callable[..., Any], args: Any, kwargs: Any, numbers: set[str], fixed: set[str]
) -> tuple[Recording, Callable[[], Any], bool]:
    begin = perf_counter()
    name = _full_name(f)
    for _ in range(_ATTEMPTS):
        trace = Trace(name)
        state = State(trace, numbers, fixed)
        twins = state.twins_of(f, args, kwargs)
        try:
            changes = _called(trace, state, twins)
        except Changed as changed:
            if changed.paths <= numbers:
                raise TracingError(
                    f"{', '.join(sorted(changed.paths))} changed in {name} to a number that was "
                    "not computed from what is recorded"
                ) from None
            numbers |= changed.paths
            continue
        except UnseenDrawError:
            raise  # no number is taken for a size
        except Exception as error:  # noqa: BLE001 - and raised again
            refusal = _refusal_in(error)
            loose = {i.name for i in trace.inputs if i.kind.dtype in (int, float)} - fixed
            if refusal is None or not loose:
                raise error if refusal is None else refusal  # noqa: B904 - the same error
            fixed |= loose  # perhaps one of these numbers is taken for a size
            del refusal  # and the frames that it came through
            continue
        del twins
        past = _past(name, f, args, kwargs, numbers, fixed, changes) if changes.live else None
        return _finished(trace, state, changes, past, begin)
    raise TracingError(f"{name} could not be recorded: its numbers change in each attempt")


def _full_name(f: Any) -> str:
    """Name a function, and the transforms that made it: ``grad_loss``."""
    name = name_of(f) if hasattr(f, "__name__") else type(f).__name__
    home = getattr(f, "__globals__", {}).get("__name__", "")
    if not hasattr(f, "__wrapped__") or not home.startswith(__name__.rpartition(".jit.")[0]):
        return name
    return f"{f.__code__.co_qualname.partition('.')[0]}_{_full_name(f.__wrapped__)}"


def _refusal_in(error: BaseException | None) -> TracingError | None:
    """Find what a traced array refused, behind an error that says where."""
    while error is not None and not isinstance(error, TracingError):
        error = error.__cause__ or error.__context__
    return error


def _called(trace: Trace, state: State, twins: Any) -> Changes:
    twin, args, kwargs = twins
    unseen = refusing_unseen_draws(trace.name)
    try:
        with trace.recording(), differentiating(state.differentiated), unseen:
            result = twin(*args, **kwargs)
    finally:
        state.watch.put_back()
    state.refuse_changed_copies()
    return Changes(state, result)


def _past(
    name: str, f: Any, args: Any, kwargs: Any, numbers: set[str], fixed: set[str], changes: Changes
) -> Past:
    """Record the call once more, with the way back."""
    trace = Trace(f"{name}_pullback")
    state = State(trace, numbers, fixed)
    twins = state.twins_of(f, args, kwargs)
    results = [untraced(y.data) for y in changes.live]
    cotangents = [trace.input(f"d_{name}", np.ones_like(result)) for result in results]
    again = _called(trace, state, twins)
    with trace.recording(), differentiating(state.differentiated):
        past = pullback(trace, state, again, cotangents)
    state.forget()
    return past


def _finished(
    trace: Trace, state: State, changes: Changes, past: Past | None, begin: float
) -> tuple[Recording, Callable[[], Any], bool]:
    outputs, labels = tuple(changes.outputs), tuple(changes.labels)
    values = [t.value for t in changes.held]
    if past is not None:
        if len(trace.draws) != past.draws:
            raise NotRecordable("draws that are others each time")
        outputs += tuple(ref for ref, _ in trace.draws)
        values += [value for _, value in trace.draws]
        labels += tuple(f"draw{i}" for i in range(past.draws))
    whole = Program(
        trace.name, tuple(trace.inputs), tuple(trace.instructions), outputs, labels,
        changes.returned,
    )  # fmt: skip
    trace.instructions.clear()
    code = Code(state, changes, past)
    inputs, objects = trace.values, state.objects
    numbers = {i: x for i, x in enumerate(inputs) if isinstance(x, (int, float, complex))}
    recording = Recording(whole, code, past, numbers, state.static, perf_counter() - begin)
    changes.held.clear()
    changes.live.clear()
    state.forget()
    refuse_leaks(trace)
    refuse_unseen(trace, whole, state.constants)

    return recording, lambda: code.commit(objects, inputs, values), trace.is_repeatable


# -- program --------------------------------------------------------------------------------------


def program(f: Callable[..., Any]) -> Callable[..., Program]:
    """Make a function that gives the program of a call of ``f``: the NumPy calls that it makes.

    Parameters
    ----------
    f : callable
        Any function of arrays, tensors, modules, optimizers: a training step, ``tl.grad(loss)``.

    Returns
    -------
    callable
        It takes the arguments of ``f``, calls ``f`` on copies of all that it could change, and
        returns the :class:`Program`.

    Raises
    ------
    TracingError
        ``f`` makes a number of Python's of a value (``float``, ``item`` ...), writes into an array
        that it was handed, or changes something that cannot be followed.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> program = tl.program(tl.grad(lambda x: np.sum(np.sin(x))))(np.array([1.0, 2.0]))
    >>> print(program.source.splitlines()[-3].strip())
    d_x = np.cos(x)  # (2)
    """
    function = plain(f)

    @functools.wraps(function)
    def programmed(*args: Any, **kwargs: Any) -> Program:
        return recorded(function, args, kwargs, set(), set())[0].program

    return programmed


def plain(f: Any) -> Any:
    """Give the function that is to be recorded."""
    if not callable(f):
        raise TypeError(
            f"a transform takes a function, not {describe(f)}: say tl.jit(f), and not tl.jit(f(x))"
        )
    return f.function if isinstance(f, Jitted) else f


# -- jit ------------------------------------------------------------------------------------------


class Jitted:
    """What :func:`jit` makes: a function whose calls are recorded, and run from what was recorded.

    Attributes
    ----------
    function : callable
        The function itself, to call it as it is.
    """

    __name__: str
    records = True  # told from other callables, by state.py

    def __init__(self, f: Callable[..., Any], backend: str) -> None:
        self.__name__ = type(f).__name__  # unless it has a name of its own
        functools.update_wrapper(self, f, updated=())
        self.function = f
        self.backend = backend
        self._recordings: dict[Any, list[Recording]] = {}  # by how tensors are recorded outside
        self._numbers: set[str] = set()  # that differ from call to call
        self._fixed: set[str] = set()  # that are part of what is recorded
        self._lock = RLock()
        self._events: dict[str, int] = {}  # why calls were made as they are, and how often

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run what was recorded for such a call; the first time, make the call and record it."""
        mode: Any = current_mode()
        if mode is WATCH or recorder.get() is not None or innermost.get() is not None:
            return self.function(*args, **kwargs)  # part of what happens around it
        if is_differentiating():
            mode = mode, "differentiated"
        recordings = self._recordings.get(mode)
        if recordings is None:
            recordings = self._recordings.setdefault(mode, [])
        number = len(recordings)
        for recording in recordings:
            try:
                result = recording.call(recording.run, args, kwargs)
            except GuardFailed:
                continue
            except Exception as error:  # noqa: BLE001 - the call itself says it as it should
                return self._misfired(recording, error, args, kwargs)
            if result is not MISS:
                recording.calls += 1
                if recording.calls == recording.patience:
                    recording.compile_soon()
                if recording is not recordings[0]:
                    self._put_first(recordings, recording)
                return result
        return self._record(recordings, number, args, kwargs)

    def latest(self) -> Recording | None:
        """Give the recording that served the last call, or was made of it."""
        if recorder.get() is not None or is_differentiating():
            return None
        recordings = self._recordings.get(current_mode())
        return recordings[0] if recordings else None

    def served(
        self, recording: Recording, run: Any, args: Any, kwargs: Any,
        count: Callable[[], int] = lambda: 1,
    ) -> Any:  # fmt: skip
        """Let something else run the program of a recording; MISS if it cannot serve the call."""
        if not recording.backend:  # nothing has run it yet
            return MISS
        try:
            result = recording.call(run, args, kwargs)
        except Exception:  # noqa: BLE001 - whoever makes the call as it is says it as it should
            return MISS
        if result is not MISS:
            recording.calls += count()
        return result

    def _put_first(self, recordings: list[Recording], recording: Recording) -> None:
        with self._lock:
            if recording in recordings:
                recordings.remove(recording)
                recordings.insert(0, recording)

    def _misfired(self, recording: Recording, error: Exception, args: Any, kwargs: Any) -> Any:
        """Make a call as it is that the program could not serve: an infinite slope, an error."""
        recording.misfires.append(f"{type(error).__name__}: {error}".partition("\n")[0])
        if isinstance(error, FloatingPointError) and len(recording.misfires) == _STRICT:
            recording.run = numpy_backend.compile(recording.program, is_strict=False)
            recording.backend = "numpy"
        return self._as_it_is("a value was not finite, or a call failed", args, kwargs)

    def _as_it_is(self, why: str, args: Any, kwargs: Any) -> Any:
        self._events[why] = self._events.get(why, 0) + 1
        return self.function(*args, **kwargs)

    def _record(self, recordings: list[Recording], number: int, args: Any, kwargs: Any) -> Any:
        with self._lock:
            if len(recordings) != number:  # another thread has recorded meanwhile
                return self(*args, **kwargs)
            if len(recordings) >= _VARIANTS:
                return self._refuse_another(recordings, args, kwargs)
            cases = self._events.get(_WITH_CARE, 0)
            if cases & (cases - 1):  # recorded in vain so often: tried again ever more seldom
                return self._as_it_is(_WITH_CARE, args, kwargs)
            reason = self._reason(recordings, args, kwargs)
            try:
                recording, settle, is_repeatable = recorded(
                    self.function, args, kwargs, self._numbers, self._fixed
                )
            except NotRecordable as why:
                return self._as_it_is(str(why), args, kwargs)
            except TracingError:
                raise
            except Exception as error:  # noqa: BLE001 - the call itself raises it, if it does
                return self._as_it_is(f"{type(error).__name__}: {error}", args, kwargs)
            result = settle()
            if is_repeatable:
                recording.reason, recording.wanted = reason, self.backend
                recordings.insert(0, recording)
            else:
                self._events[_WITH_CARE] = self._events.get(_WITH_CARE, 0) + 1
            return result

    def _reason(self, recordings: list[Recording], args: Any, kwargs: Any) -> str:
        """Say why none of the recordings is for a call; numbers that differ become inputs."""
        if not recordings:
            return "the first call"
        reasons = [recording.code.difference(args, kwargs) for recording in recordings]
        for recording, (_, label) in zip(recordings, reasons, strict=True):
            if label in recording.static:
                self._numbers.add(label)
        return reasons[0][0]

    def _refuse_another(self, recordings: list[Recording], args: Any, kwargs: Any) -> Any:
        why = f"{_VARIANTS} programs are recorded, and none is for this call"
        if why not in self._events:
            warn(
                f"jit of {self.__name__}: {why}, because {self._reason(recordings, args, kwargs)}. "
                "Such calls are made as they are from now on: what differs each time should be an "
                "array (np.asarray(n)); print(jitted.report()) says what was recorded and why",
                RecordingWarning,
            )
        return self._as_it_is(why, args, kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """Give the program of such a call, as :func:`tinygrad_lab.program` does."""
        return program(self.function)(*args, **kwargs)

    def report(self) -> str:
        """Say what was recorded, when and why, and how often it served.

        Examples
        --------
        >>> import numpy as np, tinygrad_lab as tl
        >>> double = tl.jit(lambda x: x + x)
        >>> for n in (2, 3, 3):
        ...     doubled = double(np.ones(n))
        >>> print(double.report().splitlines()[0])
        jit of <lambda>: 2 programs recorded, 1 call served by them
        """
        return _report(self)

    def __repr__(self) -> str:
        return f"<jit of {self.__name__}>"


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'s' * (n != 1)}"


def _report(jitted: Jitted) -> str:
    everything = [r for each in jitted._recordings.values() for r in each]  # noqa: SLF001
    served = sum(r.calls for r in everything)
    lines = [
        f"jit of {jitted.__name__}: {_count(len(everything), 'program')} recorded, "
        f"{_count(served, 'call')} served by them"
    ]
    for number, recording in enumerate(everything, 1):
        program = recording.program
        inputs = ", ".join(f"{i.name} {i.kind}" for i in program.inputs) or "nothing"
        reads = f"   {_count(len(program.instructions), 'line')} from {inputs}"
        lines += [
            f"{number}. recorded because of {recording.reason}",
            textwrap.fill(reads, 98, subsequent_indent="   ", break_on_hyphens=False),
            f"   {recording.backend}: {1e3 * recording.seconds:.1f} ms to record, "
            f"{1e3 * recording.seconds_to_compile:.1f} ms to compile, "
            f"{_count(recording.calls, 'call')}",
        ]
        if numbers := [f"{name} = {v}" for name, v in recording.static.items() if "." not in name]:
            lines.append(f"   part of it: {', '.join(numbers)}")
        if recording.misfires:
            times = _count(len(recording.misfires), "time")
            lines.append(f"   repeated eagerly {times}, the last for {recording.misfires[-1]}")
    for why, count in jitted._events.items():  # noqa: SLF001
        lines.append(f"made as they are: {_count(count, 'call')}, because {why}")
    return "\n".join(lines)


@overload
def jit(f: Callable[..., Any], *, backend: Backend = "auto") -> Jitted: ...
@overload
def jit(*, backend: Backend = "auto") -> Callable[[Callable[..., Any]], Jitted]: ...
def jit(f: Callable[..., Any] | None = None, *, backend: Backend = "auto") -> Any:
    """Record a function when it is first called, and run the recorded program from then on.

    Parameters
    ----------
    f : callable
        A function, a method, a module; a training step with ``backward()`` and ``step()`` in it.
        What it uses may be among its arguments, in its closure, or a global that it names: arrays,
        tensors, modules, optimizers, schedules, random generators, containers of these.
    backend : {"auto", "numpy", "numba"}
        What runs the program.  ``"numpy"`` gives the results of the call itself to the last bit.
        ``"numba"`` compiles loops, in the second call; sums are added in another order there, and
        ``exp`` and its like are within 3 units in the last place.  ``"auto"`` begins with the
        first, and goes over to the second when a program has served for a while, Numba is there,
        and a thread beside has compiled it.

    Returns
    -------
    Jitted
        It is called as ``f`` is, gives the same results and makes the same changes.  A call with
        other shapes or dtypes, or one that takes another branch, is recorded anew.
        ``.report()`` says what was recorded, ``.program(*args)`` shows it.

    Raises
    ------
    TracingError
        In the first call: ``f`` makes a number of Python's of a value, or changes something that
        later calls could not change likewise.
    ValueError
        The backend is unknown.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> @tl.jit
    ... def distance(x, y):
    ...     return np.sqrt(np.sum((x - y) ** 2))
    >>> float(distance(np.zeros(2), np.array([3.0, 4.0])))
    5.0
    """
    if backend not in _BACKENDS:
        raise ValueError(f"backend={backend!r}: expected one of {', '.join(map(repr, _BACKENDS))}")
    if f is None:
        return functools.partial(jit, backend=backend)
    return Jitted(plain(f), backend)
