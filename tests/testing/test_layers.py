"""Layers and networks by hand, with at most three lines of glue: right ones pass, others fail."""

import types

import numpy as np
import pytest

from tests.testing import layer_styles as styles
from tests.testing.failures import failure
from tests.testing.layer_styles import STYLES, Affine, Linear, Network, Sigmoid, X, layer, weights
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.judging.arrays import bind


@pytest.mark.parametrize("style", STYLES)
def test_each_style_passes(style):
    glue, inputs = STYLES[style]
    report = tgt.gradcheck(glue(styles), *inputs)
    assert report.passed
    assert report.resolution < 1e-4


@pytest.mark.parametrize(
    ("style", "names"),
    [
        ("Affine", ["x", "W", "b"]),
        ("LeftOnSelf", ["inputs", "weights", "biases"]),
        ("Lists", ["x", "params[0]", "params[1]"]),
        ("Accumulated", ["X", "W", "b"]),
        ("Conv1d", ["x", "weight", "bias"]),
        ("Stepping", ["X", "W", "w0"]),
        ("TwoLayers", ["W1", "b1", "W2", "b2"]),
        ("two", ["x", "w1", "b1", "w2", "b2"]),
    ],
)
def test_parameters_are_named(style, names):
    glue, inputs = STYLES[style]
    subject = glue(styles).subject(bind(inputs, None, alone=False))
    assert list(subject.names) == names


@pytest.mark.parametrize("position", range(3))
def test_a_wrong_sign_is_found_in_each_gradient(position):
    error = failure(sign_flipped(layer(Affine), position), X)
    assert error.finding.input == position
    assert f"({'xWb'[position]}) is wrong" in str(error)


def sign_flipped(adapter, position):
    """Make the gradient by one input of an adapter wrong."""

    def subject(args):
        made = adapter.subject(args)
        recorded = made.recorded

        def wrong(inputs):
            call = recorded(inputs)
            pull = call.pull
            call.pull = lambda ups: [-g if i == position else g for i, g in enumerate(pull(ups))]
            return call

        made.recorded = wrong
        return made

    return type(adapter)(subject, adapter.__name__, adapter, adapter.has_parameters)


def variant(base, **methods):
    """Make a class that differs in some methods."""
    return type("Mine", (base,), methods)


# ---------------------------------------------------------------------------------------------
# Mistakes, each of which has a right twin among the styles


def test_a_gradient_that_is_not_there():
    def backward(self, dout):
        self.dW = self.x.T @ dout
        return dout @ self.W.T

    error = failure(layer(variant(Affine, backward=backward)), X)
    assert error.finding.kind == "count"
    assert "no gradient came back for b" in str(error)
    only_some = layer(variant(Affine, backward=backward), params=["W"])
    assert tgt.gradcheck(only_some, X).passed
    error = failure(layer(Affine, params={"W": "dV"}), X)
    assert "gradient by input 1 (W) is None" in str(error)


def test_a_gradient_of_another_shape():
    def backward(self, dout):
        self.dW, self.db = (self.x.T @ dout).T, dout.sum(axis=0)
        return dout @ self.W.T

    error = failure(layer(variant(Affine, backward=backward)), X)
    assert error.finding.kind == "shape"
    assert "(W)" in str(error)


def test_a_pass_back_that_returns_nothing():
    def backward(self, dout):
        dout * self.out * (1 - self.out)

    assert failure(layer(variant(Sigmoid, backward=backward)), X).finding.kind == "returns nothing"


def test_a_relu_that_writes_into_its_upstream():
    def backward(self, dout):
        dout[self.mask] = 0
        return dout

    error = failure(layer(variant(styles.Relu, backward=backward)), X)
    assert error.finding.kind == "mutates upstream"
    assert "dout[self.mask] = 0" in str(error)


def test_an_activation_that_two_layers_share():
    def init(self):
        act = styles.Tanh()
        self.layers = [Linear(3, 4, 0), act, Linear(4, 4, 1), act]

    error = failure(layer(variant(Network, __init__=init)), X)
    assert error.finding.kind == "wrong"


def test_an_activation_that_two_networks_share():
    act = styles.Tanh()

    def init(self):
        self.layers = [Linear(3, 4, 0), act]

    error = failure(layer(variant(Network, __init__=init)), X, properties="interleaved")
    assert error.finding.kind == "shared state"


def test_a_cache_on_the_class():
    class Shared:
        def forward(self, x):
            Shared.x = x
            return x * x

        def backward(self, dout):
            return 2 * Shared.x * dout

    assert failure(layer(Shared), X).finding.kind == "shared state"


class KeepsItsFirstMask:
    """A layer that works out once where it is positive."""

    def __init__(self):
        self.W, self.mask = np.ones((3, 2)), None

    def forward(self, x):
        self.x, z = x, x @ self.W
        self.mask = z > 0 if self.mask is None else self.mask
        return np.maximum(z, 0)

    def backward(self, d):
        d = d * self.mask
        self.dW = self.x.T @ d
        return d @ self.W.T


class ListsItsSteps:
    """A loop over time whose list of caches is never emptied."""

    def __init__(self):
        self.steps = []

    def forward(self, x):
        h = np.zeros(3)
        for each in x:
            self.steps.append(h)
            h = np.tanh(h + each)
        self.h = h
        return h

    def backward(self, d):
        dx, h = [], self.h
        for t in reversed(range(4)):
            d = d * (1 - h**2)
            dx.insert(0, d)
            h = self.steps[t]
        return np.stack(dx)


@pytest.mark.parametrize("make", [KeepsItsFirstMask, ListsItsSteps])
def test_what_is_kept_of_the_first_use_of_an_object(make):
    error = failure(layer(make), X[:4] / 4)
    assert [f.property for f in error.report.findings] == ["interleaved"]
    assert "is another one when the object has been used before" in str(error)


def test_gradients_that_add_up_are_no_mistake_and_worth_a_note():
    def backward(self, d):
        self.dW += self.x.T @ d
        return d @ self.W.T

    def init(self):
        self.W, self.dW = np.ones((3, 2)), np.zeros((3, 2))

    def forward(self, x):
        self.x = x
        return x @ self.W

    adds_up = variant(object, __init__=init, forward=forward, backward=backward)
    report = tgt.gradcheck(layer(adds_up), X)
    assert any("(W) is added to the one of the pass before" in note for note in report.notes)
    # one that can be told to forget is told so
    forgets = variant(adds_up, zero_grad=lambda self: self.dW.fill(0.0))
    assert not any("added to" in note for note in tgt.gradcheck(layer(forgets), X).notes)


def test_indices_are_passed_on_and_repeated_ones_are_added():
    class Embedding:
        def __init__(self):
            self.W = weights(5, 3)

        def forward(self, rows):
            self.rows = rows
            return self.W[rows]

        def backward(self, dout):
            self.dW = np.zeros_like(self.W)
            np.add.at(self.dW, self.rows, dout)

    rows = np.array([0, 1, 1])
    assert tgt.gradcheck(layer(Embedding), rows).passed

    def backward(self, dout):
        self.dW = np.zeros_like(self.W)
        self.dW[self.rows] += dout

    error = failure(layer(variant(Embedding, backward=backward)), rows)
    assert "(W)" in str(error)


# ---------------------------------------------------------------------------------------------
# Objects that exist, modules, options, methods by other names


def test_an_object_stays_as_it_was():
    one = Affine()
    before = {name: np.array(value) for name, value in vars(one).items()}
    assert tgt.gradcheck(layer(one), X).passed
    assert tgt.gradcheck(layer(lambda: one), X).passed
    assert vars(one).keys() == before.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(vars(one)[name], value)


SCRIPT = """
import numpy as np
W1, b1 = np.linspace(-1, 1, 6).reshape(3, 2), np.zeros((1, 2))
W2 = np.linspace(0.5, 1, 2).reshape(2, 1)
lr = 0.1

def forward(X):
    global A1
    A1 = np.tanh(X @ W1 + b1)
    return A1 @ W2

def backward(X, delta):
    global W1, b1, W2
    dZ1 = delta @ W2.T * (1 - A1 ** 2)
    W2 -= lr * (A1.T @ delta)
    W1 -= lr * (X.T @ dZ1)
    b1 = b1 - lr * dZ1.sum(axis=0, keepdims=True)
"""


def script(text):
    module = types.ModuleType("lab")
    exec(text, vars(module))
    return module


def test_a_script_with_its_parameters_in_global_variables():
    lab = script(SCRIPT)
    mine = layer(lab, backward=lambda lab, g, X: lab.backward(X, g), rate=0.1)
    assert tgt.gradcheck(mine, X).passed
    assert lab.W1[0, 0] == -1
    assert not hasattr(lab, "A1")
    wrong = script(SCRIPT.replace(" * (1 - A1 ** 2)", ""))
    mine = layer(wrong, backward=lambda lab, g, X: lab.backward(X, g), rate=0.1)
    error = failure(mine, X)
    assert "(W1)" in str(error) or "(b1)" in str(error)


def test_a_step_without_its_rate():
    def backward_pass(self, accum_grad):
        W = self.W
        self.W = self.W - self.layer_input.T.dot(accum_grad)
        self.w0 = self.w0_opt.update(self.w0, accum_grad.sum(axis=0, keepdims=True))
        return accum_grad.dot(W.T)

    error = failure(layer(variant(styles.Stepping, backward_pass=backward_pass)), X)
    assert "(W) is wrong" in str(error)
    assert "ratio 2.000" in str(error)


def test_options_and_modes():
    class Dropout:
        def forward(self, x, train=False):
            self.mask = (np.arange(x.size).reshape(x.shape) % 3 > 0) if train else np.ones(x.shape)
            return x * self.mask

        def backward(self, dout):
            return dout * self.mask

    assert tgt.gradcheck(layer(Dropout, options={"train": True}), X).passed
    assert tgt.gradcheck(layer(Dropout), X, True).passed
    np.testing.assert_array_equal(layer(Dropout, options={"train": True})(X)[0, 0], 0.0)


def test_several_inputs_and_outputs():
    class Gate:
        def forward(self, x, gate):
            self.x, self.gate = x, gate
            return x * gate, x + gate

        def backward(self, upstreams):
            product, total = upstreams
            return product * self.gate + total, product * self.x + total

    assert tgt.gradcheck(layer(Gate), X, X + 1).passed
    swapped = variant(Gate, backward=lambda self, g: Gate.backward(self, g)[::-1])
    assert failure(layer(swapped), X, X + 1).finding.kind == "wrong"


def test_methods_by_other_names():
    class Activation:
        def fn(self, z):
            return np.tanh(z)

        def grad(self, z):
            return 1 - np.tanh(z) ** 2

    assert tgt.gradcheck(layer(Activation, forward="fn"), X).passed
    by_hand = layer(Activation, forward="fn", backward=lambda act, g, z: g * act.grad(z))
    assert tgt.gradcheck(by_hand, X).passed


# ---------------------------------------------------------------------------------------------
# What cannot be used as it is


class NeedsArguments:
    """A class that is not made of nothing."""

    def __init__(self, W):
        self.W = W


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda: layer(NeedsArguments), "say adapters.layer(lambda: NeedsArguments(...))"),
        (
            lambda: layer(styles.affine_forward, backward=styles.affine_backward),
            "adapters.numpy(forward, backward, cache=True)",
        ),
        (lambda: layer(variant(Affine, backward=None)), "Mine has no backward pass"),
        (lambda: layer(Affine, backward="bak"), "Affine has no method bak"),
        (lambda: layer(Affine, params=["V"]), "params: V is None"),
        (lambda: layer(lambda: None), "make() returned None"),
        (lambda: layer(moving_at_an_unknown_rate), "moves W, and its rate is not known"),
    ],
)
def test_what_cannot_be_used_is_told_what_to_say(use, says):
    with pytest.raises(TypeError) as caught:
        tgt.gradcheck(use(), X)
    assert says in str(caught.value)


def moving_at_an_unknown_rate():
    def backward(self, dout):
        self.W -= 0.1 * self.x.T @ dout
        return dout @ self.W.T

    return variant(Affine, backward=backward)()


def test_numbers_that_are_drawn_anew_each_time():
    class Masked:
        def __init__(self):
            self.mask = np.random.default_rng().random(3)

        def forward(self, x):
            return x * self.mask

        def backward(self, dout):
            return dout * self.mask

    error = failure(layer(Masked), X)
    assert "other numbers in mask each time: seed it" in str(error)

    def init(self):
        self.W, self.b = np.random.default_rng().random((3, 2)), np.zeros(2)

    assert tgt.gradcheck(layer(variant(Affine, __init__=init)), X).passed


def test_errors_of_either_pass_are_told_with_their_line():
    error = failure(layer(variant(Affine, backward=lambda self, dout: dout @ self.W)), X)
    assert "the backward pass raised ValueError" in str(error)
    assert "test_layers.py" in str(error)
    error = failure(layer(variant(Affine, forward=lambda self, x: x @ np.ones((7, 7)))), X)
    assert "the function raised ValueError" in str(error)


# ---------------------------------------------------------------------------------------------
# Functions: losses with their gradients, steps in place, what is intended, names, calls


def test_steps_in_place_and_returned_ones():
    def loss(W, b):
        return np.sum(W * W) + np.sum(np.sin(b))

    def in_place(W, b):
        dW, db = 2 * W, np.cos(b)
        W -= 0.5 * dW
        b -= 0.5 * db

    def returned(W, b):
        return W - 0.5 * 2 * W, b - 0.5 * np.cos(b)

    for step in (in_place, returned):
        mine = tgt.adapters.numpy(loss, update=step, rate=0.5)
        assert tgt.gradcheck(mine, X, X[0]).passed
    slower = tgt.adapters.numpy(loss, update=in_place, rate=0.25)
    assert failure(slower, X, X[0]).finding.kind == "wrong"


def test_gradients_that_are_meant_to_be_those_of_another_function():
    straight_through = tgt.adapters.numpy(np.round, lambda g, x: 1.0 * g)
    assert not tgt.gradcheck(straight_through, X).passed
    assert tgt.gradcheck(straight_through, X, intended=lambda x: x).passed
    reversal = tgt.adapters.numpy(lambda x: 1.0 * x, lambda g, x: -0.5 * g, intended=-0.5)
    assert tgt.gradcheck(reversal, X).passed
    assert failure(straight_through, X, intended=lambda x: 2 * x).finding.kind == "wrong"
    error = failure(straight_through, X, intended=lambda x: x.sum())
    assert "intended= gives results of the shapes [()]" in str(error)


def test_inputs_are_called_by_the_names_that_are_given():
    doubled = tgt.adapters.numpy(lambda x, y: x * x * y.sum(), lambda g, x, y: (g * x, 0 * y))
    assert "at W2[" in str(failure(doubled, X, X, names=["W2", "b2"], wrt=0))
    with pytest.raises(ValueError, match="names= has 3, and there are 2 inputs"):
        tgt.gradcheck(doubled, X, X, names=["a", "b", "c"])


@pytest.mark.parametrize(
    "arguments", [{}, {"grad": np.cos, "vjp": np.cos}, {"loss_and_grads": np.cos, "f": np.sin}]
)
def test_one_way_to_say_a_gradient(arguments):
    with pytest.raises(TypeError, match="one of these"):
        tgt.adapters.numpy(**arguments)


def test_an_adapter_can_be_called():
    mine = layer(Affine)
    np.testing.assert_array_equal(mine(X), Affine().forward(X))
    cached = tgt.adapters.numpy(styles.affine_forward, styles.affine_backward, cache=True)
    out = cached(X, weights(3, 2), weights(2))
    np.testing.assert_array_equal(out, styles.affine_forward(X, weights(3, 2), weights(2))[0])


def test_an_adapter_is_an_operation_in_a_function_of_tensors():
    mine = layer(Sigmoid)
    assert tgt.gradcheck(lambda x: np.sin(mine(x)) * x, X).passed
    wrong = layer(variant(Sigmoid, backward=lambda self, dout: dout * self.out))
    assert failure(lambda x: np.sin(wrong(x)) * x, X).finding.blame.guilty.what == "Mine"
    assert tgt.check_op(mine, inputs=tgt.tensors(1), examples=5).passed


class Damped:
    """The logarithm with a small constant that its slope leaves out."""

    def forward(self, x):
        self.x = x
        return np.log(x + 1e-7)

    def backward(self, g):
        return g / self.x


def test_check_module_can_be_strict_and_tolerant():
    x = np.array([[0.5, 1.5], [2.0, 3.0]])
    with pytest.raises(tgt.GradientError, match="is wrong"):
        tgt.check_module(layer(Damped), x)
    report = tgt.check_module(layer(Damped), x, tolerance=1e-6)
    assert report.passed
    assert "tolerance=1e-06 was needed" in report.notes[0]
    transposed = tgt.adapters.numpy(np.transpose, lambda g, x: g.T)
    assert tgt.check_module(transposed, x).passed
    with pytest.raises(tgt.GradientError, match="shares its memory"):
        tgt.check_module(transposed, x, strict=True)
