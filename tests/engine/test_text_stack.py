"""From prompts to what they tell the UNet."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.as_diffusers import dummy_pipe

from retouch.engine.calls import ModelCalls
from retouch.engine.settings import EngineSettings
from retouch.engine.text_stack import check_clip_skip
from retouch.errors import InvalidField
from retouch.models.bundle import ModelBundle
from retouch.models.in_memory import from_pipe
from retouch.prompts import Prompt

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

Words = Sequence[tuple[str, float]]
"""Texts and their weights, written down by hand."""


@pytest.fixture
def pipe(tmp_path: Path) -> Any:
    """A pipeline whose text encoder has 5 layers, takes 77 tokens, and gives numbers of a mean, as CLIP's."""
    made = dummy_pipe(tmp_path)
    getattr(made.text_encoder, "text_model", made.text_encoder).final_layer_norm.bias.data.fill_(-0.1)
    return made


def embed(bundle: ModelBundle, *prompts: Prompt, rows_per_call: int = 0) -> list[torch.Tensor]:
    calls = ModelCalls(bundle, EngineSettings(rows_per_call=rows_per_call))
    return [one.embeds for one in calls.embed(prompts)]


@torch.inference_mode()
def test_prompts_are_embedded_as_diffusers_does(checkpoint: Callable[..., Any]) -> None:
    tiny = checkpoint()
    expected = tiny.pipe.encode_prompt("a red apple", torch.device("cpu"), 1, False)[0]
    (embeds,) = embed(tiny.bundle(), Prompt("a red apple"))
    torch.testing.assert_close(embeds, expected)


@torch.inference_mode()
def test_each_prompt_has_a_row_in_their_order(bundle: ModelBundle) -> None:
    apple, cat = Prompt("a red apple"), Prompt("a yellow cat")
    (alone_a,), (alone_c,) = embed(bundle, apple), embed(bundle, cat)
    torch.testing.assert_close(embed(bundle, cat, apple), [alone_c, alone_a])


def reference(pipe: Any, chunks: Sequence[Words]) -> torch.Tensor:
    """Embed chunks as the documentation of A1111 has it, one after another and step by step: (1, T, D)."""
    found = []
    for words in chunks:
        ids, weights = [pipe.tokenizer.bos_token_id], [1.0]
        for text, weight in words:
            own = pipe.tokenizer(text, add_special_tokens=False).input_ids
            ids, weights = ids + own, weights + [weight] * len(own)
        ids += [pipe.tokenizer.eos_token_id] * (77 - len(ids))
        embeds = pipe.text_encoder(torch.tensor([ids])).last_hidden_state[0]
        mean = embeds.mean()
        for at, weight in enumerate(weights):
            embeds[at] *= weight
        found.append(embeds * (mean / embeds.mean()))
    return torch.cat(found)[None]


@torch.inference_mode()
@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("a red apple", [[("a red apple", 1.0)]]),
        ("a (red:1.3) apple", [[("a", 1.0), ("red", 1.3), ("apple", 1.0)]]),
        ("((red)) [cat]", [[("red", 1.21), ("cat", 1 / 1.1)]]),
        ("(blue:0) (dog:-0.5)", [[("blue", 0.0), ("dog", -0.5)]]),
        ("red BREAK (cat:1.5)", [[("red", 1.0)], [("cat", 1.5)]]),
        ("BREAK red", [[], [("red", 1.0)]]),
        ("a " * 75 + "(red:2)", [[("a " * 75, 1.0)], [("red", 2.0)]]),
        ("(" + "a " * 70 + ", red red, red red :1.4)", [[("a " * 70 + ", red red,", 1.4)], [("red red", 1.4)]]),
    ],
)
def test_weights_and_chunks_are_those_of_a_plain_reading(pipe: Any, text: str, chunks: Sequence[Words]) -> None:
    (embeds,) = embed(from_pipe(pipe), Prompt(text, "a1111"))
    assert embeds.shape == (1, 77 * len(chunks), 32)
    torch.testing.assert_close(embeds, reference(pipe, chunks), rtol=1e-5, atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("text", ["", "a red apple", "a cat, on the bench: red", "a " * 75])
def test_a_prompt_without_marks_has_the_bits_of_the_plain_one(pipe: Any, text: str) -> None:
    # Each first in its call: on some processors a row's bits depend on where in a call it stands.
    (plain,), (read,) = (embed(from_pipe(pipe), Prompt(text, syntax)) for syntax in ("plain", "a1111"))
    assert torch.equal(plain, read)


@torch.inference_mode()
def test_with_fixed_rows_company_changes_no_bit(bundle: ModelBundle) -> None:
    prompts = [
        Prompt("(red:1.3) apple " * 10, "a1111"),
        Prompt("a cat"),
        Prompt("a (dog) BREAK hat", "a1111"),
    ]
    together = embed(bundle, *prompts, rows_per_call=2)
    for prompt, found in zip(prompts, together, strict=True):
        assert torch.equal(embed(bundle, prompt, rows_per_call=2)[0], found)


@torch.inference_mode()
def test_a_mean_that_is_rounding_noise_is_not_restored(bundle: ModelBundle) -> None:
    """The norm of a fresh encoder leaves none."""
    plain, heavy, light = embed(
        bundle, Prompt("a cat"), Prompt("a (cat:1.5)", "a1111"), Prompt("(a cat:-1)", "a1111")
    )
    assert abs(plain.mean()) < 1e-6
    torch.testing.assert_close(heavy[0, 2], 1.5 * plain[0, 2])
    torch.testing.assert_close(heavy[0, 3:], plain[0, 3:])
    torch.testing.assert_close(light[0, 1:3], -plain[0, 1:3])


@torch.inference_mode()
@pytest.mark.parametrize("clip_skip", [0, 1, 2, 4])
def test_layers_are_left_out_as_in_diffusers(pipe: Any, clip_skip: int) -> None:
    bundle = from_pipe(pipe)
    if not hasattr(pipe.text_encoder, "text_model"):
        pipe.text_encoder.__dict__["text_model"] = (
            pipe.text_encoder
        )  # where diffusers 0.42 looks, before transformers 5
    expected = pipe.encode_prompt("a red apple", torch.device("cpu"), 1, False, clip_skip=clip_skip)[0]
    read, plain = (Prompt("a red apple", syntax, clip_skip) for syntax in ("a1111", "plain"))
    for embeds in embed(bundle, plain, read):
        torch.testing.assert_close(embeds, expected, rtol=1e-6, atol=1e-6)


@torch.inference_mode()
def test_leaving_out_none_is_the_last_layer(pipe: Any) -> None:
    bundle = from_pipe(pipe)
    none, one = embed(bundle, Prompt("a cat"), Prompt("a cat", clip_skip=1))
    assert not torch.allclose(none, one)
    torch.testing.assert_close(none, pipe.encode_prompt("a cat", torch.device("cpu"), 1, False)[0])


@pytest.mark.parametrize("clip_skip", [-1, 5, 100])
def test_a_layer_must_remain(pipe: Any, clip_skip: int) -> None:
    with pytest.raises(InvalidField, match=r"clip_skip: .* 5 layers"):
        check_clip_skip(clip_skip, from_pipe(pipe))


@torch.inference_mode()
def test_padding_is_not_seen_where_the_encoder_wants_it_so(bundle: ModelBundle) -> None:
    encoder = bundle.text_encoder
    seen = []

    class Watched(torch.nn.Module):
        config = type("Config", (), {"use_attention_mask": True})

        def forward(self, ids: torch.Tensor, attention_mask: torch.Tensor, **kwargs: Any) -> Any:
            seen.append(attention_mask.tolist())
            return encoder(ids, attention_mask=attention_mask, **kwargs)

    watched = replace(bundle, text_encoder=Watched())
    embed(watched, Prompt("a red apple"), Prompt("a (red:1.2) apple", "a1111"))
    assert seen == [[[1] * 5 + [0] * 11] * 2]
