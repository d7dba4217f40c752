"""Whole shards of every kind that is read, and the reader that their broken copies go through."""

import gzip
import io
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from tests.data.hostile_tars import END, good, hostile_tars, pax
from tests.mutate import mutated

from retouch.data.shards import ShardReader


def shards() -> Callable[[int], str]:
    """Return a case: a shard is broken, another is whole; both are read in one run."""
    folder = Path(tempfile.mkdtemp())
    whole = folder / "whole.tar"
    whole.write_bytes(good(*_sample("9")) + END)
    seeds = _seeds()

    def run(number: int) -> str:
        path = folder / "broken.tar"
        path.write_bytes(_checksummed(mutated(seeds, number, name="TAR")))
        reader = ShardReader([str(path), str(whole)])
        assert [sample.key for sample in reader][-1] == "9"
        return next((reason for reason in reader.tally.broken), "whole")

    return run


def _seeds() -> list[bytes]:
    files = [file for key in "123" for file in _sample(key)]
    plain = [_tar(files, form) for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
    long = [(f"{'folder/' * 20}{name}", content) for name, content in files]
    named = [_tar(long, form) for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
    small = [data for data in hostile_tars(good(*_sample("0"))).values() if 0 < len(data) < 10**5]
    return [*plain * 3, *named * 3, gzip.compress(plain[0]), pax(path="1.jpg", size="512") + plain[0], *small]


def _checksummed(data: bytes) -> bytes:
    """Make the checksums of headers right, wherever a block looks like one."""
    fixed = bytearray(data)
    for start in range(0, len(data) - 511, 512):
        block = fixed[start : start + 512]
        if block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            fixed[start + 148 : start + 156] = f"{sum(block):06o}\0 ".encode()
    return bytes(fixed)


def _tar(files: list[tuple[str, bytes]], form: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _sample(key: str) -> list[tuple[str, bytes]]:
    picture, mask = io.BytesIO(), io.BytesIO()
    samples = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(samples).save(picture, "JPEG")
    Image.fromarray(samples[..., 0]).save(mask, "PNG")
    return [
        (f"{key}.jpg", picture.getvalue()),
        (f"{key}.json", b'{"caption": "a cat"}'),
        (f"{key}.mask.png", mask.getvalue()),
        (f"{key}.txt", b"a cat"),
    ]
