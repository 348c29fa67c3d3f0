"""How programs look, and that their text alone gives the same numbers.

The texts in ``texts/`` are what a reader sees: look at them when one changes, then write them anew
with ``WRITE_TEXTS=1 python -m pytest tests/transforms/jit/test_source.py``.
"""

import operator
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinygrad_lab as tl
from tinygrad_lab import nn, optim
from tinygrad_lab.transforms.jit.program import evaluate

TEXTS = Path(__file__).parent / "texts"
RNG = np.random.default_rng(0)
X = RNG.uniform(size=(100, 2))
Y = (X[:, :1] < X[:, 1:]).astype(float)


# -- three programs -------------------------------------------------------------------------------


def step(model, optimizer, x, y):
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def lab_step():
    model = nn.MLP([2, 3, 3, 1], output_activation="sigmoid", init="normal", rng=0)
    return step, (model, optim.SGD(model.parameters(), lr=0.1), X, Y)


class SmallCNN(nn.Module):
    """Convolution, ReLU, pooling, a linear layer."""

    def __init__(self):
        self.conv = nn.Conv2d(1, 4, 3, rng=0)
        self.head = nn.Linear(4 * 3 * 3, 3, rng=1)

    def forward(self, x):
        a = nn.functional.max_pool2d(nn.functional.relu(self.conv(x)), 2)
        return self.head(a.reshape(len(x), -1))


def train(model, optimizer, images, classes):
    loss = nn.functional.cross_entropy(model(images), classes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def cnn_step():
    model = SmallCNN()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    images, classes = RNG.normal(size=(5, 1, 8, 8)), np.array([0, 1, 2, 0, 1])
    train(model, optimizer, images, classes)  # so that Adam has its moments
    return train, (model, optimizer, images, classes)


def energy(x):
    return np.sum(np.sin(x) * np.exp(-(x**2)))


def curvature_along(x, v):
    return tl.hvp(energy, (x,), (v,))[0]


def hvp():
    return curvature_along, (np.linspace(-1.0, 1.0, 5), np.arange(5.0))


CASES = {f.__name__: f for f in (lab_step, cnn_step, hvp)}


def values_of(program, args):
    """The values of a program's inputs, read along their paths in the arguments."""
    model, optimizer, *_ = args if len(args) == 4 else (None, None)
    names = {"x": args[0], "v": args[-1], "y": args[-1], "images": args[-2], "classes": args[-1]}
    values = {**names, "x": args[-2]} if model is not None else names
    for name, p in model.named_parameters() if model is not None else ():
        values[f"model.{name}"] = p.data
        entry = optimizer.state.get(p, {})
        values |= {f"model.{name}.{key}": value for key, value in entry.items()}
    for key, value in optimizer.param_groups[0].items() if model is not None else ():
        parts = {f".{i}": part for i, part in enumerate(value)} if key == "betas" else {"": value}
        values |= {f"optimizer.param_groups.0.{key}{i}": part for i, part in parts.items()}
    return [values[item.name] for item in program.inputs]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_text_is_as_it_was_looked_at(case):
    f, args = case()
    text = str(tl.program(f)(*args))
    path = TEXTS / f"{case.__name__}.txt"
    if "WRITE_TEXTS" in os.environ:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 110


def test_the_page_shows_the_text_of_the_lab_step():
    path = Path(__file__).parents[3] / "docs" / "programs.md"
    page, (f, args) = path.read_text(encoding="utf-8"), lab_step()
    block = f"```python\n{tl.program(f)(*args)}```"
    if "WRITE_TEXTS" in os.environ:
        shown = re.compile(r"```python\nimport numpy as np\n\n\ndef step.*?```", re.DOTALL)
        page = shown.sub(block, page)
        path.write_text(page, encoding="utf-8")
    assert block in page


ALONE = """
import pickle, sys
sys.modules["tinygrad_lab"] = None  # so that importing it is an error
with open(sys.argv[1], "rb") as file:
    cases = pickle.load(file)
for name, (text, values, expected) in cases.items():
    space = {}
    exec(text, space)
    results = []
    def flat(x):
        if isinstance(x, dict): x = list(x.values())
        for part in x if isinstance(x, (list, tuple)) else ():
            flat(part)
        if not isinstance(x, (list, tuple)):
            results.append(x)
    flat(list(space.values())[-1](*values))
    exact = name != "cnn_step"
    for result, value in zip(results, expected, strict=True):
        import numpy as np
        if exact:
            assert np.array_equal(result, value), name
        else:
            np.testing.assert_allclose(result, value, rtol=1e-12, atol=1e-14)
assert not any(name.startswith("tinygrad_lab.") for name in sys.modules)
print("same numbers", len(cases))
"""


def flat_order(program):
    """The outputs as the text returns them: results, then state, then gradients."""
    rank = lambda label: 0 if label.startswith("result") else 2 if label.endswith(".grad") else 1
    return sorted(range(len(program.labels)), key=lambda i: rank(program.labels[i]))


def test_the_text_alone_gives_the_same_numbers(tmp_path):
    cases = {}
    for name, case in CASES.items():
        f, args = case()
        program = tl.program(f)(*args)
        values = values_of(program, args)
        outputs = evaluate(program, values)
        cases[name] = str(program), values, [outputs[i] for i in flat_order(program)]
    path = tmp_path / "cases.pickle"
    path.write_bytes(pickle.dumps(cases))
    done = subprocess.run(
        [sys.executable, "-c", ALONE, path],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("same numbers 3\n", "")


def test_a_pasted_step_trains():
    f, (model, optimizer, x, y) = lab_step()
    program = tl.program(f)(model, optimizer, x, y)
    parameters = {name.replace(".", "_"): p.data for name, p in model.named_parameters()}
    losses = []
    for _ in range(20):
        loss, parameters, gradients = program(**parameters, lr=0.1, x=x, y=y)
        losses.append(loss)
    assert gradients.keys() == parameters.keys()
    assert losses == [f(model, optimizer, x, y).item() for _ in range(20)]


# -- any expression -------------------------------------------------------------------------------

UNARY = {
    "negative": operator.neg, "abs": np.abs, "exp": np.exp, "square": np.square, "T": np.transpose,
    "sum": lambda a: np.sum(a, axis=-1, keepdims=True) if a.ndim else a + 0,
    "logical": np.logical_not,
    "rows": lambda a: a[:1] if a.ndim else a * 1, "flat": lambda a: a.reshape((-1,)),
    "float32": lambda a: a.astype(np.float32), "halved": lambda a: a / 2,
    "less": lambda a: -2.5 * a,
    "cubed": lambda a: a**3, "clipped": lambda a: np.minimum(a, np.float64(0.5)),
    "scaled": lambda a: np.float32(0.1) * a, "shifted": lambda a: a + (-0.25), "copy": np.copy,
    "taken": lambda a: np.take(a, [0, -1], axis=0) if a.ndim else a - 1, "sign": np.sign,
    "summed": lambda a: a @ np.ones((3, 2)) if a.shape[-1:] == (3,) else 2 + a,
    "table": lambda a: a * np.array([0.1, -0.0, np.inf]) if a.shape[-1:] == (3,) else 1 - a,
}  # fmt: skip
BINARY = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "**": operator.pow, "//": operator.floordiv, "%": operator.mod, "<": operator.lt,
    "==": operator.eq, "maximum": np.maximum, "where": lambda a, b: np.where(a > 0, a, b),
    "@": lambda a, b: a @ b, "minus": lambda a, b: a + b * (-0.1), "power": np.power,
}  # fmt: skip
RECIPES = st.lists(
    st.tuples(st.sampled_from([*UNARY, *BINARY]), st.integers(0, 9), st.integers(0, 9)),
    min_size=1, max_size=12,
)  # fmt: skip


def expression_of(recipe):
    def f(x, y, n, c):
        values = [x, y, n, c]
        for name, i, j in recipe:
            a, b = values[-1 - i % len(values)], values[-1 - j % len(values)]
            if name in UNARY:
                values.append(UNARY[name](a if hasattr(a, "ndim") else np.add(a, 0)))
            else:
                values.append(BINARY[name](a, b))
        return values[4:][-3:]

    return f


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@given(recipe=RECIPES, dtype=st.sampled_from([np.float64, np.float32, np.int64]))
def test_any_expression_is_written_as_it_is_computed(recipe, dtype):
    f = expression_of(recipe)
    inputs = {
        "x": (RNG_VALUES[0] * 2).astype(dtype), "y": RNG_VALUES[1].astype(dtype),
        "n": np.float64(1.5), "c": -0.75,
    }  # fmt: skip
    with np.errstate(all="ignore"):
        try:
            expected = f(**inputs)
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):
            assume(False)
        assume(not any(isinstance(value, complex) for value in expected))
        program = tl.program(f)(*inputs.values())
        results = program(*(inputs[item.name] for item in program.inputs))
    for result, value in zip(results, expected, strict=True):
        assert same(result, value), str(program)


RNG_VALUES = np.random.default_rng(3).normal(size=(2, 2, 3)).round(1)


# -- the rules of writing -------------------------------------------------------------------------


def body(f, *args):
    lines = str(tl.program(f)(*args)).splitlines()
    return [line.partition("  #")[0].strip() for line in lines if " = " in line or "return" in line]


ROW, TABLE = np.arange(3.0), np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: (x + 1) * 2, "result = 2 * (x + 1)"),
        (lambda x: x - (x - 1), "result = x - (x - 1)"),
        (lambda x: (x - 1) - x, "result = x - 1 - x"),
        (lambda x: x / (2 + x), "result = x / (2 + x)"),
        (lambda x: (-x) ** 2, "result = (-x) ** 2"),
        (lambda x: -(x**2), "result = -x ** 2"),
        (lambda x: (x**2) ** 0.5, "result = (x ** 2) ** 0.5"),
        (lambda x: x + x * (-0.1), "result = x - 0.1 * x"),
        (lambda x: (x < 1) & (x > 0), "result = (x < 1) & (x > 0)"),
        (lambda x: (x < 1) == (x > 0), "result = (x < 1) == (x > 0)"),
        (lambda x: np.float64(2.5) * x, "result = 2.5 * x"),
        (lambda x: np.float32(0.1) * x, "result = np.float32(0.10000000149011612) * x"),
        (lambda x: x @ x[:, None], "result = x @ x[:, None]"),
        (lambda x: x[:, None].T @ np.ones((3, 2)),
         "result = x[:, None].T @ np.ones((3, 2), np.float64)"),
        (lambda x: np.transpose(x[:, None], (1, 0)), "result = np.transpose(x[:, None], (1, 0))"),
        (lambda x: np.clip(x, 0, 1), "result = np.clip(x, 0, 1)"),
        (lambda x: (x + 1)[::-1], "result = (x + 1)[::-1]"),
        (lambda x: np.sum(x, axis=0), "result = np.sum(x, axis=0)"),
        (lambda x: x * np.array([1.0, -0.0, 2.0]),
         "result = x * np.array([1.0, -0.0, 2.0], np.float64)"),
        (lambda x: x + np.inf, "result = x + np.inf"),
    ],
)  # fmt: skip
def test_operators_have_the_parentheses_that_they_need(f, text):
    assert text in [line.replace("[None:None", "[:") for line in body(f, ROW)]


def test_what_is_used_twice_has_a_line_of_its_own():
    assert body(lambda x: np.exp(x) / (1 + np.exp(x)), ROW) == [
        "exp = np.exp(x)", "result = exp / (1 + exp)", "return result",
    ]  # fmt: skip


def test_a_large_constant_stands_above_the_function():
    weights = RNG.normal(size=20)
    weights.flags.writeable = False
    text = str(tl.program(lambda x: np.take(weights, [1, 2]) + x)(1.0))
    assert "\n\n\ndef f(" in text


def test_a_name_is_no_keyword_and_no_name_of_numpys():
    program = tl.program(lambda **words: words["lambda"] + words["np"] * words["sum"])
    assert "lambda_" in str(program(**{"lambda": ROW, "np": ROW, "sum": ROW}))


def spread(row):
    return row.max() - row.min()


def test_a_function_that_numpy_calls_stands_above():
    program = tl.program(lambda x: np.apply_along_axis(spread, 0, x))(TABLE)
    assert "def spread(row):" in program.source
    np.testing.assert_array_equal(program(TABLE), np.full(3, 3.0))
    program = tl.program(lambda x: np.apply_along_axis(lambda row: row.max(), 0, x))(TABLE)
    with pytest.raises(ValueError, match="<lambda>, which NumPy is to call, cannot be written"):
        str(program)
    assert program == program  # without its text


def test_a_guard_is_an_assertion():
    program = tl.program(lambda x: x * 2 if x.sum() > 1 else x)(ROW)
    assert "assert np.sum(x) > 1" in str(program)
    np.testing.assert_array_equal(program(ROW), 2 * ROW)
    with pytest.raises(AssertionError):
        program(-ROW)


def test_a_draw_is_a_call_of_the_generator():
    program = tl.program(lambda rng, x: x + rng.normal(size=3))
    text = str(program(np.random.default_rng(0), ROW))
    assert "normal = rng.normal(size=3)" in text
    drawn = program(np.random.default_rng(0), ROW)(np.random.default_rng(5), ROW)
    np.testing.assert_array_equal(drawn, ROW + np.random.default_rng(5).normal(size=3))


def test_a_gradient_is_called_after_what_it_is_of():
    def loss(w, b):
        z = TABLE @ w + b
        return np.mean(np.tanh(z) ** 2)

    lines = body(tl.grad(loss, argnums=(0, 1)), ROW, np.ones(2))
    assert lines[-1] == "return (d_w, d_b)"
    assert any(line.startswith("d_b = np.tanh(") for line in lines)


# -- Program --------------------------------------------------------------------------------------


def test_programs_are_equal_when_their_texts_are():
    first, again, other = (tl.program(f)(ROW) for f in (np.tanh, np.tanh, np.sinh))
    assert first == again and hash(first) == hash(again) and first != other
    assert first != str(first)


def test_repr_is_short_and_notebooks_show_python():
    program = tl.program(np.tanh)(ROW)
    assert repr(program) == "<Program tanh: 1 input, 1 line, 1 output>"
    assert program._repr_markdown_() == f"```python\n{program.source}```"


def test_save_writes_what_can_be_imported(tmp_path):
    path = tl.program(np.tanh)(ROW).save(tmp_path / "step.py")
    space: dict = {}
    exec(path.read_text(encoding="utf-8"), space)
    np.testing.assert_array_equal(space["tanh"](ROW), np.tanh(ROW))
    with pytest.raises(ValueError, match=r"save it as .*step\.py, not"):
        tl.program(np.tanh)(ROW).save(tmp_path / "step.txt")
    with pytest.raises(FileNotFoundError):
        tl.program(np.tanh)(ROW).save(tmp_path / "nowhere" / "step.py")


def test_cost():
    weights, x = np.ones((4, 3)), np.ones((2, 3))
    cost = tl.program(lambda x, w: np.exp(x @ w.T))(x, weights).cost
    assert (cost.calls, cost.multiply_adds) == (2, 2 * 4 * 3)
    product = 8 * 2 * 4
    assert cost.bytes_moved == (x.nbytes + weights.nbytes + product) + 2 * product
    assert cost.peak_bytes == x.nbytes + weights.nbytes + 2 * product
    assert str(cost).startswith("2 calls, 24 multiply-adds, 336 B moved")


@pytest.mark.parametrize(
    ("f", "shapes", "expected"),
    [
        (np.dot, [(5,), (5,)], 5),
        (lambda a, b: np.einsum("bij,jk->bik", a, b), [(2, 3, 4), (4, 5)], 2 * 3 * 4 * 5),
        (lambda a, b: np.tensordot(a, b, axes=2), [(2, 3, 4), (3, 4, 5)], 2 * 3 * 4 * 5),
        (lambda a, b: np.matmul(a, b), [(7, 2, 3), (7, 3, 4)], 7 * 2 * 3 * 4),
        (lambda b: np.zeros((2, 3)) @ b, [(3, 9)], 2 * 3 * 9),  # what is constant comes first
    ],
)
def test_cost_of_products(f, shapes, expected):
    assert tl.program(f)(*map(np.ones, shapes)).cost.multiply_adds == expected


def test_convolutions_and_their_gradients_cost_the_same():
    x, w = np.ones((2, 3, 8, 8)), np.ones((4, 3, 3, 3))
    conv = lambda x, w: tl.conv2d(x, w, padding=1)
    each = 2 * 4 * 8 * 8 * 3 * 3 * 3
    assert tl.program(conv)(x, w).cost.multiply_adds == each
    both = tl.grad(lambda x, w: np.sum(conv(x, w) ** 2), (0, 1))
    assert tl.program(both)(x, w).cost.multiply_adds == 3 * each


def test_a_parameter_keeps_its_name_where_nobody_needs_what_it_was():
    a, b = tl.tensor([1.0, 2.0]), tl.tensor([3.0, 4.0])

    def exchange(a, b):
        x, y = a.data, b.data
        a.data, b.data = y * 2, x + 1
        return x - y

    program = tl.program(exchange)(a, b)
    result, state = program(a.data, b.data)
    assert "new_a = 2 * b" in program.source
    expected = exchange(a, b)
    assert same(result, expected) and same(state["a"], a.data) and same(state["b"], b.data)

    def move(a, b):
        a.data = a.data - b.data

    assert "    a = a - b" in tl.program(move)(a, b).source
