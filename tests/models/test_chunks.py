"""Prompts are cut into chunks where A1111 cuts them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from tests.factories import make_checkpoint, tiny_tokenizer

from retouch.models.chunks import Chunk, chunks_of
from retouch.models.clip_tokenizer import END, START, clip_tokenizer
from retouch.models.load import load_model
from retouch.models.options import LoadOptions
from retouch.models.tokens import padded_tokens
from retouch.prompts import Prompt

CLIP = clip_tokenizer()
COMMA = CLIP.convert_tokens_to_ids(",</w>")


def a1111(text: str, tokenizer: Any = CLIP) -> list[Chunk]:
    return chunks_of(Prompt(text, "a1111"), tokenizer)


def counts(text: str) -> list[int]:
    """Return how many tokens each chunk holds, without start and end."""
    return [sum(chunk.mask) - 2 for chunk in a1111(text)]


@pytest.mark.parametrize("text", ["", "a cat", "a cat, on the bench", " ".join(["cat"] * 75), "é 猫 :-)"])
def test_a_short_prompt_without_marks_is_the_plain_one(text: str) -> None:
    assert a1111(text) == chunks_of(Prompt(text), CLIP)


def test_a_plain_prompt_is_cut_off_as_the_tokenizer_does() -> None:
    text = "a cat " * 100
    (chunk,) = chunks_of(Prompt(text), CLIP)
    expected = padded_tokens([text], CLIP)
    assert (list(chunk.ids), list(chunk.mask)) == (
        expected.input_ids[0].tolist(),
        expected.attention_mask[0].tolist(),
    )


def test_each_chunk_has_its_own_start_and_end() -> None:
    first, second = a1111("cat " * 80)
    start, end = (CLIP.convert_tokens_to_ids(name) for name in (START, END))
    assert len(first.ids) == len(second.ids) == 77
    assert (first.ids[0], first.ids[-1]) == (start, end)
    assert (second.ids[0], *second.ids[6:]) == (start, *[end] * 71)
    assert second.mask == (1,) * 7 + (0,) * 70


def test_padding_is_the_tokenizers_own() -> None:
    """Stable Diffusion 2 pads with another token than the end."""
    tokenizer = clip_tokenizer(pad_token="!")
    assert a1111("a cat", tokenizer) == chunks_of(Prompt("a cat"), tokenizer)
    assert a1111("a cat", tokenizer)[0].ids[-1] != a1111("a cat")[0].ids[-1]


def test_padding_may_be_on_the_left() -> None:
    tokenizer = clip_tokenizer()
    tokenizer.padding_side = "left"
    assert a1111("a cat", tokenizer) == chunks_of(Prompt("a cat"), tokenizer)
    (chunk,) = a1111("a (cat:1.5)", tokenizer)
    assert chunk.weights == (1.0,) * 75 + (1.5, 1.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat " * 75, [75]),
        ("cat " * 76, [75, 1]),
        ("cat " * 151, [75, 75, 1]),
        # The last comma ends the chunk where fewer than 20 tokens follow it.
        ("cat " * 55 + ", " + "cat " * 25, [56, 25]),
        ("cat " * 54 + ", " + "cat " * 25, [75, 5]),
        ("cat " * 74 + ", cat", [75, 1]),
        ("cat " * 60 + ", cat, " + "cat " * 20, [63, 20]),
        # A comma itself is not moved.
        ("cat " * 70 + ", " + "cat " * 4 + ", cat", [75, 2]),
        # BREAK fills its chunk up, and two of them leave one empty.
        ("cat BREAK cat", [1, 1]),
        ("cat " * 75 + "BREAK cat", [75, 1]),
        ("cat " * 76 + "BREAK cat", [75, 1, 1]),
        ("BREAK cat", [0, 1]),
        ("cat BREAK BREAK cat", [1, 0, 1]),
        ("cat BREAK", [1]),
        ("BREAK", [0]),
        ("BREAK BREAK", [0, 0]),
        ("cat BREAK ()", [1]),
    ],
)
def test_chunks_end_where_they_end_there(text: str, expected: list[int]) -> None:
    assert counts(text) == expected


def test_weights_belong_to_the_tokens_of_their_words() -> None:
    (chunk,) = a1111("a (red:1.3) photorealistic [cat]")
    ids = CLIP("a red photorealistic cat").input_ids
    assert list(chunk.ids[: len(ids)]) == ids
    assert len(ids) == 7  # start, a, red, photo, realistic, cat, end
    assert chunk.weights[:7] == pytest.approx((1, 1, 1.3, 1, 1, 1 / 1.1, 1))
    assert set(chunk.weights[7:]) == {1.0}


def test_a_weight_within_a_word_makes_two_of_it() -> None:
    (chunk,) = a1111("photo(realistic:1.2)")
    assert list(chunk.ids[1:3]) == CLIP("photo realistic", add_special_tokens=False).input_ids


def test_weights_that_are_all_one_are_none() -> None:
    assert a1111("(a:1) [(cat)]") == a1111("a cat")
    first, second = a1111("cat BREAK (cat:2)")
    assert first.weights == ()
    assert second.weights[1] == 2.0


@pytest.fixture(scope="module")
def inverted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tokenizer of a tiny checkpoint of 16 tokens with a textual inversion of 4 vectors, `<my>`."""
    folder = tmp_path_factory.mktemp("inverted")
    make_checkpoint(folder / "tiny")
    save_file({"emb_params": torch.randn(4, 32)}, folder / "my.safetensors")
    options = LoadOptions(device="cpu", embeddings=(f"<my>={folder / 'my.safetensors'}",))
    return load_model(folder / "tiny", options).tokenizer


def test_the_vectors_of_a_textual_inversion_stay_together(inverted: Any) -> None:
    ids = inverted.convert_tokens_to_ids(["<my>", "<my>_1", "<my>_2", "<my>_3"])
    first, second = a1111("a " * 12 + "(<my>:1.5) cat", inverted)
    assert sum(first.mask) - 2 == 12
    assert list(second.ids[1:5]) == ids
    assert second.weights[:6] == (1.0, 1.5, 1.5, 1.5, 1.5, 1.0)


def test_a_comma_near_the_end_takes_what_follows_it_along(inverted: Any) -> None:
    first, second = a1111("a a a a , a a a a a a a a a <my> cat", inverted)
    assert [sum(first.mask) - 2, sum(second.mask) - 2] == [5, 14]


def reference(tokens: list[tuple[int, float]], room: int) -> list[list[tuple[int, float]]]:
    """Cut as the settings of A1111 say: at the last comma among the last 20 tokens, unless the next is one."""
    chunks = []
    while len(tokens) > room:
        commas = [at for at in range(room - 20, room) if tokens[at][0] == COMMA]
        end = commas[-1] + 1 if commas and tokens[room][0] != COMMA else room
        chunks.append(tokens[:end])
        tokens = tokens[end:]
    return [*chunks, tokens]


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["cat", ",", "photorealistic", "a red dog", "cat ,"]), st.sampled_from([1.0, 1.3, 0.5])
        ),
        max_size=150,
    )
)
def test_chunks_are_those_of_a_plain_cutter(words: list[tuple[str, float]]) -> None:
    text = " ".join(f"({word}:{weight})" for word, weight in words)
    tokens = [
        (number, weight) for word, weight in words for number in CLIP(word, add_special_tokens=False).input_ids
    ]
    found = [list(zip(chunk.ids, chunk.weights or [1.0] * 77))[1 : sum(chunk.mask) - 1] for chunk in a1111(text)]
    assert found == reference(tokens, 75)


def test_the_longest_prompt_is_cut_in_no_noticeable_time(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(tmp_path, max_tokens=8)
    for unit in ("a ", "猫", "😀", ", ", "BREAK ", "(a:2) ", "(a"):
        text = (unit * 2000)[:2000] if unit != "(a" else "(a" * 40
        assert chunks_of(Prompt(text, "a1111"), tokenizer)
