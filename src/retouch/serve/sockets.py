"""uvicorn's HTTP/1.1 protocol with the two limits of time that it lacks.

A connection must bring a request's head within `HEAD_S`, counted from its first byte (or from the connection), and
must take what is written to it: one that takes less than `WRITE_STALL_BYTES` in `WRITE_STALL_S` is cut. Without
the first, a client that sends a byte a second keeps a connection for ever; without the second, one that never
reads keeps its answer in memory.

Use it as `uvicorn.Config(..., http=Sockets)`. It is h11's, so `h11_max_incomplete_event_size` bounds the head.
"""

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
WRITE_STALL_S = 30.0
WRITE_STALL_BYTES = 16 * 2**10


class Sockets(H11Protocol):
    """One connection; all methods are called by the event loop."""

    head_s: ClassVar[float] = HEAD_S
    write_stall_s: ClassVar[float] = WRITE_STALL_S

    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timers()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _await_head(self) -> None:
        """Start the clock where a head is due and has not come; stop it where it has."""
        is_due = self.conn.their_state is h11.IDLE and (self.cycle is None or bool(self.conn.trailing_data[0]))
        if is_due and self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_s, self.transport.abort)
        elif not is_due and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _watch_writing(self) -> None:
        before = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(self.write_stall_s, self._cut_if_stalled, before)

    def _cut_if_stalled(self, before: int) -> None:
        if self.transport.get_write_buffer_size() > before - WRITE_STALL_BYTES:
            self.transport.abort()
        else:
            self._watch_writing()

    def _stop_timers(self) -> None:
        for timer in (self._head_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._write_timer = None
