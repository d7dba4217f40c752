"""Our own dialect: forms and JSON, jobs, events."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.serve.pictures import assert_only_the_hole_changed, hole, photo, pixels_of, png, text
from tests.serve.serving import Served, served, until

IMAGE, MASK = photo(), hole()
FILES = {"image": ("a.png", png(IMAGE)), "mask_image": ("m.png", png(MASK))}
FIELDS = {"prompt": "a cat", "num_inference_steps": "2", "seed": "7"}
JSON = {
    "prompt": "a cat",
    "num_inference_steps": 2,
    "seed": 7,
    "image": text(png(IMAGE)),
    "mask_image": text(png(MASK)),
}
LATER = {"prefer": "respond-async"}


@pytest.fixture(scope="module")
def client(tiny: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=tiny.url, timeout=60) as client:
        yield client


def events_of(client: httpx.Client, place: str, **query: Any) -> list[tuple[str, dict[str, Any]]]:
    found = []
    with client.stream("GET", f"{place}/events", params=query) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for block in "".join(answer.iter_text()).split("\n\n"):
            if block.startswith("event: "):
                name, data = block.split("\n")
                found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def later(client: httpx.Client, **fields: Any) -> httpx.Response:
    return client.post("/v1/inpaint", data=FIELDS | fields, files=FILES, headers=LATER)


def test_a_form_and_json_give_the_same_picture(client: httpx.Client) -> None:
    form = client.post("/v1/inpaint", data=FIELDS, files=FILES).json()
    body = client.post("/v1/inpaint", json=JSON).json()
    [one], [other] = form["result"]["images"], body["result"]["images"]
    assert one["b64_json"] == other["b64_json"]
    assert_only_the_hole_changed(one["b64_json"], IMAGE, MASK)
    assert one["kept_pixels_identical"] is True
    assert one["seed"] == 7
    assert form["result"]["mask_report"]["marked_pixels"] == MASK.sum()


def test_who_accepts_a_picture_gets_it(client: httpx.Client) -> None:
    answer = client.post("/v1/inpaint", data=FIELDS, files=FILES, headers={"accept": "image/png"})
    assert answer.headers["content-type"] == "image/png"
    assert_only_the_hole_changed(answer.content, IMAGE, MASK)


def test_a_job_is_taken_followed_and_fetched(client: httpx.Client) -> None:
    taken = later(client, num_inference_steps="100", num_images_per_prompt="2")
    assert taken.status_code == 202
    place = taken.headers["location"]
    events = events_of(client, place, previews="true")
    names = [name for name, _ in events]
    assert names[-1] == "done"
    assert "step" in names
    steps = [data["progress"]["step"] for name, data in events if name == "step"]
    assert steps == sorted(steps)
    view = client.get(place).json()
    assert view["state"] == "done"
    assert [image["seed"] for image in view["result"]["images"]] == [7, 8]
    for image in view["result"]["images"]:
        assert_only_the_hole_changed(client.get(image["url"]).content, IMAGE, MASK)
    assert np.array_equal(pixels_of(client.get(view["result"]["mask_url"]).content) > 0, MASK)
    assert events_of(client, place) == [("done", view)]
    assert view["id"] in [job["id"] for job in client.get("/v1/jobs").json()["jobs"]]


def test_a_running_job_is_cancelled(client: httpx.Client, tiny: Served) -> None:
    place = later(client, num_inference_steps="150").headers["location"]
    assert client.delete(place).json()["state"] == "cancelled"
    assert events_of(client, place)[-1][0] == "cancelled"
    assert client.delete(place).status_code == 409
    assert client.get(f"{place}/result/0").status_code == 404
    until(lambda: tiny.service.admission.rows == 0)


def test_the_same_key_is_the_same_job(client: httpx.Client) -> None:
    """However it is sent: a form has another boundary each time."""
    headers = LATER | {"idempotency-key": "once"}
    first, second = (
        client.post("/v1/inpaint", data=FIELDS, files=FILES, headers=headers).json()["id"] for _ in range(2)
    )
    assert first == second
    assert client.post("/v1/inpaint", json=JSON, headers=headers).json()["id"] == first
    assert client.post("/v1/inpaint", json=JSON | {"seed": 8}, headers=headers).status_code == 409
    kind = {"idempotency-key": "once", "accept": "image/png"}
    waited = client.post("/v1/inpaint", data=FIELDS, files=FILES, headers=kind)
    assert_only_the_hole_changed(waited.content, IMAGE, MASK)


def test_work_that_fails_is_told_at_once_and_later(client: httpx.Client) -> None:
    wrong = {"image": FILES["image"], "mask_image": ("m.png", png(MASK[:8]))}
    now = client.post("/v1/inpaint", data=FIELDS, files=wrong)
    assert (now.status_code, now.json()["error"]["code"]) == (422, "mask_size")
    taken = client.post("/v1/inpaint", data=FIELDS, files=wrong, headers=LATER)
    name, view = events_of(client, taken.headers["location"])[-1]
    assert (name, view["error"]["code"]) == ("failed", "mask_size")


def test_a_defect_ends_its_job_and_is_not_told(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise SystemError("a secret")

    with served(checkpoint, safety="off") as running, httpx.Client(base_url=running.url, timeout=60) as client:
        monkeypatch.setattr(running.service, "encode", broken)
        now = client.post("/v1/inpaint", json=JSON, headers={"accept": "application/json"})
        assert (now.status_code, now.json()["error"]["code"]) == (500, "internal")
        place = client.post("/v1/inpaint", json=JSON, headers=LATER).headers["location"]
        name, view = events_of(client, place)[-1]
        assert (name, view["error"]["code"]) == ("failed", "internal")
        assert "secret" not in client.get(place).text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"stpes": 3}, "stpes"),
        ({"image": 5}, "image"),
        ({"image": "file:///etc/passwd"}, "image"),
        ({"image": "http://127.0.0.1/x.png"}, "image"),
        ({"prompt": None}, "prompt"),
        ({"num_inference_steps": "two"}, "num_inference_steps"),
        ({"num_images_per_prompt": 99}, "num_images_per_prompt"),
        ({"format": "svg"}, "format"),
        ({"quality": 0}, "quality"),
        ({"strength": True}, "strength"),
        ({"deadline_s": -1}, "deadline_s"),
    ],
)
def test_a_wrong_field_is_named(client: httpx.Client, body: dict[str, Any], field: str) -> None:
    answer = client.post("/v1/inpaint", json=JSON | body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["field"] == field


def test_another_body_is_415(client: httpx.Client) -> None:
    assert client.post("/v1/inpaint", content=b"x", headers={"content-type": "text/plain"}).status_code == 415


def test_jobs_of_others_are_not_there(checkpoint: Path) -> None:
    with served(checkpoint, safety="off", api_keys="one:0123456789abcdef,two:fedcba9876543210") as running:
        mine, other = ({"x-api-key": key} for key in ("0123456789abcdef", "fedcba9876543210"))
        taken = httpx.post(f"{running.url}/v1/inpaint", json=JSON, headers=mine | LATER)
        place = running.url + taken.headers["location"]
        for path in ("", "/events", "/result/0", "/mask"):
            assert httpx.get(place + path, headers=other).status_code == 404
        assert httpx.delete(place, headers=other).status_code == 404
        assert httpx.get(f"{running.url}/v1/jobs", headers=other).json()["jobs"] == []
        assert httpx.get(place, headers=mine).status_code == 200
        assert httpx.get(place).status_code == 401


def test_a_job_outlives_the_server(checkpoint: Path, tmp_path: Path) -> None:
    with served(checkpoint, safety="off", jobs_folder=tmp_path) as running:
        done = httpx.post(f"{running.url}/v1/inpaint", json=JSON, timeout=60).json()["url"]
        cut = httpx.post(f"{running.url}/v1/inpaint", json=JSON | {"num_inference_steps": 150}, headers=LATER)
    with served(checkpoint, safety="off", jobs_folder=tmp_path) as running:
        assert httpx.get(running.url + done).json()["state"] == "done"
        assert_only_the_hole_changed(httpx.get(f"{running.url}{done}/result/0").content, IMAGE, MASK)
        assert httpx.get(running.url + cut.headers["location"]).json()["state"] == "interrupted"


def test_interrupted_jobs_are_begun_again_where_that_is_wanted(checkpoint: Path, tmp_path: Path) -> None:
    settings = {"safety": "off", "jobs_folder": tmp_path, "resume_jobs": True}
    with served(checkpoint, **settings) as running:
        slow = JSON | {"num_inference_steps": 150}
        place = httpx.post(f"{running.url}/v1/inpaint", json=slow, headers=LATER).headers["location"]
    with served(checkpoint, **settings) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        assert events_of(client, place)[-1][0] == "done"
        assert_only_the_hole_changed(client.get(f"{place}/result/0").content, IMAGE, MASK)


@pytest.mark.parametrize("cases", [150, pytest.param(3_000, marks=pytest.mark.slow)])
def test_no_json_makes_the_server_fail(client: httpx.Client, cases: int) -> None:
    draw = random.Random(3)
    body = json.dumps(JSON).encode()
    for _ in range(cases):
        broken = bytearray(body)
        for _ in range(draw.randint(1, 6)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        answer = client.post("/v1/inpaint", content=bytes(broken), headers={"content-type": "application/json"})
        assert answer.status_code < 500, answer.text
