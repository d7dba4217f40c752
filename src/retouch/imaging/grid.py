"""The side-by-side grid of a model card: input, mask, output, under each its caption, above all the prompt."""

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from retouch.imaging.morphology import Mask
from retouch.imaging.picture import Picture
from retouch.imaging.to_pillow import to_pillow

_PAPER, _INK, _FAINT = (255, 255, 255), (24, 24, 27), (82, 82, 91)
_GAP_PX = 16
_CAPTION_SHARE = 0.05
_CHECKER = ((236, 236, 236), (252, 252, 252))


def grid_picture(
    picture: Picture, mask: Mask, outputs: Sequence[Picture], *, prompt: str, cell_px: int = 512
) -> Picture:
    """Return an RGB picture that shows input, mask and outputs side by side, captioned.

    Args:
        picture: the input.
        mask: (H, W), True = repaint; drawn white on black.
        outputs: one or more results, of any size.
        prompt: wrapped to the width of the grid.
        cell_px: longer side of each picture in the grid.
    """
    drawn = Picture(mask.astype(np.uint8) * np.uint8(255))
    names = ["output"] if len(outputs) == 1 else [f"output {k + 1}" for k in range(len(outputs))]
    cells = [_cell(each, cell_px) for each in (picture, drawn, *outputs)]
    size_px = max(11, round(cell_px * _CAPTION_SHARE))
    font = ImageFont.load_default(size_px)
    line = round(size_px * 1.35)
    width = _GAP_PX + sum(cell.width + _GAP_PX for cell in cells)
    prompt_lines = _wrapped(prompt, font, width - 2 * _GAP_PX)
    head = _GAP_PX + len(prompt_lines) * line + (_GAP_PX // 2 if prompt_lines else 0)
    tallest = max(cell.height for cell in cells)
    sheet = Image.new("RGB", (width, head + tallest + line + _GAP_PX), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for row, text in enumerate(prompt_lines):
        pen.text((_GAP_PX, _GAP_PX + row * line), text, fill=_INK, font=font)
    left = _GAP_PX
    for cell, name in zip(cells, ["input", "mask", *names], strict=True):
        sheet.paste(cell, (left, head))
        pen.text((left, head + tallest + size_px * 0.15), name, fill=_FAINT, font=font)
        left += cell.width + _GAP_PX
    return Picture(np.array(sheet))


def _cell(picture: Picture, cell_px: int) -> Image.Image:
    """Scale a picture to the cell, on a checkerboard where it is transparent."""
    image = to_pillow(picture)
    scale = cell_px / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    smooth = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    if "A" not in image.getbands():
        return image.resize(size, smooth).convert("RGB")
    image = image.convert("RGBA").resize(size, smooth)
    board = _checkerboard(size)
    board.paste(image, mask=image.getchannel("A"))
    return board


def _checkerboard(size: tuple[int, int]) -> Image.Image:
    columns, rows = (np.arange(side) // 8 for side in size)
    dark = (rows[:, None] + columns[None, :]) % 2
    return Image.fromarray(np.array(_CHECKER, np.uint8)[dark])


def _wrapped(prompt: str, font: "ImageFont.FreeTypeFont | ImageFont.ImageFont", width_px: int) -> list[str]:
    """Break a prompt into at most six lines of the given width; the last one says if there was more."""
    text = " ".join(prompt.split())
    if not text:
        return []
    average_px = font.getlength(text[:500]) / len(text[:500])
    columns = max(8, int(width_px / average_px * 0.95))
    return textwrap.wrap(text, columns, max_lines=6, placeholder=" …")
