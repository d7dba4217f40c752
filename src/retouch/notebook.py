"""Results as notebooks show them: small pictures, each with a line below it."""

import base64
import html
import io
from collections.abc import Iterable

from PIL import Image

from retouch.imaging.picture import Picture
from retouch.imaging.to_pillow import to_pillow

_MOST_SIDE = 768
"""Sides in pixels: a notebook keeps what it shows, and the picture itself is the result's."""


def shown_png(picture: Picture) -> bytes:
    """Return a PNG of 8 bits, scaled down to what a page can show."""
    image = to_pillow(picture)
    image.thumbnail((_MOST_SIDE, _MOST_SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def gallery(pictures: Iterable[tuple[Picture, str]], notes: Iterable[str]) -> str:
    """Return HTML of pictures beside each other, with captions, and notes below them."""
    figures = "".join(_figure(picture, caption) for picture, caption in pictures)
    below = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return f'<div style="display:flex;flex-wrap:wrap;gap:1em">{figures}</div>{below}'


def _figure(picture: Picture, caption: str) -> str:
    source = base64.b64encode(shown_png(picture)).decode()
    text = html.escape(caption)
    return (
        f'<figure style="margin:0"><img alt="{text}" src="data:image/png;base64,{source}">'
        f"<figcaption>{text}</figcaption></figure>"
    )
