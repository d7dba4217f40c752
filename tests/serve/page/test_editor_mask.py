"""Painting: the mask that the editor's tools make."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.serve.page.bench import ALT, CTRL, SHIFT, EditorBench, encoded, photograph

pytestmark = pytest.mark.slow


def test_the_brush_paints_a_round_stroke_where_the_mouse_went(opened: EditorBench) -> None:
    opened.drag([(50, 100), (100, 100), (150, 100)])

    y, x = np.mgrid[0:200, 0:200] + 0.5
    distance = np.hypot(x - np.clip(x, 50, 150), y - 100)
    mask = opened.mask()
    assert set(np.unique(mask)) == {0, 255}
    assert (mask[distance < 9.4] == 255).all()
    assert (mask[distance > 10.6] == 0).all()


def test_a_soft_brush_falls_off_towards_its_rim_and_does_not_add_up(opened: EditorBench) -> None:
    opened.js("editor.brush = {size_px: 80, softness: 1}")
    opened.click((100, 100))
    once = opened.mask()
    opened.click((100, 100))

    profile = once[100, 100:141].astype(int)
    assert profile[0] >= 254
    assert (np.diff(profile) <= 0).all()
    assert 100 < profile[20] < 155
    assert profile[40] == 0
    assert np.abs(opened.mask().astype(int) - once).max() == 0


def test_the_right_button_and_alt_erase_as_the_eraser_does(opened: EditorBench) -> None:
    opened.drag([(30, 100), (170, 100)])
    opened.drag([(50, 80), (50, 120)], button="right")
    opened.drag([(100, 80), (100, 120)], modifiers=ALT)
    opened.js("editor.tool = 'eraser'")
    opened.drag([(150, 80), (150, 120)])

    mask = opened.mask()
    assert [mask[100, x] for x in (50, 100, 150)] == [0, 0, 0]
    assert [mask[100, x] for x in (30, 75, 125, 168)] == [255, 255, 255, 255]


def test_shift_draws_a_straight_line_from_the_last_stroke(opened: EditorBench) -> None:
    opened.click((30, 30))
    opened.click((170, 170), modifiers=SHIFT)

    assert opened.mask()[100, 100] == 255


def test_the_rectangle_is_exact_to_the_pixel(opened: EditorBench) -> None:
    opened.js("editor.tool = 'rectangle'")
    opened.drag([(40, 60), (90, 90), (140, 120)])

    expected = np.zeros((200, 200), np.uint8)
    expected[60:120, 40:140] = 255
    assert np.array_equal(opened.mask(), expected)


def test_the_lasso_fills_what_it_was_drawn_around(opened: EditorBench) -> None:
    opened.js("editor.tool = 'lasso'")
    opened.drag([(40, 40), (160, 40), (160, 160), (100, 100), (40, 160)])

    mask = opened.mask()
    assert mask[60, 100] == 255
    assert mask[140, 100] == 0
    assert mask[60, 20] == 0


def test_the_polygon_closes_at_its_first_corner_and_undo_takes_a_corner_back(opened: EditorBench) -> None:
    opened.js("editor.tool = 'polygon'")
    for corner in [(40, 40), (160, 40), (160, 160), (10, 190)]:
        opened.click(corner)
    opened.key("z", modifiers=CTRL)
    opened.click((40, 160))
    assert opened.js("return editor.isMaskEmpty")
    opened.click((41, 41))

    expected = np.asarray(polygon([(40, 40), (160, 40), (160, 160), (40, 160)]))
    assert (opened.mask() != expected).mean() < 0.01
    assert opened.js("return told.filter((name) => name === 'mask').length") == 2  # opened, and the polygon


def polygon(corners: list[tuple[int, int]]) -> Image.Image:
    image = Image.new("L", (200, 200))
    ImageDraw.Draw(image).polygon(corners, fill=255)
    return image


def test_fill_takes_the_inside_of_a_closed_line_and_leaves_no_pale_ring(opened: EditorBench) -> None:
    opened.js("editor.brush = {size_px: 24, softness: 0.8}")
    opened.drag([(50, 50), (150, 50), (150, 150), (50, 150), (50, 50)])
    opened.js("editor.tool = 'fill'")
    opened.click((100, 100))

    mask = opened.mask()
    assert (mask[52:148, 52:148] == 255).all()
    assert (mask[:30] == 0).all()
    opened.click((100, 100), button="right")
    assert opened.js("return editor.isMaskEmpty")


def test_twenty_strokes_are_undone_and_redone_one_by_one(opened: EditorBench) -> None:
    states = [opened.mask()]
    for i in range(20):
        opened.js("editor.brush = {size_px: 6 + arguments[0], softness: arguments[0] % 3 / 2}", i)
        opened.drag(
            [(20 + 8 * i, 30), (100, 100 + i), (180 - 8 * i, 170)], button="right" if i % 4 == 3 else "left"
        )
        states.append(opened.mask())
    for state in reversed(states[:-1]):
        opened.key("z", modifiers=CTRL)
        assert np.array_equal(opened.mask(), state)
    assert not opened.js("return editor.canUndo")
    for state in states[1:]:
        opened.key("z", modifiers=CTRL | SHIFT)
        assert np.array_equal(opened.mask(), state)
    assert not opened.js("return editor.canRedo")


def test_a_mask_is_saved_and_loaded_bit_for_bit(opened: EditorBench) -> None:
    opened.js("editor.brush = {size_px: 60, softness: 0.9}")
    opened.drag([(30, 40), (170, 160)])
    opened.drag([(170, 40), (100, 90)], button="right")
    saved = opened.mask_file()
    before = opened.mask()
    assert 20 < len(np.unique(before)) <= 256

    opened.js("editor.clear()")
    assert opened.js("return editor.isMaskEmpty")
    opened.later("await editor.loadMask(await fetched(arguments[0]))", opened.put_up(saved))
    assert np.array_equal(opened.mask(), before)
    opened.js("editor.undo()")
    assert opened.js("return editor.isMaskEmpty")


def test_every_grey_level_survives_a_picture_of_odd_size(bench: EditorBench) -> None:
    levels = (np.arange(301 * 523) % 256).astype(np.uint8).reshape(523, 301)
    bench.open(photograph(301, 523))
    bench.later(
        "await editor.loadMask(await fetched(arguments[0]))", bench.put_up(encoded(Image.fromarray(levels)))
    )

    assert np.array_equal(bench.mask(), levels)
    assert bench.js("return editor.coverage") == pytest.approx((levels >= 128).mean())


def test_masks_that_do_not_fit_say_why(opened: EditorBench) -> None:
    def code(body: bytes, polarity: str | None = None) -> str | None:
        path = opened.put_up(body)
        answer = opened.later(
            "await editor.loadMask(await fetched(arguments[0]), arguments[1] ?? undefined)", path, polarity
        )
        return answer and str(answer["code"])

    holed = Image.new("RGBA", (200, 200), (9, 9, 9, 255))
    holed.paste((0, 0, 0, 0), (50, 60, 90, 100))
    assert code(encoded(Image.new("L", (100, 200)))) == "mask_size"
    assert code(b"no picture") == "mask_unreadable"
    assert code(encoded(holed)) == "mask_alpha"
    assert opened.js("return editor.isMaskEmpty && !editor.canUndo")
    assert code(encoded(holed), "transparent") is None
    expected = np.zeros((200, 200), np.uint8)
    expected[60:100, 50:90] = 255
    assert np.array_equal(opened.mask(), expected)


def test_the_mask_grows_and_shrinks_by_discs_and_inverts(opened: EditorBench) -> None:
    opened.js("editor.brush = {size_px: 50, softness: 0.4}")
    opened.drag([(0, 100), (120, 100)])
    before = opened.mask()

    opened.js("editor.grow(6)")
    assert np.array_equal(opened.mask(), largest_within(before, 6))
    opened.js("editor.undo(); editor.grow(-6)")
    assert np.array_equal(opened.mask(), 255 - largest_within(255 - before, 6))
    opened.js("editor.undo(); editor.invert()")
    assert np.array_equal(opened.mask(), 255 - before)
    opened.js("editor.clear()")
    assert (opened.mask() == 0).all()


def largest_within(mask: np.ndarray, radius: int) -> np.ndarray:  # type: ignore[type-arg]
    """The plain definition: the largest value of all shifts within the disc; beyond the picture is nothing."""
    height, width = mask.shape
    padded = np.pad(mask, radius)
    out = np.zeros_like(mask)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dx * dx + dy * dy <= radius * radius:
                window = padded[radius + dy : radius + dy + height, radius + dx : radius + dx + width]
                out = np.maximum(out, window)
    return out


def test_the_file_is_an_ordinary_grey_png(opened: EditorBench) -> None:
    opened.click((100, 100))

    with Image.open(io.BytesIO(opened.mask_file())) as image:
        image.load()
        assert (image.format, image.mode, image.size) == ("PNG", "L", (200, 200))
