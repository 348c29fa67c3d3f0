"""The mistakes of this folder: how each is adapted and checked, and what must be said of it.

Not for: the mistakes themselves, which are in a file for each library.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tests.testing.wild import (
    cs231n,
    deep_learning_from_scratch,
    labs,
    ml_from_scratch,
    numpy_ml,
    small_pebble,
)
from tinygrad_lab import testing as tgt


@dataclass(frozen=True)
class Case:
    """A mistake: where it is, its right twin, the glue that checks it, and what is said of it."""

    module: ModuleType
    wrong: str
    right: str
    glue: str  # with the name of the wrong one in it; x, words and so on are below
    kind: str
    named: str  # of the inputs, the first that is wrong
    said: tuple[str, ...]
    shown: tuple[str, ...] = ()  # what else the page shows of the file

    def check(self, right: bool = False) -> tgt.GradReport:
        """Check the mistake, or in its place the right twin."""
        replaced = getattr(self.module, self.right if right else self.wrong)
        names: dict[str, Any] = {**vars(self.module), **INPUTS, self.wrong: replaced}
        *before, last = self.glue.splitlines()
        exec("\n".join(before), names)
        return eval(last, names)

    def markdown(self) -> str:
        """Write what the page shows: the code, the glue, the message."""
        names = (*self.shown, self.wrong)
        code = "\n\n".join(inspect.getsource(getattr(self.module, name)) for name in names)
        try:
            self.check()
        except tgt.GradientError as error:
            said = f"GradientError: {error}"
        return f"```py\n{code}\n\n{self.glue}\n```\n\n```text\n{said.strip()}\n```\n"


INPUTS = {
    "np": np,
    "tgt": tgt,
    "x": np.array([[0.13, -0.53, 0.64], [1.1, -0.54, 0.36]]),
    "image": np.random.default_rng(0).normal(size=(4, 4)).round(2),
    "sequence": np.random.default_rng(1).normal(size=(4, 3)).round(2),
    "words": np.array([[0, 1, 1], [2, 2, 4]]),
    "labels": np.array([2, 0]),
}

CASES = {
    "gelu": Case(
        numpy_ml, "Gelu", "RightGelu", 'tgt.gradcheck(tgt.adapters.layer(Gelu, forward="fn"), x)',
        "wrong", "x", ("a difference of", "numpy_ml.py:20: return 0.5"),
    ),
    "embedding": Case(
        numpy_ml, "PooledEmbedding", "RightPooledEmbedding",
        "tgt.gradcheck(tgt.adapters.layer(PooledEmbedding), words)",
        "wrong", "W", (
            "all of W[1:3, :] is wrong", "contributions to a place overwritten, not added",
        ),
    ),
    "max pool": Case(
        numpy_ml, "MaxPool", "RightMaxPool", "tgt.gradcheck(tgt.adapters.layer(MaxPool), image)",
        "wrong", "x", ("elements are wrong, the rest of x is right",),
    ),
    "recurrent": Case(
        ml_from_scratch, "Recurrent", "RightRecurrent",
        "tgt.gradcheck(tgt.adapters.layer(Recurrent), sequence)",
        "wrong", "X", (
            "all of X[:3, :] is wrong",
            "only those at the same index of axis 0 are used",
            "first wrong line: ml_from_scratch.py:27: dX[t] = d @ self.U.T",
        ),
    ),
    "softmax": Case(
        ml_from_scratch, "Softmax", "RightSoftmax", "tgt.gradcheck(tgt.adapters.layer(Softmax), x)",
        "wrong", "X", ("only the diagonal of the Jacobian is used", "first wrong line"),
    ),
    "up": Case(
        ml_from_scratch, "UpSampling", "RightUpSampling",
        "tgt.gradcheck(tgt.adapters.layer(UpSampling), x)",
        "wrong", "X", ("of several contributions to a place the first one alone is kept",),
    ),
    "relu": Case(
        deep_learning_from_scratch, "Relu", "RightRelu",
        "tgt.gradcheck(tgt.adapters.layer(Relu), x)",
        "mutates upstream", "", ("writes into its upstream", "dout[self.off] = 0"),
    ),
    "loss": Case(
        deep_learning_from_scratch, "SoftmaxWithLoss", "RightSoftmaxWithLoss",
        "tgt.gradcheck(tgt.adapters.layer(SoftmaxWithLoss), x, labels)",
        "nonlinear", "x", ("the upstream is ignored",),
    ),
    "setat": Case(
        small_pebble, "gradients_of_setat", "right_gradients_of_setat",
        "mine = tgt.adapters.numpy(setat, gradients_of_setat)\n"
        "tgt.gradcheck(mine, x[0], np.array([0, 2]), np.array([1.5, -0.5]))",
        "wrong", "b", (
            "zero everywhere: the gradient does not arrive here",
            "writes into its upstream or its inputs, in small_pebble.py:18: g[indices] = 0",
        ),
        shown=("setat",),
    ),
    "regularisation": Case(
        cs231n, "softmax_loss", "right_softmax_loss",
        "mine = tgt.adapters.numpy(loss_and_grads=softmax_loss)\n"
        "tgt.gradcheck(mine, np.random.default_rng(1).normal(size=(4, 3)))",
        "wrong", "W", (
            "the term 0.1 * W is missing",
            "first wrong line: cs231n.py:23: dW += REG * W",
        ),
    ),
    "slope": Case(
        labs, "without_the_slope", "with_the_slope",
        "mine = tgt.adapters.numpy(loss, grad=without_the_slope)\n"
        "tgt.gradcheck(mine, W1, b1, W2, b2)",
        "wrong", "W1", ("first wrong line: labs.py:26: dZ2 = (A2 - Y) / len(X)",),
        shown=("loss",),
    ),
    "batch": Case(
        labs, "step_of_sums", "step_of_means",
        "mine = tgt.adapters.numpy(loss, update=step_of_sums, rate=0.5)\n"
        "tgt.gradcheck(mine, W1, b1, W2, b2)",
        "wrong", "W1", (
            "not divided by 6, the number of rows of X",
            "one factor mends the gradients by W1 and W2; those by b1 and b2 are right",
        ),
    ),
    "shared": Case(
        labs, "Network", "RightNetwork", "tgt.gradcheck(tgt.adapters.layer(Network), X)",
        "wrong", "x", ("first wrong line: labs.py:71: return dout * (1 - self.y**2)",),
        shown=("Tanh",),
    ),
    "transpose": Case(
        labs, "Square", "RightSquare", "tgt.gradcheck(tgt.adapters.layer(Square), X)",
        "wrong", "x", ("the Jacobian is not transposed", "first wrong line: labs.py:127"),
    ),
}  # fmt: skip
