"""The history of edits outlives the page, and goes when it is told to."""

import numpy as np
import pytest
from tests.serve.page.bench import photograph
from tests.serve.page.visitor import Visitor, pixels

pytestmark = pytest.mark.slow

STEPS = "return document.querySelectorAll('.strip li').length"


def test_after_a_reload_the_picture_its_mask_and_the_variants_are_there(visitor: Visitor) -> None:
    visitor.open(photograph(200, 160))
    visitor.paint()
    visitor.repaint(variants="2")
    mask, first = visitor.mask(), pixels(visitor.download("picture-retouched.png"))
    visitor.visit()
    visitor.until(lambda: visitor.has_button("Use this picture"), "the variants")
    assert "picture.png, 200 × 160" in visitor.seen
    assert visitor.field("What shall be there?").get_attribute("value") == "a red apple"
    assert np.array_equal(visitor.mask(), mask)
    assert np.array_equal(pixels(visitor.download("picture-retouched.png")), first)


def test_a_mask_that_was_not_used_yet_is_there_after_a_reload(visitor: Visitor) -> None:
    visitor.open(photograph(200, 160))
    visitor.paint()
    mask = visitor.mask()
    visitor.until(lambda: is_kept(visitor), "the mask in the history")
    visitor.visit()
    visitor.until(lambda: "will be repainted" in visitor.seen)
    assert np.array_equal(visitor.mask(), mask)


def is_kept(visitor: Visitor) -> bool:
    """Whether the history holds a mask."""
    return bool(
        visitor.browser.execute_async_script(
            """
            const done = arguments[0], asking = indexedDB.open("retouch");
            asking.onsuccess = () => {
              const all = asking.result.transaction("steps").objectStore("steps").getAll();
              all.onsuccess = () => done(all.result.some((step) => step.mask !== null));
            };
            """
        )
    )


def test_work_under_way_is_followed_again_after_a_reload(visitor: Visitor) -> None:
    visitor.open(photograph(200, 160))
    visitor.paint()
    visitor.until(lambda: is_kept(visitor), "the mask in the history")
    visitor.ask(steps="60", variants="2")
    visitor.until(lambda: "Step " in visitor.seen)
    visitor.visit()
    visitor.until_done()


def test_the_history_can_be_cleared(visitor: Visitor) -> None:
    for width in (100, 120, 140):
        visitor.open(photograph(width, 80), f"{width}.png")
    visitor.until(lambda: visitor.js(STEPS) == 3)
    visitor.press("Clear the history")
    visitor.browser.switch_to.alert.accept()
    visitor.until(lambda: visitor.js(STEPS) == 1)
    visitor.visit()
    visitor.until(lambda: visitor.js(STEPS) == 1)
    assert "140.png" in visitor.seen


def test_a_step_of_the_history_is_one_click_away(visitor: Visitor) -> None:
    for width in (100, 120):
        visitor.open(photograph(width, 80), f"{width}.png")
    visitor.until(lambda: visitor.js(STEPS) == 2)
    visitor.js("document.querySelector('.strip button').click()")
    visitor.until(lambda: "100.png, 100 × 80" in visitor.seen)
