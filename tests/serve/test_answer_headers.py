"""Every answer tells browsers what they may do with it."""

from starlette.types import Receive, Scope, Send
from tests.serve.asgi import Echo, call, scope_of

from retouch.serve.answer_headers import AnswerHeaders
from retouch.serve.doors import Doors, behind_doors


class _Fixed:
    """Answers with the headers it was made with."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": b""})


def test_an_answer_is_not_sniffed_framed_cached_or_embedded() -> None:
    answered = call(AnswerHeaders(Echo()), scope_of())
    assert answered.header(b"x-content-type-options") == b"nosniff"
    assert answered.header(b"x-frame-options") == b"DENY"
    assert answered.header(b"referrer-policy") == b"no-referrer"
    assert answered.header(b"cross-origin-resource-policy") == b"same-origin"
    assert answered.header(b"cross-origin-opener-policy") == b"same-origin"
    assert answered.header(b"cache-control") == b"no-store"
    policy = answered.header(b"content-security-policy") or b""
    assert b"default-src 'none'" in policy
    assert b"frame-ancestors 'none'" in policy


def test_a_page_may_load_what_is_its_own_and_nothing_else() -> None:
    answered = call(AnswerHeaders(_Fixed((b"content-type", b"text/html; charset=utf-8"))), scope_of())
    policy = (answered.header(b"content-security-policy") or b"").decode()
    assert policy.startswith("default-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_a_handler_may_allow_caching_and_cannot_loosen_the_rest() -> None:
    app = _Fixed(
        (b"Cache-Control", b"max-age=60"),
        (b"Content-Security-Policy", b"default-src *"),
        (b"access-control-allow-origin", b"*"),
        (b"X-Frame-Options", b"ALLOWALL"),
    )
    answered = call(AnswerHeaders(app), scope_of())
    names = [name.lower() for name, _ in answered.headers]
    assert names.count(b"content-security-policy") == names.count(b"x-frame-options") == 1
    assert dict(answered.headers)[b"Cache-Control"] == b"max-age=60"
    assert b"cache-control" not in dict(answered.headers)
    assert answered.header(b"access-control-allow-origin") is None


def test_refusals_carry_them_too() -> None:
    answered = call(behind_doors(Echo(), Doors()), scope_of(headers=[(b"host", b"evil.example")]))
    assert answered.status == 403
    assert answered.header(b"x-content-type-options") == b"nosniff"
    assert len(answered.header(b"x-request-id") or b"") == 32
