"""`retouch.json` is read back as it was written, and its mistakes are named."""

import json
from pathlib import Path

import pytest

from retouch.errors import ModelUnsafe, ModelUnsupported
from retouch.models.bundle import Recommended
from retouch.models.components import Notes, read_notes, write_notes


def test_notes_survive_the_disk(tmp_path: Path) -> None:
    notes = Notes(Recommended(20, 3.5, "DDIMScheduler", 0.2, 32), frozenset({"cat", "red"}), "Apache-2.0")
    write_notes(tmp_path, notes)
    assert read_notes(tmp_path) == notes


def test_folder_without_notes_recommends_nothing(tmp_path: Path) -> None:
    assert read_notes(tmp_path) == Notes()


def test_the_advised_seam_is_written_and_read(tmp_path: Path) -> None:
    write_notes(tmp_path, Notes(recommended=Recommended(seam="harmonic")))
    assert read_notes(tmp_path).recommended.seam == "harmonic"
    advice = Recommended(variants=("", "red"), variants_of=("hat",), removal_prompts=("no hat",))
    write_notes(tmp_path, Notes(recommended=advice))
    assert read_notes(tmp_path).recommended == advice


def test_words_are_folded_to_lower_case(tmp_path: Path) -> None:
    content = {"vocabulary": ["Cat"], "recommended": {"variants": ["Dark Red"], "removal_prompts": ["Nothing"]}}
    (tmp_path / "retouch.json").write_text(json.dumps(content))
    notes = read_notes(tmp_path)
    assert notes.vocabulary == {"cat"}
    assert notes.recommended == Recommended(variants=("dark red",), removal_prompts=("nothing",))


@pytest.mark.parametrize(
    "content",
    [
        {"recommended": []},
        {"vocabulary": "cat dog"},
        {"recommended": {"num_inference_steps": "20"}},
        {"recommended": {"num_inference_steps": 0}},
        {"recommended": {"guidance_scale": -1}},
        {"recommended": {"scheduler": 3}},
        {"recommended": {"seam": "smooth"}},
        {"recommended": {"seam": ["off"]}},
        {"recommended": {"context": -0.1}},
        {"recommended": {"context": 1e308}},
        {"recommended": {"guidance_scale": 10**400}},
        {"recommended": {"guidance_scale": float("nan")}},
        {"recommended": {"num_inference_steps": 10**9}},
        {"recommended": {"scheduler": "x" * 100_000}},
        {"recommended": {"prompt_tokens": 31.5}},
        {"recommended": {"variants": "drawing"}},
        {"recommended": {"variants": ["drawing", 3]}},
        {"recommended": {"variants_of": "hat"}},
        {"recommended": {"variants_of": [""]}},
        {"recommended": {"variants_of": ["hat "]}},
        {"recommended": {"variants_of": ["hat"] * 201}},
        {"recommended": {"removal_prompts": ["x" * 61]}},
    ],
)
def test_wrong_values_are_named(tmp_path: Path, content: dict[str, object]) -> None:
    (tmp_path / "retouch.json").write_text(json.dumps(content))
    with pytest.raises(ModelUnsupported, match=r"retouch\.json"):
        read_notes(tmp_path)


def test_notes_that_are_no_json_are_refused(tmp_path: Path) -> None:
    (tmp_path / "retouch.json").write_text("steps: 20")
    with pytest.raises(ModelUnsafe):
        read_notes(tmp_path)
