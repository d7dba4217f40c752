"""Perspective photographs cut from high-dynamic-range panoramas."""

from __future__ import annotations

import base64
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retouch.errors import BadInput, MissingExtra

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
_SUN = 100.0  # far over white at every exposure that `develop` chooses


@dataclass(frozen=True, slots=True)
class View:
    """Where a camera looks: `yaw` and `pitch` (up is positive) and field of view, in degrees."""

    yaw: float
    pitch: float
    fov: float


def exr_bytes(path: Path) -> bytes:
    """Return the bytes of an OpenEXR file, or of the one inside a JavaScript module."""
    if path.suffix != ".js":
        return path.read_bytes()
    match = re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text(encoding="ascii"))
    if match is None:
        raise BadInput(f"{path.name} holds no base64 picture")
    return base64.b64decode(match.group(1))


def read_exr(path: Path) -> F32:
    """Read a panorama as linear light (H, W, 3), W = 2 H, negatives clipped.

    Raises:
        MissingExtra: OpenEXR is not installed.
        BadInput: the file holds no picture.
    """
    try:
        import OpenEXR
    except ImportError as error:
        raise MissingExtra("panoramas need OpenEXR", hint="pip install 'retouch[train]'") from error
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(exr_bytes(path))
        file.flush()
        with OpenEXR.File(file.name) as picture:
            channels = picture.channels()
            if "RGB" in channels:
                pixels = channels["RGB"].pixels
            else:
                pixels = np.stack([channels[name].pixels for name in "RGB"], axis=-1)
            linear = np.asarray(pixels, dtype=np.float32)[..., :3]
    # Around the sun the compression breaks: channels far below zero, thousands beside tens.
    linear = np.nan_to_num(linear, nan=_SUN, posinf=_SUN, neginf=_SUN)
    # It works on blocks of 8 x 8, so a block is broken as a whole.
    rows, columns = np.nonzero((linear.min(-1) < -100) | (linear.max(-1) > 1000))
    for row, column in set(zip((rows // 8 * 8).tolist(), (columns // 8 * 8).tolist())):
        linear[row : row + 8, column : column + 8] = _SUN
    return np.clip(linear, 0, _SUN)


def develop(linear: F32, *, key: float = 0.2) -> U8:
    """Expose linear light by its median, roll the highlights off, apply gamma.

    The roll-off is Reinhard's extended curve with white at four times the key's exposure
    ("Photographic tone reproduction for digital images", 2002, eq. 4).
    """
    exposure = key / max(float(np.median(linear.mean(-1))), 1e-4)
    light = linear * exposure
    white = 4.0
    mapped = light * (1 + light / white**2) / (1 + light)
    # Reinhard darkens the middle; bring the median back to where a photograph has it.
    mapped = np.clip(mapped * 1.25, 0, 1)
    return np.asarray(np.rint(255 * mapped ** (1 / 2.2)), dtype=np.uint8)


def cut(linear: F32, view: View, side: int) -> F32:
    """Cut a square perspective view: (H, W, 3) to (side, side, 3), bilinear, linear light."""
    half = np.tan(np.radians(view.fov) / 2)
    grid = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(grid * half, -grid * half)
    pitch, yaw = np.radians(view.pitch), np.radians(view.yaw)
    up = y * np.cos(pitch) + np.sin(pitch)
    forward = np.cos(pitch) - y * np.sin(pitch)
    longitude = np.arctan2(x, forward) + yaw
    latitude = np.arctan2(up, np.hypot(x, forward))
    height, width = linear.shape[:2]
    column = (longitude / (2 * np.pi) % 1) * width - 0.5
    row = np.clip((0.5 - latitude / np.pi) * height - 0.5, 0, height - 1.001)
    return _bilinear(linear, row, column)


def _bilinear(picture: F32, row: NDArray[np.float64], column: NDArray[np.float64]) -> F32:
    width = picture.shape[1]
    top, left = np.floor(row).astype(np.intp), np.floor(column).astype(np.intp)
    below = np.minimum(top + 1, picture.shape[0] - 1)
    fr, fc = (row - top)[..., None], (column - left)[..., None]
    upper = picture[top, left % width] * (1 - fc) + picture[top, (left + 1) % width] * fc
    lower = picture[below, left % width] * (1 - fc) + picture[below, (left + 1) % width] * fc
    return np.asarray(upper * (1 - fr) + lower * fr, dtype=np.float32)
