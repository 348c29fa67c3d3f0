"""Vectors in the plane of their principal directions."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_lab.viz import plot_embeddings

VECTORS = np.random.default_rng(0).normal(size=(30, 5)) * [5.0, 2.0, 1.0, 0.1, 0.1]


def test_the_plane_has_the_largest_variances(ax):
    plot_embeddings(VECTORS + 100.0, ax=ax)
    points = np.asarray(ax.collections[0].get_offsets())
    variances = np.linalg.eigvalsh(np.cov(VECTORS.T))[::-1]
    np.testing.assert_allclose(points.var(axis=0, ddof=1), variances[:2])
    assert abs(np.corrcoef(points.T)[0, 1]) < 1e-10
    assert (
        ax.get_xlabel() == f"principal direction 1 ({100 * variances[0] / variances.sum():.0f} %)"
    )


def test_directions_do_not_depend_on_the_order_of_the_vectors(ax):
    plot_embeddings(VECTORS, ax=ax)
    plot_embeddings(VECTORS[::-1], ax=ax)
    there, back = (np.asarray(c.get_offsets()) for c in ax.collections)
    np.testing.assert_allclose(there, back[::-1], atol=1e-12)


def test_classes_have_colours_markers_and_their_name_in_the_middle(ax):
    plot_embeddings(VECTORS, ["odd", "even"] * 15, ax=ax)
    assert [c.get_label() for c in ax.collections] == ["even", "odd"]
    [even, _] = ax.collections
    middle = np.median(np.asarray(even.get_offsets()), axis=0)
    assert ax.texts[0].get_text() == "even"
    np.testing.assert_allclose(ax.texts[0].get_position(), middle)


def test_names_stand_beside_the_points(ax):
    plot_embeddings(VECTORS[:3], names=["$a", "b$", "<c>"], ax=ax)
    assert [t.get_text() for t in ax.texts] == ["$a", "b$", "<c>"]
    ax.figure.canvas.draw()


def test_classes_may_be_called_anything(ax):
    plot_embeddings(VECTORS, ["$_$", "<b>\n&", "שלום"] * 10, ax=ax)
    ax.figure.canvas.draw()
    assert {t.get_text() for t in ax.get_legend().get_texts()} == {"$_$", "<b>\n&", "שלום"}


@pytest.mark.parametrize(
    ("vectors", "options", "message"),
    [
        (np.ones(3), {}, r"got \(3,\)"),
        ([[1.0, 2.0]], {}, r"two vectors.*\(1, 2\)"),
        (np.ones((4, 3)), {}, "all 4 vectors are equal"),
        ([[1.0, np.nan], [1.0, 2.0]], {}, "1 of 2 vectors are not finite"),
        (VECTORS, {"labels": [1, 2]}, "2 labels for 30"),
        (VECTORS, {"names": ["a"]}, "1 names for 30"),
    ],
)
def test_what_cannot_be_in_the_plane_is_refused(vectors, options, message, ax):
    with pytest.raises(ValueError, match=message):
        plot_embeddings(vectors, ax=ax, **options)
