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


def test_each_caption_is_read_once_and_by_itself(
    text_encoder: CLIPTextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = torch.randint(0, 50, (3, 8))
    expected = text_encoder(tokens)[0]
    rows, memory = calls_of(text_encoder, monkeypatch), EmbeddingMemory(text_encoder)
    first = memory.embed(tokens)
    torch.testing.assert_close(first, expected)
    assert not first.requires_grad
    assert torch.equal(memory.embed(tokens[[2, 0, 2]]), first[[2, 0, 2]])
    assert rows == [1, 1, 1]


def test_the_longest_unused_is_forgotten(text_encoder: CLIPTextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "MOST_BYTES", 2 * 8 * 16 * 4)  # two captions
    tokens = torch.arange(24).view(3, 8)
    rows, memory = calls_of(text_encoder, monkeypatch), EmbeddingMemory(text_encoder)
    memory.embed(tokens[[0, 1, 0, 2]])  # 1 is forgotten
    assert len(rows) == 3
    memory.embed(tokens[[0, 2]])
    assert len(rows) == 3
    memory.embed(tokens[[1]])
    assert len(rows) == 4
