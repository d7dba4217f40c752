"""Drawings as pixels: single SVG files, and one file that holds many by their names."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.errors import BadInput, MissingExtra

U8 = NDArray[np.uint8]
_XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
_TAG = re.compile(r"<(/?)svg\b")


def read_rgba(data: bytes) -> U8:
    """Decode a picture file as (H, W, 4) bytes."""
    with Image.open(io.BytesIO(data), formats=("PNG", "WEBP")) as picture:
        return np.asarray(picture.convert("RGBA"))


def render_svg(text: str, width: int) -> U8:
    """Render a drawing `width` pixels wide, as (H, W, 4) bytes.

    Raises:
        MissingExtra: resvg_py is not installed.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise MissingExtra("drawings need resvg_py", hint="pip install 'retouch[train]'") from error
    # Files sized in points or millimetres fail without a resolution.
    return read_rgba(bytes(resvg_py.svg_to_bytes(svg_string=text, width=width, dpi=96)))


class SymbolSheet:
    """A file of many drawings: nested `<svg id="NAME">` elements, as icon sets for browsers are packed."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._text = path.read_text(encoding="utf-8")

    def drawing(self, name: str) -> str:
        """Return one drawing as an SVG document of its own.

        Raises:
            BadInput: the file has none of that name.
        """
        found = re.search(rf'<svg\b[^>]*\bid="{re.escape(name)}"', self._text)
        if found is None:
            raise BadInput(f"{self._name} has no drawing {name}", hint="is it another version?")
        depth = 0
        for tag in _TAG.finditer(self._text, found.start()):
            depth += -1 if tag.group(1) else 1
            if depth == 0:
                text = self._text[found.start() : tag.start()] + "</svg>"
                return text if _XLINK in found.group() else text.replace("<svg", f"<svg {_XLINK}", 1)
        raise BadInput(f"{self._name} is cut short after {name}")
