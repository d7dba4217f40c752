"""A1111's dialect, as a client that others wrote sees it (`webuiapi`), and as bare HTTP does."""

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import webuiapi
from PIL import Image
from tests.serve.dialects.asking_a1111 import IMAGE, MASK, body, post
from tests.serve.pictures import assert_only_the_hole_changed, hole, photo, pixels_of, png, text
from tests.serve.serving import Served, served

from retouch.safety.checkers import ViewChecker
from retouch.serve.work import Work

KEYS = "ann:0123456789abcdefghij,bob:zyxwvutsrqponmlkjihg"
LONG: dict[str, Any] = {"steps": 150, "sampler_name": "Heun", "batch_size": 4, "inpaint_full_res": False}
"""Of a large picture: work that does not end before somebody looks."""


class Refusing(ViewChecker):
    """Refuses every picture."""

    name, version, threshold, near = "test", "1", 0.5, 0.2

    def scores(self, views: Sequence[Any]) -> list[float]:
        return [1.0] * len(views)


def client_of(running: Served, **login: str) -> webuiapi.WebUIApi:
    return webuiapi.WebUIApi(baseurl=f"{running.url}/sdapi/v1", steps=2, **login)


@pytest.fixture(scope="module")
def client(tiny: Served) -> webuiapi.WebUIApi:
    return client_of(tiny)


@pytest.fixture(scope="module")
def guarded(checkpoint: Path) -> Iterator[Served]:
    """A server with keys, and with a checker that refuses every picture."""
    with served(checkpoint, api_keys=KEYS, checkers=[Refusing()]) as running:
        yield running


def img2img(client: webuiapi.WebUIApi, **fields: Any) -> Any:
    asked = {"images": [Image.fromarray(IMAGE)], "mask_image": Image.fromarray(MASK), "prompt": "a cat", "seed": 7}
    return client.img2img(**asked | fields)


def in_background(client: webuiapi.WebUIApi, ends: list[Any]) -> threading.Thread:
    """Ask for work that takes long, and note how it ends; return when the server has begun it."""

    def ask() -> None:
        large = {"images": [Image.fromarray(photo(256, 256))], "mask_image": Image.fromarray(hole(256, 256))}
        try:
            ends.append(img2img(client, **large, **LONG))
        except RuntimeError as error:
            ends.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not ends and client.get_progress()["state"]["sampling_step"] < 1:
        pass
    return thread


def test_what_the_mask_marks_is_repainted_and_nothing_else(client: webuiapi.WebUIApi) -> None:
    answer = img2img(client)
    assert_only_the_hole_changed(answer.json["images"][0], IMAGE, MASK)
    assert answer.info["kept_pixels_identical"] is True
    assert (answer.info["seed"], answer.info["sampler_name"], answer.info["steps"]) == (7, "Euler a", 2)
    assert (answer.info["width"], answer.info["height"]) == answer.image.size == (40, 32)


@pytest.mark.parametrize("region", [{"inpaint_full_res": False}, {"inpaint_full_res_padding": 4}])
def test_kept_pixels_stay_in_every_region_and_under_every_fill(
    client: webuiapi.WebUIApi, region: dict[str, Any]
) -> None:
    for fill in range(4):
        answer = img2img(client, inpainting_fill=fill, mask_blur=3, **region)
        assert_only_the_hole_changed(answer.json["images"][0], IMAGE, MASK)


def test_an_inverted_mask_repaints_the_rest(client: webuiapi.WebUIApi) -> None:
    answer = img2img(client, inpainting_mask_invert=1)
    assert_only_the_hole_changed(answer.json["images"][0], IMAGE, ~MASK)


def test_strokes_on_a_clear_layer_are_repainted_in_black_too(client: webuiapi.WebUIApi) -> None:
    layer = Image.fromarray(np.dstack((np.zeros_like(IMAGE), MASK.astype(np.uint8) * 255)))
    assert_only_the_hole_changed(img2img(client, mask_image=layer).json["images"][0], IMAGE, MASK)


def test_the_picture_s_own_transparency_stays(tiny: Served) -> None:
    alpha = hole()[::-1]
    answer = post(tiny, json=body(init_images=[text(png(IMAGE, alpha=alpha))])).json()["images"][0]
    assert_only_the_hole_changed(answer, IMAGE, MASK)
    assert np.array_equal(pixels_of(answer)[..., 3] > 0, alpha)


def test_pictures_of_a_batch_have_the_seeds_that_give_them_alone(client: webuiapi.WebUIApi) -> None:
    answer = img2img(client, batch_size=2, n_iter=2, seed=7)
    assert answer.info["all_seeds"] == [7, 8, 9, 10]
    assert len(answer.images) == len(answer.info["infotexts"]) == len(answer.info["all_prompts"]) == 4
    alone = np.asarray(img2img(client, seed=9).image).astype(int)
    assert np.abs(np.asarray(answer.images[2]).astype(int) - alone).max() <= 1


def test_without_a_seed_the_one_that_was_drawn_is_told(client: webuiapi.WebUIApi) -> None:
    answer = img2img(client, seed=-1)
    again = img2img(client, seed=answer.info["seed"])
    assert answer.json["images"] == again.json["images"]


def test_the_picture_says_how_it_was_made_and_png_info_reads_it(client: webuiapi.WebUIApi) -> None:
    answer = img2img(client, prompt="a cat, (red:1.2)", negative_prompt="blur", sampler_name="DPM++ 2M")
    told = answer.image.info
    assert set(told) == {"parameters"}
    assert told["parameters"] == answer.info["infotexts"][0]
    read = client.png_info(answer.image)
    assert read.info == told["parameters"]
    settings = read.parameters
    assert (settings["Prompt"], settings["Negative prompt"]) == ("a cat, (red:1.2)", "blur")
    assert (settings["Seed"], settings["Sampler"], settings["Size-1"]) == ("7", "DPM++ 2M Karras", "32")


def test_a_picture_without_a_word_has_nothing_to_tell(client: webuiapi.WebUIApi) -> None:
    read = client.png_info(Image.fromarray(IMAGE))
    assert (read.info, read.json["items"]) == ("", {})


def test_weights_of_words_change_the_picture(client: webuiapi.WebUIApi) -> None:
    plain, heavy = (np.asarray(img2img(client, prompt=prompt).image) for prompt in ("a cat", "a (cat:1.5)"))
    assert not np.array_equal(plain, heavy)
    assert np.array_equal(np.asarray(img2img(client, prompt="a (cat:1.0)").image), plain)


def test_what_has_another_effect_is_told(client: webuiapi.WebUIApi) -> None:
    warnings = img2img(client, width=640, s_churn=0.5, alwayson_scripts={"ADetailer": {"args": [False]}}).info[
        "warnings"
    ]
    assert "mask_blur: blends inwards only, no kept pixel changes" in warnings
    assert "s_churn: the samplers here take no such setting" in warnings
    assert "width, height, resize_mode: the crop around the mask is worked on at 32x32" in warnings
    whole = img2img(client, inpaint_full_res=False, width=40, height=32, mask_blur=0).info["warnings"]
    assert not any("width" in one or "blur" in one for one in whole)


def test_images_and_echo_come_as_they_are_asked_for(client: webuiapi.WebUIApi) -> None:
    answer = img2img(client, send_images=False, include_init_images=True, steps=1)
    assert answer.images == []
    assert np.array_equal(
        pixels_of(answer.parameters["mask"].partition(",")[2]), np.asarray(Image.fromarray(MASK))
    )
    assert (answer.parameters["steps"], answer.parameters["denoising_strength"]) == (1, 0.75)
    assert img2img(client, steps=1).parameters["init_images"] is None


def test_the_lists_that_clients_ask_for_are_there(client: webuiapi.WebUIApi) -> None:
    assert {"Euler a", "DPM++ 2M", "DDIM"} <= set(client.util_get_sampler_names())
    assert {"automatic", "karras", "sgm_uniform"} <= set(client.util_get_scheduler_names())
    assert client.util_get_model_names() == [client.util_get_current_model()]
    assert client.get_cmd_flags()["api"] is True
    assert client.get_scripts() == {"txt2img": [], "img2img": []}
    assert client.get_embeddings() == {"loaded": {}, "skipped": {}}
    for ask in (
        client.get_sd_vae,
        client.get_upscalers,
        client.get_latent_upscale_modes,
        client.get_loras,
        client.get_hypernetworks,
        client.get_face_restorers,
        client.get_realesrgan_models,
        client.get_prompt_styles,
    ):
        assert ask() == []
    assert {client.has_controlnet, client.has_adetailer, client.has_animatediff} == {False}


def test_options_are_taken_where_they_change_nothing(client: webuiapi.WebUIApi, tiny: Served) -> None:
    client.util_set_model("tiny")
    client.set_options(client.get_options())
    refused = post(tiny, "options", json={"sd_model_checkpoint": "v1-5-inpainting.ckpt"})
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("sd_model_checkpoint: is 'tiny [")


def test_nothing_tells_where_the_files_of_the_checkpoint_lie(tiny: Served, checkpoint: Path) -> None:
    for path in ("sd-models", "options", "cmd-flags"):
        assert str(checkpoint.parent) not in httpx.get(f"{tiny.url}/sdapi/v1/{path}").text


def test_progress_is_told_while_it_is_made_and_an_interrupt_ends_it(client: webuiapi.WebUIApi) -> None:
    ends: list[Any] = []
    thread = in_background(client, ends)
    told = client.get_progress()
    assert 0 < told["progress"] <= 1
    assert told["eta_relative"] > 0
    assert (told["state"]["job"], told["state"]["job_count"]) == ("scripts_img2img", 1)
    assert client.interrupt() == {}
    thread.join(30)
    assert isinstance(ends[0], RuntimeError)
    status, answer = ends[0].args
    assert (status, json.loads(answer)["detail"]) == (499, "the work was interrupted")
    assert client.get_progress()["state"]["job_count"] == 0


def test_a_preview_is_shown_where_there_is_one_that_may_be(
    tiny: Served, client: webuiapi.WebUIApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def preview(work: Work) -> bytes:
        return b"rough" if work.progress else b""

    async def nothing(_: Work) -> None:
        return None

    ends: list[Any] = []
    monkeypatch.setattr(tiny.service, "preview", nothing)
    thread = in_background(client, ends)
    assert client.get_progress()["current_image"] is None
    monkeypatch.setattr(tiny.service, "preview", preview)
    assert client.get_progress()["current_image"] == "cm91Z2g="
    asked = httpx.get(f"{tiny.url}/sdapi/v1/progress", params={"skip_current_image": True})
    assert asked.json()["current_image"] is None
    client.interrupt()
    thread.join(30)


@pytest.mark.timeout(60)
def test_who_goes_away_leaves_nothing_under_way(tiny: Served, client: webuiapi.WebUIApi) -> None:
    large = body(init_images=[text(png(photo(256, 256)))], mask=text(png(hole(256, 256))), **LONG)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{tiny.url}/sdapi/v1/img2img", json=large, timeout=httpx.Timeout(60, read=0.5))
    while client.get_progress()["state"]["job_count"]:
        pass


def test_a_password_is_a_key_and_a_key_ends_no_other_key_s_work(guarded: Served) -> None:
    ann, bob = (client_of(guarded, username="me", password=key.partition(":")[2]) for key in KEYS.split(","))
    ends: list[Any] = []
    thread = in_background(ann, ends)
    assert bob.get_progress()["progress"] == 0
    bob.interrupt()
    assert ann.get_progress()["progress"] > 0
    ann.interrupt()
    thread.join(30)
    assert ends[0].args[0] == 499
    with pytest.raises(RuntimeError) as stranger:
        img2img(client_of(guarded, username="me", password="0123456789abcdef"))
    status, answer = stranger.value.args
    assert (status, json.loads(answer)["error"]) == (401, "Unauthorized")


def test_a_refused_picture_is_black_and_said_to_be(guarded: Served) -> None:
    client = client_of(guarded, username="me", password="0123456789abcdefghij")
    answer = img2img(client)
    assert not np.asarray(answer.image).any()
    assert answer.info["nsfw_content_detected"] == [True]
    assert answer.info["kept_pixels_identical"] is None
    assert "picture 1 was refused by the safety check, and replaced" in answer.info["warnings"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_embedded_model_answers_webuiapi() -> None:
    image, mask = photo(256, 256, seed=2), hole(256, 256)
    with served() as running:
        answer = img2img(
            client_of(running),
            images=[Image.fromarray(image)],
            mask_image=Image.fromarray(mask),
            prompt="a red apple",
            steps=8,
            cfg_scale=2,
            inpaint_full_res_padding=32,
        )
    assert_only_the_hole_changed(answer.json["images"][0], image, mask)
    assert answer.info["sd_model_name"] == "pocket"
