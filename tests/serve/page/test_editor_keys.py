"""The editor by keyboard alone, and the shortcuts that fingers know."""

import numpy as np
import pytest
from tests.serve.page.bench import CTRL, SHIFT, EditorBench

pytestmark = pytest.mark.slow


def press(bench: EditorBench, *keys: str, modifiers: int = 0) -> None:
    for key in keys:
        bench.key(key, modifiers=modifiers)


def crosshair(bench: EditorBench) -> list[float]:
    return list(bench.js("return editor.crosshair.at && [editor.crosshair.at.x, editor.crosshair.at.y]"))


def test_arrows_move_a_crosshair_and_enter_or_space_paints_there(opened: EditorBench) -> None:
    press(opened, "ArrowRight", "ArrowDown")
    x, y = crosshair(opened)
    assert x == y > 100
    press(opened, "Enter")
    assert opened.mask()[int(y), int(x)] == 255
    press(opened, *["ArrowLeft"] * 12)
    press(opened, " ")

    x, y = crosshair(opened)
    assert opened.mask()[int(y), int(x)] == 255


def test_shift_and_enter_draws_a_line(opened: EditorBench) -> None:
    press(opened, "ArrowUp", "Enter")
    press(opened, "ArrowDown", "ArrowDown", "ArrowRight", modifiers=SHIFT)
    press(opened, "Enter", modifiers=SHIFT)

    x, y = crosshair(opened)
    assert opened.mask()[int(y / 2 + 50), int(x / 2 + 50)] == 255


def test_a_rectangle_is_two_corners(opened: EditorBench) -> None:
    press(opened, "r", "ArrowLeft")
    press(opened, "ArrowLeft", "ArrowUp", modifiers=SHIFT)
    a = crosshair(opened)
    press(opened, "Enter")
    press(opened, "ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", modifiers=SHIFT)
    b = crosshair(opened)
    press(opened, "Enter")

    expected = np.zeros((200, 200), np.uint8)
    expected[round(a[1]) : round(b[1]), round(a[0]) : round(b[0])] = 255
    assert expected.any()
    assert np.array_equal(opened.mask(), expected)


def test_a_polygon_is_closed_by_setting_its_last_corner_twice(opened: EditorBench) -> None:
    press(opened, "p", "ArrowUp", "Enter")
    press(opened, "ArrowRight", modifiers=SHIFT)
    press(opened, "Enter")
    press(opened, "ArrowDown", modifiers=SHIFT)
    press(opened, "Enter", "Enter")

    assert opened.js("return editor.coverage") > 0
    press(opened, "z", modifiers=CTRL)
    assert opened.js("return editor.isMaskEmpty")


def test_a_shape_that_was_begun_is_given_up_by_escape(opened: EditorBench) -> None:
    press(opened, "l", "ArrowUp", "Enter", "ArrowRight", "ArrowRight", "Escape")

    assert not opened.js("return editor.toolObject.isOpen")
    assert opened.js("return editor.isMaskEmpty")


def test_an_outline_is_filled_by_keyboard(opened: EditorBench) -> None:
    opened.drag([(50, 50), (150, 50), (150, 150), (50, 150), (50, 50)])
    press(opened, "f", "ArrowRight", "Enter")

    assert opened.mask()[100, 100] == 255


def test_arrows_pull_the_border(opened: EditorBench) -> None:
    press(opened, "o", "ArrowRight", "ArrowRight", "ArrowUp")
    press(opened, "ArrowRight", modifiers=SHIFT)

    assert opened.js("return editor.border") == {"left": 0, "top": 8, "right": 8, "bottom": 0}


def test_shortcuts_change_brush_tool_and_view(opened: EditorBench) -> None:
    press(opened, "]", "]")
    assert opened.js("return editor.brush.size_px") > 22
    press(opened, "[", "[")
    assert opened.js("return editor.brush.size_px") == pytest.approx(20, abs=1)
    press(opened, "x")
    assert opened.js("return editor.tool") == "eraser"
    press(opened, "x")
    assert opened.js("return editor.tool") == "brush"
    press(opened, "1")
    assert opened.js("return editor.scale") == 1
    press(opened, "+", "+", "-")
    assert opened.js("return editor.scale") == pytest.approx(1.25)
    press(opened, "0")
    assert opened.js("return editor.view.isFitted")


def test_shortcuts_are_silent_while_somebody_types(opened: EditorBench) -> None:
    opened.drag([(50, 100), (150, 100)])
    before = opened.js("return [editor.brush.size_px, editor.tool]")
    opened.js("document.querySelector('#words').focus()")
    press(opened, "x", "[", "]", " ", "e")
    press(opened, "z", modifiers=CTRL)

    assert opened.js("return document.querySelector('#words').value") in {"x[] e", ""}
    assert opened.js("return [editor.brush.size_px, editor.tool]") == before
    assert not opened.js("return editor.isMaskEmpty")


def test_space_pressed_shortly_after_panning_does_not_paint(opened: EditorBench) -> None:
    press(opened, "ArrowRight")
    opened.key(" ", kinds=["keyDown"])
    opened.drag([(100, 100), (120, 100)])
    opened.key(" ", kinds=["keyUp"])

    assert opened.js("return editor.isMaskEmpty")


def test_space_belongs_to_the_hand_on_the_picture_or_to_the_button_reached_by_tab(opened: EditorBench) -> None:
    opened.js(
        "window.presses = 0; document.querySelector('button').addEventListener('click', () => { presses++; })"
    )
    place = opened.js(
        "const b = document.querySelector('button').getBoundingClientRect(); return [b.x + 5, b.y + 5]"
    )
    opened.mouse("mousePressed", place, button="left", buttons=1)
    opened.mouse("mouseReleased", place, button="left")
    opened.mouse("mouseMoved", opened.on_screen(100, 100))
    opened.key(" ", kinds=["keyDown"])
    assert opened.js("return editor.isPanning")
    opened.key(" ", kinds=["keyUp"])
    assert opened.js("return presses") == 1

    opened.js("document.querySelector('#words').focus()")
    press(opened, "Tab", " ")
    assert opened.js("return presses") == 2
