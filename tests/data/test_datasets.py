"""Data sets: what an example is, what a batch is, and who gets which."""

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
)


class Squares(Dataset):
    """Examples that are made one by one."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return {"x": np.array([i, i + 0.5]), "square": i * i, "name": f"n{i}"}


def points(n=10):
    return TensorDataset(np.arange(2.0 * n).reshape(n, 2), np.arange(n))


def test_arrays_and_tensors_have_an_example_in_each_row():
    data = TensorDataset(tl.tensor([[1.0], [2.0]]), [3, 4])
    x, y = data[1]
    assert isinstance(x, tl.Tensor) and (x.data.tolist(), y.item()) == ([2.0], 4)
    assert [t.shape for t in data[:2]] == [(2, 1), (2,)]


def test_arrays_are_not_copied():
    x = np.zeros((3, 2))
    assert TensorDataset(x).tensors[0].data is x


@pytest.mark.parametrize(
    ("arrays", "message"),
    [([np.ones(3), np.ones(4)], r"\(3,\), \(4,\)"), ([], "nothing"), ([np.float64(1)], r"\(\)")],
)
def test_what_is_no_table_of_examples_is_refused(arrays, message):
    with pytest.raises(ValueError, match=message):
        TensorDataset(*arrays)


def test_a_batch_is_the_same_by_indexing_and_one_by_one():
    for data in (points(), Subset(points(), [7, 1, 4]), ConcatDataset([points(2), points(5)])):
        indices = [2, 0]
        for one, other in zip(
            data.batch(indices), default_collate([data[i] for i in indices]), strict=True
        ):
            np.testing.assert_array_equal(one.data, other.data)


def test_a_subset_of_a_subset():
    inner = Subset(points(), [9, 8, 7, 6])
    assert Subset(inner, [3, 1]).batch([0, 1])[1].data.tolist() == [6, 8]
    assert Subset(inner, [3, 1])[1][1].item() == 8


def test_data_sets_behind_one_another():
    both = points(3) + points(2)
    assert [both[i][1].item() for i in range(-2, 5)] == [0, 1, 0, 1, 2, 0, 1]
    with pytest.raises(IndexError, match="example 5 of a data set of 5"):
        both[5]
    with pytest.raises(ValueError, match="at least one"):
        ConcatDataset([])


def test_a_split_gives_each_example_to_one_part():
    parts = random_split(points(), [0.5, 0.25, 0.25], rng=0)
    assert [len(part) for part in parts] == [6, 2, 2]
    assert sorted(i for part in parts for i in part.indices) == list(range(10))
    assert random_split(points(), [7, 3], rng=1)[0].indices == (
        random_split(points(), [7, 3], rng=1)[0].indices
    )


@pytest.mark.parametrize("lengths", [[5, 4], [0.5, 0.4], [11, -1], [0.5, 6]])
def test_lengths_that_are_not_those_of_the_data_set(lengths):
    with pytest.raises(ValueError, match="add up to"):
        random_split(points(), lengths)


def test_examples_are_stacked_part_by_part():
    batch = Squares(4).batch([3, 1])
    assert batch["x"].data.tolist() == [[3, 3.5], [1, 1.5]]
    assert batch["square"].data.tolist() == [9, 1]
    assert batch["name"] == ["n3", "n1"]


def test_tensors_with_a_history_keep_it_in_a_batch():
    w = tl.tensor([1.0, 2.0], requires_grad=True)
    default_collate([w * 2, w * 3]).sum().backward()
    assert w.grad.tolist() == [5, 5]


def test_examples_that_differ_in_shape_are_named():
    with pytest.raises(ValueError, match=r"example 0 .*\(2,\) and example 2 has \(3,\)"):
        default_collate([np.ones(2), np.ones(2), np.ones(3)])
    with pytest.raises(ValueError, match="length 2 and example 1 has 3"):
        default_collate([(1, 2), (1, 2, 3)])
    with pytest.raises(TypeError, match=r"cannot be stacked.*collate_fn"):
        default_collate([object()])


def test_a_subclass_that_lacks_something_is_told_what():
    with pytest.raises(NotImplementedError, match="__getitem__"):
        Dataset()[0]
    with pytest.raises(TypeError, match=r"TensorDataset\(x, y\)"):
        DataLoader(3)
