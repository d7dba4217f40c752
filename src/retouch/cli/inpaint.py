"""`retouch inpaint`: one picture, one hole, any number of variants."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import typer

from retouch.cli import inputs, options
from retouch.cli.limits import limits
from retouch.cli.loading import Checkpoint
from retouch.cli.outcome import write
from retouch.cli.outputs import Destination
from retouch.cli.progress import watching
from retouch.cli.safeguards import safeguards
from retouch.request import InpaintRequest, validate

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)


@app.command(name="inpaint")
def inpaint(
    *,
    image: options.Image,
    mask_image: options.MaskImage = None,
    prompt: options.Prompt,
    output: options.Output,
    negative_prompt: options.NegativePrompt = None,
    prompt_syntax: options.PromptSyntaxOption = None,
    clip_skip: options.ClipSkip = None,
    num_inference_steps: options.Steps = None,
    guidance_scale: options.Guidance = None,
    strength: options.Strength = None,
    seed: options.Seed = None,
    num_images_per_prompt: options.Variants = None,
    scheduler: options.Scheduler = None,
    safety: options.Safety = None,
    screen_input: options.ScreenInput = False,
    content_safety: options.ContentSafety = False,
    reference: options.Reference = None,
    deadline_s: options.Deadline = None,
    mask_polarity: options.MaskPolarity = None,
    mask_threshold: options.MaskThreshold = None,
    grow_px: options.Grow = None,
    feather_px: options.Feather = None,
    fill_holes: options.FillHoles = None,
    region: options.Region = None,
    padding_px: options.Padding = None,
    latent_mask: options.LatentMaskOption = None,
    masked_content: options.MaskedContentOption = None,
    match_colors: options.MatchColors = None,
    seam: options.Seam = None,
    model: options.Model = None,
    device: options.Device = "auto",
    vae: options.Vae = None,
    dtype: options.Dtype = "auto",
    threads: options.Threads = None,
    lora: options.Lora = None,
    embedding: options.Embedding = None,
    allow_pickle: options.AllowPickle = False,
    offline: options.Offline = False,
    offload: options.Offload = False,
    config_from: options.ConfigFrom = None,
    prediction_type: options.PredictionTypeOption = None,
    rows_per_call: options.RowsPerCall = None,
    grid: options.Grid = None,
    as_json: options.Json = False,
    no_metadata: options.NoMetadata = False,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> None:
    """Repaint the masked part of a picture; every other pixel stays as it is."""
    given = locals()
    request = _request(given)
    destination = Destination(output, grid=grid, inputs=inputs.files(image, mask_image), overwrite=overwrite)
    destination.check(request.num_images_per_prompt, seed=request.seed, as_json=as_json)
    _check_sides(request, destination)
    guarded = safeguards(screen_input=screen_input, content_safety=content_safety, safety=safety)
    with Checkpoint.of(given).load(**guarded) as inpainter:
        with watching("repainting") as watch:
            result = inpainter.run(request, on_progress=watch)
        outcome = write(result, inpainter.bundle, destination, metadata=not no_metadata)
    if as_json:
        typer.echo(outcome.to_json())
    typer.echo(outcome.to_text(), err=True)


def _request(given: Mapping[str, Any]) -> InpaintRequest:
    """Make the request from the options that were given; read and check what it names, before any model loads."""
    inputs.refuse_two_from_stdin(*(str(given[name]) for name in ("image", "mask_image", "prompt")))
    chosen = {field.name: given[field.name] for field in fields(InpaintRequest) if given[field.name] is not None}
    request = InpaintRequest(**(chosen | {"prompt": inputs.text(given["prompt"])}))
    validate(request, limits())
    inputs.check_scheduler(request.scheduler)
    from retouch.masking import check_mask

    pictures = {
        name: inputs.picture(given[name], option=f"--{name.replace('_', '-')}")
        for name in ("image", "mask_image")
        if given[name] is not None
    }
    request = request.with_fields(**pictures)
    check_mask(request, pictures["image"], limits())
    return request


def _check_sides(request: InpaintRequest, destination: Destination) -> None:
    """Refuse, before any model loads, a picture too long for the format of the output; stdout takes PNG."""
    from retouch.imaging.encode import check_sides
    from retouch.imaging.picture import Picture
    from retouch.imaging.save import format_of_path

    if not destination.is_stdout and isinstance(request.image, Picture):
        check_sides(request.image, format_of_path(destination.output))
