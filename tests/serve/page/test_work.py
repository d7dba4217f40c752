"""From a picture to another one, as a person does it."""

import json

import numpy as np
import pytest
from PIL import Image
from tests.serve.page.bench import photograph
from tests.serve.page.visitor import Visitor, pixels

from retouch.imaging.metadata import read_metadata

pytestmark = pytest.mark.slow

WIDTH, HEIGHT = 320, 240


@pytest.fixture
def photo() -> Image.Image:
    return photograph(WIDTH, HEIGHT)


@pytest.fixture
def painted(visitor: Visitor, photo: Image.Image) -> Visitor:
    """Somebody who has opened a picture and marked a part of it."""
    visitor.open(photo)
    visitor.paint()
    return visitor


def assert_kept(found: np.ndarray, before: Image.Image, mask: np.ndarray) -> None:
    original = np.asarray(before)
    assert np.array_equal(found[mask < 128], original[mask < 128]), "kept pixels changed"
    assert not np.array_equal(found[mask >= 128], original[mask >= 128]), "nothing was repainted"


def test_the_word_that_a_seed_chose_is_told_with_its_picture(painted: Visitor) -> None:
    painted.repaint(prompt="a car", seed="12", variants="2")
    assert "Asked for" not in painted.seen
    painted.press("Variant 2, seed 13")
    assert "Asked for: a red car." in painted.seen


def test_what_is_downloaded_keeps_every_pixel_outside_of_the_mask(painted: Visitor, photo: Image.Image) -> None:
    painted.repaint(variants="2")
    assert "Every pixel outside of the mask is identical" in painted.seen
    data = painted.download("picture-retouched.png")
    assert_kept(pixels(data), photo, painted.mask())
    metadata = read_metadata(data)
    assert metadata is not None
    assert json.dumps(metadata.record).count("a red apple")
    assert "Seed: 7" in metadata.parameters


def test_nothing_asked_for_removes_what_is_marked(painted: Visitor, photo: Image.Image) -> None:
    asked = painted.field("What shall be there?")
    assert asked.get_attribute("placeholder") == "Leave this empty to remove what is marked"
    painted.repaint(prompt="")
    assert "Without the model" in painted.seen
    assert "Every pixel outside of the mask is identical" in painted.seen
    data = painted.download("picture-retouched.png")
    assert_kept(pixels(data)[..., :3], photo, painted.mask())
    request = read_metadata(data).record["request"]
    assert (request["prompt"], request["strength"], request["masked_content"]) == ("", 0, "patchmatch")


def test_progress_is_told_with_previews_and_the_work_can_be_cancelled(painted: Visitor) -> None:
    before = painted.screenshot().convert("RGB")
    painted.ask(steps="150", variants="4")
    painted.until(lambda: "Step " in painted.seen, "steps")
    assert painted.js("return document.querySelector('progress').value") > 0
    painted.until(lambda: changed_share(before, painted) > 0.001, "a preview on the stage")
    painted.press("Cancel")
    painted.until(lambda: "Cancelled" in painted.told)
    painted.until(lambda: painted.has_button("Repaint"))
    jobs = painted.browser.execute_async_script(
        "const done = arguments[0]; fetch('v1/jobs?limit=1').then((a) => a.json()).then((a) => done(a.jobs))"
    )
    assert jobs[0]["state"] == "cancelled"
    assert not painted.has_button("Use this picture")


def changed_share(before: Image.Image, visitor: Visitor) -> float:
    """The share of the middle of the stage that looks different now."""
    (left, top), (right, bottom) = visitor.place(0.46, 0.46), visitor.place(0.54, 0.54)
    box = (round(left), round(top), round(right), round(bottom))
    one, other = (np.asarray(shot.convert("RGB").crop(box), int) for shot in (before, visitor.screenshot()))
    return float((abs(one - other).max(axis=-1) > 40).mean())


def test_a_person_compares_by_slider_key_and_button(painted: Visitor) -> None:
    painted.repaint()
    after = painted.screenshot()
    painted.key("c", kind="down")
    painted.until(lambda: changed_share(after, painted) > 0.1, "the picture before")
    painted.key("c", kind="up")
    painted.until(lambda: changed_share(after, painted) == 0, "the variant again")
    painted.press("Before / after")
    slider = painted.until(lambda: painted.js("return document.querySelector('[role=slider]')"))
    assert slider.get_attribute("aria-valuenow") == "50"
    painted.js("arguments[0].focus()", slider)
    for value in ("52", "54", "56"):
        painted.key("ArrowRight")
        painted.until(lambda value=value: slider.get_attribute("aria-valuenow") == value, f"the slider at {value}")
    painted.press("What changed")
    painted.until(lambda: changed_share(after, painted) > 0.1, "the changes")


def test_an_accepted_variant_is_the_next_picture_and_can_be_taken_back(
    painted: Visitor, photo: Image.Image
) -> None:
    painted.repaint(variants="2")
    first_mask = painted.mask()
    first = pixels(painted.download("picture-retouched.png"))
    painted.press("Use this picture")
    painted.until(lambda: not painted.has_button("Use this picture"))
    painted.press("Brush")
    painted.stroke((0.35, 0.35), (0.4, 0.4))
    painted.repaint(prompt="a cat")
    second = pixels(painted.download("picture-retouched.png"))
    mask = painted.mask()
    assert_kept(second, Image.fromarray(first), mask)
    painted.press("Back one picture")
    painted.until(lambda: painted.has_button("Use this picture"), "what was tried before")
    assert painted.field("What shall be there?").get_attribute("value") == "a red apple"
    assert np.array_equal(painted.mask(), first_mask)
    assert np.array_equal(pixels(painted.download("picture-retouched.png")), first)


def test_a_seed_gives_its_picture_again_and_another_one_another(painted: Visitor) -> None:
    painted.repaint(seed="11")
    first = pixels(painted.download("picture-retouched.png"))
    painted.press("Same seed again")
    painted.until_done()
    assert np.array_equal(pixels(painted.download("picture-retouched.png")), first)
    painted.press("Another seed")
    painted.until_done()
    assert not np.array_equal(pixels(painted.download("picture-retouched.png")), first)


def test_the_pictures_edge_is_dragged_outwards_and_what_is_added_is_painted(
    visitor: Visitor, photo: Image.Image
) -> None:
    visitor.open(photo)
    visitor.press("Make the picture larger")
    box = visitor.js("return document.querySelector('[role=application]').getBoundingClientRect().toJSON()")
    scale = min((box["width"] - 48) / WIDTH, (box["height"] - 48) / HEIGHT)
    edge = 0.5 + 0.5 * WIDTH * scale / box["width"]
    visitor.press("Fit the picture into the window")
    visitor.stroke((edge, 0.5), (edge + 20 / box["width"], 0.5), (edge + 22 / box["width"], 0.5))
    visitor.until(lambda: "Adds 0 left" in visitor.seen, "a border")
    visitor.repaint()
    found = pixels(visitor.download("picture-retouched.png"))
    assert found.shape[0] == HEIGHT
    assert found.shape[1] > WIDTH
    assert np.array_equal(found[:, :WIDTH, :3], np.asarray(photo))


@pytest.mark.parametrize(("option", "suffix"), [("JPEG", "jpeg"), ("WebP", "webp")])
def test_a_picture_is_saved_in_other_formats(painted: Visitor, option: str, suffix: str) -> None:
    painted.repaint()
    painted.choose("File format", option)
    found = pixels(painted.download(f"picture-retouched.{suffix}"))
    assert found.shape[:2] == (HEIGHT, WIDTH)


def test_the_sheet_shows_the_picture_its_mask_and_all_variants(painted: Visitor) -> None:
    painted.repaint(variants="2")
    painted.choose("File format", "Sheet")
    sheet = pixels(painted.download("picture-grid.png"))
    assert sheet.shape[1] > 4 * WIDTH


def test_what_the_server_says_of_the_mask_stands_beside_the_result(visitor: Visitor, photo: Image.Image) -> None:
    visitor.open(photo)
    visitor.paint()
    visitor.press("Invert")
    visitor.repaint()
    assert "The mask looks inverted" in visitor.seen


def test_words_that_the_model_does_not_know_are_told_before_it_works(visitor: Visitor) -> None:
    visitor.write("What shall be there?", "a red zeppelin")
    visitor.until(lambda: "does not know: zeppelin" in visitor.seen)
    visitor.write("What shall be there?", "Clean background.")  # no words for a model: they ask for a removal
    visitor.until(lambda: "does not know" not in visitor.seen)
    visitor.write("What shall be there?", "a ca")
    visitor.press("cat")
    assert visitor.field("What shall be there?").get_attribute("value") == "a cat"


def test_the_models_advice_stands_where_nothing_is_chosen(visitor: Visitor) -> None:
    visitor.unfold("Settings")
    assert visitor.field("Steps").get_attribute("placeholder") == "8 (advised)"
    assert visitor.field("Guidance").get_attribute("placeholder") == "2 (advised)"
