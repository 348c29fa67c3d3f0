"""What cannot be drawn, or changes while it is: a clear error or a right picture, never markup."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.viz.conftest import MLP, make_case
from tests.viz.test_dot import HOSTILE, labels, text_of
from tinygrad_lab import nn
from tinygrad_lab.viz import graph
from tinygrad_lab.viz.drawing import Drawing


class Foreign(MLP):
    """A model whose layers are called whatever a test likes."""

    def __init__(self, name: str) -> None:
        super().__init__(2, 3, 1)
        self.name = name

    def named_parameters(self):
        for name, parameter in super().named_parameters():
            yield name.replace("fc", self.name), parameter

    def named_modules(self):
        for path, module in super().named_modules():
            yield path.replace("fc", self.name), module


@pytest.mark.parametrize("name", HOSTILE)
def test_the_name_of_a_layer_is_text_and_no_markup(name):
    model = Foreign(name)
    source = graph(model(np.ones((4, 2))).sum(), model).source
    plain = Foreign("fc")
    like = graph(plain(np.ones((4, 2))).sum(), plain).source
    assert len(source.splitlines()) == len(like.splitlines())
    for label in labels(source):
        assert text_of(label).strip()


@pytest.mark.usefixtures("drawing")
def test_graphviz_reads_every_name_of_a_layer():
    ours = nn.Sequential()
    for name in HOSTILE:
        ours.add_module(name.replace(".", "") or "a", nn.Linear(2, 2, rng=0))
    foreign = Foreign('<fc> &\n"')
    for model in (ours, foreign):
        picture = graph(model(np.ones((4, 2))).sum(), model, fold=False)
        assert picture.svg().startswith("<svg")
        assert all(line.isprintable() for line in str(picture).splitlines())


def test_nothing_to_draw():
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="not of ndarray"):
        graph(np.ones(3))
    with pytest.raises(TypeError, match="not of float"):
        graph((x * x).sum().item())
    with pytest.raises(ValueError, match=r"no history.*no_grad.*detached"):
        graph((x * x).sum().detach())
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(ValueError, match=r"freed by backward\(\): draw it before"):
        graph(loss)


def test_options_that_are_one_word():
    model = MLP(2, 3, 1)
    loss = model(np.ones((4, 2))).sum()
    assert graph(loss, show="shape").source == graph(loss, show=("shape",)).source
    assert graph(loss, model, collapse="fc1").source == graph(loss, model, collapse=["fc1"]).source
    with pytest.raises(ValueError, match="no layer is called 'fc3'; the layers are 'fc1', 'fc2'"):
        graph(loss, model, collapse="fc3")
    with pytest.raises(ValueError, match="the layers are none: pass the model"):
        graph(loss, collapse="fc1")


def test_a_leaf_alone_is_a_picture():
    assert graph(tl.tensor([1.0, 2.0], requires_grad=True)).model.count("loss") == 1


def test_a_graph_that_a_hook_frees_is_an_error():
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    h = x * x
    loss = h.sum()
    waiting = [loss]
    h.register_hook(lambda g: waiting.pop().backward() if waiting else None)
    with pytest.raises(ValueError, match=r"freed by backward.* while it was drawn"):
        graph(loss)


def test_a_graph_that_another_thread_frees_is_an_error_or_a_whole_picture():
    whole = graph(make_case(2, 8, 8, 1).loss).source
    for _ in range(10):
        loss = make_case(2, 8, 8, 1).loss
        begin = threading.Barrier(2)
        thread = threading.Thread(target=lambda a=begin, b=loss: (a.wait(), b.backward()))
        thread.start()
        begin.wait()
        with suppress(ValueError):  # it was freed
            assert graph(loss).source == whole
        thread.join()


def test_values_written_in_place_meanwhile_are_drawn_as_they_are():
    w = tl.tensor(np.ones((3, 3)), requires_grad=True)
    loss = np.tanh(w @ w).sum()
    w.register_hook(lambda g: w.data.__setitem__(..., np.nan))
    assert graph(loss).source.startswith("digraph")


def test_threads_draw_the_same_picture(case):
    expected = graph(case.loss, case.model).source
    with ThreadPoolExecutor(4) as pool:
        sources = pool.map(lambda _: graph(case.loss, case.model).source, range(8))
    assert set(sources) == {expected}


def _text(picture: Drawing) -> tuple[str, str]:
    return picture.source, str(picture)


def test_a_picture_goes_to_another_process(case):
    program = tl.program(tl.grad(lambda x: (x * x).sum()))(np.ones(3))
    pictures = [graph(case.loss, case.model, names=case.names), graph(program)]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(_text, pictures)) == [_text(picture) for picture in pictures]
    for picture in pictures:
        assert len(pickle.dumps(picture)) < 100_000


@pytest.mark.parametrize("name", ["missing/a.dot", "folder.dot"])
def test_a_path_that_cannot_be_written_is_named(case, tmp_path, name):
    (tmp_path / "folder.dot").mkdir()
    with pytest.raises(OSError, match=name.replace(".", r"\.")):
        graph(case.loss).save(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="a script is no program on Windows")
def test_an_interrupted_drawing_leaves_no_file_and_no_process(case, pretended_dot, tmp_path):
    noted = tmp_path / "pid"
    pretended_dot(
        "import os, signal, time, pathlib\n"
        f"pathlib.Path({str(noted)!r}).write_text(str(os.getpid()))\n"
        f"os.kill({os.getpid()}, signal.SIGINT)\n"
        "time.sleep(60)"
    )
    assert threading.current_thread() is threading.main_thread()
    old = tmp_path / "a.svg"
    old.write_text("old")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            graph(case.loss).save(old)
    finally:
        signal.signal(signal.SIGINT, before)
    assert old.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.svg", "dot", "dot.py", "pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(noted.read_text()), 0)
