"""The page can be used by everybody: any size, any colours, no mouse, a screen reader."""

from pathlib import Path

import pytest
from tests.serve.page.bench import photograph
from tests.serve.page.visitor import Visitor

pytestmark = pytest.mark.slow

AXE = Path(__file__).parents[3] / ".axe/package/axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIDEWAYS = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
needs_axe = pytest.mark.skipif(
    not AXE.exists(), reason="no axe-core here: `make axe` brings it (npm), and .ci/run does so"
)


def resize(visitor: Visitor, width: int, height: int, *, touch: bool = False) -> None:
    visitor.cdp(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
    )
    visitor.cdp("Emulation.setTouchEmulationEnabled", enabled=touch)


def prefer(visitor: Visitor, **features: str) -> None:
    named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    visitor.cdp("Emulation.setEmulatedMedia", features=named)


def violations(visitor: Visitor) -> list[str]:
    visitor.js(AXE.read_text(encoding="utf-8") + "; window.axe = axe;")
    found = visitor.browser.execute_async_script(
        "const done = arguments[1]; axe.run({runOnly: arguments[0]}).then((told) => done(told.violations))", TAGS
    )
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary']}" for one in found for node in one["nodes"]
    ]


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_no_violation_empty_and_with_a_result(visitor: Visitor, scheme: str, width: int) -> None:
    prefer(visitor, prefers_color_scheme=scheme)
    resize(visitor, width, 740)
    assert violations(visitor) == []
    visitor.open(photograph(160, 120))
    visitor.paint()
    visitor.repaint(variants="2")
    visitor.press("Before / after")
    visitor.press("Use this picture")
    visitor.until(lambda: visitor.js("return document.querySelectorAll('.strip li').length") == 2)
    visitor.press("Back one picture")
    visitor.until(lambda: visitor.has_button("Use this picture"))
    assert violations(visitor) == []
    visitor.press("Shortcuts")
    assert violations(visitor) == []


@pytest.mark.parametrize(("width", "height"), [(360, 740), (768, 1024), (1280, 800), (1920, 1080), (3840, 2160)])
def test_a_picture_is_repainted_in_a_window_of_any_size_without_scrolling_sideways(
    visitor: Visitor, width: int, height: int
) -> None:
    resize(visitor, width, height)
    assert visitor.js(SIDEWAYS) <= 0
    visitor.open(photograph(160, 120), f"{'long name ' * 12}.png")
    visitor.paint()
    visitor.repaint(variants="2")
    assert visitor.js(SIDEWAYS) <= 0
    small = visitor.js(
        "return [...document.querySelectorAll('button, select, input:not([hidden]), summary')].filter((one) => {"
        " const box = one.getBoundingClientRect();"
        " return box.width > 0 && (box.width < 18 || box.height < 18) }).map((one) => one.outerHTML)"
    )
    assert small == []


def test_fingers_paint_on_a_phone(visitor: Visitor) -> None:
    resize(visitor, 360, 740, touch=True)
    visitor.open(photograph(160, 120))
    places = [visitor.place(*share) for share in ((0.4, 0.4), (0.5, 0.5), (0.6, 0.5), (0.6, 0.6))]
    for kind, place in zip(["touchStart", "touchMove", "touchMove", "touchMove"], places, strict=True):
        visitor.cdp("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": place[0], "y": place[1]}])
    visitor.cdp("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    visitor.until(lambda: "will be repainted" in visitor.seen)
    visitor.repaint()


def test_the_keyboard_alone_is_enough(visitor: Visitor) -> None:
    visitor.open(photograph(160, 120))
    visitor.js("document.querySelector('[role=application]').focus()")
    for _ in range(3):
        visitor.key("ArrowRight")
    visitor.key("Enter")
    visitor.until(lambda: "will be repainted" in visitor.seen)
    focus(visitor, "prompt")
    visitor.cdp("Input.insertText", text="a red apple")
    focus(visitor, "num_images_per_prompt")
    visitor.key("ArrowUp")
    visitor.key("Enter", modifiers=2)
    visitor.until_done()


def focus(visitor: Visitor, id: str) -> None:
    """Go on with the tab key until something has the focus."""
    for _ in range(80):
        visitor.cdp("Input.dispatchKeyEvent", type="rawKeyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        visitor.cdp("Input.dispatchKeyEvent", type="keyUp", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        if visitor.js("return document.activeElement.id") == id:
            return
    raise AssertionError(f"{id} is not reached")


def test_a_question_mark_lists_the_shortcuts_which_can_be_switched_off(visitor: Visitor) -> None:
    visitor.open(photograph(160, 120))
    visitor.key("?")
    visitor.until(lambda: "Smaller, larger brush" in visitor.seen)
    visitor.field("Shortcuts of one key").click()
    visitor.press("Close")
    visitor.js("document.activeElement.blur()")
    visitor.key("?")
    visitor.key("x")
    assert "Smaller, larger brush" not in visitor.seen
    assert visitor.button("Brush").get_attribute("aria-pressed") == "true"


def test_keys_that_are_typed_into_a_field_are_no_shortcuts(visitor: Visitor) -> None:
    visitor.open(photograph(160, 120))
    visitor.field("What shall be there?").click()
    for key in "x?[c":
        visitor.key(key)
    assert visitor.field("What shall be there?").get_attribute("value") == "x?[c"
    assert visitor.button("Brush").get_attribute("aria-pressed") == "true"


def test_the_colours_follow_the_system_until_somebody_chooses(visitor: Visitor) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    prefer(visitor, prefers_color_scheme="dark")
    dark = visitor.js(ground)
    prefer(visitor, prefers_color_scheme="light")
    light = visitor.js(ground)
    assert dark != light
    visitor.press("Colours: as the system")
    visitor.press("Colours: light")
    assert visitor.js(ground) == dark
    visitor.visit()
    assert visitor.js(ground) == dark


def test_who_wants_no_motion_gets_none(visitor: Visitor) -> None:
    prefer(visitor, prefers_reduced_motion="reduce")
    moving = visitor.js(
        "return [...document.querySelectorAll('*')].filter((one) => {"
        " const style = getComputedStyle(one);"
        " return parseFloat(style.transitionDuration) > 0 || style.animationName !== 'none' }).length"
    )
    assert moving == 0
