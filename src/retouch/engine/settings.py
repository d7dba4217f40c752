"""Settings of the engine: how it packs calls, and how much may wait."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How one engine packs calls, and how much may wait.

    Attributes:
        rows_per_call: 0 packs up to the bundle's row cap; R pads every UNet call to exactly R rows, so that a
            picture's bits do not depend on its company.
        vae_rows: most pictures in one VAE call, to which calls are padded where `rows_per_call` is fixed; 0 is a
            quarter of the UNet's rows: a picture's activations in the VAE weigh several times a row's.
        max_queued_rows: UNet rows of all who are not done.
        max_queued_bytes: memory of the pictures of all who are not done.
        active_calls: UNet calls' worth of rows that take turns; who comes later waits for a place. More of them
            means shorter waits for a first step and longer ones for the last.
        remembered_prompts: embeddings that are kept for prompts that come again.
        remembered_pictures: posteriors that are kept for pictures that come again with the same mask.
        is_tuned: run faster layers where there are some for the device; the numbers differ by rounding only.
    """

    rows_per_call: int = 0
    vae_rows: int = 0
    max_queued_rows: int = 256
    max_queued_bytes: int = 2 * 2**30
    active_calls: int = 4
    remembered_prompts: int = 64
    remembered_pictures: int = 64
    is_tuned: bool = True
