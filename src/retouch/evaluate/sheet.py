"""Contact sheets: prompt, input, mask, fill and the judge's opinion, case by case."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from retouch.evaluate.cases import Case
from retouch.evaluate.judge import Opinion
from retouch.evaluate.scoring import Painted

U8 = NDArray[np.uint8]
Ink = tuple[int, int, int]

_INK, _GOOD, _BAD, _PAPER = (30, 30, 34), (16, 110, 50), (176, 32, 32), (250, 250, 248)
_LINE_PX, _GAP_PX, _FONT_PX = 13, 8, 11


def contact_sheet(
    painted: Painted, *, rows: Sequence[int] | None = None, limit: int = 24, columns: int = 4
) -> Image.Image:
    """Draw cases side by side: the hole in grey, the mask's outline on the truth, the fill, the judge's opinion.

    Args:
        painted: one painter's work.
        rows: which cases; None is all.
        limit: most cases on one sheet; more are thinned evenly.
        columns: cases beside each other.
    """
    chosen = _thin(list(range(len(painted.cases))) if rows is None else list(rows), limit)
    cells = [
        _cell(painted.cases[k], painted.pictures[k], _captions(painted.cases[k], painted.opinions[k]))
        for k in chosen
    ]
    return _laid_out(cells, columns)


def fill_sheet(pairs: Sequence[tuple[Case, U8]], *, columns: int = 1, side_px: int = 256) -> Image.Image:
    """Draw cases and their fills without a judge, each picture reduced to `side_px`."""
    cells = [_cell(case, picture, [(f"{case.mask.mean():.0%} repainted", _INK)]) for case, picture in pairs]
    for cell in cells:
        cell.thumbnail((3 * side_px, 2 * side_px), Image.Resampling.LANCZOS)
    return _laid_out(cells, columns)


def strip_sheet(strips: Sequence[U8], captions: Sequence[str], *, columns: int) -> Image.Image:
    """Draw strips (H, W, 3) of any pictures in a grid, a line of text below each."""
    cells = [_captioned(strip, [(text, _INK)]) for strip, text in zip(strips, captions, strict=True)]
    return _laid_out(cells, columns)


def outlined(picture: U8, mask: NDArray[np.bool_], ink: Ink = (255, 255, 255)) -> U8:
    """Return the picture with a thin line, white by default, where the hole begins."""
    padded = np.pad(mask, 1, mode="edge")  # a hole that ends with the picture has no line there
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    drawn = picture.copy()
    drawn[mask & ~inner] = ink
    return drawn


def _laid_out(cells: Sequence[Image.Image], columns: int) -> Image.Image:
    if not cells:
        return Image.new("RGB", (1, 1), _PAPER)
    width = max(cell.width for cell in cells) + _GAP_PX
    height = max(cell.height for cell in cells) + _GAP_PX
    lines = -(-len(cells) // columns)
    sheet = Image.new("RGB", (width * min(columns, len(cells)) + _GAP_PX, height * lines + _GAP_PX), _PAPER)
    for k, cell in enumerate(cells):
        sheet.paste(cell, (_GAP_PX + k % columns * width, _GAP_PX + k // columns * height))
    return sheet


def _cell(case: Case, picture: U8, lines: Sequence[tuple[str, Ink]]) -> Image.Image:
    strip = np.concatenate([case.visible, outlined(case.truth, case.mask), picture], axis=1)
    return _captioned(strip, lines, room=3)


def _captioned(strip: U8, lines: Sequence[tuple[str, Ink]], *, room: int = 1) -> Image.Image:
    """Draw lines of text below a strip, with room for at least so many."""
    height, width = strip.shape[:2]
    cell = Image.new("RGB", (width, height + room * _LINE_PX + 2), _PAPER)
    cell.paste(Image.fromarray(strip), (0, 0))
    draw = ImageDraw.Draw(cell)
    font = ImageFont.load_default(_FONT_PX)
    for k, (text, ink) in enumerate(lines):
        draw.text((0, height + 1 + k * _LINE_PX), _fitted(text, font, width), fill=ink, font=font)
    return cell


def _captions(case: Case, opinion: Opinion) -> list[tuple[str, Ink]]:
    lines = [(f"“{case.prompt}”", _INK)]
    if case.concept is not None:
        seen = f"sees {opinion.objects[0]} {opinion.probability:.0%}; asked one is no. {opinion.rank}"
        lines.append((seen, _GOOD if opinion.is_asked_object else _BAD))
    if case.colour is not None and opinion.colour is not None:
        text = f"sees {opinion.colour.word}, asked {case.colour}"
        lines.append((text, _GOOD if opinion.is_asked_colour else _BAD))
    return lines


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    while text and font.getlength(text) > width:
        text = text[:-2] + "…" if len(text) > 2 else ""
    return text


def _thin(rows: list[int], limit: int) -> list[int]:
    if len(rows) <= limit:
        return rows
    return [rows[int(k)] for k in np.linspace(0, len(rows) - 1, limit)]
