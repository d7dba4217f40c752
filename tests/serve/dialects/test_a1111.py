"""A1111's dialect, spoken by clients that others wrote."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import webuiapi
from PIL import Image
from tests.serve.serving import Served, served

SIZE = (48, 40)


@pytest.fixture(scope="module")
def server(checkpoint: Path) -> Iterator[Served]:
    with served(checkpoint, safety="off") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Served) -> webuiapi.WebUIApi:
    return webuiapi.WebUIApi(baseurl=f"{server.url}/sdapi/v1", steps=2)


def picture(seed: int = 1, size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


def mask(size: tuple[int, int] = SIZE) -> Image.Image:
    marked = np.zeros(size[::-1], np.uint8)
    marked[8:24, 12:36] = 255
    return Image.fromarray(marked)


def test_webuiapi_repaints_what_the_mask_marks(client: webuiapi.WebUIApi) -> None:
    answer = client.img2img(images=[picture()], mask_image=mask(), prompt="a cat", seed=5, cfg_scale=2)
    print(json.dumps(answer.info, indent=1), answer.parameters)
    painted = np.array(answer.image)
    kept = np.array(mask()) == 0
    assert np.array_equal(painted[kept], np.array(picture())[kept])
    assert not np.array_equal(painted, np.array(picture()))
    assert 0
