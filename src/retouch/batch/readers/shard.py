"""Webdataset shards: a picture, its `.mask.png`, its `.txt`, and its `.json` with further columns."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from retouch.batch.places import Place
from retouch.batch.readers.jsonl_table import flat_object
from retouch.batch.readers.raw import Raw
from retouch.batch.rows import ID, Cell
from retouch.data.shards import PICTURES, TOO_LARGE, Tally, groups
from retouch.data.tar import BrokenTar, TarStream
from retouch.errors import BadInput, BadRow
from retouch.imaging.limits import DEFAULT_DECODE_LIMITS, DecodeLimits


@dataclass(frozen=True, slots=True)
class Shard:
    """A tar of files that share a stem; each stem is a row, and its id."""

    place: Place
    limits: DecodeLimits = DEFAULT_DECODE_LIMITS

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def weight(self) -> float:
        return self.place.size_bytes

    def columns(self) -> None:
        """Every row names its own."""

    def fingerprint(self) -> Mapping[str, Any]:
        return self.place.fingerprint()

    def rows(self) -> Iterator[Raw]:
        size = max(1, self.place.size_bytes)
        with closing(self.place.open()) as file:
            try:
                for key, files in groups(TarStream(file), self.limits, Tally()):
                    yield _row(key, files, share=min(1.0, file.tell() / size))
            except BrokenTar as error:
                yield Raw(error=BadRow(f"the shard cannot be read on: {error}"))


def _row(key: str, files: Mapping[str, bytes], *, share: float) -> Raw:
    if TOO_LARGE in files:
        return Raw(error=BadRow(f"{key[:60]!r} holds a file that is too large"), share=share)
    try:
        cells: dict[str, Cell] = flat_object(files["json"]) if "json" in files else {}
        if "txt" in files:
            cells["prompt"] = files["txt"].decode("utf-8").strip()
    except BadInput as error:
        return Raw(error=error, share=share)
    except UnicodeDecodeError:
        return Raw(error=BadRow("its text is not UTF-8"), share=share)
    image = next((files[ending] for ending in PICTURES if ending in files), None)
    return Raw({ID: key, **cells, "image": image, "mask_image": files.get("mask.png")}, share=share)
