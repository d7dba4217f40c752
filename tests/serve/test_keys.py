"""Who calls is told by a key in a header, and no key is ever seen again."""

import base64
import hashlib
import hmac
import logging
from pathlib import Path

import pytest
from tests.serve.asgi import HOST, Echo, call, scope_of

from retouch.errors import BadInput
from retouch.serve.keys import ANONYMOUS, Caller, KeyCheck, Keyring, caller_of
from retouch.serve.refusals import Refusals

KEY = "s3cret-S3cret-s3cret-0123"
OTHER = "another/key+of=enough~length"


def _basic(user: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


def _status(*headers: tuple[bytes, bytes], path: str = "/score", method: str = "POST", **more: object) -> int:
    echo = Echo()
    check = KeyCheck(echo, keyring=Keyring.from_text(KEY), is_open=lambda routed: routed == "/health/live")
    answered = call(Refusals(check), scope_of(method, path, [HOST, *headers], **more))
    assert echo.calls == (answered.status == 200)
    return answered.status


@pytest.mark.parametrize(
    "header",
    [
        (b"authorization", f"Bearer {KEY}".encode()),
        (b"Authorization", f"bearer  {KEY}".encode()),
        (b"api-key", KEY.encode()),
        (b"x-api-key", KEY.encode()),
        (b"authorization", _basic("anyone", KEY)),
        (b"authorization", _basic("", KEY)),
    ],
    ids=lambda header: header[0].decode(),
)
def test_each_header_that_clients_know_carries_a_key(header: tuple[bytes, bytes]) -> None:
    assert _status(header) == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", KEY.encode())],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer wrong-wrong-wrong-wrong")],
        [(b"authorization", f"Bearer {KEY[:-1]}".encode())],
        [(b"authorization", f"Bearer {KEY}x".encode())],
        [(b"authorization", f"Bearer sha256={hashlib.sha256(KEY.encode()).hexdigest()}".encode())],
        [(b"authorization", f"Token {KEY}".encode())],
        [(b"authorization", _basic(KEY, ""))],
        [(b"authorization", b"Basic !!!")],
        [(b"authorization", b"Basic /////w==")],
        [(b"api-key", b"\xff\xfe")],
        [(b"cookie", f"api-key={KEY}".encode())],
        [(b"x-forwarded-user", b"admin")],
    ],
)
def test_what_is_no_key_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    assert _status(*headers) == 401


def test_a_key_in_the_url_is_none() -> None:
    assert _status(query_string=f"api_key={KEY}&key={KEY}&access_token={KEY}".encode()) == 401


def test_a_refusal_says_how_to_send_a_key_and_not_what_was_sent() -> None:
    check = Refusals(KeyCheck(Echo(), keyring=Keyring.from_text(KEY)))
    answered = call(check, scope_of(headers=[HOST, (b"api-key", b"wrong-wrong-wrong-wrong")]))
    assert (answered.status, answered.code) == (401, "unauthorized")
    assert answered.header(b"www-authenticate") is not None
    assert b"wrong-wrong" not in answered.body


@pytest.mark.parametrize(
    "path", ["/health/live/", "/health/live/../../score", "/Health/live", "//health/live", "/health"]
)
def test_only_the_open_path_itself_needs_no_key(path: str) -> None:
    assert _status(path="/health/live", method="GET") == 200
    assert _status(path="/api/health/live", root_path="/api", method="GET") == 200
    assert _status(path=path, method="GET") == 401


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", []),
        ("PUT", [(b"content-length", b"0")]),
        ("GET", [(b"content-length", b"1000")]),
        ("HEAD", [(b"transfer-encoding", b"chunked")]),
    ],
)
def test_an_open_path_takes_no_body_from_who_has_no_key(method: str, headers: list[tuple[bytes, bytes]]) -> None:
    assert _status((b"content-length", b"0"), path="/health/live", method="HEAD") == 200
    assert _status(*headers, path="/health/live", method=method) == 401
    assert _status((b"api-key", KEY.encode()), *headers, path="/health/live", method=method) == 200


def test_without_keys_everyone_is_anonymous() -> None:
    scope = scope_of()
    assert call(KeyCheck(Echo(), keyring=Keyring()), scope).status == 200
    assert caller_of(scope) is ANONYMOUS


def test_a_caller_is_known_by_the_name_of_its_key() -> None:
    ring = Keyring.from_text(f"alice:{KEY}, {OTHER}\nalice:{'n' * 20}")
    assert ring.find(KEY) == ring.find("n" * 20) == Caller("alice")
    nameless = ring.find(OTHER)
    assert nameless is not None
    assert nameless.id == f"key-{hashlib.sha256(OTHER.encode()).hexdigest()[:8]}"
    assert ring.find("nobody") is None
    assert ring.find("schlüssel") is None


def test_a_key_may_be_written_as_its_digest() -> None:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    ring = Keyring.from_text(f"alice:sha256={digest}")
    assert ring.find(KEY) == Caller("alice")
    assert ring.find(f"sha256={digest}") is None
    assert ring.find(digest) is None


def test_every_known_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    ring = Keyring.from_text(f"{KEY},{OTHER},{'x' * 20}")
    assert ring.find(KEY) is not None
    assert len(compared) == 3
    assert all(len(a) == len(b) == 32 for a, b in compared)


def test_no_key_is_kept_shown_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ring = Keyring.from_text(f"alice:{KEY}")
    _status((b"api-key", KEY.encode()))
    for shown in (repr(ring), str(ring), f"{ring}", repr(ring.find(KEY)), repr(ring._known), caplog.text):
        assert KEY not in shown
    assert repr(hashlib.sha256(KEY.encode()).digest()) not in repr(ring)


@pytest.mark.parametrize(
    "text",
    [
        "little",
        "alice:little",
        "with space in the key",
        "schlüsselschlüssel",
        "a b:" + KEY,
        ":" + KEY,
        "anonymous:" + KEY,
        "n" * 65 + ":" + KEY,
        "sha256=abc",
        "\x00" * 20,
        "a\tb" * 9,
    ],
)
def test_an_entry_that_is_no_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        Keyring.from_text(text)
    assert text not in str(refused.value)
    assert "key 1 of RETOUCH_API_KEYS" in str(refused.value)


def test_one_key_of_two_names_is_refused() -> None:
    with pytest.raises(BadInput):
        Keyring.from_text(f"alice:{KEY},bob:{KEY}")


def test_a_file_holds_one_key_a_line_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"\ufeff# ours, and theirs\n\n  alice:{KEY}  \n{OTHER}\n", encoding="utf-8")
    path.chmod(0o600)
    ring = Keyring.from_file(path)
    assert ring.find(KEY) == Caller("alice")
    assert ring.find(OTHER) is not None
    assert ring.warnings == ()


def test_a_file_that_others_may_read_gives_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(KEY)
    path.chmod(0o640)
    (warning,) = Keyring.from_file(path).warnings
    assert "chmod 600" in warning


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xff\xfe" * 20, b"k" * (2**20 + 1)])
def test_a_file_without_keys_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(BadInput):
        Keyring.from_file(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        Keyring.from_file(tmp_path / "none")


def test_keys_of_a_file_and_of_the_environment_add_up() -> None:
    ring = Keyring.from_text(f"alice:{KEY}") + Keyring.from_text(f"bob:{OTHER}")
    assert ring.find(KEY) == Caller("alice")
    assert ring.find(OTHER) == Caller("bob")
    assert not Keyring() + Keyring()
