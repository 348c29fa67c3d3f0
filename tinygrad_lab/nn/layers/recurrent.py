"""Recurrent layers over whole sequences, and the cells that take one step.

Not for: the arithmetic (``kernels/recurrence.py``), or padding and packing (``utils/rnn.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.functional.dropouts import probability
from tinygrad_lab.nn.init import Init
from tinygrad_lab.nn.kernels.recurrence import CELLS, recurrence, states_of
from tinygrad_lab.nn.layers.making import Rng, first_values, on_cpu, positive
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.names import look_up
from tinygrad_lab.nn.parameter import Parameter
from tinygrad_lab.nn.seeds import stream
from tinygrad_lab.nn.utils.rnn import PackedSequence, steps_of

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols
State = tuple[Array, ...]

_NONLINEARITIES = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}


def _fitting(state: Any, shapes: list[tuple[int, ...]], like: Array, names: str) -> State:
    """Check an initial state, one array for each shape; None is zeros."""
    if state is None:
        return tuple(np.zeros(shape, like.dtype) for shape in shapes)
    given = tuple(state) if isinstance(state, (tuple, list)) else (state,)
    actual = [getattr(s, "shape", None) for s in given]
    if actual != shapes:
        raise ValueError(
            f"the initial state {names} has shapes {actual}, and with an input of shape "
            f"{like.shape} it has {shapes}"
        )
    return given


# -- one step -------------------------------------------------------------------------------------


class _Cell(Module):
    """One step of one layer: input (N, input_size) or (input_size), state (N, hidden_size)."""

    _mode: str
    _names = "hx"
    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None = None
    bias_hh: Parameter | None = None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        device: Any,
        dtype: npt.DTypeLike,
        init: str | Init | None,
        rng: Rng,
    ) -> None:
        on_cpu(device)
        self.input_size = positive(input_size, "input_size")
        self.hidden_size = positive(hidden_size, "hidden_size")
        self.bias = bias
        shapes = _weight_shapes(self._mode, self.input_size, self.hidden_size, bias=bias)
        for name, value in _drawn(shapes, self.hidden_size, dtype, init, rng).items():
            setattr(self, name, value)

    def _step(self, input: Array, state: Any) -> State:
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__} takes an input of shape (N, {self.input_size}) or "
                f"({self.input_size},), not {input.shape}"
            )
        shape = (*input.shape[:-1], self.hidden_size)
        count = 2 if self._mode == "LSTM" else 1
        state = _fitting(state, [shape] * count, input, self._names)
        gates = functional.linear(input, self.weight_ih, self.bias_ih)
        y = recurrence(gates[None], self.weight_hh, self.bias_hh, None, *state, cell=self._mode)
        return tuple(states_of(y[0], [self.hidden_size] * count))

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """One step of :class:`RNN`: ``tanh(W_ih x + b_ih + W_hh h + b_hh)``, or ``relu``.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> cell = nn.RNNCell(10, 20, rng=0)
    >>> cell(np.ones((3, 10))).shape
    (3, 20)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: npt.DTypeLike = np.float64,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        self.nonlinearity = nonlinearity
        self._mode = look_up(nonlinearity, _NONLINEARITIES, "nonlinearity")
        super().__init__(input_size, hidden_size, bias, device, dtype, init, rng)

    def forward(self, input: Array, hx: Array | None = None) -> Array:
        """The new state."""
        return self._step(input, hx)[0]

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        other = self.nonlinearity != "tanh"
        return super().extra_repr() + (f", nonlinearity={self.nonlinearity}" if other else "")


class GRUCell(_Cell):
    """One step of :class:`GRU`."""

    _mode = "GRU"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike = np.float64,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype, init, rng)

    def forward(self, input: Array, hx: Array | None = None) -> Array:
        """The new state."""
        return self._step(input, hx)[0]


class LSTMCell(GRUCell):
    """One step of :class:`LSTM`; its state is a pair (h, c)."""

    _mode = "LSTM"
    _names = "(h_0, c_0)"

    def forward(self, input: Array, hx: State | None = None) -> State:
        """The new (h, c)."""
        return self._step(input, hx)


# -- sequences ------------------------------------------------------------------------------------


class _Recurrent(Module):
    """Layers over sequences: (T, N, input_size), with ``batch_first`` (N, T, ...), or (T, ...).

    What RNN, GRU and LSTM share.
    """

    _mode: str
    _names = "h_0"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int,
        device: Any,
        dtype: npt.DTypeLike,
        init: str | Init | None,
        rng: Rng,
    ) -> None:
        on_cpu(device)
        self.input_size = positive(input_size, "input_size")
        self.hidden_size = positive(hidden_size, "hidden_size")
        self.num_layers = positive(num_layers, "num_layers")
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout = probability(dropout, "dropout")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"proj_size={proj_size}: 0 for no projection, or below hidden_size={hidden_size}"
            )
        self.proj_size = proj_size
        self._rng, generator = stream(rng), np.random.default_rng(rng)
        for layer in range(num_layers):
            width = self.input_size if layer == 0 else self._width * len(self._directions)
            shapes = _weight_shapes(
                self._mode, width, self.hidden_size, bias=bias, proj_size=proj_size
            )
            for end in self._directions:
                values = _drawn(shapes, self.hidden_size, dtype, init, generator)
                for name, value in values.items():
                    setattr(self, f"{name}_l{layer}{end}", value)

    @property
    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def _width(self) -> int:
        return self.proj_size or self.hidden_size

    @property
    def _state_widths(self) -> list[int]:
        return [self._width, self.hidden_size] if self._mode == "LSTM" else [self._width]

    def _weights(self, layer: int, end: str) -> list[Parameter | None]:
        """The weights of one layer and direction, with None for those that there are not."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        return [getattr(self, f"{name}_l{layer}{end}", None) for name in names]

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The weights of each layer and direction."""
        return [
            [w for w in self._weights(layer, end) if w is not None]
            for layer in range(self.num_layers)
            for end in self._directions
        ]

    def flatten_parameters(self) -> None:
        """Nothing: for a GPU, PyTorch's puts the weights into one piece of memory."""

    def _run(self, input: Array, state: Any) -> tuple[Array, State]:
        if isinstance(input, PackedSequence):
            return self._packed(input, state)
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            batched = "(N, T, {})" if self.batch_first else "(T, N, {})"
            raise ValueError(
                f"{type(self).__name__} takes an input of shape {batched} or (T, {{}})".replace(
                    "{}", str(self.input_size)
                )
                + f", not {input.shape}"
            )
        is_single = input.ndim == 2
        batch = () if is_single else (input.shape[0 if self.batch_first else 1],)
        state = self._expected(state, batch, input)
        x = input[:, None] if is_single else input
        turned = self.batch_first and not is_single
        y, state = self._layers(
            np.swapaxes(x, 0, 1) if turned else x,
            tuple(s[:, None] for s in state) if is_single else state,
        )
        if is_single:
            return y[:, 0], tuple(s[:, 0] for s in state)
        return (np.swapaxes(y, 0, 1) if turned else y), state

    def _packed(self, input: PackedSequence, state: Any) -> tuple[Array, State]:
        x, is_there = steps_of(input)
        state = self._expected(state, (x.shape[1],), x)
        if input.sorted_indices is not None:
            state = tuple(s[:, input.sorted_indices] for s in state)
        y, state = self._layers(x, state, is_there[..., None])
        if input.unsorted_indices is not None:
            state = tuple(s[:, input.unsorted_indices] for s in state)
        return input._replace(data=y[np.nonzero(is_there)]), state

    def _expected(self, state: Any, batch: tuple[int, ...], input: Array) -> State:
        count = self.num_layers * len(self._directions)
        shapes = [(count, *batch, width) for width in self._state_widths]
        return _fitting(state, shapes, input, self._names)

    def _layers(self, x: Array, state: State, is_there: Array | None = None) -> tuple[Array, State]:
        """All layers of (T, N, input_size)."""
        if x.shape[0] == 0:
            raise ValueError(f"{type(self).__name__} takes one step or more, not shape {x.shape}")
        last: list[list[Array]] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = functional.dropout(x, self.dropout, self.training, rng=self._rng)
            outputs = []
            for end in self._directions:
                w_ih, w_hh, b_ih, b_hh, w_hr = self._weights(layer, end)
                turned = _reversed if end else _as_it_is
                gates = functional.linear(x, w_ih, b_ih)
                y = recurrence(turned(gates), w_hh, b_hh, w_hr, *(s[len(last)] for s in state),
                               cell=self._mode, is_there=turned(is_there))  # fmt: skip
                last.append(states_of(y[-1], self._state_widths))
                outputs.append(turned(states_of(y, self._state_widths)[0]))
            x = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)
        return x, tuple(np.stack(column) for column in zip(*last, strict=True))

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        usual = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False,
                 "dropout": 0, "bidirectional": False}  # fmt: skip
        others = [f"{n}={getattr(self, n)}" for n in usual if getattr(self, n) != usual[n]]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *others])


class RNN(_Recurrent):
    """Elman's network: ``h = tanh(W_ih x + b_ih + W_hh h + b_hh)`` in each step, or ``relu``.

    Parameters
    ----------
    input_size, hidden_size : int
        The lengths of an element and of a state.
    num_layers : int
        How many lie on top of each other: the states of one are the input of the next.
    nonlinearity : str
        "tanh" or "relu".
    bias : bool
        Whether both products have one.
    batch_first : bool
        Whether input and output are (N, T, ...), and not (T, N, ...).  States stay as they are.
    dropout : float
        With what probability elements between two layers are 0 in training.
    bidirectional : bool
        Whether each layer reads the sequence from its end as well; outputs lie side by side.
    dtype, init, rng
        As in :class:`Linear`; with ``init``, biases begin at 0.  By default all are uniform within
        ``1 / sqrt(hidden_size)``, as in PyTorch.

    Raises
    ------
    ValueError
        A size is below 1, ``dropout`` is no probability, or an input or a state does not fit.

    Notes
    -----
    Called with ``(input, h_0=None)`` it returns ``(output, h_n)``: the last layer's states at all
    steps, and the last states of all layers, of shape (num_layers * directions, N, hidden_size).
    Of a :class:`~tinygrad_lab.nn.utils.rnn.PackedSequence` the output is one too.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> rnn = nn.RNN(3, 8, num_layers=2, bidirectional=True, rng=0)
    >>> output, h_n = rnn(np.ones((5, 4, 3)))
    >>> output.shape, h_n.shape
    ((5, 4, 16), (4, 4, 8))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: npt.DTypeLike = np.float64,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        self.nonlinearity = nonlinearity
        self._mode = look_up(nonlinearity, _NONLINEARITIES, "nonlinearity")
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, 0, device, dtype, init, rng)  # fmt: skip

    def forward(
        self, input: Array | PackedSequence, hx: Array | None = None
    ) -> tuple[Array | PackedSequence, Array]:
        """The output, and the last states."""
        y, (h,) = self._run(input, hx)
        return y, h


class GRU(_Recurrent):
    """Gated recurrent units (Cho, 2014), with the reset gate behind the product, as in PyTorch.

    Parameters, call and result as of :class:`RNN`.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> output, h_n = nn.GRU(3, 8, batch_first=True, rng=0)(np.ones((4, 5, 3)))
    >>> output.shape, h_n.shape
    ((4, 5, 8), (1, 4, 8))
    """

    _mode = "GRU"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: npt.DTypeLike = np.float64,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, 0, device, dtype, init, rng)  # fmt: skip

    def forward(
        self, input: Array | PackedSequence, hx: Array | None = None
    ) -> tuple[Array | PackedSequence, Array]:
        """The output, and the last states."""
        y, (h,) = self._run(input, hx)
        return y, h


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), with forget gates.

    Parameters, call and result as of :class:`RNN`, but that a state is a pair ``(h, c)``; with
    ``proj_size``, ``h`` is a product with a matrix of so many rows, and so long.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> output, (h_n, c_n) = nn.LSTM(3, 8, proj_size=2, rng=0)(np.ones((5, 4, 3)))
    >>> output.shape, h_n.shape, c_n.shape
    ((5, 4, 2), (1, 4, 2), (1, 4, 8))
    """

    _mode = "LSTM"
    _names = "(h_0, c_0)"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: npt.DTypeLike = np.float64,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, proj_size, device, dtype, init, rng)  # fmt: skip

    def forward(
        self, input: Array | PackedSequence, hx: State | None = None
    ) -> tuple[Array | PackedSequence, State]:
        """The output, and the last states ``(h_n, c_n)``."""
        return self._run(input, hx)


def _as_it_is(x: Array) -> Array:
    return x


def _reversed(x: Array) -> Array:
    return None if x is None else x[::-1]


# -- weights --------------------------------------------------------------------------------------


def _weight_shapes(
    mode: str, input_size: int, hidden_size: int, *, bias: bool, proj_size: int = 0
) -> dict[str, tuple[int, ...]]:
    rows = CELLS[mode].gates * hidden_size
    shapes: dict[str, tuple[int, ...]] = {
        "weight_ih": (rows, input_size),
        "weight_hh": (rows, proj_size or hidden_size),
    }
    if bias:
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    if proj_size:
        shapes["weight_hr"] = (proj_size, hidden_size)
    return shapes


def _drawn(
    shapes: dict[str, tuple[int, ...]],
    hidden_size: int,
    dtype: npt.DTypeLike,
    init: str | Init | None,
    rng: Rng,
) -> dict[str, Parameter]:
    generator, bound = np.random.default_rng(rng), 1 / np.sqrt(hidden_size)
    return {
        name: first_values(shape, bound, dtype, init, generator) for name, shape in shapes.items()
    }
