"""Draw the pictures of these pages: `python docs/draw.py`, again when `viz.graph` changes."""

from pathlib import Path

import numpy as np

import tinygrad_lab as tl

FOLDER = Path(__file__).parent / "_static"


def main() -> None:
    """Draw the network of the README's example as it starts, and a gradient as a program."""
    x, y = tl.lab.xor()
    model = tl.nn.MLP([2, 4, 1], output_activation="sigmoid", rng=1)
    loss = tl.nn.functional.mse_loss(model(x), y)
    tl.viz.graph(loss, model, names={"x": x, "y": y}).save(FOLDER / "graph.svg")

    def loss_of(W1, b1, W2, b2):
        hidden = tl.sigmoid(W1 @ x.T + b1)
        return np.mean((W2 @ hidden + b2 - y.T) ** 2)

    parameters = [np.ones(shape) for shape in ((4, 2), (4, 1), (1, 4), (1, 1))]
    program = tl.program(tl.value_and_grad(loss_of, argnums=(0, 1, 2, 3)))(*parameters)
    tl.viz.graph(program).save(FOLDER / "program.svg")


if __name__ == "__main__":
    main()
