"""Azure ML's contract, by requests written as the card and its notebooks write them."""

import base64
import io
import json
import random
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.safety.red import RED, RedChecker
from tests.serve.dialects.broken_tables import broken
from tests.serve.dialects.tables import IMAGE, MASK, Reply, ask, notebook_text, quick, row, split
from tests.serve.pictures import assert_only_the_hole_changed, hole, photo, pixels_of, png, text
from tests.serve.serving import Served, served, until

from retouch.inpainter import Inpainter
from retouch.request import InpaintRequest
from retouch.serve.dialects.azure_container import UNEXPECTED

CARD = """
{
   "input_data": {
        "columns": ["prompt", "image", "mask"],
        "data": [
            {
                "prompt": "Face of a yellow cat, high resolution, sitting on a park bench",
                "image": "image1",
                "mask_image": "mask1"
            },
            {
                "prompt": "Face of a green cat, high resolution, sitting on a park bench",
                "image": "image2",
                "mask_image": "mask2"
            }
        ],
        "index": [0, 1]
    }
}
"""
"""The model card's sample, letter by letter."""


class Red(RedChecker):
    """Flags what is half red; noise is a sixth."""

    threshold = 0.4


@pytest.fixture(scope="module")
def honest(checkpoint: Path) -> Iterator[Served]:
    """A server that judges pictures, and whose calls have a fixed number of rows: a seed is one picture."""
    with served(checkpoint, checkers=[Red()], rows_per_call=2, allow_safety_off=True) as running:
        yield running


@pytest.fixture(scope="module")
def container(checkpoint: Path) -> Iterator[Served]:
    with served(checkpoint, checkers=[Red()], error_profile="azure") as running:
        yield running


@pytest.fixture(params=["honest", "azure"])
def either(request: pytest.FixtureRequest) -> Served:
    running: Served = request.getfixturevalue("honest" if request.param == "honest" else "container")
    return running


def score(running: Served, document: Any, **options: Any) -> Reply:
    return ask(f"{running.url}/score", document, **options)


def entries(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.body
    return list(reply.json)


# What works


def test_the_card_s_request_is_answered_as_the_card_says(either: Served) -> None:
    body = CARD
    for number in (1, 2):
        body = body.replace(f'"image{number}"', json.dumps(text(png(photo(seed=number)))))
        body = body.replace(f'"mask{number}"', json.dumps(text(png(MASK))))
    reply = score(either, body.encode())
    assert reply.headers["Content-Type"] == "application/json"
    answer = entries(reply)
    assert [[*entry] for entry in answer] == [["prompt", "generated_image", "nsfw_content_detected"]] * 2
    assert [entry["prompt"].split()[3] for entry in answer] == ["yellow", "green"]
    assert [entry["nsfw_content_detected"] for entry in answer] == [False, False]
    for number, entry in enumerate(answer, 1):
        assert_only_the_hole_changed(entry["generated_image"], photo(seed=number), MASK)


def test_the_notebook_s_first_request_with_its_own_client(either: Served, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(png(IMAGE))
    (tmp_path / "mask.png").write_bytes(png(MASK))

    def read_image(path: Path) -> bytes:
        return path.read_bytes()

    request_json = {
        "input_data": {
            "columns": ["image", "mask_image", "prompt"],
            "index": [0],
            "data": [
                {
                    "image": base64.encodebytes(read_image(tmp_path / "image.png")).decode("utf-8"),
                    "mask_image": base64.encodebytes(read_image(tmp_path / "mask.png")).decode("utf-8"),
                    "prompt": "A yellow cat, high resolution, sitting on a park bench",
                }
            ],
        }
    }
    headers = {
        "Content-Type": "application/json",
        "Authorization": "Bearer key",
        "azureml-model-deployment": "inpainting-deploy",
    }
    request = urllib.request.Request(f"{either.url}/score", str.encode(json.dumps(request_json)), headers)
    with urllib.request.urlopen(request) as response:
        generations = json.loads(response.read())
    for generation in generations:
        assert generation["nsfw_content_detected"] is False
        assert "\n" not in generation["generated_image"]
        image = Image.open(io.BytesIO(base64.b64decode(generation["generated_image"])))
        assert image.format == "PNG"
        assert image.size == (40, 32)
    assert_only_the_hole_changed(generations[0]["generated_image"], IMAGE, MASK)


def test_the_notebook_s_second_request(either: Served) -> None:
    document = {
        "input_data": {
            "columns": ["image", "mask_image", "prompt", "negative_prompt"],
            "data": [row(negative_prompt="blurry; cartoonish")],
            "parameters": {"num_inference_steps": 50, "guidance_scale": 7.5},
        }
    }
    [entry] = entries(score(either, document))
    assert_only_the_hole_changed(entry["generated_image"], IMAGE, MASK)


def test_rows_may_be_lists_without_an_index(either: Served) -> None:
    columns = ["image", "mask_image", "prompt"]
    table = {"columns": columns, "data": [[row()[name] for name in columns]]}
    [entry] = entries(score(either, {"input_data": table, "params": {"num_inference_steps": 1}}))
    assert_only_the_hole_changed(entry["generated_image"], IMAGE, MASK)


def test_a_list_of_rows_is_a_table_too(honest: Served) -> None:
    assert (
        len(entries(score(honest, {"input_data": [row(), row()], "parameters": {"num_inference_steps": 1}}))) == 2
    )


@pytest.mark.parametrize("prefix", ["data:image/png;base64,", "data:application/octet-stream;base64,"])
def test_a_data_prefix_is_no_part_of_the_picture(honest: Served, prefix: str) -> None:
    [entry] = entries(score(honest, quick(row(image=prefix + text(png(IMAGE))))))
    assert_only_the_hole_changed(entry["generated_image"], IMAGE, MASK)


def test_white_is_repainted_and_black_is_kept(honest: Served) -> None:
    inverted = np.where(MASK, 0, 255).astype(np.uint8)
    [entry] = entries(score(honest, quick(row(mask_image=text(png(inverted))))))
    assert_only_the_hole_changed(entry["generated_image"], IMAGE, ~MASK)


def test_rows_come_back_in_their_order_each_with_its_own_picture_and_seed(honest: Served) -> None:
    seeds = [11, 5, 8, 2]
    rows = [{**row(seed, prompt=f"hat {seed}"), "seed": str(seed)} for seed in seeds]
    reply = score(honest, quick(*rows))
    answer = entries(reply)
    assert [entry["prompt"] for entry in answer] == [f"hat {seed}" for seed in seeds]
    assert reply.headers["X-Retouch-Seeds"] == "11,5,8,2"
    for seed, entry in zip(seeds, answer):
        assert_only_the_hole_changed(entry["generated_image"], photo(seed=seed), MASK)
        [alone] = entries(score(honest, quick(row(seed, prompt=f"hat {seed}"), seed=seed)))
        assert alone == entry


def test_a_seed_gives_the_picture_that_python_gives(honest: Served, checkpoint: Path) -> None:
    parameters = {"seed": 7, "guidance_scale": 3.0, "strength": 0.8, "num_inference_steps": 3}
    document = quick(row(negative_prompt="blue"), **parameters)
    answers = [score(honest, document).body for _ in range(2)]
    assert answers[0] == answers[1]
    request = InpaintRequest(prompt="a red hat", image=png(IMAGE), mask_image=png(MASK), negative_prompt="blue")
    with Inpainter.load(checkpoint) as inpainter:
        fill = inpainter.run(request.with_fields(safety="off", **parameters)).fills[0]
    [entry] = json.loads(answers[0])
    assert np.array_equal(pixels_of(entry["generated_image"]), fill.picture.pixels)


def test_without_a_seed_each_row_draws_its_own(honest: Served) -> None:
    reply = score(honest, quick(row(), row()))
    first, second = entries(reply)
    assert first["generated_image"] != second["generated_image"]
    assert len(set(reply.headers["X-Retouch-Seeds"].split(","))) == 2


def test_several_pictures_a_row_stand_together(honest: Served) -> None:
    reply = score(honest, quick(row(1), row(2), num_images_per_prompt=2, seed=7))
    answer = entries(reply)
    assert reply.headers["X-Retouch-Seeds"] == "7,8,7,8"
    for entry, number in zip(answer, (1, 1, 2, 2), strict=True):
        assert_only_the_hole_changed(entry["generated_image"], photo(seed=number), MASK)
    assert answer[0]["generated_image"] != answer[1]["generated_image"]


def test_rows_share_the_model_s_calls(tiny: Served) -> None:
    def calls() -> int:
        return sum(tiny.service.fleet.inpainters[0].stats().calls.values())

    begun = calls()
    entries(score(tiny, quick(row(), num_inference_steps=20)))
    alone = calls() - begun
    entries(score(tiny, quick(*(row(seed) for seed in range(4)), num_inference_steps=20)))
    assert calls() - begun - alone < 3 * alone


# Safety


def unsafe(seed: int = 0) -> dict[str, Any]:
    pixels = photo(80, 64, seed=seed)
    pixels[32:, :] = RED
    return row(image=text(png(pixels)), mask_image=text(png(hole(80, 64))))


def test_a_refused_picture_is_black_and_the_others_are_not(honest: Served) -> None:
    answer = entries(score(honest, quick(row(1), unsafe(), row(2))))
    assert [entry["nsfw_content_detected"] for entry in answer] == [False, True, False]
    assert not pixels_of(answer[1]["generated_image"]).any()
    assert pixels_of(answer[1]["generated_image"]).shape == (64, 80, 3)
    assert_only_the_hole_changed(answer[2]["generated_image"], photo(seed=2), MASK)


def test_the_flag_is_null_where_nothing_was_checked(honest: Served) -> None:
    [entry] = entries(score(honest, quick(unsafe(), safety="off")))
    assert entry["nsfw_content_detected"] is None
    assert pixels_of(entry["generated_image"]).any()


def test_the_check_cannot_be_switched_off_where_the_deployer_has_not_allowed_it(checkpoint: Path) -> None:
    with served(checkpoint, checkers=[Red()], safety="error") as running:
        refused = score(running, quick(row(), safety="off"))
        assert (refused.status, refused.json["error"]["field"]) == (422, "safety")
        blocked = score(running, quick(unsafe()))  # the deployer's policy holds for who names none
        assert (blocked.status, blocked.json["error"]["code"]) == (422, "blocked")


def test_a_refused_prompt_is_a_row_without_a_picture(honest: Served, container: Served) -> None:
    bad = row(prompt="child porn")
    first, second = entries(score(honest, quick(bad, row())))
    assert first["error"]["code"] == "blocked"
    assert second["generated_image"]
    assert score(honest, quick(bad)).status == 422
    assert (score(container, quick(bad, row())).status, score(container, quick(bad)).json) == (200, {})


# Rows are independent

BAD_ROWS = {
    "no base64": row(image="no base64!"),
    "no picture": row(image=text(b"no picture")),
    "a path": row(image="/etc/passwd"),
    "a file address": row(image="file:///etc/passwd"),
    "no mask": row(mask_image=None),
    "an empty mask": row(mask_image=text(png(np.zeros_like(MASK)))),
    "a mask of another size": row(mask_image=text(png(hole(64, 64)))),
    "no prompt": row(prompt=None),
    "a number for a prompt": row(prompt=7),
    "a bare cell": "P",
}


@pytest.mark.parametrize("name", BAD_ROWS)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_bad_row_fails_alone_in_its_place(honest: Served, name: str, at: int) -> None:
    rows: list[Any] = [row(1), row(2)]
    rows.insert(at, BAD_ROWS[name])
    document = {"input_data": {"columns": [*row()], "data": rows}, "params": {"num_inference_steps": 1, "seed": 7}}
    reply = score(honest, document)
    answer = entries(reply)
    bad = answer.pop(at)
    assert [*bad] == ["prompt", "generated_image", "nsfw_content_detected", "error"]
    assert (bad["generated_image"], bad["nsfw_content_detected"]) == (None, None)
    assert bad["error"]["row"] == at
    assert bad["error"]["code"] != "internal"
    assert bad["error"]["message"]
    assert reply.headers["X-Retouch-Seeds"].split(",")[at] == "-"
    for number, entry in enumerate(answer, 1):
        assert_only_the_hole_changed(entry["generated_image"], photo(seed=number), MASK)


@pytest.mark.parametrize("name", BAD_ROWS)
def test_an_only_row_that_is_bad_is_the_answer_s_status(honest: Served, name: str) -> None:
    reply = score(honest, {"input_data": {"columns": [*row()], "data": [BAD_ROWS[name]]}})
    assert 400 <= reply.status < 500
    assert reply.json["message"] == reply.json["error"]["message"]


def test_where_every_row_is_bad_the_error_names_the_worst(honest: Served) -> None:
    reply = score(honest, quick(row(image="?"), row(mask_image="x")))
    assert reply.status == 422
    assert reply.json["message"].startswith("row 0: image")


def test_a_bad_row_keeps_the_place_of_each_of_its_pictures(honest: Served) -> None:
    answer = entries(score(honest, quick(row(image="?"), row(2), num_images_per_prompt=2)))
    assert ["error" in entry for entry in answer] == [True, True, False, False]


# What is refused, honestly


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (quick(row(), num_inference_steps=999), "num_inference_steps"),
        (quick(row(), num_images_per_prompt=99), "num_images_per_prompt"),
        (quick(row(), height=512), "height"),
        (quick(row(), width=512), "width"),
        (quick(row(), steps=5), "steps"),
        (quick(row(), eta=0.5), "eta"),
        (quick(*[row()] * 9), "input_data.data"),
        ({"input_data": {}}, "input_data.data"),
        ({"input_data": "table"}, "input_data"),
        ({"input_data": split(row()), "globals": {}}, "globals"),
        ({"input_data": split(row(), records=[])}, "records"),
        ({"input_data": split(row(), parameters={"seed": 1}), "params": {"seed": 2}}, "seed"),
        ({"input_data": split(row()), "params": [7]}, "params"),
    ],
)
def test_what_cannot_be_done_is_refused_and_named(honest: Served, document: Any, field: str) -> None:
    reply = score(honest, document)
    assert (reply.status, reply.json["error"]["field"]) == (422, field)


def test_the_picture_s_own_size_may_be_asked_for(honest: Served) -> None:
    [entry] = entries(score(honest, quick(row(), width=40, height=32)))
    assert pixels_of(entry["generated_image"]).shape == (32, 40, 3)


def test_more_pictures_than_are_ever_made_at_a_time_are_not_told_to_come_again(checkpoint: Path) -> None:
    with served(checkpoint, checkers=[Red()], api_keys="someone:0123456789abcdef", per_key_rows=4) as running:
        key = {"Authorization": "Bearer 0123456789abcdef"}
        assert score(running, quick()).status == 401
        assert len(entries(score(running, quick(*[row()] * 4), headers=key))) == 4
        for document in (quick(*[row()] * 5), quick(row(), row(), num_images_per_prompt=4)):
            until(lambda: running.service.admission.rows == 0)
            refused = score(running, document, headers=key)
            assert (refused.status, refused.json["error"]["field"]) == (422, "num_images_per_prompt")


def test_a_full_queue_refuses_a_table_whole(checkpoint: Path) -> None:
    with served(checkpoint, checkers=[Red()], max_queued_rows=4) as running:
        with running.service.admission.enter(None):
            refused = score(running, quick(*[row()] * 4))
            assert (refused.status, refused.json["error"]["code"]) == (429, "queue_full")
            assert int(refused.headers["Retry-After"]) >= 1
        until(lambda: running.service.admission.rows == 0)
        assert len(entries(score(running, quick(*[row()] * 4)))) == 4


# Each request, what is honest, and what Azure's container answers

NO_INPUT = {"message": "A value is not provided for the 'input_data' parameter."}
EMPTY = {"message": "POST body is empty. Expecting a JSON dictionary."}
NO_DICTIONARY = {"message": "POST body should be a JSON dictionary."}
NO_JSON_TYPE = {"message": "Expects Content-Type to be application/json"}
NO_METHOD = {"message": "The method is not allowed for the requested URL."}
FAILED = {"message": UNEXPECTED}


@pytest.mark.parametrize(
    ("document", "options", "honest_status", "status", "body"),
    [
        ({"foo": 1}, {}, 400, 400, NO_INPUT),
        (b"", {}, 400, 400, EMPTY),
        ([1], {}, 400, 400, NO_DICTIONARY),
        (quick(), {"content_type": "text/plain"}, 415, 415, NO_JSON_TYPE),
        (None, {"method": "GET"}, 405, 400, NO_INPUT),
        (b"{}", {"method": "PUT"}, 405, 405, NO_METHOD),
        ({"input_data": {"columns": [*row()], "index": [], "data": []}}, {}, 422, 500, FAILED),
        (quick(row(image="no base64!")), {}, 422, 500, FAILED),
        (quick(row(mask_image=None)), {}, 422, 500, FAILED),
        (quick(row(image="https://a.b/c.png")), {}, 422, 500, FAILED),
        ({"input_data": split(row(), extra=1)}, {}, 422, 500, FAILED),
        (quick(row(), row(mask_image="x")), {}, 200, 500, FAILED),
    ],
)
def test_what_is_wrong_in_both_profiles(
    honest: Served, container: Served, document: Any, options: Any, honest_status: int, status: int, body: Any
) -> None:
    assert score(honest, document, **options).status == honest_status
    reply = score(container, document, **options)
    assert (reply.status, reply.json) == (status, body)
    assert (reply.headers["x-ms-run-function-failed"] == "True") == (body is FAILED)


def test_what_is_no_json_is_named_in_both_profiles(either: Served) -> None:
    reply = score(either, b"{")
    assert reply.status == 400
    assert reply.json["message"].startswith("POST body could not be decoded as JSON: ")


def test_params_beside_and_parameters_inside_work_in_both_profiles(either: Served) -> None:
    beside = {"input_data": split(row()), "params": {"num_inference_steps": 1, "seed": 7}}
    inside = quick(row(), seed=7)
    assert entries(score(either, beside)) == entries(score(either, inside))


def test_a_column_that_means_nothing_is_dropped_in_both_profiles(either: Served) -> None:
    assert "error" not in entries(score(either, quick(row(file_name="a.png"))))[0]


def test_options_are_answered_without_a_body(either: Served) -> None:
    reply = ask(f"{either.url}/score", method="OPTIONS")
    assert (reply.status, reply.body) == (200, b"")


def test_a_deadline_is_a_timeout_in_both_profiles(checkpoint: Path) -> None:
    for profile, status, word in (("honest", 504, "deadline"), ("azure", 500, "Scoring timeout after 1 ms")):
        with served(checkpoint, checkers=[Red()], error_profile=profile, deadline_s=0.001) as running:
            reply = score(running, quick())
            assert (reply.status, word in reply.json["message"]) == (status, True)


# Addresses, and what the contract's documents say


def test_an_address_is_fetched_only_from_hosts_that_the_deployer_lists(checkpoint: Path, honest: Served) -> None:
    document = quick(row(image="https://pictures.example.org/a.png"))
    assert "none is fetched" in score(honest, document).json["message"]
    with served(checkpoint, checkers=[Red()], picture_hosts=("other.example.org",)) as running:
        assert score(running, document).json["error"]["code"] == "url_refused"
        local = quick(row(mask_image="http://127.0.0.1:8000/a.png"))
        assert score(running, local).json["error"]["code"] == "url_refused"


@pytest.mark.parametrize(
    ("version", "key"),
    [("", "swagger"), ("?version=2", "swagger"), ("?version=3", "openapi"), ("?version=3.1", "openapi")],
)
def test_swagger_has_an_example_that_works(honest: Served, version: str, key: str) -> None:
    document = ask(f"{honest.url}/swagger.json{version}").json
    assert document[key] == {"?version=3": "3.0.3", "?version=3.1": "3.1.0"}.get(version, "2.0")
    schemas = document.get("definitions") or document["components"]["schemas"]
    assert {*schemas} == {"ServiceInput", "ServiceOutput", "ErrorResponse"}
    assert len(entries(score(honest, schemas["ServiceInput"]["example"]))) == 1


def test_an_unknown_version_of_swagger_is_refused_in_azure_s_words(honest: Served) -> None:
    reply = ask(f"{honest.url}/swagger.json?version=9")
    wanted = "Swagger version [9] is not valid. Supported versions: [2, 3, 3.1]."
    assert (reply.status, reply.json) == (404, {"message": wanted})


def test_openapi_has_an_example_that_works(honest: Served) -> None:
    paths = ask(f"{honest.url}/openapi.json").json["paths"]
    for path in ("/score", "/invocations"):
        schema = paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert ask(f"{honest.url}{path}", schema["example"]).status == 200


# Hostile bodies


@pytest.fixture(scope="module")
def brief(checkpoint: Path) -> Iterator[Served]:
    """A server whose pictures take no time, whatever is asked."""
    with served(checkpoint, checkers=[Red()], num_inference_steps=2) as running:
        yield running


def test_no_table_makes_the_server_fail(brief: Served) -> None:
    draw = random.Random(5)
    seen = {score(brief, broken(quick(row(), row(1)), draw)).status for _ in range(250)}
    assert max(seen) < 500
    assert {200, 400, 422} <= seen
    until(lambda: brief.service.admission.rows == 0)  # given back just after the last answer


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_table_of_thousands_makes_the_server_fail(brief: Served) -> None:
    draw = random.Random(6)
    for _ in range(4_000):
        reply = score(brief, broken(quick(row(), row(1), seed=7), draw))
        assert reply.status < 500, reply.body


@pytest.mark.slow
def test_the_embedded_model_answers_the_notebook_s_request() -> None:
    sample, mask = (Path("examples") / name for name in ("sample.png", "sample-mask.png"))
    cells = {"image": notebook_text(sample.read_bytes()), "mask_image": notebook_text(mask.read_bytes())}
    with served() as running:
        [entry] = entries(score(running, {"input_data": split({**cells, "prompt": "a red apple"}, index=[0])}))
    repainted = np.asarray(Image.open(mask).convert("L")) >= 128
    assert_only_the_hole_changed(
        entry["generated_image"], np.asarray(Image.open(sample).convert("RGB")), repainted
    )
