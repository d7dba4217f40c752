"""Single samples of indexed shards, wherever they stand."""

from __future__ import annotations

from collections import OrderedDict
from typing import BinaryIO

from retouch.data.pixels import TRAINING_LIMITS
from retouch.data.shard_index import KINDS, Places, ShardIndex
from retouch.data.shards import BrokenSample, Position, Sample, decode_sample

_ENDINGS = ("jpg", *KINDS[1:])  # of a picture the content decides, not the ending


class ShardSamples:
    """Reads samples by shard and number; used by one thread.

    Args:
        most_open: shards whose files stay open; those longest unused give way.
    """

    def __init__(self, index: ShardIndex, *, most_open: int) -> None:
        self._index = index
        self._most_open = most_open
        self._open: OrderedDict[int, tuple[BinaryIO, Places]] = OrderedDict()

    def read(self, shard: int, sample: int) -> Sample:
        """Decode one sample.

        Raises:
            BrokenSample: it cannot be read or decoded; the text names it.
        """
        name = f"{self._index.entries[shard].name}, sample {sample}"
        try:
            file, places = self._opened(shard)
            parts = {
                ending: _slice(file, int(offset), int(size))
                for ending, (offset, size) in zip(_ENDINGS, places[sample], strict=True)
                if offset >= 0
            }
            return decode_sample(name, parts, TRAINING_LIMITS, Position(shard, sample + 1))
        except BrokenSample as error:
            raise BrokenSample(f"{name}: {error}") from error
        except (OSError, ValueError, IndexError) as error:  # a disk that fails, an index of another shard
            raise BrokenSample(f"{name}: cannot be read") from error

    def _opened(self, shard: int) -> tuple[BinaryIO, Places]:
        if shard in self._open:
            self._open.move_to_end(shard)
            return self._open[shard]
        places = self._index.places(shard)
        self._open[shard] = self._index.files[shard].open("rb"), places
        if len(self._open) > self._most_open:
            _, (oldest, _) = self._open.popitem(last=False)
            oldest.close()
        return self._open[shard]


def _slice(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    content = file.read(size)
    if len(content) < size:
        raise BrokenSample("cut short")
    return content
