"""Colours of boxes and curves stay apart for people who see two of three primary colours.

Simulated with the matrices of Machado, Oliveira and Fernandes 2009 (severity 1, on linear RGB);
differences are the distance in CIELAB (CIE 1976), contrasts those of WCAG 2.1.
"""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from tinygrad_lab.viz.plots.canvas import COLOURS, ON_DARK
from tinygrad_lab.viz.style import THEMES, Scale

SEEN_WITH = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}

#: From linear sRGB to CIE XYZ, whose white is the sum of each row.
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)

APART = 12.9
TEXT, BORDER = 4.5, 3.0


def linear(colour: str) -> np.ndarray:
    """Light of the three primaries, from #rrggbb."""
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    relative = XYZ @ np.clip(light, 0, 1) / XYZ.sum(axis=1)
    f = np.where(relative > 216 / 24389, np.cbrt(relative), (24389 / 27 * relative + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(a: str, b: str) -> float:
    light, dark = sorted((float(XYZ[1] @ linear(c)) + 0.05 for c in (a, b)), reverse=True)
    return light / dark


def test_the_measure_itself():
    assert lab(linear("#FFFFFF")) == pytest.approx([100, 0, 0], abs=1e-6)
    assert lab(linear("#FF0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.01)
    for matrix in SEEN_WITH.values():  # grey is grey to everybody
        assert matrix.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eyes", SEEN_WITH)
def test_the_borders_of_any_two_kinds_of_box_differ(theme, eyes):
    seen = {
        kind: lab(SEEN_WITH[eyes] @ linear(paint.line))
        for kind, paint in THEMES[theme].paint.items()
    }
    differences = {
        (a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in combinations(seen, 2)
    }
    assert {pair: d for pair, d in differences.items() if d < APART} == {}


@pytest.mark.parametrize("palette", [COLOURS, ON_DARK], ids=["light", "dark"])
@pytest.mark.parametrize("eyes", SEEN_WITH)
def test_any_two_curves_differ(palette, eyes):
    seen = [lab(SEEN_WITH[eyes] @ linear(colour)) for colour in palette]
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) >= APART


def test_curves_stand_out_from_a_dark_ground():
    assert min(contrast(colour, THEMES["dark"].background) for colour in ON_DARK) >= TEXT


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_text_and_borders_stand_out_from_every_fill(theme):
    fills = [paint.fill for paint in theme.paint.values()]
    surfaces = [*fills, theme.background, theme.cluster.fill]
    texts = [contrast(ink, s) for ink in (theme.ink, theme.muted) for s in surfaces]
    borders = [
        contrast(p.line, s) for p in theme.paint.values() for s in (p.fill, theme.background)
    ]
    assert min(texts) >= TEXT
    assert min(borders) >= BORDER


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES.keys())
def test_gradients_grow_wider_and_stand_out_more(theme):
    scale = Scale([1e-6, 1.0], theme)
    sizes = [10.0**k for k in range(-6, 1)]
    widths = [scale.width(s) for s in sizes]
    contrasts = [contrast(scale.colour(s), theme.background) for s in sizes]
    assert widths[0] == 0.8
    assert widths[-1] == 4.5
    assert all(a < b for a, b in pairwise(widths))
    assert all(a < b for a, b in pairwise(contrasts))
    assert contrasts[0] >= 1.9
