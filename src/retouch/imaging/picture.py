"""`Picture`: decoded pixels at their full depth, with what must survive beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.uint8 | np.uint16]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Picture:
    """A picture as it stands after decoding and EXIF orientation.

    Attributes:
        pixels: (H, W, 3) colour or (H, W) grey, uint8 or uint16, not premultiplied.
        alpha: (H, W) of the same dtype, or None where the source has none.
        icc: the source's ICC profile, byte for byte.
        exif: EXIF bytes with the orientation reset to 1 and no thumbnail.
        png_colours: a PNG file's own chunks on the meaning of its samples (`gAMA`, `cICP`, ...), byte for byte.
        dpi: dots per inch, across and down, where the source tells.
        source_mode: the source's own mode before conversion (`"CMYK"`, `"P"`, `"I;16"`, ...).
        source_format: `"PNG"`, `"JPEG"`, ..., or None for pixels that never were a file.
        warnings: what a person should know about the decoding.
    """

    pixels: Samples
    alpha: Samples | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    png_colours: Mapping[bytes, bytes] = field(default_factory=dict, kw_only=True)
    dpi: tuple[float, float] | None = field(default=None, kw_only=True)
    source_mode: str = "RGB"
    source_format: str | None = None
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        parts = [f"{self.width}x{self.height}", self.pixels.dtype.name, self.source_mode]
        return f"<Picture {', '.join(parts + ['alpha'] * (self.alpha is not None))}>"

    def __post_init__(self) -> None:
        assert self.pixels.dtype in (np.uint8, np.uint16)
        assert self.pixels.ndim in (2, 3)
        assert self.alpha is None or (
            self.alpha.shape == self.pixels.shape[:2] and self.alpha.dtype == self.pixels.dtype
        )

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def peak(self) -> int:
        """The value of white: 255 or 65535."""
        return int(np.iinfo(self.pixels.dtype).max)

    def to_unit(self) -> NDArray[np.float32]:
        """Return a float copy for the model: (H, W, 3) in [0, 1], grey spread over three channels."""
        rgb = self.pixels if self.pixels.ndim == 3 else np.repeat(self.pixels[..., None], 3, axis=2)
        unit = rgb.astype(np.float32)
        unit /= np.float32(self.peak)
        return unit

    def with_pixels(self, pixels: Samples) -> Self:
        """Return this picture with other pixels of the same height and width."""
        assert pixels.shape[:2] == self.pixels.shape[:2]
        return replace(self, pixels=pixels)
