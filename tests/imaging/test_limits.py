"""The limits of pictures are a part of those of requests."""

from retouch.imaging.limits import DEFAULT_DECODE_LIMITS, DecodeLimits
from retouch.request import Limits


def test_limits_of_a_request_can_be_used_for_decoding() -> None:
    limits = Limits(image_side=9)
    assert isinstance(limits, DecodeLimits)
    assert limits.image_side == 9


def test_a_request_has_the_default_limits_of_pictures() -> None:
    ours = DEFAULT_DECODE_LIMITS
    theirs = Limits()
    for name in ("image_bytes", "image_pixels", "image_side", "image_min_side"):
        assert getattr(ours, name) == getattr(theirs, name)
