"""Draw every plot of `tl.viz` of small trainings, for these pages: `python docs/draw.py` calls it.

Each picture is `images/plot_NAME.png` of the function `plot_NAME`. The lines here are those that a
page shows: a training, and one call.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import tinygrad_lab as tl
from tinygrad_lab import nn, optim, viz

Axes = Any


def draw(folder: Path) -> None:
    """Draw all of them."""
    of_digits, of_xor = digits(), xor()
    pictures = {
        "learning_curves": (learning_curves, (5.2, 3.4)),
        "schedule": (schedule, (5.2, 3.4)),
        "epochs_to_threshold": (epochs_to_threshold, (5.2, 2.8)),
        "sweep_heatmap": (sweep_heatmap, (4.8, 3.0)),
        "attention": (attention, (6.4, 3.2)),
        **{name: (lambda ax, f=f: f(ax, **of_digits), size) for name, f, size in OF_DIGITS},
        **{name: (lambda ax, f=f: f(ax, **of_xor), size) for name, f, size in OF_XOR},
    }
    for name, (picture, size) in pictures.items():
        figure, ax = plt.subplots(figsize=size, layout="constrained")
        picture(ax)
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=110)
        plt.close(figure)
        # A palette of 256 colours is a third of the bytes, and nobody sees it.
        Image.open(drawn).convert("RGB").quantize(dither=Image.Dither.NONE).save(
            folder / f"plot_{name}.png", optimize=True
        )


# ---- a convolutional network of digits ----------------------------------------------------------


def digits() -> dict[str, Any]:
    """Train a small network, and keep what happens in it."""
    train, test, *_ = tl.data.load("digits", dtype=np.float32)
    x, y = images(train)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10),
    ).to(np.float32).seed(0)  # fmt: skip
    optimizer = optim.Adam(network.parameters(), lr=3e-3)
    statistics = tl.training.LayerStatistics(x[:100])
    loss = nn.functional.cross_entropy
    tl.fit(network, (x, y), loss, optimizer, epochs=6, callbacks=statistics, rng=0)
    x, y = images(test)
    return {"network": network, "statistics": statistics, "x": x, "y": y}


def images(data: Any) -> tuple[Any, Any]:
    """Return the images of a data set, shape (n, 1, 8, 8), and their classes."""
    pixels, classes = data.tensors
    return np.asarray(pixels).reshape(-1, 1, 8, 8), np.asarray(classes)


def gradient_flow(ax: Axes, statistics: Any, **_: Any) -> None:
    """Layer × step."""
    viz.plot_gradient_flow(statistics.gradients, steps=statistics.steps, ax=ax)


def gradient_bars(ax: Axes, network: Any, x: Any, y: Any, **_: Any) -> None:
    """One step."""
    nn.functional.cross_entropy(network(x), y).backward()
    viz.plot_gradient_flow(network, ax=ax)
    network.zero_grad()


def activation_histograms(ax: Axes, network: Any, statistics: Any, **_: Any) -> None:
    """Layer by layer, after the last step."""
    last = {
        f"{path} {type(network.get_submodule(path)).__name__}": percentiles[-1]
        for path, percentiles in statistics.activations.items()
    }
    viz.plot_activation_histograms(last, ax=ax)


def weight_histograms(ax: Axes, statistics: Any, **_: Any) -> None:
    """One parameter, over the steps."""
    viz.plot_weight_histograms(statistics.weights["3.weight"], steps=statistics.steps, ax=ax)


def kernels(ax: Axes, network: Any, **_: Any) -> None:
    """The first convolution."""
    viz.plot_kernels(network[0].weight, ax=ax, columns=4)


def feature_maps(ax: Axes, network: Any, x: Any, **_: Any) -> None:
    """What the first convolution makes of one digit."""
    with tl.no_grad():
        viz.plot_feature_maps(network[:2](x[:1]), columns=4, ax=ax)


def saliency(ax: Axes, network: Any, x: Any, **_: Any) -> None:
    """What the network looks at."""
    viz.plot_saliency(network, x[3], ax=ax)


def confusion_matrix(ax: Axes, network: Any, x: Any, y: Any, **_: Any) -> None:
    """Which digit was taken for which."""
    with tl.no_grad():
        counts = tl.metrics.confusion_matrix(network(x), y)
    viz.plot_confusion_matrix(counts, ax=ax)


def embeddings(ax: Axes, network: Any, x: Any, y: Any, **_: Any) -> None:
    """What the last layer gets."""
    with tl.no_grad():
        viz.plot_embeddings(network[:6](x[:250]), y[:250], ax=ax)


OF_DIGITS = [
    ("gradient_flow", gradient_flow, (5.6, 2.6)),
    ("gradient_bars", gradient_bars, (5.6, 2.6)),
    ("activation_histograms", activation_histograms, (5.6, 3.8)),
    ("weight_histograms", weight_histograms, (5.2, 3.2)),
    ("kernels", kernels, (4.0, 2.1)),
    ("feature_maps", feature_maps, (4.8, 2.3)),
    ("saliency", saliency, (5.2, 2.3)),
    ("confusion_matrix", confusion_matrix, (4.6, 4.4)),
    ("embeddings", embeddings, (5.2, 4.2)),
]


# ---- XOR, and its path --------------------------------------------------------------------------


def xor() -> dict[str, Any]:
    """Train a network of the plane, and keep its states."""
    x, y = tl.lab.xor()
    model = nn.MLP([2, 8, 1], output_activation="sigmoid", rng=1)
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    path = [model.state_dict()]
    keep = lambda run: path.append(run.model.state_dict())
    tl.fit(model, (x, y), tl.mse_loss, optimizer, epochs=300, callbacks=keep, rng=0)
    return {"model": model, "x": x, "y": y, "path": path}


def loss_surface(ax: Axes, model: Any, x: Any, y: Any, **_: Any) -> None:
    """Along random directions."""
    viz.plot_loss_surface(model, lambda: tl.mse_loss(model(x), y), rng=0, ax=ax)


def loss_path(ax: Axes, model: Any, x: Any, y: Any, path: Any) -> None:
    """Along the training's path."""
    viz.plot_loss_surface(model, lambda: tl.mse_loss(model(x), y), path=path, extent=0.5, ax=ax)


def decision_boundary(ax: Axes, model: Any, x: Any, y: Any, **_: Any) -> None:
    """What the network says everywhere."""
    viz.plot_decision_boundary(model, x, y, ax=ax)


def predictions(ax: Axes, x: Any, y: Any, path: Any, **_: Any) -> None:
    """What it said early in its training."""
    early = nn.MLP([2, 8, 1], output_activation="sigmoid", rng=1)
    early.load_state_dict(path[40])
    with tl.no_grad():
        viz.plot_predictions(x, y, early(x), ax=ax)


OF_XOR = [
    ("loss_surface", loss_surface, (5.0, 3.8)),
    ("loss_path", loss_path, (5.0, 3.8)),
    ("decision_boundary", decision_boundary, (4.6, 4.2)),
    ("predictions", predictions, (6.4, 3.2)),
]


# ---- several trainings --------------------------------------------------------------------------


def losses(make: Any, seeds: int = 8) -> list[list[float]]:
    """Train on XOR from several seeds."""
    runs = []
    for seed in range(seeds):
        model = nn.MLP([2, 8, 1], "tanh", output_activation="sigmoid", rng=seed)
        history = tl.fit(
            model, tl.lab.xor(), tl.mse_loss, make(model.parameters()), epochs=100, rng=seed
        )
        runs.append(history["loss"])
    return runs


@cache
def optimizers() -> dict[str, list[list[float]]]:
    """Compare three optimizers."""
    return {
        "SGD": losses(lambda p: optim.SGD(p, lr=0.5)),
        "momentum": losses(lambda p: optim.SGD(p, lr=0.5, momentum=0.9)),
        "Adam": losses(lambda p: optim.Adam(p, lr=0.05)),
    }


def learning_curves(ax: Axes) -> None:
    """Median and band over seeds."""
    viz.plot_learning_curves(optimizers(), ax=ax)


def epochs_to_threshold(ax: Axes) -> None:
    """How fast each gets there."""
    viz.plot_epochs_to_threshold(optimizers(), 0.05, ax=ax)


def sweep_heatmap(ax: Axes) -> None:
    """The last loss, by width and rate."""
    widths, rates = (2, 4, 8), (0.01, 0.03, 0.1, 0.3)
    table = np.empty((len(widths), len(rates)))
    for i, j in np.ndindex(table.shape):
        model = nn.MLP([2, widths[i], 1], output_activation="sigmoid", rng=0)
        optimizer = optim.Adam(model.parameters(), lr=rates[j])
        history = tl.fit(model, tl.lab.xor(), tl.mse_loss, optimizer, epochs=60, rng=0)
        table[i, j] = history["loss"][-1]
    viz.plot_sweep_heatmap(table, rows=widths, columns=rates, ax=ax, row_name="width",
                           column_name="learning rate", label="loss", fmt=".2g")  # fmt: skip


def schedule(ax: Axes) -> None:
    """Three schedules before they are used."""
    of = optim.lr_scheduler
    rate = lambda: optim.SGD([nn.Parameter([0.0])], lr=0.1)
    schedules = {
        "cosine": of.CosineAnnealingLR(rate(), T_max=100),
        "step": of.StepLR(rate(), step_size=30, gamma=0.3),
        "one cycle": of.OneCycleLR(rate(), max_lr=0.1, total_steps=101),
    }
    viz.plot_schedule(schedules, steps=100, ax=ax)


def attention(ax: Axes) -> None:
    """Two heads of a layer that only looks back."""
    tokens = ["the", "cat", "sat", "on", "the", "mat"]
    layer = nn.MultiheadAttention(16, 2, batch_first=True, rng=3)
    x = np.random.default_rng(0).normal(size=(1, len(tokens), 16)) * 3
    later = np.triu(np.ones((len(tokens), len(tokens)), dtype=bool), 1)
    _, weights = layer(x, x, x, attn_mask=later, average_attn_weights=False)
    viz.plot_attention(weights, tokens, ax=ax, columns=2)
