"""What A1111's dialect says to what it cannot do, and that nothing makes it fail."""

import io
import json
import random
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tests.serve.dialects.asking_a1111 import IMAGE, MASK, body, post
from tests.serve.pictures import pixels_of, png, text
from tests.serve.serving import Served, served

from retouch.serve.dialects.a1111_fields import BY_NAME


@pytest.mark.parametrize(
    ("fields", "status", "error", "words"),
    [
        ({"mask": text(png(~MASK[:8]))}, 422, "MaskSizeError", "the mask is 40x8"),
        ({"mask": text(png(MASK & False))}, 422, "MaskEmpty", "the mask marks no pixel"),
        ({"init_images": [7]}, 422, "InvalidField", "init_images: must be a picture in base64"),
        ({"mask": "%%%"}, 422, "InvalidField", "mask: is not base64"),
        ({"init_images": ["https://example.com/a.png"]}, 422, "InvalidField", "init_images: is an address"),
        ({"init_images": ["/etc/passwd"]}, 415, "ImageFormatError", ""),
        ({"denoising_strength": 0, "inpainting_fill": 1}, 422, "InvalidField", "denoising_strength: is 0, which"),
        ({"steps": 151}, 422, "InvalidField", "steps: is 151, must be 1 to 150"),
        ({"cfg_scale": 31}, 422, "InvalidField", "cfg_scale: is 31"),
        ({"mask_blur": -1}, 422, "InvalidField", "mask_blur: is -1"),
        ({"inpaint_full_res_padding": -1}, 422, "InvalidField", "inpaint_full_res_padding: is -1"),
        ({"sampler_name": "Restart"}, 422, "InvalidField", "sampler_name: 'Restart' is not offered"),
        ({"seed": -2}, 422, "InvalidField", "seed: is -2"),
        ({"batch_size": 5}, 422, "InvalidField", "batch_size: times n_iter is 5, at most 4"),
        ({"prompt": "a [cat:dog:0.5]"}, 422, "InvalidField", "prompt: [from:to:0.5]"),
        ({"prompt": "<lora:cats:1>"}, 422, "InvalidField", "prompt: "),
        ({"prompt": "x" * 2001}, 422, "InvalidField", "prompt: has 2001 characters"),
        ({"script_name": "loopback"}, 422, "InvalidField", "script_name: there are no scripts here"),
        (
            {"override_settings": {"CLIP_stop_at_last_layers": 90}},
            422,
            "InvalidField",
            "override_settings.CLIP_stop",
        ),
    ],
)
def test_errors_have_a1111_s_form_its_names_and_an_honest_status(
    tiny: Served, fields: dict[str, Any], status: int, error: str, words: str
) -> None:
    answer = post(tiny, json=body(**fields))
    told = answer.json()
    assert (answer.status_code, told["error"]) == (status, error)
    assert told["detail"].startswith(words)
    assert set(told) == {"error", "detail", "body", "errors"}


def test_a_hint_is_given_in_the_names_of_a1111(tiny: Served) -> None:
    frame = np.ones_like(MASK)
    frame[8:20, 8:20] = False
    answer = post(tiny, json=body(mask=text(png(frame))))
    hints = [one for one in json.loads(answer.json()["info"])["warnings"] if "inverted" in one]
    assert len(hints) == 1
    assert "`inpainting_mask_invert`" in hints[0]


@pytest.mark.parametrize("sent", [b"", b"[]", b"{", b'{"mask": "a", "mask": "b"}', b'{"seed": NaN}', b"\xff"])
def test_what_is_no_object_of_json_is_malformed(tiny: Served, sent: bytes) -> None:
    answer = post(tiny, content=sent)
    assert (answer.status_code, answer.json()["error"]) == (400, "MalformedBody")


def test_what_is_not_here_is_told_in_the_same_form(tiny: Served) -> None:
    assert post(tiny, "txt2img", json={}).json()["error"] == "NotFound"
    assert httpx.get(f"{tiny.url}/sdapi/v1/img2img").json()["error"] == "MethodNotAllowed"


def test_the_openapi_document_tells_of_every_field(tiny: Served) -> None:
    document = httpx.get(f"{tiny.url}/openapi.json").json()
    content = document["paths"]["/sdapi/v1/img2img"]["post"]["requestBody"]["content"]["application/json"]
    assert {"init_images", "mask", "inpainting_fill", "alwayson_scripts"} <= set(content["schema"]["properties"])


STRANGE: tuple[Any, ...] = (
    None, True, 0, -1, 1, 3, 2**31, 10**30, 0.5, -0.0, 1e308, "", "7", "x", "\x00", "\u2028😀", "9" * 30, "None",
    [], [None], ["x"], [[]], {}, {"args": [1]}, {"a": {"b": 1}}, "data:image/png;base64,", "(" * 60, "BREAK " * 40,
)  # fmt: skip


@pytest.mark.parametrize("value", STRANGE, ids=repr)
def test_no_option_makes_the_server_fail(tiny: Served, value: Any) -> None:
    for options in ({"sd_model_checkpoint": value}, {"CLIP_stop_at_last_layers": value, "s_noise": value}, value):
        assert post(tiny, "options", json=options).status_code in (200, 400, 422)


def a_body(draw: random.Random) -> bytes:
    """Return a body that was good before some of its fields, or of its bytes, were replaced."""
    made = body(steps=1)
    names = [*BY_NAME, "strange"]
    for _ in range(draw.randint(0, 6)):
        made[draw.choice(names)] = draw.choice(STRANGE)
    data = bytearray(json.dumps(made).encode())
    if draw.random() < 0.3:
        for _ in range(draw.randint(1, 8)):
            data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data[: draw.randint(1, len(data))] if draw.random() < 0.1 else data)


def fuzz(running: Served, count: int, seed: int) -> None:
    draw = random.Random(seed)
    ends: dict[int, int] = {}
    with httpx.Client(timeout=60) as http:
        for number in range(count):
            sent = a_body(draw)
            answer = http.post(f"{running.url}/sdapi/v1/img2img", content=sent)
            ends[answer.status_code] = ends.get(answer.status_code, 0) + 1
            assert answer.status_code < 500, (number, answer.text, sent)
            if answer.status_code == 200:
                for picture in answer.json()["images"]:
                    assert np.array_equal(pixels_of(picture).shape, IMAGE.shape)
    assert ends[200] > count // 50, ends
    assert ends[422] > count // 5, ends


def told(parameters: str) -> str:
    """Return a picture with a text beside it, in base64."""
    note = PngInfo()
    note.add_itxt("parameters", parameters)
    note.add_itxt("retouch", '{"a": NaN, "b": "\\ud83d"}')
    file = io.BytesIO()
    Image.fromarray(IMAGE).save(file, "PNG", pnginfo=note)
    return text(file.getvalue())


@pytest.mark.parametrize(
    "parameters",
    ["", "x" * 9_000, 'A: "\\ud83d", B: 1, C: 2', "Size: 1x2, Size: 3x, A: \0, B: ', C: \"", "\n" * 99],
)
def test_png_info_takes_what_others_wrote(tiny: Served, parameters: str) -> None:
    answer = post(tiny, "png-info", json={"image": told(parameters)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["info"] == parameters


@pytest.mark.parametrize(
    "image", [None, 7, "", "x", "/etc/passwd", "https://example.com/a.png", text(b"GIF89a" * 9)]
)
def test_png_info_refuses_what_is_no_picture(tiny: Served, image: Any) -> None:
    assert post(tiny, "png-info", json={"image": image}).status_code in (415, 422)


def test_pictures_are_fetched_from_allowed_hosts_alone(checkpoint: Path) -> None:
    with served(checkpoint, safety="off", picture_hosts=("pictures.example.org",)) as running:
        answer = post(running, "img2img", json=body(init_images=["https://elsewhere.example.org/a.png"]))
        assert answer.status_code == 422
        assert answer.json()["error"] == "UrlRefused"


def test_no_body_makes_the_server_fail(tiny: Served) -> None:
    fuzz(tiny, 200, seed=3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thousands_of_bodies_do_not_make_the_server_fail(tiny: Served) -> None:
    fuzz(tiny, 4000, seed=4)
