"""A plain diffusers loop on shards or a folder of pictures: what `benchmarks.train_compare` compares with."""

import argparse
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.one_phase import SIZE
from diffusers import DDPMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
from diffusers.training_utils import EMAModel
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset

from retouch.train.pictures import draw_mask

Example = tuple[torch.Tensor, torch.Tensor, str]


class StreamedShards(IterableDataset[Example]):
    """Shards as a loop without an index has them: from front to end, each worker its own, again and again."""

    def __init__(self, folder: Path) -> None:
        self._shards = sorted(folder.glob("*.tar"))

    def __iter__(self) -> Iterator[Example]:
        info = torch.utils.data.get_worker_info()
        mine = self._shards if info is None else self._shards[info.id :: info.num_workers]
        rng = np.random.default_rng(0 if info is None else info.id)
        while True:
            for shard in mine:
                yield from self._samples(shard, rng)

    def _samples(self, shard: Path, rng: np.random.Generator) -> Iterator[Example]:
        with tarfile.open(shard) as tar:
            for member in tar:
                content = tar.extractfile(member)
                assert content is not None
                if member.name.endswith(".jpg"):
                    pixels = cropped(Image.open(content), rng)
                else:
                    yield pixels, drawn(rng), content.read().decode()


class Photographs(Dataset[Example]):
    """A folder of pictures with a caption beside each."""

    def __init__(self, folder: Path) -> None:
        self._pictures = sorted(folder.glob("*.jpg"))

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, number: int) -> Example:
        path, rng = self._pictures[number], np.random.default_rng(torch.randint(2**31, ()).item())
        return cropped(Image.open(path), rng), drawn(rng), path.with_suffix(".txt").read_text()


def cropped(picture: Image.Image, rng: np.random.Generator) -> torch.Tensor:
    """Return a square of a picture, (3, h, w) in [-1, 1]."""
    left = int(rng.integers(picture.width - picture.height + 1))
    box = (left, 0, left + picture.height, picture.height)
    square = picture.convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS, box=box)
    return torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1).float() / 127.5 - 1.0


def drawn(rng: np.random.Generator) -> torch.Tensor:
    """Return a mask, (1, h, w)."""
    return torch.from_numpy(draw_mask(rng, SIZE, full_rate=0.25))[None].float()


def again_and_again(loader: DataLoader[Example]) -> Iterator[Any]:
    while True:
        yield from loader


class PlainLoop:
    """What diffusers' training examples do, put to inpainting: everything in each step, default layouts."""

    def __init__(self, checkpoint: Path, folder: Path, args: argparse.Namespace) -> None:
        pipeline = StableDiffusionInpaintPipeline.from_pretrained(checkpoint, torch_dtype=torch.float32)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.unet = pipeline.unet.to(self.device).train()
        self.vae, self.text = (part.to(self.device).eval() for part in (pipeline.vae, pipeline.text_encoder))
        self.tokenizer = pipeline.tokenizer
        self.schedule = DDPMScheduler.from_config(pipeline.scheduler.config)
        self.optimiser = torch.optim.AdamW(self.unet.parameters(), lr=1e-4, weight_decay=0.01)
        self.ema = EMAModel(self.unet.parameters(), model_cls=UNet2DConditionModel, model_config=self.unet.config)
        self.precision = args.precision
        is_folder = args.data == "folder"
        data = Photographs(folder) if is_folder else StreamedShards(folder)
        loader = DataLoader(
            data,
            batch_size=args.batch,
            num_workers=args.workers,
            shuffle=is_folder,
            drop_last=True,
            persistent_workers=args.workers > 0,
        )
        self.batches = again_and_again(loader)

    def step(self) -> float:
        pixels, mask, captions = next(self.batches)
        pixels, mask = pixels.to(self.device), mask.to(self.device)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16"):
            with torch.no_grad():
                latents, hidden = (self._encode(x) for x in (pixels, pixels * (mask < 0.5)))
                captions = ["" if torch.rand(()) < 0.1 else caption for caption in captions]
                tokens = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
                embeds = self.text(tokens.input_ids.to(self.device))[0]
            noise = torch.randn_like(latents)
            timesteps = torch.randint(0, 1000, (len(latents),), device=self.device)
            noisy = self.schedule.add_noise(latents, noise, timesteps)
            hole = F.interpolate(mask, size=latents.shape[-2:])
            prediction = self.unet(torch.cat([noisy, hole, hidden], dim=1), timesteps, embeds).sample
        target = self.schedule.get_velocity(latents, noise, timesteps)
        loss = F.mse_loss(prediction.float(), target.float())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.ema.step(self.unet.parameters())
        return loss.item()

    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        latents: torch.Tensor = self.vae.encode(pixels).latent_dist.sample() * self.vae.config.scaling_factor
        return latents
