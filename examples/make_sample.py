"""Cut `sample.png` from its panorama and draw its masks.

python examples/make_sample.py courtyard.exr
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from retouch.data.panorama import View, cut, develop, read_exr

HERE = Path(__file__).parent
WIDTH, HEIGHT, TOP = 384, 256, 84
HOLE = (224, 84, 348, 212)  # where an object beside the dog would stand: left, top, right, bottom
DOG = ((60, 145), (91, 128), (114, 122), (152, 122), (177, 141), (183, 172), (204, 195), (200, 212), (164, 234))
DOG += ((149, 229), (133, 200), (114, 191), (87, 183), (67, 156))


def main(panorama: Path) -> None:
    """Write the pictures beside this script."""
    wide = develop(cut(read_exr(panorama), View(yaw=45, pitch=-22, fov=80), 2 * WIDTH), key=0.2)
    square = Image.fromarray(np.asarray(wide)).resize((WIDTH, WIDTH), Image.Resampling.BOX)
    square.crop((0, TOP, WIDTH, TOP + HEIGHT)).save(HERE / "sample.png", optimize=True)
    draw_masks()


def draw_masks() -> None:
    """Write the masks beside this script."""
    for name in ("sample-mask", "sample-dog-mask"):
        mask = Image.new("L", (WIDTH, HEIGHT), 0)
        pen = ImageDraw.Draw(mask)
        pen.ellipse(HOLE, fill=255) if name == "sample-mask" else pen.polygon(DOG, fill=255)
        mask.convert("1").save(HERE / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
