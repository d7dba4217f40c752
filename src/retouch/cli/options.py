"""The options that commands share, with their names, aliases and help; defaults are those of `request.py`."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from retouch.cli.failures import Session
from retouch.models.options import DtypeName, PredictionType
from retouch.prompts import PromptSyntax
from retouch.request import (
    DEFAULT_GUIDANCE_SCALE,
    DEFAULT_NUM_INFERENCE_STEPS,
    DEFAULT_SEAM,
    InpaintRequest,
    LatentMask,
    MaskedContent,
    Polarity,
    RegionMode,
    SafetyPolicy,
    SeamMode,
)

_DEFAULTS = {field.name: field.default for field in fields(InpaintRequest)}


def _field(name: str, *flags: str, text: str, default: str = "") -> Any:
    """Describe the option of one field of a request; where it is not given, the request's default stands."""
    value = _DEFAULTS[name]
    shown = "" if value is False else f"  [default: {default or value}]"
    return typer.Option(*flags, help=text + shown, show_default=False)


def _switch_debug(ctx: typer.Context, wanted: bool) -> bool:
    if wanted:
        Session.of(ctx).start_debugging()
    return wanted


# What to repaint.
Image = Annotated[Path, typer.Option("--image", "-i", help="Picture to repaint; - reads stdin.")]
MaskImage = Annotated[
    Path | None,
    typer.Option(
        "--mask-image", "--mask", "-m", help="White = repaint; without it, what is transparent in the picture."
    ),
]
Prompt = Annotated[str, typer.Option("--prompt", "-p", help="What the masked part shall show; - reads stdin.")]
NegativePrompt = Annotated[
    str | None,
    _field("negative_prompt", "--negative-prompt", "-n", text="What it shall not show.", default="nothing"),
]
PromptSyntaxOption = Annotated[
    PromptSyntax | None,
    _field("prompt_syntax", "--prompt-syntax", text="a1111 reads (word:1.3), [word], BREAK and long prompts."),
]

# How to generate.
ClipSkip = Annotated[
    int | None, _field("clip_skip", "--clip-skip", text="Last layers of the text encoder to leave out.")
]
Steps = Annotated[
    int | None,
    _field(
        "num_inference_steps",
        "--num-inference-steps",
        "--steps",
        text="Denoising steps.",
        default=f"the checkpoint's advice, else {DEFAULT_NUM_INFERENCE_STEPS}",
    ),
]
Guidance = Annotated[
    float | None,
    _field(
        "guidance_scale",
        "--guidance-scale",
        "--cfg-scale",
        text="How strongly the prompt pulls; off at 1 and below.",
        default=f"the checkpoint's advice, else {DEFAULT_GUIDANCE_SCALE}",
    ),
]
Strength = Annotated[
    float | None,
    _field("strength", "--strength", text="0 to 1; 1 forgets what the hole held, 0 fills it without a model."),
]
Seed = Annotated[
    int | None,
    _field("seed", "--seed", "-s", text="The same seed is the same picture.", default="drawn, and told"),
]
Variants = Annotated[
    int | None,
    _field(
        "num_images_per_prompt",
        "--num-images-per-prompt",
        "--num-images",
        text="Variants, with seeds counting up from --seed.",
    ),
]
Scheduler = Annotated[
    str | None,
    _field(
        "scheduler",
        "--scheduler",
        "--sampler",
        text="A diffusers class name, or a name as in 'Euler a'.",
        default="the checkpoint's own",
    ),
]
Reference = Annotated[bool | None, _field("reference", "--reference", text="Compute as diffusers' pipeline does.")]
Deadline = Annotated[
    float | None, _field("deadline_s", "--deadline", text="Seconds after which to give up.", default="none")
]
Safety = Annotated[
    SafetyPolicy | None, _field("safety", "--safety", text="What to do with a picture that the checker refuses.")
]
ScreenInput = Annotated[
    bool, typer.Option("--screen-input", help="Let the checker look at the picture that comes in, too.")
]
ContentSafety = Annotated[
    bool,
    typer.Option(
        "--content-safety",
        help="Also ask Azure AI Content Safety, of what comes in and goes out; reads CONTENT_SAFETY_ENDPOINT.",
    ),
]

# How to read the mask, and how much of the picture the model sees.
MaskPolarity = Annotated[
    Polarity | None,
    _field("mask_polarity", "--mask-polarity", text="Which pixels of the mask are repainted."),
]
MaskThreshold = Annotated[
    float | None,
    _field("mask_threshold", "--mask-threshold", text="A mask sample counts from here on, 0 to 1."),
]
Grow = Annotated[int | None, _field("grow_px", "--grow", text="Grow the mask by so many pixels.")]
Feather = Annotated[
    int | None,
    _field("feather_px", "--feather", text="Blend so many pixels inwards; kept pixels never change."),
]
FillHoles = Annotated[
    bool | None, _field("fill_holes", "--fill-holes", text="Repaint what the mask encloses, too.")
]
Region = Annotated[RegionMode | None, _field("region", "--region", text="What the model sees of the picture.")]
Padding = Annotated[
    int | None,
    _field(
        "padding_px",
        "--padding",
        text="Context around the mask in a masked region, in pixels.",
        default="by the mask's size",
    ),
]
LatentMaskOption = Annotated[
    LatentMask | None,
    _field("latent_mask", "--latent-mask", text="How pixels mark latent cells."),
]
MaskedContentOption = Annotated[
    MaskedContent | None,
    _field("masked_content", "--masked-content", text="What the hole holds before noise is added."),
]
MatchColors = Annotated[
    bool | None,
    _field("match_colors", "--match-colors", text="Shift the fill's colours to its surroundings."),
]
Seam = Annotated[
    SeamMode | None,
    _field(
        "seam",
        "--seam",
        text="Spread inward what differs along the mask's border, or leave it.",
        default=f"the checkpoint's advice, else {DEFAULT_SEAM}",
    ),
]

# Which checkpoint, and where it runs.
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="A folder, a .safetensors file or a hub id.  [default: the embedded model]",
        envvar="RETOUCH_MODEL",
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.", envvar="RETOUCH_DEVICE"),
]
Dtype = Annotated[
    DtypeName,
    typer.Option(
        "--dtype",
        help="Precision of the UNet and the text encoder; auto is fp16 on CUDA, else fp32.",
        envvar="RETOUCH_DTYPE",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        help="Threads of the CPU.  [default: OMP_NUM_THREADS, else one a core]",
        min=1,
        envvar="RETOUCH_THREADS",
    ),
]
Offload = Annotated[
    bool,
    typer.Option("--offload", help="Keep on the device only the part that works: for small GPUs, slower."),
]
ConfigFrom = Annotated[
    Path | None,
    typer.Option("--config-from", help="A diffusers folder whose configs describe a single-file checkpoint."),
]
PredictionTypeOption = Annotated[
    PredictionType | None,
    typer.Option("--prediction-type", help="What the UNet predicts.  [default: its config's, or found out]"),
]
Vae = Annotated[
    Path | None,
    typer.Option("--vae", help="A VAE file or folder in the place of the checkpoint's own."),
]
Lora = Annotated[
    list[str] | None,
    typer.Option("--lora", metavar="PATH[:SCALE]", help="A LoRA and how strongly it acts; may be repeated."),
]
Embedding = Annotated[
    list[str] | None,
    typer.Option("--embedding", metavar="[TOKEN=]PATH", help="A textual inversion; may be repeated."),
]
AllowPickle = Annotated[
    bool,
    typer.Option("--allow-pickle", help="Also read .ckpt, .bin and .pt, weights only."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never ask the hub; use what is on this disk.")]
RowsPerCall = Annotated[
    int | None,
    typer.Option(
        "--rows-per-call",
        help="Rows of every model call, to which it is padded; 0 packs freely.",
    ),
]

# What comes out.
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="Where to write; - is a PNG on stdout. Variants become out-2.png, ...; {seed} names them by seed.",
    ),
]
Grid = Annotated[
    Path | None,
    typer.Option("--grid", help="Also write picture, mask and results side by side."),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object on stdout.",
    ),
]
NoMetadata = Annotated[
    bool,
    typer.Option("--no-metadata", help="Write no prompt, seed or mask into the file."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Let the output replace a file that went in.")]
Debug = Annotated[
    bool,
    typer.Option("--debug", callback=_switch_debug, is_eager=True, help="Show the traceback of an error."),
]
