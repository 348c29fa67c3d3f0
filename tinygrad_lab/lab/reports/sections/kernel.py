"""The gradient of a convolution by its kernel: derived by hand, and as the generated program.

Not for the derivation (``kernel_by_hand.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.lab.reports.sections import kernel_by_hand
from tinygrad_lab.lab.reports.sections.panel import panel
from tinygrad_lab.lab.reports.tables import Section, Table
from tinygrad_lab.lab.reports.verdicts import code, line_named, new_lines, outcome
from tinygrad_lab.transforms.jit.program import Program

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = kernel_by_hand.Array
Gradients = Callable[[Array, Array, Array], tuple[Array, Array]]


def section(images: Array, kernels: Array) -> Section:
    """Compute the gradients of the mean of y² both ways, and have the one by hand checked.

    Parameters
    ----------
    images
        Shape (n, channels, rows, columns).
    kernels
        Shape (outputs, channels, height, width).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shown = section(rng.normal(size=(1, 1, 4, 4)), rng.normal(size=(1, 1, 2, 2))).shown
    >>> shown["right"]["verdict"], shown["turned"]["verdict"]
    ('pass', 'fail')
    """
    right, turned = kernel_by_hand.gradients, kernel_by_hand.gradients_turned
    program = tl.program(tl.value_and_grad(loss, argnums=(0, 1)))(images, kernels)
    _, generated = program(images, kernels)
    by_hand, mistaken = (_by_hand(f, images, kernels) for f in (right, turned))
    check = partial(_check, images=images, kernels=kernels)
    verdict = outcome(lambda: check(turned))
    columns = {"by hand": by_hand[1], "program": generated[1], "turned around": mistaken[1]}
    shown = {
        "images": len(images),
        "kernels": len(kernels),
        "code": [code(kernel_by_hand.convolved), code(right)],
        "program": _parts(program),
        "differences": [
            f"{np.abs(a - b).max():.0e}" for a, b in zip(by_hand, generated, strict=True)
        ],
        "largest": f"{np.abs(generated[1]).max():.2g}",
        "right": outcome(lambda: check(right)),
        "turned": verdict,
        "new": new_lines(turned, right),
        "line": line_named(verdict["site"], kernel_by_hand),
        "figure": panel(
            partial(_draw, columns=columns),
            name="convolution-kernel-gradient",
            alt="The gradient by each kernel three times: by hand, by the program, turned around",
            caption=(
                "∂L/∂k of the first-layer kernels. By hand and by the program it is one picture; "
                "with the kernel turned around, each tile is turned by half a circle."
            ),
            size=(6.4, 3.0),
            bottom=0.1,
        ),
    }
    return Section(shown, {"convolution-kernel-gradient.csv": _table(columns)})


def loss(images: Any, kernels: Any) -> Any:
    """Return the mean of y², as ``kernel_by_hand.loss`` does."""
    y = tl.conv2d(images, kernels)
    return (y**2).mean()


def _by_hand(gradients: Gradients, X: Array, K: Array) -> tuple[Array, Array]:
    Y = kernel_by_hand.convolved(X, K)
    return gradients(X, K, 2 * Y / Y.size)


def _check(gradients: Gradients, images: Array, kernels: Array) -> tgt.GradReport:
    adapted = tgt.adapters.numpy(kernel_by_hand.loss, grad=partial(_by_hand, gradients))
    return tgt.gradcheck(adapted, images, kernels)


def _parts(program: Program) -> dict[str, str]:
    """Take the text of a program apart: what is defined above its function, and the function."""
    definitions, start, function = str(program).rpartition("def ")
    return {"definitions": definitions.strip(), "function": (start + function).strip()}


def _table(columns: dict[str, Array]) -> Table:
    rows = [
        (*index, *(f"{gradient[index]:.17g}" for gradient in columns.values()))
        for index in np.ndindex(next(iter(columns.values())).shape)
    ]
    return Table(("output", "channel", "row", "column", *columns), rows)


def _draw(ax: Axes, columns: dict[str, Array]) -> None:
    from tinygrad_lab.viz import plot_kernels
    from tinygrad_lab.viz.plots.canvas import panels

    for part, (title, gradient) in zip(panels(ax, 3, columns=3), columns.items(), strict=True):
        plot_kernels(gradient, ax=part, columns=2)
        part.set_title(title)
