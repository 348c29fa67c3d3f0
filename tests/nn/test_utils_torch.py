"""Parameters computed from others, beside PyTorch's: state both ways, values, gradients."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tinygrad_lab import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

LINEAR, CONV = (lambda of: of.Linear(3, 4)), (lambda of: of.Conv2d(2, 3, 2))
SQUARE = lambda of: of.Linear(3, 3)
CALLS = {
    "weight_norm": (LINEAR, lambda u, m: u.weight_norm(m)),
    "weight_norm, whole": (CONV, lambda u, m: u.weight_norm(m, dim=None)),
    "weight_norm, axis 1": (CONV, lambda u, m: u.weight_norm(m, dim=1)),
    "spectral_norm": (LINEAR, lambda u, m: u.spectral_norm(m)),
    "spectral_norm, axis 1": (CONV, lambda u, m: u.spectral_norm(m, dim=1, n_power_iterations=3)),
    "new weight_norm": (CONV, lambda u, m: u.parametrizations.weight_norm(m)),
    "new spectral_norm": (CONV, lambda u, m: u.parametrizations.spectral_norm(m)),
    "new spectral_norm of a bias": (
        LINEAR, lambda u, m: u.parametrizations.spectral_norm(m, "bias")
    ),
}  # fmt: skip
for chosen in ("matrix_exp", "cayley", "householder"):
    for which, layer in (
        ("square", SQUARE),
        ("tall", LINEAR),
        ("wide", lambda of: of.Linear(4, 2)),
    ):
        for base in (True, False):
            CALLS[f"{chosen}, {which}, base={base}"] = (
                layer,
                lambda u, m, chosen=chosen, base=base: u.parametrizations.orthogonal(
                    m, orthogonal_map=chosen, use_trivialization=base
                ),
            )


def states(layer):
    return {k: np.asarray(v) for k, v in layer.state_dict().items()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", CALLS)
def test_values_gradients_and_states(name, training):
    make, call = CALLS[name]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # weight_norm and spectral_norm are kept for older models
        theirs = make(torch.nn).double()
        if "matrix_exp" in name or "cayley" in name:
            theirs.weight.data *= 2
        if name.startswith("householder"):  # at the weight itself both begin alike
            torch.nn.init.orthogonal_(theirs.weight)
        theirs = call(torch.nn.utils, theirs).train(training)
    ours = call(nn.utils, make(nn)).train(training)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).normal(
        size=(5, 2, 3, 3) if make is CONV else (5, theirs.in_features)
    )
    for _ in range(2):
        y, z = ours(x), theirs(torch.tensor(x))
        np.testing.assert_allclose(y.data, z.numpy(force=True), rtol=1e-10, atol=1e-10)
    (y**2).sum().backward()
    (z**2).sum().backward()
    gradients = {k: p.grad.numpy() for k, p in theirs.named_parameters() if p.grad is not None}
    for key, p in ours.named_parameters():
        expected = gradients.get(key, np.zeros(p.shape))
        np.testing.assert_allclose(p.grad, expected, rtol=1e-9, atol=1e-9, err_msg=key)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    for key, value in states(theirs).items():
        np.testing.assert_allclose(states(ours)[key], value, rtol=1e-12, atol=1e-12)
