"""Formulas that run in the memory of their arrays give what NumPy gives for them as they stand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.interrupts import assert_all_or_none
from tests.optim.settings import GRID
from tests.optim.test_all_or_none import make, snapshot
from tinygrad_lab import optim
from tinygrad_lab.core.atomic import at_once
from tinygrad_lab.optim import blocks, optimizer
from tinygrad_lab.optim.blocks import in_blocks

BINARY = [np.add, np.subtract, np.multiply, np.maximum, np.minimum]
UNARY = [np.negative, np.absolute, np.square, np.sign]


@pytest.fixture
def tiny_blocks(monkeypatch):
    """Two or three elements are a block, and every array is large enough for blocks."""
    monkeypatch.setattr(optimizer, "LEAST", 1)
    monkeypatch.setattr(blocks, "_BYTES", 24)
    monkeypatch.setattr(blocks, "_LINE", 1)
    monkeypatch.setattr(blocks, "_WHOLE", 0)


@st.composite
def formulas(draw):
    """A program of calls on earlier values, by their positions, and which values are kept where."""
    names = "abc"
    lines = []
    for position in range(len(names), len(names) + draw(st.integers(0, 8))):
        ufunc = draw(st.sampled_from(BINARY + UNARY))
        value = st.integers(0, position - 1)
        number = value | st.sampled_from([0.5, -2.0])
        lines.append((ufunc, [draw(value), draw(number)][: ufunc.nin]))
    value = st.integers(0, len(names) + len(lines) - 1)
    results = draw(st.dictionaries(st.sampled_from("abcd"), value))
    return lines, results, draw(st.sets(st.sampled_from(names)))


def evaluated(program, values):
    lines, results, _ = program
    values = list(values)
    for ufunc, operands in lines:
        values.append(ufunc(*(values[o] if isinstance(o, int) else o for o in operands)))
    return {name: values[position] for name, position in results.items()}


@settings(max_examples=200)
@given(
    formulas(),
    st.sampled_from([(7,), (2, 3), (1,)]),
    st.sampled_from("CFK"),
    st.sampled_from([0, 1 << 20]),
)
def test_any_formula(program, shape, order, whole):
    """Values are those of the plain formula; only arrays that may be are written to."""
    rng = np.random.default_rng(0)
    arrays = {name: np.asarray(rng.normal(size=shape), order=order) for name in "abc"}
    arrays["b"] = arrays["b"].copy("F")
    before = {name: array.copy() for name, array in arrays.items()}
    *_, fixed = program
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_BYTES", 16)
        patch.setattr(blocks, "_LINE", 1)
        patch.setattr(blocks, "_WHOLE", whole)
        results, calls = in_blocks(lambda t: evaluated(program, t.values()), arrays, fixed)
    calls = tuple(calls)
    np.testing.assert_equal(arrays, before)
    at_once(calls)
    np.testing.assert_equal(results, evaluated(program, before.values()))
    for name, array in arrays.items():
        if name in fixed or name not in results:
            np.testing.assert_array_equal(array, before[name])
        else:
            assert results[name] is array


@pytest.mark.parametrize(("name", "options"), GRID, ids=map(str, GRID))
def test_every_optimizer_takes_the_same_steps(name, options, tiny_blocks):
    """To the last bit: in place, and with new arrays."""
    kind = getattr(optim, name)
    for dtype, order in ((np.float64, "C"), (np.float32, "F"), (np.float16, "C")):
        rng = np.random.default_rng(0)
        start = np.asarray(rng.normal(size=(3, 5)), dtype, order=order)
        pair = [tl.nn.Parameter(start.copy(order)) for _ in range(2)]
        for p in pair:
            p.data = start.copy(order)
        anew = type("Anew", (kind,), {"elementwise": False})
        optimizers = [make([p], **options) for make, p in zip((kind, anew), pair, strict=True)]
        for _ in range(7):
            g = rng.normal(size=(3, 5)).astype(dtype)
            for p, one in zip(pair, optimizers, strict=True):
                p.grad = g.copy()
                one.step()
                np.testing.assert_array_equal(p.grad, g)
                p.grad[:] = np.nan  # it is the user's, and nothing that is kept
        states = [one.state_dict()["state"] for one in optimizers]
        np.testing.assert_equal(*states)
        np.testing.assert_array_equal(*(p.data for p in pair))


@pytest.mark.parametrize("name", ["SGD with momentum", "RMSprop", "Adam"])
def test_an_interrupted_step_in_place_has_moved_all_or_none(name, tiny_blocks):
    assert_all_or_none(lambda: make(name), lambda subject: subject[1].step(), snapshot, stride=17)


def test_whoever_holds_an_array_keeps_what_is_in_it(tiny_blocks):
    w = tl.nn.Parameter(np.ones(9))
    optimizer = optim.Adam([w])
    for _ in range(3):
        w.grad = np.ones(9)
        held = [w.data, *(v for v in optimizer.state[w].values() if isinstance(v, np.ndarray))]
        before = [array.copy() for array in held]
        optimizer.step()
        np.testing.assert_equal(held, before)


@pytest.mark.parametrize("least", [1, 100])
@pytest.mark.parametrize(
    ("name", "entry"),
    [("Adam", "exp_avg"), ("RMSprop", "square_avg"), ("Adagrad", "sum")],
)
def test_subnormal_numbers_do_not_stay(name, entry, least, tiny_blocks, monkeypatch):
    """A mean of what is 0 by now ends at 0; half precision needs its subnormal numbers."""
    monkeypatch.setattr(optimizer, "LEAST", least)
    for dtype in (np.float32, np.float16):
        model, optimizer_ = make(name, dtype)
        optimizer_.param_groups[0]["weight_decay"] = 0
        p = next(model.parameters())
        normal = np.finfo(dtype).smallest_normal
        ended = set()
        for _ in range(64):
            optimizer_.state[p][entry][:] = [[normal / 2, normal * 4], [np.nan, 0.25], [2, 0]]
            p.grad = np.zeros(p.shape, dtype)
            optimizer_.step()
            kept = optimizer_.state[p][entry]
            ended.add(bool(kept[0, 0] == 0))
            assert np.isnan(kept[1, 0])
            assert kept[0, 1] > normal
            assert kept[1, 1] > 0.1
        assert ended == {False, True} if dtype is np.float32 else {False}
