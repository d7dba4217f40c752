"""The latest pictures, decoded: rows often share a picture or a mask."""

import threading
from collections import OrderedDict

from retouch.imaging.decode import decode_picture
from retouch.imaging.limits import DecodeLimits
from retouch.imaging.picture import Picture


class DecodedPictures:
    """Pictures by their encoded bytes, up to so many bytes of memory; for any thread."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._known: OrderedDict[bytes, Picture] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, data: bytes, limits: DecodeLimits) -> Picture:
        """Return the picture of encoded bytes.

        Raises:
            ImageError: it cannot be decoded whole.
        """
        with self._lock:
            if (known := self._known.get(data)) is not None:
                self._known.move_to_end(data)
                return known
        picture = decode_picture(data, limits=limits)
        size = len(data) + picture.pixels.nbytes
        with self._lock:
            if size <= self._most // 2 and data not in self._known:
                self._known[data] = picture
                self._held += size
            while self._held > self._most:
                old, gone = self._known.popitem(last=False)
                self._held -= len(old) + gone.pixels.nbytes
        return picture
