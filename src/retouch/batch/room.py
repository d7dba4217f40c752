"""`Room`: a bound of memory that several threads share."""

import threading


class Room:
    """Who comes waits until what others hold leaves room; a thing larger than all goes alone."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._changed = threading.Condition()

    def enter(self, size_bytes: int = 0) -> None:
        """Wait for room, and hold so much of it."""
        with self._changed:
            self._changed.wait_for(lambda: self._held == 0 or self._held + size_bytes <= self._most)
            self._held += size_bytes

    def grow(self, size_bytes: int) -> None:
        """Hold more, without waiting: it is there already."""
        with self._changed:
            self._held += size_bytes

    def leave(self, size_bytes: int) -> None:
        """Hold so much less."""
        with self._changed:
            self._held -= size_bytes
            self._changed.notify_all()
