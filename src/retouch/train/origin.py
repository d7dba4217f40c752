"""What a run starts from: a released checkpoint, loaded by `models/` like any other, or fresh parts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffusers import AsymmetricAutoencoderKL, AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from retouch.errors import InvalidField, ModelUnsupported
from retouch.models.assemble import geometry, prediction_type
from retouch.models.bundle import Recommended
from retouch.models.components import Components, Notes
from retouch.models.hashing import hash_tensors
from retouch.models.load import load_components
from retouch.models.options import LoadOptions
from retouch.models.vae import load_vae
from retouch.train.config import ExportConfig, ModelConfig, TextConfig
from retouch.train.noise import BETA_END, BETA_START, TIMESTEPS, Prediction
from retouch.train.text import WORDS_FILE, build_text_encoder

LATENT_CHANNELS = 4
_SCHEDULE = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "rescale_betas_zero_snr",
)
"""What of a scheduler's config decides the noise at each timestep."""
_FRESH_ADVICE = Recommended(num_inference_steps=20, guidance_scale=3.0, scheduler="DDIMScheduler")


def load_origin(model: ModelConfig, export: ExportConfig = ExportConfig()) -> Components:  # noqa: B008  # frozen
    """The parts that a configuration starts from, on the CPU in fp32, with what an export will say about them.

    Scheduler, safety checker, licence and advice of a `pretrained` checkpoint are kept, where `export` is silent.

    Raises:
        ModelError: the checkpoint is missing, unsafe, or none that can be trained.
        InvalidField: the configuration contradicts what the checkpoint's scheduler says.
    """
    origin = _fresh(model) if model.pretrained is None else _released(model)
    _check_trainable(origin)
    origin.vae.eval().requires_grad_(False)
    said = export.model_dump(exclude_none=True)
    licence = said.pop("licence", origin.notes.licence)
    advice = replace(origin.notes.recommended, **said)
    words = origin.notes.vocabulary
    if words is not None:
        words |= set(" ".join(advice.variants or ()).split())
    return replace(origin, notes=Notes(recommended=advice, licence=licence, vocabulary=words))


def predicted(origin: Components) -> Prediction:
    """What the UNet predicts, by its scheduler.

    Raises:
        ModelUnsupported: the picture itself (`sample`), which is not trained here.
    """
    kind = prediction_type(origin.scheduler_config)
    if kind == "sample":
        raise ModelUnsupported("the checkpoint predicts samples", hint="epsilon and v_prediction can be trained")
    return kind


def describe_model(model: ModelConfig, origin: Components) -> dict[str, str]:
    """What makes a run's weights mean something, and is not among them: a resumed run has to find it again."""
    config = origin.scheduler_config
    schedule = {key: config[key] for key in _SCHEDULE if config.get(key) is not None}
    found = {
        "model.pretrained (its weights)": origin.content_hash[:16] or "none",
        "model.vae (its weights)": hash_tensors(origin.vae.state_dict())[:16],
        "the scheduler": json.dumps({"prediction_type": predicted(origin), **schedule}),
        "model.lora": "none" if model.lora is None else model.lora.model_dump_json(),
        "model.train_text_encoder": str(model.train_text_encoder),
    }
    if model.pretrained is None:
        found["model.unet"] = json.dumps(model.unet, sort_keys=True)
    elif model.text.pretrained is not None and not model.train_text_encoder:
        found["model.text (its weights)"] = hash_tensors(origin.text_encoder.state_dict())[:16]
    return found


def _released(model: ModelConfig) -> Components:
    vae = None if model.vae is None else Path(model.vae)
    options = LoadOptions(vae=vae, allow_pickle=model.allow_pickle)
    origin = load_components(model.pretrained, options)
    stated = predicted(origin)
    if model.prediction_type not in (None, stated):
        raise InvalidField(
            "model.prediction_type",
            f"is {model.prediction_type}, and the scheduler of {model.pretrained} says {stated}",
            hint="leave it out; where the checkpoint is wrong, correct its scheduler/scheduler_config.json",
        )
    if model.text.pretrained is None:
        return origin
    return replace(origin, text_encoder=_text_encoder(model.text, origin.tokenizer).float())


def _check_trainable(origin: Components) -> None:
    predicted(origin)
    if geometry(origin.unet.config, origin.vae.config).latent_channels != LATENT_CHANNELS:
        raise ModelUnsupported(f"the VAE has {origin.vae.config.latent_channels} channels, not {LATENT_CHANNELS}")
    if not isinstance(origin.vae, AutoencoderKL | AsymmetricAutoencoderKL):
        raise ModelUnsupported(
            f"a {type(origin.vae).__name__} has no posterior to train on", hint="give the full one as `model.vae`"
        )


def _fresh(model: ModelConfig) -> Components:
    tokenizer = CLIPTokenizer.from_pretrained(model.tokenizer)
    return Components(
        unet=UNet2DConditionModel(**_tuples(model.unet or {})),
        text_encoder=_text_encoder(model.text, tokenizer).float(),
        vae=_vae(str(model.vae), allow_pickle=model.allow_pickle),
        tokenizer=tokenizer,
        scheduler_config=fresh_scheduler(model.prediction_type or "epsilon"),
        content_hash="",
        notes=Notes(recommended=_FRESH_ADVICE, vocabulary=_known_words(Path(str(model.tokenizer)))),
    )


def _vae(name: str, *, allow_pickle: bool) -> Any:
    """A folder's VAE, or that of a hub id."""
    if not Path(name).is_dir():
        return AutoencoderKL.from_pretrained(name).float()
    return load_vae(Path(name), LoadOptions(allow_pickle=allow_pickle))


def fresh_scheduler(kind: Prediction) -> dict[str, Any]:
    """DDIM with Stable Diffusion's settings (its repository's scheduler_config.json)."""
    return {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": TIMESTEPS,
        "beta_start": BETA_START,
        "beta_end": BETA_END,
        "beta_schedule": "scaled_linear",
        "prediction_type": kind,
        "steps_offset": 1,
        "clip_sample": False,
        "set_alpha_to_one": False,
    }


def _known_words(tokenizer: Path) -> frozenset[str] | None:
    """The words that a tokenizer of `retouch train tokenizer` was made for; None: all."""
    words = tokenizer / WORDS_FILE
    return frozenset(json.loads(words.read_text(encoding="utf-8"))) if words.is_file() else None


def _text_encoder(text: TextConfig, tokenizer: Any) -> CLIPTextModel:
    if text.pretrained is not None:
        return CLIPTextModel.from_pretrained(text.pretrained)
    return build_text_encoder(tokenizer, width=text.width, layers=text.layers, heads=text.heads)


def _tuples(arguments: dict[str, Any]) -> dict[str, Any]:
    """YAML has lists where diffusers' configs want tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
