"""Recurrent layers and cells; packed sequences and pairs of states have tests of their own."""

from __future__ import annotations

from tests.nn.cases import Case, apart

X = apart(3, 2, 3)
KINDS = [("RNN", {}), ("GRU", {}), ("LSTM", {})]

CASES = [
    *(Case(name, (X,), (3, 2), options) for name, options in KINDS),
    Case("RNN", (apart(3, 2, 3, seed=3),), (3, 2), {"nonlinearity": "relu"}),
    *(Case(name, (X[:2],), (3, 2), {**options, "bias": False}) for name, options in KINDS),
    *(Case(name, (X[:2],), (3, 1), {**options, "num_layers": 2, "bidirectional": True})
      for name, options in KINDS[1:]),
    Case("LSTM", (X[:2],), (3, 3), {"bidirectional": True, "proj_size": 2}),
    Case("GRU", (apart(2, 4, 3), apart(1, 2, 2, seed=1)), (3, 2), {"batch_first": True}),
    Case("RNN", (apart(4, 3), apart(2, 2, seed=1)), (3, 2), {"bidirectional": True}),
    Case("LSTM", (apart(4, 3),), (3, 2), {"batch_first": True}),
    Case("RNNCell", (apart(2, 3), apart(2, 2, seed=1)), (3, 2)),
    Case("RNNCell", (apart(2, 3),), (3, 2), {"nonlinearity": "relu", "bias": False}),
    Case("GRUCell", (apart(2, 3), apart(2, 2, seed=1)), (3, 2)),
    Case("GRUCell", (apart(3), apart(2, seed=1)), (3, 2), {"bias": False}),
    Case("LSTMCell", (apart(2, 3),), (3, 2)),
    Case("LSTMCell", (apart(3),), (3, 2), {"bias": False}),
]  # fmt: skip
