"""Checkpoints: a training as a file, from which it goes on bit for bit.

Not for the files of models (``saving.py``).
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from tinygrad_lab import nn, saving
from tinygrad_lab.training.callbacks import Callback

if TYPE_CHECKING:
    from tinygrad_lab.training.loop import Run

__all__ = ["Checkpoint", "restore"]


class Checkpoint(Callback):
    """Save all that a training goes on from, after every epoch or every few.

    ``tl.fit(..., resume=path)`` goes on from the file, with the same numbers as if nothing had
    happened: model, optimizer, schedule, the generators of layers and of the loader's shuffling,
    history, and what callbacks keep are in it.

    Parameters
    ----------
    path : path
        Where to; ``{epoch}`` in it is replaced by the number of the epoch.
    every : int
        After how many epochs.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tempfile import mkdtemp
    >>> path = f"{mkdtemp()}/xor.safetensors"
    >>> def train(epochs, **options):
    ...     model = tl.nn.MLP([2, 4, 1], rng=1)
    ...     optimizer = tl.optim.Adam(model.parameters(), lr=0.1)
    ...     return tl.fit(model, tl.lab.xor(), tl.mse_loss, optimizer, epochs, rng=0, **options)
    >>> whole = train(4)
    >>> part = train(2, callbacks=[Checkpoint(path)])
    >>> train(4, resume=path)["loss"] == whole["loss"]
    True
    """

    def __init__(self, path: str | PathLike[str], every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every={every}: expected 1 epoch or more")
        self.path, self.every = path, every

    def on_epoch(self, run: Run) -> None:
        """Write the file, if it is time."""
        if run.epoch % self.every == 0:
            saving.save(_state(run), str(self.path).replace("{epoch}", str(run.epoch)))


def restore(run: Run, path: str | PathLike[str]) -> None:
    """Bring a training to where a checkpoint was written."""
    state = saving.load(path)
    if not isinstance(state, dict) or not {"model", "optimizer", "history"} <= state.keys():
        raise ValueError(
            f"{path} is no checkpoint of a training: a model alone is loaded with "
            "model.load_state_dict(tl.load(path))"
        )
    callbacks = dict(_named(run.callbacks))
    if missing := state["callbacks"].keys() - callbacks.keys():
        raise ValueError(
            f"{path} goes on with callbacks that are not given: {', '.join(sorted(missing))}"
        )
    if (state["schedule"] is None) != (run.schedule is None):
        raise ValueError(
            f"{path} was written with{'out' * (state['schedule'] is None)} a schedule: say "
            f"schedule={'None' if state['schedule'] is None else '...'} here, too"
        )
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    nn.load_generator_state(run.model, state["generators"])
    if run.schedule is not None:
        run.schedule.load_state_dict(state["schedule"])
    if state["loader"] is not None:
        run.loader.load_state_dict(state["loader"])
    for name, kept_by in state["callbacks"].items():
        callbacks[name].load_state_dict(kept_by)
    run.history.update(state["history"])


def _state(run: Run) -> dict[str, Any]:
    states = {name: callback.state_dict() for name, callback in _named(run.callbacks)}
    return {
        "epoch": run.epoch,
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "schedule": None if run.schedule is None else run.schedule.state_dict(),
        "generators": nn.generator_state(run.model),
        "loader": run.loader.state_dict() if hasattr(run.loader, "state_dict") else None,
        "history": dict(run.history),
        "callbacks": {name: state for name, state in states.items() if state},
    }


def _named(callbacks: list[Callback]) -> list[tuple[str, Callback]]:
    """Callbacks by their place and class."""
    return [(f"{i}: {type(callback).__name__}", callback) for i, callback in enumerate(callbacks)]
