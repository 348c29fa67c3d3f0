"""Frames within frames, and the boxes in them, in the order of the computation.

Not for: how a frame is drawn (``dot.py``) or written (``tree.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

__all__ = ["Frame", "walk"]


@dataclass(frozen=True, slots=True)
class Frame:
    """What is drawn around boxes: a layer that was called, or what comes several times.

    ``title`` names the layer and its kind; ``copies`` is how often what is in it comes in a row.
    Of a layer, ``shapes`` are those of the first array that it was called with, and of its result.
    """

    id: str
    title: str
    within: str | None
    path: str | None = None
    copies: int = 1
    shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def heading(self) -> str:
        """What it is in one line: ``× 12 layers.0 … layers.11: TransformerEncoderLayer``."""
        return f"× {self.copies} {self.title}".strip() if self.copies > 1 else self.title


class _Box(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def frame(self) -> str | None: ...


_AnyBox = TypeVar("_AnyBox", bound=_Box)


def walk(
    frames: Sequence[Frame], boxes: Sequence[_AnyBox]
) -> Iterator[tuple[Frame | _AnyBox, int]]:
    """Give each frame, then what is in it, with the depth; boxes come in the order they have.

    A frame stands where its first box does; one without a box is left out.

    Examples
    --------
    >>> from tinygrad_lab.viz.programs.model import Step
    >>> boxes = [Step("a", "forward", (), frame="f"), Step("b", "forward", (), frame=None)]
    >>> [(item.id, depth) for item, depth in walk([Frame("f", "fc1", None)], boxes)]
    [('f', 0), ('a', 1), ('b', 0)]
    """
    around = {frame.id: frame.within for frame in frames}
    inside: dict[str | None, list[Frame | _AnyBox]] = {}
    positions: dict[str, int] = {}
    for position, box in enumerate(boxes):
        inside.setdefault(box.frame, []).append(box)
        positions[box.id] = position
        frame = box.frame
        while frame is not None and frame not in positions:
            positions[frame] = position
            frame = around[frame]
    for each in frames:
        if each.id in positions:
            inside.setdefault(each.within, []).append(each)
    waiting = [(item, 0) for item in _latest_first(inside.get(None, []), positions)]
    while waiting:
        item, depth = waiting.pop()
        yield item, depth
        if isinstance(item, Frame):
            parts = _latest_first(inside[item.id], positions)
            waiting += [(part, depth + 1) for part in parts]


def _latest_first(items: list[Frame | _AnyBox], positions: dict[str, int]) -> list[Frame | _AnyBox]:
    """Sort what stands in one frame, the last first; a box after the frame that begins with it."""
    return sorted(
        items, key=lambda item: (positions[item.id], not isinstance(item, Frame)), reverse=True
    )
