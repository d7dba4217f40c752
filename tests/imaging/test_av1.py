"""The size of an AV1 frame is read from its stream, whatever the stream's kind."""

import io

import numpy as np
import pytest
from PIL import Image

from retouch.errors import ImageError, ImageFormatError
from retouch.imaging.av1 import frame_size
from retouch.imaging.isobmff import read_items


def _stream(width: int, height: int, *, frames: int = 1) -> bytes:
    images = [Image.fromarray(np.full((height, width, 3), 60 * k, np.uint8)) for k in range(frames)]
    file = io.BytesIO()
    more = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    images[0].save(file, "AVIF", **more)
    items = read_items(file.getvalue())
    return items.by_number[items.primary].data


@pytest.mark.parametrize("frames", [1, 3], ids=["a still picture's short header", "a sequence's full header"])
@pytest.mark.parametrize("size", [(1, 1), (16, 16), (70, 30), (513, 4)])
def test_the_size_is_that_of_the_picture(size: tuple[int, int], frames: int) -> None:
    assert frame_size(_stream(*size, frames=frames)) == size


def test_a_second_frame_is_refused() -> None:
    stream = _stream(32, 32)
    frame = stream[stream.index(b"\x32") :]
    with pytest.raises(ImageFormatError):
        frame_size(stream + frame)


def test_a_second_size_is_refused() -> None:
    with pytest.raises(ImageFormatError):
        frame_size(_stream(32, 32) + _stream(64, 32))


def test_a_frame_of_a_size_of_its_own_is_refused() -> None:
    stream = bytearray(_stream(32, 32, frames=2))
    frame = stream.index(b"\x32")
    header = frame + 1 + (2 if stream[frame + 1] & 0x80 else 1)
    for bit in range(
        4, 24
    ):  # behind what makes it a shown key frame; one of them says so, whatever the encoder chose before it
        changed = bytearray(stream)
        changed[header + bit // 8] ^= 0x80 >> bit % 8
        try:
            assert frame_size(bytes(changed)) == (32, 32)
        except ImageFormatError:
            break
    else:
        pytest.fail("no bit of the frame's header asks for a size of its own")


def test_a_stream_that_is_cut_or_empty_is_an_error() -> None:
    stream = _stream(32, 32)
    for end in range(len(stream)):
        with pytest.raises(ImageError):
            frame_size(stream[:end])


@pytest.mark.parametrize(
    "stream", [b"\xff" * 40, b"\x12\x00" * 5_000, b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x42\x00"]
)
def test_noise_is_an_error(stream: bytes) -> None:
    with pytest.raises(ImageError):
        frame_size(stream)
