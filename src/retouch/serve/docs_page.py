"""`/docs`: the OpenAPI document as one plain page.

FastAPI's own page loads its scripts from another host, which an offline machine cannot and a closed one must not.
This one is made on the server and loads nothing at all, so it needs no exception from the content policy.
"""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete")
_MAX_DEPTH = 6


def docs_page(document: Mapping[str, Any], *, openapi_url: str = "/openapi.json") -> str:
    """Return a whole HTML page for an OpenAPI document; every text in it is escaped."""
    info = document.get("info", {})
    title = escape(str(info.get("title", "API")))
    operations = [
        "\n".join(_operation(path, method, spec[method], document))
        for path, spec in document.get("paths", {}).items()
        for method in _METHODS
        if method in spec
    ]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">',
            f"<title>{title}</title></head><body><h1>{title}</h1>",
            _paragraph(info.get("description")),
            f'<p>As a machine reads it: <a href="{escape(openapi_url)}">OpenAPI</a></p>',
            *operations,
            "</body></html>",
        ]
    )


def _operation(path: str, method: str, spec: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    yield f"<details><summary><code>{method.upper()} {escape(path)}</code> {_text(spec.get('summary'))}</summary>"
    yield _paragraph(spec.get("description"))
    if parameters := spec.get("parameters"):
        yield "<h3>Parameters</h3><ul>"
        for parameter in parameters:
            named = f"<code>{_text(parameter.get('name'))}</code> in {_text(parameter.get('in'))}"
            yield f"<li>{named} {_text(parameter.get('description'))}</li>"
        yield "</ul>"
    for media, body in spec.get("requestBody", {}).get("content", {}).items():
        yield f"<h3>Body: <code>{escape(media)}</code></h3>{_examples(body)}"
        yield _code(_resolved(body.get("schema", {}), document, _MAX_DEPTH))
    yield "<h3>Answers</h3><ul>"
    for status, answer in spec.get("responses", {}).items():
        yield f"<li><code>{escape(str(status))}</code> {_text(answer.get('description'))}</li>"
    yield "</ul></details>"


def _examples(body: Mapping[str, Any]) -> str:
    named = {"": {"value": body["example"]}} if "example" in body else body.get("examples", {})
    return "".join(
        f"<h4>Example {_text(name)} {_text(example.get('summary'))}</h4>{_code(example.get('value'))}"
        for name, example in named.items()
    )


def _resolved(schema: Any, document: Mapping[str, Any], depth: int) -> Any:
    """Put what `$ref` names in its place, down to a depth: schemas may hold themselves."""
    if isinstance(schema, list):
        return [_resolved(inner, document, depth) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name and depth > 0:
        return _resolved(document.get("components", {}).get("schemas", {}).get(name, {}), document, depth - 1)
    return {key: _resolved(inner, document, depth) for key, inner in schema.items()}


def _code(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _paragraph(text: Any) -> str:
    return f"<p>{_text(text)}</p>" if text else ""


def _text(text: Any) -> str:
    return escape(str(text)) if text else ""
