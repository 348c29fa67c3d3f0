"""``LayerStatistics``: what happens in the layers while a model is trained, for plots of it.

Memory is bounded: of an array its percentiles are kept, and of a long training fewer steps.

Not for: losses and metrics (``history.py``), or drawing (``viz.plots``).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.core.modes import no_grad
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.nn.module import Module
from tinygrad_lab.training.callbacks import Callback
from tinygrad_lab.transforms.stateless import evaluating
from tinygrad_lab.viz.measures import measure

if TYPE_CHECKING:
    from tinygrad_lab.training.loop import Run

__all__ = ["LayerStatistics"]

# The percentiles, as shares of the sorted values.
_SHARES = np.linspace(0.0, 1.0, 101)

# Of a larger array so many elements, evenly spaced, tell its percentiles well enough.
_MOST_ELEMENTS = 65_536

_KINDS = ("gradients", "weights", "activations")


class LayerStatistics(Callback):
    """Keep, every few steps, how large gradients are and how weights and activations lie.

    Give it to ``tl.fit`` as a callback, or call :meth:`record` in a loop of your own between
    ``backward()`` and ``zero_grad()``.

    Parameters
    ----------
    inputs : array, or tuple of arrays, optional
        A batch whose activations are looked at, always the same one, with gradients off and in
        evaluation mode: dropout does nothing, running statistics do not move. The model is run
        once more for it at each step that is kept. No activations without it.
    every : int
        After how many steps.
    most : int
        How many steps are kept at most. When there are more, every second one is dropped, and from
        then on half as many are kept: what is there always spans the whole training.

    Raises
    ------
    ValueError
        ``every`` below 1, or ``most`` below 2.

    Notes
    -----
    Percentiles are of the finite values; of an array of more than 65,536 elements, of as many that
    lie evenly in it.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from matplotlib.figure import Figure
    >>> x, y = tl.lab.xor()
    >>> model = tl.nn.MLP([2, 4, 1], rng=1)
    >>> optimizer = tl.optim.Adam(model.parameters(), lr=0.1)
    >>> statistics = LayerStatistics(inputs=x)
    >>> _ = tl.fit(model, (x, y), tl.mse_loss, optimizer, epochs=5, callbacks=statistics, rng=0)
    >>> statistics.steps, statistics.weights["layers.0.weight"].shape
    (array([1, 2, 3, 4, 5]), (5, 101))
    >>> ax = tl.viz.plot_gradient_flow(
    ...     statistics.gradients, steps=statistics.steps, ax=Figure().subplots())
    """

    def __init__(self, inputs: Any = None, *, every: int = 1, most: int = 200) -> None:
        if every < 1:
            raise ValueError(f"every={every}: expected 1 step or more")
        if most < 2:
            raise ValueError(f"most={most}: expected 2 steps or more")
        self.inputs = inputs if isinstance(inputs, tuple) or inputs is None else (inputs,)
        self.every, self.most = every, most
        self._step = 0
        self._steps: list[int] = []
        self._rows: dict[str, dict[str, list[Any]]] = {kind: {} for kind in _KINDS}

    @property
    def steps(self) -> NDArray[np.intp]:
        """The numbers of the steps that were kept, counted from 1, shape (kept,)."""
        return np.array(self._steps, dtype=np.intp)

    @property
    def gradients(self) -> dict[str, NDArray[np.float64]]:
        """By parameter, the root mean square of its gradient, shape (kept,).

        It is taken after clipping, if there is any, and is NaN of a gradient that is not finite, or
        where there was none.
        """
        return self._table("gradients")

    @property
    def weights(self) -> dict[str, NDArray[np.float64]]:
        """By parameter, percentiles 0 to 100 of its values after the step, shape (kept, 101)."""
        return self._table("weights")

    @property
    def activations(self) -> dict[str, NDArray[np.float64]]:
        """By innermost layer, percentiles 0 to 100 of what it returned, shape (kept, 101)."""
        return self._table("activations")

    def record(self, model: Module) -> None:
        """Count a step, and keep what it is like if it is time."""
        self._step += 1
        if self._step % self.every:
            return
        named = dict(model.named_parameters())
        self._add("gradients", {name: _rms(p.grad) for name, p in named.items()})
        self._add("weights", {name: _percentiles(p.data) for name, p in named.items()})
        if self.inputs is not None:
            self._add("activations", _activations(model, self.inputs))
        self._steps.append(self._step)
        if len(self._steps) > self.most:
            self._halve()

    def on_batch(self, run: Run) -> None:
        """Look at the model after the step."""
        self.record(run.model)

    def state_dict(self) -> dict[str, Any]:
        """What was kept, so that a training that is resumed goes on with it."""
        tables = {kind: self._table(kind) for kind in _KINDS}
        return {"step": self._step, "every": self.every, "steps": list(self._steps), **tables}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._step, self.every = int(state["step"]), int(state["every"])
        self._steps = [int(step) for step in state["steps"]]
        self._rows = {
            kind: {name: list(table) for name, table in state[kind].items()} for kind in _KINDS
        }

    def _table(self, kind: str) -> dict[str, NDArray[np.float64]]:
        return {name: np.array(rows) for name, rows in self._rows[kind].items()}

    def _add(self, kind: str, values: Mapping[str, Any]) -> None:
        """Add a row to each table; a parameter or a layer that comes or goes has NaN elsewhere."""
        tables = self._rows[kind]
        if not values:
            return
        missing = next(iter(values.values())) * np.nan
        for name in [*tables, *(name for name in values if name not in tables)]:
            rows = tables.setdefault(name, [missing] * len(self._steps))
            rows.append(values.get(name, missing))

    def _halve(self) -> None:
        """Keep every second step, those that would be kept if there had always been so few."""
        self.every *= 2
        chosen = [i for i, step in enumerate(self._steps) if step % self.every == 0]
        self._steps = [self._steps[i] for i in chosen]
        for tables in self._rows.values():
            for name, rows in tables.items():
                tables[name] = [rows[i] for i in chosen]


# ---- one step -----------------------------------------------------------------------------------


def _rms(gradient: Any) -> float:
    if gradient is None:
        return float("nan")
    m = measure(gradient)
    return float("nan") if m.trouble else m.rms


def _percentiles(*arrays: Any) -> NDArray[np.float64]:
    """Return the percentiles of the finite values of arrays together, NaN if there are none."""
    values = np.concatenate([_some(np.asarray(a)).astype(np.float64) for a in arrays])
    values = np.sort(values[np.isfinite(values)])
    if not values.size:
        return np.full(_SHARES.size, np.nan)
    # np.percentile takes twenty times as long, because it sorts for each of them anew.
    return np.interp(_SHARES * (values.size - 1), np.arange(values.size), values)


def _some(array: NDArray[Any]) -> NDArray[Any]:
    """Return all elements, or as many as are enough, evenly spaced."""
    flat = array.reshape(-1)
    if flat.size <= _MOST_ELEMENTS:
        return flat
    # No slice: its step may divide the length of a row, and see some columns alone.
    return flat[np.linspace(0, flat.size - 1, _MOST_ELEMENTS).astype(np.intp)]


def _activations(model: Module, inputs: tuple[Any, ...]) -> dict[str, NDArray[np.float64]]:
    """Return the percentiles of what each innermost layer returns, of all its calls together."""
    outputs: dict[str, list[Any]] = {}
    with ExitStack() as stack:
        for name, layer in model.named_modules():
            if not any(True for _ in layer.children()):
                handle = layer.register_forward_hook(_note(outputs.setdefault(name, [])))
                stack.enter_context(handle)
        stack.enter_context(evaluating(model))
        stack.enter_context(no_grad())
        model(*inputs)
    return {name: _percentiles(*arrays) for name, arrays in outputs.items() if arrays}


def _note(arrays: list[Any]) -> Any:
    def hook(module: Module, args: Any, output: Any) -> None:  # noqa: ARG001
        first = output[0] if isinstance(output, (tuple, list)) and output else output
        if isinstance(first, Tensor):
            arrays.append(first.data)

    return hook
