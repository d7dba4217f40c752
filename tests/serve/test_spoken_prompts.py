"""Our own dialect, OpenAI's and A1111's tell what the model was asked, where a seed has added a word."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from tests.serve.dialects.asking_a1111 import body, post
from tests.serve.dialects.test_native import JSON
from tests.serve.dialects.test_openai import edit
from tests.serve.serving import Served, served

SAID = ["a cat", "a cat, drawing"]
"""Of the seeds 8 and 9."""


@pytest.fixture(scope="module")
def varied(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = shutil.copytree(checkpoint, tmp_path_factory.mktemp("varied") / "checkpoint")
    (folder / "retouch.json").write_text(json.dumps({"recommended": {"variants": ["", "drawing"]}}))
    with served(folder) as running:
        yield running


def test_ours_tells_it_of_each_picture(varied: Served) -> None:
    asked = JSON | {"seed": 8, "num_images_per_prompt": 2}
    answer = httpx.post(f"{varied.url}/v1/inpaint", json=asked, timeout=60).json()
    assert [image["spoken_prompt"] for image in answer["result"]["images"]] == SAID
    assert answer["request"]["prompt"] == "a cat"


def test_openais_tells_it_where_it_is_more_than_the_prompt(varied: Served) -> None:
    client = openai.OpenAI(base_url=f"{varied.url}/v1", api_key="unused", max_retries=0)
    answer = edit(client, n=2, extra_body={"seed": 8})
    assert [image.revised_prompt for image in answer.data] == [None, SAID[1]]


def test_a1111s_tells_it_in_the_list_of_prompts(varied: Served) -> None:
    asked = body(seed=8, batch_size=2, denoising_strength=1.0)
    info = json.loads(post(varied, json=asked).json()["info"])
    assert (info["prompt"], info["all_prompts"]) == ("a cat", SAID)
