"""Packed embeddings that stay the same tensor."""

import torch

from retouch.engine.contexts import Contexts


def test_the_same_rows_give_the_very_same_tensor() -> None:
    contexts, rows = Contexts(2), [torch.randn(3, 4) for _ in range(3)]
    packed = contexts.packed(rows)
    assert torch.equal(packed, torch.stack(rows))
    assert contexts.packed(list(rows)) is packed


def test_other_rows_and_another_order_are_packed_anew() -> None:
    contexts, (first, second) = Contexts(4), (torch.randn(3, 4), torch.randn(3, 4))
    contexts.packed([first, second])
    assert torch.equal(contexts.packed([second, first]), torch.stack([second, first]))
    # Equal numbers in another tensor may change on their own: only the tensor itself is known.
    again = contexts.packed([first.clone(), second])
    assert again is not contexts.packed([first, second])


def test_only_the_latest_are_kept() -> None:
    contexts = Contexts(2)
    first, second, third = ([torch.randn(3, 4)] for _ in range(3))
    kept = contexts.packed(first)
    contexts.packed(second)
    assert contexts.packed(first) is kept
    contexts.packed(third)
    assert contexts.packed(first) is kept
    dropped = contexts.packed(second)
    assert torch.equal(dropped, torch.stack(second))
    contexts.packed(third)
    assert contexts.packed(first) is not kept


def test_no_tensor_is_mistaken_for_one_that_is_gone() -> None:
    contexts = Contexts(1)
    for number in range(50):  # each may be put where the last one was
        row = torch.full((2, 2), float(number))
        assert float(contexts.packed([row])[0, 0, 0]) == number
