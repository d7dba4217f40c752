"""The page is served to browsers whole, from here alone, and without a key."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from tests.serve.serving import Served, served

from retouch.serve.page import read_assets

STATIC = Path(__file__).parents[2] / "src/retouch/serve/static"
ASSETS = read_assets()
KEY = "a-key-of-more-than-sixteen"


@pytest.fixture(scope="module")
def client(tiny: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=tiny.url) as client:
        yield client


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags() -> list[tuple[str, dict[str, str | None]]]:
    parsed = _Tags()
    parsed.feed(ASSETS["/"].data.decode())
    return parsed.found


def test_the_page_has_a_policy_that_forbids_what_is_inline_or_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy


def test_nothing_in_the_page_is_inline() -> None:
    for tag, attributes in tags():
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not any(name == "style" or name.startswith("on") for name in attributes)


def test_every_file_that_the_page_names_is_served(client: httpx.Client) -> None:
    named = [attributes.get("src") or attributes.get("href") or "" for _, attributes in tags()]
    local = [name for name in named if name and not name.startswith("#")]
    assert local
    for name in local:
        assert client.get(f"/{name}").status_code == 200, name


@pytest.mark.parametrize("path", sorted(path for path in ASSETS if path.endswith(".js")))
def test_a_module_imports_what_is_served_and_makes_no_markup(path: str) -> None:
    code = ASSETS[path].data.decode()
    folder = path.rpartition("/")[0]
    for found in re.findall(r'(?:from|import) "([^"]+)"', code):
        assert found.startswith("./"), found
        assert f"{folder}/{found.removeprefix('./')}" in ASSETS
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert forbidden not in code
    assert not re.search(r"https?://(?!www\.w3\.org/)", code)


def test_a_module_can_be_read_in_one_sitting() -> None:
    lengths = {path: asset.data.count(b"\n") for path, asset in ASSETS.items() if path.endswith(".js")}
    assert {path: lines for path, lines in lengths.items() if lines > 200 and "/editor/" not in path} == {}


@pytest.mark.parametrize("path", ["/", "/static/main.js"])
def test_an_unchanged_file_is_not_sent_again_and_keeps_its_headers(client: httpx.Client, path: str) -> None:
    first = client.get(path)
    assert first.headers["cache-control"] == "no-cache"
    again = client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("etag", "cache-control", "content-type", "content-security-policy"):
        assert again.headers[name] == first.headers[name]


@pytest.mark.parametrize("path", ["/static/", "/static/../app.py", "/static/%2e%2e/app.py", "/static/nothing.js"])
def test_nothing_but_the_pages_files_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_page_is_not_in_the_document_of_the_api(client: httpx.Client) -> None:
    assert not any(
        path == "/" or path.startswith("/static") for path in client.get("/openapi.json").json()["paths"]
    )


def test_the_sample_is_that_of_the_examples() -> None:
    examples = STATIC.parents[3] / "examples"
    for name in ("sample.png", "sample-mask.png"):
        assert (STATIC / name).read_bytes() == (examples / name).read_bytes()


@pytest.mark.slow
def test_where_keys_are_asked_for_the_page_opens_without_one_and_nothing_else_does(checkpoint: Path) -> None:
    with served(checkpoint, api_keys=KEY) as running, httpx.Client(base_url=running.url) as client:
        for path in ASSETS:
            assert client.get(path).status_code == 200
        for path in ("/v1/about", "/v1/jobs", "/docs", "/static/nothing.js"):
            assert client.get(path).status_code == 401
        assert client.get("/v1/about", headers={"authorization": f"Bearer {KEY}"}).status_code == 200
        foreign = {"origin": "https://evil.example"}
        assert client.get("/static/main.js", headers=foreign).status_code == 403
