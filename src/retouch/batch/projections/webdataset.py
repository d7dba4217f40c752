"""`shards/000000.tar`, ...: pictures with their results as webdataset shards, a thousand rows each."""

import io
import json
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from retouch.batch.entry import Kept
from retouch.batch.projections import Output
from retouch.batch.projections.jsonl import result_of
from retouch.batch.projections.pictures import read_picture
from retouch.imaging.save import replace_with

_ROWS_A_SHARD = 1000


def write(output: Output) -> Path:
    """Write them; return their folder. Rows without a picture are left out."""
    folder = output.folder / "shards"
    folder.mkdir(exist_ok=True)
    rows = (kept for kept in output.rows() if kept.files)
    number = 0
    while group := list(islice(rows, _ROWS_A_SHARD)):
        with replace_with(folder / f"{number:06d}.tar") as file, tarfile.open(fileobj=file, mode="w") as tar:
            for kept in group:
                for name, data in _members(kept, output.folder):
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
        number += 1
    return folder


def _members(kept: Kept, folder: Path) -> Iterator[tuple[str, bytes]]:
    key = f"{kept.record['row']:09d}"
    for variant, name in enumerate(kept.files):
        number = "" if variant == 0 else f".{variant + 1}"
        yield f"{key}{number}{Path(name).suffix}", read_picture(folder, name)
    yield f"{key}.json", json.dumps(result_of(kept)).encode()
