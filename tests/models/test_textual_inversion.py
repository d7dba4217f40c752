"""Textual inversions go by the names that people know them by."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.factories import make_checkpoint

from retouch.errors import InvalidField, ModelUnsupported
from retouch.models.bundle import ModelBundle
from retouch.models.load import load_model
from retouch.models.options import LoadOptions
from retouch.models.tokens import all_ids

VECTOR = torch.full((32,), 0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("inversion") / "model")


def load(folder: Path, *embeddings: str) -> ModelBundle:
    return load_model(folder, LoadOptions(device="cpu", allow_pickle=True, embeddings=embeddings))


def is_new_word(prompt: str, bundle: ModelBundle) -> bool:
    """Tell whether the second word of a prompt of two is one token with the vector."""
    ids = all_ids(prompt, bundle.tokenizer)
    return len(ids) == 2 and torch.equal(bundle.text_encoder.get_input_embeddings().weight[ids[1]], VECTOR)


def write_pickle(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("name", "content", "prompts"),
    [
        ("learned_embeds.bin", {"<cat-toy>": VECTOR}, ("a <cat-toy>", "a <learned_embeds>")),
        (
            "mycat.pt",
            {"string_to_token": {"*": 265}, "string_to_param": {"*": VECTOR[None]}, "name": "mycat", "step": 10},
            ("a mycat", "a <mycat>"),
        ),
        ("file.pt", {"string_to_param": {"*": VECTOR[None]}, "name": "mycat"}, ("a mycat", "a <file>", "a file")),
        ("file.pt", {"string_to_param": {"*": VECTOR[None]}, "name": "my cat"}, ("a <file>", "a file")),
    ],
)
def test_one_goes_by_the_name_in_its_file_and_by_the_files_name(
    name: str, content: dict[str, Any], prompts: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    bundle = load(folder, str(write_pickle(tmp_path / name, content)))
    assert all(is_new_word(prompt, bundle) for prompt in prompts)
    (label,) = bundle.adapters
    assert label.startswith(f"{prompts[0].removeprefix('a ')}@")


def test_a_name_that_is_given_is_the_only_one(folder: Path, tmp_path: Path) -> None:
    file = write_pickle(tmp_path / "learned_embeds.bin", {"<cat-toy>": VECTOR})
    bundle = load(folder, f"<mine>={file}")
    assert is_new_word("a <mine>", bundle)
    assert not is_new_word("a <cat-toy>", bundle)


def test_a_file_named_like_a_word_leaves_the_word_alone(folder: Path, tmp_path: Path) -> None:
    save_file({"emb_params": VECTOR[None]}, tmp_path / "cat.safetensors")
    bundle = load(folder, str(tmp_path / "cat.safetensors"))
    assert is_new_word("a <cat>", bundle)
    assert all_ids("a cat", bundle.tokenizer) == all_ids("a cat", load(folder).tokenizer)


def test_several_vectors_are_spelled_out_under_every_name(folder: Path, tmp_path: Path) -> None:
    file = write_pickle(tmp_path / "file.bin", {"<cat-toy>": VECTOR.expand(3, 32).clone()})
    bundle = load(folder, str(file))
    for name in ("<cat-toy>", "<file>", "file"):
        assert len(all_ids(f"a {name} on the bench", bundle.tokenizer)) == 7


def test_two_of_one_name_are_an_error_where_no_other_name_is_left(folder: Path, tmp_path: Path) -> None:
    one = write_pickle(tmp_path / "one.bin", {"<cat-toy>": VECTOR})
    with pytest.raises(InvalidField, match="<same>"):
        load(folder, f"<same>={one}", f"<same>={one}")


def test_several_tensors_are_no_textual_inversion(folder: Path, tmp_path: Path) -> None:
    save_file({"a": VECTOR, "b": VECTOR + 1}, tmp_path / "two.safetensors")
    with pytest.raises(ModelUnsupported, match="not a textual inversion"):
        load(folder, str(tmp_path / "two.safetensors"))
