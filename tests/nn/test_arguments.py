"""The functions of ``nn`` take for an array what NumPy's own functions take, in every position."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.nn.cases import every_case
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as fn

IMAGES = np.arange(16.0).reshape(1, 1, 4, 4)
ROW, TARGET = np.array([[0.25, 0.5], [0.75, 0.125]]), np.array([[0.0, 1.0], [1.0, 0.0]])
LABELS = np.array([0, 1])
#: A call of each function with all its array arguments, by name.
CALLS: dict[str, dict[str, Any]] = {
    "avg_pool2d": {"input": IMAGES, "kernel_size": 2},
    "batch_norm": {
        "input": ROW, "running_mean": ROW[0], "running_var": ROW[1], "weight": ROW[0],
        "bias": ROW[1],
    },
    "binary_cross_entropy": {"input": ROW, "target": TARGET, "weight": ROW},
    "binary_cross_entropy_with_logits": {
        "input": ROW, "target": TARGET, "weight": ROW, "pos_weight": ROW[0],
    },
    "conv2d": {"input": IMAGES, "weight": np.ones((2, 1, 2, 2)), "bias": ROW[0]},
    "cross_entropy": {"input": ROW, "target": LABELS, "weight": ROW[0]},
    "alpha_dropout": {"input": ROW, "training": True, "rng": 0},
    "dropout": {"input": ROW, "rng": 0},
    "gumbel_softmax": {"logits": ROW, "rng": 0},
    "leaky_relu": {"input": ROW, "negative_slope": ROW},
    "dropout1d": {"input": ROW, "rng": 0},
    "dropout2d": {"input": IMAGES, "rng": 0},
    "dropout3d": {"input": IMAGES, "rng": 0},
    "feature_alpha_dropout": {"input": ROW, "training": True, "rng": 0},
    "instance_norm": {
        "input": ROW[None], "running_mean": ROW[0], "running_var": ROW[1], "weight": ROW[0],
        "bias": ROW[1], "use_input_stats": False,
    },
    "cosine_embedding_loss": {"input1": ROW, "input2": TARGET, "target": np.array([1, -1])},
    "huber_loss": {"input": ROW, "target": TARGET, "weight": ROW},
    "l1_loss": {"input": ROW, "target": TARGET, "weight": ROW},
    "linear": {"input": ROW, "weight": TARGET, "bias": ROW[0]},
    "max_pool2d": {"input": IMAGES, "kernel_size": 2},
    "mse_loss": {"input": ROW, "target": TARGET, "weight": ROW},
    "multi_margin_loss": {"input": ROW, "target": LABELS, "weight": ROW[0]},
    "multilabel_soft_margin_loss": {"input": ROW, "target": TARGET, "weight": ROW[0]},
    "nll_loss": {"input": -ROW, "target": LABELS, "weight": ROW[0]},
    "running_statistics": {"input": ROW, "running_mean": ROW[0], "running_var": ROW[1]},
}  # fmt: skip
#: And of each other one the case with the most inputs, under their names.
CALLS = {
    case.name: dict(
        zip(inspect.signature(getattr(fn, case.name)).parameters, case.inputs, strict=False)
    )
    | case.options
    for case in sorted(every_case(), key=lambda case: len(case.inputs))
    if not case.is_layer
} | CALLS
CALLS |= {
    name: {next(iter(inspect.signature(getattr(fn, name)).parameters)): ROW}
    for name in fn.__all__
    if name not in CALLS
}
PLACES = [
    (name, place)
    for name in fn.__all__
    if name != "running_statistics"  # a pair
    for place, value in CALLS[name].items()
    if isinstance(value, np.ndarray)
]
each_place = pytest.mark.parametrize(("name", "place"), PLACES)

FORMS: dict[str, Any] = {
    "list": lambda x: x.tolist(),
    "tuples": lambda x: tuple(map(tuple, x)) if x.ndim == 2 else tuple(x.tolist()),
    "list of arrays": list,
    "list of tensors": lambda x: [tl.tensor(row) for row in x],
    "reversed twice": lambda x: x[::-1].copy()[::-1],
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "tensor": tl.tensor,
}


def test_every_array_argument_is_tried():
    for name, call in CALLS.items():
        parameters = inspect.signature(getattr(fn, name)).parameters.values()
        of_arrays = {p.name for p in parameters if "Array" in str(p.annotation)}
        assert of_arrays <= call.keys() or name in ("sigmoid", "tanh")


@each_place
@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_array_becomes_one(name: str, place: str, form: str):
    f, call = getattr(fn, name), CALLS[name]
    expected = np.asarray(f(**call))
    others = {key: value for key, value in call.items() if key != place}
    given = FORMS[form](call[place])
    y = f(**others, **{place: given})
    np.testing.assert_array_equal(y.data if isinstance(y, tl.Tensor) else y, expected)
    # And beside something tracked:
    for tracked in others:
        if isinstance(others[tracked], np.ndarray) and others[tracked].dtype.kind == "f":
            t = tl.tensor(others[tracked], requires_grad=True)
            y = f(**{**others, place: given, tracked: t})
            plain = f(**{**call, tracked: t})
            np.testing.assert_array_equal(
                tl.gradients(y.sum(), t), tl.gradients(plain.sum(), t), err_msg=tracked
            )


@each_place
def test_arrays_of_another_arithmetic_are_refused(name: str, place: str):
    if name in ("sigmoid", "tanh"):
        pytest.skip("NumPy's functions alone: they keep the arithmetic")
    call = dict(CALLS[name])
    call[place] = np.ma.masked_array(call[place])
    with pytest.raises(TypeError, match="filled"):
        getattr(fn, name)(**call)


@pytest.mark.parametrize(
    "name",
    ["elu", "gelu", "leaky_relu", "logsumexp", "relu", "sigmoid", "silu", "softplus", "tanh"],
)
@pytest.mark.parametrize("number", [2, -2.0, np.float32(2.0)])
def test_numbers(name: str, number: Any):
    f = getattr(fn, name)
    np.testing.assert_array_equal(f(number), f(np.asarray(number)))


WORDED = [
    lambda t, **how: fn.softmax(t, **how),
    lambda t, **how: t.log_softmax(**how),
    lambda t, **how: nn.Softmax(**how)(t),
    lambda t, **how: nn.LogSoftmax(**how)(t),
    lambda t, keepdim=False, **how: fn.logsumexp(t, **how, keepdim=keepdim),
]


@pytest.mark.parametrize("call", WORDED)
def test_words_of_numpy_and_of_pytorch_are_the_same(call: Any):
    t = tl.tensor(ROW, requires_grad=True)
    for dim in (0, 1):
        np.testing.assert_array_equal(call(t, axis=dim).data, call(t, dim=dim).data)


@pytest.mark.parametrize("wrap", [np.asarray, tl.tensor])
def test_words_for_the_array_and_for_kept_axes(wrap: Any):
    t = wrap(ROW)
    assert fn.logsumexp(x=t, axis=0, keepdims=True).shape == (1, 2)
    for f in (fn.relu, fn.sigmoid, fn.tanh, fn.gelu, fn.softmax):
        np.testing.assert_array_equal(np.asarray(f(x=t) == f(input=t)), True)
    assert tl.jit(lambda t: fn.relu(x=t).sum())(t).item() == 1.625
    assert tl.vmap(lambda row: fn.softmax(x=row, axis=0))(t).shape == (2, 2)


def test_an_argument_by_both_its_names():
    with pytest.raises(TypeError, match="two of these are one argument"):
        fn.softmax(ROW, axis=0, dim=0)
    with pytest.raises(TypeError, match="two of these are one argument"):
        nn.Softmax(axis=0, dim=0)
    with pytest.raises(TypeError, match="two values for input"):
        fn.relu(tl.tensor(ROW), x=tl.tensor(ROW))


def test_options_of_losses_go_by_name():
    with pytest.raises(TypeError, match=r"2 arguments by their position, not 3.*reduction="):
        fn.mse_loss(ROW, TARGET, "sum")


def test_losses_of_numbers():
    assert fn.mse_loss(2.0, 3) == 1
    assert fn.mse_loss(tl.tensor(np.float32(2.0)), 3.0).dtype == np.float32
    assert fn.cross_entropy([0.0, 0.0], 1) == fn.cross_entropy(np.zeros(2), np.array(1))
    assert fn.binary_cross_entropy(0.5, 1.0) == fn.binary_cross_entropy([0.5], [1])
    x = np.zeros((2, 1), np.float32)
    assert fn.binary_cross_entropy_with_logits(x, x, pos_weight=2.0).dtype == np.float32
