"""Pooling of signals, images and volumes, and back."""

from __future__ import annotations

import numpy as np

from tests.nn.cases import Case, apart, grid

X1, X2, X3 = apart(2, 2, 7), apart(2, 2, 5, 4), apart(1, 2, 4, 3, 5)
CEIL = {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}


def unpooled(x, n):
    """Values for an unpooling, and places in an image of ``n`` elements, all different."""
    permuted = (np.random.default_rng(seed).permutation(n) for seed in range(x.shape[0] * 2))
    return x, np.reshape([places[: x[0, 0].size] for places in permuted], x.shape)


CASES = [
    Case("max_pool1d", (X1,), options={"kernel_size": 2}),
    Case("max_pool1d", (X1[0],), options={**CEIL, "return_indices": True}),
    Case("max_pool2d", (X2,), options={"kernel_size": 2, "stride": 1, "dilation": (2, 1)}),
    Case("max_pool2d", (X2,), options={**CEIL, "return_indices": True}),
    Case("max_pool2d", (X2[0],), options={"kernel_size": (3, 2), "padding": 1}),
    Case("max_pool3d", (X3,), options={"kernel_size": 2, "stride": 1}),
    Case("max_pool3d", (X3[0],), options={**CEIL, "return_indices": True}),
    *grid("avg_pool1d", X1, kernel_size=[3], stride=[None, 2], padding=[1],
          ceil_mode=[True], count_include_pad=[False, True]),
    Case("avg_pool2d", (X2,), options={"kernel_size": 2}),
    Case("avg_pool2d", (X2,), options=CEIL),
    Case("avg_pool2d", (X2[0],), options={**CEIL, "count_include_pad": False}),
    Case("avg_pool2d", (X2,), options={**CEIL, "divisor_override": 5}),
    Case("avg_pool3d", (X3,), options={"kernel_size": 2, "stride": (1, 2, 2)}),
    Case("avg_pool3d", (X3[0],), options={**CEIL, "count_include_pad": False}),
    *grid("adaptive_avg_pool1d", X1, output_size=[1, 3, 7]),
    *grid("adaptive_avg_pool2d", X2, output_size=[1, (3, 2), (None, 3), 6]),
    *grid("adaptive_avg_pool3d", X3, output_size=[(2, 3, 5), (3, 2, None)]),
    *grid("adaptive_max_pool1d", X1, output_size=[1, 3], return_indices=[True]),
    *grid("adaptive_max_pool2d", X2, output_size=[1, (3, 3), (None, 2)], return_indices=[True]),
    *grid("adaptive_max_pool3d", X3, output_size=[(2, 3, 5), (3, 2, None)], return_indices=[True]),
    *grid("lp_pool1d", abs(X1), norm_type=[1, 2.5], kernel_size=[3], stride=[1], ceil_mode=[True]),
    *grid("lp_pool2d", abs(X2), norm_type=[2], kernel_size=[(2, 3)], stride=[None, 1]),
    *grid("lp_pool3d", abs(X3), norm_type=[3], kernel_size=[2]),
    Case("max_unpool1d", unpooled(X1[:, :, :3], 6), options={"kernel_size": 2}),
    Case("max_unpool2d", unpooled(X2[:, :, :2, :2], 20),
         options={"kernel_size": 2, "output_size": (5, 4)}),
    Case("max_unpool2d", unpooled(X2[:, :, :2, :2], 9),
         options={"kernel_size": 3, "stride": 2, "padding": 1}),
    Case("max_unpool3d", unpooled(X3[:, :, :2, :1, :2], 32), options={"kernel_size": (2, 2, 4)}),
    Case("MaxPool1d", (X1,), (2,)),
    Case("MaxPool2d", (X2,), (3, 2, 1), {"return_indices": True}),
    Case("MaxPool3d", (X3,), (2, 1), {"ceil_mode": True}),
    Case("AvgPool1d", (X1,), (3, 2, 1, True, False)),
    Case("AvgPool2d", (X2,), (2, 1, 1), {"divisor_override": 3}),
    Case("AvgPool3d", (X3,), (2,)),
    Case("AdaptiveAvgPool1d", (X1,), (2,)),
    Case("AdaptiveAvgPool2d", (X2,), ((1, 1),)),
    Case("AdaptiveAvgPool3d", (X3,), (1,)),
    Case("AdaptiveMaxPool1d", (X1,), (2,)),
    Case("AdaptiveMaxPool2d", (X2,), ((1, None), True)),
    Case("AdaptiveMaxPool3d", (X3,), (1,)),
    Case("LPPool1d", (abs(X1),), (2, 3, 1)),
    Case("LPPool2d", (abs(X2),), (2, 2)),
    Case("LPPool3d", (abs(X3),), (2, 2)),
    Case("MaxUnpool1d", unpooled(X1[:, :, :3], 6), (2,)),
    Case("MaxUnpool2d", unpooled(X2[:, :, :2, :2], 9), (2, 1)),
    Case("MaxUnpool3d", unpooled(X3[:, :, :2, :1, :2], 32), ((2, 2, 4),)),
]  # fmt: skip
