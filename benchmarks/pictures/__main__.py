"""Draw two networks with four tools, and put the pictures side by side.

    python -m pip install torch torchview torchviz netron onnx onnxscript
    python -m benchmarks.pictures docs/images

Not for: how each tool is called (``drawings.py``).
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

from benchmarks.pictures.drawings import DRAWINGS, Drawn
from benchmarks.pictures.networks import NETWORKS

_HEIGHT = 1000  # what is longer is made smaller
_GAP = 40
_ROOM = 270  # a title


def main() -> None:
    """Write a picture for each network, and print a table of sizes."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    print(f"{'':12} {'':14} {'boxes':>6} {'width':>6} {'height':>7}")
    for name in NETWORKS:
        drawn = {tool: draw(name) for tool, draw in DRAWINGS.items()}
        for tool, picture in drawn.items():
            sizes = f"{picture.boxes:6} {picture.width:6} {picture.height:7}"
            print(f"{name:12} {tool:14} {sizes}", flush=True)
        side_by_side(drawn, folder / f"beside-{name}.png")


def side_by_side(drawn: dict[str, Drawn], path: Path) -> None:
    """Put pictures in a row, each as high as it is, up to a limit."""
    shown = {}
    for tool, d in drawn.items():
        scale = min(1.0, _HEIGHT / d.height)
        shown[tool] = (max(d.width * scale, 1), d.height * scale)
    width = sum(max(w, _ROOM) for w, _ in shown.values()) + _GAP * (len(shown) + 1)
    figure = plt.figure(figsize=(width / 100, (_HEIGHT + 120) / 100), dpi=100)
    left = float(_GAP)
    for tool, (w, h) in shown.items():
        room = max(w, _ROOM)
        middle = left + room / 2
        box = ((middle - w / 2) / width, (_HEIGHT + 20 - h) / (_HEIGHT + 120))
        ax = figure.add_axes((*box, w / width, h / (_HEIGHT + 120)))
        ax.imshow(drawn[tool].image, aspect="auto", interpolation="antialiased")
        ax.axis("off")
        size = f"{drawn[tool].width:,} × {drawn[tool].height:,} px".replace(",", "\N{THIN SPACE}")
        text = f"{tool}\n{drawn[tool].boxes} boxes, {size}"
        figure.text(middle / width, (_HEIGHT + 35) / (_HEIGHT + 120), text, ha="center", size=14)
        left += room + _GAP
    picture = io.BytesIO()
    figure.savefig(picture)
    plt.close(figure)
    colours = Image.open(picture).convert("RGB").quantize(80, dither=Image.Dither.NONE)
    colours.save(path, optimize=True)


if __name__ == "__main__":
    main()
