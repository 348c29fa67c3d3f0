"""The sections of the page that are no studies, in their order: what each needs, and who makes it.

A section has a module with a function ``section(runs, quick)``, and a template ``KEY.html.j2`` in
``templates/``, which shows what that function returns: texts, numbers, lists and dictionaries.  It
is made in a process of its own, beside the training, and written down, so that a report that was
interrupted does not make it again; the page puts the heading, the place in the contents and the
fold around it.

Not for the studies (``studies.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tinygrad_lab.lab.reports import checked, example
from tinygrad_lab.lab.reports.sections import boundaries, convolution, dead_relu, loss_surface
from tinygrad_lab.lab.reports.study import Runs, Study
from tinygrad_lab.lab.reports.tables import Section
from tinygrad_lab.lab.settings import Settings


def nothing(_: Sequence[Study]) -> Iterable[Settings]:
    """Need no runs."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A section of the page.

    Attributes
    ----------
    key
        Its address on the page and the name of its template; the names of its tables begin with it.
    title
        Its heading.
    make
        A function of a module, called with the runs it needs, in its order, and whether the report
        is a quick one.  It returns None where it has nothing to show.
    needs
        Given the studies that are run, the settings whose runs ``make`` needs: it is called as soon
        as they are finished, at once where there are none.
    after
        The key of the study that it follows; at the end where it is empty, or not in the report.

    Examples
    --------
    >>> [part.key for part in PARTS if part.after == "base"]
    ['example', 'boundaries']
    """

    key: str
    title: str
    make: Callable[[Runs, bool], Section | None]
    needs: Callable[[Sequence[Study]], Iterable[Settings]] = nothing
    after: str = ""


def as_text(part: Part, runs: Runs, quick: bool) -> str:
    """Make a section, written down: empty where it has nothing to show."""
    section = part.make(runs, quick)
    return "" if section is None else section.to_json()


PARTS: tuple[Part, ...] = (
    Part(
        key="example",
        title="One run in full",
        make=example.section,
        needs=example.needs,
        after="base",
    ),
    Part(
        key="boundaries",
        title="Boundaries as they form",
        make=boundaries.section,
        needs=example.needs,  # of the same runs
        after="base",
    ),
    Part(
        key="dead-relu",
        title="Dead ReLU",
        make=dead_relu.section,
        needs=dead_relu.needs,
        after="relu",
    ),
    Part(
        key="loss-surface",
        title="The loss surface",
        make=loss_surface.section,
        needs=loss_surface.needs,
        after="optimizers",
    ),
    Part(key="convolution", title="Convolution", make=convolution.section),
    Part(key="by-hand", title="Hand-written backprop, checked", make=checked.section),
)
