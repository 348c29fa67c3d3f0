"""Draw the pictures of these pages: `python docs/draw.py`, again when `viz.graph` changes."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pages
import plots

import tinygrad_lab as tl
from tinygrad_lab.lab.pictures import picture_of

DOCS = Path(__file__).parent
FOLDER = DOCS / "images"


def main() -> None:
    """Draw the network of the README's example, a gradient as a program, and what pages show."""
    [example] = [code for code, _ in pages.blocks(DOCS.parent / "README.md") if ".health()" in code]
    for name, theme in (("graph", "light"), ("graph-dark", "dark")):
        names: dict[str, Any] = {}
        exec(example.replace("model).health", f"model, theme={theme!r}).health"), names)
        names["graph"].save(FOLDER / f"{name}.svg")
    x, y = tl.lab.xor()

    def loss_of(W1, b1, W2, b2):
        hidden = tl.sigmoid(W1 @ x.T + b1)
        return np.mean((W2 @ hidden + b2 - y.T) ** 2)

    parameters = [np.ones(shape) for shape in ((4, 2), (4, 1), (1, 4), (1, 1))]
    program = tl.program(tl.value_and_grad(loss_of, argnums=(0, 1, 2, 3)))(*parameters)
    tl.viz.graph(program).save(FOLDER / "program.svg")
    lab_run()
    windows()
    plots.draw(FOLDER)
    pages.draw_page(DOCS / "pictures.md")
    pages.draw_notebook(DOCS.parent / "notebooks" / "07_seeing_graphs.ipynb", FOLDER)


def lab_run() -> None:
    """Draw what `train --plot` draws, in few colours."""
    settings = tl.lab.usual_settings("xor", optimizer="adam", lr=0.1, epochs=1000)
    path = FOLDER / "lab-train.png"
    picture_of(tl.lab.train(settings), path)
    path.write_bytes(pages.small(path.read_bytes()))


def windows() -> None:
    """Draw which elements of a signal each output of a convolution reads."""
    settings = {
        "kernel 3": {"kernel": 3},
        "kernel 3, stride 2": {"kernel": 3, "stride": 2},
        "kernel 3, padding 1": {"kernel": 3, "padding": 1},
        "kernel 2, dilation 3": {"kernel": 2, "dilation": 3},
        "kernel 3, stride 2, padding 1": {"kernel": 3, "stride": 2, "padding": 1},
        "transposed: kernel 3, stride 2, padding 1": {
            "kernel": 3, "stride": 2, "padding": 1, "transposed": True,
        },
    }  # fmt: skip
    plt.rcParams.update({"svg.hashsalt": "windows", "svg.fonttype": "none"})
    figure, axes = plt.subplots(3, 2, figsize=(8, 5.4), layout="constrained")
    for ax, (title, setting) in zip(axes.flat, settings.items(), strict=True):
        _window(ax, **setting)
        ax.set_title(title, fontsize=10)
    figure.savefig(FOLDER / "windows.svg", metadata={"Date": None})
    plt.close(figure)


def _window(
    ax: plt.Axes, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1,
    transposed: bool = False,
) -> None:  # fmt: skip
    """A signal below, what is computed from it above, and lines from one to the other."""
    n, filters = 7, np.ones((1, 1, kernel))
    signal = np.zeros((1, 1, n + 2 * padding))
    f = lambda x: tl.nn.functional.conv1d(x, filters, None, stride, 0, dilation)[0, 0]
    reads = tl.jacobian(f)(signal)[:, 0, 0]  # one row an output
    short, long = reads.shape
    below, above = (short, long) if transposed else (long, short)
    for row, count in ((0, below), (1, above)):
        for i in range(count):
            outside = padding and count == long and not padding <= i < long - padding
            place = (stride * i + dilation * (kernel - 1) / 2) if count == short else i
            style = {"fill": not outside, "linestyle": ":" if outside else "-"}
            ax.add_patch(plt.Rectangle((place - 0.4, 1.6 * row), 0.8, 0.5, edgecolor="0.3",
                                       facecolor=("#cfe3f7", "#f7dccf")[row], **style))  # fmt: skip
    for t, i in zip(*np.nonzero(reads), strict=True):
        ends = [i, stride * t + dilation * (kernel - 1) / 2]
        ax.plot(ends[::-1] if transposed else ends, [0.5, 1.6], color="0.3", linewidth=0.7)
    ax.set(xlim=(-0.6, n + 1.6), ylim=(-0.1, 2.2), aspect="equal")
    ax.axis("off")


if __name__ == "__main__":
    main()
