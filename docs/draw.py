"""Draw the picture on the first page: `python docs/draw.py`, again when `viz.graph` changes."""

from pathlib import Path

import tinygrad_lab as tl

FOLDER = Path(__file__).parent / "_static"


def main() -> None:
    """Draw the network of the README's example as it starts."""
    x, y = tl.lab.xor()
    model = tl.nn.MLP([2, 4, 1], output_activation="sigmoid", rng=1)
    loss = tl.nn.functional.mse_loss(model(x), y)
    tl.viz.graph(loss, model, names={"x": x, "y": y}).save(FOLDER / "graph.svg")


if __name__ == "__main__":
    main()
