"""How the picture looks: colours, line widths, and numbers as text. Nothing else decides it.

Borders of any two kinds of box stay apart under three simulated colour-vision deficiencies, and
text keeps a contrast of 4.5 : 1 on every fill: ``tests/viz/test_colours.py``. Not for layout or for
DOT syntax (``dot.py``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tinygrad_lab.viz.measures import Measure

__all__ = [
    "THEMES", "Paint", "Scale", "Theme", "measured", "number", "one_line", "plural", "printable",
]  # fmt: skip

#: Matplotlib's cividis at every sixteenth, written down so that a picture needs no Matplotlib.
_CIVIDIS = (
    (0, 34, 78), (0, 46, 106), (26, 56, 111), (50, 67, 109), (67, 78, 108), (83, 90, 109),
    (97, 101, 111), (111, 112, 115), (125, 124, 120), (140, 136, 120), (155, 148, 118),
    (171, 160, 114), (188, 174, 108), (205, 187, 99), (222, 201, 88), (240, 216, 70),
    (254, 232, 56),
)  # fmt: skip

#: Characters of a name; what is longer would make a box wide.
_LONGEST = 40

_THINNEST, _THICKEST = 0.8, 4.5

# Gradients that differ by less than this factor are drawn with part of the range of widths only:
# otherwise a graph with healthy gradients would look as if some of them vanished.
_WIDEST_RANGE_FROM = 100.0


@dataclass(frozen=True, slots=True)
class Paint:
    """The two colours of a kind of box."""

    fill: str
    line: str


@dataclass(frozen=True, slots=True)
class Theme:
    """Everything that differs between light and dark.

    ``small`` and ``large`` are the ends of the part of cividis that gradients are drawn in: both
    stand out from the background, the large ones more.
    """

    background: str
    ink: str
    muted: str
    no_gradient: str
    cluster: Paint
    small: float
    large: float
    paint: Mapping[str, Paint]


THEMES: Mapping[str, Theme] = {
    "light": Theme(
        background="#FFFFFF",
        ink="#1F2328",
        muted="#57606A",
        no_gradient="#8C959F",
        cluster=Paint("#F6F8FA", "#AFB8C1"),
        small=0.72,
        large=0.0,
        paint={
            "input": Paint("#DDF0FB", "#0060A8"),
            "parameter": Paint("#FDF1D6", "#8A6100"),
            "operation": Paint("#FFFFFF", "#57606A"),
            "loss": Paint("#D3F0E6", "#117733"),
            "wrong": Paint("#FFE3E0", "#7F0010"),
            "weak": Paint("#F1E7FB", "#8E24D6"),
        },
    ),
    "dark": Theme(
        background="#0D1117",
        ink="#E6EDF3",
        muted="#B1BAC4",
        no_gradient="#6E7681",
        cluster=Paint("#12181F", "#3D444D"),
        small=0.4,
        large=1.0,
        paint={
            "input": Paint("#10324A", "#56B4E9"),
            "parameter": Paint("#4A3505", "#E69F00"),
            "operation": Paint("#161B22", "#9DA7B3"),
            "loss": Paint("#0B3D30", "#3DDC97"),
            "wrong": Paint("#5A2408", "#FF8A4C"),
            "weak": Paint("#43243A", "#BC80FF"),
        },
    ),
}


class Scale:
    """Width and colour of an edge, both by the logarithm of the gradient that flows along it.

    Parameters
    ----------
    magnitudes
        The gradients of the graph, root mean squares. Zero and non-finite ones do not stretch it.
    theme
        Supplies the ends of the colour map.

    Examples
    --------
    >>> scale = Scale([1e-4, 1e-2, 1.0], THEMES["light"])
    >>> scale.width(1e-4), scale.width(1e-2), scale.width(1.0)
    (0.8, 2.65, 4.5)
    >>> Scale([0.2, 0.2], THEMES["light"]).width(0.2)
    2.65
    """

    def __init__(self, magnitudes: list[float], theme: Theme) -> None:
        scaled = [m for m in magnitudes if m > 0.0 and math.isfinite(m)]
        self.low = min(scaled, default=1.0)
        self.high = max(scaled, default=1.0)
        self._theme = theme
        low, high = math.log(self.low), math.log(self.high)
        self._middle = (low + high) / 2
        self._span = max(high - low, math.log(_WIDEST_RANGE_FROM))

    def width(self, magnitude: float) -> float:
        """Return the line width in points."""
        share = self._share(magnitude)
        return round(_THINNEST + (_THICKEST - _THINNEST) * share, 2)

    def colour(self, magnitude: float) -> str:
        """Return the colour as ``#rrggbb``."""
        small, large = self._theme.small, self._theme.large
        return _cividis(small + (large - small) * self._share(magnitude))

    def _share(self, magnitude: float) -> float:
        """Return where a magnitude lies: 0 at the thin end, 1 at the thick end."""
        if not magnitude > 0.0:
            return 0.0
        if math.isinf(magnitude):
            return 1.0
        return min(max(0.5 + (math.log(magnitude) - self._middle) / self._span, 0.0), 1.0)


def _cividis(t: float) -> str:
    """Return the colour at ``t`` in [0, 1]."""
    position = min(max(t, 0.0), 1.0) * (len(_CIVIDIS) - 1)
    left = min(int(position), len(_CIVIDIS) - 2)
    share = position - left
    pairs = zip(_CIVIDIS[left], _CIVIDIS[left + 1], strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def number(value: float) -> str:
    """Write a number to three digits, with a real minus sign and no padded exponent.

    Examples
    --------
    >>> number(0.13149), number(-1.5e-7), number(12345.0), number(3.0)
    ('0.131', '−1.5e−7', '1.23e4', '3')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    mantissa, _, exponent = f"{value + 0.0:.3g}".partition("e")  # + 0.0: no "-0"
    return (mantissa + (f"e{int(exponent)}" if exponent else "")).replace("-", "−")


def measured(measure: Measure) -> str:
    """Write a measure: the one number, or rms, mean and range.

    Examples
    --------
    >>> measured(Measure(size=2, rms=1.0, mean=0.0, low=-1.0, high=1.0))
    'rms 1, mean 0, from −1 to 1'
    """
    if measure.size == 1 and not measure.nan and not measure.inf:
        return number(measure.mean)
    text = (
        f"rms {number(measure.rms)}, mean {number(measure.mean)}, "
        f"from {number(measure.low)} to {number(measure.high)}"
    )
    bad = [f"{n} {word}" for n, word in ((measure.nan, "NaN"), (measure.inf, "Inf")) if n]
    return ", ".join([text, *bad])


def plural(count: int, noun: str) -> str:
    """Write a count with its noun.

    Examples
    --------
    >>> plural(1, "edge"), plural(1200, "edge")
    ('1 edge', '1,200 edges')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def one_line(text: str, longest: int = _LONGEST) -> str:
    r"""Make any text visible, one line, and at most 40 characters long, or as long as said.

    Examples
    --------
    >>> one_line("two\nlines"), one_line(" "), one_line("x" * 50)[-3:]
    ('two⏎lines', '(empty)', 'xx…')
    """
    text = printable(text).strip()
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return text or "(empty)"


def printable(text: str) -> str:
    """Make line breaks visible, and replace what is invisible, reverses text, or XML forbids."""
    text = text.replace("\r\n", "\n").replace("\n", "⏎")
    return "".join(
        c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text
    )
