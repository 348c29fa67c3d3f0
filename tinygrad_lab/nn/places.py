"""Errors that name the layer they come from.

Not for: what the errors are about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinygrad_lab.nn.module import Module

__all__ = ["locate"]


def locate(error: Exception, module: Module) -> None:
    """Put into the text of ``error`` which layer it came from.

    The innermost layer catches it first; each layer around that one writes the place anew, as the
    path from itself, so that the text has the whole path when it leaves the outermost.
    """
    attributes = vars(error)
    innermost, text = attributes.setdefault("_raised_in", (module, _text(error)))
    name = next((path for path, inner in module.named_modules() if inner is innermost), None)
    if name is None:
        return  # it was called, but is not among the layers of this module
    described = repr(innermost)
    if "\n" in described:
        described = type(innermost).__name__
    place = f"in layer {name!r}: {described}" if name else f"in {described}"
    if text is not None:
        error.args = (f"{text}\n  {place}",)
        return
    if attributes.get("_place"):
        error.__notes__.remove(attributes["_place"])
    error.add_note(place)
    attributes["_place"] = place


def _text(error: Exception) -> str | None:
    """The text that ``str(error)`` shows, if it can be replaced: else a note is added."""
    simple = len(error.args) == 1 and type(error).__str__ in (Exception.__str__, OSError.__str__)
    text = error.args[0] if simple else None
    return text if isinstance(text, str) and str(error) == text else None
