"""A body as Azure's server hands it on, without that server: what a deployer forbids is forbidden here, too."""

import json

from tests.serve.dialects.tables import IMAGE, MASK, quick, row
from tests.serve.pictures import assert_only_the_hole_changed

from retouch.inpainter import Inpainter
from retouch.package.online import Online
from retouch.package.tables import TablePainter
from retouch.serve.settings import ServeSettings


def online(inpainter: Inpainter, **settings: object) -> Online:
    return Online(TablePainter(inpainter, ServeSettings.of(**settings)))


def test_rows_live_and_die_apart_and_keep_their_order(inpainter: Inpainter) -> None:
    body = json.dumps(quick(row(image="QUJD", prompt="first"), row(prompt="second"), seed=7))
    [bad, good], status = online(inpainter).score(body)
    assert status == 200
    assert (bad["prompt"], bad["generated_image"], bad["error"]["code"]) == ("first", None, "image_format")
    assert good["prompt"] == "second"
    assert_only_the_hole_changed(good["generated_image"], IMAGE, MASK)


def test_a_request_cannot_switch_the_check_off(inpainter: Inpainter) -> None:
    body = json.dumps(quick(safety="off"))
    told, status = online(inpainter).score(body)
    assert (status, told["error"]["field"]) == (422, "safety")
    [entry], status = online(inpainter, allow_safety_off=True).score(body)
    assert (status, entry["nsfw_content_detected"]) == (200, None)


def test_in_azures_profile_one_bad_row_fails_the_request(inpainter: Inpainter) -> None:
    body = json.dumps(quick(row(), row(image="QUJD")))
    told, status = online(inpainter, error_profile="azure").score(body)
    assert (status, list(told)) == (500, ["message"])
