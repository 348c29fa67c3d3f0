"""Draws a network with torchview, torchviz, Netron and `tl.viz.graph`, each as its manual says.

Not for: which networks (``networks.py``), or putting pictures side by side (``__main__.py``).
"""

from __future__ import annotations

import io
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import tinygrad_lab as tl
from benchmarks.pictures.browser import Browser
from benchmarks.pictures.networks import NETWORKS
from tinygrad_lab.viz.render import render

_PER_POINT = 96 / 72
_DEPTH = 3  # of layers within layers, where a tool can be told so


@dataclass(frozen=True)
class Drawn:
    """One picture: its size in pixels of a page, how many boxes it has, and what it looks like."""

    width: int
    height: int
    boxes: int
    image: Image.Image


def ours(name: str) -> Drawn:
    """Draw the loss of a network by its data and labels with ``tl.viz.graph``."""
    make, shape = NETWORKS[name]
    model, rng = make(tl.nn), np.random.default_rng(0)
    for k, parameter in enumerate(model.parameters()):
        if parameter.ndim > 1:
            tl.nn.init.xavier_uniform_(parameter, rng=k)
    x, y = rng.normal(size=shape), rng.integers(0, 3, shape[0])
    loss = tl.nn.functional.cross_entropy(model(x), y)
    return _of_dot(tl.viz.graph(loss, model, names={"x": x, "y": y}, depth=_DEPTH).source)


def torchview(name: str) -> Drawn:
    """Draw the modules that an input passes through."""
    from torchview import draw_graph

    model, x = _torch(name)
    drawn = draw_graph(model, input_data=x, device="cpu", expand_nested=True, depth=_DEPTH)
    return _of_dot(drawn.visual_graph.source)


def torchviz(name: str) -> Drawn:
    """Draw the functions that PyTorch's backward pass calls."""
    import torch
    from torchviz import make_dot

    model, x = _torch(name)
    loss = torch.nn.functional.cross_entropy(model(x), torch.zeros(len(x), dtype=torch.long))
    return _of_dot(make_dot(loss, params=dict(model.named_parameters())).source)


def netron(name: str) -> Drawn:
    """Draw an ONNX file of the network, in a browser without a window."""
    import netron as viewer
    import torch

    model, x = _torch(name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.onnx"
        torch.onnx.export(model.eval(), (x,), file, dynamo=True, verbose=False)
        address = viewer.start(str(file), browse=False)
        try:
            with Browser(Path(folder) / "profile") as browser:
                return _look(browser, "http://{}:{}".format(*address))
        finally:
            viewer.stop(address)


def _look(browser: Browser, url: str) -> Drawn:
    """Take a picture of a graph in Netron, as far as a window of 16,000 pixels shows it."""
    # Netron asks for consent to cookies that report its use: it may keep one, and reaches nobody.
    browser("Network.enable")
    browser("Network.setBlockedURLs", urls=["*google*", "*netron.app*"])
    browser("Network.setCookie", name="consent", value="1", url=url)
    browser("Page.navigate", url=url)
    view = ""
    for _ in range(200):
        time.sleep(0.1)
        view = browser.value("document.getElementById('canvas')?.getAttribute('viewBox') || ''")
        if view and browser.value("document.body.className") == "default":
            break
    width, height = (int(float(side)) for side in view.split()[2:])
    boxes = browser.value("document.querySelectorAll('#canvas g.node[id]').length")
    size = {"width": width + 200, "height": min(height + 60, 16_000)}
    browser("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)
    shot = Image.open(io.BytesIO(browser.picture())).convert("RGB")
    margin = (shot.width - width) // 2
    return Drawn(width, height, boxes, shot.crop((margin, 0, margin + width, shot.height)))


def _torch(name: str) -> tuple[Any, Any]:
    """Make the network and its input with PyTorch."""
    import torch

    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    return make(torch.nn), torch.randn(shape)


#: By name, in the order of the page.
DRAWINGS: dict[str, Callable[[str], Drawn]] = {
    "tinygrad_lab": ours, "torchview": torchview, "torchviz": torchviz, "Netron": netron,
}  # fmt: skip


def _of_dot(source: str) -> Drawn:
    """Draw DOT text in its natural size, whatever size it asks to be squeezed into."""
    source = re.sub(r'\bsize="[^"]*"', "", source)
    svg = render(source, "svg").decode()
    view = re.search(r'viewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"', svg)
    assert view is not None
    width, height = (round(float(side) * _PER_POINT) for side in view.groups())
    Image.MAX_IMAGE_PIXELS = None  # a picture of 22,000 pixels is no attack here
    image = Image.open(io.BytesIO(render(source, "png"))).convert("RGB")
    return Drawn(width, height, svg.count('class="node"'), image)
