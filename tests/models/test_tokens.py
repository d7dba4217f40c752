"""Prompts are tokenized right from several threads at once."""

from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

from transformers import CLIPTokenizer

from retouch.models.tokens import all_ids, padded_tokens


def test_counting_a_prompt_does_not_disturb_the_padding_of_others() -> None:
    tokenizer = CLIPTokenizer.from_pretrained(str(files("retouch.models") / "pocket" / "tokenizer"))
    prompts = ["a red apple", "a photo of a blue cat in a meadow, high resolution"]
    lengths = [len(all_ids(prompt, tokenizer)) for prompt in prompts]

    def work(turn: int) -> bool:
        if turn % 2:
            return [len(all_ids(prompt, tokenizer)) for prompt in prompts] == lengths
        return padded_tokens(prompts, tokenizer).input_ids.shape == (2, tokenizer.model_max_length)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(2000)))
