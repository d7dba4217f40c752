"""A picture that was sent as text becomes bytes; an address only by the deployer's fetching."""

import asyncio

import pytest
from tests.serve.dialects.tables import IMAGE, notebook_text
from tests.serve.pictures import png
from tests.serve.serving import Served

from retouch.errors import InvalidField, UrlRefused
from retouch.serve.dialects.sent_pictures import Fetch, SentPictures, fetch_of


def read(running: Served, text: str, fetch: Fetch | None = None) -> bytes:
    return asyncio.run(SentPictures(running.service, fetch=fetch).read(text, field="image"))


def test_base64_is_decoded(tiny: Served) -> None:
    assert read(tiny, notebook_text(png(IMAGE))) == png(IMAGE)


@pytest.mark.parametrize("text", ["/etc/passwd?", "../a.png", "C:\\a.png", "", "no base64!"])
def test_what_is_no_base64_is_named(tiny: Served, text: str) -> None:
    with pytest.raises(InvalidField, match="image"):
        read(tiny, text)


@pytest.mark.parametrize("text", ["https://a.b/c.png", " HTTP://a.b/c.png", "file:///etc/passwd", "ftp://a.b/c"])
def test_an_address_is_refused_where_nothing_is_fetched(tiny: Served, text: str) -> None:
    with pytest.raises(UrlRefused, match="image"):
        read(tiny, text)


def test_an_address_goes_to_what_fetches(tiny: Served) -> None:
    asked = []

    async def fetch(url: str) -> bytes:
        asked.append(url)
        return png(IMAGE)

    assert read(tiny, "https://pictures.example.org/a.png", fetch) == png(IMAGE)
    assert asked == ["https://pictures.example.org/a.png"]


def test_fetching_is_off_unless_the_deployer_lists_hosts(tiny: Served) -> None:
    assert fetch_of(tiny.service) is None
