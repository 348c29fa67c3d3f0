"""Modules: what they find, save, load, convert and say; and where an error happened."""

import copy
import pickle
import warnings
from collections import deque, namedtuple
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn


class Everything(nn.Module):
    """Parameters in every place where they can be."""

    def __init__(self):
        self.weight = nn.Parameter([1.0])
        self.listed = [nn.Linear(2, 3, rng=0), nn.Parameter([2.0])]
        self.nested = {"a": (nn.Linear(3, 1, bias=False, rng=1),), "b": self.weight}
        self.running = np.zeros(3)
        self.constant = tl.tensor([5.0])
        self.frozen = nn.Parameter([6.0], requires_grad=False)
        self._private = nn.Linear(1, 1, bias=False, rng=2)
        self._cache = np.zeros(2)
        self.result = self.weight * 2
        self.name = "no array"

    def forward(self, x):
        return self.nested["a"][0](self.listed[0](x))


NAMES = [
    "weight", "listed.1", "frozen", "listed.0.weight", "listed.0.bias", "nested.a.0.weight",
    "_private.weight",
]  # fmt: skip


def test_parameters_are_found_by_walking_each_once():
    model = Everything()
    assert sorted(dict(model.named_parameters())) == sorted(NAMES)
    assert len(list(model.parameters())) == len(NAMES)
    assert dict(model.named_buffers()).keys() == {"running", "constant"}
    layers = {"": model, "listed.0": model.listed[0], "nested.a.0": model.nested["a"][0]}
    assert dict(model.named_modules()) == {**layers, "_private": model._private}
    assert list(model.children()) == [model.listed[0], model.nested["a"][0], model._private]


def test_a_layer_used_twice_is_one():
    layer = nn.Linear(2, 2, rng=0)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]
    assert len(list(model.modules())) == 3
    assert len(list(model.modules(remove_duplicate=False))) == 4


class Family(nn.Module):
    """Layers that hold each other, and a container that holds itself."""

    def __init__(self):
        self.first, self.second = nn.Linear(1, 1, rng=0), nn.Linear(1, 1, rng=1)
        self.first.parent, self.first.next = self, self.second
        self.second.parent, self.second.previous = self, self.first
        self.ring = [self.first]
        self.ring.append(self.ring)


def test_layers_that_hold_their_model_are_walked_once():
    model = Family()
    names = ["first.weight", "first.bias", "first.next.weight", "first.next.bias"]
    assert [name for name, _ in model.named_parameters()] == names
    assert len(list(model.first.parameters())) == 4
    assert len(list(model.modules())) == 3
    assert model.state_dict().keys() >= {*names, "second.weight", "second.bias", "ring.0.weight"}
    model.load_state_dict(Family().state_dict())
    assert "..." in repr(model)
    twin = copy.deepcopy(model)
    assert twin.first.parent is twin
    with pytest.raises(ValueError, match="in layer '0': Linear"):
        nn.Sequential(model.first)(np.ones(3))


class InSlots(nn.Module):
    """A parameter in a slot, another on the class."""

    __slots__ = ("empty", "weight")

    shared = nn.Parameter([1.0])

    def __init__(self):
        self.weight = nn.Parameter([2.0])


def make_property():
    class InProperty(nn.Module):
        def __init__(self):
            self.__weight = nn.Parameter([2.0])

        @property
        def weight(self):
            return self.__weight

    return InProperty()


def holding(**attributes):
    module = nn.Module()
    vars(module).update(attributes)
    return module


@dataclass(frozen=True, slots=True)
class Parts:
    """A container of the user's own."""

    number: int
    inside: object
    array: object = None


p, layer = nn.Parameter([2.0]), nn.Linear(1, 1, bias=False, rng=0)
PLACES = {
    "in slots": InSlots(),
    "behind a property": make_property(),
    "on the class": type("OnClass", (nn.Module,), {"weight": p})(),
    "a layer on the class": type("OnClass", (nn.Module,), {"layer": layer})(),
    "deque": holding(parts=deque([layer])),
    "named tuple": holding(parts=namedtuple("Pair", "a b")(1, p)),
    "mapping": holding(parts=MappingProxyType({"a": [(p,)]})),
    "numbered": holding(parts={0: {1: p}}),
    "private in private": holding(_parts=[holding(_inner={"_x": p})]),
    "namespace": holding(parts=SimpleNamespace(a=SimpleNamespace(b=layer))),
    "dataclass": holding(parts=Parts(1, [p])),
    "of a layer in a list": holding(parts=[[[nn.Sequential(layer)]]]),
}


@pytest.mark.parametrize("model", PLACES.values(), ids=PLACES)
def test_a_parameter_is_found_wherever_it_is(model):
    (_, parameter), *others = model.named_parameters()
    assert isinstance(parameter, nn.Parameter)
    assert len(others) == isinstance(model, InSlots)
    for frozen in (True, False):
        model.requires_grad_(not frozen)
        optimizer = tl.optim.SGD(model.parameters(), lr=0.1)
        before = model.state_dict()
        assert len(before) == 1 + len(others)
        if not frozen:
            (parameter * parameter).sum().backward()
            optimizer.step()
        changed = any((value != before[name]).any() for name, value in model.state_dict().items())
        assert changed is not frozen
        model.load_state_dict(before)


@pytest.mark.parametrize("item", [p, layer], ids=["parameter", "layer"])
@pytest.mark.parametrize("kind", [set, frozenset])
def test_a_set_has_no_names_for_its_parameters(kind, item):
    model = holding(parts=[kind([1, item])])
    with pytest.raises(TypeError, match=rf"parts\.0 is a {kind.__name__} with a .*a list"):
        list(model.parameters())
    assert list(holding(parts={1, 2}).parameters()) == []


def test_arrays_in_containers_are_converted_and_the_containers_stay():
    array = np.ones(2)
    containers = {
        "list": [array], "dict": {"a": array, 0: (1, [array])}, "deque": deque([array, 3]),
        "space": SimpleNamespace(a=array), "frozen": Parts(1, [array], array),
        "pair": namedtuple("Pair", "a b")(array, 1), "fixed": MappingProxyType({"a": 1}),
    }  # fmt: skip
    model = holding(**containers)
    model.to(np.float32)
    assert {b.dtype for _, b in model.named_buffers()} == {np.dtype(np.float32)}
    assert len(list(model.named_buffers(remove_duplicate=False))) == 8
    assert [name for name, _ in model.named_buffers()] == ["list.0"]
    for name, container in containers.items():
        assert (getattr(model, name) is container) == (name != "pair")
    assert (type(model.pair).__name__, model.pair.b, model.deque[1]) == ("Pair", 1, 3)
    assert array.dtype == float


def test_what_takes_a_parameters_place_is_one():
    layer = nn.Linear(2, 2, rng=0)
    with pytest.raises(TypeError, match=r"Linear\.weight is a parameter, and a Tensor in"):
        layer.weight = layer.weight * 0.9
    with pytest.raises(TypeError, match=r"ndarray in its place.*nn\.Parameter"):
        layer.bias = np.zeros(2)
    layer.weight = nn.Parameter(np.eye(2))
    layer.bias = None
    np.testing.assert_array_equal(layer(np.ones((1, 2))).data, [[1, 1]])
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_a_tracked_tensor_that_is_no_parameter_is_warned_of_once_a_place():
    class Net(nn.Module):
        def __init__(self):
            self.w = tl.tensor([1.0], requires_grad=True)
            self.constant = tl.tensor([1.0])

    model = Net()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            assert list(model.parameters()) == []
    (warning,) = caught
    assert warning.category is tl.warnings.NotAParameterWarning
    assert warning.filename == __file__
    assert str(warning.message).startswith("Net.w requires a gradient but is no nn.Parameter")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tl.TrainingWarning)
        assert "w" in model.state_dict()


class Helper:
    """An object of a class that is no container."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


@pytest.mark.parametrize("hidden", [nn.Parameter([1.0]), nn.Linear(1, 1, rng=0)])
def test_what_is_hidden_in_another_object_is_warned_of(hidden):
    model = holding(parts=[Helper(inner=hidden)])
    with pytest.warns(
        tl.warnings.NotAParameterWarning, match=r"parts\.0 is a Helper, whose \.inner"
    ):
        assert list(model.parameters()) == []
    model.inner = hidden  # and where it is found too, there is nothing to say
    model.parts.append(Helper(model=model, loss=nn.Tanh(), name="x"))
    assert len(list(model.parameters())) == len(list(holding(inner=hidden).parameters()))


def test_state_goes_out_and_in():
    model, other = Everything(), Everything()
    for parameter in model.parameters():
        parameter.data = parameter.data + 1
    model.running[:] = 7
    state = model.state_dict()
    assert state.keys() == {*NAMES, "running", "constant", "nested.b"}
    running = other.running
    other.load_state_dict(state)
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    assert other.running is running
    state["weight"][:] = 100
    assert other.weight.data[0] == 2  # copies, both ways
    assert model.weight.data[0] == 2


def test_a_state_that_does_not_fit_says_so_and_changes_nothing():
    model = nn.Linear(2, 3, rng=0)
    before = model.state_dict()
    with pytest.raises(RuntimeError) as refused:
        model.load_state_dict({"weight": np.ones((3, 4)), "offset": np.ones(3)})
    assert str(refused.value).splitlines() == [
        "the state does not fit Linear, which is left as it was:",
        "  unexpected, the model has no such place: offset",
        "  missing from the state: bias",
        "  weight has shape (3, 2) here and (3, 4) in the state",
        "Build the model as the one that was saved, or say strict=False",
    ]
    with pytest.raises(RuntimeError, match=r"bias has shape \(3,\) here and \(4,\)"):
        model.load_state_dict({"bias": np.ones(4)}, strict=False)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert str(model.load_state_dict(before)) == "<All keys matched successfully>"
    report = model.load_state_dict({"weight": np.ones((3, 2)), "offset": 0}, strict=False)
    assert report == (["bias"], ["offset"])
    assert repr(report) == "_IncompatibleKeys(missing_keys=['bias'], unexpected_keys=['offset'])"
    assert (model.weight.data == 1).all()


@pytest.mark.oracle
def test_a_state_goes_to_pytorch_and_back():
    torch = pytest.importorskip("torch")
    ours = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, rng=0), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16, 3, rng=1),
    )  # fmt: skip
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(16, 3),
    ).double()  # fmt: skip
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(2, 1, 4, 4))
    np.testing.assert_allclose(ours(x).data, theirs(torch.tensor(x)).detach().numpy())
    ours.load_state_dict({k: 2 * v for k, v in theirs.state_dict().items()})
    np.testing.assert_array_equal(ours[4].bias.data, 2 * theirs[4].bias.detach().numpy())


def test_training_and_evaluation():
    model = nn.Sequential(nn.Dropout(0.5, rng=0), nn.Sequential(nn.Dropout(0.5, rng=1)))
    x = np.ones((50, 50))
    assert (model(x) == 0).any()
    assert model.eval() is model
    np.testing.assert_array_equal(model(x), x)
    assert (model.train()(x) == 0).any()


def test_conversion_in_place():
    model = Everything()
    weight, listed = model.weight, model.listed
    model.weight.grad = np.ones(1)
    assert model.to(np.float32) is model
    assert model.weight is weight
    assert model.listed is listed
    assert weight.grad is None
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    assert model.running.dtype == np.float32
    y = model(np.ones((4, 2), np.float32))
    assert y.dtype == np.float32
    with pytest.raises(TypeError, match="int64"):
        model.to(np.int64)


def test_gradients_are_forgotten_and_switched_off():
    model = nn.MLP([2, 3, 1], rng=0)
    model(np.ones((4, 2))).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    before = list(model.parameters())
    model.requires_grad_(False)
    assert list(map(id, model.parameters())) == list(map(id, before))
    assert not model(np.ones((4, 2))).requires_grad
    assert all(p.requires_grad for p in model.requires_grad_().parameters())


def test_a_constant_is_no_parameter_whatever_is_switched():
    model = Everything()
    assert sorted(dict(model.requires_grad_(False).named_parameters())) == sorted(NAMES)
    assert sorted(dict(model.requires_grad_(True).named_parameters())) == sorted(NAMES)
    assert not model.constant.requires_grad
    assert model.frozen.requires_grad


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent_and_keep_what_is_shared(duplicate):
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Dropout(rng=1), nn.Linear(2, 2, rng=2))
    model[2].weight = model[0].weight
    twin = duplicate(model)
    assert twin[2].weight is twin[0].weight
    assert twin[0].weight is not model[0].weight
    twin[0].weight.data[:] = 0
    assert (model[0].weight.data != 0).any()
    assert len(list(twin.parameters())) == 3


def test_an_error_names_the_layer():
    model = nn.MLP([2, 5, 4, 7], rng=0)
    model.layers[4] = nn.Linear(3, 7, rng=0)
    with pytest.raises(ValueError, match=r"in layer 'layers\.4': Linear\(in_features=3") as caught:
        model(np.ones((10, 2)))
    assert "(10, 4)" in str(caught.value)
    assert str(caught.value).count("in layer") == 1
    outer = nn.Sequential(nn.Identity(), model)
    with pytest.raises(ValueError, match=r"in layer '1\.layers\.4': Linear\(in_features=3"):
        outer(np.ones((10, 2)))
    with pytest.raises(ValueError, match=r"in Linear\(in_features=3"):
        model.layers[4](np.ones((10, 4)))


class PeculiarError(Exception):
    """An exception whose text is not its argument."""

    def __init__(self, code, text):
        super().__init__(code, text)
        self.code = code


@pytest.mark.parametrize("error", [PeculiarError(3, "odd"), KeyError("absent"), ValueError()])
def test_an_error_of_any_type_keeps_it_and_is_noted(error):
    class Fails(nn.Module):
        def forward(self, x):
            raise error

    with pytest.raises(type(error)) as caught:
        nn.Sequential(nn.Identity(), nn.Sequential(Fails()))(1)
    assert caught.value is error
    assert error.__notes__ == ["in layer '1.0': Fails()"]


def test_a_module_without_forward():
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(1)


def test_repr_is_a_tree():
    model = nn.Sequential(nn.Linear(2, 3, bias=False, rng=0), nn.Sequential(nn.LeakyReLU(0.2)))
    assert repr(model) == (
        "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=False)\n"
        "  (1): Sequential(\n"
        "    (0): LeakyReLU(negative_slope=0.2)\n  )\n)"
    )


def manual_step(model, rate=0.1):
    """PyTorch's loop by hand."""
    with tl.no_grad():
        for p in model.parameters():
            p -= rate * p.grad


def test_the_manual_loop_moves_the_weights_as_sgd_does():
    x, y = np.random.default_rng(0).normal(size=(2, 20, 1))
    by_hand, by_sgd = (nn.MLP([1, 4, 1], "tanh", rng=0) for _ in range(2))
    optimizer = tl.optim.SGD(by_sgd.parameters(), lr=0.1)
    parameters = list(by_hand.parameters())
    for _ in range(20):
        for model, step in ((by_hand, lambda: manual_step(by_hand)), (by_sgd, optimizer.step)):
            model.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            step()
    assert list(map(id, by_hand.parameters())) == list(map(id, parameters))
    for name, value in by_sgd.state_dict().items():
        np.testing.assert_array_equal(by_hand.state_dict()[name], value)


@pytest.mark.parametrize("op", ["+=", "-=", "*=", "/=", "**=", "@="])
def test_a_parameter_changed_in_place_stays_one(op):
    layer = nn.Linear(2, 2, rng=0)
    weight, change = layer.weight, np.array([[3.0, 0.5], [1.0, 2.0]])
    weight.data = np.abs(weight.data)
    start = weight.data
    expected = eval("start" + op[:-1] + "change", {"start": start, "change": change})
    with pytest.raises(RuntimeError, match="no_grad"):
        exec(f"layer.weight {op} change", {"layer": layer, "change": change})
    for frozen in (False, True):
        if frozen:
            layer.requires_grad_(False)
            weight.data = start
            exec(f"layer.weight {op} change", {"layer": layer, "change": change})
        else:
            with tl.no_grad():
                exec(f"layer.weight {op} change", {"layer": layer, "change": change})
        assert layer.weight is weight
        assert isinstance(weight, nn.Parameter)
        np.testing.assert_array_equal(weight.data, expected)


# -- buffers, paths and what they are called -----------------------------------------------------


class Counted(nn.Module):
    """A buffer of each kind, and a forward that assigns them anew."""

    def __init__(self):
        self.register_buffer("count", np.array(0))
        self.register_buffer("_mean", np.zeros(2))
        self.register_buffer("mask", np.ones(2), persistent=False)
        self.register_buffer("later", None)
        self._cache = np.zeros(2)

    def forward(self, x):
        self.count = self.count + 1
        self._mean = 0.5 * self._mean + 0.5 * x
        return x * self.mask


def test_registered_buffers():
    model = Counted()
    assert [name for name, _ in model.named_buffers()] == ["count", "_mean", "mask"]
    assert list(model.state_dict()) == ["count", "_mean"]
    model(np.ones(2))
    assert isinstance(model.count, np.ndarray)  # NumPy gives a number for a sum of 0-d arrays
    assert model.state_dict()["count"].tolist() == 1
    model.later = np.ones(3)
    assert list(model.state_dict()) == ["count", "_mean", "later"]
    assert {b.dtype.name for b in model.half().buffers()} == {"int64", "float16"}
    with pytest.raises(TypeError, match=r"Counted.mask: a buffer is an array.*not "):
        model.mask = [1.0]
    with pytest.raises(TypeError, match=r"result of a tracked computation.*detach"):
        model.mask = tl.tensor([1.0], requires_grad=True) * 2
    del model.mask
    model.mask = [1.0]
    twin = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    assert list(twin.state_dict()) == list(model.state_dict())


def test_buffers_that_are_assigned_go_through_jit_and_functional_call():
    model, eager = Counted(), Counted()
    jitted = tl.jit(model, backend="numpy")
    for i in range(4):
        x = np.full(2, float(i))
        np.testing.assert_array_equal(jitted(x), eager(x))
        assert (model.count, model._mean.tolist()) == (i + 1, eager._mean.tolist())
    out = tl.functional_call(model, {"mask": np.zeros(2), "count": np.array(9)}, np.ones(2))
    assert (out.tolist(), model.count) == ([0, 0], 4)


def test_what_is_registered_has_a_name_of_its_own():
    model = nn.Module()
    model.register_parameter("w", nn.Parameter([1.0]))
    model.register_parameter("none", None)
    model.add_module("layer", nn.Tanh())
    assert [name for name, _ in model.named_parameters()] == ["w"]
    for name in ("forward", "w", "training"):
        with pytest.raises(KeyError, match="already"):
            model.register_buffer(name, np.ones(1))
    for name in ("", "a.b"):
        with pytest.raises(KeyError, match="cannot be the name"):
            model.add_module(name, nn.Tanh())
    for call in (
        lambda: model.register_parameter("v", np.ones(1)),
        lambda: model.add_module("v", np.tanh),
        lambda: model.register_buffer(3, np.ones(1)),
        lambda: model.register_buffer("v", "text"),
    ):
        with pytest.raises(TypeError):
            call()


def test_what_is_at_a_path():
    model = Everything()
    layer = model.listed[0]
    assert model.get_submodule("") is model
    assert model.get_submodule("listed.0") is layer
    assert model.get_parameter("listed.0.weight") is layer.weight
    assert model.get_buffer("running") is model.running
    for path, kind in (("listed.0", "parameter"), ("weight", "submodule"), ("name", "buffer")):
        with pytest.raises(AttributeError, match=f"Everything has no .* '{path}'"):
            getattr(model, f"get_{kind}")(path)
    with pytest.raises(AttributeError, match=r"'listed.0.wieght'; near it: listed.0.weight"):
        model.get_parameter("listed.0.wieght")
    new = nn.Linear(2, 3, rng=9)
    model.set_submodule("listed.0", new)
    model.set_submodule("nested.a", new)
    assert (model.listed[0], model.nested["a"]) == (new, new)
    with pytest.raises(AttributeError, match=r"no module 'listed\.1'"):
        model.set_submodule("listed.1", new, strict=True)
    with pytest.raises(TypeError, match="takes a Module"):
        model.set_submodule("listed.0", np.tanh)


def test_prefixes_recursion_and_duplicates():
    model = Everything()
    assert [n for n, _ in model.named_parameters("net", recurse=False)] == [
        "net.weight", "net.listed.1", "net.frozen",
    ]  # fmt: skip
    assert "nested.b" in dict(model.named_parameters(remove_duplicate=False))
    assert dict(model.named_modules(prefix="net"))["net.listed.0"] is model.listed[0]
    assert list(dict(model.named_modules({model.listed[0]}))) == ["", "nested.a.0", "_private"]
    assert next(iter(model.state_dict(prefix="x."))) == "x.weight"
    assert model.state_dict(keep_vars=True)["weight"] is model.weight


def test_a_function_is_applied_from_the_inside():
    model = nn.Sequential(nn.Linear(1, 1, rng=0), nn.Sequential(nn.Tanh()))
    order = []
    assert model.apply(order.append) is model
    assert order == [model[0], model[1][0], model[1], model]
    family = Family()
    family.apply(order.append)
    assert len(order) == 7


def test_a_missing_name_says_what_is_near():
    model = nn.Linear(2, 3, rng=0)
    with pytest.raises(
        AttributeError, match="Linear has no attribute 'wieght'; did you mean weigh"
    ):
        _ = model.wieght
    with pytest.raises(AttributeError, match=r"has no attribute 'qqq'$"):
        _ = model.qqq
    with pytest.raises(AttributeError, match=r"no cuda\(\): say model as it is"):
        model.cuda()
    assert not hasattr(model, "biass")
    assert "weight" in dir(model)

    class Fails(nn.Module):
        @property
        def size(self):
            return self.inner.missing

    with pytest.raises(AttributeError, match="no attribute 'inner'"):
        _ = Fails().size


def test_where_it_goes():
    model = nn.Linear(2, 3, rng=0)
    assert model.to("cpu").cpu() is model
    assert model.float().weight.dtype == np.float32
    assert model.double().weight.dtype == np.float64
    assert model.to(np.zeros(1, np.float32), non_blocking=True).weight.dtype == np.float32
    assert model.to(device="cpu", dtype=np.float64).weight.dtype == np.float64
    assert model.to("cpu", "float32").weight.dtype == np.float32
    assert model.to(tl.tensor([1.0])).weight.dtype == np.float64
    for bad in (
        lambda: model.to("cuda"),
        lambda: model.to(device="mps"),
        lambda: model.to("flaot"),
    ):
        with pytest.raises(ValueError, match="device="):
            bad()


def test_gradients_set_to_zero():
    model = nn.Linear(2, 1, rng=0)
    model.zero_grad(set_to_none=False)
    assert model.weight.grad is None
    model(np.ones(2)).sum().backward()
    old = model.weight.grad
    model.zero_grad(set_to_none=False)
    assert (model.weight.grad.tolist(), old.tolist()) == ([[0, 0]], [[1, 1]])
