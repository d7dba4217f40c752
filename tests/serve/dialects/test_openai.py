"""OpenAI's contract, as its own package sees it."""

import asyncio
import random
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from tests.serve.pictures import assert_only_the_hole_changed, hole, photo, pixels_of, png
from tests.serve.serving import Served, served

IMAGE, MASK = photo(), hole()
CLEAR = png(np.zeros_like(IMAGE), alpha=~MASK)
"""A mask as OpenAI has it: transparent where the picture is to be repainted."""


@pytest.fixture(scope="module")
def client(tiny: Served) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{tiny.url}/v1", api_key="unused", max_retries=0)


def edit(client: openai.OpenAI, **fields: Any) -> Any:
    own = {"num_inference_steps": 2, "seed": 7} | fields.pop("extra_body", {})
    asked = {"image": ("a.png", png(IMAGE)), "mask": ("m.png", CLEAR), "prompt": "a cat"} | fields
    return client.images.edit(**asked, extra_body=own)


def test_what_is_transparent_in_the_mask_is_repainted_and_nothing_else(client: openai.OpenAI) -> None:
    answer = edit(client)
    assert_only_the_hole_changed(answer.data[0].b64_json, IMAGE, MASK)
    assert answer.size == "40x32"
    assert answer.output_format == "png"


def test_a_transparent_place_in_the_picture_itself_is_the_mask(client: openai.OpenAI) -> None:
    answer = edit(client, image=("a.png", png(IMAGE, alpha=~MASK)), mask=openai.omit)
    assert_only_the_hole_changed(answer.data[0].b64_json, IMAGE, MASK)


def test_a_list_of_one_picture_is_that_picture(client: openai.OpenAI) -> None:
    answer = edit(client, image=[("a.png", png(IMAGE))])
    assert_only_the_hole_changed(answer.data[0].b64_json, IMAGE, MASK)


def test_n_variants_come_with_consecutive_seeds(client: openai.OpenAI) -> None:
    answer = edit(client, n=2)
    assert [item.seed for item in answer.data] == [7, 8]
    assert answer.data[0].b64_json != answer.data[1].b64_json


def test_a_seed_gives_the_same_picture_again(client: openai.OpenAI) -> None:
    assert edit(client).data[0].b64_json == edit(client).data[0].b64_json


@pytest.mark.parametrize("name", ["jpeg", "webp", "png"])
def test_output_formats(client: openai.OpenAI, name: str) -> None:
    answer = edit(client, output_format=name)
    assert answer.output_format == name
    assert pixels_of(answer.data[0].b64_json).shape == IMAGE.shape


def test_a_url_is_the_picture_itself(client: openai.OpenAI) -> None:
    url = edit(client, response_format="url").data[0].url
    assert url.startswith("data:image/png;base64,")
    assert_only_the_hole_changed(url.partition(",")[2], IMAGE, MASK)


def test_the_async_client_works_too(tiny: Served) -> None:
    async def ask() -> Any:
        async with openai.AsyncOpenAI(base_url=f"{tiny.url}/v1", api_key="unused") as client:
            return await client.images.edit(
                image=("a.png", png(IMAGE)),
                mask=("m.png", CLEAR),
                prompt="a cat",
                model="gpt-image-1.5",
                extra_body={"num_inference_steps": 1},
            )

    assert_only_the_hole_changed(asyncio.run(ask()).data[0].b64_json, IMAGE, MASK)


def test_a_stream_ends_with_the_picture_that_is_sent_without_one(client: openai.OpenAI) -> None:
    events = list(edit(client, stream=True))
    assert [event.type for event in events] == ["image_edit.completed"]
    assert events[0].b64_json == edit(client).data[0].b64_json
    assert events[0].usage.total_tokens == 0


def test_an_error_in_a_stream_is_an_event(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError, match="mask"):
        list(edit(client, stream=True, mask=("m.png", png(IMAGE[:8], alpha=~MASK[:8]))))


def test_models_name_what_is_loaded(client: openai.OpenAI) -> None:
    [model] = client.models.list().data
    assert client.models.retrieve(model.id).id == model.id
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-nothing")
    with pytest.raises(openai.NotFoundError, match="no model 'someone/else'"):
        client.models.retrieve("someone/else")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"size": "1024x1024"}, "size"),
        ({"background": "transparent"}, "background"),
        ({"output_format": "svg"}, "output_format"),
        ({"n": 99}, "num_images"),
        ({"n": 0}, "num_images"),
        ({"prompt": "x" * 2001}, "prompt"),
        ({"image": [("a.png", png(IMAGE)), ("b.png", png(IMAGE))]}, "one picture"),
        ({"image": ("a.png", b"no picture")}, "picture"),
        ({"mask": ("m.png", png(IMAGE))}, "transparen"),
        ({"mask": ("m.png", png(IMAGE, alpha=~np.zeros_like(MASK)))}, "mask"),
        ({"extra_body": {"guidance_scale": "much"}}, "guidance_scale"),
        ({"extra_body": {"frames": 3}}, "frames"),
        ({"extra_body": {"prompt_syntax": "midjourney"}}, "prompt_syntax"),
        ({"extra_body": {"clip_skip": 90}}, "clip_skip"),
        ({"prompt": "a [cat:dog:0.5]", "extra_body": {"prompt_syntax": "a1111"}}, "prompt"),
    ],
)
def test_what_cannot_be_done_is_refused_and_named(
    client: openai.OpenAI, fields: dict[str, Any], word: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=word) as refused:
        edit(client, **fields)
    assert refused.value.type == "invalid_request_error"


def test_the_own_size_may_be_asked_for(client: openai.OpenAI) -> None:
    assert edit(client, size="40x32").size == "40x32"


def test_an_unknown_model_is_not_silently_another(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        edit(client, model="sd3-turbo")
    assert refused.value.code == "model_not_found"


def test_a_refused_prompt_is_a_moderation_error(tmp_path: Path, checkpoint: Path) -> None:
    with served(checkpoint, api_keys="someone:0123456789abcdef") as running:
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="0123456789abcdef", max_retries=0)
        with pytest.raises(openai.BadRequestError) as refused:
            edit(client, prompt="child porn")
        assert refused.value.code == "moderation_blocked"
        wrong = openai.OpenAI(base_url=f"{running.url}/v1", api_key="no", max_retries=0)
        with pytest.raises(openai.AuthenticationError) as stranger:
            edit(wrong)
        assert stranger.value.code == "invalid_api_key"


@pytest.mark.parametrize("cases", [150, pytest.param(3_000, marks=pytest.mark.slow)])
def test_no_form_makes_the_server_fail(tiny: Served, cases: int) -> None:
    draw = random.Random(5)
    whole = httpx.Request(
        "POST",
        f"{tiny.url}/v1/images/edits",
        data={"prompt": "x", "num_inference_steps": "1"},
        files={"image": ("a.png", png(IMAGE)), "mask": ("m.png", CLEAR)},
    )
    body = whole.read()
    with httpx.Client() as client:
        for _ in range(cases):
            broken = bytearray(body)
            for _ in range(draw.randint(1, 8)):
                broken[draw.randrange(len(broken))] = draw.randrange(256)
            cut = bytes(broken[: draw.randint(1, len(broken))]) if draw.random() < 0.3 else bytes(broken)
            headers = {"content-type": whole.headers["content-type"]}
            answer = client.post(whole.url, content=cut, headers=headers, timeout=30)
            assert answer.status_code < 500, answer.text
