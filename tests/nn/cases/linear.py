"""Affine functions and layers."""

from __future__ import annotations

from tests.nn.cases import Case, apart

CASES = [
    Case("linear", (apart(3, 4), apart(2, 4, seed=1), apart(2, seed=2))),
    Case("linear", (apart(4), apart(2, 4, seed=1))),
    Case("linear", (apart(2, 3, 4), apart(2, 4, seed=1), apart(2, seed=2))),
    Case("Linear", (apart(3, 4),), (4, 2)),
    Case("Linear", (apart(4),), (4, 2), {"bias": False}),
    Case("bilinear", (apart(3, 4), apart(3, 2), apart(5, 4, 2, seed=1), apart(5, seed=2))),
    Case("bilinear", (apart(2, 2, 4), apart(2, 2, 3), apart(1, 4, 3, seed=1))),
    Case("Bilinear", (apart(4), apart(2)), (4, 2, 3)),
    Case("Bilinear", (apart(3, 4), apart(3, 2)), (4, 2, 3), {"bias": False}),
    Case("Flatten", (apart(2, 3, 4),)),
    Case("Flatten", (apart(2, 3, 4),), (0, 1)),
    Case("Unflatten", (apart(2, 6),), (1, (2, 3))),
    Case("Unflatten", (apart(2, 6, 2),), (-2, (3, 2, 1))),
    Case("Identity", (apart(2, 3),)),
]

ELSEWHERE = {
    **dict.fromkeys(
        ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"),
        "tests/nn/test_containers.py",
    ),
    "Module": "tests/nn/test_module.py",
    "Parameter": "tests/nn/test_parameter.py",
    "MLP": "tests/nn/test_layers.py",
}
