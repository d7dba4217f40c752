from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny

from retouch.evaluate.baselines import (
    DiffusionFreePainter,
    GreyPainter,
    RingPainter,
    RoundTripPainter,
    SpreadPainter,
    TruthPainter,
)
from retouch.evaluate.metrics import psnr, ring
from retouch.inpainter import Inpainter


def _kept_equal(pictures, cases):
    return all((p[~c.mask] == c.truth[~c.mask]).all() for p, c in zip(pictures, cases))


def test_grey_shows_what_painters_are_shown_and_truth_shows_all(cases):
    assert all((p == c.visible).all() for p, c in zip(GreyPainter().paint(cases), cases))
    assert all((p == c.truth).all() for p, c in zip(TruthPainter().paint(cases), cases))


@pytest.mark.parametrize(("method", "flag"), [("telea", cv2.INPAINT_TELEA), ("navier-stokes", cv2.INPAINT_NS)])
def test_classical_fills_are_opencvs_and_keep_the_rest(cases, method, flag):
    painter = DiffusionFreePainter(method)
    pictures = painter.paint(cases)
    assert _kept_equal(pictures, cases)
    case = next(case for case in cases if not case.is_whole)
    expected = cv2.inpaint(case.visible, case.mask.astype(np.uint8) * 255, 3, flag)
    assert (painter.paint([case])[0][case.mask] == expected[case.mask]).all()
    assert painter.name == f"OpenCV {method}"


def test_classical_fills_beat_grey_on_backgrounds(cases):
    backgrounds = [case for case in cases if case.group == "background" and not case.is_whole]
    filled, grey = DiffusionFreePainter("telea").paint(backgrounds), GreyPainter().paint(backgrounds)
    gains = [psnr(f, c.truth, c.mask) - psnr(g, c.truth, c.mask) for f, g, c in zip(filled, grey, backgrounds)]
    assert np.mean(gains) > 0


def test_the_ring_s_mean_fills_the_hole_flat(cases):
    for case, picture in zip(cases, RingPainter().paint(cases)):
        assert (picture[~case.mask] == case.truth[~case.mask]).all()
        if not case.is_whole:
            assert len(np.unique(picture[case.mask], axis=0)) == 1
            assert np.abs(picture[case.mask][0] - case.truth[ring(case.mask)].mean(axis=0)).max() <= 0.5


def test_colours_that_are_spread_beat_a_flat_hole_and_know_nothing_of_what_was_in_it(cases):
    painter = SpreadPainter()
    backgrounds = [case for case in cases if case.group == "background" and not case.is_whole]
    spread, flat = painter.paint(backgrounds), RingPainter().paint(backgrounds)
    gains = [psnr(s, c.truth, c.mask) - psnr(f, c.truth, c.mask) for s, f, c in zip(spread, flat, backgrounds)]
    assert _kept_equal(spread, backgrounds)
    assert np.mean(gains) > 0
    case = backgrounds[0]
    other = replace(case, truth=np.where(case.mask[..., None], 255 - case.truth, case.truth))
    assert (painter.paint([other])[0] == spread[0]).all()


def test_the_round_trip_shows_the_truth_whatever_is_asked_and_keeps_the_rest(cases):
    silent = [replace(case, prompt=" ") for case in cases[:2]]
    shown = [*cases[:6], *silent]
    with Inpainter.load("pocket") as inpainter:
        pictures = RoundTripPainter(inpainter.bundle).paint(shown)
    assert _kept_equal(pictures, shown)
    for picture, case, flat in zip(pictures, shown, RingPainter().paint(shown), strict=True):
        assert (picture[case.mask] != case.truth[case.mask]).any()
        assert psnr(picture, case.truth, case.mask) > psnr(flat, case.truth, case.mask) + 3
    assert all((again == once).all() for again, once in zip(pictures[6:], pictures[:2], strict=True))


def test_a_tiny_vae_has_a_round_trip_too(checkpoint, cases):
    blocks = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    tiny = AutoencoderTiny(**blocks, num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1))
    with Inpainter.load(str(checkpoint)) as inpainter:
        painter = RoundTripPainter(replace(inpainter.bundle, vae=tiny.eval()))
        assert _kept_equal(painter.paint(cases[:2]), cases[:2])


def test_the_round_trip_encodes_the_crop_that_the_model_sees(cases):
    """The embedded model sees a small hole zoomed: it keeps more of what is in it than of the whole picture."""
    case = max((c for c in cases if not c.is_whole), key=lambda c: c.truth[c.mask].std() / c.mask.mean())
    with Inpainter.load("pocket") as inpainter:
        painted = RoundTripPainter(inpainter.bundle).paint([case])[0]
        image = torch.from_numpy(case.truth).permute(2, 0, 1)[None].float() / 127.5 - 1
        vae = inpainter.bundle.vae
        hole = torch.from_numpy(case.mask)[None, None].float()
        with torch.inference_mode():
            whole = vae.decode(vae.encode(image).latent_dist.mean, image=image, mask=hole).sample[0]
    unzoomed = ((whole / 2 + 0.5).clamp(0, 1) * 255).permute(1, 2, 0).numpy()
    assert psnr(painted, case.truth, case.mask) > psnr(unzoomed, case.truth, case.mask) + 1
