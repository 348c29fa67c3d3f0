"""``gradcheck``: look at the properties of one function at one point, and report on them.

Not for: generating inputs (``operations.py``), or what the properties are (``judging``).
"""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.testing.judging.arrays import Array, first_difference, frozen
from tinygrad_lab.testing.judging.judgement import NOWHERE, Kind, Misbehaved, Reason, Site, skipped
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.properties import PROPERTIES
from tinygrad_lab.testing.judging.running import checking
from tinygrad_lab.testing.judging.subject import Adapter, Subject, subject_at
from tinygrad_lab.testing.session import announced
from tinygrad_lab.testing.telling.explain import enter
from tinygrad_lab.testing.telling.finding import GradReport, raise_for
from tinygrad_lab.testing.telling.pasted import shown

NUMBERS = ("well_formed", "finite", "directional", "tied_direction", "exact", "jacobian")
_NOT_THE_READERS = (os.sep + "tinygrad_lab" + os.sep, os.sep + "numpy" + os.sep)


@announced
def gradcheck(
    fn: Callable[..., Any] | Adapter,
    *inputs: Any,
    wrt: int | Sequence[int] | None = None,
    order: int = 1,
    properties: str | Iterable[str] = "default",
    without: Collection[str] = (),
    upstream: Any = None,
    name: str | None = None,
    rng: int | np.random.Generator | None = 0,
    raises: bool = True,
    context: str = "input: ",
) -> GradReport:
    """Check the gradient of ``fn`` at some inputs: the numbers, and everything else that can fail.

    Parameters
    ----------
    fn : callable
        A function of Tensors, or what an adapter made of another library's (:mod:`adapters`).
    *inputs
        What it is called with.  Arrays of floats are differentiated by, and converted to float64;
        complex ones too, by their real and imaginary parts.  NumPy's scalars are arrays; those in
        dicts, lists and tuples count one by one, and the function gets the same containers.
        Anything else (integers, masks, options) is passed on: a Python number too, unless nothing
        is an array.
    wrt : int or sequence of int, optional
        Which inputs to differentiate by, where not by all of these: Python numbers too.
    order : int
        2 checks the gradient of the gradient as well, and so on.
    properties : "default", "numbers", or names
        Which properties to check: see ``PROPERTIES``.
    without : names, or dict of name to str
        Properties to leave out; a dict says why, which the report tells.
    upstream : array_like, optional
        The upstream to check with (of a single output); by default a random one, or 1 of a
        function that was adapted with its ``grad``.
    name : str, optional
        What to call the function in messages.
    rng : int, Generator or None
        For directions and upstreams.
    raises : bool
        Raise the finding.  If not, it is in the report.
    context : str
        What introduces the inputs in a message.

    Returns
    -------
    GradReport
        Its ``verdict`` is ``pass``, or ``inconclusive`` where numbers could not be decided on.

    Raises
    ------
    GradientError
        A property does not hold, or the function is none that a gradient can be checked of.
    TypeError, ValueError
        There is nothing to differentiate by, or a parameter is none that there is.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> from tinygrad_lab import testing as tgt
    >>> report = tgt.gradcheck(lambda x: np.sin(x) * x, np.array([0.5, 2.0]))
    >>> report.verdict, report.resolution < 1e-7
    ('pass', True)
    """
    if order < 1:
        raise ValueError(f"order={order}: 1 checks the gradient, 2 the gradient of that as well")
    if not (callable(fn) or isinstance(fn, Adapter)):
        raise TypeError(f"gradcheck takes a function and then its inputs, not {describe(fn)}")
    generator = np.random.default_rng(rng)
    subject = subject_at(fn, inputs, wrt)
    subject.name = name or subject.name
    chosen = choose(properties, without)
    report = GradReport(subject.name, inputs=_in_words(subject, context))
    if isinstance(without, Mapping):
        for label, why in without.items():
            enter(report, label, skipped(Reason.LEFT_OUT, why=why))
    cause: BaseException | None = None
    with checking():
        try:
            point = _begin(subject, upstream, generator, order)
            warnings.simplefilter("ignore")  # from here on at points that nobody asked about
            for label in chosen:
                with _accusing(Kind.MUTATES, property=label):
                    judgement = PROPERTIES[label](point)
                enter(report, label, judgement, point)
                if report.findings:
                    break
        except Misbehaved as error:
            enter(report, error.judgement.facts.get("property", "call"), error.judgement)
            cause = error.__cause__
    try:
        if raises:
            raise_for(report, cause)
    finally:
        del cause  # its traceback holds this frame
    return report


def choose(properties: str | Iterable[str], without: Collection[str]) -> list[str]:
    """Name the properties to check, in the order in which they are."""
    if properties == "default":
        names = list(PROPERTIES)
    elif properties == "numbers":
        names = list(NUMBERS)
    else:
        names = [properties] if isinstance(properties, str) else list(properties)
    unknown = sorted({*names, *without} - set(PROPERTIES))
    if unknown:
        known = ", ".join(PROPERTIES)
        raise ValueError(f"no property is called {', '.join(unknown)}; there are {known}")
    return [label for label in PROPERTIES if label in names and label not in without]


def _in_words(subject: Subject, context: str) -> str:
    """Write the inputs for a message: by name, then what is not differentiated by."""
    args = subject.args
    differentiated = [args.values[i] for i in args.positions]
    parts = [f"{n} = {shown(x)}" for n, x in zip(subject.names, differentiated, strict=True)]
    rest = [shown(x) for i, x in enumerate(args.values) if i not in args.positions]
    return context + ", ".join(parts + rest)


def _begin(subject: Subject, upstream: Any, generator: np.random.Generator, order: int) -> Point:
    """Call the function and its pullback for the first time, to see that they behave at all."""
    arrays = [np.array(x, dtype=np.float64) for x in subject.args.arrays]
    before = [x.copy() for x in arrays]
    with _accusing(Kind.MUTATES_INPUT):
        recorded = subject.record([frozen(x) for x in arrays])
    _refuse_changed(subject, before, arrays)
    # of either sign, some above 1 and some below, none near 0
    drawn = (
        generator.choice([-1.0, 1.0], y.shape) * generator.integers(24, 97, y.shape) / 48.0
        for y in recorded.outputs
    )
    ups = [np.asarray(u, y.dtype) for u, y in zip(drawn, recorded.outputs, strict=True)]
    upstream = subject.upstream if upstream is None else upstream
    if upstream is not None:
        try:
            ups[0] = np.array(np.broadcast_to(upstream, ups[0].shape), ups[0].dtype)
        except ValueError:
            shapes = f"{np.shape(upstream)}, the output it belongs to {ups[0].shape}"
            raise ValueError(f"the upstream has shape {shapes}") from None
    ups_before = [u.copy() for u in ups]
    with _accusing(Kind.MUTATES_UPSTREAM, backward=True):
        point = Point(subject, arrays, recorded, ups, generator, order)
    _refuse_changed(subject, before, arrays, backward=True)
    if first_difference(ups, ups_before) is not None:
        raise Misbehaved(Kind.MUTATES_UPSTREAM)
    return point


def _refuse_changed(
    subject: Subject, before: Sequence[Array], after: Sequence[Array], **facts: Any
) -> None:
    i = first_difference(before, after)
    if i is not None:
        raise Misbehaved(Kind.MUTATES_INPUT, subject.site(i), **facts)


class _accusing:  # noqa: N801 - used as a function is
    """Take an error that is raised for a fault of the function: for ``mutates`` if by writing."""

    def __init__(self, mutates: Kind, **facts: Any) -> None:
        self.mutates, self.facts = mutates, facts

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> None:
        if isinstance(error, Misbehaved) or not isinstance(error, Exception):
            return
        read_only = isinstance(error, ValueError) and "read-only" in str(error)
        kind = self.mutates if read_only else Kind.RAISES
        raise Misbehaved(kind, _line_of(error), error=error, **self.facts) from error


def _line_of(error: BaseException) -> Site:
    """Find the innermost line that is not ours nor NumPy's, if there is one."""
    chain: BaseException | None = error
    last, visited = None, set()
    while chain is not None and id(chain) not in visited:  # a cause may be an error's own
        visited.add(id(chain))
        for frame in traceback.extract_tb(chain.__traceback__):
            if not any(folder in frame.filename for folder in _NOT_THE_READERS):
                last = frame
        chain = chain.__cause__
    if last is None:
        return NOWHERE
    return Site(line=f"{PurePath(last.filename).name}:{last.lineno}", source=last.line or "")
