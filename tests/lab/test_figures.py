"""A figure on a page: coordinates are cut short, and what is written is not."""

import re

from tinygrad_lab.lab.pages.figures import svg


def test_numbers_of_an_axis_keep_their_digits_and_coordinates_do_not():
    text = svg(lambda ax: ax.plot([0.0, 1.0], [0.0, 0.003]), name="small", description="0.0015")
    assert ">0.0015</text>" in text
    for path in re.findall(r' d="([^"]+)"', text):
        assert not re.search(r"\.\d{3}", path)
