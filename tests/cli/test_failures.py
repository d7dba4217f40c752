import json

import pytest

from retouch.cli.failures import Session, explain, printable
from retouch.errors import Blocked, Cancelled, GenerationFailed, MaskEmpty, ModelNotFound


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MaskEmpty("the mask is empty"), 2),
        (ModelNotFound("no model"), 2),
        (Blocked("refused"), 3),
        (GenerationFailed("failed"), 1),
        (Cancelled("withdrawn"), 130),
        (ZeroDivisionError("division by zero"), 1),
        (PermissionError(13, "Permission denied", "out.png"), 1),
        (MemoryError(), 1),
    ],
)
def test_every_error_has_its_exit_code_and_one_line(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(error, Session()) == code
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert "Traceback" not in shown.err
    assert shown.out == ""


def test_message_note_and_hint_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    error = MaskEmpty("no pixel is marked", hint="paint something white")
    error.add_note("--mask-image m.png")
    explain(error, Session())
    assert (
        capsys.readouterr().err == "error: --mask-image m.png: no pixel is marked\nhint: paint something white\n"
    )


def test_unknown_error_shows_an_id_and_not_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    explain(ValueError("secret"), Session())
    shown = capsys.readouterr().err
    assert "unexpected ValueError (id " in shown
    assert "--debug" in shown
    assert "secret" not in shown


def test_the_same_defect_has_the_same_id(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> Exception:
        try:
            raise KeyError("x")
        except KeyError as error:
            return error

    for _ in range(2):
        explain(fail(), Session())
    first, _, second, _ = capsys.readouterr().err.splitlines()
    assert first == second


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    explain(ValueError("detail"), Session(debug=True))
    assert "ValueError: detail" in capsys.readouterr().err


def test_json_session_puts_the_error_on_stdout_too(capsys: pytest.CaptureFixture[str]) -> None:
    explain(MaskEmpty("no pixel is marked", hint="paint"), Session(as_json=True))
    body = json.loads(capsys.readouterr().out)
    assert body == {"error": {"code": "mask_empty", "message": "no pixel is marked", "hint": "paint"}}


def test_file_names_that_are_not_utf8_do_not_break_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(FileNotFoundError(2, "No such file", "a\udcff.png"), Session()) == 1
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize("debug", [False, True])
def test_control_characters_never_reach_the_terminal(debug: bool, capsys: pytest.CaptureFixture[str]) -> None:
    explain(ModelNotFound("no \x1b]0;OWNED\x07", hint="see \x9b2J\r\u202e"), Session(debug=debug))
    shown = capsys.readouterr().err
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert "\\x1b]0;OWNED" in shown


def test_text_of_every_language_is_shown_as_it_is() -> None:
    words = "Ein grüner Apfel, 緑のりんご, зелёное яблоко\nتفاحة"
    assert printable(words) == words
    assert printable("a\udcff\x00b") == "a\\udcff\\x00b"


def test_a_panic_of_a_library_is_told_like_any_defect(capsys: pytest.CaptureFixture[str]) -> None:
    class Panic(BaseException):
        """As pyo3's PanicException: no Exception."""

    assert explain(Panic("secret"), Session()) == 1
    assert "unexpected Panic (id " in capsys.readouterr().err
