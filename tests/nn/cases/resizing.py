"""Images of other sizes."""

from __future__ import annotations

from tests.nn.cases import Case, apart, grid

X1, X2, X3 = apart(1, 2, 5), apart(1, 2, 4, 3), apart(1, 1, 2, 3, 4)
CASES = [
    *grid("interpolate", X1, size=[3, 10, 7], mode=["nearest", "nearest-exact", "linear", "area"]),
    *grid("interpolate", X2, size=[(6, 2)], mode=["nearest", "bilinear", "bicubic", "area"]),
    *grid("interpolate", X2, scale_factor=[2, (1.7, 0.6)],
          mode=["nearest", "nearest-exact", "bilinear", "bicubic", "area"]),
    *grid("interpolate", X2, scale_factor=[1.6], mode=["nearest", "bilinear", "bicubic"],
          recompute_scale_factor=[True]),
    *grid("interpolate", X2, size=[(7, 1)], mode=["bilinear", "bicubic"], align_corners=[True]),
    *grid("interpolate", X3, size=[(3, 2, 6)], mode=["nearest", "trilinear", "area"]),
    *grid("interpolate", X3, scale_factor=[1.5], mode=["trilinear"], align_corners=[False, True]),
    Case("Upsample", (X2,), (), {"scale_factor": 2}),
    Case("Upsample", (X2,), (), {"size": (3, 5), "mode": "bicubic", "align_corners": True}),
    Case("UpsamplingNearest2d", (X2,), (), {"scale_factor": (2, 1)}),
    Case("UpsamplingBilinear2d", (X2,), (), {"size": 5}),
    Case("pixel_shuffle", (apart(2, 8, 2, 3),), options={"upscale_factor": 2}),
    Case("pixel_shuffle", (apart(9, 1, 2),), options={"upscale_factor": 3}),
    Case("pixel_unshuffle", (apart(2, 1, 4, 6),), options={"downscale_factor": 2}),
    Case("channel_shuffle", (apart(2, 6, 2),), options={"groups": 3}),
    Case("PixelShuffle", (apart(1, 4, 2, 3),), (2,)),
    Case("PixelUnshuffle", (apart(1, 4, 6),), (2,)),
    Case("ChannelShuffle", (apart(2, 6, 2),), (2,)),
]  # fmt: skip
