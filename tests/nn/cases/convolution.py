"""Convolutions, transposed ones, and patches, of signals, images and volumes."""

from __future__ import annotations

from tests.nn.cases import Case, apart, grid

X1, X2, X3 = apart(2, 2, 7), apart(2, 2, 5, 4), apart(1, 2, 4, 3, 4)
B = apart(2, seed=2)


def filters(*shape):
    return apart(*shape, seed=1)


STEPS = {"stride": 2, "padding": 1, "dilation": 2}
CASES = [
    Case("conv1d", (X1, filters(2, 2, 3), B)),
    Case("conv1d", (X1, filters(2, 1, 2), B), options={**STEPS, "groups": 2}),
    Case("conv1d", (X1[0], filters(2, 2, 5)), options={"padding": "same"}),
    Case("conv2d", (X2, filters(2, 2, 3, 2), B)),
    Case("conv2d", (X2, filters(4, 1, 1, 3)), options={"groups": 2, "padding": "same"}),
    Case("conv2d", (X2, filters(2, 2, 2, 2), B), options=STEPS),
    Case("conv2d", (X2[0], filters(2, 2, 3, 2)), options={"stride": (1, 2), "padding": "valid"}),
    Case("conv3d", (X3, filters(2, 2, 2, 2, 2), B)),
    Case("conv3d", (X3, filters(2, 1, 3, 1, 3), B), options={"groups": 2, "padding": "same"}),
    Case("conv3d", (X3[0], filters(2, 2, 2, 2, 2)), options=STEPS),
    Case("conv_transpose1d", (X1, filters(2, 2, 3), B)),
    Case("conv_transpose1d", (X1[0], filters(2, 1, 3)), options={"stride": 2, "groups": 2}),
    Case("conv_transpose2d", (X2, filters(2, 2, 3, 2), B), options={"stride": 2, "padding": 1}),
    Case("conv_transpose2d", (X2, filters(2, 1, 2, 2), B),
         options={**STEPS, "stride": 3, "output_padding": (1, 2), "groups": 2}),
    Case("conv_transpose2d", (X2[0], filters(2, 1, 2, 2)),
         options={"padding": 1, "dilation": 3, "output_padding": (2, 0)}),
    Case("conv_transpose3d", (X3, filters(2, 2, 2, 2, 2), B), options={"padding": 1}),
    Case("conv_transpose3d", (X3, filters(2, 1, 3, 2, 1)),
         options={"stride": (2, 1, 3), "output_padding": (1, 0, 2)}),
    *grid("unfold", X2, kernel_size=[(2, 3)], dilation=[1], padding=[0, (1, 2)], stride=[1, 2]),
    Case("unfold", (X2[0],), options={"kernel_size": 2, "dilation": 3}),
    Case("fold", (apart(2, 8, 6),), options={"output_size": (3, 4), "kernel_size": 2}),
    Case("fold", (apart(8, 4),), options={"output_size": 3, "kernel_size": (2, 4), **STEPS,
                                          "padding": (1, 2), "dilation": 1}),
    Case("Conv1d", (X1,), (2, 4, 3), {"groups": 2, "padding": "same", "padding_mode": "circular"}),
    Case("Conv2d", (X2,), (2, 3, 3), {"padding": 1}),
    Case("Conv2d", (X2[0],), (2, 3, (2, 3)), {"stride": (2, 1), "bias": False}),
    Case("Conv2d", (X2,), (2, 2, 2), {"padding": (1, 2), "padding_mode": "reflect"}),
    Case("Conv2d", (X2,), (2, 2, (4, 3)), {"padding": "same", "padding_mode": "replicate"}),
    Case("Conv3d", (X3,), (2, 1, 2), {"padding": 1, "padding_mode": "circular", "stride": 2}),
    Case("ConvTranspose1d", (X1,), (2, 3, 4), {"stride": 3, "padding": 1, "output_padding": 2}),
    Case("ConvTranspose2d", (X2,), (2, 4, 3), {"stride": 2, "groups": 2, "bias": False}),
    Case("ConvTranspose3d", (X3[0],), (2, 2, 2), {"dilation": 2}),
    Case("Unfold", (X2,), (2,), {"padding": 1}),
    Case("Fold", (apart(2, 8, 6),), ((3, 4), 2)),
]  # fmt: skip
