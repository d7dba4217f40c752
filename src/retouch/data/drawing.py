"""How a scene is drawn: its ground, an object's layer, and the one on the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from retouch.data import masks
from retouch.data.mixture import Mixture

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Rng = np.random.Generator
_BT601 = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def to_bytes(picture: F32) -> U8:
    """Round to bytes; what lies outside of them is clipped."""
    return np.asarray(np.clip(np.rint(picture), 0, 255), dtype=np.uint8)


def cut_ground(rng: Rng, pixels: U8, size: int) -> F32:
    """Cut a random square (75-100 % of the side), mirror it half the time, scale it to `size`."""
    side = pixels.shape[0]
    cut = side * float(rng.uniform(0.75, 1.0))
    left, top = rng.uniform(0, side - cut, 2)
    picture = Image.fromarray(pixels[:, ::-1] if rng.random() < 0.5 else pixels)
    box = (float(left), float(top), float(left + cut), float(top + cut))
    small = picture.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=None)
    light = np.float32(rng.uniform(0.88, 1.08))
    return np.asarray(np.asarray(small, dtype=np.float32) * light, dtype=np.float32)


def repaint_ground(rng: Rng, ground: F32) -> F32:
    """Give a place (H, W, 3), 0..255, another light and other colours: one place becomes many.

    A model that has seen few places shrinks every hole towards their mean colour and contrast.
    """
    unit = np.clip(ground * np.float32(1 / 255), 0, 1)
    levels = np.linspace(0, 1, 1024, dtype=np.float32) ** np.float32(np.exp(rng.uniform(-0.5, 0.5)))
    unit = levels[(unit * 1023).astype(np.int16)]
    matrix = _turn_hue(float(rng.uniform(0, 2 * np.pi)) if rng.random() < 0.5 else 0.0)
    saturation = np.float32(np.exp(rng.uniform(np.log(0.4), np.log(2.2))))
    grey = np.tile(_BT601, (3, 1))
    matrix = (saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * grey) @ matrix
    matrix = matrix * np.exp(rng.normal(0, 0.2, (3, 1))).astype(np.float32)
    changed = unit @ matrix.T
    middle = changed.mean(axis=(0, 1))
    changed = (changed - middle) * np.float32(rng.uniform(0.6, 1.5)) + middle
    return np.asarray(np.clip(changed, 0, 1) * 255, dtype=np.float32)


def turn_hue(rgba: U8, angle: float) -> U8:
    """Turn the hues of (H, W, 4) by an angle in radians."""
    turned = to_bytes(rgba[..., :3].astype(np.float32) @ _turn_hue(angle).T)
    return np.concatenate([turned, rgba[..., 3:]], axis=-1)


def _turn_hue(angle: float) -> F32:
    """Return the rotation of RGB about its grey axis (Rodrigues' formula)."""
    cosine, sine = np.cos(angle), np.sin(angle) / np.sqrt(3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    return np.asarray(cosine * np.eye(3) + sine * cross + (1 - cosine) / 3, dtype=np.float32)


def place_object(rng: Rng, rgba: U8, size: int, mixture: Mixture, *, is_full: bool) -> U8:
    """Turn, mirror and scale a sprite, then set it into an empty (size, size, 4) layer."""
    picture = Image.fromarray(rgba[:, ::-1] if rng.random() < mixture.mirrored else rgba).convert("RGBa")
    angle = float(np.clip(rng.normal(0, mixture.turn_deg), -8, 8))
    picture = picture.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    picture = picture.crop(picture.getbbox())
    share = rng.uniform(*mixture.side)
    scale = size * float(share) / max(picture.size)
    w, h = (max(4, round(side * scale)) for side in picture.size)
    small = picture.resize((w, h), Image.Resampling.BOX if scale < 0.6 else Image.Resampling.HAMMING)
    free_x, free_y = size - w, size - h
    # With nothing to see, the model cannot know where the object should be: about the middle then.
    drift = min(mixture.drift, 0.6) if is_full else mixture.drift
    x, y = (free * (0.5 + drift * float(rng.uniform(-0.5, 0.5))) for free in (free_x, free_y))
    layer = Image.new("RGBa", (size, size), (0, 0, 0, 0))
    layer.paste(small, (round(x), round(y)))
    return np.asarray(layer)


def blend(rng: Rng, ground: F32, layer: U8, mask: NDArray[np.bool_], *, tint: float) -> U8:
    """Lay a premultiplied layer over the ground, with a shadow and the ground's light on it."""
    alpha = layer[..., 3].astype(np.float32)[..., None] / 255
    mean = ground.mean(axis=(0, 1))
    level = float(mean.mean())
    light = 1 + tint * (mean / max(level, 1) - 1)
    bright = 1 + 0.10 * (level / 128 - 1)
    shade = _shadow(layer[..., 3], mask, float(rng.uniform(0.2, 0.5)))
    below = ground * (1 - shade[..., None])
    lit = layer[..., :3].astype(np.float32) * (light * bright)
    return to_bytes(np.asarray(below * (1 - alpha) + lit, dtype=np.float32))


def _shadow(alpha: U8, mask: NDArray[np.bool_], strength: float) -> F32:
    """A soft contact shadow below the object, kept inside the mask: (H, W) in 0..1."""
    left, _, right, bottom = masks.bounding_box(alpha > 8)
    size = alpha.shape
    height = max(2, round((right - left) * 0.10))
    bounds = (left, bottom - height, right, bottom + height // 2 + 1)
    spot = Image.fromarray(masks.ellipse(size, bounds).astype(np.uint8) * 255)
    soft = np.asarray(spot.filter(ImageFilter.GaussianBlur(max(1.0, height * 0.4))))
    inside = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(1))
    shade = soft.astype(np.float32) * np.asarray(inside, dtype=np.float32) * (strength / 255**2)
    return np.asarray(shade, dtype=np.float32)
