"""A request under way: its tickets at the engine, and the way out once they are done."""

from collections.abc import Sequence
from concurrent.futures import Future, wait
from functools import cached_property

from retouch.engine.ticket import Denoised, Progress, Ticket
from retouch.engine.workers import release_workers
from retouch.finish import finish
from retouch.imaging.picture import Picture
from retouch.models.bundle import ModelBundle
from retouch.prepare import Prepared
from retouch.result import InpaintResult
from retouch.safety.checkers import ImageChecker
from retouch.safety.preview import PreviewGround


class Job:
    """A request under way. `result` may be called from any one thread; the others from all."""

    def __init__(
        self,
        prepared: Prepared,
        tickets: tuple[Ticket, ...],
        bundle: ModelBundle,
        checkers: Sequence[ImageChecker],
        *,
        started: float,
    ) -> None:
        self._prepared = prepared
        self._tickets = tickets
        self._bundle = bundle
        self._checkers = checkers
        self._started = started

    @property
    def progress(self) -> Progress:
        """The progress of the variant that has furthest to go."""
        return min((ticket.progress for ticket in self._tickets), key=lambda p: p.step / max(p.total, 1))

    def preview(self, index: int = 0) -> Picture | None:
        """Return a rough picture of one variant, fit to be shown to anybody; None before its first step.

        Computed now, on the caller's thread: the local checkers judge it, and what they do not let pass is a blur
        (`PreviewGround.shown`).
        """
        rough = self._tickets[index].progress.preview()
        if rough is None:
            return None
        return self._preview_ground.shown(rough.numpy(), self._checkers, self._prepared.request.safety)

    @cached_property
    def _preview_ground(self) -> PreviewGround:
        place = self._prepared.place
        return PreviewGround.of(
            place.picture, place.hole, place.region, alpha_is_mask=self._prepared.alpha_is_mask
        )

    @property
    def futures(self) -> list[Future[Denoised]]:
        """The futures of all variants: done when the engine has nothing more of them."""
        return [ticket.future for ticket in self._tickets]

    @property
    def pending(self) -> list[Future[Denoised]]:
        """The futures of the variants that are not denoised yet."""
        return [future for future in self.futures if not future.done()]

    @property
    def is_done(self) -> bool:
        return not self.pending

    @property
    def size_bytes(self) -> int:
        """Memory of the pictures that it holds."""
        prepared, place = self._prepared, self._prepared.place
        pictures, masks = (prepared.picture, place.picture), (prepared.mask.pixels, place.hole)
        arrays = (*masks, *(array for picture in pictures for array in (picture.pixels, picture.alpha)))
        # Mostly the model is given the picture itself, and the variants share what it sees.
        held = {id(array): array.nbytes for array in arrays if array is not None}
        plans = {id(plan.image): plan.size_bytes for plan in prepared.plans}
        return sum(held.values()) + sum(plans.values())

    def cancel(self) -> None:
        """Give up what is not done; `result` then raises `Cancelled`."""
        for ticket in self._tickets:
            ticket.cancel()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the denoising to end; return whether it did."""
        return not wait(self.pending, timeout=timeout_s).not_done

    def result(self) -> InpaintResult:
        """Wait, then composite, judge and return; if one variant fails, the others are given up.

        Raises:
            RetouchError: what ended the work.
        """
        try:
            denoised = tuple(ticket.future.result() for ticket in self._tickets)
        except BaseException:
            self.cancel()
            raise
        try:
            return finish(self._prepared, denoised, self._bundle, self._checkers, started=self._started)
        finally:
            release_workers()  # this thread's: others' pictures may be under way
