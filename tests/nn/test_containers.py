"""Modules that hold modules and parameters: edited as lists and dicts are, and as PyTorch's are."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn


def layer(seed):
    return nn.Linear(2, 2, rng=seed)


def names(module):
    return [name for name, _ in module.named_children()]


#: Edits, each of a Sequential or a ModuleList of four, and of a list of the same.
EDITS = {
    "set": lambda row, new: row.__setitem__(1, new),
    "set from the end": lambda row, new: row.__setitem__(-1, new),
    "set a slice": lambda row, new: row.__setitem__(slice(1, 3), [new]),
    "delete": lambda row, new: row.__delitem__(1),
    "delete a slice": lambda row, new: row.__delitem__(slice(0, None, 2)),
    "append": lambda row, new: row.append(new),
    "insert": lambda row, new: row.insert(2, new),
    "insert at the end": lambda row, new: row.insert(99, new),
    "extend": lambda row, new: row.extend([new, new]),
    "pop": lambda row, new: row.pop(),
    "pop one": lambda row, new: row.pop(1),
    "add in place": lambda row, new: row.__iadd__([new]),
}


@pytest.mark.parametrize("make", [lambda x: nn.Sequential(*x), nn.ModuleList])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_edits_are_those_of_a_list(make, edit):
    items, new = [layer(i) for i in range(4)], nn.Tanh()
    row = make(items)
    edit(row, new)
    edit(items, new)
    assert list(row) == items
    assert len(row) == len(items)
    assert list(row.state_dict()) == [
        f"{i}.{name}" for i, x in enumerate(items) for name in x.state_dict()
    ]
    for twin in (copy.deepcopy(row), pickle.loads(pickle.dumps(row))):
        assert repr(twin) == repr(row)


def test_a_list_beside_others():
    a, b, c = layer(0), layer(1), layer(2)
    row = nn.ModuleList([a, b, c])
    assert (row[0], row[-1], list(row[1:]), b in row, nn.Tanh() in row) == (
        a,
        c,
        [b, c],
        True,
        False,
    )
    assert isinstance(row[1:], nn.ModuleList)
    assert list(row + nn.ModuleList([a])) == [a, b, c, a]
    assert [*reversed(row)] == [c, b, a]
    with pytest.raises(IndexError, match="ModuleList of 3 has no item 3"):
        row[3]
    with pytest.raises(TypeError, match="takes modules, not"):
        row.append(np.tanh)
    with pytest.raises(TypeError, match="takes modules, not"):
        row[0] = 3
    with pytest.raises(NotImplementedError, match="forward"):
        row(np.ones(2))


def test_a_sequential_with_names():
    model = nn.Sequential(OrderedDict(first=layer(0), act=nn.Tanh()))
    assert names(model) == ["first", "act"]
    assert names(model[:1]) == ["first"]
    assert model.act is model[1]
    model[1] = nn.ReLU()
    assert isinstance(model.act, nn.ReLU)
    model.append(layer(1))
    assert names(model) == ["first", "act", "2"]
    assert model(np.ones(2)).shape == (2,)
    assert len(nn.Sequential(layer(0), nn.Tanh()) * 3) == 6
    tail = nn.Sequential(layer(0), layer(1), layer(2))[1:]
    assert names(tail) == ["1", "2"]  # a part keeps its names, as PyTorch's does
    assert names(tail.append(nn.Tanh())) == ["1", "2", "3"]


def test_a_sequential_takes_what_can_be_called():
    model = nn.Sequential(layer(0), np.tanh)
    x = np.ones((3, 2))
    np.testing.assert_array_equal(model(x).data, np.tanh(model[0](x).data))
    with pytest.raises(TypeError, match="a star"):
        nn.Sequential([layer(0)])


class Own(nn.Sequential):
    """A subclass with arguments of its own, and another attribute."""

    def __init__(self, width):
        super().__init__(nn.Linear(width, width, rng=0), nn.ReLU())
        self.width = width
        self.last = nn.Linear(width, 1, rng=1)


def test_a_subclass():
    model = Own(3)
    assert (len(model), names(model)) == (3, ["0", "1", "last"])
    assert model(np.ones((4, 3))).shape == (4, 1)
    del model[0]
    assert (len(model), model.width) == (2, 3)
    assert len(model[1:]) == 1


def test_a_dict_of_modules():
    a, b = layer(0), layer(1)
    heads = nn.ModuleDict({"a": a})
    heads.update({"b": b})
    assert (list(heads), len(heads), "a" in heads) == (["a", "b"], 2, True)
    assert list(heads.items()) == [("a", a), ("b", b)]
    assert (heads.get("c"), heads.pop("b"), list(heads.values())) == (None, b, [a])
    assert list(heads.state_dict()) == ["a.weight", "a.bias"]
    heads["a"] = b
    assert heads.a is b
    assert heads in {heads}
    for bad in ("keys", "training", "a.b", ""):
        with pytest.raises(KeyError):
            heads[bad] = a
    with pytest.raises(KeyError, match="ModuleDict has no 'x'; it has a"):
        heads["x"]
    with pytest.raises(TypeError, match="takes modules"):
        heads["c"] = np.ones(3)
    heads.eval()
    heads.clear()
    assert (len(heads), heads.training) == (0, False)


def test_parameters_in_lists_and_dicts():
    row = nn.ParameterList([nn.Parameter([1.0]), np.ones(2), tl.tensor([2.0])])
    row.append(nn.Parameter([3.0], requires_grad=False))
    assert [name for name, _ in row.named_parameters()] == ["0", "1", "2", "3"]
    assert all(isinstance(p, nn.Parameter) for p in row)
    assert row[1] in row
    words = nn.ParameterDict({"w": np.ones(2)}) | {"v": nn.Parameter([0.0])}
    words.setdefault("u", tl.tensor([1.0]))
    assert list(words.state_dict()) == ["w", "v", "u"]
    assert words.popitem()[0] == "u"
    assert list(words.copy()) == ["w", "v"]
    assert isinstance(words["w"], nn.Parameter)
    assert list(nn.ParameterDict.fromkeys(["a", "b"], np.ones(1)).parameters())[1].shape == (1,)


class Mixture(nn.Module):
    """All containers in one model."""

    def __init__(self):
        self.layers = nn.ModuleList([nn.Linear(3, 3, rng=i) for i in range(2)])
        self.heads = nn.ModuleDict({"a": nn.Linear(3, 2, rng=2), "b": nn.Linear(3, 2, rng=3)})
        self.weights = nn.ParameterList([np.ones(2), np.full(2, 0.5)])
        self.scales = nn.ParameterDict({"x": np.array([2.0, 1.0, 3.0])})

    def forward(self, x):
        x = x * self.scales["x"]
        for layer in self.layers:
            x = np.tanh(layer(x))
        heads = zip(self.heads.values(), self.weights, strict=True)
        return sum(head(x) * weight for head, weight in heads)


def test_the_transforms_go_through_them():
    model, x = Mixture(), np.ones((4, 3))
    y = model(x)
    y.sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    jitted = tl.jit(lambda x: model(x), backend="numpy")
    for _ in range(3):
        np.testing.assert_allclose(jitted(x).data, y.data, rtol=1e-15)
    state = dict(model.named_parameters())
    stacks = {name: np.stack([p.data, 2 * p.data]) for name, p in state.items()}
    both = tl.vmap(lambda s: tl.functional_call(model, s, x))(stacks)
    np.testing.assert_allclose(both[0], y.data)
    np.testing.assert_allclose(tl.checkpoint(model, x).data, y.data)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(model))(x).data, y.data)


@pytest.mark.oracle
def test_texts_and_names_are_pytorchs():
    torch = pytest.importorskip("torch")

    def build(of, array):
        class Net(of.Module):
            def __init__(self):
                super().__init__()
                self.chain = of.Sequential(
                    of.Linear(2, 3, bias=False), of.Tanh(), of.Dropout(0.2), of.Flatten(),
                    of.Unflatten(1, (3, 1)), of.Identity(), of.Conv2d(1, 2, (3, 5), stride=2),
                    of.Conv2d(2, 4, 3, padding="same", groups=2, bias=False),
                    of.Conv2d(2, 4, 3, padding=1, dilation=2),
                )  # fmt: skip
                self.names = of.Sequential(OrderedDict(a=of.Linear(1, 1), b=of.ReLU()))
                self.row = of.ModuleList([of.Linear(2, 2) for _ in range(3)] + [of.Sigmoid()])
                self.words = of.ModuleDict({"x": of.Linear(1, 2), "y": of.ModuleList()})
                self.two = of.ModuleList([of.Sequential(of.Linear(1, 1)) for _ in range(2)])
                self.values = of.ParameterList([of.Parameter(array((2, 3))), array((2,)), 3])
                self.register_buffer("mean", array((2,)))
                self.register_buffer("mask", array((2,)), persistent=False)
                self.register_buffer("none", None)

            def extra_repr(self):
                return "one=1\ntwo=2"

        return Net()

    ours = build(nn, np.ones)
    theirs = build(torch.nn, lambda shape: torch.ones(shape, dtype=torch.float64))
    assert repr(ours) == repr(theirs).replace("torch.", "")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for listing in ("named_modules", "named_buffers", "named_children", "named_parameters"):
        mine, others = (dict(getattr(net, listing)()) for net in (ours, theirs))
        assert list(mine) == list(others)
    assert [type(m).__name__ for m in ours.modules()] == [
        type(m).__name__ for m in theirs.modules()
    ]
    assert sorted(set(dir(torch.nn.ModuleList)) - set(dir(nn.ModuleList)) - set(dir(object))) == (
        sorted(set(dir(torch.nn.Module)) - set(dir(nn.Module)) - set(dir(object)) | {
            "_get_abs_string_index"})
    )  # fmt: skip
