"""What `graph(...).health()` says of networks with planted trouble, and of healthy ones."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.viz.conftest import make_case
from tinygrad_lab import nn
from tinygrad_lab.viz.health import examine, flat, report
from tinygrad_lab.viz.model import build

F = nn.functional
Built = tuple[Any, Any]  # a loss, and its model


def data(n: int = 32, scale: float = 1.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 8)) * scale, rng.integers(0, 3, n)


def mlp(activation: Callable[[], Any], hidden: int = 3, width: int = 16) -> nn.Sequential:
    """Hidden layers 0, 2, ... with their activations in between, and the last one for 3 classes."""
    layers: list[Any] = []
    for k in range(hidden):
        layers += [nn.Linear(8 if k == 0 else width, width, rng=k), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 3, rng=hidden))


def scaled(model: Any, factor: float) -> Any:
    for p in model.parameters():
        p.data = p.data * factor
    return model


def kaiming(model: Any, gain: float) -> Any:
    for k, p in enumerate(model.parameters()):
        spread = gain / np.sqrt(p.shape[-1]) if p.ndim > 1 else 0.0
        p.data = np.random.default_rng(k).normal(size=p.shape) * spread
    return model


def classified(model: Any, n: int = 32, scale: float = 1.0) -> Built:
    x, y = data(n, scale)
    return F.cross_entropy(model(x), y), model


def kinds(built: Built, **options: Any) -> list[str]:
    loss, model = built
    return [f.kind for f in flat(build(loss, model=model, examine=examine, **options).findings)]


# ---- planted trouble ----------------------------------------------------------------------------


def logarithm_of_zero() -> Built:
    model = mlp(nn.ReLU)
    probabilities = F.relu(model(data()[0]) - 0.1)
    with np.errstate(divide="ignore"):
        return -np.log(probabilities).mean(), model


def nan_in_the_data() -> Built:
    model, (x, y) = mlp(nn.ReLU), data()
    x[3, 2] = np.nan
    return F.cross_entropy(model(x), y), model


def root_of_zero() -> Built:
    model, (x, _) = mlp(nn.ReLU), data()
    gap = model(x) - model(x)
    return np.sqrt((gap * gap).sum()), model


def dead_layer() -> Built:
    model = mlp(nn.ReLU)
    model[2].bias.data = np.where(np.arange(16) < 12, -30.0, 0.0)
    return classified(model)


def dead_channels() -> Built:
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, rng=0), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 3, rng=1)
    )  # fmt: skip
    model[0].bias.data = np.where(np.arange(16) < 14, -30.0, 0.0)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(8, 1, 8, 8))
    return F.cross_entropy(model(images), rng.integers(0, 3, 8)), model


def saturated() -> Built:
    model = mlp(nn.Tanh)
    model[2].weight.data = model[2].weight.data * 100
    return classified(model)


def vanishing() -> Built:
    return classified(mlp(nn.Sigmoid, hidden=10))


def exploding() -> Built:
    return classified(kaiming(mlp(nn.ReLU, hidden=8), 5.0))


class Looped(nn.Module):
    """A recurrent network as a loop over steps, whose last state is classified."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.cell, self.head = nn.RNNCell(8, 16, rng=0), nn.Linear(16, 3, rng=1)
        self.cell.weight_hh.data = self.cell.weight_hh.data * factor

    def forward(self, x: Any) -> Any:
        h = np.zeros((len(x), 16))
        for _ in range(16):
            h = self.cell(x, h)
        return self.head(h)


def vanishing_through_time() -> Built:
    return classified(Looped(0.1))


def detached() -> Built:
    model, (x, y) = mlp(nn.ReLU), data()
    hidden = model[1](model[0](x))
    return F.cross_entropy(model[6](model[4](hidden) * hidden.detach()), y), model


def unused() -> Built:
    model = mlp(nn.ReLU)
    model.add_module("head", nn.Linear(3, 3, rng=9))
    x, y = data()
    return F.cross_entropy(nn.Sequential(*list(model)[:7])(x), y), model


def equal_units() -> Built:
    model = mlp(nn.Tanh)
    for layer in (model[2], model[4]):
        layer.weight.data = np.full_like(layer.weight.data, 0.1)
    return classified(model)


def large_inputs() -> Built:
    return classified(mlp(nn.Tanh), scale=1e3)


def same_for_all() -> Built:
    model, (x, y) = mlp(nn.Tanh), data()
    return F.cross_entropy(model[6](model[5](model[4](model[0](x) * 0.0))), y), model


#: By network: the first finding's kind, and words of where it is.
PLANTED = {
    logarithm_of_zero: ("not finite", "log, after 6: Linear(16→3)"),
    nan_in_the_data: ("not finite", "0: Linear(8→16)"),
    root_of_zero: ("not finite", "the gradient of sqrt"),
    dead_layer: ("dead", "3: ReLU, after 2: Linear(16→16)"),
    dead_channels: ("dead", "1: ReLU, after 0: Conv2d(1→16, k3)"),
    saturated: ("saturated", "3: Tanh, after 2: Linear(16→16)"),
    vanishing: ("vanishing", "from 20: Linear(16→3)"),
    exploding: ("exploding", "from 16: Linear(16→3)"),
    vanishing_through_time: ("vanishing", "through time in cell: RNNCell"),
    detached: ("detached", "multiply"),
    unused: ("unused", "head.weight, head.bias"),
    equal_units: ("symmetric", "weight"),
    large_inputs: ("unnormalised", "0: Linear(8→16)"),
    same_for_all: ("independent", "6: Linear(16→3)"),
}


@pytest.mark.parametrize("make", PLANTED, ids=lambda make: make.__name__)
def test_planted_trouble_is_named_with_its_origin(make):
    loss, model = make()
    findings = build(loss, model=model, gradients=False, examine=examine).findings
    text = report(findings, "loss", "no trouble found")
    kind, where = PLANTED[make]
    assert (findings[0].kind, where in findings[0].where) == (kind, True), text
    assert findings[0].remedy in " ".join(text.split())


# ---- healthy networks ---------------------------------------------------------------------------


class Residual(nn.Module):
    """Blocks with normalisation and a way around each."""

    def __init__(self, blocks: int = 8) -> None:
        super().__init__()
        self.inner = nn.ModuleList([nn.Linear(8, 8, rng=k) for k in range(blocks)])
        self.norms = nn.ModuleList([nn.LayerNorm(8) for _ in range(blocks)])
        self.head = nn.Linear(8, 3, rng=99)

    def forward(self, x: Any) -> Any:
        for inner, norm in zip(self.inner, self.norms, strict=True):
            x = x + F.relu(inner(norm(x)))
        return self.head(x)


def convolutional() -> Built:
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, rng=0), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, rng=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3, rng=2),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    images = rng.normal(size=(8, 1, 8, 8))
    return F.cross_entropy(model(images), rng.integers(0, 3, 8)), model


def lstm() -> Built:
    model = nn.LSTM(8, 16, rng=0)
    out = model(np.random.default_rng(0).normal(size=(20, 4, 8)))[0]
    return (out[-1] ** 2).mean(), model


def transformer() -> Built:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, rng=0)
    model, rng = nn.TransformerEncoder(layer, 3), np.random.default_rng(0)
    mask = np.where(np.tri(6, dtype=bool), 0.0, -np.inf)  # infinities that are meant
    x = rng.normal(size=(6, 4, 8))
    return F.mse_loss(model(x, mask=mask), rng.normal(size=(6, 4, 8))), model


def trained() -> Built:
    model, (x, _) = mlp(nn.ReLU, hidden=2), data(128)
    y = (x[:, 0] > 0) * 1 + (x[:, 1] > 0) * 1
    optimizer = tl.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return F.cross_entropy(model(x), y), model


def zero_last_layer() -> Built:
    """Begun with a last layer of 0, as residual networks are: it moves in the first step."""
    model = mlp(nn.ReLU)
    model[6].weight.data = model[6].weight.data * 0
    return classified(model)


HEALTHY: dict[str, Callable[[], Built]] = {
    "relu_2": lambda: classified(mlp(nn.ReLU, 2), 4),
    "relu_8": lambda: classified(kaiming(mlp(nn.ReLU, 8), 2**0.5)),
    "tanh_8": lambda: classified(mlp(nn.Tanh, 8), 256),
    "sigmoid_4": lambda: classified(mlp(nn.Sigmoid, 4)),
    "sigmoid_8": lambda: classified(kaiming(mlp(nn.Sigmoid, 8), 4.0)),
    "gelu_4": lambda: classified(mlp(nn.GELU, 4), 4),
    "convolutional": convolutional,
    "residual": lambda: classified(Residual()),
    "lstm": lstm,
    "loop": lambda: classified(Looped(1.0)),
    "transformer": transformer,
    "trained": trained,
    "zero_last_layer": zero_last_layer,
}


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_said_of_healthy_networks(name):
    loss, model = HEALTHY[name]()
    findings = build(loss, model=model, gradients=False, examine=examine).findings
    assert not findings, [str(finding) for finding in findings]


def test_the_picture_of_a_healthy_network_is_the_plain_one():
    plain = tl.viz.graph(*classified(Residual(2)))
    assert plain.health().source == plain.source
    assert plain.health().report().endswith(": no trouble found")


# ---- what causes what ---------------------------------------------------------------------------


def test_effects_stand_under_their_cause():
    loss, model = large_inputs()
    [cause] = tl.viz.graph(loss, model).health().findings
    assert [f.kind for f in cause.effects] == ["saturated"]
    loss, model = dead_layer()
    model[2].bias.data = np.full(16, -30.0)
    [cause] = tl.viz.graph(*classified(model)).health().findings
    assert (cause.kind, [f.kind for f in cause.effects]) == ("dead", ["independent", "no gradient"])


def test_after_a_nan_nothing_else_is_measured():
    model, (x, y) = scaled(mlp(nn.Sigmoid), 40.0), data()
    x[0, 0] = np.nan
    assert kinds((F.cross_entropy(model(x), y), model)) == ["not finite"]


def masked_scores() -> Any:
    q = nn.Linear(8, 8, rng=0)(data(6)[0])
    return np.where(np.tri(6, dtype=bool), q @ q.T, -np.inf)


def test_infinities_of_a_mask_are_not_where_it_starts():
    weights = F.softmax(masked_scores(), -1)
    with np.errstate(divide="ignore"):
        loss = np.log(weights).sum()  # of the weights that are 0
    [finding] = tl.viz.graph(loss).health().findings
    assert finding.where.startswith("log")


def test_a_softmax_of_nothing_is_where_nan_starts():
    scores = np.where(np.eye(6, dtype=bool)[::-1] & np.tri(6, dtype=bool), masked_scores(), -np.inf)
    with np.errstate(invalid="ignore"):
        loss = F.softmax(scores, -1).sum()
    [finding] = tl.viz.graph(loss).health().findings
    assert finding.where.startswith("softmax") and "−∞ has no softmax" in finding.remedy


def test_a_layer_whose_result_was_detached_is_unused_for_that_reason():
    model, (x, y) = mlp(nn.ReLU), data()
    h = model[3](model[2](model[1](model[0](x)))).detach()
    [cause] = tl.viz.graph(F.cross_entropy(model[6](model[4](h)), y), model).health().findings
    assert cause.kind == "detached" and "as 2 gives" in cause.text.replace("many ", "")
    assert [f.where for f in cause.effects] == ["0.weight, 0.bias", "2.weight, 2.bias"]


def test_a_loss_that_is_computed_anew_tells_cut_off_from_unused():
    model, (x, y) = mlp(nn.ReLU), data()
    model.add_module("aux", nn.Linear(3, 3, rng=9))

    def loss() -> Any:
        h = model[1](model[0](x)).detach()
        return F.cross_entropy(model[6](model[4](h)), y)

    before = model[0].weight.data.copy()
    findings = tl.viz.graph(loss(), model).health(again=loss).findings
    where = {f.where: f.kind for f in flat(findings) if not f.spots}
    assert where == {
        "0.weight, 0.bias": "detached", "2.weight, 2.bias": "unused",
        "aux.weight, aux.bias": "unused",
    }  # fmt: skip
    assert np.array_equal(model[0].weight.data, before)


def test_a_parameter_used_without_its_history():
    model, (x, y) = mlp(nn.ReLU), data()
    h = np.tanh(model[0](x) @ model[2].weight.data.T)
    [cause] = tl.viz.graph(F.cross_entropy(model[6](h), y), model).health().findings[:1]
    assert (cause.kind, "numbers of 2.weight" in cause.text) == ("detached", True)


# ---- where it is shown --------------------------------------------------------------------------


def test_marks_are_where_it_begins_and_nowhere_else():
    examined = tl.viz.graph(*logarithm_of_zero()).health()
    assert not examined.ok
    marked = {box.title: box.marks for box in examined.model.boxes if box.marks or box.trouble}
    assert marked == {"log": ("✗ Inf starts here",)}
    assert "<B>✗ Inf starts here</B>" in examined.source
    assert "✗ Inf starts here" in str(examined)


def test_what_has_no_box_stands_under_the_picture():
    examined = tl.viz.graph(*unused()).health()
    assert "∅ unused: head.weight, head.bias" in examined.source
    assert str(examined).splitlines()[-1] == "∅ unused: head.weight, head.bias"


def test_marks_of_layers_that_are_one_box():
    examined = tl.viz.graph(*dead_layer(), detail="modules").health()
    assert [b.path for b in examined.model.boxes if b.marks == ("◌ dead 75 %",)] == ["3"]


def test_marks_of_a_folded_loop():
    examined = tl.viz.graph(*vanishing_through_time(), fold=True).health()
    marks = [mark for box in examined.model.boxes for mark in box.marks]
    assert marks == ["▽ vanishing through time"]


def test_marks_say_in_which_copy():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, rng=0)
    model, x = nn.TransformerEncoder(layer, 4), np.random.default_rng(0).normal(size=(6, 4, 8))
    model.layers[2].linear1.bias.data = np.full(16, -60.0)
    examined = tl.viz.graph((model(x) ** 3).mean(), model, fold=True).health()
    marks = {box.title: box.marks for box in examined.model.boxes if box.marks}
    assert marks["relu"] == ("◌ dead 100 % in no. 3 of 4",)
    assert "layers.2" in examined.findings[0].where


def test_the_plain_picture_and_grad_are_left_alone():
    loss, model = dead_layer()
    plain = tl.viz.graph(loss, model)
    before = plain.source
    plain.health()
    assert plain.source == before
    assert all(p.grad is None for p in model.parameters())
    loss.backward()


# ---- what can be handed in ----------------------------------------------------------------------


def test_without_a_model_and_without_gradients_in_the_picture():
    loss, _ = logarithm_of_zero()
    assert kinds((loss, None), gradients=False) == ["not finite"]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_samples(n):
    model = mlp(nn.ReLU)
    x = np.random.default_rng(0).normal(size=(n, 8))
    assert kinds(((model(x) ** 2).sum(), model)) == []


def test_modules_of_other_makes():
    case = make_case(2, 8, 8, 8, 8, 8, 8, 8, 8, 8, 1)
    for layer in case.model.layers:
        layer.weight.data = layer.weight.data * 0.1
    loss = case.model(case.names["x"]).sum()
    [finding] = tl.viz.graph(loss, case.model).health().findings
    assert (finding.kind, finding.where) == ("vanishing", "from fc10: Linear(8→1)")


def test_numbers_of_other_kinds():
    z = tl.tensor(np.array([1 + 2j, 3 - 1j]), requires_grad=True)
    assert kinds(((z * z.conj()).real.sum(), None)) == []
    x = tl.tensor(np.float32([1.0, 2.0]), requires_grad=True)
    assert kinds(((x * x).sum(), None)) == []


def test_operations_with_several_results():
    w = tl.tensor(np.random.default_rng(0).normal(size=(3, 3)), requires_grad=True)
    assert kinds((np.linalg.svd(w)[1].sum() + np.split(w, 3)[1].sum(), None)) == []


def test_nothing_was_computed():
    w = tl.tensor([1.0, 2.0], requires_grad=True)
    assert kinds((w, None)) == []


def test_a_graph_that_was_freed_meanwhile():
    loss, model = classified(mlp(nn.ReLU))
    plain = tl.viz.graph(loss, model)
    loss.backward()
    with pytest.raises(ValueError, match=r"freed by backward"):
        plain.health()


def test_a_picture_from_another_process():
    plain = tl.viz.graph(*classified(mlp(nn.ReLU)))
    again = pickle.loads(pickle.dumps(plain))
    with pytest.raises(RuntimeError, match="another process"):
        again.health()
    examined = pickle.loads(pickle.dumps(plain.health()))
    assert examined.ok and examined.report().endswith("no trouble found")
