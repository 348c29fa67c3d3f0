"""Gradient descent of many networks at once, each on the whole of its own data.

The networks are one, by ``vmap`` over stacks of their parameters, and a step is recorded by
``jit``.  What becomes of a network never depends on the others, to the last bit: they share no
parameter, so the gradient of the sum of their losses is each one's own gradient; a product of
stacked matrices multiplies them pair by pair; and all else works element by element or along the
points of one network.

Not for: what is measured on the way, or what comes out (``training.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinygrad_lab as tl
from tinygrad_lab import nn, optim
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.nn import functional

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Networks(nn.Module):
    """Networks of one shape side by side: each parameter is a stack of theirs.

    Parameters
    ----------
    members
        The networks, at least one.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        one, (stacks, _) = members[0], tl.stack_module_state(members)
        self.stacks = {name: nn.Parameter(stack) for name, stack in stacks.items()}
        self.each = tl.vmap(lambda state, x: tl.functional_call(one, state, x))

    def forward(self, x: Any) -> Any:
        """The scores of all, shape (networks, n, outputs), from inputs (networks, n, inputs)."""
        return self.each(self.stacks, x)

    def weights(self) -> dict[str, Array]:
        """The stacks of all parameters as they are now, by their names."""
        return {name: stack.data for name, stack in self.stacks.items()}

    def lose(self, lost: Flags) -> None:
        """Make the weights of some networks NaN, which stays NaN in every step, and silently."""
        for stack in self.stacks.values():
            stack.data = np.where(lost.reshape((-1, *(1,) * (stack.ndim - 1))), np.nan, stack.data)


def descend(
    networks: Networks,
    settings: Settings,
    x: Array,
    y: Array,
    on_divergence: Callable[[int, Flags], None],
) -> Iterator[tuple[int, Array]]:
    """Make all steps, and give each epoch with the scores before its step, which is made by then.

    The last is the epoch after the last step.

    Parameters
    ----------
    networks
        They end as trained; a network whose scores are no longer finite ends as NaN.
    settings
        The loss, the optimizer, the learning rate, the number of epochs.
    x, y
        Inputs, shape (networks, n, inputs), and targets, shape (networks, n, outputs).
    on_divergence
        Called with an epoch and the networks whose scores, or the squares of these, stopped being
        finite there: flags, shape (networks,).
    """
    # The points lie along the last axis in memory, as they do in the values of the networks.
    inputs = tl.Tensor(np.ascontiguousarray(x.swapaxes(1, 2)).swapaxes(1, 2))
    objective = _objective(settings)
    factor = 2.0 if settings.loss == "report-a" else 1.0
    upstream = np.asarray(factor if settings.reduction == "sum" else factor / y.shape[1])
    optimizer = _optimizer(settings, networks)

    @tl.jit(backend="numpy")  # the same numbers to the last bit, however fast the machine is
    def step() -> Any:
        scores = networks(inputs)
        objective(scores, y).backward(upstream)
        optimizer.step()
        optimizer.zero_grad()
        return scores.data

    lost = np.zeros(len(x), bool)
    for epoch in range(settings.epochs + 1):
        with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges is told otherwise
            scores = step() if epoch < settings.epochs else networks(inputs).data
            if not np.vdot(scores, scores) < np.inf:
                newly = ~np.isfinite(np.square(scores).sum(axis=(1, 2))) & ~lost
                if newly.any():
                    lost |= newly
                    networks.lose(newly)
                    on_divergence(epoch, newly)
        yield epoch, scores


def _objective(settings: Settings) -> Callable[[Any, Array], Any]:
    """The sum over all samples of what is minimised, without the factor that report A has."""
    if settings.loss == "mse":
        return partial(functional.mse_loss, reduction="sum")
    if settings.last_activation == "softmax":
        return lambda scores, y: -(y * functional.log_softmax(scores, -1)).sum()
    return partial(functional.binary_cross_entropy_with_logits, reduction="sum")


def _optimizer(settings: Settings, model: nn.Module) -> Any:
    parameters = model.parameters()
    if settings.optimizer == "momentum":
        return optim.SGD(parameters, lr=settings.lr, momentum=0.9)
    classes = {
        "sgd": optim.SGD,
        "adagrad": optim.Adagrad,
        "rmsprop": optim.RMSprop,
        "adam": optim.Adam,
        "adamw": optim.AdamW,
    }
    return classes[settings.optimizer](parameters, lr=settings.lr)
