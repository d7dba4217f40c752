"""From prompts to what they tell the UNet."""

from collections.abc import Callable
from typing import Any

import torch

from retouch.engine.calls import ModelCalls
from retouch.engine.settings import EngineSettings
from retouch.engine.text_stack import TextStack


@torch.inference_mode()
def test_prompts_are_embedded_as_diffusers_does(checkpoint: Callable[..., Any]) -> None:
    tiny = checkpoint()
    expected = tiny.pipe.encode_prompt("a red apple", torch.device("cpu"), 1, False)[0]
    (row,) = ModelCalls(tiny.bundle(), EngineSettings()).embed(["a red apple"])
    torch.testing.assert_close(row.embeds, expected)


@torch.inference_mode()
def test_each_prompt_has_a_row_in_their_order(checkpoint: Callable[..., Any]) -> None:
    text = TextStack(checkpoint().bundle())
    apple, cat = (text.encode([prompt]).embeds for prompt in ("a red apple", "a yellow cat"))
    torch.testing.assert_close(text.encode(["a yellow cat", "a red apple"]).embeds, torch.cat([cat, apple]))
