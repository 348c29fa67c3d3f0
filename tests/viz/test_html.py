"""Pages to step and to explore: what they hold, what they forbid themselves, and how small."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.viz import RenderError, graph
from tinygrad_lab.viz import render as rendering
from tinygrad_lab.viz.html.exploring import exploring_page
from tinygrad_lab.viz.html.page import Pictured
from tinygrad_lab.viz.html.stepping import grid, walk
from tinygrad_lab.viz.html.vector import Palette
from tinygrad_lab.viz.nesting import Frame
from tinygrad_lab.viz.style import THEMES

pytestmark = pytest.mark.usefixtures("drawing")
HOSTILE = "</script><script>alert(1)</script>\"'&<b>\n$script{x}"


class Reader(HTMLParser):
    """What a browser makes of a page: elements with their attributes, and the text of each kind."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open = tag

    def handle_data(self, data):
        self.texts.setdefault(self.open, []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self):
        [text] = [t for t in self.texts["script"] if t.startswith("{")]
        return json.loads(text)


@pytest.fixture(scope="module")
def mlp():
    rng = np.random.default_rng(0)
    model = nn.MLP([2, 3, 1], output_activation="sigmoid", rng=0)
    x, y = rng.uniform(size=(4, 2)), rng.integers(0, 2, (4, 1)).astype(float)
    loss = nn.functional.mse_loss(model(x), y)
    return graph(loss, model, names={"x": x, "y": y}), model, loss


@pytest.fixture(scope="module")
def shared():
    w = tl.tensor([0.5, -1.0], requires_grad=True)
    h = np.tanh(w)
    return graph((h * h + w).sum(), names={"w": w}), w


@pytest.fixture(scope="module")
def pages(mlp):
    picture, _, _ = mlp
    return [picture.step(), picture.interactive()]


def test_a_walk_uses_each_gradient_once_and_after_it_has_arrived(mlp):
    model = mlp[0].model
    steps = walk(model)
    assert steps[0].box is model.loss
    assert sorted(i for step in steps for i in step.back) == [
        i for i, edge in enumerate(model.edges) if edge.grad is not None
    ]
    sent: set[int] = set()
    for step in steps:
        assert sent.issuperset(step.parts)
        sent.update(step.back)


def test_contributions_add_up_on_the_page(shared):
    picture, _ = shared
    page = Reader(picture.step().html)
    edges = {f"e{i}": edge for i, edge in enumerate(picture.model.edges)}
    adds: dict[str, float] = {}
    for step in page.data["steps"]:
        for part in step["back"]:
            source = edges[part["edge"]].source
            adds[source] = adds.get(source, 0.0) + part["adds"]
    flows = {box.id: box.flow for box in picture.model.boxes if box.id in adds}
    assert adds == pytest.approx(flows)
    assert any("= " in text and " + " in text for text in page.texts["p"])


def test_small_gradients_are_shown_whole(mlp):
    picture, model, loss = mlp
    shown = Reader(picture.step().html).texts["pre"]
    slopes = tl.grad(lambda m: nn.functional.mse_loss(m(np.ones((4, 2))), np.ones((4, 1))))(model)
    assert {np.shape(slope) for slope in slopes.values()} == {(3, 2), (3,), (1, 3), (1,)}
    for parameter in model.parameters():
        [slope] = tl.gradients(loss, [parameter], retain_graph=True)
        assert grid(np.asarray(slope).tolist()) in shown


def test_what_scripts_look_for_is_in_the_picture(pages):
    step, explored = (Reader(page.html) for page in pages)
    there = {a["data-id"] for a in step.all("g") if "data-id" in a}
    assert {s["box"] for s in step.data["steps"]} <= there
    assert {b["edge"] for s in step.data["steps"] for b in s["back"]} <= there
    for view in explored.data["views"]:
        assert len(view["edges"]) <= sum(
            a.get("data-id", "").startswith("e") for a in explored.all("g")
        )
    first = explored.data["views"][0]
    assert there == {*first["boxes"], *(f"e{i}" for i in range(len(first["edges"])))} | {
        f"f{i}" for i in range(len(first["frames"]))
    }


def test_folded_frames_say_what_they_hold(mlp):
    _, net, loss = mlp
    picture = graph(loss, net, detail="primitives")
    model = picture.model
    view = Reader(picture.interactive().html).data["views"][0]
    assert len(view["frames"]) == len(model.frames) > 0
    for i, frame in enumerate(view["frames"]):
        inside = [id for id, (_, around) in view["boxes"].items() if around == i]
        assert frame["main"] in inside
        assert "1 operation ·" in frame["holds"]
    held = sum(int(re.search(r"(\d+) parameter", f["holds"])[1]) for f in view["frames"])
    assert held == model.parameters == 13


def test_a_frame_without_boxes_folds_nothing():
    w = tl.tensor([1.0, 2.0], requires_grad=True)
    picture = graph(np.exp(w).sum())
    empty = Frame("f9", "nothing", None)
    model = replace(picture.model, frames=(empty,))
    page = exploring_page(Pictured(model, picture.style, "auto", "about"))
    assert Reader(page.html).data["views"][0]["frames"] == []


def test_a_page_runs_only_its_own_script_and_asks_nobody(pages):
    for page in pages:
        reader = Reader(page.html)
        policy = next(a["content"] for a in reader.all("meta") if "http-equiv" in a)
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        for kind in ("script", "style"):
            [text] = [t for t in reader.texts[kind] if t.strip() and not t.startswith("{")]
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"{kind}-src 'sha256-{digest}'" in policy
        assert not any("style" in a or "src" in a or "href" in a for _, a in reader.elements)
        assert set(re.findall(r"https?://[^\s\"'<]+", page.html)) == {"http://www.w3.org/2000/svg"}


def test_names_are_text_and_never_markup():
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    plain, hostile = (graph((x * x).sum(), names={name: x}) for name in ("x", HOSTILE))
    for make in ("step", "interactive"):
        before, after = (Reader(getattr(g, make)().html) for g in (plain, hostile))
        assert [tag for tag, _ in before.elements] == [tag for tag, _ in after.elements]
        assert len(after.data) == len(before.data)
        assert any("alert(1)" in text for text in after.texts["th"] + after.texts.get("button", []))


def test_names_of_layers_are_text_too():
    model = nn.Sequential()
    model.add_module("<b>\u202e</script>", nn.Linear(2, 1, rng=0))
    picture = graph(model(np.ones((3, 2))).sum(), model)
    for page in (picture.step(), picture.interactive()):
        assert "\u202e" not in page.html
        assert len(Reader(page.html).all("script")) == 2


def test_what_was_found_is_said_on_the_page_and_on_folded_frames():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.ReLU(), nn.Linear(3, 1, rng=0))
    model[0].bias.data[:] = -100.0
    picture = graph(model(np.ones((4, 2))).sum(), model, detail="primitives").health()
    page = Reader(picture.interactive().html)
    report = picture.report().splitlines()
    assert report[2] in "".join(page.texts["pre"])
    marks = {mark for box in picture.model.boxes for mark in box.marks}
    assert marks
    folded = " ".join(frame["facts"] for frame in page.data["views"][0]["frames"])
    assert any(mark in folded for mark in marks)


def test_without_an_engine_the_error_says_what_to_do(mlp, monkeypatch):
    monkeypatch.setattr(rendering.shutil, "which", lambda _: None)
    monkeypatch.setattr(rendering.importlib.util, "find_spec", lambda _: None)
    for make in ("step", "interactive"):
        with pytest.raises(RenderError, match="pip install"):
            getattr(mlp[0], make)()


def test_without_scripts_everything_is_there(pages, mlp):
    step, explored = pages
    for page in pages:
        assert page.html.count("<svg") >= 1
    reader = Reader(step.html)
    sections = [a for a in reader.all("li") if a.get("class") == "step"]
    assert len(sections) == len(walk(mlp[0].model)) + 1
    assert not any("hidden" in a for a in sections)
    rows = re.search(r'data-view="0".*?</section>', explored.html, re.DOTALL)[0].count("data-box=")
    assert rows == len(mlp[0].model.boxes)


def test_a_walk_of_a_small_network_is_a_small_page(pages):
    assert len(pages[0].html.encode()) < 50_000
    assert len(pages[1].html.encode()) < 100_000


def test_a_notebook_gets_a_frame_and_a_still_picture(pages):
    bundle, metadata = pages[0]._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert metadata["image/png"]["width"] > 0
    [frame] = Reader(bundle["text/html"]).all("iframe")
    assert frame["srcdoc"] == pages[0].html
    assert frame["sandbox"] == "allow-scripts"
    assert pages[0]._repr_html_() == bundle["text/html"]
    assert html.escape(pages[0].html, quote=True) in bundle["text/html"]


def test_pages_are_saved_under_a_name_of_html(pages, tmp_path):
    path = pages[0].save(tmp_path / "walk.html")
    assert path.read_text(encoding="utf-8") == pages[0].html
    with pytest.raises(ValueError, match=r"\.html"):
        pages[0].save(tmp_path / "walk.svg")


def test_a_freed_graph_can_still_be_walked():
    w = tl.tensor([1.0, 2.0], requires_grad=True)
    loss = np.exp(w).sum()
    picture = graph(loss)
    loss.backward()
    assert len(Reader(picture.step().html).data["steps"]) == 2
    assert len(Reader(picture.interactive().html).data["views"]) == 1


def test_without_gradients_there_is_no_walk():
    w = tl.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match="none: draw it with"):
        graph(np.exp(w).sum(), show=("shape",)).step()


def test_what_repeats_can_be_chosen_unfolded():
    h = w = tl.tensor(np.ones((2, 2)) / 2, requires_grad=True)
    for _ in range(20):
        h = np.tanh(h @ w)
    views = Reader(graph(h.sum(), fold=True).interactive().html).data["views"]
    assert len(views[0]["boxes"]) < 10
    assert max(len(view["boxes"]) for view in views) > 40


def test_carried_gradients_are_told_from_those_still_to_come():
    h = w = tl.tensor(np.ones((2, 2)) / 2, requires_grad=True)
    for _ in range(20):
        h = np.tanh(h @ w)
    text = graph(h.sum(), fold=True).step().html
    assert "Carried back to the copy before this one" in text
    assert "copies together" in text


def test_a_page_is_in_both_themes(mlp):
    picture, _, _ = mlp
    palette = Palette()
    light, dark = (
        replace(picture.style, theme=theme).dot(picture.model) for theme in ("light", "dark")
    )
    coded = palette.coded(light, dark)
    for theme, text in (("light", light), ("dark", dark)):
        own = {pair[theme == "dark"]: code for pair, code in palette.codes.items()}
        assert THEMES[theme].background in own
        back = coded
        for pair, code in palette.codes.items():
            back = back.replace(code, pair[theme == "dark"])
        assert back == text


def test_a_dark_picture_is_a_dark_page(mlp):
    _, model, loss = mlp
    assert (
        Reader(graph(loss, model, theme="dark").step().html).all("html")[0]["data-theme"] == "dark"
    )


def test_what_is_not_finite_is_said_by_itself_and_of_the_frame_it_is_in():
    model = nn.Sequential(nn.Linear(2, 1, rng=0))
    loss = model(tl.Tensor(np.array([[np.nan, 1.0]]))).sum()
    page = Reader(graph(loss, model, detail="primitives").interactive().html)
    assert any("✗ NaN" in frame["facts"] for frame in page.data["views"][0]["frames"])
    assert any(text.endswith(" ✗ NaN") for text in page.texts["button"])
