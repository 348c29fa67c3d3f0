"""The loss around a point in the space of the parameters, along two directions.

Not for: the plane of inputs (``classification.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_lab.core.modes import no_grad
from tinygrad_lab.transforms.stateless import evaluating
from tinygrad_lab.viz.plots.canvas import axes, plain
from tinygrad_lab.viz.plots.embeddings import principal_directions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LossSurface", "loss_surface", "plot_loss_surface"]

Vector = NDArray[np.float64]
States = Sequence[Mapping[str, ArrayLike]]

# From this factor between the largest and the smallest loss on, levels are logarithmic.
_LOGARITHMIC_FROM = 30.0

# Pale on cividis, told apart under every common colour-vision deficiency, and by their markers.
_OF_PATHS = (("white", "o"), ("#FF9E5E", "^"), ("#8FD0FF", "D"), ("#F2A6D6", "v"))


def plot_loss_surface(
    model: Any,
    loss: Callable[[], Any],
    *,
    ax: Axes | None = None,
    rng: int | np.random.Generator | None = None,
    directions: Sequence[Sequence[ArrayLike]] | None = None,
    path: States | Mapping[str, States] | None = None,
    extent: float = 1.0,
    resolution: int = 25,
    colorbar: bool = True,
) -> Axes:
    """Draw the loss over a plane through the parameters of a model, and the path of its training.

    The plane goes through the parameters as they are now, in one of three ways: along two random
    directions that have in each filter the length of its weights; along two directions that
    are given; or, where there is a path and no generator, along its two principal directions, in
    which a path is seen best. The model is left as it was, to the bit.

    Parameters
    ----------
    model
        A module. It is used in evaluation mode, so that dropout and running statistics stand still.
    loss
        Called without arguments, ``resolution**2`` times, with gradients off; returns the loss of
        the model as it is then: ``lambda: tl.mse_loss(model(x), y)``.
    ax
        Where to draw; a new figure when left out.
    rng
        Seed or generator for random directions.
    directions
        Two lists of arrays, each with the shapes of the parameters.
    path
        States of the model in training, as ``model.state_dict()`` gives them, the oldest first; or
        several such paths by their names.
    extent
        How far to go from the middle, in lengths of the directions. A path is always in the
        picture.
    resolution
        Points along each side.
    colorbar
        Draw the colour bar.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        A model without parameters, neither ``rng`` nor directions nor a path, directions that are
        parallel, shapes that do not fit, a resolution below 2, or a loss that is finite nowhere.

    Notes
    -----
    Directions normalised by filters, and the principal directions of a path, are from H. Li, Z. Xu,
    G. Taylor, C. Studer, T. Goldstein, "Visualizing the Loss Landscape of Neural Nets", 2018,
    arXiv:1712.09913, sections 4 and 7. In random directions biases and other parameters of one axis
    do not move.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from matplotlib.figure import Figure
    >>> x, y = tl.lab.xor()
    >>> model = tl.nn.MLP([2, 4, 1], rng=0)
    >>> ax = plot_loss_surface(model, lambda: tl.mse_loss(model(x), y), rng=0, resolution=5,
    ...                        ax=Figure().subplots())
    >>> ax.get_xlabel()
    'random direction 1'
    """
    surface = loss_surface(
        *(model, loss),
        rng=rng, directions=directions, path=path, extent=extent, resolution=resolution,
    )  # fmt: skip
    return surface.plot(ax=ax, colorbar=colorbar)


@dataclass(frozen=True, slots=True)
class LossSurface:
    """Losses over a plane through the parameters of a model, and paths of trainings in it.

    Attributes
    ----------
    u, v
        Places along the two directions, in lengths of them; the model is at (0, 0).
    losses
        Shape (len(v), len(u)).
    paths
        By their names where each state of a training is in the plane, shape (states, 2): the
        nearest point, since a path need not lie in it.
    labels
        What the two directions are.
    """

    u: Vector
    v: Vector
    losses: Vector
    paths: Mapping[str, Vector]
    labels: tuple[str, str]

    def plot(self, *, ax: Axes | None = None, colorbar: bool = True) -> Axes:
        """Draw it, as :func:`plot_loss_surface` does."""
        ax = axes(ax)
        _draw_surface(ax, self.u, self.v, self.losses, colorbar)
        _draw_paths(ax, self.paths)
        ax.set_xlabel(self.labels[0])
        ax.set_ylabel(self.labels[1])
        return ax


def loss_surface(
    model: Any,
    loss: Callable[[], Any],
    *,
    rng: int | np.random.Generator | None = None,
    directions: Sequence[Sequence[ArrayLike]] | None = None,
    path: States | Mapping[str, States] | None = None,
    extent: float = 1.0,
    resolution: int = 25,
) -> LossSurface:
    """Return what :func:`plot_loss_surface` draws, as numbers; it takes the same.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> x, y = tl.lab.xor()
    >>> model = tl.nn.MLP([2, 4, 1], rng=0)
    >>> surface = loss_surface(model, lambda: tl.mse_loss(model(x), y), rng=0, resolution=5)
    >>> bool(np.isclose(surface.losses[2, 2], tl.mse_loss(model(x), y).item()))
    True
    """
    parameters = dict(model.named_parameters())
    if not parameters:
        raise ValueError("plot_loss_surface got a model without parameters")
    if resolution < 2:
        raise ValueError(f"resolution must be at least 2, got {resolution}")
    if not extent > 0:
        raise ValueError(f"extent must be positive, got {extent}")
    centre = _joined([p.data for p in parameters.values()])
    several = path if isinstance(path, Mapping) else {} if path is None else {"path": path}
    walked = {name: _path(name, states, parameters) for name, states in several.items()}
    plane, labels = _plane(parameters, centre, rng, directions, list(walked.values()))
    inverse = np.linalg.pinv(plane)
    paths = {name: (states - centre) @ inverse for name, states in walked.items()}
    u, v = _sides(list(paths.values()), extent, resolution)
    losses = _evaluate(model, parameters, loss, centre, plane, u, v)
    return LossSurface(u, v, losses, paths, labels)


# ---- directions ---------------------------------------------------------------------------------


def _joined(arrays: Sequence[Any]) -> Vector:
    return np.concatenate([np.asarray(plain(a), dtype=np.float64).reshape(-1) for a in arrays])


def _path(name: str, path: States, parameters: Mapping[str, Any]) -> Vector:
    """Return the states of a training, shape (states, numbers)."""
    rows = []
    for number, state in enumerate(path):
        if missing := [each for each in parameters if each not in state]:
            raise ValueError(
                f"{name}[{number}] is no state of this model: it has no {missing[0]!r}"
            )
        arrays = [np.asarray(plain(state[each])) for each in parameters]
        _check_shapes(f"{name}[{number}]", arrays, parameters)
        rows.append(_joined(arrays))
    if len(rows) < 2:
        raise ValueError(f"a path needs 2 states of the model or more, {name} has {len(rows)}")
    return np.stack(rows)


def _check_shapes(what: str, arrays: Sequence[Any], parameters: Mapping[str, Any]) -> None:
    if len(arrays) != len(parameters):
        raise ValueError(f"{what} has {len(arrays)} arrays for {len(parameters)} parameters")
    for array, (name, parameter) in zip(arrays, parameters.items(), strict=True):
        if np.shape(array) != parameter.shape:
            raise ValueError(
                f"{what} has shape {np.shape(array)} for {name}, which has {parameter.shape}"
            )


def _plane(
    parameters: Mapping[str, Any],
    centre: Vector,
    rng: int | np.random.Generator | None,
    directions: Sequence[Sequence[ArrayLike]] | None,
    walked: Sequence[Vector],
) -> tuple[Vector, tuple[str, str]]:
    """Return two directions, shape (2, numbers), and what they are called."""
    if directions is not None:
        if rng is not None:
            raise ValueError("say directions= or rng=, not both")
        if len(directions) != 2:
            raise ValueError(f"directions= needs two lists of arrays, got {len(directions)}")
        for number, arrays in enumerate(directions):
            _check_shapes(f"directions[{number}]", list(map(plain, arrays)), parameters)
        plane = np.stack([_joined(arrays) for arrays in directions])
        labels = ("direction 1", "direction 2")
    elif rng is not None:
        generator = np.random.default_rng(rng)
        plane = np.stack([_filter_normalised(parameters, generator) for _ in range(2)])
        labels = ("random direction 1", "random direction 2")
    elif walked:
        states = np.vstack([*walked, centre])
        plane, shares = principal_directions(states)
        plane = plane * float(np.abs((states - centre) @ plane.T).max() or 1.0)
        first, second = (f"{100 * share:.0f} %" for share in shares)
        labels = (f"principal direction 1 ({first})", f"principal direction 2 ({second})")
    else:
        raise ValueError(
            "plot_loss_surface needs rng= for random directions, directions=, or path="
        )
    if np.linalg.matrix_rank(plane) < 2:
        raise ValueError("the two directions are parallel, or one of them is 0: there is no plane")
    return plane, labels


def _filter_normalised(parameters: Mapping[str, Any], rng: np.random.Generator) -> Vector:
    """Draw a direction that has the length of the weights in each filter, and 0 for biases."""
    parts = []
    for parameter in parameters.values():
        weight = np.asarray(parameter.data, dtype=np.float64)
        noise = np.asarray(rng.standard_normal(weight.shape))
        if weight.ndim < 2:
            parts.append(np.zeros(weight.size))
            continue
        rows, lengths = noise.reshape(len(weight), -1), weight.reshape(len(weight), -1)
        scale = np.linalg.norm(lengths, axis=1) / np.linalg.norm(rows, axis=1)
        parts.append((rows * scale[:, None]).reshape(-1))
    return np.concatenate(parts)


# ---- the grid -----------------------------------------------------------------------------------


def _sides(paths: Sequence[Vector], extent: float, resolution: int) -> tuple[Vector, Vector]:
    """Return both sides of the grid: around 0, and around the paths if there are any."""
    sides = []
    for axis in (0, 1):
        places = np.concatenate([[0.0], *(points[:, axis] for points in paths)])
        room = 0.15 * float(np.ptp(places))
        low = min(-extent, float(np.min(places)) - room)
        high = max(extent, float(np.max(places)) + room)
        sides.append(np.linspace(low, high, resolution))
    return sides[0], sides[1]


def _evaluate(
    model: Any,
    parameters: Mapping[str, Any],
    loss: Callable[[], Any],
    centre: Vector,
    plane: Vector,
    u: Vector,
    v: Vector,
) -> Vector:
    """Return the losses, shape (len(v), len(u))."""
    values = np.empty((len(v), len(u)))
    quiet = np.errstate(over="ignore", invalid="ignore")
    with _moved(parameters) as move, evaluating(model), no_grad(), quiet:
        for i, j in np.ndindex(values.shape):
            move(centre + u[j] * plane[0] + v[i] * plane[1])
            value = np.asarray(plain(loss()))
            if value.size != 1:
                raise ValueError(f"the loss must be one number, got shape {value.shape}")
            values[i, j] = float(value.reshape(()))
    if not np.isfinite(values).any():
        raise ValueError("the loss is finite nowhere in this plane: try a smaller extent=")
    return values


@contextmanager
def _moved(parameters: Mapping[str, Any]) -> Iterator[Callable[[Vector], None]]:
    """Give a function that moves parameters, which have their own arrays again afterwards."""
    own = [p.data for p in parameters.values()]
    ends = np.cumsum([a.size for a in own])[:-1]

    def move(vector: Vector) -> None:
        parts = np.split(vector, ends)
        for parameter, array, part in zip(parameters.values(), own, parts, strict=True):
            parameter.data = part.reshape(array.shape).astype(array.dtype)

    try:
        yield move
    finally:
        for parameter, array in zip(parameters.values(), own, strict=True):
            parameter.data = array


# ---- drawing ------------------------------------------------------------------------------------


def _draw_surface(ax: Axes, u: Vector, v: Vector, values: Vector, colorbar: bool) -> None:
    from matplotlib.colors import LogNorm, Normalize

    finite = values[np.isfinite(values)]
    low, high = float(np.min(finite)), float(np.max(finite))
    norm: Any = Normalize(low, high)
    levels = np.linspace(low, high, 15)
    if low > 0 and high > low * _LOGARITHMIC_FROM:
        norm, levels = LogNorm(low, high), np.geomspace(low, high, 15)
    surface = np.ma.masked_invalid(values)
    shading: Any = "gouraud" if finite.size == values.size else "nearest"
    image = ax.pcolormesh(
        u, v, surface, cmap="cividis", norm=norm, shading=shading, rasterized=True
    )
    if high > low:
        inner = levels[1:-1]
        inks = ["white" if norm(level) < 0.55 else "black" for level in inner]
        ax.contour(u, v, surface, levels=inner, colors=inks, linewidths=0.6, alpha=0.6)
    if colorbar:
        ax.figure.colorbar(image, ax=ax, label="loss")


def _draw_paths(ax: Axes, paths: Mapping[str, Vector]) -> None:
    """Draw where training went and where the model is, in lines that are seen on any colour."""
    from matplotlib.patheffects import Normal, Stroke

    outline = [Stroke(linewidth=3.2, foreground="black"), Normal()]
    for index, (name, points) in enumerate(paths.items()):
        shade, marker = _OF_PATHS[index % len(_OF_PATHS)]
        ax.plot(*points.T, color=shade, linewidth=1.4, marker=marker, markersize=3,
                path_effects=outline, label=name)  # fmt: skip
        label = None if index else "start"
        ax.plot(*points[0], marker="s", color="white", markersize=7, markeredgecolor="black",
                linestyle="none", label=label)  # fmt: skip
    ax.plot(0.0, 0.0, marker="*", color="white", markersize=14, markeredgecolor="black",
            linestyle="none", label="now")  # fmt: skip
    legend = ax.legend(fontsize="small", loc="upper right", facecolor="#57606A", framealpha=0.9)
    for text in legend.get_texts():
        text.set_color("white")
