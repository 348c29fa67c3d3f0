"""``graph(loss)``: the picture of a computation, to show in a notebook or save to a file.

Ties the parts together: ``model.py`` reads the graph, ``dot.py`` writes it, ``render.py`` draws it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms import Program
from tinygrad_lab.viz import render as rendering
from tinygrad_lab.viz.checked import checker
from tinygrad_lab.viz.dot import to_dot
from tinygrad_lab.viz.drawing import Drawing
from tinygrad_lab.viz.health import Finding, examine, report
from tinygrad_lab.viz.model import DETAILS, Examine, GraphModel, build
from tinygrad_lab.viz.naming import variables
from tinygrad_lab.viz.programs.model import read as read_program
from tinygrad_lab.viz.programs.picture import ProgramGraph
from tinygrad_lab.viz.style import THEMES
from tinygrad_lab.viz.tree import headline, summary, tree

if TYPE_CHECKING:
    from tinygrad_lab.viz.html.page import Page, Pictured

__all__ = ["Examined", "Graph", "graph"]

_SHOWN = ("shape", "grad")
_DIRECTIONS = {"auto": "TB", "TB": "TB", "LR": "LR"}


@overload
def graph(
    loss: Program,
    *,
    theme: str = ...,
    engine: str = ...,
    limit: int = ...,
    detail: str = ...,
    fold: bool | None = ...,
) -> ProgramGraph: ...
@overload
def graph(
    loss: Tensor,
    model: Any = ...,
    *,
    names: Mapping[str, Any] | None = ...,
    show: Collection[str] = ...,
    direction: str = ...,
    theme: str = ...,
    engine: str = ...,
    limit: int = ...,
    detail: str = ...,
    fold: bool | None = ...,
    collapse: Collection[str] = ...,
    depth: int | None = ...,
) -> Graph: ...
def graph(
    loss: Tensor | Program,
    model: Any = None,
    *,
    names: Mapping[str, Any] | None = None,
    show: Collection[str] = _SHOWN,
    direction: str = "auto",
    theme: str = "light",
    engine: str = "auto",
    limit: int = 600,
    detail: str = "auto",
    fold: bool | None = None,
    collapse: Collection[str] = (),
    depth: int | None = None,
) -> Graph | ProgramGraph:
    """Draw how a tensor was computed, and how its gradient flows back.

    One box per operation with its result, one per parameter, one per array of data; a line is the
    wider and the darker the larger the gradient it carries back. Draw before ``backward()``, which
    frees the graph. Gradients are measured in a pass of their own that changes no ``.grad``.

    Parameters
    ----------
    loss
        The tensor to explain. With several elements, gradients are those of its sum. Or a program
        of :func:`tinygrad_lab.program`: forward, backward and update in frames, with the loops
        and the memory that they run in. Then ``theme``, ``engine``, ``limit``, ``detail`` and
        ``fold`` are what there is to choose.
    model
        A module, to name parameters and to frame the operations of each layer. Without one, models
        among the variables where ``graph`` is called name theirs: ``cell.weight_ih``.
    names
        What to call tensors and arrays: ``{"x": x, "ŷ": prediction}``. What has no name here is
        called as the variable that holds it where ``graph`` is called, if there is one, or else as
        the argument that it was passed as.
    show
        What boxes show: any of ``"shape"`` and ``"grad"``. Without ``"grad"`` no backward pass is
        run.
    direction
        ``"TB"``, top to bottom, ``"LR"``, left to right, or ``"auto"``.
    theme
        ``"light"`` or ``"dark"``.
    engine
        What draws: ``"dot"``, the program; ``"pygraphviz"``, the library; ``"auto"``, whichever is
        there. Neither is needed for ``.source`` and for the table.
    limit
        Refuse to draw more boxes than this.
    detail
        What is one box: ``"modules"``, each layer that calls no other, with its parameters;
        ``"operations"``, such a layer beside its parameters, and each call of a function;
        ``"primitives"``, each recorded operation, with layers as frames.  ``"auto"``: operations,
        or fewer boxes where those would be too many.  A layer that hands on what it is given, as
        ``Dropout`` does in evaluation, computes nothing and has no box.
    fold
        Draw what comes several times in a row, the steps of a loop or equal blocks, once; by
        default where there would be too many boxes.  What goes from one copy to the next is
        ``carried``.
    collapse
        Paths of layers to draw as one box each; ``"layers.*.attention"`` stands for several.
    depth
        Draw layers that are so deep within others as one box each.

    Returns
    -------
    Graph
        A picture that fits 848 px; its last line says what is not drawn by itself.

    Raises
    ------
    TypeError
        ``loss`` is not a Tensor, or ``model`` has no parameters to name.
    ValueError
        ``loss`` has no history or it was freed; too many boxes or lines; an unknown option.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> print(graph((x * x).sum(), names={"x": x}))
    loss = 5: 2 operations, 2 parameters, 3 edges
                         shape  value  ∇
    x: parameter         (2,)   1 … 2  rms 3.16
    #2 = multiply(x, x)  (2,)   1 … 4  rms 1
    loss = sum(#2)       ()     5      1
    """
    _check("direction", direction, _DIRECTIONS)
    _check("theme", theme, THEMES)
    _check("detail", detail, ("auto", *DETAILS))
    _check("engine", engine, rendering.ENGINES)
    show, collapse = _several(show), _several(collapse)
    for what in show:
        _check("show", what, _SHOWN)
    if isinstance(loss, Program):
        lines = read_program(loss, detail=detail, fold=fold, limit=limit)
        return ProgramGraph(lines, theme, engine)
    caller = sys._getframe(1)  # noqa: SLF001 - there is no other way to see one's caller
    options: dict[str, Any] = {
        "detail": detail, "fold": fold, "collapse": collapse, "depth": depth,
        "nearby": variables(caller),
    }  # fmt: skip
    read = partial(
        build, loss, model=model, names=names, gradients="grad" in show, limit=limit, **options
    )
    style = Style(show, _DIRECTIONS[direction], theme)
    return Graph(read(), style, engine, read)


def _once(look: Examine) -> Examine:
    """Look one time only: what was found stays the same in whatever detail it is drawn."""
    findings: list[Finding] = []
    looked = False

    def again(*case: Any) -> Sequence[Finding]:
        nonlocal looked
        if not looked:
            findings.extend(look(*case))
            looked = True
        return findings

    return again


def _several(words: Collection[str]) -> tuple[str, ...]:
    """Take a word by itself for a collection of one, and not of its letters."""
    return (words,) if isinstance(words, str) else tuple(words)


def _check(option: str, value: str, allowed: Collection[str]) -> None:
    """Raise ValueError for a value that an option does not have."""
    if value not in allowed:
        raise ValueError(f"{option} must be one of {', '.join(allowed)}, not {value!r}")


@dataclass(frozen=True)
class Style:
    """How a model is drawn: the options of :func:`to_dot`."""

    show: Collection[str] = _SHOWN
    direction: str = "TB"
    theme: str = "light"

    def dot(self, model: GraphModel) -> str:
        """Write a model as DOT."""
        return to_dot(model, show=self.show, direction=self.direction, theme=self.theme)


class Graph(Drawing):
    """A drawn graph. A notebook shows it as SVG or PNG; ``print`` shows it as a tree.

    Made by :func:`graph`. It keeps what it was made from, to be read again in other detail.

    Attributes
    ----------
    model : GraphModel
        What was read: boxes and edges with all their numbers.
    source : str
        DOT text, the same for the same computation, byte for byte.
    """

    def __init__(
        self,
        model: GraphModel,
        style: Style,
        engine: str = "auto",
        read: Callable[..., GraphModel] | None = None,
    ) -> None:
        super().__init__(style.dot(model), engine)
        self.model = model
        self.style = style
        self._read = read

    def health(self, again: Callable[[], Any] | None = None) -> Examined:
        """Look for trouble, and mark the boxes where it is.

        Found are NaN and infinities, dead and saturated units, gradients that vanish or explode
        through layers and through time, histories that were cut off, parameters that are not used,
        get no gradient or are all equal, inputs of a scale that makes trouble, and results that
        are the same for all data: each with its origin, with what it causes, and with a remedy.
        What is measured is this one forward and backward pass; healthy networks have no findings.

        Parameters
        ----------
        again
            Computes the loss anew, ``lambda: F.mse_loss(model(x), y)``: so it can be told which of
            the parameters that no gradient reaches the loss depends on.

        Raises
        ------
        ValueError
            The graph was freed by ``backward()`` meanwhile.
        RuntimeError
            The picture comes from another process, and has no computation.

        Examples
        --------
        >>> import numpy as np, tinygrad_lab as tl
        >>> w = tl.tensor([0.0, 4.0], requires_grad=True)
        >>> print(graph(np.sqrt(w).sum(), names={"w": w}).health().report())
        loss = 2: 1 finding
        <BLANKLINE>
        1. ✗ not finite: the gradient of sqrt
           sqrt of 0 at 1 of 2 elements in operand 1 is finite, its derivative is not
           Remedy: The slope is infinite there: keep the operand away from that point (sqrt,
           norm, std and powers at 0: add a small number under the root, eps=1e-8).
        """
        return self._examined(partial(examine, again=again), "no trouble found")

    def check(self, *, budget: float | None = None) -> Examined:
        """Compare the gradients with measured slopes, and mark the operations that are wrong.

        The recorded operations are called again with parameters moved by a little, as
        :func:`tinygrad_lab.testing.gradcheck` does; which operation has the wrong derivative, the
        account of the backward pass says.  Parameters whose gradients are wrong for that reason are
        marked too.  A history that was cut off is no wrong derivative: see :meth:`health`.

        Parameters
        ----------
        budget
            How many seconds it may take; what could not be looked at then is among the findings.

        Raises
        ------
        ValueError
            The graph was freed by ``backward()`` meanwhile.
        RuntimeError
            The picture comes from another process, and has no computation.

        Examples
        --------
        >>> import numpy as np, tinygrad_lab as tl
        >>> @tl.primitive
        ... def cube(x):
        ...     return x * x * x
        >>> tl.defvjp(cube, lambda g, y, x: g * 2 * x * x)
        >>> w = tl.tensor([1.0, 2.0], requires_grad=True)
        >>> checked = graph(np.sin(cube(w)).sum(), names={"w": w}).check()
        >>> checked.ok, [f.where for f in checked.findings]
        (False, ['cube'])
        """
        return self._examined(checker(budget), "no derivative is wrong")

    def _examined(self, look: Examine, nothing: str) -> Examined:
        if self._read is None:
            raise RuntimeError(
                "this picture was made in another process and has no computation to look at: draw "
                "the graph of the loss here, with tl.viz.graph(loss, model)"
            )
        read = partial(self._read, examine=_once(look))
        return Examined(read(), self.style, self._engine, read, nothing)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the computation: not every function and array in it can be pickled."""
        return self.__dict__ | {"_read": None}

    def step(self) -> Page:
        """Walk through the backward pass, one operation at a time, on a page of its own.

        What arrives, the local rule, what goes back to each operand, and how gradients add up. It
        needs no kernel and no network; without scripts it shows all steps.

        Returns
        -------
        Page
            Shown by a notebook, or saved as HTML with ``.save(path)``.

        Raises
        ------
        ValueError
            The picture was drawn without gradients.
        RenderError
            Nothing on this machine can draw; the message names the remedies.

        Examples
        --------
        >>> import tinygrad_lab as tl
        >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
        >>> graph((x * x).sum()).step().save("walk.html")  # doctest: +SKIP
        """
        from tinygrad_lab.viz.html.stepping import stepping_page

        return stepping_page(self._pictured())

    def _page(self) -> str:
        return self.interactive().html

    def interactive(self) -> Page:
        """Make a page of the picture to move, zoom and search in, whose parts fold and unfold.

        It needs no kernel and no network; without scripts it shows the picture and a table. Other
        details, and all copies of what repeats, can be chosen there where these are not too large,
        and the computation was not freed since.

        Returns
        -------
        Page
            Shown by a notebook, or saved as HTML with ``.save(path)``.

        Raises
        ------
        RenderError
            Nothing on this machine can draw; the message names the remedies.

        Examples
        --------
        >>> import tinygrad_lab as tl
        >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
        >>> graph((x * x).sum()).interactive().save("graph.html")  # doctest: +SKIP
        """
        from tinygrad_lab.viz.html.exploring import exploring_page

        return exploring_page(self._pictured(), self._read)

    def _pictured(self) -> Pictured:
        from tinygrad_lab.viz.html.page import Pictured

        about = summary(self.model)
        return Pictured(self.model, self.style, self._engine, about, self._remarks())

    def _remarks(self) -> str:
        """Return what is said about the picture beside it."""
        return ""

    def __repr__(self) -> str:
        return f"<Graph of {summary(self.model)}>"

    def __str__(self) -> str:
        return tree(self.model)


class Examined(Graph):
    """A graph that was looked at for trouble; what was found is marked."""

    def __init__(
        self,
        model: GraphModel,
        style: Style,
        engine: str,
        read: Callable[..., GraphModel] | None,
        nothing: str,
    ) -> None:
        super().__init__(model, style, engine, read)
        self._nothing = nothing

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, causes first; their effects are under them."""
        return self.model.findings

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.model.findings

    def report(self) -> str:
        """Write what was found, where, why, and what helps."""
        return report(self.findings, headline(self.model), self._nothing)

    def _remarks(self) -> str:
        return self.report()
