"""`retouch train`: the commands of the training recipe."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retouch.cli import options
from retouch.data.mixture import MixtureName

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Train a checkpoint: tokenizer, VAE, text encoder, latents, the two phases.",
)

DataDir = Annotated[Path, typer.Option(help="Folder made by `retouch data build`.")]
RunDir = Annotated[
    Path, typer.Option(help="Folder for checkpoints and logs; an earlier run in it is gone on with.")
]

VaeDir = Annotated[Path, typer.Option(help="The frozen VAE.")]
TokenizerDir = Annotated[Path, typer.Option(help="The tokenizer.")]
KnownTo = Annotated[Path | None, typer.Option(help="A checkpoint: only objects that its list of words can name.")]


def _values(overrides: list[str]) -> dict[str, Any]:
    """`key=value` pairs; values are read as JSON where they are JSON, else as text."""
    found: dict[str, Any] = {}
    for pair in overrides:
        key, separator, text = pair.partition("=")
        if not separator:
            raise typer.BadParameter(f"{pair!r} is not key=value")
        try:
            found[key] = json.loads(text)
        except json.JSONDecodeError:
            found[key] = text
    return found


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="A recipe, such as configs/pocket.yaml.")],
    run_dir: RunDir,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, such as phases.0.steps=10.")
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(help="Stop, resumably, after this many optimiser steps.")
    ] = None,
    cpu: Annotated[bool, typer.Option(help="Stay on the CPU.")] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Go on though seed, data or model are not the checkpoint's.")
    ] = False,
    threads: options.Threads = None,
) -> None:
    """Run a recipe's phases to the end; run again to go on after an interruption."""
    from retouch.cli.training_bar import reporting
    from retouch.models.devices import use_threads
    from retouch.train.config import load_config
    from retouch.train.run import RunOptions, run_training

    use_threads(threads)
    recipe = load_config(config, _values(override or []))
    with reporting() as report:
        run_training(
            RunOptions(
                config=recipe,
                run_dir=run_dir,
                cpu=cpu,
                max_steps=max_steps,
                accept_changes=accept_changes,
                on_report=report,
            )
        )


@app.command()
def tokenizer(
    data_dir: DataDir,
    output: Annotated[Path, typer.Option(help="Folder for the tokenizer.")],
    length: Annotated[int, typer.Option(help="Tokens of a prompt; sketches take 64 of 96.")] = 96,
) -> None:
    """Learn a tokenizer from the captions of composed scenes."""
    from retouch.data.compose import SceneComposer, all_caption_words
    from retouch.train.text import write_tokenizer

    write_tokenizer(all_caption_words(SceneComposer.open(data_dir)), output, length=length)


@app.command()
def vae(
    data_dir: DataDir,
    run_dir: RunDir,
    channels: Annotated[
        str, typer.Option(help="Widths of the levels, outermost first; each but the first halves the sides.")
    ] = "16-32-64",
    size: Annotated[int, typer.Option(help="Side of the scenes in pixels.")] = 128,
    crop: Annotated[int, typer.Option(help="Side of the crops that are trained on.")] = 64,
    batch: Annotated[int, typer.Option(help="Crops a step.")] = 24,
    mixture: Annotated[MixtureName, typer.Option(help="What the scenes are made of: docs/data.md.")] = "full",
    workers: Annotated[int, typer.Option(help="Processes that compose scenes.")] = 1,
    slots: Annotated[int, typer.Option(help="Scenes that crops are drawn from at once.")] = 2048,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    compile_: Annotated[bool, typer.Option("--compile", help="Compile the model first.")] = False,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 2500,
    time_limit_s: Annotated[
        float, typer.Option(help="Seconds by which the learning rate is 0 at the latest.")
    ] = 1e9,
    start_from: Annotated[Path | None, typer.Option(help="A VAE folder to begin with.")] = None,
    train_decoder_only: Annotated[
        bool, typer.Option(help="Leave the encoder, and so all latents, as they are.")
    ] = False,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 2e-3,
    threads: options.Threads = None,
) -> None:
    """Train the small VAE on random crops of composed scenes."""
    from retouch.models.devices import use_threads
    from retouch.train.pocket.vae import VaeRecipe, train_vae

    use_threads(threads)
    train_vae(
        VaeRecipe(
            data_dir=data_dir,
            run_dir=run_dir,
            channels=tuple(int(width) for width in channels.split("-")),
            size=size,
            mixture=mixture,
            crop=crop,
            batch=batch,
            workers=workers,
            slots=slots,
            device=device,
            compile=compile_,
            steps=steps,
            time_limit_s=time_limit_s,
            start_from=start_from,
            train_decoder_only=train_decoder_only,
            learning_rate=learning_rate,
        )
    )


@app.command()
def grow(
    vae_dir: VaeDir,
    data_dir: DataDir,
    output: Annotated[Path, typer.Option(help="Folder for the grown VAE.")],
) -> None:
    """Make a VAE of twice the factor that keeps the latents: for pictures of twice the side."""
    from retouch.train.pocket.grow import grow_folder

    typer.echo(f"error of the fit: {grow_folder(vae_dir, data_dir, output):.4f}", err=True)


@app.command()
def decoder(
    model: Annotated[Path, typer.Option(help="The checkpoint's folder, whose denoiser paints what is mended.")],
    data_dir: DataDir,
    run_dir: RunDir,
    painted: Annotated[int, typer.Option(help="Scenes that are painted first.")] = 5264,
    mixture: Annotated[MixtureName, typer.Option(help="What they are made of: docs/data.md.")] = "centred",
    widths: Annotated[
        str, typer.Option(help="Of the decoder, outermost first; multiples of the old ones.")
    ] = "16-32-64-128",
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 3800,
    batch: Annotated[int, typer.Option(help="Crops a step.")] = 16,
    crop: Annotated[int, typer.Option(help="Side of the crops; later rows are whole scenes.")] = 128,
    time_limit_s: Annotated[
        float, typer.Option(help="Seconds by which the learning rate is 0 at the latest.")
    ] = 1e9,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 7e-4,
    threads: options.Threads = None,
) -> None:
    """Widen a finished checkpoint's decoder, and teach it to mend what the denoiser paints; latents stay."""
    from retouch.models.devices import use_threads
    from retouch.train.pocket.decoder import DecoderRecipe, train_decoder

    use_threads(threads)
    train_decoder(
        DecoderRecipe(
            model_dir=model,
            data_dir=data_dir,
            run_dir=run_dir,
            painted=painted,
            painted_mixture=mixture,
            widths=tuple(int(width) for width in widths.split("-")),
            steps=steps,
            batch=batch,
            crop=crop,
            time_limit_s=time_limit_s,
            learning_rate=learning_rate,
        )
    )


@app.command()
def text(
    data_dir: DataDir,
    vae_dir: VaeDir,
    tokenizer_dir: TokenizerDir,
    output: Annotated[Path, typer.Option(help="Folder for the text encoder.")],
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 8000,
    start_from: Annotated[
        Path | None,
        typer.Option(help="A text encoder to begin with, which keeps what it knows; give it more `--hidden`."),
    ] = None,
    several: Annotated[
        bool,
        typer.Option("--several", help="All pictures of a thing that captions tell apart, not its first alone."),
    ] = False,
    hidden: Annotated[int, typer.Option(help="Width between its linear layers.")] = 3072,
    known_to: KnownTo = None,
    threads: options.Threads = None,
) -> None:
    """Teach a text encoder to sketch what captions name, before a UNet is trained on it."""
    from retouch.models.components import read_notes
    from retouch.models.devices import use_threads
    from retouch.train.pocket.sketch import SketchRecipe, train_text

    use_threads(threads)
    train_text(
        SketchRecipe(
            data_dir=data_dir,
            vae_dir=vae_dir,
            tokenizer_dir=tokenizer_dir,
            output=output,
            steps=steps,
            start_from=start_from,
            several=several,
            hidden=hidden,
            words=None if known_to is None else read_notes(known_to).vocabulary,
        )
    )


@app.command()
def latents(
    data_dir: Annotated[Path, typer.Option(help="Folder made by `retouch data build`, or one of shards.")],
    vae_dir: VaeDir,
    tokenizer_dir: TokenizerDir,
    output: Annotated[Path, typer.Option(help="Folder for the cache; a partly filled one is gone on with.")],
    kind: Annotated[Literal["scenes", "shards"], typer.Option(help="What the data folder holds.")] = "scenes",
    workers: Annotated[int, typer.Option(help="Processes that read or compose; 0: this one.")] = 0,
    slots: Annotated[int, typer.Option(help="Pictures kept.")] = 24_576,
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.")] = 128,
    split: Annotated[Literal["train", "validation"], typer.Option(help="train or validation.")] = "train",
    mixture: Annotated[MixtureName, typer.Option(help="What the scenes are made of: docs/data.md.")] = "full",
    known_to: KnownTo = None,
    renew_duty: Annotated[
        float, typer.Option(help="Once full, replace old scenes, working this share of time.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Which scenes, or which crops and masks.")] = 0,
    device: options.Device = "auto",
    allow_pickle: options.AllowPickle = False,
    threads: options.Threads = None,
) -> None:
    """Encode composed scenes, or the pictures of shards, into a latent cache."""
    from transformers import CLIPTokenizer

    from retouch.models.components import read_notes
    from retouch.models.devices import pick_device, use_threads
    from retouch.train.cache_facts import LatentSpec
    from retouch.train.latents import build_latents

    use_threads(threads)
    spec = LatentSpec(
        data_dir=data_dir,
        vae_dir=vae_dir,
        tokenizer_dir=tokenizer_dir,
        folder=output,
        slots=slots,
        size=size,
        split=split,
        seed=seed,
        mixture=mixture,
        words=None if known_to is None else read_notes(known_to).vocabulary,
        kind=kind,
        workers=workers,
        allow_pickle=allow_pickle,
    )
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_dir)
    build_latents(spec, tokenizer, renew_duty=renew_duty, device=pick_device(device))


if __name__ == "__main__":
    app()
