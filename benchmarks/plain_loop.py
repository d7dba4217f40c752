"""A plain diffusers loop on shards of pictures: what `benchmarks.train_shards` compares with."""

import argparse
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
from diffusers.training_utils import EMAModel
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

from retouch.train.pictures import draw_mask

SIZE = 128


class StreamedShards(IterableDataset[tuple[torch.Tensor, torch.Tensor, str]]):
    """Shards as a loop without an index has them: from front to end, each worker its own, again and again."""

    def __init__(self, folder: Path) -> None:
        self._shards = sorted(folder.glob("*.tar"))

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, str]]:
        info = torch.utils.data.get_worker_info()
        mine = self._shards if info is None else self._shards[info.id :: info.num_workers]
        rng = np.random.default_rng(0 if info is None else info.id)
        while True:
            for shard in mine:
                yield from self._samples(shard, rng)

    def _samples(self, shard: Path, rng: np.random.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor, str]]:
        with tarfile.open(shard) as tar:
            for member in tar:
                content = tar.extractfile(member)
                assert content is not None
                if member.name.endswith(".jpg"):
                    image = Image.open(content).convert("RGB")
                    left = int(rng.integers(image.width - image.height + 1))
                    box = (left, 0, left + image.height, image.height)
                    square = image.resize((SIZE, SIZE), Image.Resampling.LANCZOS, box=box)
                    pixels = torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1).float() / 127.5 - 1.0
                else:
                    mask = torch.from_numpy(draw_mask(rng, SIZE, full_rate=0.25))[None].float()
                    yield pixels, mask, content.read().decode()


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
        loader = DataLoader(StreamedShards(folder), batch_size=args.batch, num_workers=args.workers)
        self.batches = iter(loader)

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
