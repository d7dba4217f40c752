"""What a frozen text encoder said is remembered, and no more than fits."""

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel

from retouch.train import embeddings
from retouch.train.embeddings import EmbeddingMemory


@pytest.fixture
def text_encoder() -> CLIPTextModel:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return CLIPTextModel(CLIPTextConfig(vocab_size=50, max_position_embeddings=8, **sizes)).eval()


def calls_of(text_encoder: CLIPTextModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    rows: list[int] = []
    plain = text_encoder.forward

    def counted(tokens: torch.Tensor) -> object:
        rows.append(len(tokens))
        return plain(tokens)

    monkeypatch.setattr(text_encoder, "forward", counted)
    return rows


def test_each_caption_is_read_once_in_calls_of_one_size(
    text_encoder: CLIPTextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = torch.randint(0, 50, (6, 8))
    expected = text_encoder(tokens)[0]
    rows, memory = calls_of(text_encoder, monkeypatch), EmbeddingMemory(text_encoder)
    first = memory.embed(tokens)
    torch.testing.assert_close(first, expected)
    assert not first.requires_grad
    assert torch.equal(memory.embed(tokens[[2, 0, 2]]), first[[2, 0, 2]])
    assert rows == [4, 4]


@pytest.mark.parametrize("is_cast", [False, True])
def test_no_bit_depends_on_who_is_read_beside_whom(text_encoder: CLIPTextModel, is_cast: bool) -> None:
    tokens = torch.randint(0, 50, (9, 8))
    with torch.autocast("cpu", torch.bfloat16, enabled=is_cast):
        together = EmbeddingMemory(text_encoder).embed(tokens)
        apart = torch.cat([EmbeddingMemory(text_encoder).embed(row[None]) for row in tokens])
    assert torch.equal(together, apart)


def test_a_caption_is_read_again_in_another_precision(text_encoder: CLIPTextModel) -> None:
    tokens, memory = torch.randint(0, 50, (2, 8)), EmbeddingMemory(text_encoder)
    with torch.autocast("cpu", torch.bfloat16):
        rough = memory.embed(tokens)
    exact = memory.embed(tokens)
    assert torch.equal(exact, EmbeddingMemory(text_encoder).embed(tokens))
    assert not torch.equal(exact, rough)


def test_the_longest_unused_is_forgotten(text_encoder: CLIPTextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "MOST_BYTES", 2 * 8 * 16 * 4)  # two captions
    tokens = torch.arange(24).view(3, 8)
    rows, memory = calls_of(text_encoder, monkeypatch), EmbeddingMemory(text_encoder)
    memory.embed(tokens[[0, 1]])
    memory.embed(tokens[[0, 2]])  # 1 is forgotten
    assert len(rows) == 2
    memory.embed(tokens[[0, 2]])
    assert len(rows) == 2
    memory.embed(tokens[[1]])
    assert len(rows) == 3
