"""The loader: which batches, in which order, and what a thread may not change."""

import threading
import traceback

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)


class Stream(IterableDataset):
    """Seven numbers, in their order."""

    def __iter__(self):
        return iter(range(7))


def numbers(loader):
    return [batch.data.tolist() for batch in loader]


def epoch(loader):
    return [number for batch in loader for number in batch.data.tolist()]


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("DataLoader")]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_in_order(workers):
    assert numbers(DataLoader(range(5), 2, num_workers=workers)) == [[0, 1], [2, 3], [4]]
    assert numbers(DataLoader(range(5), 2, drop_last=True, num_workers=workers)) == [[0, 1], [2, 3]]
    assert numbers(DataLoader(Stream(), 3, num_workers=workers)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(DataLoader(range(3), batch_size=None, num_workers=workers)) == [0, 1, 2]
    assert list(DataLoader(Stream(), batch_size=None)) == list(range(7))
    assert not threads()


@pytest.mark.parametrize("batch_size", [1, 3, 7, 8])
def test_the_length_is_the_number_of_batches(batch_size):
    for drop_last in (False, True):
        loader = DataLoader(range(7), batch_size, drop_last=drop_last)
        assert len(loader) == len(list(loader))


def test_each_epoch_is_shuffled_anew_and_a_seed_gives_it_again():
    first, second = (DataLoader(range(20), 7, shuffle=True, rng=3) for _ in range(2))
    epochs = [epoch(first) for _ in range(3)]
    assert [sorted(each) for each in epochs] == [list(range(20))] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs == [epoch(second) for _ in range(3)]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_that_is_left_early_or_made_ahead_does_not_change_the_next(workers):
    whole, left = (DataLoader(range(20), 4, shuffle=True, rng=0) for _ in range(2))
    left.num_workers = workers
    list(whole)
    for _ in left:
        break
    assert numbers(whole) == numbers(left)


def test_a_loader_goes_on_from_its_state():
    loader = DataLoader(range(20), 4, shuffle=True, rng=0)
    list(loader)
    state = loader.state_dict()
    expected = numbers(loader)
    other = DataLoader(range(20), 4, shuffle=True, rng=9)
    other.load_state_dict(state)
    assert numbers(other) == expected


def test_two_iterations_at_once_are_each_whole():
    loader = DataLoader(range(6), 2, shuffle=True, rng=0)
    pairs = list(zip(loader, loader, strict=True))
    for column in zip(*pairs, strict=True):
        assert sorted(epoch(column)) == list(range(6))


def test_samplers():
    assert numbers(DataLoader(range(9), 2, sampler=[8, 1, 1])) == [[8, 1], [1]]
    assert numbers(DataLoader(range(9), batch_sampler=[[8], [1, 2]])) == [[8], [1, 2]]
    assert sorted(SubsetRandomSampler([4, 6], rng=0)) == [4, 6]
    assert list(BatchSampler([1, 2, 3], 2, drop_last=True)) == [[1, 2]]
    assert set(WeightedRandomSampler([0, 1, 0, 2], 50, rng=0)) == {1, 3}
    assert len(list(RandomSampler(range(3), num_samples=7, rng=0))) == 7
    assert len(set(RandomSampler(range(9), replacement=True, num_samples=9, rng=0))) < 9


def test_arrays_are_indexed_as_a_whole():
    class Counting(TensorDataset):
        calls = 0

        def __getitem__(self, index):
            self.calls += 1
            return super().__getitem__(index)

    data = Counting(np.arange(100.0), np.arange(100))
    x, y = next(iter(DataLoader(data, 64, shuffle=True, rng=0)))
    np.testing.assert_array_equal(x.data, y.data)
    assert data.calls == 1


def test_collate_fn_gets_the_list_of_examples():
    assert list(DataLoader(range(3), 2, collate_fn=tuple)) == [(0, 1), (2,)]
    assert list(DataLoader(Stream(), 4, collate_fn=sum)) == [6, 15]


class Failing(Dataset):
    """The fifth example cannot be read."""

    def __len__(self):
        return 9

    def __getitem__(self, i):
        if i == 5:
            raise OSError("no such example")
        return i


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_an_error_comes_where_its_batch_would_have_been_with_its_own_traceback(workers):
    batches = iter(DataLoader(Failing(), 2, num_workers=workers))
    assert [next(batches).data.tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(OSError, match="no such example") as caught:
        next(batches)
    assert 'raise OSError("no such example")' in "".join(traceback.format_tb(caught.tb))
    assert not threads()


@pytest.mark.parametrize("leave", [None, KeyboardInterrupt, ValueError])
def test_leaving_early_leaves_no_thread(leave):
    try:
        for _ in DataLoader(range(100), 2, num_workers=3):
            assert threads()
            if leave is not None:
                raise leave
            break
    except (KeyboardInterrupt, ValueError):
        pass
    assert not threads()


def test_the_thread_is_no_more_than_so_many_batches_ahead():
    class Counting(Dataset):
        made = 0

        def __len__(self):
            return 100

        def __getitem__(self, i):
            self.made += 1
            return i

    data = Counting()
    batches = iter(DataLoader(data, 1, num_workers=2, prefetch_factor=3))
    next(batches)
    batches.close()
    assert data.made <= 1 + 2 * 3 + 1


def test_modes_hold_in_the_thread():
    w = tl.tensor(2.0, requires_grad=True)

    class Scaled(Failing):
        def __getitem__(self, i):
            return w * i

    with tl.no_grad():
        assert not next(iter(DataLoader(Scaled(), 2, num_workers=1))).requires_grad


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 2.5}, "2.5"),
        ({"num_workers": -1}, "num_workers=-1"),
        ({"num_workers": 1, "prefetch_factor": 0}, "prefetch_factor=0"),
        ({"shuffle": True, "sampler": [1]}, "both say the order"),
        ({"batch_sampler": [[1]], "shuffle": True}, "leave out batch_size"),
        ({"batch_size": None, "drop_last": True}, "no last one"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        DataLoader(range(3), **options)


def test_a_stream_has_its_own_order():
    with pytest.raises(ValueError, match="its own order"):
        DataLoader(Stream(), shuffle=True)
