"""Broken bodies for each parser at the door; each case is one body, the same for the same number."""

import base64
import json
import random
from collections.abc import Callable

from tests.fuzz import Case
from tests.mutate import mutated
from tests.serve.test_forms import MULTIPART, URLENCODED, file_part, text_part, whole

from retouch.errors import RetouchError
from retouch.imaging.limits import DecodeLimits
from retouch.serve.fetch import Fetcher
from retouch.serve.forms import FormLimits, parse_form
from retouch.serve.pictures import picture_bytes
from retouch.serve.strict_json import parse_json

PICTURE = base64.encodebytes(bytes(range(256)) * 8)
CARD = {
    "input_data": {
        "columns": ["image", "mask_image", "prompt"],
        "index": [0, 1],
        "data": [{"image": PICTURE.decode(), "mask_image": "iVBORw0KGgo=", "prompt": 'é \U0001f600 \\ "'}] * 2,
    },
    "params": {"num_inference_steps": 20, "guidance_scale": 7.5, "seed": 2**32 - 1, "x": [None, True, -1e-3]},
}
_JSON_PIECES = [
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"\\ud800",
    b'"a":1,"a":2',
    b"[" * 9,
    b"{",
    b'"',
    b"\\",
    b"\xff",
    b"9" * 50,
]
_FORM_PIECES = [
    b"\r\n--",
    b"------retouch1234",
    b"--",
    b"\r\n\r\n",
    b'name=""',
    b"filename*=",
    b";" * 9,
    b'"',
    b"\xff",
    b":",
]
_TEXT_PIECES = [
    b"data:",
    b"data:image/png;base64,",
    b"=",
    b"-_",
    b"+/",
    b"\x00",
    b"\xff",
    b"http://",
    b" " * 9,
    b"../",
]


def strict_json() -> Case:
    """JSON documents with flipped bytes and hostile pieces put in."""
    seeds = [
        json.dumps(CARD).encode(),
        json.dumps(CARD, ensure_ascii=False, indent=1).encode(),
        b'[[], {"a": [1.5]}]',
    ]
    return _case("json", seeds, _JSON_PIECES, _parse_json)


def forms() -> Case:
    """Multipart and urlencoded forms, parsed under either type."""
    seeds = [
        whole(text_part("prompt", b"ein Apfel"), file_part("image", PICTURE), file_part("mask", b"\x89PNG")),
        whole(*[text_part(f"field{number}", b"x" * number) for number in range(20)]),
        b"prompt=ein+Apfel&n=1&size=256x256&" + b"&".join(b"a%d=%%C3%%A4" % number for number in range(20)),
    ]
    types = [MULTIPART, MULTIPART, URLENCODED, MULTIPART + "; charset=utf-16", "multipart/form-data; boundary=--"]
    limits = FormLimits(files=4, fields=30, file_bytes=10_000, field_bytes=2_000)

    def door(data: bytes) -> None:
        form = parse_form(types[len(data) % len(types)], data, limits=limits)
        assert sum(len(part.data) for part in form.parts) <= len(data)

    return _case("forms", seeds, _FORM_PIECES, door)


def pictures() -> Case:
    """Base64 in its spellings, broken."""
    plain = base64.b64encode(bytes(range(256)) * 4)
    seeds = [PICTURE, plain, base64.urlsafe_b64encode(bytes(range(256))), b"data:image/png;base64," + plain]
    limits = DecodeLimits(image_bytes=4_000)

    def door(data: bytes) -> None:
        assert len(picture_bytes(data.decode("latin-1"), field="image", limits=limits)) <= limits.image_bytes

    return _case("pictures", seeds, _TEXT_PIECES, door)


def urls() -> Case:
    """Addresses that are broken; those that are taken lead to the one listed host."""
    fetcher = Fetcher(["pictures.example.org"])
    seeds = [
        b"https://pictures.example.org/a.png?x=1#y",
        b"https://pictures.example.org:443/",
        b"https://127.0.0.1/a",
    ]
    pieces = [b"@", b":", b"\\", b"//", b"%00", b"evil.example", b"127.0.0.1", b"[::1]", b".", b"\r\n", b"#", b"?"]

    def door(data: bytes) -> None:
        assert fetcher._checked(data.decode("latin-1")).authority == "pictures.example.org"

    return _case("urls", seeds, pieces, door)


def _case(name: str, seeds: list[bytes], pieces: list[bytes], door: Callable[[bytes], object]) -> Case:
    def run(number: int) -> str:
        rng = random.Random(f"{name} pieces {number}")
        data = mutated(seeds, number, name=name) if rng.random() < 0.7 else rng.choice(seeds)
        for _ in range(rng.choice((0, 1, 1, 2, 5))):
            place = rng.randrange(len(data) + 1)
            data = data[:place] + rng.choice(pieces) * rng.choice((1, 1, 3, 500)) + data[place:]
        try:
            door(data)
        except RetouchError as error:
            return error.code
        return "taken"

    return run


def _parse_json(data: bytes) -> None:
    parsed = parse_json(data)
    assert parsed == json.loads(data)
    json.dumps(parsed, ensure_ascii=False, allow_nan=False).encode()
