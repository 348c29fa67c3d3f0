"""Stacks, states and packed sequences beside PyTorch's, and states of models both ways."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.nn.cases import apart, number, of_output, weights
from tinygrad_lab import nn
from tinygrad_lab.nn.utils import rnn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

X, MEMORY = apart(3, 2, 4), apart(5, 2, 4, seed=1)
CAUSAL = np.triu(np.full((3, 3), -np.inf), 1)


def pairs():
    """A model of ours and PyTorch's, with the same sizes."""
    small = {"dim_feedforward": 8, "dropout": 0.0}
    for name, args, options in (
        ("Transformer", (4, 2, 2, 2), small),
        ("Transformer", (4, 2, 1, 1), {**small, "norm_first": True, "bias": False}),
        ("LSTM", (4, 3), {"num_layers": 2, "bidirectional": True}),
        ("LSTM", (4, 3), {"num_layers": 2, "proj_size": 2}),
        ("GRU", (4, 3), {"num_layers": 2}),
    ):
        ours = getattr(nn, name)(*args, **options, rng=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's transformer says what is not fast in it
            theirs = getattr(torch.nn, name)(*args, **options).double()
        yield pytest.param(ours, theirs, id=f"{name}{len(options)}")
    for kind in ("Encoder", "Decoder"):
        ours = getattr(nn, f"Transformer{kind}Layer")(4, 2, **small, rng=0)
        theirs = getattr(torch.nn, f"Transformer{kind}Layer")(4, 2, **small)
        stack = f"Transformer{kind}"
        more = {"enable_nested_tensor": False} if kind == "Encoder" else {}
        yield pytest.param(
            getattr(nn, stack)(ours, 2, nn.LayerNorm(4)),
            getattr(torch.nn, stack)(theirs, 2, torch.nn.LayerNorm(4), **more).double(),
            id=stack,
        )


def inputs_of(model):
    name = type(model).__name__
    if name == "Transformer":
        return (MEMORY, X, None, CAUSAL)
    if name == "TransformerDecoder":
        return (X, MEMORY, CAUSAL)
    if name == "LSTM":
        count = model.num_layers * (1 + model.bidirectional)
        width = model.proj_size or 3
        return (X, (apart(count, 2, width), apart(count, 2, 3, seed=1)))
    return (X,)


def to_torch(x):
    if isinstance(x, tuple):
        return tuple(map(to_torch, x))
    return x if x is None else torch.tensor(x)


def tensors_of(y):
    if isinstance(y, torch.Tensor):
        return [y] if y.is_floating_point() else []
    return [part for item in y if item is not None for part in tensors_of(item)]


def compare(ours, theirs, inputs, their_inputs):
    parameters = [*ours.parameters()]
    outputs = tensors_of(theirs(*their_inputs))
    for a, b in zip(of_output(ours(*inputs)), outputs, strict=True):
        np.testing.assert_allclose(a.data, b.numpy(force=True), atol=1e-12)
    total = sum((y * torch.tensor(weights(tuple(y.shape)))).sum() for y in outputs)
    expected = torch.autograd.grad(total, [*theirs.parameters()])
    actual = tl.gradients(number(lambda: ours(*inputs))(), parameters)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e.numpy(), atol=1e-11)


@pytest.mark.parametrize(("ours", "theirs"), [*pairs()])
def test_states_move_both_ways(ours, theirs):
    inputs = inputs_of(ours)
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    assert [*ours.state_dict()] == [*state]
    ours.load_state_dict(state)
    compare(ours, theirs, inputs, to_torch(inputs))
    for parameter in ours.parameters():
        parameter.data = parameter.data + 0.1
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    compare(ours, theirs, inputs, to_torch(inputs))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_packed_sequences(name):
    ours = getattr(nn, name)(4, 3, 2, bidirectional=True, rng=0)
    theirs = getattr(torch.nn, name)(4, 3, 2, bidirectional=True).double()
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    packed = rnn.pack_padded_sequence(MEMORY, [3, 5], enforce_sorted=False)
    beside = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(MEMORY), [3, 5], enforce_sorted=False
    )
    for a, b in zip(packed, beside, strict=True):
        np.testing.assert_array_equal(a, b.numpy())
    compare(ours, theirs, (packed,), (beside,))


@pytest.mark.parametrize("name", ["RNNCell", "GRUCell", "LSTMCell"])
def test_states_of_cells(name):
    ours, theirs = getattr(nn, name)(4, 3, rng=0), getattr(torch.nn, name)(4, 3).double()
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    h, c = apart(2, 3), apart(2, 3, seed=1)
    state = (h, c) if name == "LSTMCell" else h
    compare(ours, theirs, (X[0], state), (torch.tensor(X[0]), to_torch(state)))


def test_padding():
    sequences = [np.ones((n, 2)) * n for n in (2, 4, 1)]
    theirs = [torch.tensor(s) for s in sequences]
    for options in ({}, {"batch_first": True, "padding_value": -1.0}, {"padding_side": "left"}):
        np.testing.assert_array_equal(
            rnn.pad_sequence(sequences, **options),
            torch.nn.utils.rnn.pad_sequence(theirs, **options).numpy(),
        )
