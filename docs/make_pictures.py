"""Draw the pictures of `masks.md` with the code that they explain, and that of the README with a model.

`python docs/make_pictures.py` draws the former; with `pocket` behind it, a checkpoint paints the latter.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from retouch.imaging.choices import Polarity, RegionMode
from retouch.imaging.decode import decode_picture
from retouch.imaging.feather import feather_weights
from retouch.imaging.mask import MaskOptions, cover_mask, nearest_mask, prepare_mask
from retouch.imaging.morphology import crop
from retouch.imaging.region import plan_region

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
PICTURES = HERE / "pictures"
TINT = (230, 40, 90)
GAP, CAPTION = 8, 20
options = partial(MaskOptions, polarity="white", threshold=0.5, grow_px=0, fill_holes=False)
DEMO_PROMPTS = (
    "a red apple",
    "a strawberry",
    "face of a yellow cat",
    "face of a green cat",
    "a white house",
    "a penguin",
)
DEMO_SIZE, DEMO_COLUMNS = (216, 144), 4
DEMO_SEED = 7
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def main() -> None:
    """Write all pictures, each below 100 kB."""
    PICTURES.mkdir(exist_ok=True)
    for name, picture in (
        ("polarity", polarity()),
        ("steps", steps()),
        ("cells", cells()),
        ("regions", regions()),
        ("removal", removal()),
    ):
        save(picture, name)


def demo(model: str) -> None:
    """Show the sample, its mask, and what a model makes of it."""
    from retouch import Inpainter

    photo = Image.open(EXAMPLES / "sample.png").convert("RGB")
    hole = Image.open(EXAMPLES / "sample-mask.png").convert("L")
    views = [photo, hole.convert("RGB")]
    with Inpainter.load(model) as inpainter:
        views += [inpainter(prompt, photo, hole, seed=DEMO_SEED).image for prompt in DEMO_PROMPTS]
    small = [view.resize(DEMO_SIZE, Image.Resampling.LANCZOS) for view in views]
    titles = ["picture", "mask", *DEMO_PROMPTS]
    starts = range(0, len(small), DEMO_COLUMNS)
    rows, captions = ([parts[at : at + DEMO_COLUMNS] for at in starts] for parts in (small, titles))
    save(sheet(rows, captions), "demo")


def save(picture: Image.Image, name: str) -> None:
    """Write a picture in 128 colours, dithered where these are too few, which keeps it below 100 kB."""
    palette = picture.quantize(128, kmeans=2)
    small = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    small.save(PICTURES / f"{name}.png", optimize=True)


def polarity() -> Image.Image:
    """Show one hole as four mask files, and below each what it repaints."""
    photo = Image.open(EXAMPLES / "sample.png").resize((192, 128), Image.Resampling.LANCZOS)
    hole = np.asarray(Image.open(EXAMPLES / "sample-mask.png").convert("L").resize(photo.size)) > 127
    shape = Image.fromarray((hole * 255).astype(np.uint8))
    files: dict[Polarity, Image.Image] = {
        "white": shape,
        "black": Image.fromarray((~hole * 255).astype(np.uint8)),
        "transparent": with_alpha(photo.convert("RGB"), ~hole),
        "opaque": with_alpha(Image.new("RGB", photo.size, TINT), hole),
    }
    top = [on_checkers(file) for file in files.values()]
    below = []
    for name, file in files.items():
        mask = prepare_mask(decode_picture(file), height=128, width=192, options=options(polarity=name))
        below.append(tinted(photo, mask.pixels.astype(np.float32)))
    return sheet([top, below], [[f"{name} is repainted" for name in files]])


def steps() -> Image.Image:
    """Show an outline, and what filling, growing and feathering make of it."""
    size = 128
    drawn = Image.new("L", (size, size))
    ImageDraw.Draw(drawn).ellipse((32, 24, 96, 104), outline=255, width=5)
    source = decode_picture(drawn)

    def read(**given: int) -> Bools:
        prepared = prepare_mask(source, height=size, width=size, options=options(**given))  # type: ignore[arg-type]
        return prepared.pixels

    filled, grown = read(fill_holes=True), read(fill_holes=True, grow_px=16)
    weights: list[Floats] = [
        read().astype(np.float32),
        filled.astype(np.float32),
        grown.astype(np.float32),
        feather_weights(grown, 24),
    ]
    shown = [Image.fromarray(np.rint(weight * 255).astype(np.uint8)).convert("RGB") for weight in weights]
    return sheet([shown], [["drawn", "fill_holes", "grow_px=16", "feather_px=24"]])


def cells() -> Image.Image:
    """Show which cells of 8 pixels a thin stroke lights."""
    width, height, factor, zoom = 96, 64, 8, 4
    drawn = Image.new("L", (width, height))
    ImageDraw.Draw(drawn).line((6, 52, 40, 12, 88, 45), fill=255, width=2)
    stroke = np.asarray(drawn) > 127
    views = []
    for lit in (nearest_mask(stroke, factor), cover_mask(stroke, factor)):
        large = np.kron(lit, np.ones((factor, factor), bool))
        colour = np.where(large[..., None], TINT, (250, 250, 250)).astype(np.uint8)
        colour[stroke] = (20, 20, 20)
        view = Image.fromarray(colour).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
        pen = ImageDraw.Draw(view)
        for x in range(0, view.width, factor * zoom):
            pen.line((x, 0, x, view.height), fill=(190, 190, 190))
        for y in range(0, view.height, factor * zoom):
            pen.line((0, y, view.width, y), fill=(190, 190, 190))
        views.append(view)
    return sheet([views], [["latent_mask=nearest", "latent_mask=cover"]])


def regions() -> Image.Image:
    """Show the box that each region takes from the picture, and what the model sees of it."""
    photo = Image.open(EXAMPLES / "sample.png").convert("RGB")
    hole = np.asarray(Image.open(EXAMPLES / "sample-mask.png").convert("L")) > 127
    views, captions = [], []
    modes: tuple[RegionMode, ...] = ("whole", "masked")
    for mode in modes:
        region = plan_region(hole, mode=mode, native_size=128, size_multiple=8, bucket=16)
        view = tinted(photo, hole.astype(np.float32))
        left, top, right, bottom = region.box
        ImageDraw.Draw(view).rectangle((left, top, right - 1, bottom - 1), outline=(30, 90, 255), width=4)
        canvas = region.scale(crop(np.asarray(photo, np.float32) / 255, region.box))
        canvas[region.apply_mask(hole)] = 0.5  # the model does not see what it shall repaint
        seen = Image.fromarray(np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8))
        views += [view.resize((288, 192), Image.Resampling.LANCZOS), seen]
        captions += [f"region={mode}", f"seen: {seen.width}x{seen.height}"]
    return sheet([views[:2], views[2:]], [captions[:2], captions[2:]])


def removal() -> Image.Image:
    """Show a thing, its mask, and what lies there without it."""
    from retouch import Inpainter

    photo = Image.open(EXAMPLES / "sample.png").convert("RGB")
    hole = Image.open(EXAMPLES / "sample-dog-mask.png").convert("L")
    with Inpainter.load() as inpainter:
        removed = inpainter("", photo, hole, seed=0).image
    shown = [view.crop((0, 56, 288, 256)) for view in (photo, hole.convert("RGB"), removed)]
    return sheet([shown], [["picture", "mask", 'prompt=""']])


def sheet(rows: list[list[Image.Image]], titles: list[list[str]]) -> Image.Image:
    """Lay pictures out in rows, with captions above those rows that have titles."""
    titles = titles + [[""] * len(row) for row in rows[len(titles) :]]
    heights = [max(view.height for view in row) + CAPTION * any(title) for row, title in zip(rows, titles)]
    width = max(sum(view.width + GAP for view in row) for row in rows) + GAP
    paper = Image.new("RGB", (width, sum(heights) + GAP * (len(rows) + 1)), "white")
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(14)
    y = GAP
    for row, title, height in zip(rows, titles, heights):
        x = GAP
        for view, text in zip(row, title):
            pen.text((x, y), text, fill="black", font=font)
            paper.paste(view.convert("RGB"), (x, y + CAPTION * any(title)))
            x += view.width + GAP
        y += height + GAP
    return paper


def with_alpha(picture: Image.Image, opaque: Bools) -> Image.Image:
    """Return the picture, transparent where it is not to be opaque."""
    picture = picture.copy()
    picture.putalpha(Image.fromarray((opaque * 255).astype(np.uint8)))
    return picture


def on_checkers(picture: Image.Image) -> Image.Image:
    """Return the picture on the checkers that stand for transparency."""
    rows, columns = np.indices((picture.height, picture.width)) // 8
    ground = np.where((rows + columns)[..., None] % 2, (255, 255, 255), (205, 205, 205)).astype(np.uint8)
    paper = Image.fromarray(np.ascontiguousarray(np.broadcast_to(ground, (*rows.shape, 3))))
    paper.paste(picture.convert("RGB"), mask=picture.getchannel("A") if picture.mode == "RGBA" else None)
    return paper


def tinted(photo: Image.Image, weight: Floats) -> Image.Image:
    """Return the photograph with the repainted part in the tint."""
    pixels = np.asarray(photo.convert("RGB"), np.float32)
    share = 0.75 * weight[..., None]
    return Image.fromarray(np.rint(pixels * (1 - share) + np.array(TINT, np.float32) * share).astype(np.uint8))


if __name__ == "__main__":
    demo(sys.argv[1]) if len(sys.argv) > 1 else main()
