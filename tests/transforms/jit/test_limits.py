"""What does not go through `jit`: the page says it, function by function.

Each function of NumPy's without a derivative is called in whatever way it takes arrays; those with
one are in ``test_catalogue.py``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.core.rules.namespace import public_functions
from tinygrad_lab.testing.inputs.catalogue import CASES
from tinygrad_lab.transforms.jit import TracingError

PAGE = Path(__file__).parents[3] / "docs" / "jit.md"

X = np.array([1.0, 2.0, 0.0, 3.0])
M = np.arange(9.0).reshape(3, 3) + np.eye(3)
I = np.array([0, 1, 1, 2])  # noqa: E741
B = np.array([True, False, True, True])
CALLS: list[tuple[Any, ...]] = [
    (X,), (M,), (I,), (B,), (X, X), (I, I), (X, I), (X, B), (B, X), (X, 2), (M, M), (I, (3,)),
    ((I, I), (3, 3)), (X, B, X), (X, I, X), (I, X, X), (M, np.zeros((3, 1), int), M[:, :1], 1),
    ([X, X],), ("i,i", X, X), (3.0, X),
]  # fmt: skip
FILES = {"save", "savetxt", "savez", "savez_compressed"}
NEVER_CALLED = FILES | {"info", "printoptions", "test"}


def copied(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(copied, value))
    return value.copy() if isinstance(value, np.ndarray) else value


def goes(f: Any) -> bool | None:
    """Whether any call of a function with arrays goes; None where it takes none."""
    result = None
    for args in CALLS:
        try:
            f(*copied(args))
        except Exception:  # noqa: BLE001 - it does not take these
            continue
        try:
            tl.program(lambda *xs: f(*xs))(*copied(args))
        except Exception:  # noqa: BLE001 - or some other way to refuse
            result = False
        else:
            return True
    return result


def listed() -> set[str]:
    """The functions in the table of the page."""
    table = PAGE.read_text(encoding="utf-8").partition("| NumPy's functions | why |")[2]
    rows = table.partition("\n\n")[0].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])} - {"at"}


@pytest.mark.filterwarnings("ignore")
def test_the_page_names_the_functions_that_do_not_go():
    names = {name: f for name, f in public_functions() if f not in CASES}
    with np.errstate(all="ignore"):
        refusing = {
            name
            for name, f in names.items()
            if name.partition(".")[2] != "test" and name not in NEVER_CALLED and goes(f) is False
        }
    assert refusing | FILES | {"array"} == listed()  # np.array has one, with like=t


@pytest.mark.parametrize(
    ("f", "what"),
    [
        (lambda x: str(np.array2string(x)), "np.array2string of a value"),
        (lambda x: np.save("x.npy", x), "np.save of a value"),
        (lambda x: np.add.at(x, 0, 1.0), "np.add.at writes"),
        (lambda x: np.put(x, 0, 1.0), "np.put writes"),
        (lambda x: np.eye(4)[np.argsort(x)], "np.asarray of a value"),
        (lambda x: int(np.sum(x > 0)), r"int\(\) of a value"),
    ],
)
def test_a_refusal_says_what(f: Any, what: str, tmp_path: Any, monkeypatch: Any):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TracingError, match=what):
        tl.jit(lambda x: f(x))(X.copy())
    assert not list(tmp_path.iterdir())


def test_in_place_operators_refuse_arrays_and_take_numbers():
    def doubled(x: Any) -> Any:
        x *= 2
        return x

    with pytest.raises(TracingError, match=r"x \+= y, and its like, writes"):
        tl.jit(doubled)(X.copy())
    total = tl.jit(lambda x: doubled(np.sum(x)))
    assert [float(total(X)) for _ in range(3)] == [12.0] * 3


def test_a_size_that_was_computed_is_a_guard():
    head = tl.jit(lambda x: x[: np.sum(x > 0)] * 2, backend="numpy")
    for x in (X, X, X - 1, X, X - 1):
        np.testing.assert_array_equal(head(x), x[: np.sum(x > 0)] * 2)
    recorded = [r for each in head._recordings.values() for r in each]
    assert [len(r.misfires) for r in recorded] == [0, 0]
    assert sum(r.calls for r in recorded) >= 2


def test_a_table_as_a_tensor_takes_computed_places():
    picked = tl.jit(lambda x: tl.Tensor(np.eye(4))[np.argsort(x)])
    for x in (X, X, X[::-1].copy()):
        np.testing.assert_array_equal(picked(x).data, np.eye(4)[np.argsort(x)])


def test_a_pass_that_takes_care_is_recorded_in_vain_only_now_and_then():
    slope = tl.grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0)))
    root = tl.jit(slope, backend="numpy")
    for _ in range(20):
        np.testing.assert_array_equal(root(X), slope(X))
    assert "20 calls, because an infinite slope met a zero" in root.report()
    assert not any(root._recordings.values())
    assert root(X)[2] == 0
