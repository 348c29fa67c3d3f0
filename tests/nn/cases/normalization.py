"""Normalisation of batches, layers, groups, instances and neighbouring channels."""

from __future__ import annotations

import numpy as np

from tests.nn.cases import Case, apart, grid

ELSEWHERE = {"running_statistics": "tests/nn/test_normalization.py"}

ROWS, SERIES, IMAGES = apart(4, 3), apart(2, 3, 4), apart(2, 4, 3, 2)
VOLUMES = apart(2, 2, 2, 1, 2)
WEIGHT, BIAS = apart(3, seed=1), apart(3, seed=2)
RUNNING = {"running_mean": apart(3, seed=3), "running_var": np.array([0.5, 2.0, 1.0])}
NONE = {"running_mean": None, "running_var": None}


CASES = [
    *grid(
        "batch_norm", ROWS, **{k: [v] for k, v in NONE.items()}, training=[True], eps=[1e-5, 0.3]
    ),
    *grid("batch_norm", SERIES, **{k: [v] for k, v in RUNNING.items()}, eps=[1e-5, 0.3]),
    Case("batch_norm", (SERIES, None, None, WEIGHT, BIAS), options={"training": True}),
    Case("instance_norm", (SERIES, None, None, WEIGHT, BIAS)),
    Case("instance_norm", (SERIES,), options={**RUNNING, "use_input_stats": False}),
    Case("layer_norm", (SERIES, (4,), apart(4, seed=1), apart(4, seed=2))),
    *grid("layer_norm", SERIES, normalized_shape=[(3, 4), (2, 3, 4)], eps=[1e-5, 0.3]),
    Case("rms_norm", (SERIES, (4,), apart(4, seed=1))),
    *grid("rms_norm", SERIES, normalized_shape=[(3, 4)], eps=[None, 0.3]),
    Case("group_norm", (IMAGES, 2, apart(4, seed=1), apart(4, seed=2))),
    *grid("group_norm", IMAGES, num_groups=[1, 4]),
    *grid("local_response_norm", IMAGES, size=[1, 2, 3, 7], alpha=[0.5], k=[2.0]),
    Case("local_response_norm", (SERIES,), options={"size": 2}),
    *grid("BatchNorm1d", ROWS, args=(3,), affine=[True, False], vmap=False),
    Case("BatchNorm1d", (ROWS,), (3,), {"track_running_stats": False}),
    Case("BatchNorm1d", (SERIES,), (3,), {"momentum": None, "bias": False}, vmap=False),
    Case("BatchNorm1d", (ROWS,), (3,), {"eps": 0.2}, training=False),
    Case("BatchNorm1d", (ROWS,), (3,), {"track_running_stats": False}, training=False),
    Case("BatchNorm2d", (IMAGES,), (4,), vmap=False),
    Case("BatchNorm3d", (VOLUMES,), (2,), {"track_running_stats": False}),
    *grid("InstanceNorm1d", SERIES, args=(3,), affine=[True, False]),
    Case(
        "InstanceNorm1d",
        (SERIES[0],),
        (3,),
        {"affine": True, "track_running_stats": True},
        vmap=False,
    ),
    Case("InstanceNorm1d", (SERIES,), (3,), {"track_running_stats": True}, training=False),
    Case("InstanceNorm2d", (IMAGES,), (4,), {"affine": True, "bias": False}),
    Case("InstanceNorm3d", (VOLUMES,), (2,)),
    *grid(
        "LayerNorm", SERIES, args=((3, 4),), elementwise_affine=[True, False], bias=[True, False]
    ),
    Case("LayerNorm", (SERIES,), (4,)),
    *grid("RMSNorm", SERIES, args=(4,), elementwise_affine=[True, False], eps=[None, 0.1]),
    *grid("GroupNorm", IMAGES, args=(2, 4), affine=[True, False]),
    Case("GroupNorm", (ROWS[:, :2],), (1, 2), {"bias": False}),
    Case("LocalResponseNorm", (IMAGES,), (3,), {"alpha": 0.5}),
]
