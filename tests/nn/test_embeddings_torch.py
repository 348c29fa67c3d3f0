"""Embeddings whose gradient or weight is not that of the function, beside PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_lab import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

WORDS = np.array([[1, 3, 1], [0, 2, 3]])
OPTIONS = [
    {"padding_idx": 3}, {"padding_idx": -4, "scale_grad_by_freq": True},
    {"max_norm": 1.0}, {"max_norm": 0.7, "norm_type": 1.0, "padding_idx": 1},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["Embedding", "EmbeddingBag"])
def test_layers(name, options):
    if name == "EmbeddingBag" and "scale_grad_by_freq" in options:
        pytest.skip("PyTorch divides by the frequencies of other rows (in 2.13)")
    ours = getattr(nn, name)(5, 2, **options, rng=0)
    theirs = getattr(torch.nn, name)(5, 2, **options).double()
    theirs.load_state_dict({"weight": torch.tensor(ours.weight.data)})
    weights = np.arange(12.0).reshape(2, 3, 2) if name == "Embedding" else np.ones((2, 2))
    y, z = ours(WORDS), theirs(torch.tensor(WORDS))
    np.testing.assert_allclose(y.data, z.numpy(force=True), rtol=1e-12, atol=1e-12)
    (y * weights).sum().backward()
    (z * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(ours.weight.data, theirs.weight.numpy(force=True), rtol=1e-12)
    np.testing.assert_allclose(ours.weight.grad, theirs.weight.grad.numpy(), rtol=1e-6)
    assert repr(ours) == repr(theirs)
