"""What checks cost: processor seconds, and calls of the function, of examples that pass and fail.

    python -m benchmarks.checkers.costs [WORD ...]    # all of them, or those with a word in the name

What Hypothesis draws is the same in every run.  With OPENBLAS_NUM_THREADS=1 before the command no
thread of BLAS waits for another, which counts as work where other programs run as well.

Not for: whether checks are right (the rest of this package).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import settings

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.judging.subject import Subject

SECONDS = 2.0  # that no example is to take

EXAMPLES: dict[str, Callable[[], object]] = {}


def example(function: Callable[[], object]) -> Callable[[], object]:
    """Add an example, which is called by its first line."""
    EXAMPLES[(function.__doc__ or "").strip().rstrip(".")] = function
    return function


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


# ---------------------------------------------------------------------------------------------
# At one point


@example
def _tanh() -> None:
    """tanh at 9."""
    tgt.gradcheck(np.tanh, np.array([9.0]))


@example
def _sigmoid() -> None:
    """sigmoid at 20."""
    tgt.gradcheck(tl.sigmoid, np.array([20.0]))


@example
def _large_beside_small() -> None:
    """1e6 sin(a) + 1e-5 sin(b), b's gradient negated."""

    def vjp(g, a, b):
        return g * 1e6 * np.cos(a), -g * 1e-5 * np.cos(b)

    f = tgt.adapters.numpy(lambda a, b: 1e6 * np.sin(a).sum() + 1e-5 * np.sin(b).sum(), vjp)
    tgt.gradcheck(f, _random(4), _random(5))


@example
def _detached() -> None:
    """x.detach() inside."""
    tgt.gradcheck(lambda x: np.sin(x) * x.detach() + x, _random(5))


@example
def _layers() -> None:
    """22 layers of sigmoids, 44 parameters."""
    ws, bs = [_random(8, 8) / 2 for _ in range(22)], [_random(8) / 10 for _ in range(22)]

    def network(x, *parameters):
        for w, b in zip(parameters[:22], parameters[22:], strict=True):
            x = tl.sigmoid(x @ w + b)
        return (x**2).sum()

    tgt.gradcheck(network, _random(4, 8), *ws, *bs)


@example
def _many() -> None:
    """100,000 elements, right."""
    tgt.gradcheck(lambda x: np.sin(x).sum(), _random(100_000))


@example
def _one_of_many() -> None:
    """one of 100,000 wrong, a primitive."""
    square = tl.primitive(lambda x: x * x)

    def rule(g, y, x):
        gradient = np.array(2 * g * x)
        gradient[54321] *= 1.5
        return gradient

    tl.defvjp(square, rule)
    tgt.gradcheck(square, _random(100_000))


@example
def _one_of_many_by_hand() -> None:
    """one of 100,000 wrong, by hand."""

    def vjp(g, x):
        gradient = 2 * g * x
        gradient[54321] *= 1.5
        return gradient

    tgt.gradcheck(tgt.adapters.numpy(lambda x: x * x, vjp), _random(100_000))


@example
def _one_of_many_of_a_loss() -> None:
    """one of 100,000 wrong, a loss by hand."""

    def vjp(g, x):
        gradient = g * np.cos(x)
        gradient[54321] *= 1.5
        return gradient

    tgt.gradcheck(tgt.adapters.numpy(lambda x: np.sin(x).sum(), vjp), _random(100_000))


@example
def _a_row_of_many() -> None:
    """one row of a matrix of 300 by 300 wrong."""

    def vjp(g, w, x):
        dw = x.T @ g
        dw[17] *= 2
        return dw, g @ w.T

    f = tgt.adapters.numpy(lambda w, x: x @ w, vjp)
    tgt.gradcheck(f, _random(300, 300), _random(20, 300))


@example
def _second_order() -> None:
    """second order of a wrong rule."""
    cube = tl.primitive(lambda x: x * x * x)
    square = tl.primitive(lambda x: x * x)
    tl.defvjp(square, lambda g, y, x: g * 2.5 * x)
    tl.defvjp(cube, lambda g, y, x: g * 3 * square(x))
    tgt.gradcheck(cube, _random(3), order=2)


@example
def _wrong_sign() -> None:
    """a wrong sign in log_sum_exp."""
    log = tl.primitive(lambda x: np.log(x))
    tl.defvjp(log, lambda g, y, x: -g / x)
    tgt.gradcheck(lambda x: log(np.exp(x).sum()), _random(7))


@example
def _layer_by_hand() -> None:
    """a missing factor in three layers by hand."""

    def forward(x, w1, w2, w3):
        a1 = np.tanh(x @ w1)
        a2 = np.tanh(a1 @ w2)
        return a2 @ w3

    def backward(g, x, w1, w2, w3):
        a1 = np.tanh(x @ w1)
        a2 = np.tanh(a1 @ w2)
        dw3 = a2.T @ g
        dz2 = g @ w3.T  # times 1 - a2**2
        dw2 = a1.T @ dz2
        dz1 = (dz2 @ w2.T) * (1 - a1**2)
        return dz1 @ w1.T, x.T @ dz1, dw2, dw3

    f = tgt.adapters.numpy(forward, backward)
    tgt.gradcheck(f, _random(6, 5), _random(5, 8) / 2, _random(8, 7) / 2, _random(7, 3) / 2)


# ---------------------------------------------------------------------------------------------
# At generated points


def _tested(inputs: object, function: Callable[..., object]) -> None:
    how = settings(derandomize=True, database=None)
    tgt.gradtest(inputs, using=how)(function)()


def _at_kinks(function: Callable[..., object]) -> None:
    _tested(tgt.at_kinks(2, shape=(3,)), function)


@example
def _median() -> None:
    """at_kinks, median."""
    _at_kinks(lambda x, y: np.median(x * y))


@example
def _where() -> None:
    """at_kinks, where."""
    _at_kinks(lambda x, y: np.where(x > y, x, y))


@example
def _max() -> None:
    """at_kinks, max of maximum."""
    _at_kinks(lambda x, y: np.maximum(x, y).max())


@example
def _sort() -> None:
    """at_kinks, product of sorted."""
    _at_kinks(lambda x, y: np.sort(x) * np.sort(y))


@example
def _clip() -> None:
    """at_kinks, clip."""
    _at_kinks(lambda x, y: np.clip(x, -1, 1) * np.clip(y, 0, 1))


@example
def _relus() -> None:
    """at_kinks, two layers of relu."""
    w, v = _random(3, 4), _random(4, 3)
    _at_kinks(lambda x, y: np.maximum(np.maximum(x @ w, 0) @ v + y, 0))


@example
def _wrong_at_ties() -> None:
    """at_kinks, wrong at ties."""
    larger = tl.primitive(lambda x, y: np.maximum(x, y))
    tl.defvjp(larger, lambda g, r, x, y: g * (x >= y), lambda g, r, x, y: g * (y >= x))
    _at_kinks(lambda x, y: larger(x, y))


@example
def _broadcast() -> None:
    """tensors(2, broadcast=True), right."""
    _tested(tgt.tensors(2, broadcast=True), lambda x, y: np.sin(x) * y)


@example
def _broadcast_wrong() -> None:
    """tensors(2, broadcast=True), a wrong sign."""
    product = tl.primitive(lambda x, y: x * y)
    tl.defvjp(product, lambda g, r, x, y: g * y, lambda g, r, x, y: -g * x)
    _tested(tgt.tensors(2, broadcast=True), lambda x, y: product(x, y))


@example
def _operation() -> None:
    """check_op of tanh."""
    tgt.check_op(np.tanh)


@example
def _operation_of_two() -> None:
    """check_op of matmul."""
    tgt.check_op(np.matmul)


@example
def _hypot() -> None:
    """check_op of a hypot that is wrong at equal sides."""
    hypot = tl.primitive(lambda x, y: np.hypot(x, y))
    tl.defvjp(
        hypot,
        lambda g, r, x, y: g * np.where(x == y, 1.0, x / r),
        lambda g, r, x, y: g * np.where(x == y, 1.0, y / r),
    )
    tgt.check_op(hypot, inputs=tgt.tensors(2, shape=(3,)))


# ---------------------------------------------------------------------------------------------


def spent(run: Callable[[], object]) -> tuple[float, int, str]:
    """Run an example; give processor seconds, calls of the function, and the verdict."""
    calls = 0
    evaluate, record = Subject.evaluate, Subject.record

    def counting(method):
        def counted(self, inputs):
            nonlocal calls
            calls += 1
            return method(self, inputs)

        return counted

    Subject.evaluate, Subject.record = counting(evaluate), counting(record)
    verdict, begin = "no failure", time.process_time()
    try:
        run()
    except tgt.GradientError:
        verdict = "fail"
    finally:
        seconds = time.process_time() - begin
        Subject.evaluate, Subject.record = evaluate, record
    return seconds, calls, verdict


def main(words: Sequence[str]) -> int:
    """Print the table; 1 where an example takes longer than it is to."""
    tgt.gradcheck(np.tanh, np.ones(2))  # what is loaded once is not counted
    print("| example | s | calls | |", "|---|---|---|---|", sep="\n")
    slowest = 0.0
    for name, run in EXAMPLES.items():
        if not words or any(word in name for word in words):
            seconds, calls, verdict = spent(run)
            slowest = max(slowest, seconds)
            print(f"| {name} | {seconds:.2f} | {calls:,} | {verdict} |", flush=True)
    return int(slowest > SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
