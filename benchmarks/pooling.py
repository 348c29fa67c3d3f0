"""Pooling, forward and gradient, float32."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from benchmarks.timing import Runner, Workload
from benchmarks.windows import Windows


@dataclass(frozen=True)
class Case(Windows):
    """Pooling of a batch of images."""

    kind: str = field(kw_only=True)  # "max" or "avg"

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return input and upstream gradient."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((self.n, self.c, self.size, self.size), dtype=np.float32)
        g = rng.standard_normal((self.n, self.c, self.out, self.out), dtype=np.float32)
        return x, g


CASES = tuple(
    Case(*sizes, kind=kind)
    for kind in ("max", "avg")
    for sizes in ((32, 8, 28, 2, 2, 0), (32, 16, 32, 2, 2, 0), (16, 64, 32, 3, 2, 1))
)


def by_hand(case: Case) -> Runner:
    """Return a loop over the taps of a window; no two elements tie for the largest here."""
    x, g = case.arrays()
    k, out, pad = case.k, case.out, case.padding
    reach = case.stride * (out - 1) + 1
    margins = ((0, 0), (0, 0), (pad, pad), (pad, pad))
    largest = case.kind == "max"

    def taps(padded):
        for i in range(k):
            for j in range(k):
                rows, columns = slice(i, i + reach), slice(j, j + reach)
                yield padded[:, :, rows, columns][:, :, :: case.stride, :: case.stride]

    def gradients():
        padded = np.pad(x, margins, constant_values=-np.inf if largest else 0.0)
        windows = list(taps(padded))
        y = windows[0].copy()
        for window in windows[1:]:
            (np.maximum if largest else np.add)(y, window, out=y)
        if not largest:
            y /= k * k
        grad_padded = np.zeros_like(padded)
        for window, to in zip(windows, taps(grad_padded), strict=True):
            to += g * (window == y) if largest else g / (k * k)
        inside = slice(pad, pad + case.size)
        return [grad_padded[:, :, inside, inside]]

    return Runner(gradients, gradients)


def ours(case: Case) -> Runner:
    """`tl.nn.functional.max_pool2d` and `avg_pool2d`."""
    import tinygrad_lab as tl

    x, g = case.arrays()
    pool = getattr(tl.nn.functional, f"{case.kind}_pool2d")

    def gradients():
        t = tl.Tensor(x, requires_grad=True)
        pool(t, case.k, case.stride, case.padding).backward(g)
        return [t.grad]

    return Runner(gradients, gradients)


def torch_eager(case: Case) -> Runner:
    """PyTorch."""
    import torch

    x, g = (torch.from_numpy(a) for a in case.arrays())
    x.requires_grad_()
    pool = getattr(torch.nn.functional, f"{case.kind}_pool2d")

    def step():
        return torch.autograd.grad(pool(x, case.k, case.stride, case.padding), x, g)

    return Runner(step, lambda: [gradient.numpy() for gradient in step()])


def jax_jit(case: Case) -> Runner:
    """JAX, compiled."""
    import jax
    import jax.numpy as jnp

    x, g = (jnp.asarray(a) for a in case.arrays())
    largest = case.kind == "max"
    combine, start = (jax.lax.max, -jnp.inf) if largest else (jax.lax.add, 0.0)
    window, strides = (1, 1, case.k, case.k), (1, 1, case.stride, case.stride)
    margins = ((0, 0), (0, 0), *[(case.padding, case.padding)] * 2)
    divisor = 1.0 if largest else float(case.k**2)

    def loss(x, g):
        y = jax.lax.reduce_window(x, start, combine, window, strides, margins) / divisor
        return (y * g).sum(), y

    differentiate = jax.jit(jax.grad(loss, has_aux=True))

    def step():
        return jax.block_until_ready(differentiate(x, g))

    return Runner(step, lambda: [np.asarray(step()[0])])


def mygrad_(case: Case) -> Runner:
    """MyGrad, its memory guard off; it has max pooling alone."""
    import mygrad as mg

    x, g = case.arrays()

    def gradients():
        t = mg.tensor(x, copy=False)
        mg.nnet.layers.max_pool(t, (case.k, case.k), case.stride).backward(g)
        return [t.grad]

    def step():
        with mg.mem_guard_off:
            gradients()

    return Runner(step, gradients)


def workload(case: Case) -> Workload:
    """Return the workload of one case, named as in the table."""
    contenders: dict[str, Callable[[Case], Runner]] = {
        "NumPy by taps": by_hand,
        "tinygrad_lab": ours,
        "PyTorch": torch_eager,
        "MyGrad": mygrad_,
        "JAX jit": jax_jit,
    }
    if case.kind == "avg" or case.padding:
        del contenders["MyGrad"]
    shape = f"{case.n},{case.c},{case.size},{case.size}"
    window = f"{case.k},{case.stride},{case.padding}"
    return Workload(
        name=f"pool-{case.kind}-{case.n}-{case.c}-{case.size}-{case.k}-{case.stride}",
        title=f"{case.kind} pooling N,C,H,W = {shape}; k,stride,pad = {window}; float32",
        contenders={name: partial(build, case) for name, build in contenders.items()},
        tolerance=1e-5,
    )


WORKLOADS = tuple(workload(case) for case in CASES)
