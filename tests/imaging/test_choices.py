"""The words of the choices are those that requests, dialects and documents use."""

from typing import get_args

from retouch import request
from retouch.imaging import choices
from retouch.imaging.encode import MEDIA_TYPES


def test_requests_take_their_choices_from_here() -> None:
    assert request.Polarity is choices.Polarity
    assert request.RegionMode is choices.RegionMode
    assert request.LatentMask is choices.LatentMask


def test_every_file_format_has_a_media_type() -> None:
    assert set(get_args(choices.FileFormat)) == set(MEDIA_TYPES)
