"""Crops of real composites, by name: what the probe learns from, kept in a cache on disk."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from retouch.data.backgrounds import FILE_NAME as BACKGROUNDS_FILE
from retouch.data.backgrounds import BackgroundPool
from retouch.data.compose import Scene, SceneComposer, Split
from retouch.data.sprites import FILE_NAME as SPRITES_FILE
from retouch.data.sprites import SpritePack
from retouch.evaluate.features import FeatureExtractor
from retouch.evaluate.metrics import mask_box
from retouch.evaluate.probe import Probe

U8 = NDArray[np.uint8]
logger = logging.getLogger(__name__)
_VERSION = 2  # of the recipe below; a change makes old probes unusable


@dataclass(frozen=True, slots=True)
class ProbeRecipe:
    """How a probe is trained: crops of each concept, and the seed of their scenes."""

    per_concept: int = 24
    seed: int = 20_240
    size: int = 128


def trained_probe(
    data_dir: Path,
    extractor: FeatureExtractor,
    *,
    recipe: ProbeRecipe | None = None,
    cache_dir: Path | None = None,
    sprites_dir: Path | None = None,
) -> Probe:
    """Return the probe of a data folder, from the cache or newly trained (a minute or two).

    Args:
        data_dir: made by `retouch data build`.
        extractor: whose features it reads.
        recipe: how it is trained.
        cache_dir: where probes are kept; None is the user's own cache folder.
        sprites_dir: a folder with other pictures of the objects, to be learnt over the same places.
    """
    recipe = recipe or ProbeRecipe()
    key = f"{data_fingerprint(data_dir, sprites_dir)}|{extractor.name}|{recipe}|{_VERSION}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:20]
    path = (cache_dir or default_cache_dir()) / f"probe-{digest}.npz"
    if path.exists():
        return Probe.load(path)
    logger.info("training the probe of %s", data_dir)
    composer = composer_of(data_dir, sprites_dir, size=recipe.size)
    pairs = list(exemplars(composer, recipe))
    probe = Probe.fit(extractor.extract([crop for crop, _ in pairs]), [name for _, name in pairs])
    probe.save(path)
    return probe


def composer_of(
    data_dir: Path, sprites_dir: Path | None = None, *, size: int, split: Split = "train"
) -> SceneComposer:
    """Return a composer of a data folder's places, with its own sprites or those of another folder."""
    sprites = SpritePack.open(sprites_dir or data_dir)
    return SceneComposer(sprites, BackgroundPool.open(data_dir), size=size, split=split)


def exemplars(composer: SceneComposer, recipe: ProbeRecipe) -> Iterator[tuple[U8, str]]:
    """Yield `per_concept` crops of every concept, each with its name.

    Every other one is softened as a small decoder softens: a judge that knows sharp edges only would miss the
    object for the blur.
    """
    rng = np.random.default_rng(recipe.seed)
    wanted = {concept.name for concept in composer.concepts}
    have: Counter[str] = Counter()
    while wanted:
        scene = composer.scene(rng)
        if scene.concept is None or scene.concept not in wanted:
            continue
        have[scene.concept] += 1
        crop = object_crop(scene)
        yield (soften(crop, rng) if have[scene.concept] % 2 else crop), scene.concept
        if have[scene.concept] == recipe.per_concept:
            wanted.remove(scene.concept)


def object_crop(scene: Scene) -> U8:
    """Return the part of a scene that its mask's bounding box holds: all that the judge may look at."""
    left, top, right, bottom = mask_box(scene.mask)
    return scene.image[top:bottom, left:right]


def soften(picture: U8, rng: np.random.Generator) -> U8:
    """Blur and speckle a picture slightly, about as a decoder at 25 dB would."""
    blurred = Image.fromarray(picture).filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 1.3))))
    noisy = np.asarray(blurred, dtype=np.float32) + rng.normal(0, rng.uniform(0, 5), picture.shape)
    return np.asarray(np.clip(np.rint(noisy), 0, 255), dtype=np.uint8)


def data_fingerprint(data_dir: Path, sprites_dir: Path | None = None) -> str:
    """Return SHA-256 over the packed pictures of a data folder, hexadecimal; sprites may be another folder's."""
    digest = hashlib.sha256()
    for path in ((sprites_dir or data_dir) / SPRITES_FILE, data_dir / BACKGROUNDS_FILE):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def default_cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/retouch`, by default `~/.cache/retouch`."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "retouch"
