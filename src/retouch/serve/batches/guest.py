"""The server's engines as a batch meets them: behind all requests, on a seat for each row."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from retouch.batch.engage import facts_of
from retouch.engine.ticket import Denoised
from retouch.errors import EngineClosed
from retouch.imaging.picture import Picture
from retouch.job import Job
from retouch.request import InpaintRequest, Limits
from retouch.serve.fleet import Seat

if TYPE_CHECKING:
    from retouch.serve.service import Service


class Guest:
    """Stands for an `Inpainter` before the painter of a batch; usable from any thread.

    A row holds its seat while the engine has it, so that weights can be changed between rows: those of other
    weights end the run, for its rows would be of two models.
    """

    def __init__(self, service: "Service") -> None:
        self._service = service
        self.facts: Mapping[str, Any] = facts_of(service.fleet.inpainters[0])
        self.has_changed = False

    @property
    def limits(self) -> Limits:
        return self._service.limits

    def submit(self, request: InpaintRequest) -> Job:
        """Submit a row's request as the deployer allows it.

        Raises:
            RetouchError: as `Inpainter.submit`.
            InvalidField: the deployer does not allow it.
            EngineClosed: the model is another than when the run began.
        """
        self._service.check(request)
        seat = self._service.fleet.board(request.num_images_per_prompt)
        try:
            if facts_of(seat.inpainter)["content_hash"] != self.facts["content_hash"]:
                self.has_changed = True
                raise EngineClosed("the model was changed")
            job = seat.inpainter.submit(self._stripped(request), background=True)
        except BaseException:
            seat.leave()
            raise
        _leave_with(job, seat)
        return job

    def _stripped(self, request: InpaintRequest) -> InpaintRequest:
        """Return a request whose result has no EXIF, unless the deployer keeps it."""
        image = request.image
        if self._service.settings.keep_metadata or not isinstance(image, Picture):
            return request
        return replace(request, image=replace(image, exif=None))


def _leave_with(job: Job, seat: Seat) -> None:
    """Leave a seat when the engine has nothing more of a job."""
    lock, futures = Lock(), job.futures
    left = len(futures)

    def count(_: "Future[Denoised]") -> None:
        nonlocal left
        with lock:
            left -= 1
            is_last = left == 0
        if is_last:
            seat.leave()

    for future in futures:
        future.add_done_callback(count)
