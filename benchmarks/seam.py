"""Measures what the correction of seams does to fills of photographs whose truth is known.

    python benchmarks/seam.py fills [--model DIR] [--picture PNG]    what a checkpoint paints: removals and objects
    python benchmarks/seam.py round-trips [--model DIR]              photographs through the checkpoint's VAE
    python benchmarks/seam.py time [--megapixels 4]                  seconds of one correction

The photographs are scikit-image's (`skimage.data`); crops and holes come from fixed seeds. Each fill is painted
once and finished in every mode. PSNR and SSIM are those of the hole against the truth, and say nothing of objects;
a seam ratio of 1 is no visible border. `--picture` writes some holes before and after.
"""

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage import data

from retouch import models
from retouch.evaluate.metrics import psnr, seam_ratio, ssim
from retouch.finish import finish
from retouch.imaging.composite import composite
from retouch.imaging.feather import feather_weights
from retouch.imaging.morphology import Mask, bounding_box, crop, widen
from retouch.imaging.picture import Picture
from retouch.imaging.seam import correct_seam
from retouch.inpainter import Inpainter
from retouch.models.vae import load_vae, seen_by_decoder
from retouch.request import InpaintRequest, SeamMode

U8 = NDArray[np.uint8]
PHOTOGRAPHS = ("astronaut", "coffee", "rocket", "chelsea", "brick", "grass", "gravel")
OBJECTS = ("red apple", "blue car", "yellow duck", "green hat", "brown dog", "pink cake", "white cup")
SHAPES = ("box", "ellipse", "stroke", "outline")
EMBEDDED = Path(models.__file__).parent / "pocket"
SIDES = (128, 192, 256, 256)
MODES: tuple[SeamMode, ...] = get_args(SeamMode)


@dataclass(frozen=True, slots=True, eq=False)
class Hole:
    """A crop of a photograph (H, W, 3), a hole in it, and what it shall show."""

    prompt: str
    truth: U8
    mask: Mask
    seed: int


def holes() -> Iterator[Hole]:
    """Yield four removals and two objects for each photograph."""
    for number, name in enumerate(PHOTOGRAPHS):
        photograph = getattr(data, name)()
        if photograph.ndim == 2:
            photograph = np.repeat(photograph[..., None], 3, axis=2)
        for k in range(6):
            rng = np.random.default_rng([number, k])
            side = SIDES[k % 4]
            y, x = (int(rng.integers(0, length - side + 1)) for length in photograph.shape[:2])
            truth = np.ascontiguousarray(photograph[y : y + side, x : x + side, :3])
            prompt = "background" if k < 4 else f"a {OBJECTS[number]}"
            yield Hole(prompt, truth, outline(SHAPES[k % 4], side, rng), k)


def outline(shape: str, side: int, rng: np.random.Generator) -> Mask:
    """Return the mask (side, side) of a hole about a third as wide; strokes are thinner and longer."""
    image = Image.new("1", (side, side))
    pen = ImageDraw.Draw(image)
    wide = side * float(rng.uniform(0.25, 0.42))
    x, y = (float(place) for place in rng.uniform(0.3, 0.7, 2) * side)
    high = wide * float(rng.uniform(0.6, 1))
    frame = (x - wide / 2, y - wide / 2, x + wide / 2, y - wide / 2 + high)
    if shape == "box":
        pen.rectangle(frame, fill=1)
    elif shape == "ellipse":
        pen.ellipse(frame, fill=1)
    elif shape == "stroke":
        points = [(float(a), float(b)) for a, b in rng.uniform(0.15, 0.85, (3, 2)) * side]
        pen.line(points, fill=1, width=round(side * 0.09), joint="curve")
    else:
        angles, radii = np.sort(rng.uniform(0, 2 * np.pi, 9)), rng.uniform(0.6, 1.2, 9) * wide / 2
        pen.polygon([(x + r * np.cos(a), y + r * np.sin(a)) for a, r in zip(angles, radii, strict=True)], fill=1)
    return np.asarray(image)


def painted(inpainter: Inpainter, hole: Hole) -> dict[SeamMode, U8]:
    """Paint a hole once, and return the finished picture of every mode."""
    request = InpaintRequest(hole.prompt, hole.truth, hole.mask, seed=hole.seed, strength=1.0, safety="off")
    job = inpainter.submit(request)
    denoised = [ticket.future.result() for ticket in job._tickets]
    pictures: dict[SeamMode, U8] = {}
    for mode in MODES:
        prepared = replace(job._prepared, request=replace(job._prepared.request, seam=mode))
        result = finish(prepared, denoised, inpainter.bundle, (), started=time.perf_counter())
        assert result.kept_pixels_identical
        pictures[mode] = np.asarray(result.fills[0].picture.pixels, np.uint8)
    return pictures


@torch.inference_mode()
def round_trip(vae: Any, hole: Hole) -> dict[SeamMode, U8]:
    """Return the truth with its hole from the VAE's picture of the whole, in every mode."""
    picture = Picture(hole.truth)
    image = torch.from_numpy(picture.to_unit()).permute(2, 0, 1)[None] * 2 - 1
    kept = seen_by_decoder(vae, image, torch.ones_like(image[:, :1]))  # no pixel: all of it is painted
    decoded = vae.decode(vae.encode(image).latent_dist.mean, **kept).sample[0].permute(1, 2, 0)
    fill = np.ascontiguousarray((decoded / 2 + 0.5).clamp(0, 1).numpy())
    height, width = hole.mask.shape
    pictures: dict[SeamMode, U8] = {}
    for mode in MODES:
        corrected = fill
        if mode != "off":
            corrected = correct_seam(fill, picture.to_unit(), hole.mask, ~hole.mask, mode=mode)
        done = composite(picture, corrected, (0, 0, width, height), feather_weights(hole.mask, 0))
        pictures[mode] = np.asarray(done.picture.pixels, np.uint8)
    return pictures


def table(title: str, rows: Iterable[tuple[Hole, dict[SeamMode, U8]]]) -> None:
    """Print the means of every mode, and the truth's own seam."""
    rows = list(rows)
    print(f"{title}, {len(rows)} holes: PSNR dB, SSIM, seam ratio (largest)")
    for mode in MODES:
        scores = np.array([_scores(pictures[mode], hole) for hole, pictures in rows])
        means = scores.mean(axis=0)
        print(f"  {mode:9} {means[0]:6.2f} {means[1]:6.3f} {means[2]:5.2f} ({scores[:, 2].max():.2f})")
    own = np.mean([seam_ratio(hole.truth, hole.mask) for hole, _ in rows])
    print(f"  {'truth':9} {'':6} {'':6} {own:5.2f}", flush=True)


def _scores(picture: U8, hole: Hole) -> tuple[float, float, float]:
    return (
        psnr(picture, hole.truth, hole.mask),
        ssim(picture, hole.truth, hole.mask),
        seam_ratio(picture, hole.mask),
    )


def sheet(rows: list[tuple[Hole, dict[SeamMode, U8]]], path: Path, *, tile: int = 96) -> None:
    """Write the surroundings of some holes: hidden, then uncorrected, then corrected (`harmonic`)."""
    canvas = Image.new("RGB", (tile * len(rows), tile * 3))
    for column, (hole, pictures) in enumerate(rows):
        box = bounding_box(hole.mask)
        assert box is not None
        part = widen(box, (box[2] - box[0]) // 4, *hole.mask.shape)
        hidden = np.where(hole.mask[..., None], np.uint8(127), hole.truth)
        for row, picture in enumerate((hidden, pictures["off"], pictures["harmonic"])):
            shown = Image.fromarray(np.ascontiguousarray(crop(picture, part)))
            canvas.paste(shown.resize((tile, tile), Image.Resampling.BICUBIC), (column * tile, row * tile))
    few = canvas.quantize(255, Image.Quantize.MEDIANCUT)
    canvas.quantize(palette=few, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


def clock(megapixels: float) -> None:
    """Print the seconds of one correction of a square hole."""
    side = round((megapixels * 1e6) ** 0.5)
    rng = np.random.default_rng(0)
    fill, original = (rng.random((side + 2, side + 2, 3), np.float32) for _ in range(2))
    hole = np.zeros((side + 2, side + 2), bool)
    hole[1:-1, 1:-1] = True
    for mode in ("harmonic", "rendered"):
        wall, processor = time.perf_counter(), time.process_time()
        correct_seam(fill, original, hole, ~hole, mode=mode)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        print(f"{mode}: {megapixels} megapixels, {processor:.2f} s of one processor, {wall:.2f} s by the wall")


def main() -> None:
    """Read the command line, and print what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("fills", "round-trips", "time"))
    parser.add_argument("--model", type=Path, default=EMBEDDED)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--megapixels", type=float, default=4)
    given: Any = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "time":
        clock(given.megapixels)
    elif given.what == "round-trips":
        vae = load_vae(given.model).eval()
        table("round trips", ((hole, round_trip(vae, hole)) for hole in holes() if hole.prompt == "background"))
    else:
        with Inpainter.load(given.model) as inpainter:
            rows = [(hole, painted(inpainter, hole)) for hole in holes()]
        removals = [row for row in rows if row[0].prompt == "background"]
        objects = [row for row in rows if row[0].prompt != "background"]
        table("removals", removals)
        table("objects", objects)
        if given.picture is not None:
            sheet([*removals[::8][:3], *objects[1::4][:3]], given.picture)


if __name__ == "__main__":
    main()
