"""PyTorch's words that are not here: each is answered with what to write, and that runs."""

from __future__ import annotations

import copy
import os
import pickle
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import habits, nn, optim
from tinygrad_lab.absent import ABSENT
from tinygrad_lab.nn import functional as F

HOMES: dict[str, Any] = {
    "tinygrad_lab": tl,
    "tinygrad_lab.nn": nn,
    "tinygrad_lab.nn.functional": F,
    "tinygrad_lab.optim": optim,
    "tinygrad_lab.viz": tl.viz,
}


def tensor() -> tl.Tensor:
    return tl.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], requires_grad=True)


ROWS = [(home, name) for home in HOMES for name in habits.TABLES[home]]


@pytest.mark.parametrize(("home", "name"), ROWS)
def test_a_module_says_what_to_write(home: str, name: str):
    if home in ("tinygrad_lab", "tinygrad_lab.nn.functional") and hasattr(HOMES[home], name):
        assert name not in habits.PACKAGE  # a function of NumPy's, or a word that works
        return
    with pytest.raises(AttributeError) as miss:
        getattr(HOMES[home], name)
    assert str(miss.value) == f"{home} has no {name}: say {habits.TABLES[home][name]}"


@pytest.mark.parametrize("name", habits.TENSOR)
def test_a_tensor_says_what_to_write(name: str):
    for t in (tensor(), tensor() * 2, nn.Parameter([1.0])):
        assert not hasattr(t, name)
        assert not hasattr(type(t), name)
        assert name not in dir(t)
        with pytest.raises(AttributeError, match=r"a Tensor has no \w+\(\): say ") as miss:
            getattr(t, name)
        assert habits.TENSOR[name] in str(miss.value)


@pytest.mark.parametrize("name", habits.MODULE)
def test_a_module_of_layers_says_what_to_write(name: str):
    model = nn.Linear(2, 2, rng=0)
    assert not hasattr(model, name)
    with pytest.raises(AttributeError, match=r"a Module has no \w+\(\): say "):
        getattr(model, name)

    class Own(nn.Module):
        def __init__(self) -> None:
            setattr(self, name, nn.Parameter([1.0]))

    assert [path for path, _ in Own().named_parameters()] == [name]


def names() -> dict[str, Any]:
    """What the remedies are about."""
    parameter = nn.Parameter([0.5, 1.5])
    rng = np.random.default_rng(0)

    class Files:
        """Stands in for ``np``: nothing is written."""

        savez = staticmethod(lambda file, **arrays: None)
        load = staticmethod(lambda file: model.state_dict())

        def __getattr__(self, name: str) -> Any:
            return getattr(np, name)

    model = nn.Linear(2, 2, rng=0)
    return {
        "tl": tl, "nn": nn, "F": F, "optim": optim, "np": Files(), "model": model,
        "file": os.devnull,
        "x": np.ones((1, 2)), "data": (np.ones((4, 2)), np.ones((4, 2))), "loss": tensor().sum(),
        "t": tensor(), "u": tensor() * 1.5, "A": tl.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0],
        [1.0, 0.0, 1.0]], requires_grad=True), "v": np.ones(3), "w": 0.5, "y": tensor().sum(),
        "f": lambda x: x, "a": np.ones(3), "rng": rng, "seed": 0, "shape": (2, 3), "axis": 0,
        "axes": (1, 0), "dtype": np.float32, "n": 2, "k": 1, "p": 0.5, "low": 0, "high": 1,
        "value": 0.0, "mask": np.ones((2, 3), bool), "i": np.array([1]), "places": [1],
        "index": np.zeros((1, 3), int), "widths": 1, "labels": np.array([0, 1]),
        "logits": tensor(), "images": np.ones((1, 1, 4, 4)), "layer": nn.ReLU(), "gamma": 0.9,
        "parameter": parameter, "parameters": [parameter], "max_norm": 1.0,
        "optimizer": optim.SGD(model.parameters(), lr=0.1),
    }  # fmt: skip


REMEDIES = sorted(
    {
        code.split(", with rng")[0].split(" for a gradient")[0]
        for table in habits.TABLES.values()
        for remedy in table.values()
        for code in remedy.split(", or ")
        if not code.startswith(("scipy", "t as it is", "model as it is"))
    }
)


@pytest.mark.parametrize("remedy", REMEDIES)
def test_what_is_to_be_written_runs(remedy: str):
    code = remedy
    while code:
        try:
            compiled = compile(code, remedy, "exec")
            break
        except SyntaxError:  # a remark after a colon
            code = code.rpartition(": ")[0]
    assert code, f"no code in {remedy}"
    space = names()
    if code.startswith("rng."):
        space["rng"] = np.random.default_rng(0)
    if "F." in code:
        space["t"], space["u"] = tensor()[0], tensor()[1]
    exec(compiled, space)


def test_forward_without_a_return_is_told():
    class Forgetful(nn.Module):
        def forward(self, x: Any) -> Any:
            np.sin(x)

    class Model(nn.Module):
        def __init__(self) -> None:
            self.inner = Forgetful()

        def forward(self, x: Any) -> Any:
            return self.inner(x)

    with pytest.raises(TypeError, match=r"(?s)Forgetful.forward returned None.*inner"):
        Model()(1.0)


@pytest.mark.parametrize(
    ("home", "written", "meant"),
    [
        ("tinygrad_lab", "tensr", "tensor"), ("tinygrad_lab", "meen", "mean"),
        ("tinygrad_lab.nn", "Linaer", "Linear"), ("tinygrad_lab.nn.functional", "gellu", "gelu"),
        ("tinygrad_lab.optim", "Adma", "Adam"), ("tinygrad_lab.optim", "Adamw", "AdamW"),
        ("tinygrad_lab.optim", "Rmsprop", "RMSprop"),
    ],
)  # fmt: skip
def test_a_near_miss_says_what_is_near(home: str, written: str, meant: str):
    with pytest.raises(AttributeError, match=f"has no {written}; did you mean {meant}"):
        getattr(HOMES[home], written)


def test_what_lies_elsewhere_is_pointed_to():
    for name, home in (("Linear", "nn"), ("SGD", "optim"), ("gelu", "nn.functional")):
        with pytest.raises(AttributeError, match=f"say tinygrad_lab.{home}.{name}"):
            getattr(tl, name)


def test_what_probes_a_tensor_is_not_answered():
    t = tensor()
    for name in ("__array_interface__", "__dataframe__", "_repr_html_", "to_numpy", "__dlpack__"):
        assert not hasattr(t, name)
        assert not hasattr(tl, name)
    assert copy.deepcopy(t).shape == pickle.loads(pickle.dumps(t)).shape == (2, 3)


def test_the_page_has_every_row():
    page = habits.markdown()
    for table in habits.TABLES.values():
        assert all(f"| `{name}` |" in page for name in table)


def test_what_is_absent_of_data_is_answered_too():
    with pytest.raises(AttributeError, match="has no StackDataset: TensorDataset"):
        _ = tl.data.StackDataset


@pytest.mark.parametrize("name", ABSENT["nn"])
def test_what_is_absent_is_answered_with_what_to_do_without_it(name: str):
    with pytest.raises(AttributeError) as miss:
        getattr(nn, name)
    assert str(miss.value) == f"tinygrad_lab.nn has no {name}: {ABSENT['nn'][name]}"
