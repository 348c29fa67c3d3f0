"""Recurrent layers against cells in a loop, packed sequences against each sequence alone."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.nn.cases import apart
from tinygrad_lab import nn
from tinygrad_lab.nn.utils import rnn

X = apart(4, 3, 3)
LENGTHS = [2, 4, 1]
KINDS = [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("GRU", {}), ("LSTM", {})]
each_kind = pytest.mark.parametrize(("name", "options"), KINDS)


def made(name, *sizes, **options):
    return getattr(nn, name)(*sizes, **options, rng=0)


def states(h):
    return h if isinstance(h, tuple) else (h,)


def close(a, b):
    a, b = (x.data if isinstance(x, tl.Tensor) else x for x in (a, b))
    np.testing.assert_allclose(a, b, atol=1e-14)


class TestLayers:
    """What a layer computes."""

    @each_kind
    def test_a_layer_is_its_cell_in_a_loop(self, name, options):
        layer, cell = made(name, 3, 2, **options), made(f"{name}Cell", 3, 2, **options)
        state = layer.state_dict()
        cell.load_state_dict({key.removesuffix("_l0"): value for key, value in state.items()})
        first = tuple(apart(3, 2, seed=i) for i in range(len(states(layer(X)[1]))))
        hx = first if len(first) > 1 else first[0]
        outputs = []
        y, last = layer(X, tuple(h[None] for h in first) if len(first) > 1 else hx[None])
        for x in X:
            hx = cell(x, hx)
            outputs.append(states(hx)[0])
        close(y.data, np.stack([h.data for h in outputs]))
        for a, b in zip(states(last), states(hx), strict=True):
            close(a.data[0], b.data)

    def test_gradients_by_both_states_of_an_lstm(self):
        layer = made("LSTM", 3, 2)

        def total(h, c):
            y, (h, c) = layer(X, (h, c))
            return (y * y).sum() + (h * c).sum()

        report = tl.testing.gradcheck(total, apart(1, 3, 2), apart(1, 3, 2, seed=1), order=2)
        assert report.passed

    def test_dropout_lies_between_layers_and_rests_outside_training(self):
        layer = made("GRU", 3, 4, num_layers=2, dropout=0.5)
        plain = made("GRU", 3, 4, num_layers=2)
        assert (layer(X)[0].data != layer(X)[0].data).any()
        close(layer.eval()(X)[0].data, plain(X)[0].data)

    def test_a_model_of_many_is_one_of_each(self):
        def of(seed):
            return nn.LSTM(3, 2, rng=seed)

        models = [of(0), of(1)]
        stacked, _ = tl.stack_module_state(models)
        run = lambda state, x: tl.functional_call(models[0], state, (x,))[0]
        together = tl.vmap(run, (0, None))(stacked, X)
        close(together, np.stack([m(X)[0].data for m in models]))

    def test_the_text_is_pytorchs(self):
        layer = made("LSTM", 3, 4, num_layers=2, batch_first=True, dropout=0.5, proj_size=2)
        assert repr(layer) == (
            "LSTM(3, 4, proj_size=2, num_layers=2, batch_first=True, dropout=0.5)"
        )
        cell = made("RNNCell", 3, 4, bias=False, nonlinearity="relu")
        assert repr(cell) == "RNNCell(3, 4, bias=False, nonlinearity=relu)"


class TestPackedSequences:
    """Sequences of several lengths."""

    @each_kind
    @pytest.mark.parametrize("bidirectional", [False, True])
    def test_each_sequence_is_as_if_alone(self, name, options, bidirectional):
        layer = made(name, 3, 2, num_layers=2, bidirectional=bidirectional, **options)
        packed = rnn.pack_padded_sequence(X, LENGTHS, enforce_sorted=False)
        y, last = layer(packed)
        outputs, lengths = rnn.pad_packed_sequence(y)
        assert lengths.tolist() == LENGTHS
        for i, n in enumerate(LENGTHS):
            alone, alone_last = layer(X[:n, i])
            close(outputs.data[:n, i], alone.data)
            assert not outputs.data[n:, i].any()
            for a, b in zip(states(last), states(alone_last), strict=True):
                close(a.data[:, i], b.data)

    @each_kind
    def test_gradients_are_those_of_each_sequence_alone(self, name, options):
        layer = made(name, 3, 2, bidirectional=True, **options)

        def packed(x):
            y, last = layer(rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False))
            return (y.data**2).sum() + sum((h**3).sum() for h in states(last))

        def apart_from_each_other(x):
            results = [layer(x[:n, i]) for i, n in enumerate(LENGTHS)]
            return sum(
                (y**2).sum() + sum((h**3).sum() for h in states(last)) for y, last in results
            )

        close(tl.grad(packed)(X), tl.grad(apart_from_each_other)(X))
        v = apart(4, 3, 3, seed=2)
        expected = tl.hvp(apart_from_each_other, (X,), (v,))[0]
        close(tl.hvp(packed, (X,), (v,))[0], expected)

    def test_initial_states_go_with_their_sequences(self):
        layer, h = made("GRU", 3, 2), apart(1, 3, 2)
        _, last = layer(rnn.pack_padded_sequence(X, LENGTHS, enforce_sorted=False), h)
        for i, n in enumerate(LENGTHS):
            close(last.data[:, i], layer(X[:n, i], h[:, i])[1].data)

    def test_packing_goes_through_jit(self):
        layer = made("LSTM", 3, 2)

        def last(x):
            packed = rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
            return layer(packed)[1][0]

        jitted = tl.jit(last, backend="numpy")
        for x in (X, X + 1, X):
            close(jitted(x), last(x))

    def test_there_and_back(self):
        sequences = [X[:n, i] for i, n in enumerate(LENGTHS)]
        packed = rnn.pack_sequence(sequences, enforce_sorted=False)
        assert packed.batch_sizes.tolist() == [3, 2, 1, 1]
        for a, b in zip(rnn.unpack_sequence(packed), sequences, strict=True):
            close(a, b)
        padded = rnn.pad_sequence(sequences, padding_value=-1, padding_side="left")
        assert (padded[:2, 0] == -1).all()
        close(padded[2:, 0], sequences[0])

    def test_padding_to_a_length(self):
        packed = rnn.pack_sequence([np.ones((2, 3), np.float32)])
        padded, _ = rnn.pad_packed_sequence(packed, True, -1, 4)
        assert (padded.shape, padded.dtype) == ((1, 4, 3), np.float32)
        assert (padded[0, 2:] == -1).all()
        with pytest.raises(ValueError, match="total_length=1 is below the longest length, 2"):
            rnn.pad_packed_sequence(packed, total_length=1)


class TestErrors:
    """What does not fit is said."""

    def test_inputs(self):
        with pytest.raises(ValueError, match=r"shape \(T, N, 3\) or \(T, 3\), not \(5, 4\)"):
            made("LSTM", 3, 2)(np.ones((5, 4)))
        with pytest.raises(ValueError, match=r"\(N, 3\) or \(3,\), not \(2, 2, 3\)"):
            made("GRUCell", 3, 2)(np.ones((2, 2, 3)))
        with pytest.raises(ValueError, match="one step or more"):
            made("RNN", 3, 2)(np.ones((0, 2, 3)))

    def test_states(self):
        with pytest.raises(ValueError, match=r"\(h_0, c_0\) has shapes .* it has \[\(1, 4, 2\)"):
            made("LSTM", 3, 2)(np.ones((5, 4, 3)), np.zeros((1, 4, 2)))
        with pytest.raises(ValueError, match=r"hx has shapes \[\(2,\)\]"):
            made("RNNCell", 3, 2)(np.ones((4, 3)), np.zeros(2))

    def test_settings(self):
        with pytest.raises(ValueError, match=r"dropout=1\.5: expected a probability"):
            nn.LSTM(3, 2, dropout=1.5)
        with pytest.raises(ValueError, match="proj_size=2: 0 for no projection, or below"):
            nn.LSTM(3, 2, proj_size=2)
        with pytest.raises(ValueError, match="unknown nonlinearity 'sigmoid'"):
            nn.RNN(3, 2, nonlinearity="sigmoid")
        with pytest.raises(ValueError, match="device='cuda'"):
            nn.GRU(3, 2, device="cuda")

    @pytest.mark.parametrize(
        ("lengths", "said"),
        [
            ([4, 4], "2 lengths for a batch of 3"),
            ([5, 4, 1], "at most 4"),
            ([2, 1, 0], "at least 1"),
            ([1, 2, 3], "do not fall"),
        ],
    )
    def test_lengths(self, lengths, said):
        with pytest.raises(ValueError, match=said):
            rnn.pack_padded_sequence(X, lengths)


def test_it_makes_no_slow_batches():
    layer = made("LSTM", 3, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tl.vmap(tl.grad(lambda x: (layer(x)[0] ** 2).sum()))(np.stack([X, X]))
