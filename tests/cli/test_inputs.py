import io
import sys
from pathlib import Path

import pytest

from retouch.cli import inputs
from retouch.errors import BadInput, ImageError, InvalidField
from retouch.request import DEFAULT_LIMITS, InpaintRequest, validate


class Stdin:
    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


def test_a_prompt_from_stdin_loses_its_line_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin("ein Apfel, grün\r\n".encode()))
    assert inputs.text("-") == "ein Apfel, grün"


def test_a_prompt_that_is_not_a_dash_is_taken_as_it_is() -> None:
    assert inputs.text("a - b\n") == "a - b\n"


def test_bytes_that_are_no_text_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(b"\xff\xfe"))
    with pytest.raises(BadInput, match="UTF-8"):
        inputs.text("-")


def test_an_endless_prompt_is_read_to_the_limit_and_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = Stdin(b"a" * 10_000_000)
    monkeypatch.setattr(sys, "stdin", stdin)
    prompt = inputs.text("-")
    assert stdin.buffer.tell() < 10 * DEFAULT_LIMITS.prompt_chars
    with pytest.raises(InvalidField):
        validate(InpaintRequest(prompt=prompt, image=b""))


@pytest.mark.parametrize("letter", ["я", "漢", "a"])
def test_a_long_prompt_of_any_script_is_too_long_and_not_no_text(
    monkeypatch: pytest.MonkeyPatch, letter: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin((letter * 5 * DEFAULT_LIMITS.prompt_chars).encode()))
    with pytest.raises(InvalidField, match="at most"):
        validate(InpaintRequest(prompt=inputs.text("-"), image=b""))


def test_a_prompt_that_ends_within_a_character_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin("ein Apfel, grü".encode()[:-1]))
    with pytest.raises(BadInput, match="UTF-8"):
        inputs.text("-")


@pytest.mark.parametrize("name", ["table", "stepped", "nonesuch"])
def test_a_file_beside_the_samplers_is_no_sampler(name: str) -> None:
    with pytest.raises(InvalidField, match="not known"):
        inputs.check_scheduler(name)
    inputs.check_scheduler("Euler a")


def test_a_sampler_of_our_own_is_known_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from retouch.engine import samplers

    (tmp_path / "straight_on.py").write_text('"""One."""\n\nSAMPLER = ...\n')
    monkeypatch.setattr(samplers.__spec__, "submodule_search_locations", [str(tmp_path)])
    inputs.check_scheduler("Straight on")


def test_an_error_says_which_option_named_the_file(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError) as caught:
        inputs.picture(broken, option="--mask-image")
    assert caught.value.__notes__ == [f"--mask-image {broken}"]
