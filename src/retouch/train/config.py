"""The training recipe as a validated YAML file: unknown keys are errors."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from retouch.data.mixture import MIXTURES, MixtureName
from retouch.errors import InvalidField
from retouch.imaging.choices import Continuation, SeamMode

Rate = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TextConfig(Section):
    """The text encoder: a folder or hub id, or a fresh one of these sizes."""

    pretrained: str | None = None
    width: Count = 192
    layers: Count = 2
    heads: Count = 4


class LoraConfig(Section):
    """Low-rank adapters on the UNet's attention instead of full training (Hu et al. 2021, arXiv:2106.09685)."""

    rank: Count = 16
    alpha: float = 16.0
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")


class ModelConfig(Section):
    """What is trained.

    `pretrained` is a checkpoint as `retouch inpaint --model` takes it: `pocket`, a folder, a file or a hub id.
    Every part comes from there, but for a VAE's file or folder in `vae` and a text encoder's in `text.pretrained`;
    one of `retouch train text` can be told by scenes what to sketch. Without it the UNet is built from `unet`
    (diffusers' own arguments), the text encoder from `text`; `vae` and `tokenizer` are folders or hub ids.
    """

    pretrained: str | None = None
    allow_pickle: bool = False
    """Also read `.ckpt` and `.bin` files of `pretrained`, weights only."""
    unet: dict[str, Any] | None = None
    text: TextConfig = TextConfig()
    vae: str | None = None
    tokenizer: str | None = None
    prediction_type: Literal["epsilon", "v_prediction"] | None = None
    """What a fresh UNet predicts, `epsilon` if not given. One of `pretrained` predicts what its scheduler says."""
    train_text_encoder: bool = False
    gradient_checkpointing: bool = False
    compile: bool = False
    widen_first: bool = False
    """Widen the UNet's input before the first phase instead of between the phases. The weights come out the same;
    a compiled model is compiled once."""
    lora: LoraConfig | None = None

    @model_validator(mode="after")
    def _has_a_source(self) -> "ModelConfig":
        if self.pretrained is None and (self.unet is None or self.vae is None or self.tokenizer is None):
            raise ValueError("without `pretrained`, give `unet`, `vae` and `tokenizer`")
        return self


class PoolConfig(Section):
    """Examples that are kept on the device while worker processes bring new ones for the oldest."""

    slots: Count = 16_384
    ready: Count = 2048
    """So many are there before the first step."""
    workers: Count = 1


class PicturesConfig(Section):
    """How the pictures of a folder become examples."""

    caption: str | None = None
    """For pictures that have none of their own."""
    held_out: Rate | tuple[str, ...] = 0.1
    """Pictures that are not trained on, but measured and drawn at each checkpoint: a share, or file names."""
    crops: Count = 8
    """Of each picture: the whole first, then closer ones."""
    masks: Count = 4
    """Drawn for each crop of a picture that brings none."""
    shapes: Literal["buckets", "square"] = "buckets"
    """Crops as wide or high as the pictures, up to twice as long as wide; or squares."""
    cache: Path | None = None
    """Where encoded crops are kept from run to run."""


class DataConfig(Section):
    """Where a phase's rows come from.

    `latents` reads a folder that `retouch train latents` made. `shards` reads WebDataset tar files of pictures and
    captions, encodes them as it goes and draws masks where a sample has none. `scenes` composes pictures from
    `folder`. `folder` holds people's own pictures with captions: each is cropped and encoded once.
    """

    kind: Literal["latents", "shards", "scenes", "folder"]
    folder: Path
    size: Count = 512
    """Side of the pictures in pixels; of a `folder`, where none is given, the size of the checkpoint."""
    mixture: MixtureName = "full"
    """What `scenes` are made of."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Processes that read `shards` or compose `scenes` ahead of the step; 0 reads in the training process."""
    window: Count = 16
    """Shards that are read and mixed at a time."""
    pool: PoolConfig | None = None
    """Keep encoded examples of `scenes` or `shards` on the device, instead of encoding each for one row."""
    validation: Path | None = None
    """A latent cache of held-out scenes, whose loss is logged at each checkpoint."""
    pictures: PicturesConfig = PicturesConfig()
    """How the pictures of a `folder` are used."""

    @model_validator(mode="after")
    def _is_told_apart(self) -> "DataConfig":
        if self.kind == "scenes" and MIXTURES[self.mixture].unnamed:
            raise ValueError(
                f"`{self.mixture}` brings sketches, which only a cache holds: `retouch train latents`"
            )
        return self

    @property
    def given_size(self) -> int | None:
        """The size, where the file names one."""
        return self.size if "size" in self.model_fields_set else None


class PhaseConfig(Section):
    """One phase: `text2image` sees latents alone, `inpaint` sees mask and masked image beside them."""

    name: str
    task: Literal["text2image", "inpaint"]
    data: DataConfig
    steps: Count
    time_limit_s: Annotated[float, Field(gt=0.0)] | None = None
    """The phase ends, and its rate falls, by whichever comes first: its last step or so many seconds of them."""
    global_batch: Count
    micro_batch: Count
    """The most rows that a process takes at once."""
    learning_rate: Annotated[float, Field(gt=0.0)]
    rate_factors: dict[str, Annotated[float, Field(gt=0.0)]] = {}
    """Factors of the learning rate by the beginning of a parameter's name (`unet.mid_block`, `text_encoder`); the
    first that fits counts. Adam moves every weight about equally far, however little it has to learn: what is
    good already stays so at a lower rate."""
    schedule: Literal["constant", "cosine", "wsd"] = "constant"
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    decay_share: Rate = 0.2
    """The last part of the steps over which `wsd` falls to 0."""
    text_drop_rate: Rate = 0.1
    full_mask_rate: Rate = 0.25
    """For `shards`; composed scenes and their caches bring their own share."""
    latent_mask: Literal["nearest", "cover"] = "nearest"
    read_sketches: tuple[str, ...] = ()
    """Cross-attentions of the UNet that are set to read the text encoder's sketches before the phase begins, such
    as `up_blocks.1.attentions.0`; the text encoder is one of `retouch train text`."""
    high_noise_share: Rate = 0.0
    """Share of rows whose timestep is drawn from the noisiest fifth alone; the others are uniform."""
    hole_loss_weight: Annotated[float, Field(gt=0.0)] = 1.0
    detail_loss_weight: Annotated[float, Field(gt=0.0)] = 1.0
    """Of errors within squares of 4 x 4 latent cells, beside that of their means. In small latents detail is a few
    per cent of the power, and the light, which no prompt tells, most of the error: the eye sees the detail."""
    min_snr_gamma: float | None = None

    @property
    def reads(self) -> str:
        """Equal for phases that read the same rows."""
        return f"{self.full_mask_rate} {self.data.model_dump_json()}"

    @model_validator(mode="after")
    def _batch_divides(self) -> "PhaseConfig":
        if self.global_batch % self.micro_batch:
            raise ValueError(f"micro_batch {self.micro_batch} does not divide global_batch {self.global_batch}")
        return self


class OptimiserConfig(Section):
    """AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101)."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0


class EmaConfig(Section):
    """Moving average of the weights: decay min(decay, (1 + n) / (10 + n)) at update n."""

    decay: Rate = 0.9999


class LogConfig(Section):
    """When to report, save, validate and draw; seconds are wall-clock, and never change the weights."""

    report_every_steps: Count = 20
    save_every_s: float = 600.0
    save_every_steps: Count | None = None
    keep: Count = 2
    """Checkpoints that stay: the newest, and those before it."""
    samples_every_s: float = 900.0
    publish: Path | None = None
    """Where each checkpoint's export goes."""
    prompts: tuple[str, ...] = ()
    """One sample picture each."""
    scenes: Path | None = None
    """The data folder whose held-out places the samples are painted into."""
    tensorboard: bool = True


class ExportConfig(Section):
    """What `retouch.json` in the exported folder says; where nothing is given, what the checkpoint said before."""

    num_inference_steps: Count | None = None
    guidance_scale: Annotated[float, Field(ge=0.0)] | None = None
    context: Annotated[float, Field(ge=0.0)] | None = None
    """What the scenes show on each side of a hole, as a share of its longer side, where they always do."""
    prompt_tokens: Count | None = None
    """The most tokens of a prompt that the text encoder follows well, where that is less than it takes."""
    seam: SeamMode | None = None
    """How the border of a fill is corrected."""
    removal: Continuation | None = None
    """What an empty prompt leaves in a hole, in the place of the model."""
    removal_prompts: tuple[str, ...] | None = None
    """What else asks for that, in lower case; [] takes back what the checkpoint said."""
    variants: tuple[str, ...] | None = None
    """Words for the pictures that the model has of a thing, of which the seed chooses one; '' for none. [] takes
    back what the checkpoint said."""
    variants_of: tuple[str, ...] | None = None
    """The things that these words are for, where they are not for all."""
    licence: str | None = None


class TrainConfig(Section):
    """A whole run."""

    name: str
    seed: int = 0
    model: ModelConfig
    phases: Annotated[tuple[PhaseConfig, ...], Field(min_length=1)]
    optimiser: OptimiserConfig = OptimiserConfig()
    ema: EmaConfig = EmaConfig()
    export: ExportConfig = ExportConfig()
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "no"
    """`auto`: bf16 where the device multiplies it by instructions of its own, else no. A processor without them
    takes ten times as long with bf16."""
    log: LogConfig = LogConfig()

    @model_validator(mode="after")
    def _sketches_can_be_read(self) -> "TrainConfig":
        has_lessons = self.model.text.pretrained is not None and self.model.pretrained is None
        if any(phase.read_sketches for phase in self.phases) and (not has_lessons or self.model.lora is not None):
            raise ValueError(
                "`read_sketches` needs `model.text.pretrained`, and neither `model.pretrained` nor `lora`"
            )
        return self


def load_config(path: Path, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """Read a YAML file; `overrides` maps dotted keys (`phases.0.steps`) to values that replace the file's.

    Raises:
        InvalidField: a key is unknown, a value out of range, or an override leads nowhere.
    """
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key, value in (overrides or {}).items():
        _set(tree, key, value)
    try:
        return TrainConfig.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidField(field, first["msg"], hint=f"see {path}") from error


def _set(tree: Any, key: str, value: Any) -> None:
    *way, last = key.split(".")
    node = tree
    try:
        for part in way:
            node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
        if isinstance(node, list):
            node[int(last)] = value
        else:
            node[last] = value
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InvalidField(key, "leads nowhere in the file") from error
