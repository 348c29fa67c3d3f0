"""The page of a sweep: what it says matters, which settings are best, and all in one file."""

import itertools
import math
import re
from html.parser import HTMLParser

import pytest

from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.sweeps import Store, StoreError, parallel
from tinygrad_lab.lab.sweeps.page import write_page
from tinygrad_lab.lab.sweeps.status import command_of_row
from tinygrad_lab.lab.sweeps.summary import by_settings, cells, varied
from tinygrad_lab.lab.sweeps.trial import Trial


def row(loss, seed=0, accuracy=1.0, **settings):
    diverged = {"diverged_at": 3 if math.isinf(loss) else None}
    measured = {"final_loss": loss, "accuracy": accuracy, **diverged}
    return {**Settings(**settings).to_row(), "seed": seed, "traceback": None, **measured}


ROWS = [
    row(loss=lr * (1 + seed), seed=seed, lr=lr, hidden=hidden)
    for lr in (0.25, 0.5, 1.0)
    for hidden in ((3, 3), (12,))
    for seed in range(3)
]


# ---- what matters -------------------------------------------------------------------------------


def test_only_what_differs_is_varied_and_what_matters_most_comes_first():
    lr, hidden = varied(ROWS)
    assert (lr.name, list(lr.values)) == ("lr", [0.25, 0.5, 1.0])
    assert (hidden.name, hidden.labels) == ("hidden", ["12", "3,3"])
    assert 0 < lr.matters < 1  # the seed matters too
    assert hidden.matters == pytest.approx(0, abs=1e-12)


def test_what_decides_alone_matters_wholly_whatever_the_size_of_the_loss():
    rows = [row(loss=10.0**-k, lr=float(k), bias=bias) for k in (1, 2, 9) for bias in (True, False)]
    assert [(s.name, s.matters) for s in varied(rows)] == [
        ("lr", pytest.approx(1)),
        ("bias", pytest.approx(0)),
    ]
    diverged = [*rows, row(loss=math.inf, lr=99.0), row(loss=math.inf, lr=99.0, bias=False)]
    assert varied(diverged)[0].matters == pytest.approx(1)


def test_losses_that_are_all_the_same_depend_on_nothing():
    assert [s.matters for s in varied([row(0.5, lr=0.1), row(0.5, lr=1.0)])] == [0]


def test_many_numbers_are_put_into_ranges_of_about_the_same_size():
    rows = [row(loss=1.0, lr=1.05**k) for k in range(80)]
    [setting] = varied(rows)
    assert setting.is_ranges
    sizes = [[setting.index(row) for row in rows].count(i) for i in range(len(setting.labels))]
    assert sum(sizes) == 80
    assert max(sizes) - min(sizes) <= 2


def test_settings_are_compared_by_their_median_over_seeds():
    lucky = [row(loss, seed, lr=0.1) for seed, loss in enumerate((1e-9, 0.5, 0.5))]
    steady = [row(loss, seed, lr=0.2) for seed, loss in enumerate((0.1, 0.2, math.inf))]
    best, second = by_settings([*lucky, *steady])
    assert (best.loss, second.loss) == (0.2, 0.5)
    assert (best.diverged, [r["seed"] for r in second.rows]) == (1, [0, 1, 2])


def test_of_two_runs_the_higher_is_the_median_and_infinite_if_one_diverged():
    def loss(*losses):
        return by_settings([row(each, seed) for seed, each in enumerate(losses)])[0].loss

    assert (loss(0.1, 0.2), loss(0.2, math.inf)) == (0.2, math.inf)


def test_cells_hold_medians_and_nan_where_nothing_was_run():
    lr, hidden = varied(ROWS)
    table = cells(ROWS, hidden, lr)
    assert table.tolist() == [[0.5, 1.0, 2.0]] * 2
    table = cells([r for r in ROWS if (r["lr"], r["hidden"]) != (0.5, "12")], hidden, lr)
    assert math.isnan(table[0, 1])
    assert table[1].tolist() == [0.5, 1.0, 2.0]


# ---- parallel coordinates -----------------------------------------------------------------------


def test_every_line_is_on_its_axes_the_best_on_top():
    rows = [row(loss=10.0**-k, accuracy=k / 20, lr=10.0**-k, epochs=1 + k % 2) for k in range(20)]
    rows.append(row(loss=math.inf, accuracy=0.0, lr=10.0))
    groups = by_settings(rows)
    drawing = parallel.drawing(groups, varied(rows))
    names = [axis["name"] for axis in drawing["axes"]]
    assert (names[0], names[-2:]) == ("lr", ["accuracy", "loss"])
    places = [line["places"] for line in drawing["lines"]]
    assert len(places) == len(groups)
    assert all(0 <= place <= 1 for each in places for place in each)
    losses = [each[-1] for each in places]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] == 1 > losses[1]  # what diverged is apart
    assert "loss diverged" in drawing["lines"][0]["title"]
    heights = [height for height, _ in drawing["axes"][0]["ticks"]]
    steps = [a - b for a, b in itertools.pairwise(heights)]
    assert steps == pytest.approx([steps[0]] * len(steps), abs=0.2)  # decades


def test_ticks_that_are_near_each_other_have_labels_of_their_own():
    groups = by_settings([row(loss=loss, lr=loss) for loss in (0.2512, 0.2535)])
    labels = [label for _, label in parallel.drawing(groups, [])["axes"][-1]["ticks"]]
    assert len(set(labels)) == len(labels) == 5


# ---- the page -----------------------------------------------------------------------------------


class Outline(HTMLParser):
    """Looks for what a page would fetch, and for tags that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.fetched, self.ids, self.links = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"][1:]] if attributes.get("href", "").startswith("#") else []
        self.fetched += [attributes[k] for k in ("src", "srcset", "data") if k in attributes]
        if tag not in {"meta", "br", "img", "link", "input"}:
            self.open.append(tag)
        if tag == "link":
            self.fetched.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A store with trials done, failed and diverged, and its page."""
    folder = tmp_path_factory.mktemp("page")
    with Store(folder / "a.sqlite") as store:
        store.begin("seeds = 3 # <plan>", 30, 0, 0)
        for r in ROWS:
            measured = {k: r[k] for k in ("final_loss", "accuracy", "diverged_at")}
            settings = Settings(lr=r["lr"], hidden=tuple(map(int, r["hidden"].split(","))))
            store.record(Trial(settings, r["seed"], measured, seconds=0.5))
        infinite = {"final_loss": math.inf, "accuracy": 0.5, "diverged_at": 7}
        store.record(Trial(Settings(lr=2.0), 0, infinite, seconds=0.5))
        store.record(Trial(Settings(lr=3.0), 0, traceback="Traceback\nError: <b> & more\n"))
    page = write_page(folder / "a.sqlite", folder / "a.html")
    return page.read_text(encoding="utf-8")


def test_it_is_one_whole_file(written):
    outline = Outline(written)
    assert outline.open == []
    assert outline.fetched == []
    assert "url(http" not in written
    assert "@import" not in written
    assert len(set(outline.ids)) == len(outline.ids)
    assert set(outline.links) <= set(outline.ids)


def test_it_shows_what_there_is(written):
    assert "Of 30 trials, 10 are still to be run" in written
    assert "seeds = 3 # &lt;plan&gt;" in written
    assert "Error: &lt;b&gt; &amp; more" in written
    assert written.count('class="run"') == 7
    best = min(ROWS, key=lambda r: r["final_loss"])
    assert command_of_row(best) in re.sub("<[^>]+>", "", written)
    for title in ("What matters", "Two settings together", "The best settings", "Failed trials"):
        assert f"<h2>{title}</h2>" in written
    assert re.search(r"<b>lr</b>: \d+% of the ranking", written)


def test_a_sweep_of_one_setting_has_a_page(tmp_path):
    with Store(tmp_path / "a.sqlite") as store:
        store.begin("", 1, 0, 0)
        measured = {"final_loss": 0.5, "accuracy": 1.0}
        store.record(Trial(Settings(), 0, measured, seconds=0.5))
    text = write_page(tmp_path / "a.sqlite", tmp_path / "a.html").read_text(encoding="utf-8")
    outline = Outline(text)
    assert set(outline.links) <= set(outline.ids)
    assert "What matters" not in text


def test_losses_near_each_other_have_short_labels(tmp_path):
    with Store(tmp_path / "a.sqlite") as store:
        store.begin("", 2, 0, 0)
        for loss in (0.2512, 0.2589):
            measured = {"final_loss": loss, "accuracy": 1.0}
            store.record(Trial(Settings(lr=loss), 0, measured, seconds=0.5))
    text = write_page(tmp_path / "a.sqlite", tmp_path / "a.html").read_text(encoding="utf-8")
    assert "What matters" in text
    assert "×" not in text  # 2.52 × 10⁻¹ does not fit into the margin


def test_nothing_done_is_no_page(tmp_path):
    Store(tmp_path / "a.sqlite").close()
    with pytest.raises(StoreError, match="nothing to show"):
        write_page(tmp_path / "a.sqlite", tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()
