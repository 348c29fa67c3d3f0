"""Linear algebra and Fourier transforms of real and complex arrays, beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

linalg = np.linalg
CASES: dict[str, tuple[Any, Any, tuple[tuple[int, ...], ...]]] = {
    "det": (linalg.det, torch.linalg.det, ((2, 3, 3),)),
    "logabsdet": (lambda a: linalg.slogdet(a)[1], lambda a: torch.linalg.slogdet(a)[1], ((3, 3),)),
    "sign": (lambda a: linalg.slogdet(a)[0], lambda a: torch.linalg.slogdet(a)[0], ((3, 3),)),
    "inv": (linalg.inv, torch.linalg.inv, ((2, 3, 3),)),
    "solve": (linalg.solve, torch.linalg.solve, ((2, 3, 3), (2, 3, 2))),
    "pinv tall": (linalg.pinv, torch.linalg.pinv, ((4, 2),)),
    "pinv wide": (linalg.pinv, torch.linalg.pinv, ((2, 4),)),
    "lstsq": (
        lambda a, b: linalg.lstsq(a, b)[0],
        lambda a, b: torch.linalg.lstsq(a, b)[0],
        ((4, 2), (4, 3)),
    ),
    "cholesky": (
        lambda a: linalg.cholesky(a @ np.conj(a.mT) + np.eye(3)),
        lambda a: torch.linalg.cholesky(a @ a.mH + torch.eye(3)),
        ((2, 3, 3),),
    ),
    "qr q": (lambda a: linalg.qr(a)[0], lambda a: torch.linalg.qr(a)[0], ((4, 3),)),
    "qr r": (lambda a: linalg.qr(a)[1], lambda a: torch.linalg.qr(a)[1], ((2, 4, 3),)),
    "qr wide": (lambda a: linalg.qr(a)[1], lambda a: torch.linalg.qr(a)[1], ((2, 4),)),
    "eigvalsh": (
        lambda a: linalg.eigvalsh(a + np.conj(a.mT)),
        lambda a: torch.linalg.eigvalsh(a + a.mH),
        ((2, 3, 3),),
    ),
    "eigh projector": (
        lambda a: (lambda v: v[..., :, :1] @ np.conj(v[..., :, :1].mT))(
            linalg.eigh(a + np.conj(a.mT))[1]
        ),
        lambda a: (lambda v: v[..., :, :1] @ v[..., :, :1].mH)(torch.linalg.eigh(a + a.mH)[1]),
        ((2, 3, 3),),
    ),
    "eig sizes": (
        lambda a: np.abs(linalg.eig(a)[1]),
        lambda a: torch.linalg.eig(a)[1].abs(),
        ((3, 3),),
    ),
    "eig sum": (
        lambda a: np.sum(linalg.eigvals(a) ** 3).real,
        lambda a: (torch.linalg.eigvals(a) ** 3).sum().real,
        ((3, 3),),
    ),
    "svdvals": (linalg.svdvals, torch.linalg.svdvals, ((2, 4, 3),)),
    "svd product": (
        lambda a: (lambda u, s, v: u[..., :1] @ v[..., :1, :])(*linalg.svd(a, full_matrices=False)),
        lambda a: (lambda u, s, v: u[..., :1] @ v[..., :1, :])(
            *torch.linalg.svd(a, full_matrices=False)
        ),
        ((4, 3),),
    ),
    "norm": (linalg.norm, torch.linalg.norm, ((4, 3),)),
    "norm 3": (
        lambda a: linalg.norm(a, 3, axis=-1),
        lambda a: torch.linalg.norm(a, 3, dim=-1),
        ((4, 3),),
    ),
    "nuclear": (lambda a: linalg.norm(a, "nuc"), lambda a: torch.linalg.norm(a, "nuc"), ((4, 3),)),
    "vecdot": (np.vecdot, torch.linalg.vecdot, ((2, 3), (3,))),
    "vdot": (np.vdot, torch.vdot, ((3,), (3,))),
    "matrix_power": (
        lambda a: linalg.matrix_power(a, -3),
        lambda a: torch.linalg.matrix_power(a, -3),
        ((3, 3),),
    ),
    "kron": (np.kron, torch.kron, ((2, 2), (3, 2))),
    "cross": (np.cross, torch.linalg.cross, ((2, 3), (2, 3))),
    "fft": (
        lambda a: np.fft.fft(a, 5, -2, "ortho"),
        lambda a: torch.fft.fft(a, 5, -2, "ortho"),
        ((4, 3),),
    ),
    "ifftn": (np.fft.ifftn, torch.fft.ifftn, ((4, 3),)),
    "irfft": (lambda a: np.fft.irfft(a, 5), lambda a: torch.fft.irfft(a, 5), ((4, 3),)),
    "irfft2": (np.fft.irfft2, torch.fft.irfft2, ((4, 3),)),
    "hfft": (np.fft.hfft, torch.fft.hfft, ((4, 3),)),
    "std": (lambda a: np.std(a, axis=0, ddof=1), lambda a: torch.std(a, dim=0), ((4, 3),)),
    "prod": (lambda a: np.prod(a, axis=0), lambda a: torch.prod(a, dim=0), ((4, 3),)),
    "cumprod": (lambda a: np.cumprod(a, axis=0), lambda a: torch.cumprod(a, dim=0), ((4, 3),)),
    "power": (lambda a, p: np.power(a * a, p), lambda a, p: torch.pow(a * a, p), ((3,), (3,))),
    "var": (lambda a: np.var(a, axis=0), lambda a: torch.var(a, dim=0, correction=0), ((4, 3),)),
    "convolve": (
        np.convolve,
        lambda a, v: torch.nn.functional.conv1d(a[None, None], v.flip(0)[None, None], padding=2)[
            0, 0
        ],
        ((4,), (3,)),
    ),
}


def draw(shape: tuple[int, ...], dtype: Any, rng: np.random.Generator) -> Any:
    real = rng.normal(size=shape)
    return (real + 1j * rng.normal(size=shape)).astype(dtype) if dtype is complex else real


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("name", CASES)
def test_value_and_both_orders(name: str, dtype: Any):
    ours, theirs, shapes = CASES[name]
    rng = np.random.default_rng(sum(map(ord, name)))
    data = [draw(shape, dtype, rng) for shape in shapes]
    a = [tl.tensor(x, requires_grad=True) for x in data]
    b = [torch.tensor(x, requires_grad=True) for x in data]
    y, z = ours(*a), theirs(*b)
    np.testing.assert_allclose(y.data, z.detach().resolve_conj().numpy(), rtol=1e-9, atol=1e-9)
    if name == "sign" and dtype is float:
        assert not np.any(tl.gradients(y, a[0], np.ones_like(y.data)))
        return
    upstream = draw(y.shape, complex if y.dtype.kind == "c" else float, rng)
    first = tl.gradients(y, a, upstream, create_graph=True)
    second = torch.autograd.grad(z, b, torch.tensor(upstream), create_graph=True)
    for g, h in zip(first, second, strict=True):
        np.testing.assert_allclose(g.data, h.detach().resolve_conj().numpy(), rtol=1e-8, atol=1e-8)
    other = sum((h.abs() ** 2).sum() for h in second)
    if not other.requires_grad:
        return
    square = sum((np.abs(g) ** 2).sum() for g in first)
    expected = torch.autograd.grad(other, b, materialize_grads=True)
    for g, h in zip(tl.gradients(square, a), expected, strict=True):
        h = h.detach().resolve_conj().numpy()
        np.testing.assert_allclose(g, h, rtol=1e-7, atol=1e-7 * (1 + np.max(np.abs(h))))
