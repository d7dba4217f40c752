"""The trajectory: one plan on its way from noise to picture, owner of all that is its own."""

import hashlib
from collections.abc import Callable, Hashable, Sequence
from types import MappingProxyType

import torch

from retouch.engine.calls import UnetRow
from retouch.engine.conditioning import Conditioning
from retouch.engine.hole import latent_cells
from retouch.engine.plan import Plan
from retouch.engine.sampler import Course, predict_x0
from retouch.engine.samplers import resolve_sampler
from retouch.engine.scheduler import Stage
from retouch.engine.text_stack import check_clip_skip
from retouch.engine.ticket import Denoised, Progress
from retouch.errors import InvalidField, RetouchError
from retouch.models.bundle import ModelBundle
from retouch.prompts import Prompt, check_prompt


class Trajectory:
    """One plan on its way. The engine's thread mutates it; `is_cancelled` and `progress` are for any thread.

    Tensors of latents are (1, C, h, w) fp32 on the bundle's device.

    Attributes:
        kind, since: what it waits for, and since when.
        pictures_key: equal where `pictures` are.
        is_cancelled: set by the caller, seen before the next call.
        failure, result: how it ended; neither while it is on its way.
        seconds: before the first call (`queued`), and inside the calls it shared, by kind.
    """

    def __init__(self, plan: Plan, bundle: ModelBundle, *, since: float) -> None:
        """Settle all that can be wrong with a plan, before anything is queued.

        Raises:
            InvalidField: the sides do not divide, a prompt cannot be read, or the scheduler does not exist or does
                not take the steps.
        """
        check_sides(plan, bundle)
        check_clip_skip(plan.clip_skip, bundle)
        for name in ("prompt", "negative_prompt"):
            check_prompt(getattr(plan, name), plan.prompt_syntax, field=name)
        self.plan = plan
        self.kind = Stage.TEXT
        self.since = self.submitted = since
        self.is_cancelled = False
        self.failure: RetouchError | None = None
        self.result: Denoised | None = None
        self.seconds: dict[str, float] = {}
        self.calls_done = 0
        self.conditioning: tuple[Conditioning, ...] = ()
        self._bundle = bundle
        course = Course(plan.num_inference_steps, plan.strength, exact_reference=plan.reference)
        self._sampler = resolve_sampler(plan.scheduler, bundle).build(bundle, course)
        # Noise never depends on the device: always the CPU's generator, in fp32.
        self._generator = torch.Generator().manual_seed(plan.seed)
        self._guidance = _guidance_embedding(plan, bundle)
        self._is_guided = plan.guidance_scale > 1.0 and self._guidance is None
        self._needs_image = bundle.needs_image(plan.strength)
        content = _digest(plan.image), _digest(plan.mask)
        self.pictures_key: Hashable = (content, self._needs_image)
        height, width = (side // bundle.vae_factor for side in plan.image.shape[1:])
        self._shape = (1, bundle.latent_channels, height, width)
        self._latents = self._noise = self._image_latents = self._extra = torch.empty(0)
        self._cells = torch.empty(0)
        self._latest: tuple[torch.Tensor, torch.Tensor, tuple[float, float]] | None = None

    @property
    def total_calls(self) -> int:
        return len(self._sampler.timesteps)

    @property
    def unet_rows(self) -> int:
        """Return the rows that it brings to a UNet call: two when guided."""
        return 2 if self._is_guided else 1

    @property
    def calls_left(self) -> int:
        return self.total_calls - self.calls_done

    @property
    def size_bytes(self) -> int:
        return self.plan.size_bytes

    @property
    def is_background(self) -> bool:
        return self.plan.is_background

    @property
    def rows(self) -> int:
        """Return the rows that it brings to the call it waits for."""
        if self.kind is Stage.PICTURES:
            return self._needs_image + (self._bundle.kind == "concat")
        return 1 if self.kind is Stage.DECODE else self.unet_rows

    @property
    def key(self) -> Hashable:
        """Return what must be equal for the call it waits for to be shared."""
        if self.kind is Stage.TEXT:
            return self.plan.batch_key
        if self.kind is Stage.STEP:
            return (self._shape, self.conditioning[0].key, self.plan.batch_key)
        return self._shape

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Return the prompts of its rows: the negative one first where guidance is on."""
        plan = self.plan
        prompt = Prompt(plan.prompt, plan.prompt_syntax, plan.clip_skip)
        if not self._is_guided:
            return (prompt,)
        # diffusers leaves the layers out for the prompt alone, all others for both.
        skip = 0 if plan.reference else plan.clip_skip
        return Prompt(plan.negative_prompt, plan.prompt_syntax, skip), prompt

    def take_conditioning(self, conditioning: Sequence[Conditioning]) -> None:
        """Take what each of `prompts` tells the UNet, one row each, however long."""
        self.conditioning = tuple(Conditioning.evened(conditioning))
        self.kind = Stage.PICTURES

    def pictures(self) -> list[torch.Tensor]:
        """Return the (3, H, W) pictures to encode: the image only where it will be used, then the masked image."""
        plan, pictures = self.plan, []
        if self._needs_image:
            pictures.append(plan.image)
        if self._bundle.kind == "concat":
            pictures.append(plan.masked_image)
        return pictures

    def take_posteriors(self, posteriors: torch.Tensor) -> None:
        """Take (pictures, 2 C, h, w) posteriors of `pictures`, or their latents; make the first latents.

        The draws are diffusers' own order in the reference mode (image, noise, masked image, sampler). Else only
        the noise is drawn, so that strength and checkpoint do not change the noise of a seed.
        """
        plan, bundle = self.plan, self._bundle
        self._cells = latent_cells(plan.mask, plan.latent_mask, bundle.vae_factor)[None].to(bundle.device)
        if self._needs_image:
            self._image_latents = self._latents_of(posteriors[:1])
        self._noise = self._draw()
        if bundle.kind == "concat":
            self._extra = torch.cat([self._cells, self._latents_of(posteriors[-1:])], dim=1)
        elif plan.reference and self._is_posterior(posteriors):
            self._draw()  # diffusers samples the masked image for a 4-channel UNet, too, and never uses it
        if self._needs_image and plan.masked_content != "original":
            content = self._draw() if plan.masked_content == "noise" else torch.zeros_like(self._noise)
            self._image_latents = torch.where(self._cells > 0.5, content, self._image_latents)
        self._latents = self._sampler.start(self._noise, self._image_latents if self._needs_image else None)
        self.kind = Stage.STEP

    def unet_rows_now(self) -> list[UnetRow]:
        """Return its rows of the next UNet call, the one without the prompt first."""
        sample = self._sampler.scale_input(self._latents, self.calls_done)
        if self._bundle.kind == "concat":
            sample = torch.cat([sample, self._extra], dim=1)
        timestep = self._sampler.timesteps[self.calls_done]
        return [UnetRow(sample[0], timestep, text, self._guidance) for text in self.conditioning]

    def take_predictions(self, rows: Sequence[UnetRow], predictions: torch.Tensor) -> None:
        """Take (unet_rows, C, h, w) predictions for `rows` and make the step."""
        prediction = predictions[:1]
        if self._is_guided:
            prediction = prediction + self.plan.guidance_scale * (predictions[1:] - prediction)
        index = self.calls_done
        latents = self._sampler.step(prediction, self._latents, index, self._generator)
        if self._bundle.kind == "blend":
            kept = self._sampler.renoise(self._image_latents, self._noise, index)
            latents = torch.where(self._cells > 0.5, latents, kept)
        self._latents = latents
        self._latest = (rows[0].sample[: self._shape[1]], prediction[0], self._sampler.level(index))
        self.calls_done += 1
        if self.calls_done == self.total_calls:
            self.kind = Stage.DECODE

    def final_latents(self) -> torch.Tensor:
        """Return (C, h, w), to be decoded."""
        return self._latents[0]

    def take_image(self, image: torch.Tensor, *, rows_per_call: int) -> None:
        """Take the decoded (3, H, W) in about [-1, 1]: the end."""
        self.result = Denoised(
            image=(image / 2 + 0.5).clamp(0.0, 1.0).contiguous().cpu(),
            latents=self._latents[0].cpu(),
            seed=self.plan.seed,
            calls=self.calls_done,
            rows_per_call=rows_per_call,
            timings_s=MappingProxyType(self.seconds),
        )

    def progress(self) -> Progress:
        """Return how far it is; from any thread."""
        return Progress(self.calls_done, self.total_calls, self._x0(), self._bundle.preview_matrix)

    def _x0(self) -> Callable[[], torch.Tensor] | None:
        latest = self._latest
        if latest is None:
            return None
        sample, prediction, level = latest
        return lambda: predict_x0(self._bundle.prediction_type, prediction, sample, level)

    def _draw(self) -> torch.Tensor:
        noise = torch.randn(self._shape, generator=self._generator, dtype=torch.float32)
        return noise.to(self._bundle.device)

    def _latents_of(self, posteriors: torch.Tensor) -> torch.Tensor:
        """Return scaled latents of one posterior: its mean, or a sample where the reference is wanted."""
        mean, log_variance = posteriors[:, : self._shape[1]], posteriors[:, self._shape[1] :]
        if self.plan.reference and self._is_posterior(posteriors):
            mean = mean + torch.exp(0.5 * log_variance.clamp(-30.0, 20.0)) * self._draw()
        return (mean - self._bundle.shift_factor) * self._bundle.scaling_factor

    def _is_posterior(self, encoded: torch.Tensor) -> bool:
        return encoded.shape[1] > self._shape[1]


def _digest(picture: torch.Tensor) -> tuple[torch.Size, bytes]:
    """Return what tells a picture from another: its shape, and a hash of its samples."""
    return picture.shape, hashlib.sha256(picture.contiguous().numpy().data).digest()


def check_sides(plan: Plan, bundle: ModelBundle) -> None:
    """Check that the picture's sides divide by the bundle's size multiple.

    Raises:
        InvalidField: one does not.
    """
    height, width = plan.image.shape[1:]
    multiple = bundle.size_multiple
    if height % multiple or width % multiple:
        raise InvalidField("image", f"is {width}x{height}", hint=f"pad the sides to multiples of {multiple}")


def _guidance_embedding(plan: Plan, bundle: ModelBundle) -> torch.Tensor | None:
    """Return the sinusoidal embedding of the guidance scale that distilled UNets take as an input, else None.

    Formula: google-research/vdm, model_vdm.py, as diffusers' pipelines use it (scale 1000, base 10000).
    """
    width = getattr(bundle.unet.config, "time_cond_proj_dim", None)
    if width is None:
        return None
    half = width // 2
    rates = torch.exp(torch.arange(half, dtype=torch.float32) * -(torch.tensor(10000.0).log() / (half - 1)))
    angles = 1000.0 * (plan.guidance_scale - 1.0) * rates
    embedding = torch.cat([angles.sin(), angles.cos()])
    return torch.nn.functional.pad(embedding, (0, width - 2 * half)).to(bundle.device, bundle.dtype)
