"""Data sets and loaders beside PyTorch's: what a batch is, how many there are, who gets which."""

from collections import namedtuple

import numpy as np
import pytest

from tinygrad_lab import data

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle
theirs = pytest.importorskip("torch.utils.data")
Pair = namedtuple("Pair", "x y")


def plain(batch):
    """A batch with lists of numbers in place of tensors, and its kinds."""
    if hasattr(batch, "tolist") or hasattr(batch, "requires_grad"):
        array = np.asarray(batch.detach() if isinstance(batch, torch.Tensor) else batch.data)
        return (array.dtype.name, array.tolist())
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        return type(batch), [plain(item) for item in batch]
    return batch


@pytest.mark.parametrize(
    "examples",
    [
        [1, 2],
        [1.5, 2.5],
        [True, False],
        [np.float32(1), np.float32(2)],
        [np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)],
        [(1, "a"), (2, "b")],
        [[1, 2.0], [3, 4.0]],
        [{"x": np.arange(3), "y": (1, b"q")}, {"x": np.arange(3), "y": (2, b"r")}],
        [Pair(1, np.ones(2)), Pair(2, np.ones(2))],
    ],
    ids=str,
)
def test_examples_are_stacked_as_theirs(examples):
    assert plain(data.default_collate(examples)) == plain(theirs.default_collate(examples))


@pytest.mark.parametrize("number", [0, 1, 7, 8])
@pytest.mark.parametrize("options", [{}, {"drop_last": True}, {"batch_size": None}])
def test_batches_in_order_as_theirs(number, options):
    options = {"batch_size": 4, **options}
    x = np.arange(2.0 * number).reshape(number, 2)
    ours = data.DataLoader(data.TensorDataset(x), **options)
    other = theirs.DataLoader(theirs.TensorDataset(torch.from_numpy(x)), **options)
    assert len(ours) == len(other)
    assert [plain(batch)[1] for batch in ours] == [plain(batch)[1] for batch in other]


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.7, 0.2, 0.1], [0.25] * 4, [1 / 3, 2 / 3]])
@pytest.mark.parametrize("number", [10, 11, 103])
def test_shares_are_rounded_as_theirs(number, shares):
    ours = data.random_split(range(number), shares, rng=0)
    other = theirs.random_split(range(number), shares)
    assert [len(part) for part in ours] == [len(part) for part in other]
