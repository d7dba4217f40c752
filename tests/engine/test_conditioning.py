"""What the text tells the UNet, carried as one value."""

import torch
from tests.factories import tiny_unet

from retouch.engine.conditioning import Conditioning


def conditioning(count: int) -> Conditioning:
    return Conditioning(torch.randn(count, 3, 4), {"text_embeds": torch.randn(count, 5)})


def test_rows_joined_again_are_the_whole() -> None:
    whole = conditioning(3)
    again = Conditioning.joined(whole.rows())
    assert len(again) == 3
    assert torch.equal(again.flat(), whole.flat())
    assert torch.equal(again.added["text_embeds"], whole.added["text_embeds"])


def test_a_row_has_memory_of_its_own() -> None:
    whole = conditioning(2)
    row = whole.rows()[1]
    whole.embeds.zero_()
    assert row.embeds.abs().sum() > 0
    assert row.embeds.untyped_storage().nbytes() == 3 * 4 * 4


def test_only_rows_of_equal_shapes_and_parts_share_a_call() -> None:
    one, other = conditioning(1), conditioning(2)
    assert one.key == other.key
    assert one.key != Conditioning(one.embeds).key
    assert one.key != Conditioning(torch.randn(1, 6, 4), one.added).key


def test_a_unet_is_given_no_added_conditions_where_there_are_none() -> None:
    plain = Conditioning(torch.randn(1, 3, 4))
    assert plain.unet_inputs().keys() == {"encoder_hidden_states"}
    assert conditioning(1).unet_inputs()["added_cond_kwargs"].keys() == {"text_embeds"}


def test_parts_in_a_row_are_read_one_after_another() -> None:
    first, second = conditioning(2).rows()
    strung = Conditioning.strung([first, second])
    assert torch.equal(strung.embeds, torch.cat([first.embeds, second.embeds], dim=1))
    assert torch.equal(strung.added["text_embeds"], first.added["text_embeds"])


def test_parts_of_one_length_stay_as_they_are() -> None:
    parts = conditioning(2).rows()
    assert Conditioning.evened(parts) == parts


@torch.inference_mode()
def test_what_evens_the_lengths_tells_the_unet_nothing() -> None:
    unet = tiny_unet().eval()
    parts = [Conditioning(torch.randn(1, tokens, 32)) for tokens in (16, 48, 32)]
    even = Conditioning.evened(parts)
    assert len({part.key for part in even}) == 1
    sample, timesteps = torch.randn(3, 9, 8, 8), torch.tensor([9.0, 500.0, 999.0])
    together = unet(sample, timesteps, **Conditioning.joined(even).unet_inputs()).sample
    for at, part in enumerate(parts):
        alone = unet(sample[at : at + 1], timesteps[at : at + 1], **part.unet_inputs()).sample
        torch.testing.assert_close(together[at : at + 1], alone, rtol=1e-4, atol=1e-5)


def test_a_mask_goes_with_its_row_and_keeps_others_out_of_the_call() -> None:
    short, long = Conditioning.evened([Conditioning(torch.randn(1, tokens, 4)) for tokens in (3, 6)])
    whole = Conditioning.joined([short, long])
    assert whole.mask is not None
    assert whole.mask.tolist() == [[True] * 3 + [False] * 3, [True] * 6]
    again = whole.rows()[0]
    assert again.mask is not None
    assert again.mask.tolist() == [[True] * 3 + [False] * 3]
    assert long.key != Conditioning(long.embeds).key
