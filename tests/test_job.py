"""A job's previews are judged as its pictures are."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import torch
from tests.safety.red import RedChecker

from retouch.engine.ticket import Denoised, Progress, Ticket
from retouch.inpainter import Inpainter
from retouch.job import Job
from retouch.models.bundle import Recommended
from retouch.opened import open_pictures
from retouch.prepare import prepare, settle
from retouch.request import DEFAULT_LIMITS, InpaintRequest, SafetyPolicy

IMAGE = np.full((64, 64, 3), 90, np.uint8)
MASK = np.zeros((64, 64), np.uint8)
MASK[:, 32:] = 255
TO_COLOURS = torch.cat([torch.eye(4, 3), torch.zeros(1, 3)])


class Answers(RedChecker):
    """Gives every view the same score."""

    def __init__(self, score: float) -> None:
        self.score = score

    def scores(self, views: Sequence[np.ndarray]) -> list[float]:
        return [self.score] * len(views)


def job(inpainter: Inpainter, score: float, *progress: Progress, policy: SafetyPolicy = "black") -> Job:
    """Return a job whose engine stands still."""
    request = InpaintRequest("a cat", IMAGE, MASK, seed=1, region="whole", safety=policy)
    opened = open_pictures(settle(request, inpainter.bundle, DEFAULT_LIMITS), DEFAULT_LIMITS)
    prepared = prepare(opened, inpainter.bundle, since=0.0)
    tickets = [Ticket(Future[Denoised](), lambda: None, lambda at=at: at) for at in progress]  # type: ignore[misc]
    return Job(prepared, tuple(tickets), inpainter.bundle, [Answers(score)], started=0.0)


def at_step(seed: int) -> Progress:
    latents = torch.rand(4, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return Progress(1, 9, lambda: latents, lambda: TO_COLOURS)


def detail(shown: np.ndarray) -> float:
    """How much neighbouring rows of the hole differ."""
    return float(np.abs(np.diff(shown[:, 32:].astype(int), axis=0)).mean())


def test_a_preview_is_judged_by_the_jobs_checkers_under_its_policy(inpainter: Inpainter) -> None:
    shown = {
        (score, policy): job(inpainter, score, at_step(0), policy=policy).preview()
        for score, policy in ((0.0, "black"), (1.0, "black"), (1.0, "off"))
    }
    pixels = {asked: picture.pixels for asked, picture in shown.items() if picture is not None}
    assert len(pixels) == 3
    assert all(np.array_equal(one[:, :32], IMAGE[:, :32]) for one in pixels.values())
    assert np.array_equal(pixels[0.0, "black"], pixels[1.0, "off"])
    assert detail(pixels[1.0, "black"]) < detail(pixels[1.0, "off"]) / 2


def test_each_variant_has_its_own_preview_and_none_before_its_first_step(inpainter: Inpainter) -> None:
    under_way = job(inpainter, 0.0, at_step(0), at_step(1), Progress(0, 9))
    one, two, three = (under_way.preview(index) for index in range(3))
    assert one is not None
    assert two is not None
    assert three is None
    assert not np.array_equal(one.pixels, two.pixels)


def test_what_a_job_holds_counts_the_ground_that_was_made_for_it(inpainter: Inpainter) -> None:
    strip = np.zeros((64, 64), np.uint8)
    strip[24:40] = 255
    sizes = []
    for advice in (Recommended(context=0.2), Recommended(context=0.2, removal="patchmatch")):
        bundle = replace(inpainter.bundle, recommended=advice)
        request = settle(InpaintRequest("a cat", IMAGE, strip, seed=1), bundle, DEFAULT_LIMITS)
        prepared = prepare(open_pictures(request, DEFAULT_LIMITS), bundle, since=0.0)
        plans = prepared.plans[0].size_bytes
        sizes.append(Job(prepared, (), bundle, [], started=0.0).size_bytes - plans)
    picture_and_mask = IMAGE.nbytes + strip.size
    assert sizes == [picture_and_mask, 2 * picture_and_mask]
