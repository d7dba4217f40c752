"""The mask report says how a mask was read and what deserves a second look."""

import json
from dataclasses import replace

import numpy as np
import pytest

from retouch.imaging.mask import MaskOptions, prepare_mask
from retouch.imaging.picture import Picture
from retouch.imaging.report import MaskReport, report_mask

WHITE = MaskOptions(polarity="white", threshold=0.5, grow_px=0, fill_holes=False)


def _report(samples: np.ndarray, alpha: np.ndarray | None = None, **options: object) -> MaskReport:
    picture = Picture(samples, alpha)
    prepared = prepare_mask(picture, height=picture.height, width=picture.width, options=replace(WHITE, **options))
    return report_mask(prepared, prepared.pixels, factor=8)


def _disc(radius: int = 20, size: int = 96) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size // 2
    return ((y * y + x * x <= radius * radius) * 255).astype(np.uint8)


def test_a_plain_mask_is_described_without_warnings() -> None:
    samples = np.zeros((64, 96), np.uint8)
    samples[16:40, 24:48] = 255
    report = _report(samples, grow_px=0)
    assert report.box == (24, 16, 48, 40)
    assert (report.width, report.height, report.marked_pixels) == (96, 64, 576)
    assert report.coverage == pytest.approx(576 / (64 * 96))
    assert (report.latent_cells, report.latent_cells_cover, report.latent_cells_nearest) == (96, 9, 9)
    assert report.warnings == ()


def test_a_report_is_plain_json() -> None:
    report = _report(_disc(), polarity="white", threshold=0.4)
    parsed = json.loads(json.dumps(report.to_dict()))
    assert (parsed["polarity"], parsed["threshold"]) == ("white", 0.4)
    assert parsed["box"] == list(report.box)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.pad(np.full((2, 2), 255, np.uint8), 127), "nearly empty"),
        (np.full((64, 64), 255, np.uint8), "nearly full"),
        (np.tile(np.array([[100, 150]], np.uint8), (32, 32)), "mostly grey"),
        (255 - _disc(), "inverted"),
        (np.pad(np.full((60, 3), 255, np.uint8), ((2, 2), (30, 31))), "thinner than a latent cell of 8"),
    ],
)
def test_what_looks_wrong_is_told(samples: np.ndarray, words: str) -> None:
    assert any(words in warning for warning in _report(samples).warnings), words


def test_a_hint_about_polarity_is_passed_on() -> None:
    report = _report(np.full((96, 96), 255, np.uint8), _disc())
    assert any("transparent or opaque" in warning for warning in report.warnings)


def test_soft_edges_alone_are_not_mostly_grey() -> None:
    y, x = np.mgrid[:96, :96] - 48
    soft = np.clip(30 - np.hypot(y, x), 0, 1) * 255
    assert _report(soft.astype(np.uint8)).warnings == ()


def test_a_mask_at_the_border_is_neither_thin_nor_inverted() -> None:
    samples = np.zeros((64, 64), np.uint8)
    samples[:12] = 255
    assert _report(samples).warnings == ()
