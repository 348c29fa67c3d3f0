"""What a recorded function reads from elsewhere: each call gives what the function itself gives.

Each case is a module of its own, once with the function as it is and once recorded; between calls
something that the function depends on becomes another.
"""

import sys
import textwrap
import types
from itertools import count
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.transforms.jit.trace import TracingError

NUMBERED = count()
BEGIN = """
import array, collections, contextvars, ctypes, functools, itertools, random, sys, threading, types
import weakref
import numpy as np
import tinygrad_lab as tl
from tinygrad_lab import nn
X = np.array([1.0, 2.0, 3.0])
arguments = lambda i: (X + i,)
change = lambda i: None
state = lambda: None
"""
CALLS = 4


def said(text: str, jitted: bool) -> list[Any]:
    """Make the calls of a case, and give results and what was left behind."""
    module: Any = types.ModuleType(f"case{next(NUMBERED)}")
    sys.modules[module.__name__] = module
    try:
        exec(BEGIN + textwrap.dedent(text), vars(module))
        f = tl.jit(module.f, backend="numpy") if jitted else module.f
        values = []
        for i in range(CALLS):
            module.change(i)
            values += [f(*module.arguments(i)), module.state()]
    finally:
        del sys.modules[module.__name__]
        sys.modules.pop("beside", None)
    return values


def assert_alike(text: str, may_refuse: bool = False) -> None:
    """Each call gives the same, or the first refuses where it may."""
    expected = said(text, jitted=False)
    try:
        got = said(text, jitted=True)
    except TracingError:
        assert may_refuse
        return
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_array_equal(np.asarray(b), np.asarray(a))


def reading(setting: str, read: str, write: str) -> str:
    """Write a function that reads a number, and what makes it another."""
    return f"{setting}\ndef f(x): return x * {read}\ndef change(i):\n    i = i + 1.0\n    {write}\n"


BESIDE = "beside = types.ModuleType('beside'); sys.modules['beside'] = beside; beside.v = 1.0"
BYTES = "raw = bytearray(8)"
METHOD = """
class K:
    def do(s, x): return x
    def go(s, x): return {}
k = K()
def f(x): return k.go(x)
"""


NUMBERS = {
    "of a thread": ("L = threading.local()", "L.v", "L.v = i"),
    "memoryview": (f"{BYTES}; M = memoryview(raw)", "M[0]", "raw[0] = int(i)"),
    "ctypes": ("C = ctypes.c_double(1)", "C.value", "C.value = i"),
    "ctypes array": ("C = (ctypes.c_double * 2)()", "C[0]", "C[0] = i"),
    "context": ("C = contextvars.ContextVar('C')", "C.get()", "C.set(i)"),
    "globals": ("v1 = 1.0", "globals()['v' + str(1)]", "globals()['v1'] = i"),
    "vars of a module": (BESIDE, "vars(beside)['v']", "beside.v = i"),
    "getattr of a module": (BESIDE, "getattr(beside, ''.join('v'))", "beside.v = i"),
    "sys.modules": (BESIDE, "sys.modules['beside'].v", "beside.v = i"),
    "import": (BESIDE, "(__import__, [exec])[0]('beside').v", "beside.v = i"),
    "view of a dict": ("d = {1: 1.0}; D = d.values()", "sum(D)", "d[1] = i"),
    "method of a dict": ("d = {1: 1.0}; D = d.get", "D(1)", "d[1] = i"),
    "method of an array": ("a = np.ones(3); A = a.sum", "A()", "a[0] = i"),
    "chain": ("d = {1: 1.0}; D = collections.ChainMap({}, d)", "D[1]", "d[1] = i"),
    "order": ("d = {1: 1.0, 2: 2.0}", "[*d.values()][0]", "d[1 + i % 2] = d.pop(1 + i % 2)"),
    "order in a class": (
        "class K: d = {1: 1.0, 2: 2.0}", "[*K.d.values()][0]", "K.d[1 + i % 2] = K.d.pop(1 + i % 2)"
    ),
    "namespace in a class": (
        "class K: n = types.SimpleNamespace(v=1.0)", "K.n.v", "K.n.v = i"
    ),
    "attribute that comes later": ("class K: pass", "getattr(K, 'v', 1.0)", "K.v = i"),
    "slot that comes later": (
        "class K: __slots__ = ('v',)\nk = K()", "getattr(k, 'v', 1.0)", "k.v = i"
    ),
    "attribute of a list": ("class K(list): pass\nk = K([1]); k.v = 1.0", "k.v", "k.v = i"),
    "entry in a class": ("class K: d = {}\nclass Q: v = 1.0", "len(K.d)", "K.d[i] = Q()"),
    "weak reference": ("class K: v = 1.0\nk = K(); W = weakref.ref(k)", "W().v", "k.v = i"),
    "sign of zero": ("class K: v = 0.0", "np.copysign(1, K.v)", "K.v = [0.0, -0.0][int(i) % 2]"),
    "type in a list": ("class K: v = [1]", "(7 if K.v[0] is True else 5)",
                       "K.v[0] = [1, True][int(i) % 2]"),
    "flag": ("v = False", "(2 if v else 3)", "globals()['v'] = not v"),
    "text": ("v = 'a'", "(2 if v == 'a' else 3)", "globals()['v'] = 'ab'[int(i) % 2]"),
    "None": ("v = None", "(2 if v is None else v)", "globals()['v'] = [None, 5.0][int(i) % 2]"),
    "function of NumPy's": ("v = np.sin", "v(x)", "globals()['v'] = [np.sin, np.cos][int(i) % 2]"),
    "dtype": ("v = float", "np.ones(1, v).itemsize",
              "globals()['v'] = [np.float32, float][int(i) % 2]"),
    "class that is written anew": (
        "class K: v = 1.0", "K.v", "globals()['K'] = type('K', (), {'v': i})"
    ),
    "errors": ("v = np.geterr()", "(2 if np.geterr()['over'] == 'raise' else 3)",
               "np.seterr(over=['warn', 'raise'][int(i) % 2])"),
    "sorting": ("v = [3.0, 1.0, 2.0]", "sorted(v)[0]", "v[int(i) % 3] = i"),
}  # fmt: skip

IN_METHODS = {
    "function": ("def h(x): return x", "h(x)", "globals()['h'] = lambda x: x * i"),
    "method": ("def h(x): return x", "s.do(x)", "K.do = lambda s, x: x * i"),
    "object": ("h = types.SimpleNamespace(v=1.0)", "x * h.v",
               "globals()['h'] = types.SimpleNamespace(v=i)"),
    "module": (BESIDE, "x * beside.v", "beside.v = i"),
    "generator": ("h = np.random.default_rng(0)", "x * h.normal()", "pass"),
    "generator of Python's": ("h = random.Random(0)", "x * h.random()", "pass"),
    "count": ("h = itertools.count(1)", "x * next(h)", "pass"),
}  # fmt: skip

CALLED = {
    "random.Random": "r = random.Random(0)\ndef f(x): return x * r.random()",
    "RandomState": "r = np.random.RandomState(0)\ndef f(x): return x * r.rand()",
    "generators of one kind of bits": """
        b = np.random.PCG64(0)
        a, c = np.random.Generator(b), np.random.Generator(b)
        def f(x): return x * a.normal() + c.normal()""",
    "count of a class": """
        class K: n = 0
        def f(x):
            K.n += 1
            return x * K.n
        state = lambda: K.n""",
    "a set global of two functions": """
        v = np.zeros(3)
        def h(x):
            global v
            v = v + x
        def f(x):
            h(x)
            return x * v
        state = lambda: v""",
    "a variable of two functions": """
        def make():
            v = np.zeros(3)
            def h(x):
                nonlocal v
                v = v + x
            def f(x):
                h(x)
                return x * v
            return f, lambda: v
        f, state = make()""",
    "a variable that is empty at first": """
        def make():
            def f(x):
                nonlocal v
                try: v = v * 2
                except NameError: v = 1.0
                return x * v
            if 0: v = 0
            return f
        f = make()""",
    "functions that call each other": """
        v = 1.0
        def g(x, n): return x if n == 0 else f(x, n - 1) * v
        def f(x, n=3): return x if n == 0 else g(x, n - 1) + v
        def change(i): globals()["v"] = i + 1.0""",
    "a function with other code": """
        def h(x): return x
        codes = [h.__code__, (lambda x: x * 5).__code__]
        def f(x): return h(x)
        def change(i): h.__code__ = codes[i % 2]""",
    "arguments that are one": """
        Y = X.copy()
        def f(a, b): return a * (2.0 if a is b else 3.0)
        arguments = lambda i: (X, [X, Y][i % 2])""",
    "keywords in another order": """
        def g(x, **named):
            for v in named.values(): x = x * 2 + v
            return x
        J = tl.jit(g)
        def f(x, i): return J(x, a=1.0, b=2.0) if i % 2 else J(x, b=2.0, a=1.0)
        arguments = lambda i: (X, i)""",
    "the shape of an array alone": """
        def f(x, w): return x * w.shape[0]
        arguments = lambda i: (X, np.ones(i + 1))""",
    "the class of an argument": """
        def f(x, v): return x * (2.0 if isinstance(v, np.ndarray) else 3.0)
        arguments = lambda i: (X, [X, 1.0, None][i % 3])""",
    "a number as a key": """
        D = {1.0: 5.0, 2.0: 6.0}
        def f(x, v): return x * D.get(v, 7.0)
        arguments = lambda i: (X, 1.0 + i)""",
    "what an array has": """
        def f(x): return x * x.strides[0]""",
    "an error that is caught": """
        def f(x):
            try: return np.linalg.inv(x)
            except np.linalg.LinAlgError: return x
        arguments = lambda i: (np.eye(3) * (i % 2),)""",
    "an underflow that is caught": """
        def f(x):
            try:
                with np.errstate(under="raise"): return np.exp(-x)
            except FloatingPointError: return x
        arguments = lambda i: (X * [1, 1000][i % 2],)""",
    "an error after a change": """
        class K:
            log = [1.0]
            def go(s, x):
                s.log[0] = s.log[0] + 1
                [][0]
        k = K()
        def f(x):
            try: k.go(x)
            except IndexError: return x * K.log[0]
        state = lambda: list(K.log)""",
    "memory that is shared": """
        B = np.arange(6.0)
        def f(a, b): return a * (2.0 if np.shares_memory(a, b) else 3.0)
        arguments = lambda i: (B[:3], [B[:3], B[3:]][i % 2])""",
}


@pytest.fixture(autouse=True)
def _as_before() -> Any:
    with np.errstate():
        yield


@pytest.mark.parametrize("case", NUMBERS)
def test_a_number(case: str) -> None:
    assert_alike(reading(*NUMBERS[case]))


@pytest.mark.parametrize("case", IN_METHODS)
def test_what_a_method_names(case: str) -> None:
    setting, read, write = IN_METHODS[case]
    text = f"{setting}\n{METHOD.format(read)}def change(i):\n    i = i + 1.0\n    {write}\n"
    assert_alike(text)


@pytest.mark.parametrize("case", CALLED)
def test_a_call(case: str) -> None:
    assert_alike(
        CALLED[case], may_refuse=case in ("an error after a change", "memory that is shared")
    )


def test_a_generator_for_initial_weights_costs_no_recording() -> None:
    rng = np.random.default_rng(0)

    class Scaled(tl.nn.Module):
        numbers = iter(range(9))

        def __init__(self) -> None:
            super().__init__()
            self.number, self.scale = next(self.numbers), rng.normal()

        def forward(self, x: Any) -> Any:
            return x * self.scale

    jitted = tl.jit(Scaled())
    for _ in range(3):
        jitted(np.ones(2))
    assert jitted.report().startswith("jit of Scaled: 1 program recorded, 2 calls")
