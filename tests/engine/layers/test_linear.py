"""Linear layers by oneDNN, and what is computed once for a context."""

import gc
import weakref
from dataclasses import replace

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from diffusers.models.embeddings import TextTimeEmbedding
from tests.engine.layers.everywhere import EVERYWHERE, tuned_part

from retouch.engine.layers.linear import ContextEmbedding, ContextLinear, FastLinear, linear


def test_linear_is_the_plain_one() -> None:
    x, weight, bias = torch.randn(2, 5, 8), torch.randn(7, 8), torch.randn(7)
    torch.testing.assert_close(linear(x, weight, bias), F.linear(x, weight, bias), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(linear(x, weight, None), F.linear(x, weight), rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_a_linear_layer_gives_the_same_numbers_however_much_it_multiplies() -> None:
    plain = torch.nn.Linear(8, 5)
    x = torch.randn(3, 7, 8)
    for products in (1, 10**9):
        fast = tuned_part(plain, replace(EVERYWHERE, linear_products=products))
        assert type(fast) is FastLinear
        torch.testing.assert_close(fast(x), plain(x))


@torch.inference_mode()
def test_keys_and_values_of_a_context_are_computed_once() -> None:
    plain = Attention(query_dim=8, cross_attention_dim=6, heads=2, dim_head=4).eval()
    fast = tuned_part(plain, EVERYWHERE)
    assert type(fast.to_k) is type(fast.to_v) is ContextLinear
    assert type(fast.to_q) is FastLinear
    x, context, other = torch.randn(2, 9, 8), torch.randn(2, 5, 6), torch.randn(2, 5, 6)
    for given in (context, other, context):
        torch.testing.assert_close(fast(x, given), plain(x, given), rtol=1e-5, atol=1e-6)
    assert fast.to_k(context) is fast.to_k(context)
    assert fast.to_k(context) is not fast.to_k(other)


@torch.inference_mode()
def test_self_attention_remembers_nothing() -> None:
    fast = tuned_part(Attention(query_dim=8, heads=2, dim_head=4), EVERYWHERE)
    assert type(fast.to_k) is FastLinear


@torch.inference_mode()
def test_a_pooled_context_is_computed_once() -> None:
    plain = TextTimeEmbedding(8, 6, num_heads=2).eval()
    fast, context = tuned_part(plain, EVERYWHERE), torch.randn(2, 5, 8)
    assert type(fast) is ContextEmbedding
    torch.testing.assert_close(fast(context), plain(context), rtol=1e-5, atol=1e-6)
    assert fast(context) is fast(context)


@torch.inference_mode()
def test_what_was_made_of_a_context_goes_with_it() -> None:
    fast = tuned_part(TextTimeEmbedding(8, 6, num_heads=2), EVERYWHERE)
    context = torch.randn(2, 5, 8)
    made = weakref.ref(fast(context))
    assert made() is not None
    del context
    gc.collect()
    assert made() is None
