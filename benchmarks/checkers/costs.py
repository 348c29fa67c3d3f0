"""What checks cost: processor seconds, and calls of the function, of examples that pass and fail.

    python -m benchmarks.checkers.costs [WORD ...]    # all, or those with a word in the name

What Hypothesis draws is the same in every run.  With OPENBLAS_NUM_THREADS=1 before the command no
thread of BLAS waits for another, which counts as work where other programs run as well.

Not for: whether checks are right (the rest of this package).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import settings

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.judging.running import within

SECONDS = 2.0  # that no example is to take

EXAMPLES: dict[str, Callable[[], None]] = {}


def example(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Add an example."""

    def add(function: Callable[[], None]) -> Callable[[], None]:
        EXAMPLES[name] = function
        return function

    return add


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


# ---------------------------------------------------------------------------------------------
# At one point


@example("tanh at 9")
def _tanh() -> None:
    tgt.gradcheck(np.tanh, np.array([9.0]))


@example("sigmoid at 20")
def _sigmoid() -> None:
    tgt.gradcheck(tl.sigmoid, np.array([20.0]))


@example("1e6 sin(a) + 1e-5 sin(b), b's gradient negated")
def _large_beside_small() -> None:
    def vjp(g: Any, a: Any, b: Any) -> Any:
        return g * 1e6 * np.cos(a), -g * 1e-5 * np.cos(b)

    f = tgt.adapters.numpy(lambda a, b: 1e6 * np.sin(a).sum() + 1e-5 * np.sin(b).sum(), vjp)
    tgt.gradcheck(f, _random(4), _random(5))


@example("x.detach() inside")
def _detached() -> None:
    tgt.gradcheck(lambda x: np.sin(x) * x.detach() + x, _random(5))


@example("22 layers of sigmoids, 44 parameters")
def _layers() -> None:
    ws, bs = [_random(8, 8) / 2 for _ in range(22)], [_random(8) / 10 for _ in range(22)]

    def network(x: Any, *parameters: Any) -> Any:
        for w, b in zip(parameters[:22], parameters[22:], strict=True):
            x = tl.sigmoid(x @ w + b)
        return (x**2).sum()

    tgt.gradcheck(network, _random(4, 8), *ws, *bs)


@example("100,000 elements, right")
def _many() -> None:
    tgt.gradcheck(lambda x: np.sin(x).sum(), _random(100_000))


@example("one of 100,000 wrong, a primitive")
def _one_of_many() -> None:
    square = tl.primitive(lambda x: x * x)

    def rule(g: Any, _: Any, x: Any) -> Any:
        gradient = np.array(2 * g * x)
        gradient[54321] *= 1.5
        return gradient

    tl.defvjp(square, rule)
    tgt.gradcheck(square, _random(100_000))


@example("one of 100,000 wrong, by hand")
def _one_of_many_by_hand() -> None:
    def vjp(g: Any, x: Any) -> Any:
        gradient = 2 * g * x
        gradient[54321] *= 1.5
        return gradient

    tgt.gradcheck(tgt.adapters.numpy(lambda x: x * x, vjp), _random(100_000))


@example("one of 100,000 wrong, a loss by hand")
def _one_of_many_of_a_loss() -> None:
    def vjp(g: Any, x: Any) -> Any:
        gradient = g * np.cos(x)
        gradient[54321] *= 1.5
        return gradient

    tgt.gradcheck(tgt.adapters.numpy(lambda x: np.sin(x).sum(), vjp), _random(100_000))


@example("one row of a matrix of 300 by 300 wrong")
def _a_row_of_many() -> None:
    def vjp(g: Any, w: Any, x: Any) -> Any:
        dw = x.T @ g
        dw[17] *= 2
        return dw, g @ w.T

    f = tgt.adapters.numpy(lambda w, x: x @ w, vjp)
    tgt.gradcheck(f, _random(300, 300), _random(20, 300))


@example("second order of a wrong rule")
def _second_order() -> None:
    cube = tl.primitive(lambda x: x * x * x)
    square = tl.primitive(lambda x: x * x)
    tl.defvjp(square, lambda g, y, x: g * 2.5 * x)
    tl.defvjp(cube, lambda g, y, x: g * 3 * square(x))
    tgt.gradcheck(cube, _random(3), order=2)


@example("a wrong sign in log_sum_exp")
def _wrong_sign() -> None:
    log = tl.primitive(lambda x: np.log(x))
    tl.defvjp(log, lambda g, y, x: -g / x)
    tgt.gradcheck(lambda x: log(np.exp(x).sum()), _random(7))


@example("a missing factor in three layers by hand")
def _layer_by_hand() -> None:
    def forward(x: Any, w1: Any, w2: Any, w3: Any) -> Any:
        a1 = np.tanh(x @ w1)
        a2 = np.tanh(a1 @ w2)
        return a2 @ w3

    def backward(g: Any, x: Any, w1: Any, w2: Any, w3: Any) -> Any:
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


@example("at_kinks, median")
def _median() -> None:
    _at_kinks(lambda x, y: np.median(x * y))


@example("at_kinks, where")
def _where() -> None:
    _at_kinks(lambda x, y: np.where(x > y, x, y))


@example("at_kinks, max of maximum")
def _max() -> None:
    _at_kinks(lambda x, y: np.maximum(x, y).max())


@example("at_kinks, product of sorted")
def _sort() -> None:
    _at_kinks(lambda x, y: np.sort(x) * np.sort(y))


@example("at_kinks, clip")
def _clip() -> None:
    _at_kinks(lambda x, y: np.clip(x, -1, 1) * np.clip(y, 0, 1))


@example("at_kinks, two layers of relu")
def _relus() -> None:
    w, v = _random(3, 4), _random(4, 3)
    _at_kinks(lambda x, y: np.maximum(np.maximum(x @ w, 0) @ v + y, 0))


@example("at_kinks, wrong at ties")
def _wrong_at_ties() -> None:
    larger = tl.primitive(lambda x, y: np.maximum(x, y))
    tl.defvjp(larger, lambda g, r, x, y: g * (x >= y), lambda g, r, x, y: g * (y >= x))
    _at_kinks(lambda x, y: larger(x, y))


@example("tensors(2, broadcast=True), right")
def _broadcast() -> None:
    _tested(tgt.tensors(2, broadcast=True), lambda x, y: np.sin(x) * y)


@example("tensors(2, broadcast=True), a wrong sign")
def _broadcast_wrong() -> None:
    product = tl.primitive(lambda x, y: x * y)
    tl.defvjp(product, lambda g, r, x, y: g * y, lambda g, r, x, y: -g * x)
    _tested(tgt.tensors(2, broadcast=True), lambda x, y: product(x, y))


@example("check_op of tanh")
def _operation() -> None:
    tgt.check_op(np.tanh)


@example("check_op of matmul")
def _operation_of_two() -> None:
    tgt.check_op(np.matmul)


@example("check_op of a hypot that is wrong at equal sides")
def _hypot() -> None:
    hypot = tl.primitive(lambda x, y: np.hypot(x, y))
    tl.defvjp(
        hypot,
        lambda g, r, x, y: g * np.where(x == y, 1.0, x / r),
        lambda g, r, x, y: g * np.where(x == y, 1.0, y / r),
    )
    tgt.check_op(hypot, inputs=tgt.tensors(2, shape=(3,)))


# ---------------------------------------------------------------------------------------------


def spent(run: Callable[[], None]) -> tuple[float, int, str]:
    """Run an example; give processor seconds, calls forward and backward, and the verdict."""
    verdict, begin = "no failure", time.process_time()
    with within(None) as clock:
        try:
            run()
        except tgt.GradientError:
            verdict = "fail"
    return time.process_time() - begin, clock.calls, verdict


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
