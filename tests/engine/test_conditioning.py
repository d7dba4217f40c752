"""What the text tells the UNet, carried as one value."""

import torch

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
