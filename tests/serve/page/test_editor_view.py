"""Looking: opening, zooming, panning, fingers, borders and comparing."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from tests.serve.page.bench import EditorBench, encoded, photograph, square

pytestmark = pytest.mark.slow


def under(bench: EditorBench, place: tuple[float, float]) -> tuple[float, float]:
    """The point of the picture under a place of the window."""
    x, y = bench.js(
        "const p = editor.view.toPicture(arguments[0] * editor.stage.ratio, arguments[1] * editor.stage.ratio);"
        "return [p.x, p.y]",
        *place,
    )
    return (x, y)


def shown(bench: EditorBench, point: tuple[float, float], layer: str = "picture") -> list[int]:
    """RGBA on the canvas where a point of the picture lies."""
    bench.frame()
    return list(
        bench.js(
            "const p = editor.view.toScreen(arguments[0], arguments[1]);"
            "return [...editor.stage.contexts[arguments[2]].getImageData(p.x, p.y, 1, 1).data]",
            *point,
            layer,
        )
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_photograph_is_applied(bench: EditorBench, orientation: int) -> None:
    picture = Image.new("RGB", (120, 80), (0, 0, 255))
    picture.paste((255, 0, 0), (0, 0, 40, 30))
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = encoded(picture, "JPEG", exif=exif, quality=95)
    bench.open(body)

    upright = photograph_as_seen(body)
    assert bench.js("return [editor.size.width, editor.size.height]") == list(upright.size)
    for point in [(10, 10), (upright.width - 10, 10), (10, upright.height - 10)]:
        seen, expected = shown(bench, point)[:3], upright.getpixel(point)
        assert np.abs(np.subtract(seen, expected)).max() < 8
    sent = base64.b64decode(bench.later("await toBase64(editor.original)"))
    assert sent == body


def photograph_as_seen(body: bytes) -> Image.Image:
    from PIL import ImageOps

    with Image.open(io.BytesIO(body)) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def test_a_file_that_is_no_picture_is_refused_and_the_old_one_stays(opened: EditorBench) -> None:
    answer = opened.open(b"not a picture at all")

    assert answer["code"] == "picture_unreadable"
    assert opened.js("return editor.size.width") == 200


def test_the_wheel_zooms_to_the_pointer(opened: EditorBench) -> None:
    place = opened.on_screen(150, 40)
    before = opened.js("return editor.scale")
    for _ in range(5):
        opened.wheel(place, -120)
    opened.until("return editor.scale > arguments[0] * 2", before)

    assert under(opened, place) == pytest.approx((150, 40), abs=0.5)
    for _ in range(5):
        opened.wheel(place, 120)
    opened.until("return Math.abs(editor.scale - arguments[0]) < 1e-6", before)
    assert under(opened, place) == pytest.approx((150, 40), abs=0.5)


def test_space_and_the_middle_button_pan_without_painting(opened: EditorBench) -> None:
    start, end = opened.on_screen(100, 100), opened.on_screen(130, 90)
    opened.key(" ", kinds=["keyDown"])
    opened.drag([(100, 100), (130, 90)])
    opened.key(" ", kinds=["keyUp"])
    assert under(opened, end) == pytest.approx((100, 100), abs=0.01)
    opened.js("editor.fit()")
    opened.drag([(100, 100), (130, 90)], button="middle")

    assert under(opened, end) == pytest.approx((100, 100), abs=0.01)
    assert under(opened, start) != pytest.approx((100, 100), abs=0.01)
    assert opened.js("return editor.isMaskEmpty")


def test_one_finger_paints(opened: EditorBench) -> None:
    opened.touch("touchStart", opened.on_screen(50, 100))
    for x in (75, 100, 125, 150):
        opened.touch("touchMove", opened.on_screen(x, 100))
    opened.touch("touchEnd")

    mask = opened.mask()
    assert (mask[100, 48:152] == 255).all()
    assert mask[70, 100] == 0


def test_two_fingers_pan_and_zoom_and_take_back_what_the_first_began(opened: EditorBench) -> None:
    a, b = opened.on_screen(80, 100), opened.on_screen(120, 100)
    before = opened.js("return editor.scale")
    opened.touch("touchStart", a)
    opened.touch("touchStart", a, b)
    for step in range(1, 6):
        opened.touch("touchMove", (a[0] - 16 * step, a[1] + 10 * step), (b[0] + 16 * step, b[1] + 10 * step))
    opened.touch("touchEnd", (a[0] - 80, a[1] + 50))
    opened.touch("touchMove", (a[0], a[1] + 90))
    opened.touch("touchEnd")

    apart = b[0] - a[0]
    assert opened.js("return editor.scale") == pytest.approx(before * (apart + 160) / apart, rel=0.02)
    assert under(opened, ((a[0] + b[0]) / 2, a[1] + 50)) == pytest.approx((100, 100), abs=1.5)
    assert opened.js("return editor.isMaskEmpty && !editor.canUndo")


def test_a_window_that_changes_keeps_the_picture_fitted(opened: EditorBench) -> None:
    opened.browser.set_window_size(500, 740)
    opened.until("return editor.view.width < 520")
    opened.frame()

    x0, y0 = opened.on_screen(0, 0)
    x1, y1 = opened.on_screen(200, 200)
    assert 0 < x0 < x1 < 500
    assert 0 < y0 < y1 < 740
    assert x1 - x0 > 400


def test_a_border_is_pulled_out_and_composed(opened: EditorBench) -> None:
    opened.js("editor.tool = 'rectangle'")
    opened.drag([(10, 10), (50, 40)])
    opened.js("editor.tool = 'extend'")
    opened.drag([(200, 100), (230, 100), (264, 100)])
    opened.drag([(0, 0), (-16, -32)])
    border = opened.js("return editor.border")
    assert border == {"left": 16, "top": 32, "right": 64, "bottom": 0}

    opened.js("window.composed = null; editor.composedForOutpainting().then((made) => { composed = made; })")
    opened.until("return composed !== null")
    files = [base64.b64decode(opened.later(f"await toBase64(composed.{name})")) for name in ("image", "mask")]
    image, mask = (np.asarray(Image.open(io.BytesIO(body))) for body in files)
    original = np.asarray(Image.open(io.BytesIO(square())))
    expected = np.full((232, 280), 255, np.uint8)
    expected[32:, 16:216] = 0
    expected[42:72, 26:66] = 255
    assert np.array_equal(mask, expected)
    assert np.array_equal(image[32:, 16:216, :3], original)
    assert np.array_equal(image[100, 216:280, :3], np.repeat(original[68:69, -1], 64, axis=0))


def test_the_line_between_before_and_after_is_dragged(opened: EditorBench) -> None:
    opened.compare(Image.new("RGB", (200, 200), (0, 255, 0)), split=0.5)
    assert shown(opened, (60, 100))[:3] == [0, 255, 0]
    assert shown(opened, (140, 100))[:3] != [0, 255, 0]
    opened.drag([(100, 150), (150, 150)])

    assert shown(opened, (140, 100))[:3] == [0, 255, 0]
    assert opened.js("return editor.compare.split") == pytest.approx(0.75, abs=0.01)
    assert opened.js("return editor.isMaskEmpty && told.includes('compare')")
    opened.js("document.querySelector('[role=slider]').focus()")
    opened.key("Home")
    assert opened.js("return document.activeElement.getAttribute('aria-valuenow')") is not None
    assert shown(opened, (20, 100))[:3] != [0, 255, 0]
    opened.js("editor.compare = {image: editor.compare.image, split: null}")
    assert shown(opened, (190, 100))[:3] == [0, 255, 0]
    opened.js("editor.compare = {image: null, split: null}")
    assert shown(opened, (20, 100))[:3] != [0, 255, 0]


def test_what_changed_is_shown_to_the_single_level(opened: EditorBench) -> None:
    variant = np.array(Image.open(io.BytesIO(square())))
    variant[50:100, 20:60, 1] ^= 1
    opened.compare(Image.fromarray(variant))
    opened.js("editor.overlay = 'changes'")
    opened.until("return told.includes('changes')")

    changed = np.array(opened.js("return [...editor.changes.read(0, 0, 200, 200)]")).reshape(200, 200) > 0
    expected = np.zeros((200, 200), bool)
    expected[50:100, 20:60] = True
    assert np.array_equal(changed, expected)
    assert shown(opened, (40, 75), "mask")[3] > 0
    assert shown(opened, (100, 75), "mask")[3] == 0


def test_what_is_drawn_stroke_by_stroke_is_what_is_drawn_at_once(bench: EditorBench) -> None:
    def layer() -> np.ndarray:  # type: ignore[type-arg]
        bench.frame()
        url = bench.js("return editor.stage.contexts.mask.canvas.toDataURL()")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))).astype(int)

    bench.open(photograph(1500, 1100))
    bench.js("editor.brush = {size_px: 90, softness: 0.5}")
    for scale, step in [(0.2, 400), (0.6, 300), (1, 120), (6, 20)]:
        bench.js("editor.view.setScale(arguments[0]); editor.zoom(1)", scale)
        layer()
        bench.drag([(750 - step, 550 - step), (750, 550 + step), (750 + step, 550)])
        bench.drag([(750, 550 - step), (750, 550 + step)], button="right")
        bench.drag([(750 - step, 550), (750 + step, 550 + step)])
        bench.js("editor.undo()")
        drawn = layer()
        bench.js("editor.layers.reset(); editor.redraw('mask')")
        # The last bits are the browser's: it clips before it smooths.
        assert np.abs(drawn - layer())[..., 3].max() <= 2


def test_a_result_becomes_the_picture_and_the_view_stays(opened: EditorBench) -> None:
    opened.click((100, 100))
    opened.js("editor.zoom(3)")
    before = opened.js("return [editor.view.scale, editor.view.x, editor.view.y]")
    opened.open(Image.new("RGB", (200, 200), (10, 20, 30)), how="replace")

    assert opened.js("return [editor.view.scale, editor.view.x, editor.view.y]") == before
    assert opened.js("return editor.isMaskEmpty && !editor.canUndo")
    assert shown(opened, (100, 100))[:3] == [10, 20, 30]
    opened.open(photograph(90, 30), how="replace")
    assert opened.js("return editor.view.isFitted")
