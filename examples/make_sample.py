"""Cut `sample.png` from its panorama and draw `sample-mask.png`.

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


def main(panorama: Path) -> None:
    """Write both pictures beside this script."""
    wide = develop(cut(read_exr(panorama), View(yaw=45, pitch=-22, fov=80), 2 * WIDTH), key=0.2)
    square = Image.fromarray(np.asarray(wide)).resize((WIDTH, WIDTH), Image.Resampling.BOX)
    square.crop((0, TOP, WIDTH, TOP + HEIGHT)).save(HERE / "sample.png", optimize=True)
    mask = Image.new("L", (WIDTH, HEIGHT), 0)
    ImageDraw.Draw(mask).ellipse(HOLE, fill=255)
    mask.convert("1").save(HERE / "sample-mask.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
