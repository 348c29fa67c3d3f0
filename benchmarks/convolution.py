"""Convolution, forward and both gradients, float32, as a rate beside the machine's `np.matmul`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from benchmarks.timing import Runner, Workload
from benchmarks.windows import Windows


@dataclass(frozen=True)
class Case(Windows):
    """A batch of images, and filters (filters, c, k, k) over it."""

    filters: int = field(kw_only=True)

    @property
    def flops(self) -> float:
        """Return the additions and multiplications of forward and both gradients."""
        return 6.0 * self.n * self.filters * self.out**2 * self.c * self.k**2

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return input, weight and upstream gradient."""
        rng = np.random.default_rng(0)
        shapes = (
            (self.n, self.c, self.size, self.size),
            (self.filters, self.c, self.k, self.k),
            (self.n, self.filters, self.out, self.out),
        )
        x, w, g = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
        return x, w, g


CASES = (
    Case(32, 1, 28, 5, 1, 2, filters=8),
    Case(32, 8, 14, 5, 1, 2, filters=16),
    Case(32, 16, 32, 3, 1, 1, filters=32),
    Case(16, 64, 32, 3, 1, 1, filters=64),
    Case(16, 64, 32, 3, 2, 1, filters=64),
)


def by_hand(case: Case) -> Runner:
    """Return im2col over the whole batch, the columns copied tap by tap."""
    x, w, g = case.arrays()
    n, c, k, out, pad = case.n, case.c, case.k, case.out, case.padding
    reach = case.stride * (out - 1) + 1
    flat_w = w.reshape(case.filters, -1)

    def taps(padded):
        for i in range(k):
            for j in range(k):
                rows, columns = slice(i, i + reach), slice(j, j + reach)
                yield i, j, padded[:, :, rows, columns][..., :: case.stride, :: case.stride]

    def gradients():
        padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        columns = np.empty((n, c, k, k, out, out), np.float32)
        for i, j, window in taps(padded):
            columns[:, :, i, j] = window
        columns = columns.reshape(n, c * k * k, out * out)
        y = np.matmul(flat_w, columns)
        flat_g = g.reshape(y.shape)
        grad_w = np.matmul(flat_g, columns.transpose(0, 2, 1)).sum(axis=0)
        grad_columns = np.matmul(flat_w.T, flat_g).reshape(n, c, k, k, out, out)
        grad_padded = np.zeros_like(padded)
        for i, j, window in taps(grad_padded):
            window += grad_columns[:, :, i, j]
        inside = slice(pad, pad + case.size)
        return grad_padded[:, :, inside, inside], grad_w.reshape(w.shape)

    return Runner(gradients, gradients)


def ours(case: Case) -> Runner:
    """`tl.nn.functional.conv2d`."""
    import tinygrad_lab as tl

    x, w, g = case.arrays()

    def gradients():
        tx, tw = tl.Tensor(x, requires_grad=True), tl.Tensor(w, requires_grad=True)
        y = tl.nn.functional.conv2d(tx, tw, stride=case.stride, padding=case.padding)
        y.backward(g)
        return tx.grad, tw.grad

    return Runner(gradients, gradients)


def torch_eager(case: Case) -> Runner:
    """PyTorch, which calls oneDNN."""
    import torch

    x, w, g = (torch.from_numpy(a) for a in case.arrays())
    x.requires_grad_()
    w.requires_grad_()

    def step():
        y = torch.nn.functional.conv2d(x, w, stride=case.stride, padding=case.padding)
        return torch.autograd.grad(y, (x, w), g)

    return Runner(step, lambda: [gradient.numpy() for gradient in step()])


def mygrad_(case: Case) -> Runner:
    """MyGrad, its memory guard off."""
    import mygrad as mg

    x, w, g = case.arrays()

    def gradients():
        tx, tw = mg.tensor(x, copy=False), mg.tensor(w, copy=False)
        y = mg.nnet.layers.conv_nd(tx, tw, stride=case.stride, padding=case.padding)
        y.backward(g)
        return tx.grad, tw.grad

    def step():
        with mg.mem_guard_off:
            gradients()

    return Runner(step, gradients)


def jax_jit(case: Case) -> Runner:
    """JAX, compiled."""
    import jax
    import jax.numpy as jnp

    x, w, g = (jnp.asarray(a) for a in case.arrays())

    def loss(x, w):
        sides = [(case.padding, case.padding)] * 2
        y = jax.lax.conv_general_dilated(x, w, (case.stride, case.stride), sides)
        return (y * g).sum(), y

    differentiate = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))

    def step():
        return jax.block_until_ready(differentiate(x, w))

    return Runner(step, lambda: [np.asarray(gradient) for gradient in step()[0]])


def matmul() -> Runner:
    """The 2048³ product that tells what this machine can do."""
    a, b = np.random.default_rng(0).standard_normal((2, 2048, 2048), dtype=np.float32)
    return Runner(lambda: a @ b, list)


def workload(case: Case) -> Workload:
    """Return the workload of one case, named as in the table."""
    contenders: dict[str, Callable[[Case], Runner]] = {
        "NumPy im2col": by_hand,
        "tinygrad_lab": ours,
        "PyTorch": torch_eager,
        "MyGrad": mygrad_,
        "JAX jit": jax_jit,
    }
    if (case.size + 2 * case.padding - case.k) % case.stride:
        del contenders["MyGrad"]  # it refuses windows that do not end at the edge
    shape = f"{case.n},{case.c},{case.size},{case.size}"
    filters = f"{case.filters},{case.k},{case.stride},{case.padding}"
    return Workload(
        name=f"conv-{case.n}-{case.c}-{case.size}-{case.filters}-{case.k}-{case.stride}",
        title=f"convolution N,C,H,W = {shape}; filters,k,stride,pad = {filters}; float32",
        contenders={name: partial(build, case) for name, build in contenders.items()},
        tolerance=1e-4,
        flops=case.flops,
    )


WORKLOADS = (
    Workload(
        name="matmul",
        title="np.matmul 2048³, float32: what this machine can do",
        contenders={"np.matmul": matmul},
        tolerance=0.0,
        flops=2 * 2048.0**3,
    ),
    *(workload(case) for case in CASES),
)
