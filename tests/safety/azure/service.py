"""Azure AI Content Safety's REST contract on this machine's loopback, for tests of those who ask it.

What a request may hold, the limits, the answers and the errors are those of the service's specification of
2023-10-01. A text's severities are written in it (`violence4`), a picture's in how red it is.
"""

import base64
import io
import json
import re
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

KEY = "0123456789abcdef0123456789abcdef"
CATEGORIES = ("Hate", "SelfHarm", "Sexual", "Violence")
MAX_CHARS, MAX_BYTES, MIN_SIDE, MAX_SIDE = 10_000, 4_194_304, 50, 2048
RED_SEVERITY = 4
_FIELDS = {
    "text": {"text", "categories", "blocklistNames", "haltOnBlocklistHit", "outputType"},
    "image": {"image", "categories", "outputType"},
}


class Refusal(Exception):
    """An error of the service: status, code, message."""


@dataclass(frozen=True)
class Call:
    """What was asked."""

    kind: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def picture(self) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(self.body["image"]["content"]))))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that give up are part of the tests."""


Answer = Callable[[BaseHTTPRequestHandler], None]


class ContentSafetyService:
    """The service; `script` holds answers that come before its own, one for each call."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.calls: list[Call] = []
        self.script: deque[Answer] = deque()
        self.blocklists = {"brands": ("acme",)}
        self.tokens: set[str] = set()
        self.released = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                service.answer(self)

            def do_GET(self) -> None:
                service.give_token(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.endpoint = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def give_token(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer as the endpoint of Azure ML that gives a machine's identities their tokens."""
        asked = parse_qs(urlsplit(handler.path).query)
        known = (handler.headers["secret"], asked["clientid"], asked["resource"])
        if known != ("msi-secret", ["identity-1"], ["https://cognitiveservices.azure.com"]):
            error(400, "invalid_request")(handler)
            return
        self.tokens.add(token := f"token-{len(self.tokens)}")
        body = {"access_token": token, "expires_on": "4000000000", "resource": asked["resource"][0]}
        send(handler, 200, json.dumps(body | {"token_type": "Bearer"}).encode())

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        data = handler.rfile.read(int(handler.headers["Content-Length"]))
        kind = urlsplit(handler.path).path.rpartition("/")[2].partition(":")[0]
        self.calls.append(Call(kind, dict(handler.headers), json.loads(data)))
        if self.script:
            self.script.popleft()(handler)
            return
        try:
            body = self._analysed(handler, self.calls[-1])
        except Refusal as refusal:
            status, code, message = refusal.args
            error(status, code, message)(handler)
        else:
            send(handler, 200, json.dumps(body).encode())

    def _analysed(self, handler: BaseHTTPRequestHandler, call: Call) -> dict[str, Any]:
        url = urlsplit(handler.path)
        if url.path != f"/contentsafety/{call.kind}:analyze" or call.kind not in _FIELDS:
            raise Refusal(404, "404", "Resource not found")
        if parse_qs(url.query) != {"api-version": ["2023-10-01"]}:
            raise Refusal(404, "404", "api-version")
        if handler.headers["Content-Type"] != "application/json":
            raise Refusal(415, "UnsupportedMediaType", "Content-Type")
        bearer = (handler.headers["Authorization"] or "").removeprefix("Bearer ")
        if handler.headers["Ocp-Apim-Subscription-Key"] != KEY and bearer not in self.tokens:
            raise Refusal(401, "401", "Access denied due to invalid subscription key")
        if not call.body.keys() <= _FIELDS[call.kind] or not set(call.body["categories"]) <= set(CATEGORIES):
            raise _invalid("a field or category is unknown")
        return self._text(call.body) if call.kind == "text" else self._image(call)

    def _text(self, body: dict[str, Any]) -> dict[str, Any]:
        if not 0 < len(body["text"]) <= MAX_CHARS:
            raise _invalid(f"the text {body['text']!r} is too short or too long")
        if not set(names := body.get("blocklistNames", [])) <= self.blocklists.keys():
            raise Refusal(404, "ResourceNotFound", "no such blocklist")
        hits = [(name, term) for name in names for term in self.blocklists[name] if term in body["text"].lower()]
        found = re.findall(rf"({'|'.join(CATEGORIES)})(\d)".lower(), body["text"].lower())
        severities = {category: max(0, *(int(s) for c, s in found if c == category.lower()), 0)
                      for category in body["categories"]}  # fmt: skip
        if body.get("outputType", "FourSeverityLevels") == "FourSeverityLevels":
            severities = {category: severity - severity % 2 for category, severity in severities.items()}
        return {
            "blocklistsMatch": [
                {"blocklistName": name, "blocklistItemId": "7d1e2f6a", "blocklistItemText": term}
                for name, term in hits
            ],
            "categoriesAnalysis": [] if hits and body["haltOnBlocklistHit"] else analysis(severities),
        }

    def _image(self, call: Call) -> dict[str, Any]:
        if call.body["image"].keys() != {"content"} or call.body["outputType"] != "FourSeverityLevels":
            raise _invalid(
                "You should provide [content] or [blobUrl] of the image, please check your request body."
            )
        data = base64.b64decode(call.body["image"]["content"], validate=True)
        if len(data) > MAX_BYTES:
            raise _invalid(
                f"The given image is {len(data)} bytes and exceeds the maximum limit of 4194304 bytes (4MB)."
            )
        pixels = call.picture.astype(int)
        if min(pixels.shape[:2]) < MIN_SIDE or max(pixels.shape[:2]) > MAX_SIDE:
            raise _invalid("The size of the given image is out of range.")
        is_red = ((pixels[..., 0] - pixels[..., 1]) > 100).mean() > 0.1
        return {"categoriesAnalysis": analysis({"Sexual": RED_SEVERITY if is_red else 0})}


def analysis(severities: dict[str, int]) -> list[dict[str, Any]]:
    """Return the list that answers hold; what is not named has severity 0."""
    return [{"category": category, "severity": severities.get(category, 0)} for category in CATEGORIES]


def _invalid(message: str) -> Refusal:
    return Refusal(400, "InvalidRequestBody", message)


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    named = {"Content-Type": "application/json", **{name.replace("_", "-"): v for name, v in headers.items()}}
    handler.send_response(status)
    for name, value in {**named, "Content-Length": str(len(body))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def error(status: int, code: str, message: str = "an error", **headers: str) -> Answer:
    """Answer with an error as the service shapes them."""
    body = json.dumps({"error": {"code": code, "message": message, "details": []}}).encode()
    return lambda handler: send(handler, status, body, x_ms_error_code=code, **headers)


def raw(body: bytes, status: int = 200, **headers: str) -> Answer:
    """Answer with any bytes."""
    return lambda handler: send(handler, status, body, **headers)


def shaped(body: object) -> Answer:
    """Answer 200 with another shape."""
    return raw(json.dumps(body).encode())


def drop(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without an answer."""
    handler.close_connection = True


def hang(service: ContentSafetyService) -> Answer:
    """Answer nothing until the service is closed."""

    def wait(handler: BaseHTTPRequestHandler) -> None:
        service.released.wait(30)
        handler.close_connection = True

    return wait


def drip(service: ContentSafetyService) -> Answer:
    """Send one byte of a header at a time, each well within the read timeout."""

    def one_by_one(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        with suppress(OSError):
            while not service.released.wait(0.02):
                handler.wfile.write(b"a")

    return one_by_one


@contextmanager
def running(tls: ssl.SSLContext | None = None) -> Iterator[ContentSafetyService]:
    service = ContentSafetyService(tls)
    try:
        yield service
    finally:
        service.close()
