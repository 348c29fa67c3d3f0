"""Running statistics beside PyTorch's, after several batches, and states both ways."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_lab import nn
from tinygrad_lab.nn import functional as F

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

SHAPES = {"1d": (4, 3, 5), "2d": (4, 3, 2, 5), "3d": (4, 3, 2, 2, 3)}


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize("kind", ["BatchNorm", "InstanceNorm"])
def test_running_statistics(kind, axes, momentum):
    options = {"momentum": momentum, "affine": True, "track_running_stats": True}
    ours = getattr(nn, kind + axes)(3, **options)
    theirs = getattr(torch.nn, kind + axes)(3, **options).double()
    assert repr(ours) == repr(theirs)
    rng = np.random.default_rng(0)
    for _ in range(3):
        x = rng.normal(size=SHAPES[axes]) * 3 + 1
        np.testing.assert_allclose(
            ours(x).data, theirs(torch.tensor(x)).numpy(force=True), rtol=1e-12, atol=1e-12
        )
    expected = {k: v.numpy() for k, v in theirs.state_dict().items()}
    assert list(expected) == list(ours.state_dict())
    for key, value in ours.state_dict().items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-12, err_msg=key)
        assert value.dtype == expected[key].dtype
    other = getattr(nn, kind + axes)(3, **options).eval()
    other.load_state_dict(theirs.state_dict())
    theirs.eval()
    np.testing.assert_allclose(
        other(x).data, theirs(torch.tensor(x)).numpy(force=True), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("far", [1e2, 1e4, 1e5])
def test_far_from_zero_the_error_is_no_larger_than_pytorchs(far):
    x = (np.random.default_rng(0).normal(size=(64, 16, 32)) + far).astype(np.float32)
    exact = x.astype(float)
    calls = {
        "batch_norm": (
            lambda x: F.batch_norm(x, None, None, training=True),
            lambda x: torch.nn.functional.batch_norm(x, None, None, training=True),
            (0, 2),
        ),
        "layer_norm": (
            lambda x: F.layer_norm(x, 32), lambda x: torch.nn.functional.layer_norm(x, (32,)), (2,),
        ),
        "group_norm": (
            lambda x: F.group_norm(x, 16), lambda x: torch.nn.functional.group_norm(x, 16), (2,),
        ),
    }  # fmt: skip
    for name, (ours, theirs, axes) in calls.items():
        centered = exact - exact.mean(axes, keepdims=True)
        right = centered / np.sqrt((centered**2).mean(axes, keepdims=True) + 1e-5)
        error = np.abs(ours(x) - right).max()
        assert error <= max(np.abs(theirs(torch.tensor(x)).numpy() - right).max(), 2e-6), name
