"""``graph(loss)``: the picture of a computation, to show in a notebook or save to a file.

Ties the parts together: ``model.py`` reads the graph, ``dot.py`` writes it, ``render.py`` draws it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.files import write_file
from tinygrad_lab.transforms import Program
from tinygrad_lab.viz import render as rendering
from tinygrad_lab.viz.dot import to_dot
from tinygrad_lab.viz.model import DETAILS, Box, GraphModel, build
from tinygrad_lab.viz.naming import variables
from tinygrad_lab.viz.program import program_dot
from tinygrad_lab.viz.style import THEMES, number, plural

if TYPE_CHECKING:
    import graphviz

__all__ = ["Graph", "graph"]

_SHOWN = ("shape", "grad")
_DIRECTIONS = {"auto": "TB", "TB": "TB", "LR": "LR"}


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
) -> Graph:
    """Draw how a tensor was computed, and how its gradient flows back.

    One box per operation with its result, one per parameter, one per array of data; a line is the
    wider and the darker the larger the gradient it carries back. Draw before ``backward()``, which
    frees the graph. Gradients are measured in a pass of their own that changes no ``.grad``.

    Parameters
    ----------
    loss
        The tensor to explain. With several elements, gradients are those of its sum. Or a program
        of :func:`tinygrad_lab.program`: a box a line, forward, backward and update in frames.
    model
        A module, to name parameters and to frame the operations of each layer.
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
        Paths of layers to draw as one box each.
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
    x     parameter       (2,)   1 … 2  rms 3.16
    #2    multiply(x, x)  (2,)   1 … 4  rms 1
    loss  sum(#2)         ()     5      1
    """
    _check("direction", direction, _DIRECTIONS)
    _check("theme", theme, THEMES)
    _check("detail", detail, ("auto", *DETAILS))
    _check("engine", engine, rendering.ENGINES)
    for what in show:
        _check("show", what, _SHOWN)
    if isinstance(loss, Program):
        return ProgramGraph(loss, program_dot(loss, theme=theme, limit=limit), engine)
    options: dict[str, Any] = {
        "detail": detail, "fold": fold, "collapse": collapse, "depth": depth,
        "nearby": variables(sys._getframe(1)),
    }  # fmt: skip
    read = partial(
        build, loss, model=model, names=names, gradients="grad" in show, limit=limit, **options
    )
    style = Style(tuple(show), _DIRECTIONS[direction], theme)
    return Graph(read(), style, engine, read)


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


class Graph:
    """A drawn graph. A notebook shows it as SVG; ``print`` shows it as a table.

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
        self.model = model
        self.style = style
        self.source = style.dot(model)
        self._engine = engine
        self._read = read

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the computation: not every function and array in it can be pickled."""
        return self.__dict__ | {"_read": None}

    def svg(self) -> str:
        """Return the picture as one ``<svg>`` element that can be put into a page.

        Raises
        ------
        RenderError
            Nothing on this machine can draw; the message names the remedies.
        """
        return rendering.render(self.source, "svg", engine=self._engine).decode()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Save the picture, in the format its name ends in: svg, png, pdf, or dot for the text.

        Links and rights are as ``open`` would have them, and nobody ever reads half a picture,
        whoever else writes it and whenever it is interrupted.

        Raises
        ------
        ValueError
            Another ending.
        RenderError
            Nothing on this machine can draw; the message names the remedies.
        OSError
            The file cannot be written. A file already there is left as it was.
        """
        form = Path(path).suffix.lower().removeprefix(".")
        if form in ("dot", "gv"):
            return write_file(path, self.source.encode())
        if form not in rendering.FORMATS:
            allowed = ", ".join(f".{f}" for f in (*rendering.FORMATS, "dot"))
            raise ValueError(
                f"save() needs a name that ends in one of {allowed}, not {str(path)!r}"
            )
        content = rendering.render(self.source, form, engine=self._engine)
        if form == "svg":
            content = b'<?xml version="1.0" encoding="UTF-8"?>\n' + content
        return write_file(path, content)

    def to_graphviz(self) -> graphviz.Source:
        """Return the picture as an object of the ``graphviz`` package."""
        import graphviz

        return graphviz.Source(self.source)

    def __repr__(self) -> str:
        return f"<Graph of {_summary(self.model)}>"

    def __str__(self) -> str:
        return table(self.model)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        # Never text/html: viewers that sanitise it would prefer it and show wreckage.
        text = str(self)
        try:
            return {"image/svg+xml": self.svg(), "text/plain": text}
        except rendering.RenderError as error:
            return {"text/plain": f"{text}\n\n{error}"}


class ProgramGraph(Graph):
    """A drawn program."""

    def __init__(self, program: Program, source: str, engine: str) -> None:
        self.program = program
        self.source = source
        self._engine = engine

    def __repr__(self) -> str:
        return f"<Graph of {self.program!r}>"

    __str__ = __repr__  # print(program) shows the text


def table(model: GraphModel) -> str:
    """Write a model as a table, one line a box.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> x = tl.tensor(3.0, requires_grad=True)
    >>> print(table(build(x * x, names={"x": x})))
    loss = 9: 1 operation, 1 parameter, 2 edges
                          shape  value  ∇
    x     parameter       ()     3      6
    loss  multiply(x, x)  ()     9      1
    """
    names = _unique_names(model)
    inputs: dict[str, list[str]] = {}
    for edge in model.edges:
        inputs.setdefault(edge.target, []).append(names[edge.source])
    rows: list[tuple[str, ...]] = [("", "", "shape", "value", "∇")]
    for box in model.boxes:
        operands = ", ".join(inputs.get(box.id, ()))
        call = f"{box.title}({operands})" if operands else box.title
        rows.append((names[box.id], call, str(box.shape), _value(box), _grad(box)))
    return "\n".join([_summary(model), *_aligned(rows)])


def _unique_names(model: GraphModel) -> dict[str, str]:
    """Name each box by its own name, or by the number of its line where that is not unique."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for index, box in enumerate(model.boxes, start=1):
        name = " ".join(box.name.split())
        names[box.id] = name if name and name not in taken else f"#{index}"
        taken.add(name)
    return names


def _value(box: Box) -> str:
    """Write a value: the number itself, or the range of an array."""
    if box.value is None:
        return ""
    if box.value.trouble:
        return f"{box.value.trouble}!"
    if box.value.size == 1:
        return number(box.value.mean)
    return f"{number(box.value.low)} … {number(box.value.high)}"


def _grad(box: Box) -> str:
    """Write the gradient of a box: itself, or its root mean square."""
    if box.grad is None:
        return ""
    if box.grad.trouble:
        return f"{box.grad.trouble}!"
    return number(box.grad.mean) if box.grad.size == 1 else f"rms {number(box.grad.rms)}"


def _summary(model: GraphModel) -> str:
    """Say in one line what a graph is."""
    loss = model.loss
    value = f" = {_value(loss)}" if loss.value is not None and loss.value.size == 1 else ""
    return (
        f"{' '.join(loss.name.split())}{value}: {plural(model.operations, 'operation')}, "
        f"{plural(model.parameters, 'parameter')}, {plural(len(model.edges), 'edge')}"
    )


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Pad columns to their widest entry."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
