"""Activations, and softmax and its relatives."""

from __future__ import annotations

import numpy as np

from tests.nn.cases import Case, apart, grid

X = apart(2, 3, low=-4, high=4)  # on both sides of each kink
IMAGE = apart(2, 2, 2, 1)
#: Functions of each element without options but inplace, and their layers.
PLAIN = {
    "celu": "CELU", "elu": "ELU", "gelu": "GELU", "hardshrink": "Hardshrink",
    "hardsigmoid": "Hardsigmoid", "hardswish": "Hardswish", "hardtanh": "Hardtanh",
    "leaky_relu": "LeakyReLU", "logsigmoid": "LogSigmoid", "mish": "Mish", "relu": "ReLU",
    "relu6": "ReLU6", "selu": "SELU", "sigmoid": "Sigmoid", "silu": "SiLU", "softplus": "Softplus",
    "softshrink": "Softshrink", "softsign": "Softsign", "tanh": "Tanh", "tanhshrink": "Tanhshrink",
}  # fmt: skip
#: PyTorch has no second derivative of it, and a float32 for one sixth.
ROUGH = {"hardsigmoid": {"order": 1, "tolerance": 1e-7}}

CASES = [
    *(Case(name, (X,), **ROUGH.get(name, {})) for name in PLAIN),
    *(Case(layer, (X,), **ROUGH.get(name, {})) for name, layer in PLAIN.items()),
    Case("celu", (X,), options={"alpha": 2.0}),
    Case("celu", (X,), options={"alpha": -0.5}),
    Case("elu", (X,), options={"alpha": 1.5, "inplace": False}),
    Case("ELU", (X,), (1.5,)),
    Case("gelu", (X,), options={"approximate": "tanh"}),
    Case("GELU", (X,), ("tanh",)),
    Case("hardshrink", (X,), options={"lambd": 1.0}),
    Case("softshrink", (X,), options={"lambd": 1.0}),
    Case("Softshrink", (X,), (1.0,)),
    Case("hardtanh", (X,), options={"min_val": -2.0, "max_val": 0.5}),
    Case("Hardtanh", (X,), (-2.0, 0.5)),
    Case("leaky_relu", (X,), options={"negative_slope": 0.2}),
    Case("LeakyReLU", (X,), (0.2,)),
    *grid("softplus", X, beta=[1.0, 3.0], threshold=[20.0, 2.0]),
    Case("Softplus", (X,), options={"beta": 2.0, "threshold": 1.0}),
    Case("threshold", (X,), options={"threshold": 0.1, "value": -1.5}),
    Case("Threshold", (X,), (0.1, -1.5)),
    Case("prelu", (apart(2, 2), np.array([0.25]))),
    Case("prelu", (IMAGE, np.array([0.25, -0.5]))),
    Case("prelu", (apart(3), np.array([0.25]))),
    Case("PReLU", (X,)),
    Case("PReLU", (IMAGE,), (2,)),
    Case("rrelu", (X,), options={"lower": 0.25, "upper": 0.5}),
    Case("RReLU", (X,), (0.25, 0.5), training=False),
    *grid("glu", IMAGE, dim=[0, -2]),
    Case("glu", (apart(2, 4),)),
    Case("GLU", (apart(2, 4),)),
    Case("GLU", (IMAGE,), (1,)),
    *(
        case
        for name in ("softmax", "softmin", "log_softmax")
        for case in (Case(name, (X,), options={"dim": 1}), *grid(name, IMAGE, dim=[0, -2]))
    ),
    *(Case(layer, (X,), (0,)) for layer in ("Softmax", "Softmin", "LogSoftmax")),
    Case("Softmax2d", (IMAGE,)),
    Case("Softmax2d", (apart(2, 3, 1),)),
    *grid("logsumexp", IMAGE, dim=[1, (0, 2)], keepdim=[False, True],
          torch=lambda torch, x, dim, keepdim: torch.logsumexp(x, dim, keepdim)),
]  # fmt: skip

#: They draw numbers.
ELSEWHERE = {"gumbel_softmax": "tests/nn/test_activations.py"}
