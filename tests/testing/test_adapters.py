"""Functions of other libraries, and hand-written backprop with the mistakes people make."""

import numpy as np
import pytest

from tests.testing.failures import failure
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.adapters import Adapter
from tinygrad_lab.testing.judging.arrays import Arguments

rng = np.random.default_rng(0)
X, Y = rng.uniform(size=(2, 12)), rng.integers(0, 2, (1, 12)).astype(float)
PARAMETERS = [rng.normal(size=s) for s in [(4, 2), (4, 1), (4, 4), (4, 1), (1, 4), (1, 1)]]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss(W1, b1, W2, b2, W3, b3):
    Z1 = W1 @ X + b1
    A1 = sigmoid(Z1)
    Z2 = W2 @ A1 + b2
    A2 = sigmoid(Z2)
    Z3 = W3 @ A2 + b3
    A3 = sigmoid(Z3)
    return np.mean((A3 - Y) ** 2)


def watched(last):
    """A report's derivation; `last` is its dZ3."""

    def step(W1, b1, W2, b2, W3, b3):
        n = X.shape[1]
        A1 = sigmoid(W1 @ X + b1)
        A2 = sigmoid(W2 @ A1 + b2)
        A3 = sigmoid(W3 @ A2 + b3)
        dZ3 = last(A3, n)
        dW3 = dZ3 @ A2.T
        db3 = dZ3.sum(axis=1, keepdims=True)
        dZ2 = (W3.T @ dZ3) * A2 * (1 - A2)
        dW2 = dZ2 @ A1.T
        db2 = dZ2.sum(axis=1, keepdims=True)
        dZ1 = (W2.T @ dZ2) * A1 * (1 - A1)
        return dZ1 @ X.T, dZ1.sum(axis=1, keepdims=True), dW2, db2, dW3, db3

    return tgt.adapters.numpy(loss, grad=step)


def right(A3, n):
    return 2 * (A3 - Y) * A3 * (1 - A3) / n


def without_sigmoid(A3, n):
    return 2 * (A3 - Y) / n


def test_a_right_step_passes():
    report = tgt.gradcheck(watched(right), *PARAMETERS)
    assert report.passed
    assert report.resolution < 1e-5  # in any element


def test_the_missing_sigmoid_derivative_is_found_with_its_line_and_factor():
    text = str(failure(watched(without_sigmoid), *PARAMETERS))
    assert "first wrong line: test_adapters.py" in text
    assert "return 2 * (A3 - Y) / n" in text
    assert "the factor A3 * (1 - A3) is missing" in text


def test_a_wrong_constant_is_told_by_the_ratio():
    text = str(failure(watched(lambda A3, n: right(A3, n) * n), *PARAMETERS))
    assert "watched(lambda A3, n: right(A3, n) * n)" in text
    assert "not divided by 12, the number of" in text


def test_a_vjp_and_the_constants_beside_it():
    def scaled(x, factor):
        return np.sin(x) * factor

    good = tgt.adapters.numpy(scaled, lambda g, x, factor: g * np.cos(x) * factor)
    assert tgt.gradcheck(good, np.array([0.5, 1.0]), 3).passed
    bad = tgt.adapters.numpy(scaled, lambda g, x, factor: g * np.cos(x))
    assert "ratio 0.333" in str(failure(bad, np.array([0.5, 1.0]), 3))


def test_several_outputs():
    f = lambda x: (np.sin(x), x * x)
    good = tgt.adapters.numpy(f, lambda g, x: g[0] * np.cos(x) + g[1] * 2 * x)
    assert tgt.gradcheck(good, np.array([0.5, 1.0])).passed
    bad = tgt.adapters.numpy(f, lambda g, x: g[0] * np.cos(x))
    assert failure(bad, np.array([0.5, 1.0])).finding.kind == "wrong"


def test_complex_numbers():
    z, x = np.array([0.5 - 1j, 2 + 0.25j]), np.array([1.5, -1.0])
    f = lambda z, x: (z * z * x, np.abs(z))

    def backward(g, z, x):
        along, radial = g
        return np.conj(2 * z * x) * along + radial * z / np.abs(z), np.real(np.conj(z * z) * along)

    assert tgt.gradcheck(tgt.adapters.numpy(f, backward), z, x).passed
    unconjugated = lambda g, z, x: (2 * z * x * g[0] + g[1] * z / np.abs(z), backward(g, z, x)[1])
    assert failure(tgt.adapters.numpy(f, unconjugated), z, x).finding.input == 0
    size = tgt.adapters.numpy(lambda z: np.sum(np.abs(z) ** 2), grad=lambda z: 2 * z)
    assert tgt.gradcheck(size, z).passed
    not_real = tgt.adapters.numpy(lambda z: np.sum(z), grad=np.ones_like)
    assert failure(not_real, z).finding.kind == "not a number"


@pytest.mark.parametrize(
    ("vjp", "kind"),
    [
        (lambda g, a, b: None, "returns nothing"),
        (lambda g, a, b: (g * b,), "count"),
        (lambda g, a, b: (g * b, None), "missing"),
        (lambda g, a, b: (g * b, "no"), "not float"),
        (lambda g, a, b: (g * b, (g * a)[:1]), "shape"),
        (lambda g, a, b: (1 / 0, g), "raises"),
        (lambda g, a, b: (g.__imul__(b), g * a), "mutates upstream"),
        (lambda g, a, b: (np.random.default_rng().random(a.shape) * b, g * a), "not repeatable"),
    ],
)
def test_what_is_no_gradient_is_named_for_what_it_is(vjp, kind):
    error = failure(tgt.adapters.numpy(np.multiply, vjp), np.ones(3), np.full(3, 2.0))
    assert kind in [finding.kind for finding in error.report.findings]


def test_the_upstream_for_two_gradients():
    shared = tgt.adapters.numpy(np.add, lambda g, a, b: (g, g))
    report = tgt.gradcheck(shared, np.ones(3), np.ones(3))
    assert report.passed
    assert "shares its memory with the upstream" in report.notes[0]
    strictly = failure(shared, np.ones(3), np.ones(3), strict=True)
    assert strictly.finding.kind == "aliasing"


@pytest.mark.parametrize(
    ("both", "kinds"),
    [
        (lambda d: (d, d), ["aliasing"]),
        (lambda d: (d[...], d.reshape(-1)), ["aliasing"]),
        (lambda d: (d, d[::-1][::-1]), ["aliasing"]),
        (lambda d: np.split(np.concatenate([d, d]), 2), []),  # one array, but none of it twice
        (lambda d: (d, d.copy()), []),
        (lambda d: (d, 1.0 * d), []),
    ],
)
def test_one_buffer_for_two_gradients(both, kinds):
    """What adds to one of them in place adds to both."""
    shared = tgt.adapters.numpy(np.add, lambda g, a, b: both(g.copy()))
    report = tgt.gradcheck(shared, np.ones(3), np.ones(3), raises=False)
    assert [finding.kind for finding in report.findings] == kinds
    if kinds:
        assert "shares its memory with the gradient by input 0" in str(report)


# ---------------------------------------------------------------------------------------------
# Other libraries

POINT = np.array([[0.5, 1.0], [-1.0, 2.0]])


class Library:
    """One of the libraries, the same in what the tests need of it."""

    def __init__(self, name, m):
        self.name, self.m = name, m
        self.adapt = getattr(tgt.adapters, name)


@pytest.fixture(
    params=[
        pytest.param((name, module), id=name, marks=pytest.mark.oracle)
        for name, module in [
            ("torch", "torch"), ("jax", "jax.numpy"), ("autograd", "autograd.numpy"),
        ]
    ]
)  # fmt: skip
def library(request):
    name, module = request.param
    return Library(name, pytest.importorskip(module))


def tanh_with(library, slope):
    """Make an operation of a library, tanh, with a backward pass of ours: g * slope(y)."""
    if library.name == "torch":
        import torch

        class Tanh(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                y = torch.tanh(x)
                ctx.save_for_backward(y)
                return y

            @staticmethod
            def backward(ctx, g):
                return g * slope(*ctx.saved_tensors)

        return Tanh.apply
    if library.name == "jax":
        import jax

        tanh = jax.custom_vjp(library.m.tanh)
        tanh.defvjp(lambda x: 2 * (library.m.tanh(x),), lambda y, g: (g * slope(y),))
        return tanh
    from autograd.extend import defvjp, primitive

    tanh = primitive(lambda x: np.tanh(x))
    defvjp(tanh, lambda y, x: lambda g: g * slope(y))
    return tanh


def constant(library, y):
    """Take a value out of what is differentiated."""
    if library.name == "torch":
        return y.detach()
    if library.name == "jax":
        import jax

        return jax.lax.stop_gradient(y)
    from autograd.tracer import getval

    return getval(y)


@pytest.mark.parametrize(
    "f",
    [
        lambda m, x, mask, k: m.tanh(x) @ x,
        lambda m, x, mask, k: m.log(m.exp(x).sum(-1)),
        lambda m, x, mask, k: m.where(mask, x**k, 0 * x),
        lambda m, x, mask, k: (m.sin(x), x * x),
        lambda m, x, mask, k: [m.exp(x), [x.sum(), (x[0] * k,)]],
        lambda m, x, mask, k: {"outer": x[:, None] * x, "sum": x.sum()},
        lambda m, x, mask, k: (m.sin(x), [x.argmax(), x > 0, None]),
    ],
    ids=["matmul", "logsumexp", "mask", "tuple", "nested", "dict", "indices beside"],
)
def test_what_is_right_passes_with_masks_and_integers_beside_it(library, f):
    adapted = library.adapt(lambda x, mask, k: f(library.m, x, mask, k))
    report = tgt.gradcheck(adapted, POINT, POINT > 0, 3)
    assert report.passed
    assert report.resolution < 1e-7


def test_complex_numbers_of_other_libraries(library):
    z = np.array([0.5 - 1j, 2 + 0.25j])
    m = library.m
    holomorphic = library.adapt(lambda z, x: (m.exp(z) * x, m.abs(z)))
    assert tgt.gradcheck(holomorphic, z, POINT[0]).passed
    cut_off = library.adapt(lambda z: z * constant(library, z))
    assert failure(cut_off, z).finding.kind == "wrong"


@pytest.mark.parametrize(
    ("f", "kind"),
    [
        (lambda m, x: None, "returns nothing"),
        (lambda m, x: [], "returns nothing"),
        (lambda m, x: 3, "not float"),
        (lambda m, x: "text", "not float"),
        (lambda m, x: x > 0, "not float"),
        (lambda m, x: (x, ["text"]), "not float"),
        (lambda m, x: 1 / 0, "raises"),
        (lambda m, x: x * np.random.default_rng().random(), "global state"),
    ],
)
def test_what_has_no_gradient_is_named_for_what_it_is(library, f, kind):
    assert failure(library.adapt(lambda x: f(library.m, x)), POINT).finding.kind == kind


def test_a_wrong_backward_pass_is_found_within_a_function(library):
    right = tanh_with(library, lambda y: 1 - y * y)
    assert tgt.gradcheck(library.adapt(lambda x: right(x) @ x), POINT).passed
    wrong = tanh_with(library, lambda y: 1 + y * y)
    error = failure(library.adapt(lambda x: wrong(x) @ x), POINT)
    assert error.finding.kind == "wrong"
    assert error.finding.input == 0


def test_what_is_cut_off_is_found(library):
    error = failure(library.adapt(lambda x: constant(library, x) * 2), POINT)
    assert error.finding.kind == "untracked" or "zero everywhere" in str(error)


def test_arrays_that_are_read_only_or_of_stride_zero(library):
    thin = np.broadcast_to(np.array([[0.5], [1.5]]), (2, 3))
    subject = library.adapt(lambda x, w: library.m.sin(x) * w).subject(
        Arguments((thin, thin), (0,))
    )
    for x in (thin, np.array(thin)[:, ::-1]):
        [y] = subject.evaluate([x]).outputs
        recorded = subject.record([x])
        np.testing.assert_array_equal(recorded.outputs[0], y)
        np.testing.assert_allclose(y, np.sin(x) * thin, rtol=1e-15)
        [g] = recorded.pull([thin])
        np.testing.assert_allclose(g, np.cos(x) * thin * thin, rtol=1e-14)


def test_float32_stays_float32(library):
    narrow = POINT.astype(np.float32)
    subject = library.adapt(lambda x: library.m.tanh(x) * 2).subject(Arguments((narrow,), (0,)))
    recorded = subject.record([narrow])
    assert recorded.outputs[0].dtype == subject.evaluate([narrow]).outputs[0].dtype == np.float32
    assert recorded.pull([narrow])[0].dtype == np.float32
    assert subject.record([POINT]).outputs[0].dtype == np.float64


# ---------------------------------------------------------------------------------------------
# Second order: the subject of the gradient, which the library differentiates


def derivative_of(adapted, *arrays):
    subject = adapted.subject(Arguments(arrays, tuple(range(len(arrays)))))
    return Adapter(subject.derivative, subject.name)


def test_the_derivative_of_a_gradient_is_right(library):
    m = library.m
    adapted = library.adapt(lambda x, w: (m.tanh(x) @ w, x * w * w))
    nested = derivative_of(adapted, POINT, POINT + 1)
    assert tgt.gradcheck(nested, POINT, POINT + 1, POINT, POINT - 0.5).passed


def test_a_gradient_knows_its_inputs_by_name(library):
    adapted = library.adapt(lambda x: library.m.tanh(x), name="mine")
    subject = adapted.subject(Arguments((POINT,), (0,))).derivative(
        Arguments((POINT, POINT), (0, 1))
    )
    assert subject.name == "the gradient of mine"
    assert subject.names == ["x", "upstream 0"]
    y = np.tanh(POINT)
    by_x, by_upstream = subject.record([POINT, POINT]).pull([np.ones_like(POINT)])
    np.testing.assert_allclose(by_x, -2 * POINT * y * (1 - y * y), rtol=1e-12)
    np.testing.assert_allclose(by_upstream, 1 - y * y, rtol=1e-12)


def test_the_third_order(library):
    adapted = library.adapt(lambda x: library.m.sin(x) * x)
    once = adapted.subject(Arguments((POINT,), (0,))).derivative(Arguments((POINT, POINT), (0, 1)))
    twice = Adapter(once.derivative, "twice")
    assert tgt.gradcheck(twice, POINT, POINT, POINT - 3).passed
    assert "takes 2 inputs and 1 upstreams" in str(failure(twice, POINT, POINT, POINT, POINT))


def test_a_rule_that_is_wrong_at_second_order_only(library):
    fixed = tanh_with(library, lambda y: constant(library, 1 - y * y))
    adapted = library.adapt(lambda x: fixed(x), name="fixed")
    assert tgt.gradcheck(adapted, POINT).passed
    error = failure(derivative_of(adapted, POINT), POINT, POINT)
    assert "the gradient of fixed" in str(error)
    assert error.finding.input == 0


def test_gradcheck_of_order_two_finds_it(library):
    right = library.adapt(tanh_with(library, lambda y: 1 - y * y), name="right")
    report = tgt.gradcheck(right, POINT, order=2)
    assert "second_order" in [r.property for r in report.results if r.verdict == "pass"]
    fixed = tanh_with(library, lambda y: constant(library, 1 - y * y))
    error = failure(library.adapt(fixed, name="fixed"), POINT, order=2)
    assert error.finding.property == "second_order"


# ---------------------------------------------------------------------------------------------
# What only one of them has


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def function_of(torch, back, name="Scaled"):
    """Make an operation of PyTorch, 2 a, with some backward pass."""

    def forward(ctx, a):
        return a * 2

    methods = {"forward": staticmethod(forward), "backward": staticmethod(back)}
    return type(name, (torch.autograd.Function,), methods).apply


@pytest.mark.oracle
def test_torch_function_is_called_by_its_class(torch):
    error = failure(tgt.adapters.torch(function_of(torch, lambda ctx, g: g * 3)), POINT)
    assert str(error).startswith("Scaled, gradient by input 0 (a) is wrong")
    assert "ratio 1.500" in str(error)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("back", "kind"),
    [
        (lambda ctx, g: g.mul_(2), "mutates upstream"),
        (lambda ctx, g: g.abs() * 2, "nonlinear"),
        (lambda ctx, g: (g * 2)[:1], "raises"),
        (lambda ctx, g: None, "wrong"),
        (lambda ctx, g: g.reshape(-1).as_strided(g.shape, (1, g.shape[0])) * 2, "wrong"),
        (lambda ctx, g: 2 * g.as_strided(g.shape, (g.shape[1], 1)), "layout"),
    ],
    ids=["in place", "abs", "shape", "none", "transposed", "layout"],
)
def test_torch_backward_passes(torch, back, kind):
    assert failure(tgt.adapters.torch(function_of(torch, back)), POINT).finding.kind == kind


@pytest.mark.oracle
@pytest.mark.parametrize(
    "f", [lambda w, x: x.mul_(w), lambda w, x: x.data.mul_(3) * w, lambda w, x: x[0].zero_() * w]
)
def test_torch_inputs_that_are_written_into(torch, f):
    error = failure(tgt.adapters.torch(f), POINT, POINT)
    assert error.finding.kind == "mutates input"
    assert "writes into input 1 (x)" in str(error)


@pytest.mark.oracle
def test_torch_in_place_on_what_is_its_own(torch):
    def f(x):
        y = torch.sin(x)
        y += 1
        return y * y

    assert tgt.gradcheck(tgt.adapters.torch(f), POINT).passed


@pytest.mark.oracle
def test_torch_in_place_on_what_the_way_back_needs(torch):
    def f(x):
        y = torch.tanh(x)
        y.mul_(2)
        return y

    error = failure(tgt.adapters.torch(f), POINT)
    assert error.finding.kind == "raises"
    assert "modified by an inplace operation" in str(error)


@pytest.mark.oracle
def test_torch_module(torch):
    layer = torch.nn.Linear(2, 3).double()
    torch.nn.init.constant_(layer.weight, 0.5)
    assert tgt.gradcheck(tgt.adapters.torch(layer), POINT).name == "Linear"


@pytest.mark.oracle
def test_jax_functions_that_are_compiled_and_their_library():
    jax = pytest.importorskip("jax")
    kernel = rng.normal(size=(2, 1, 2, 2))
    image = rng.normal(size=(1, 1, 4, 3))
    convolve = lambda x, w: jax.lax.conv_general_dilated(x, w, (2, 1), "SAME")
    assert tgt.gradcheck(tgt.adapters.jax(jax.jit(convolve)), image, kernel).passed
    assert tgt.gradcheck(tgt.adapters.jax(jax.nn.softplus), POINT).name == "softplus"
    assert tgt.gradcheck(tgt.adapters.jax(jax.numpy.sort), POINT).passed
    relu = tgt.adapters.jax(jax.nn.relu)
    assert tgt.gradcheck(relu, np.array([0.0, 1.0, -1.0])).passed


@pytest.mark.oracle
def test_jax_is_left_as_it_was_configured():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    tgt.gradcheck(tgt.adapters.jax(jax.numpy.tanh), POINT)
    assert jax.config.jax_enable_x64 == before


@pytest.mark.oracle
def test_autograd_tuples_of_its_own():
    pytest.importorskip("autograd")
    import autograd.numpy as anp
    from autograd.builtins import tuple as autograd_tuple

    f = lambda x: autograd_tuple((anp.sin(x), x * x))
    assert tgt.gradcheck(tgt.adapters.autograd(f), POINT).passed


def test_a_convention_on_the_way_is_no_mistake():
    """1/n left to the end: the gradient that forgets it is named, not those before."""

    def loss(W, b, X, Y):
        Z = X @ W + b
        A = np.tanh(Z)
        return np.sum((A - Y) ** 2) / len(X)

    def backward(W, b, X, Y):
        n = len(X)
        A = np.tanh(X @ W + b)
        dA = 2 * (A - Y)
        dZ = dA * (1 - A * A)
        dW = X.T @ dZ / n
        db = dZ.sum(axis=0)  # not divided
        return dW, db

    rng = np.random.default_rng(0)
    W, b, X, Y = (rng.normal(size=s) for s in [(3, 2), (2,), (5, 3), (5, 2)])
    with pytest.raises(tgt.GradientError) as caught:
        tgt.gradcheck(tgt.adapters.numpy(loss, grad=backward), W, b, X, Y, wrt=[0, 1])
    assert "first wrong line: test_adapters.py:" in str(caught.value)
    assert "db = dZ.sum(axis=0)  # not divided" in str(caught.value)
    assert "db is not the gradient by b: ratio 5.000" in str(caught.value)
    assert caught.value.finding.site.startswith("test_adapters.py:")


def test_the_numbers_shown_of_a_gradient_by_hand_are_those_it_returned():
    by_hand = tgt.adapters.numpy(lambda x: np.sum(x**2), grad=lambda x: 3 * x)
    report = tgt.gradcheck(by_hand, np.array([1.5]), raises=False)
    assert report.findings[0].analytic == 4.5


def test_in_a_function_of_tensors_a_gradient_is_not_summed_to_its_input():
    """What the engine would mend is the adapted function's mistake."""
    mine = tgt.adapters.numpy(lambda x, w: x * w, lambda g, x, w: (g * w, g * x), name="scaled")
    report = tgt.gradcheck(lambda x, w: mine(x, w), np.array([1.0, 2.0]), np.array([0.5, 3.0]))
    assert report.passed
    with pytest.raises(tgt.GradientError, match=r"by input 1 has shape \(2,\), the input \(\)"):
        tgt.gradcheck(lambda x, w: mine(x, w), np.array([1.0, 2.0]), np.array(0.5))


def test_where_a_gradient_has_no_shape_to_compare_no_slope_is_called_infinite():
    mine = tgt.adapters.numpy(lambda x, w: x * w, lambda g, x, w: (g * w, g * x), name="scaled")
    report = tgt.gradcheck(mine, np.array([1.0, 2.0]), np.array(0.5), raises=False)
    assert report.verdict == "fail"
    assert "infinite" not in str(report)
