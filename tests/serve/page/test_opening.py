"""How pictures and masks come in, and what of them is shown."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from tests.serve.page.bench import photograph
from tests.serve.page.visitor import Visitor, pixels

pytestmark = pytest.mark.slow


def saved(visitor: Visitor, image: Image.Image, name: str) -> Path:
    path = visitor.folder / name
    image.save(path)
    return path


def test_a_picture_is_opened_by_its_file_and_by_another_one_after_it(visitor: Visitor) -> None:
    visitor.open(photograph(300, 200), "one.png")
    assert "300 × 200" in visitor.seen
    visitor.open(photograph(120, 160), "two.jpg")
    assert "120 × 160" in visitor.seen


def test_a_picture_is_dropped_onto_the_page(visitor: Visitor) -> None:
    visitor.drop(saved(visitor, photograph(300, 200), "dropped.png"))
    visitor.until(lambda: "dropped.png, 300 × 200" in visitor.seen)


def test_a_picture_is_copied_and_pasted(visitor: Visitor) -> None:
    visitor.cdp("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    visitor.open(photograph(300, 200))
    visitor.press("Copy the picture")
    visitor.until(lambda: "in the clipboard" in visitor.told)
    visitor.cdp("Input.dispatchKeyEvent", type="rawKeyDown", key="v", code="KeyV", modifiers=2, commands=["paste"])
    visitor.until(lambda: "pasted picture, 300 × 200" in visitor.seen)


def test_the_sample_is_there_with_its_mask_and_words(visitor: Visitor) -> None:
    visitor.press("Try the sample")
    visitor.until(lambda: "will be repainted" in visitor.seen)
    assert visitor.field("What shall be there?").get_attribute("value") == "a red apple"


def test_a_mask_is_saved_and_loaded_again_bit_for_bit(visitor: Visitor) -> None:
    visitor.open(photograph(300, 200))
    visitor.paint()
    mask = visitor.mask()
    visitor.press("Clear")
    visitor.until(lambda: not visitor.button("Save the mask").is_enabled())
    visitor.js("document.getElementById('mask-file').hidden = false")
    loaded = saved(visitor, Image.fromarray(mask), "loaded.png")
    visitor.browser.find_element("id", "mask-file").send_keys(str(loaded))
    visitor.until(lambda: visitor.button("Save the mask").is_enabled())
    assert np.array_equal(visitor.mask(), mask)


@pytest.mark.parametrize("accepts", [True, False])
def test_a_mask_with_transparent_parts_is_asked_about(visitor: Visitor, accepts: bool) -> None:
    visitor.open(photograph(300, 200))
    rgba = np.zeros((200, 300, 4), np.uint8)
    rgba[..., 3] = 255
    rgba[20:60, 30:90, 3] = 0
    rgba[100:150, 100:200, :3] = 255
    visitor.js("document.getElementById('mask-file').hidden = false")
    loaded = saved(visitor, Image.fromarray(rgba), "loaded.png")
    visitor.browser.find_element("id", "mask-file").send_keys(str(loaded))
    alert = visitor.until(lambda: visitor.browser.switch_to.alert)
    (alert.accept if accepts else alert.dismiss)()
    visitor.until(lambda: visitor.button("Save the mask").is_enabled())
    expected = 255 - rgba[..., 3] if accepts else rgba[..., 0]
    assert np.array_equal(visitor.mask(), expected)


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>.png",
        "a&quot;'\"<script>alert(1)<\\u002fscript>.png",
        "\u202egnp.exe שלום.png",
        "🦔🏳️‍🌈 👩‍👩‍👧.png",
        f"{'a' * 200}.png",
    ],
)
def test_a_hostile_name_is_text(visitor: Visitor, name: str) -> None:
    path = saved(visitor, photograph(60, 40), name.replace("/", ""))
    visitor.open_file(path)
    visitor.until(lambda: "60 × 40" in visitor.js("return document.getElementById('picture-name').textContent"))
    shown = visitor.js("return document.getElementById('picture-name').textContent")
    assert shown == f"{path.name}, 60 × 40"
    assert visitor.js("return document.querySelectorAll('#picture-name *').length") == 0
    assert visitor.js("return document.documentElement.scrollWidth <= window.innerWidth")


def test_hostile_words_and_metadata_are_text(visitor: Visitor) -> None:
    told = PngImagePlugin.PngInfo()
    told.add_text("parameters", "<script>alert(1)</script>" * 400)
    told.add_text("retouch", '{"request": "<img src=x onerror=alert(1)>"}')
    visitor.open(photograph(160, 120), pnginfo=told)
    visitor.paint()
    prompt = "<b onclick=alert(1)>שלום 🦔</b> \u202eevil " + "y" * 1_900
    visitor.repaint(prompt=prompt)
    assert visitor.js("return document.querySelectorAll('b, main script').length") == 0
    visitor.press("Use this picture")
    visitor.until(lambda: visitor.js("return document.querySelectorAll('.strip li').length") == 2)
    label = visitor.js("return document.querySelector('[aria-current] .caption').textContent")
    assert label == visitor.js("return document.querySelector('#prompt').value")
    assert label.startswith("<b onclick=alert(1)>שלום")
    assert visitor.js("return document.documentElement.scrollWidth <= window.innerWidth")
    assert pixels(visitor.download("picture-retouched.png")).shape == (120, 160, 3)


def test_ten_kilobytes_of_markup_are_text(visitor: Visitor) -> None:
    visitor.js(
        """
        const canvas = new OffscreenCanvas(60, 40);
        canvas.getContext("2d").fillRect(0, 0, 60, 40);
        return canvas.convertToBlob().then((blob) => {
            const given = new DataTransfer();
            given.items.add(new File([blob], "<b>\u202e🦔".repeat(1250) + ".png", { type: "image/png" }));
            const input = document.querySelector("input[type=file]");
            input.files = given.files;
            input.dispatchEvent(new Event("change", { bubbles: true }));
        });
        """
    )
    visitor.until(lambda: "60 × 40" in visitor.js("return document.getElementById('picture-name').textContent"))
    visitor.paint()
    visitor.js(
        """
        const field = document.querySelector("#prompt");
        field.value = "<b>\u202e🦔".repeat(1250);
        field.dispatchEvent(new Event("input", { bubbles: true }));
        """
    )
    visitor.press("Repaint")
    visitor.until(lambda: "prompt" in visitor.told.lower(), "it is too long for the server, which is told")
    assert visitor.js("return document.querySelectorAll('b').length") == 0
    assert visitor.js("return document.documentElement.scrollWidth <= window.innerWidth")
    visitor.forgive()
