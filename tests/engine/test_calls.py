"""Calls of the models: packed, padded, taken apart."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from hypothesis import given
from hypothesis import strategies as st
from tests.factories import tiny_asymmetric_vae

from retouch.engine.calls import Contexts, ModelCalls, UnetRow, chunks, finite_rows
from retouch.engine.conditioning import Conditioning
from retouch.engine.layers.blocks import FastResnetBlock2D
from retouch.engine.layers.linear import ContextLinear, FastLinear, _OncePerContext
from retouch.engine.scheduler import Stage
from retouch.engine.settings import EngineSettings
from retouch.engine.workers import gnu_runtime
from retouch.models.bundle import ModelBundle


def rows_of(count: int) -> list[UnetRow]:
    generator = torch.Generator().manual_seed(0)
    return [
        UnetRow(
            torch.randn(9, 8, 8, generator=generator),
            999.0 - n,
            Conditioning(torch.randn(1, 16, 32, generator=generator)),
        )
        for n in range(count)
    ]


@torch.inference_mode()
def test_rows_come_back_in_order_whatever_the_calls_hold(bundle: ModelBundle) -> None:
    rows = rows_of(5)
    whole = ModelCalls(bundle, EngineSettings()).predict(rows)
    cut = ModelCalls(bundle, EngineSettings(rows_per_call=2)).predict(rows)
    assert whole.shape == (5, 4, 8, 8)
    torch.testing.assert_close(cut, whole, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_unet_sees_what_diffusers_would_give_it(bundle: ModelBundle) -> None:
    row = rows_of(1)[0]
    expected = bundle.unet(row.sample[None], 999, encoder_hidden_states=row.conditioning.embeds).sample
    torch.testing.assert_close(ModelCalls(bundle, EngineSettings()).predict([row]), expected, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_fixed_calls_all_have_the_same_number_of_rows(watched: Callable[..., ModelBundle]) -> None:
    seen: list[int] = []
    calls = ModelCalls(watched(lambda _, sample: seen.append(len(sample))), EngineSettings(rows_per_call=4))
    calls.predict(rows_of(6))
    calls.predict(rows_of(1))
    assert seen == [4, 4, 4]
    assert calls.rows[Stage.STEP] == 7
    assert calls.calls[Stage.STEP] == 3


class Uneven(FastLinear):
    """A linear layer whose numbers depend on how many threads compute it."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input) * torch.get_num_threads()


class UnevenContext(_OncePerContext, Uneven):
    """The same for keys and values, which are remembered: what one number of threads made, another may find."""


@torch.inference_mode()
@pytest.mark.skipif(gnu_runtime() is None, reason="threads are the user's alone")
def test_keys_and_values_are_part_of_what_fewer_threads_are_compared_on(bundle: ModelBundle) -> None:
    known = rows_of(2)

    def predictions(wanted: list[int]) -> list[torch.Tensor]:
        numbers = iter(wanted)
        calls = ModelCalls(bundle, EngineSettings(), threads=lambda _most: next(numbers))
        for layer in calls._unet.modules():
            if isinstance(layer, ContextLinear):
                layer.__class__ = UnevenContext
        return [calls.predict(rows) for rows in (known, known, rows_of(2))]

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for busy, quiet in zip(predictions([2, 1, 1]), predictions([2, 2, 2])):
            assert torch.equal(busy, quiet)
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
def test_free_calls_are_cut_at_the_row_cap_and_not_padded(watched: Callable[..., ModelBundle]) -> None:
    seen: list[int] = []
    calls = ModelCalls(watched(lambda _, sample: seen.append(len(sample)), row_cap=4), EngineSettings())
    calls.predict(rows_of(6))
    assert seen == [4, 2]


@torch.inference_mode()
def test_convolutions_get_their_input_channels_last(watched: Callable[..., ModelBundle]) -> None:
    seen: list[bool] = []

    def watch(_: int, sample: torch.Tensor) -> None:
        seen.append(sample.is_contiguous(memory_format=torch.channels_last))

    bundle = watched(watch)
    ModelCalls(bundle, EngineSettings()).predict(rows_of(2))
    assert seen == [True]


@torch.inference_mode()
def test_decode_undoes_encode_scaling(bundle: ModelBundle) -> None:
    calls = ModelCalls(replace(bundle, shift_factor=0.5), EngineSettings())
    latents = torch.randn(1, 4, 8, 8)
    expected = bundle.vae.decode(latents / bundle.scaling_factor + 0.5).sample
    torch.testing.assert_close(calls.decode([latents[0]]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf")])
def test_one_number_makes_its_row_not_finite_and_no_other(poison: float) -> None:
    rows = torch.randn(3, 4, 8, 8)
    rows[1, 2, 3, 4] = poison
    assert finite_rows(rows) == [True, False, True]


@torch.inference_mode()
@pytest.mark.parametrize("fails", [False, True])
def test_scratch_memory_is_given_back_after_a_vae_call(fails: bool, bundle: ModelBundle) -> None:
    calls = ModelCalls(bundle, EngineSettings())
    calls._scratch.empty("passing", (3,))
    if fails:
        with pytest.raises(RuntimeError):
            calls.decode([torch.zeros(7, 8, 8)])
    else:
        calls.decode([torch.zeros(4, 8, 8)])
    assert not calls._scratch._buffers


class _LooksTwice(AutoencoderKL):  # type: ignore[misc]  # diffusers has no types
    """May do with what a block was given whatever it likes."""


@pytest.mark.parametrize("kind", [AutoencoderKL, _LooksTwice])
def test_only_a_known_vae_lets_its_blocks_add_in_place(kind: type[AutoencoderKL], bundle: ModelBundle) -> None:
    calls = ModelCalls(replace(bundle, vae=kind(**bundle.vae.config).eval()), EngineSettings())
    blocks = [module for module in calls._vae.modules() if isinstance(module, FastResnetBlock2D)]
    assert blocks
    assert all(block.tuning.owns_residuals == (kind is AutoencoderKL) for block in blocks)
    assert not any(
        getattr(module, "tuning", None) and module.tuning.owns_residuals for module in calls._unet.modules()
    )


@torch.inference_mode()
@pytest.mark.parametrize("settings", [EngineSettings(), EngineSettings(rows_per_call=4, vae_rows=2)])
def test_a_decoder_that_looks_at_kept_pixels_is_given_each_rows_own(
    settings: EngineSettings, bundle: ModelBundle
) -> None:
    vae = tiny_asymmetric_vae().eval()
    generator = torch.Generator().manual_seed(0)
    latents = list(torch.randn(3, 4, 8, 8, generator=generator))
    kept = list(zip(torch.rand(3, 3, 32, 32), (torch.rand(3, 1, 32, 32) > 0.5).float()))
    decoded = ModelCalls(replace(bundle, vae=vae), settings).decode(latents, kept)
    for row, (image, mask), ours in zip(latents, kept, decoded):
        unscaled = row[None] / bundle.scaling_factor
        theirs = vae.decode(unscaled, image=image[None], mask=mask[None]).sample[0]
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def text(*numbers: float) -> list[Conditioning]:
    """Return a row for each number, which it holds everywhere."""
    return [Conditioning(torch.full((1, 3, 4), number)) for number in numbers]


def test_the_same_rows_give_the_very_same_tensor() -> None:
    contexts, rows = Contexts(2), text(1, 2, 3)
    packed = contexts.packed(rows)
    assert torch.equal(packed.embeds, torch.cat([row.embeds for row in rows]))
    assert contexts.packed(list(rows)) is packed


def test_other_rows_and_another_order_are_packed_anew() -> None:
    contexts, (first, second) = Contexts(4), text(1, 2)
    contexts.packed([first, second])
    assert torch.equal(contexts.packed([second, first]).embeds, torch.cat([second.embeds, first.embeds]))
    # Equal numbers in another value may change on their own: only the value itself is known.
    again = contexts.packed([*text(1), second])
    assert again is not contexts.packed([first, second])


def test_only_the_latest_are_kept() -> None:
    contexts = Contexts(2)
    first, second, third = ([row] for row in text(1, 2, 3))
    kept = contexts.packed(first)
    contexts.packed(second)
    assert contexts.packed(first) is kept
    contexts.packed(third)
    assert contexts.packed(first) is kept
    dropped = contexts.packed(second)
    assert torch.equal(dropped.embeds, second[0].embeds)
    contexts.packed(third)
    assert contexts.packed(first) is not kept


def test_no_row_is_mistaken_for_one_that_is_gone() -> None:
    contexts = Contexts(1)
    for number in range(50):  # each may be put where the last one was
        assert float(contexts.packed(text(number)).embeds[0, 0, 0]) == number


@given(st.lists(st.integers()), st.integers(1, 5))
def test_chunks_keep_every_row_in_order(rows: list[int], size: int) -> None:
    parts = list(chunks(rows, size))
    assert [row for part in parts for row in part] == rows
    assert all(len(part) == size for part in parts[:-1])


@torch.inference_mode()
def test_a_unet_gets_all_that_its_family_takes_from_the_text(bundle: ModelBundle) -> None:
    # Given a UNet that wants a pooled output and sizes beside the embeddings, as SDXL's does.
    config = {**bundle.unet.config, "addition_embed_type": "text_time", "addition_time_embed_dim": 8}
    unet = UNet2DConditionModel(**{**config, "projection_class_embeddings_input_dim": 6 * 8 + 5}).eval()
    added = {"text_embeds": torch.randn(2, 5), "time_ids": torch.randn(2, 6)}
    both = Conditioning(torch.randn(2, 16, 32), added)
    sample = torch.randn(9, 8, 8)
    # When its rows are carried one by one and joined for a call,
    rows = [UnetRow(sample, 999.0, row) for row in both.rows()]
    made = ModelCalls(replace(bundle, unet=unet), EngineSettings()).predict(rows)
    # Then the UNet predicts what it predicts for the whole.
    expected = unet(
        torch.stack([sample, sample]), 999, encoder_hidden_states=both.embeds, added_cond_kwargs=added
    ).sample
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-5)
