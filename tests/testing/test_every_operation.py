"""The project's own operations through the checker, from one registry: none is left out."""

import os
import sys

import numpy as np
import pytest
from hypothesis import strategies as st

import tinygrad_lab as tl
from benchmarks.checkers.primitives import CASES, name_of
from tinygrad_lab import testing as tgt
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.operations import OPERATIONS
from tinygrad_lab.core.rules.linalg import norms
from tinygrad_lab.core.rules.mathematical.lengths import vanishing
from tinygrad_lab.core.several import bundle, pick
from tinygrad_lab.nn import functional as fn
from tinygrad_lab.nn.hooks import watched
from tinygrad_lab.nn.kernels.recurrence import recurrence
from tinygrad_lab.testing.inputs.calls import arrays, grid
from tinygrad_lab.transforms.checkpoint import recomputed
from tinygrad_lab.transforms.jit.history import replayed

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
EXAMPLES = 100 if THOROUGH else 1
# Of the core, second derivatives are compared in tests/core/rules/test_rules.py every time.
ORDER = 2 if THOROUGH else 1


def of_shapes(*sides, values=None, **options):
    """Arrays of the given shapes, and options drawn from lists."""
    return st.tuples(*[arrays(s, values or grid(-3, 3), unique=False) for s in sides])


DISTINCT = grid(-8, 8)
UNIT = tgt.Domain(0.1, 0.9).values


def images(*sides):
    return st.tuples(*[arrays(s, DISTINCT, unique=True) for s in sides])


#: Of a correlation of two samples, which is 1 or -1, all that is left is round-off; and so it is of
#: the curvature of a condition number beside equal singular values, or of cofactors of a singular
#: matrix, whose entries cancel.
UNDECIDED = {np.corrcoef, np.linalg.cond, norms.second_cofactors}

conv = lambda **how: lambda x, w: fn.conv2d(x, w, **how)
pool = lambda of, **how: lambda x: of(x, 2, **how)
labels = np.array([0, 2, 1])

#: name: (function, inputs); the primitives of nn that each one stands for are found by running it
OF_NN = {
    "sigmoid": (fn.sigmoid, None),
    "relu": (fn.relu, None),
    "leaky_relu": (lambda x: fn.leaky_relu(x, 0.1), None),
    "elu": (lambda x: fn.elu(x, 1.5), None),
    "softplus": (lambda x: fn.softplus(x, 2.0), None),
    "silu": (fn.silu, None),
    "gelu": (fn.gelu, None),
    "gelu, by tanh": (lambda x: fn.gelu(x, approximate="tanh"), None),
    "mish": (fn.mish, None),
    "tanhshrink": (fn.tanhshrink, None),
    "softsign": (fn.softsign, of_shapes((3,), values=UNIT)),
    "hardtanh": (fn.hardtanh, None),
    "prelu": (fn.prelu, of_shapes((2, 3), (3,))),
    "softmax": (fn.softmax, of_shapes((2, 3))),
    "log_softmax": (lambda x: fn.log_softmax(x, 0), of_shapes((2, 3))),
    "layer_norm": (lambda x: fn.layer_norm(x, 3, eps=0.5), of_shapes((2, 3))),
    "logsumexp": (lambda x: fn.logsumexp(x, axis=(0, 1)), of_shapes((2, 3, 2))),
    "linear": (fn.linear, of_shapes((2, 3), (4, 3), (4,))),
    "mse_loss": (fn.mse_loss, of_shapes((2, 3), (2, 3))),
    "l1_loss": (fn.l1_loss, of_shapes((2, 3), (2, 3))),
    "binary_cross_entropy": (fn.binary_cross_entropy, of_shapes((3,), (3,), values=UNIT)),
    "binary_cross_entropy_with_logits": (
        lambda x, t: fn.binary_cross_entropy_with_logits(x, np.tanh(t) / 2 + 0.5),
        of_shapes((3,), (3,)),
    ),
    "cross_entropy": (lambda x: fn.cross_entropy(x, labels), of_shapes((3, 4))),
    "recurrence": (
        lambda a, w, b, *state: recurrence(a, w, b, None, *state, cell="LSTM"),
        of_shapes((2, 1, 4), (4, 1), (4,), (1, 1), (1, 1)),
    ),
    "conv2d": (conv(), images((2, 1, 4, 3), (2, 1, 2, 2))),
    "conv2d, strided": (conv(stride=2, padding=1, dilation=2), images((1, 1, 6, 5), (1, 1, 2, 2))),
    "conv2d, groups": (conv(groups=2), images((1, 2, 3, 3), (2, 1, 2, 2))),
    "max_pool2d": (pool(fn.max_pool2d, stride=1), images((1, 1, 3, 4))),
    "avg_pool2d": (pool(fn.avg_pool2d, padding=1), images((1, 1, 3, 4))),
}  # fmt: skip


@pytest.mark.parametrize("op", CASES, ids=name_of)
def test_operations_of_the_core(op):
    report = tgt.check_op(op, examples=EXAMPLES, order=ORDER)
    undecided = {r.property for r in report.results if r.verdict == "inconclusive"}
    assert report.verdict == "pass" or (op in UNDECIDED and undecided == {"second_order"})


@pytest.mark.parametrize("name", OF_NN)
def test_operations_of_nn(name):
    f, inputs = OF_NN[name]
    piecewise_linear = ("l1_loss", "relu", "hardtanh", "max_pool2d")
    order = 1 if name in piecewise_linear else 2
    report = tgt.check_op(f, inputs, examples=EXAMPLES, order=order, kwargs={})
    assert report.verdict == "pass", str(report)


def home(op: object) -> str:
    """Where an operation was defined; one of an example in the documentation is from nowhere."""
    module = getattr(op, "__module__", "numpy") or ""
    if module.startswith("tinygrad_lab"):
        return module if vars(sys.modules[module]).get(op.__name__) is op else ""
    return module


def test_no_rule_is_left_out():
    """A new rule without a check fails here."""
    # Recorded calls are checked by what is in them; the last is 0, whatever its slopes.
    covered = {*CASES, pick, bundle, recomputed, replayed, vanishing, watched}
    for f, inputs in OF_NN.values():
        covered |= operations_in(f, inputs)
    with_rules = {op for op, operation in OPERATIONS.items() if operation.vjps}
    ours = {op for op in with_rules if home(op).startswith(("numpy", "tinygrad_lab"))}
    missing = {name_of(op) for op in ours - covered if not name_of(op).startswith("_")}
    assert not missing, f"no check of {sorted(missing)}: add them to the catalogue, or to OF_NN"


def operations_in(f, inputs):
    """The operations of a function, of its gradient, and of its gradient's gradient."""
    shaped = [np.ones(2)] if inputs is None else example_of(inputs)
    leaves = [tl.tensor(x, requires_grad=True) for x in shaped]
    operations = set()
    ys = [f(*leaves)]
    for _ in range(3):
        for y in ys:
            operations |= {node.op for node in history([y.node])}
        total = sum(((y * y).sum() for y in ys), leaves[0].sum() * 0)
        ys = [g for g in tl.gradients(total, leaves, create_graph=True) if g.requires_grad]
    return operations


def example_of(inputs):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return inputs.example()


def test_recomputing_in_the_backward_pass():
    report = tgt.gradcheck(lambda x: tl.checkpoint(lambda a: np.sin(a) * a, x), np.ones(3), order=2)
    assert report.passed
