"""`sheet.png`: the first pictures of an output side by side, each with its row's id."""

from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from retouch.batch.projections import Output
from retouch.batch.projections.pictures import read_picture
from retouch.imaging.decode import decode_picture
from retouch.imaging.picture import Picture
from retouch.imaging.save import save_picture
from retouch.imaging.to_pillow import to_pillow

_MOST, _COLUMNS, _CELL_PX, _TEXT_PX, _GAP_PX = 100, 10, 128, 12, 4
_MOST_CHARS = 20


def write(output: Output) -> Path:
    """Write it; return its path."""
    shown = list(islice((kept for kept in output.rows() if kept.files), _MOST))
    columns = max(1, min(_COLUMNS, len(shown)))
    width, height = _CELL_PX + _GAP_PX, _CELL_PX + _TEXT_PX + 2 * _GAP_PX
    sheet = Image.new("RGB", (columns * width, max(1, -(-len(shown) // columns)) * height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT_PX)
    for number, kept in enumerate(shown):
        left, top = number % columns * width, number // columns * height
        image = to_pillow(decode_picture(read_picture(output.folder, kept.files[0]))).convert("RGB")
        image.thumbnail((_CELL_PX, _CELL_PX))
        sheet.paste(image, (left, top))
        name = str(kept.record["id"])[:_MOST_CHARS].encode("latin-1", "replace").decode("latin-1")
        pen.text((left, top + _CELL_PX), name, fill="black", font=font)
    path = output.folder / "sheet.png"
    save_picture(Picture(np.array(sheet)), path)
    return path
