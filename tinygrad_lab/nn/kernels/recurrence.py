"""Recurrent networks: a whole sequence through one layer, and back, as one operation.

What a cell makes of the input is one product for all steps, and comes in as ``gates``; a step adds
what it makes of the state before it, and is elementwise from there.  On the way back the slopes of
all steps are computed at once too, so that the loop over the steps has little left to do.

Formulas: Hochreiter and Schmidhuber 1997 with the forget gate of Gers 2000 (LSTM), Cho 2014 with
the reset gate behind the product (GRU), Elman 1990 (RNN); gates in PyTorch's order.

Not for: layers, directions and packed sequences (``layers/recurrent.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.operations import defvjp_joint, primitive
from tinygrad_lab.core.rules.mathematical.elementwise import sigmoid

__all__ = ["CELLS", "recurrence", "states_of"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


class Cell(NamedTuple):
    """What kinds of cells differ in; ``a`` and ``b`` are what input and state give to the gates.

    A state is ``h``, or ``h`` and ``c``.
    """

    #: How many gates there are.
    gates: int
    #: ``update(a, b, *state)``: the new state.
    update: Callable[..., tuple[Array, ...]]
    #: ``slopes(a, b, state, new state)``, of all steps at once: arrays for ``back``.
    slopes: Callable[..., tuple[Array, ...]]
    #: ``back(g, *slopes)``, of the gradients by the new state: those by ``a``, ``b`` and the state.
    back: Callable[..., tuple[Array, Array, tuple[Array, ...]]]


def _parts(x: Array, count: int) -> list[Array]:
    n = x.shape[-1] // count
    return [x[..., i * n : (i + 1) * n] for i in range(count)]


# -- LSTM: gates input, forget, candidate, output -------------------------------------------------


def _lstm(a: Array, b: Array, h: Array, c: Array) -> tuple[Array, ...]:
    z, n = a + b, c.shape[-1]
    enter, forget = _parts(sigmoid(z[..., : 2 * n]), 2)
    c = forget * c + enter * np.tanh(z[..., 2 * n : 3 * n])
    return sigmoid(z[..., 3 * n :]) * np.tanh(c), c


def _lstm_slopes(a: Array, b: Array, old: list[Array], new: list[Array]) -> tuple[Array, ...]:
    enter, forget, candidate, leave = _parts(a + b, 4)
    enter, forget, leave = sigmoid(enter), sigmoid(forget), sigmoid(leave)
    candidate, shown = np.tanh(candidate), np.tanh(new[1])
    of_gates = [
        candidate * enter * (1 - enter),
        old[1] * forget * (1 - forget),
        enter * (1 - candidate * candidate),
        shown * leave * (1 - leave),
    ]
    return np.concatenate(of_gates, axis=-1), leave * (1 - shown * shown), forget


def _lstm_back(g: tuple[Array, ...], of_gates: Array, of_c: Array, forget: Array) -> Any:
    g_h, g_c = g
    g_c = g_c + g_h * of_c
    by_a = np.concatenate([g_c, g_c, g_c, g_h], axis=-1) * of_gates
    return by_a, by_a, (0, g_c * forget)


# -- GRU: gates reset, update, candidate ----------------------------------------------------------


def _gru_gates(a: Array, b: Array) -> list[Array]:
    n = a.shape[-1] // 3
    reset, keep = _parts(sigmoid(a[..., : 2 * n] + b[..., : 2 * n]), 2)
    b_candidate = b[..., 2 * n :]
    return [reset, keep, np.tanh(a[..., 2 * n :] + reset * b_candidate), b_candidate]


def _gru(a: Array, b: Array, h: Array) -> tuple[Array, ...]:
    _, keep, candidate, _ = _gru_gates(a, b)
    return ((1 - keep) * candidate + keep * h,)


def _gru_slopes(a: Array, b: Array, old: list[Array], new: list[Array]) -> tuple[Array, ...]:
    reset, keep, candidate, b_candidate = _gru_gates(a, b)
    of_candidate = (1 - keep) * (1 - candidate * candidate)
    of_reset = of_candidate * b_candidate * reset * (1 - reset)
    of_keep = (old[0] - candidate) * keep * (1 - keep)
    by_a = np.concatenate([of_reset, of_keep, of_candidate], axis=-1)
    return by_a, np.concatenate([of_reset, of_keep, of_candidate * reset], axis=-1), keep


def _gru_back(g: tuple[Array, ...], by_a: Array, by_b: Array, keep: Array) -> Any:
    of_each = np.concatenate([g[0], g[0], g[0]], axis=-1)
    return of_each * by_a, of_each * by_b, (g[0] * keep,)


# -- RNN ------------------------------------------------------------------------------------------


def _rnn_back(g: tuple[Array, ...], slope: Array) -> Any:
    by_a = g[0] * slope
    return by_a, by_a, (0,)


CELLS = {
    "RNN_TANH": Cell(
        1,
        lambda a, b, h: (np.tanh(a + b),),
        lambda a, b, old, new: (1 - np.tanh(a + b) ** 2,),
        _rnn_back,
    ),
    "RNN_RELU": Cell(
        1,
        lambda a, b, h: (np.maximum(a + b, 0),),
        lambda a, b, old, new: (np.sign(np.maximum(a + b, 0)),),
        _rnn_back,
    ),
    "LSTM": Cell(4, _lstm, _lstm_slopes, _lstm_back),
    "GRU": Cell(3, _gru, _gru_slopes, _gru_back),
}


# -- a sequence -----------------------------------------------------------------------------------


@primitive
def recurrence(
    gates: Array,
    weight: Array,
    bias: Array | None,
    projection: Array | None,
    *state: Array,
    cell: str,
    is_there: Array | None = None,
) -> Array:
    """The state after each step: ``h``, and behind it on the last axis ``c``.

    Shapes: ``gates`` (T, N, gates * H), ``weight`` (gates * H, P), ``bias`` (gates * H,),
    ``projection`` (P, H), without which P is H; the state before the first step is ``h`` (N, P),
    and ``c`` (N, H) where the cell has one.  ``is_there`` (T, N, 1) is False where a sequence has
    no such step, so that its state stays as it is.  The result is (T, N, P) or (T, N, P + H).
    """
    states = []
    for t in range(gates.shape[0]):
        new = CELLS[cell].update(gates[t], _product(state[0], weight, bias), *state)
        if projection is not None:
            new = (new[0] @ projection.mT, *new[1:])
        state = new if is_there is None else _chosen(is_there[t], new, state)
        states.append(state)
    return _side_by_side([np.stack(column) for column in zip(*states, strict=True)])


def _product(h: Array, weight: Array, bias: Array | None) -> Array:
    y = h @ weight.mT
    return y if bias is None else y + bias


def _chosen(condition: Array, x: tuple[Any, ...], y: tuple[Any, ...]) -> tuple[Array, ...]:
    return tuple(np.where(condition, *pair) for pair in zip(x, y, strict=True))


def _side_by_side(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)


def states_of(y: Array, widths: list[int]) -> list[Array]:
    """Take apart what lies side by side: h, and c."""
    if len(widths) == 1:
        return [y]
    return [y[..., : widths[0]], y[..., widths[0] :]]


def _recurrence_back(
    argnums: Any,
    g: Array,
    y: Array,
    gates: Array,
    weight: Array,
    bias: Array | None,
    projection: Array | None,
    *state: Array,
    cell: str,
    is_there: Array | None = None,
) -> list[Array]:
    kind, steps, widths = CELLS[cell], range(gates.shape[0]), [s.shape[-1] for s in state]
    new = states_of(y, widths)
    old = [np.concatenate([s[None], n[:-1]]) for s, n in zip(state, new, strict=True)]
    b = _product(old[0], weight, bias)
    slopes = kind.slopes(gates, b, old, new)
    g_new = states_of(g, widths)
    g_state: tuple[Array, ...] = (0,) * len(state)
    by_gates, by_product, by_h = [], [], []
    for t in reversed(steps):
        g_state = tuple(g[t] + later for g, later in zip(g_new, g_state, strict=True))
        stays: tuple[Array, ...] = (0,) * len(state)
        if is_there is not None:
            stays = _chosen(is_there[t], stays, g_state)
            g_state = _chosen(is_there[t], g_state, (0,) * len(state))
        by_h.append(g_state[0])
        if projection is not None:
            g_state = (g_state[0] @ projection, *g_state[1:])
        by_a, by_b, g_state = kind.back(g_state, *(slope[t] for slope in slopes))
        g_state = (by_b @ weight + g_state[0], *g_state[1:])
        g_state = tuple(g + still for g, still in zip(g_state, stays, strict=True))
        by_gates.append(by_a)
        by_product.append(by_b)
    by_b = _rows(np.stack(by_product[::-1]))

    def gradient(argnum: int) -> Array:
        match argnum:
            case 0:
                return np.stack(by_gates[::-1])
            case 1:
                return by_b.T @ _rows(old[0])
            case 2:
                return by_b.sum(axis=0)
            case 3:
                h = kind.update(gates, b, *old)[0]
                return _rows(np.stack(by_h[::-1])).T @ _rows(h)
        return g_state[argnum - 4]

    return [gradient(n) for n in argnums]


def _rows(x: Array) -> Array:
    return x.reshape((-1, x.shape[-1]))


defvjp_joint(
    recurrence,
    _recurrence_back,
    branch=lambda y, *args, cell, is_there=None: np.sign(y) if cell == "RNN_RELU" else (),
)
