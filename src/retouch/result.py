"""What a caller gets: pictures, seeds, verdicts, and how the mask was read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

from retouch.imaging.choices import FileFormat
from retouch.imaging.metadata import ResultMetadata
from retouch.imaging.morphology import Mask
from retouch.imaging.picture import Picture
from retouch.imaging.report import MaskReport
from retouch.request import InpaintRequest

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Fill:
    """One picture of a result.

    Attributes:
        picture: the whole picture, at the input's size and depth.
        seed: gives this picture again, alone and in any company.
        spoken_prompt: what the model was asked: the prompt, and the word by which this seed chose one of several
            pictures of a thing, where the checkpoint has such words and the prompt left the choice open. Where no
            model is asked, the prompt.
        nsfw_content_detected: None where no check was made, never False for it.
        safety: the decision, what was found, and each checker's name, version and thresholds; empty where no
            check was made.
        kept_pixels_identical: measured against the decoded input; None where the policy replaced the picture.
        metadata: what `save` embeds and `replay` reads.
    """

    picture: Picture
    seed: int
    spoken_prompt: str
    nsfw_content_detected: bool | None
    safety: Mapping[str, Any]
    kept_pixels_identical: bool | None
    metadata: ResultMetadata

    def to_image(self) -> "Image":
        """Return the picture as an 8-bit Pillow image."""
        from retouch.imaging.to_pillow import to_pillow

        return to_pillow(self.picture)

    def __repr__(self) -> str:
        return f"<Fill {self.picture.width}x{self.picture.height}, {self.caption}>"

    @property
    def caption(self) -> str:
        """One line about it: its seed, and what became of it."""
        return f"seed {self.seed}, {_outcome(self.nsfw_content_detected, self.kept_pixels_identical)}"

    def _repr_png_(self) -> bytes:
        from retouch.notebook import shown_png

        return shown_png(self.picture)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InpaintResult:
    """The answer to one request: `num_images_per_prompt` fills of the same hole.

    Attributes:
        request: the request as it was run, with model, seed, steps and guidance settled.
        fills: the pictures with their seeds and verdicts, in the order of their seeds.
        original: the input as it was decoded.
        mask: (H, W), True = repaint, as it was composited.
        mask_report: how the mask was read.
        warnings: what a person should know; nothing that stopped the work.
        timings_s: seconds by stage.
    """

    request: InpaintRequest
    fills: tuple[Fill, ...]
    original: Picture
    mask: Mask
    mask_report: MaskReport
    warnings: tuple[str, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def images(self) -> list["Image"]:
        """The pictures as 8-bit Pillow images; `save` keeps the full depth."""
        return [fill.to_image() for fill in self.fills]

    @property
    def image(self) -> "Image":
        return self.fills[0].to_image()

    @property
    def seeds(self) -> list[int]:
        return [fill.seed for fill in self.fills]

    @property
    def nsfw_content_detected(self) -> list[bool | None]:
        return [fill.nsfw_content_detected for fill in self.fills]

    @property
    def kept_pixels_identical(self) -> bool | None:
        """Whether every fill kept every kept pixel; None where a policy replaced one of them."""
        measured = [fill.kept_pixels_identical for fill in self.fills]
        return None if None in measured else all(measured)

    def encode(
        self, format: FileFormat = "PNG", *, index: int = 0, metadata: bool = True, quality: int | None = None
    ) -> bytes:
        """Return one picture as the bytes of a file, the very ones that `save` writes.

        Args:
            quality: 1..100 for JPEG, WebP and AVIF; the others ignore it.
        Raises:
            ImageFormatError: another format; `MEDIA_TYPES` in `imaging.encode` names those that can be written.
            ImageError: the format cannot hold the picture, or the quality is outside 1..100.
        """
        from retouch.imaging.encode import encode_picture

        fill = self.fills[index]
        return encode_picture(fill.picture, format, metadata=fill.metadata if metadata else None, quality=quality)

    def save(
        self, path: str | PathLike[str], *, index: int = 0, metadata: bool = True, quality: int | None = None
    ) -> tuple[str, ...]:
        """Write one picture at full depth, atomically; the format follows from the suffix.

        Returns:
            Warnings, such as that the format is lossy.
        Raises:
            ImageFormatError: the suffix names no format that can be written.
        """
        from retouch.imaging.save import save_picture

        fill = self.fills[index]
        return save_picture(fill.picture, path, metadata=fill.metadata if metadata else None, quality=quality)

    def __repr__(self) -> str:
        lines = [*(repr(fill) for fill in self.fills), *(f"warning: {warning}" for warning in self.warnings)]
        return "<InpaintResult\n  " + "\n  ".join(lines) + ">"

    def _repr_html_(self) -> str:
        from retouch.notebook import gallery

        return gallery([(fill.picture, fill.caption) for fill in self.fills], self.warnings)


def _outcome(is_nsfw: bool | None, is_identical: bool | None) -> str:
    if is_nsfw:
        return "refused by the safety check"
    return {True: "kept pixels identical", False: "KEPT PIXELS CHANGED", None: "kept pixels not compared"}[
        is_identical
    ]
