"""The page of the API is whole, and loads nothing from anywhere."""

import re
from html.parser import HTMLParser
from typing import Annotated

from fastapi import Body, FastAPI
from pydantic import BaseModel, Field

from retouch.serve.docs_page import docs_page


class Inner(BaseModel):
    """A model that holds itself."""

    name: str = Field(description="<script>alert(1)</script>")
    more: "list[Inner]" = []


def _document() -> dict[str, object]:
    app = FastAPI(title="A & B <i>", description='"quoted" <img src=x onerror=alert(1)>')

    @app.post("/score/{name}", summary="Paint")
    async def score(name: str, body: Annotated[Inner, Body(examples=[{"name": "x"}])]) -> Inner:
        """Repaint <b>it</b>."""
        return body

    @app.get("/health/live")
    async def live() -> None: ...

    return app.openapi()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(f"{name}={value}" for name, value in attrs)


def test_every_operation_is_on_the_page() -> None:
    page = docs_page(_document())
    assert "POST /score/{name}" in page
    assert "GET /health/live" in page
    assert "Paint" in page
    assert "application/json" in page


def test_nothing_is_loaded_and_no_text_becomes_markup() -> None:
    page = docs_page(_document())
    parsed = _Tags()
    parsed.feed(page)
    assert parsed.tags.isdisjoint({"script", "img", "link", "style", "iframe", "i", "b"})
    assert not any(re.match(r"(src|on|style)", attribute) for attribute in parsed.attributes)
    assert [attribute for attribute in parsed.attributes if "href" in attribute] == ["href=/openapi.json"]


def test_an_example_is_shown() -> None:
    body = {
        "content": {"application/json": {"examples": {"card": {"summary": "the card's", "value": {"x": "<1>"}}}}}
    }
    page = docs_page({"paths": {"/a": {"post": {"requestBody": body}}}})
    assert "Example card the card&#x27;s" in page
    assert "&lt;1&gt;" in page
